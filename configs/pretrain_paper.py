"""MEmoBERT's recipe to the letter (Zhao et al. 2022; the authors' main run).

    python -m memobert_jax.train --config=configs/pretrain_paper.py --workdir=DIR \
        --config.init_from=START --config.tokenizer=BERT \
        --config.data.sources="(('FEATURES_DIR', 1.0),)"

START is made by `python -m memobert_jax.import_bert` from BERT, a folder with bert-base-uncased;
without one nothing runs, and `configs/pretrain_paper_no_bert.py` is the ablation.
One clip a row, 160 clips in each of 4 micro-batches, one objective a step in the mix 2:1:1:1, the
original's masking with its quirks, dropout of attention weights, decay of the modalities' layer
norms. The features are those of the paper where wav2vec2 and DenseFace made them. Not run yet.
"""

from configs import base


def get_config():
    config = base.get_config()
    with config.unlocked():
        config.model.attention_dropout = 0.1
        config.init_from = "START"
        config.masking.mode = "paper"
        config.objectives.schedule = "per_step"
        config.data.update(batch_rows=640, max_clips=1, row_width=132)
        config.data.update(text_cap=32, face_cap=36, speech_cap=64, target_share=1.0)
        config.optim.update(accumulate=4, decay_modality_norms=True)
    return config
