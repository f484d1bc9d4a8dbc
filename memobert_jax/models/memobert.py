"""The pre-training model: three embedders, one trunk, the heads of four objectives (§3)."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx

from memobert_jax.config import ModelConfig
from memobert_jax.models.embed import FrameEmbedder, TextEmbedder, shown_frames
from memobert_jax.models.heads import ClassifierHead, Pooler, TiedHead
from memobert_jax.models.transformer import Trunk
from memobert_jax.sharding import constrain_rows

Batch = Mapping[str, jax.Array]


def take_slots(hidden: jax.Array, slots: jax.Array) -> jax.Array:
    """[rows, width, hidden], i32 [rows, n] -> [rows, n, hidden]."""
    return jnp.take_along_axis(hidden, slots[..., None], axis=1)


class Memobert(nnx.Module):
    """MEmoBERT over packed rows (the batch is described in `data.py`).

    Without expression classes (`face_emotion_dim` 0) there is no expression head, and objective
    `mfc` is off.
    """

    def __init__(self, cfg: ModelConfig, rngs: nnx.Rngs):
        for name in ("vocab_size", "face_dim", "speech_dim"):
            if getattr(cfg, name) < 1:
                raise ValueError(f"model.{name} is {getattr(cfg, name)}: set it from the data")
        self.text = TextEmbedder(cfg, rngs)
        self.face = FrameEmbedder(cfg, cfg.face_dim, rngs)
        self.speech = FrameEmbedder(cfg, cfg.speech_dim, rngs)
        init = nnx.initializers.normal(cfg.init_std)
        self.speech_type = nnx.Param(init(rngs.params(), (cfg.hidden,)), axes=("embed",))
        self.trunk = Trunk(cfg, rngs)
        self.pooler = Pooler(cfg, rngs)
        self.mlm_head = TiedHead(cfg, cfg.vocab_size, "vocab", rngs, cfg.vocab_rows)
        self.mfr_head = TiedHead(cfg, cfg.face_dim, None, rngs)
        self.msr_head = TiedHead(cfg, cfg.speech_dim, None, rngs)
        if cfg.face_emotion_dim:
            self.mfc_head = ClassifierHead(cfg, cfg.hidden, cfg.face_emotion_dim, rngs)

    def embed(self, batch: Batch, key: jax.Array | None = None) -> jax.Array:
        """Trunk input [rows, width, hidden]: the slots of every modality, packed."""
        keys = (None,) * 3 if key is None else jax.random.split(key, 3)
        text = self.text(batch["text_ids"], batch["text_position"], keys[0])
        face = self.face(
            shown_frames(batch["face"], batch["face_source"]),
            batch["face_masked"],
            batch["face_position"],
            self.text.type[...][1],
            keys[1],
        )
        speech = self.speech(
            shown_frames(batch["speech"], batch["speech_source"]),
            batch["speech_masked"],
            batch["speech_position"],
            self.speech_type[...],
            keys[2],
        )
        buffers = jnp.concatenate([constrain_rows(m) for m in (text, face, speech)], axis=1)
        return take_slots(buffers, batch["slot_source"])

    def __call__(self, batch: Batch, key: jax.Array | None = None) -> jax.Array:
        """Last hidden states [rows, width, hidden]; `key` switches dropout on."""
        keys = (None, None) if key is None else jax.random.split(key)
        return self.trunk(self.embed(batch, keys[0]), batch["segment_ids"], keys[1])

    def pooled(self, hidden: jax.Array, batch: Batch) -> jax.Array:
        """Pooled [CLS] of each clip, [rows, clips, hidden]."""
        return self.pooler(take_slots(hidden, batch["clip_slot"]))

    def word_logits(self, hidden: jax.Array, slots: jax.Array) -> jax.Array:
        """Vocabulary logits at some slots: i32 [rows, n] -> f32 [rows, n, vocab_rows]."""
        return self.mlm_head(take_slots(hidden, slots), self.text.word[...])

    def face_frames(self, hidden: jax.Array, slots: jax.Array) -> jax.Array:
        """Regressed face features at some slots, f32 [rows, n, face_dim]."""
        return self.mfr_head(take_slots(hidden, slots), self.face.projection.kernel[...])

    def speech_frames(self, hidden: jax.Array, slots: jax.Array) -> jax.Array:
        """Regressed speech features at some slots, f32 [rows, n, speech_dim]."""
        return self.msr_head(take_slots(hidden, slots), self.speech.projection.kernel[...])

    def face_emotions(self, hidden: jax.Array, slots: jax.Array) -> jax.Array:
        """Expression logits at some slots, f32 [rows, n, face_emotion_dim]."""
        return self.mfc_head(take_slots(hidden, slots))
