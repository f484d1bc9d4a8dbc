"""An ablation of `configs/pretrain_paper.py`: every parameter starts at random.

    python -m memobert_jax.train --config=configs/pretrain_paper_no_bert.py --workdir=DIR \
        --config.tokenizer=BERT \
        --config.data.sources="(('FEATURES_DIR', 1.0),)"

The same recipe without a START; the tokenizer stays that of BERT. Not run yet.
"""

from configs import pretrain_paper


def get_config():
    config = pretrain_paper.get_config()
    config.init_from = ""
    return config
