"""Attention inside segments: one function, the fastest correct kernel of the platform behind it.

| kernel | where | what it is |
|---|---|---|
| `cudnn` | NVIDIA, 16-bit floats | cuDNN's fused (flash) attention; the segments are its mask |
| `splash` | TPU, rows of a multiple of 128 slots | Pallas' Splash attention with segment ids |
| `cpu` | CPU | three products; divides by the softmax's sum last |
| `plain` | anywhere else, or asked for | `jax.nn.dot_product_attention` with a mask, by XLA |
| `dropout` | anywhere | as written down, with dropout of the weights: no fused kernel has both |
"""

import functools

import jax
import jax.numpy as jnp
from jax.extend import backend
from jax.sharding import PartitionSpec

from memobert_jax import sharding

_LANES = 128
"""Splash attention works on blocks of a multiple of so many slots."""


def attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    segment_ids: jax.Array,
    rate: float = 0.0,
    key: jax.Array | None = None,
    kernel: str = "auto",
) -> jax.Array:
    """Attention inside segments; the one place where its kernel is chosen.

    Args:
      q, k, v: [rows, width, heads, head_dim].
      segment_ids: i32 [rows, width]; empty slots carry 0 and see each other, so no softmax is
        over an empty set.
      rate, key: dropout of the weights, computed without a fused kernel; off without a key.
      kernel: one of the table above, or "auto".

    Returns:
      [rows, width, heads, head_dim], dtype of `v`. The softmax is in float32.
    """
    if rate and key is not None:
        return _with_dropout(q, k, v, _inside(segment_ids), rate, key)
    if kernel == "auto":
        kernel = fastest(q.shape[1], q.shape[3], q.dtype)
    match kernel:
        case "cudnn":
            inside = _inside(segment_ids)
            return jax.nn.dot_product_attention(q, k, v, mask=inside, implementation="cudnn")
        case "splash":
            return _splash(q, k, v, segment_ids)
        case "cpu":
            return _on_cpu(q, k, v, _inside(segment_ids))
        case "plain":
            return jax.nn.dot_product_attention(q, k, v, mask=_inside(segment_ids))
    raise ValueError(f"attention kernel {kernel!r}; expected auto, cudnn, splash, cpu or plain")


def fastest(width: int, head_dim: int, dtype: jnp.dtype) -> str:
    """The kernel for rows of `width` slots on this platform.

    cuDNN takes 16-bit floats, heads of a multiple of 8 up to 128, and an even number of slots.
    """
    platform = jax.default_backend()
    short = jnp.dtype(dtype) in (jnp.bfloat16, jnp.float16)
    if platform == "gpu" and "cuda" in backend.get_backend().platform_version:
        return "cudnn" if short and not (head_dim % 8 or width % 2) and head_dim <= 128 else "plain"
    if platform == "tpu":
        return "plain" if width % _LANES else "splash"
    return "cpu" if platform == "cpu" else "plain"


def _inside(segment_ids: jax.Array) -> jax.Array:
    """bool [rows, 1, width, width]: which slots are of one segment."""
    return segment_ids[:, None, :, None] == segment_ids[:, None, None, :]


def _with_dropout(
    q: jax.Array, k: jax.Array, v: jax.Array, inside: jax.Array, rate: float, key: jax.Array
) -> jax.Array:
    """Attention as it is written down, with dropout after the softmax, as in BERT."""
    scaled = q * q.shape[-1] ** -0.5
    logits = jnp.einsum("bqhd,bkhd->bhqk", scaled, k, preferred_element_type=jnp.float32)
    weights = dropout(jax.nn.softmax(jnp.where(inside, logits, -1e30)), rate, key)
    return jnp.einsum("bhqk,bkhd->bqhd", weights.astype(v.dtype), v)


def dropout(x: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
    """Inverted dropout of [..., width]; without a key, `x` itself.

    Two elements share a random word of 32 bits, which halves its cost; the rate is rounded to
    1/65536.
    """
    if key is None or rate == 0.0:
        return x
    words = jax.random.bits(key, (*x.shape[:-1], -(-x.shape[-1] // 2)), jnp.uint32)
    halves = jax.lax.bitcast_convert_type(words, jnp.uint16).reshape(*x.shape[:-1], -1)
    dropped = round(rate * 2**16)
    keep = halves[..., : x.shape[-1]] >= dropped
    return jnp.where(keep, x / (1.0 - dropped / 2**16), jnp.zeros_like(x))


def _on_cpu(q: jax.Array, k: jax.Array, v: jax.Array, inside: jax.Array) -> jax.Array:
    """Attention that divides by the softmax's sum last.

    The sum then runs over head_dim columns instead of width: forward and backward take half to a
    third of the time of `jax.nn.dot_product_attention` on two cores, with equal results.
    """
    scaled = q * q.shape[-1] ** -0.5
    logits = jnp.einsum("bqhd,bkhd->bhqk", scaled, k, preferred_element_type=jnp.float32)
    logits += jnp.where(inside, 0.0, -1e30)
    weights = jnp.exp(logits - jax.lax.stop_gradient(logits.max(-1, keepdims=True)))
    total = weights.sum(-1).swapaxes(1, 2)[..., None]
    out = jnp.einsum(
        "bhqk,bkhd->bqhd", weights.astype(v.dtype), v, preferred_element_type=jnp.float32
    )
    return (out / total).astype(v.dtype)


def _splash(
    q: jax.Array, k: jax.Array, v: jax.Array, segment_ids: jax.Array, *, interpret: bool = False
) -> jax.Array:
    """Splash attention of every row, on each device for its rows and heads.

    A Pallas kernel is not partitioned by the compiler, hence the `shard_map`.
    """
    one = functools.partial(_splash_on_device, interpret=interpret)
    if sharding.alone():
        return one(q, k, v, segment_ids)
    heads = sharding.spec(("rows", None, "heads", None), 4)
    rows = PartitionSpec(sharding.RULES["rows"], None)
    mapped = jax.shard_map(
        one, in_specs=(heads, heads, heads, rows), out_specs=heads, check_vma=False
    )
    return mapped(q, k, v, segment_ids)


def _splash_on_device(
    q: jax.Array, k: jax.Array, v: jax.Array, segment_ids: jax.Array, *, interpret: bool
) -> jax.Array:
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as splash
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks

    _, width, heads, head_dim = q.shape
    block = max(size for size in (128, 256, 512) if width % size == 0)
    names = ("q", "kv", "kv_compute", "q_dkv", "kv_dkv", "kv_dkv_compute", "q_dq", "kv_dq")
    kernel = splash.make_splash_mha_single_device(
        masks.MultiHeadMask([masks.FullMask((width, width))] * heads),
        block_sizes=splash.BlockSizes(**{f"block_{name}": block for name in names}),
        interpret=interpret,
    )
    q, k, v = (x.swapaxes(1, 2) for x in (q * head_dim**-0.5, k, v))
    ids = splash.SegmentIds(segment_ids, segment_ids)
    return jax.vmap(kernel)(q, k, v, ids).swapaxes(1, 2)
