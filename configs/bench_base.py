"""The base size in float32, for `launch/bench.sh` on a CPU: 8 rows of 256 slots a step.

    python -m memobert_jax.bench --config=configs/bench_base.py --synthetic=400 --steps=8

`configs/bench.py` with the 12 layers of 768 of `pretrain_base`. On two cores of an AMD EPYC with
AVX-512 and GLIBC_TUNABLES=glibc.malloc.hugetlb=1: 6.9 clips/s, 466 real tokens/s, 5.8 GB.
"""

from configs import bench


def get_config():
    config = bench.get_config()
    config.model.update(hidden=768, layers=12, heads=12, mlp=3072)
    return config
