"""What `launch/bench.sh` times: four layers of width 256, on rows that hold about 32 clips a step.

    launch/bench.sh
    python -m memobert_jax.bench --config=configs/bench.py

Sizes for two CPU cores, with the paper's vocabulary, feature widths, dropout and clip lengths. On
two cores of an AMD EPYC with AVX-512 and GLIBC_TUNABLES=glibc.malloc.hugetlb=1: 98 clips/s, 6,581
real tokens/s.
"""

from configs import base


def get_config():
    config = base.get_config()
    with config.unlocked():
        config.model.update(hidden=256, layers=4, heads=4, mlp=1024)
        config.data.update(batch_rows=8)
    return config
