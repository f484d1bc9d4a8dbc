"""An ablation of `configs/pretrain_paper.py`: pieces and frames masked one by one.

    python -m memobert_jax.train --config=configs/pretrain_paper_single.py --workdir=DIR \
        --config.init_from=START --config.tokenizer=BERT \
        --config.data.sources="(('FEATURES_DIR', 1.0),)"

Without whole-word and span masking: each piece and each frame by itself with probability 0.15,
frames zeroed, 30,000 steps, as the authors did. Not run yet.
"""

from configs import pretrain_paper


def get_config():
    config = pretrain_paper.get_config()
    config.masking.update(mode="single", face_ratio=0.15)
    config.steps = 30_000
    return config
