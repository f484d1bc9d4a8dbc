"""The trunk: a post-LN transformer over packed rows (MEmoBERT §3).

Layers are stacked along a leading axis and run with `lax.scan`, so that depth does not change the
compile time. Attention is block-diagonal over segments (`attention`).
"""

import functools

import jax
import jax.numpy as jnp
from flax import nnx

from memobert_jax.config import ModelConfig
from memobert_jax.models.attention import attention, dropout
from memobert_jax.sharding import constrain_rows

_REMAT = {
    "none": lambda layer: layer,
    "dots": functools.partial(
        jax.checkpoint, policy=jax.checkpoint_policies.dots_with_no_batch_dims_saveable
    ),
    "full": jax.checkpoint,
}
"""A layer -> a layer that keeps less for the backward pass. The products of attention have batch
dimensions, so they are never kept."""


def linear(cfg: ModelConfig, inputs: int, outputs: int, axes, rngs: nnx.Rngs) -> nnx.Linear:
    """A dense layer, N(0, init_std) kernel with logical `axes`, zero bias, float32 parameters."""
    return nnx.Linear(
        inputs,
        outputs,
        dtype=jnp.dtype(cfg.dtype),
        kernel_init=nnx.initializers.normal(cfg.init_std),
        kernel_metadata={"axes": axes},
        bias_metadata={"axes": axes[-1:]},
        rngs=rngs,
    )


def layer_norm(cfg: ModelConfig, width: int, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """A layer norm that computes in float32, whatever comes in."""
    return nnx.LayerNorm(
        width, epsilon=cfg.norm_eps, dtype=jnp.float32, use_fast_variance=False, rngs=rngs
    )


def gelu(x: jax.Array) -> jax.Array:
    """The exact GELU, x/2 (1 + erf(x / sqrt 2))."""
    return jax.nn.gelu(x, approximate=False)


class Block(nnx.Module):
    """Self-attention and feed-forward, each followed by residual and layer norm."""

    def __init__(self, cfg: ModelConfig, rngs: nnx.Rngs):
        dtype, head_dim = jnp.dtype(cfg.dtype), cfg.hidden // cfg.heads
        init = nnx.initializers.normal(cfg.init_std)
        self.rate, self.attention_rate, self.dtype = cfg.dropout, cfg.attention_dropout, dtype
        self.kernel = cfg.attention
        self.qkv = nnx.LinearGeneral(
            cfg.hidden,
            (3, cfg.heads, head_dim),
            dtype=dtype,
            kernel_init=init,
            kernel_metadata={"axes": ("embed", None, "heads", None)},
            bias_metadata={"axes": (None, "heads", None)},
            rngs=rngs,
        )
        self.out = nnx.LinearGeneral(
            (cfg.heads, head_dim),
            cfg.hidden,
            axis=(-2, -1),
            dtype=dtype,
            kernel_init=init,
            kernel_metadata={"axes": ("heads", None, "embed")},
            rngs=rngs,
        )
        self.attention_norm = layer_norm(cfg, cfg.hidden, rngs)
        self.up = linear(cfg, cfg.hidden, cfg.mlp, ("embed", "mlp"), rngs)
        self.down = linear(cfg, cfg.mlp, cfg.hidden, ("mlp", "embed"), rngs)
        self.mlp_norm = layer_norm(cfg, cfg.hidden, rngs)

    def __call__(self, x: jax.Array, segment_ids: jax.Array, key: jax.Array | None) -> jax.Array:
        """[rows, width, hidden] -> the same; `key` switches dropout on."""
        keys = (None,) * 3 if key is None else (*jax.random.split(key), jax.random.fold_in(key, 2))
        q, k, v = jnp.moveaxis(self.qkv(x), -3, 0)
        attended = attention(q, k, v, segment_ids, self.attention_rate, keys[2], self.kernel)
        residual = dropout(self.out(attended), self.rate, keys[0])
        x = self.attention_norm(x + residual).astype(self.dtype)
        residual = dropout(self.down(gelu(self.up(x))), self.rate, keys[1])
        return self.mlp_norm(x + residual).astype(self.dtype)


class Trunk(nnx.Module):
    """`cfg.layers` blocks, their parameters stacked along a leading axis."""

    def __init__(self, cfg: ModelConfig, rngs: nnx.Rngs):
        self.layers, self.remat = cfg.layers, cfg.remat
        keys = jax.random.split(rngs.params(), cfg.layers)
        template = nnx.eval_shape(lambda: Block(cfg, nnx.Rngs(0)))
        stacked = jax.vmap(lambda key: nnx.state(Block(cfg, nnx.Rngs(key))))(keys)
        self.blocks = nnx.merge(nnx.graphdef(template), stacked)

    def __call__(self, x: jax.Array, segment_ids: jax.Array, key: jax.Array | None) -> jax.Array:
        """[rows, width, hidden] -> the same."""
        graphdef, stacked = nnx.split(self.blocks)
        keys = None if key is None else jax.random.split(key, self.layers)

        def body(x, layer):
            state, layer_key = layer
            return constrain_rows(nnx.merge(graphdef, state)(x, segment_ids, layer_key)), None

        body = _REMAT[self.remat](body)
        x, _ = jax.lax.scan(body, x, (stacked, keys))
        return x
