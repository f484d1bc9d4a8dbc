"""An ablation of `configs/pretrain_paper.py`: no face.

    python -m memobert_jax.train --config=configs/pretrain_paper_no_face.py --workdir=DIR \
        --config.init_from=START --config.tokenizer=BERT \
        --config.data.sources="(('FEATURES_DIR', 1.0),)"

Text and speech alone, objectives 2:1, as the authors did. Not run yet.
"""

from configs import pretrain_paper


def get_config():
    config = pretrain_paper.get_config()
    config.data.max_face = 0
    config.objectives.update(mfr=0.0, mfc=0.0)
    return config
