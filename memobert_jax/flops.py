"""Model FLOPs of a training step, what the device could do in that time, and memory."""

import resource
import sys
import time

import numpy as np

from memobert_jax.config import ModelConfig

DATASHEET = {"H100 80GB HBM3": 989e12, "H200": 989e12}
"""Dense bfloat16 FLOP/s from the makers' datasheets, by a word of the device's name."""


def model_flops(cfg: ModelConfig, tokens: float, squares: float) -> float:
    """FLOPs that the trunk needs forward and backward, for real tokens alone.

    6 x matmul parameters of the trunk x tokens, a multiplication and an addition in the forward
    pass and twice that in the backward pass; and for attention inside clips
    12 x layers x hidden x sum of squared clip lengths. Embedders, heads, empty slots, attention
    between clips and what `remat` computes again do not count.

    Args:
      cfg: the network.
      tokens: trunk slots that carry a clip.
      squares: sum of squared clip lengths, in slots.
    """
    matmuls = cfg.layers * (4 * cfg.hidden**2 + 2 * cfg.hidden * cfg.mlp)
    return 6 * matmuls * tokens + 12 * cfg.layers * cfg.hidden * squares


def datasheet_flops() -> float | None:
    """Dense bfloat16 FLOP/s of all devices together, or None for a device not in DATASHEET."""
    import jax

    kind = jax.devices()[0].device_kind
    found = [peak for name, peak in DATASHEET.items() if name in kind]
    return found[0] * jax.device_count() if found else None


def utilisation(
    cfg: ModelConfig, tokens: float, squares: float, seconds: float, measured: float
) -> dict[str, float | None]:
    """Model FLOP/s, and its share (MFU) of the peak `measured` and of the datasheet's."""
    done, sheet = model_flops(cfg, tokens, squares) / seconds, datasheet_flops()
    return {
        "model_tflops_per_s": done / 1e12,
        "matmul_tflops_per_s": measured / 1e12,
        "mfu_measured": done / measured,
        "mfu_datasheet": done / sheet if sheet else None,
    }


def measured_flops(dtype: str, tries: int = 5) -> float:
    """FLOP/s of a large matrix product on one device, the best of some, times the devices."""
    import jax
    import jax.numpy as jnp

    device = jax.local_devices()[0]
    size = 1024 if device.platform == "cpu" else 8192
    x = jax.device_put(jnp.ones((size, size), dtype), device)
    product = jax.jit(jnp.matmul)
    jax.block_until_ready(product(x, x))
    seconds = []
    for _ in range(tries):
        start = time.perf_counter()
        jax.block_until_ready(product(x, x))
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds) * jax.device_count()


def squares(segment_ids: np.ndarray) -> int:
    """Sum of squared clip lengths of rows i32 [rows, width] of segment ids, 0 for empty slots."""
    counts = [np.bincount(row)[1:].astype(np.int64) for row in segment_ids]
    return int(sum(count @ count for count in counts))


def peak_memory() -> int:
    """Bytes at most: of one device where it keeps count, else of this process."""
    import jax

    stats = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return stats["peak_bytes_in_use"]
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
