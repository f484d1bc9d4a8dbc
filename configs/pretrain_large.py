"""The large size on packed rows, for several accelerators: 24 layers of 1,024.

    python -m memobert_jax.train --config=configs/pretrain_large.py --workdir=DIR \
        --config.tokenizer=FILE.model \
        --config.data.sources="(('FEATURES_DIR', 1.0),)"

Parameters and optimizer state are sharded over four devices of a host. Not run yet.
"""

from configs import pretrain_base


def get_config():
    config = pretrain_base.get_config()
    config.model.update(hidden=1024, layers=24, heads=16, mlp=4096, remat="full")
    config.mesh.fsdp = 4
    return config
