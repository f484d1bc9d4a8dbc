"""The defaults of a pre-training run; every other pre-training config is this with overrides.

    python -m memobert_jax.train --config=configs/base.py --workdir=DIR \
        --config.tokenizer=FILE.model --config.data.sources="(('FEATURES_DIR', 1.0),)"

Not run yet at this size.
"""

from memobert_jax.config import PretrainConfig, as_config_dict


def get_config():
    return as_config_dict(PretrainConfig())
