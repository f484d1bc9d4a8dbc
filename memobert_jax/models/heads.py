"""What is read off the trunk: the four pre-training heads, the pooler and the emotion head (§3)."""

import jax
import jax.numpy as jnp
from flax import nnx

from memobert_jax.config import ModelConfig
from memobert_jax.models.transformer import gelu, layer_norm, linear


class Transform(nnx.Module):
    """Linear, GELU, layer norm: the first half of every head."""

    def __init__(self, cfg: ModelConfig, inputs: int, outputs: int, rngs: nnx.Rngs):
        self.dense = linear(cfg, inputs, outputs, ("embed", None), rngs)
        self.norm = layer_norm(cfg, outputs, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., inputs] -> f32 [..., outputs]."""
        return self.norm(gelu(self.dense(x)))


class TiedHead(nnx.Module):
    """Transform, then the transpose of an embedder's matrix and an own bias.

    Serves masked language modelling (tied to the word table) and the regression of frames (tied to
    the frame projection). Of `rows` outputs (default: all are there) those from `outputs` on only
    fill the matrix up to a size that shards: they are -1e30, and take no mass of a softmax.
    """

    def __init__(
        self,
        cfg: ModelConfig,
        outputs: int,
        bias_axis: str | None,
        rngs: nnx.Rngs,
        rows: int | None = None,
    ):
        self.dtype, self.outputs = jnp.dtype(cfg.dtype), outputs
        self.transform = Transform(cfg, cfg.hidden, cfg.hidden, rngs)
        self.bias = nnx.Param(jnp.zeros((rows or outputs,), jnp.float32), axes=(bias_axis,))

    def __call__(self, x: jax.Array, tied: jax.Array) -> jax.Array:
        """[..., hidden], f32 [rows, hidden] -> f32 [..., rows]."""
        x = self.transform(x).astype(self.dtype)
        product = jnp.einsum(
            "...h,oh->...o", x, tied.astype(self.dtype), preferred_element_type=jnp.float32
        )
        logits = product + self.bias[...]
        there = jnp.arange(len(tied)) < self.outputs
        return logits if len(tied) == self.outputs else jnp.where(there, logits, -1e30)


class ClassifierHead(nnx.Module):
    """Transform, then a linear layer to classes (expression of a face frame; emotion of a clip)."""

    def __init__(self, cfg: ModelConfig, inner: int, classes: int, rngs: nnx.Rngs):
        self.transform = Transform(cfg, cfg.hidden, inner, rngs)
        self.classes = linear(cfg, inner, classes, (None, None), rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., hidden] -> f32 [..., classes]."""
        return self.classes(self.transform(x)).astype(jnp.float32)


class Pooler(nnx.Module):
    """tanh(dense(x)) of the [CLS] slot."""

    def __init__(self, cfg: ModelConfig, rngs: nnx.Rngs):
        self.dense = linear(cfg, cfg.hidden, cfg.hidden, ("embed", None), rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., hidden] -> [..., hidden]."""
        return jnp.tanh(self.dense(x))


class EmotionHead(nnx.Module):
    """The fine-tuning head: classifier of width 2 hidden on the pooled [CLS] (§3, §6.2).

    Without dropout, as the authors' (§10).
    """

    def __init__(self, cfg: ModelConfig, classes: int, rngs: nnx.Rngs):
        self.classifier = ClassifierHead(cfg, 2 * cfg.hidden, classes, rngs)

    def __call__(self, pooled: jax.Array) -> jax.Array:
        """[..., hidden] -> f32 [..., classes]."""
        return self.classifier(pooled)


class ValueHead(nnx.Module):
    """An EmotionHead whose outputs are values of some mean and standard deviation.

    These are the labels' own, of the train part, set before a fit and not fitted.
    """

    def __init__(self, cfg: ModelConfig, values: int, rngs: nnx.Rngs):
        self.emotion = EmotionHead(cfg, values, rngs)
        self.mean = nnx.Param(jnp.zeros((values,), jnp.float32), axes=(None,))
        self.deviation = nnx.Param(jnp.ones((values,), jnp.float32), axes=(None,))

    def __call__(self, pooled: jax.Array) -> jax.Array:
        """[..., hidden] -> f32 [..., values]."""
        mean, deviation = (jax.lax.stop_gradient(p[...]) for p in (self.mean, self.deviation))
        return self.emotion(pooled) * deviation + mean


class LinearProbe(nnx.Module):
    """One linear layer."""

    def __init__(self, cfg: ModelConfig, outputs: int, rngs: nnx.Rngs):
        self.kernel = nnx.Param(jnp.zeros((cfg.hidden, outputs), jnp.float32), axes=(None, None))
        self.bias = nnx.Param(jnp.zeros((outputs,), jnp.float32), axes=(None,))

    def __call__(self, x: jax.Array) -> jax.Array:
        """f32 [..., hidden] -> f32 [..., outputs]."""
        return x @ self.kernel[...] + self.bias[...]
