"""The three embedders of MEmoBERT (§3): tokens, face frames and speech frames to trunk slots."""

import jax
import jax.numpy as jnp
from flax import nnx

from memobert_jax.config import ModelConfig
from memobert_jax.models.attention import dropout
from memobert_jax.models.transformer import layer_norm, linear
from memobert_jax.sharding import constrain, constrain_rows


def _table(cfg: ModelConfig, rngs: nnx.Rngs, rows: int, axes, width: int | None = None):
    init = nnx.initializers.normal(cfg.init_std)
    return nnx.Param(init(rngs.params(), (rows, width or cfg.hidden), jnp.float32), axes=axes)


class TextEmbedder(nnx.Module):
    """dropout(LN(word[id] + position[i] + type[0])).

    Row 1 of the type table belongs to the face embedder.
    """

    def __init__(self, cfg: ModelConfig, rngs: nnx.Rngs):
        self.rate, self.dtype = cfg.dropout, jnp.dtype(cfg.dtype)
        self.word = _table(cfg, rngs, cfg.vocab_rows, ("vocab", "embed"))
        self.position = _table(cfg, rngs, cfg.max_positions, (None, None))
        self.type = _table(cfg, rngs, 2, (None, None))
        self.norm = layer_norm(cfg, cfg.hidden, rngs)

    def __call__(self, ids: jax.Array, positions: jax.Array, key: jax.Array | None) -> jax.Array:
        """i32 [rows, text], i32 [rows, text] -> [rows, text, hidden]."""
        # The lookup takes whole rows of the table: gather its embed shards first.
        table = constrain(self.word[...], "vocab", None)
        x = constrain_rows(table[ids]) + self.position[...][positions] + self.type[...][0]
        return dropout(self.norm(x), self.rate, key).astype(self.dtype)


class FrameEmbedder(nnx.Module):
    """dropout(LN(LN(W (f + m M)) + position[i] + type)), M the mask vector in feature space."""

    def __init__(self, cfg: ModelConfig, width: int, rngs: nnx.Rngs):
        self.rate, self.dtype = cfg.dropout, jnp.dtype(cfg.dtype)
        self.projection = linear(cfg, width, cfg.hidden, (None, "embed"), rngs)
        self.projection_norm = layer_norm(cfg, cfg.hidden, rngs)
        self.mask_vector = _table(cfg, rngs, 1, (None, None), width)
        self.position = _table(cfg, rngs, cfg.max_positions, (None, None))
        self.norm = layer_norm(cfg, cfg.hidden, rngs)

    def __call__(
        self,
        frames: jax.Array,
        masked: jax.Array,
        positions: jax.Array,
        type_row: jax.Array,
        key: jax.Array | None,
    ) -> jax.Array:
        """Embeds frames.

        Args:
          frames: [rows, frames, width]; masked frames count as zero.
          masked: bool [rows, frames].
          positions: i32 [rows, frames], from 0 in each clip.
          type_row: f32 [hidden].
          key: switches dropout on.

        Returns:
          [rows, frames, hidden].
        """
        frames = jnp.where(masked[..., None], self.mask_vector[...][0], frames.astype(jnp.float32))
        x = self.projection_norm(self.projection(frames))
        x = self.norm(x + self.position[...][positions] + type_row)
        return dropout(x, self.rate, key).astype(self.dtype)


def shown_frames(frames: jax.Array, source: jax.Array) -> jax.Array:
    """Frames as the model sees them: place i shows frame `source[i]` of the row.

    Args:
      frames: [rows, frames, width].
      source: i32 [rows, frames].
    """
    return jnp.take_along_axis(frames, source[..., None], axis=1)
