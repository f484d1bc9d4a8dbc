"""An ablation of `configs/pretrain_paper.py`: no speech.

    python -m memobert_jax.train --config=configs/pretrain_paper_no_speech.py --workdir=DIR \
        --config.init_from=START --config.tokenizer=BERT \
        --config.data.sources="(('FEATURES_DIR', 1.0),)"

Text and face alone, objectives 2:1:1, as the authors did. Not run yet.
"""

from configs import pretrain_paper


def get_config():
    config = pretrain_paper.get_config()
    config.data.max_speech = 0
    config.objectives.msr = 0.0
    return config
