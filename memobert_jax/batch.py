"""The batch: clips as segments of packed rows, as arrays of fixed shape.

| array | shape | meaning |
|---|---|---|
| `text_ids`, `text_position` | i32 [rows, text] | pieces as shown; place in the clip, from 0 |
| `face`, `speech` | f16 [rows, frames, width] | original frames |
| `face_emotion` | f16 [rows, face, classes] | only where the data have it |
| `face_source`, `speech_source` | i32 [rows, frames] | which frame of the row is shown here |
| `face_masked`, `speech_masked` | bool [rows, frames] | shown as the mask vector |
| `face_position`, `speech_position` | i32 [rows, frames] | place in the clip, from 0 |
| `slot_source` | i32 [rows, width] | place in the buffers text, face, speech, end to end |
| `segment_ids` | i32 [rows, width] | 1, 2, ... by clip; 0 is empty |
| `clip_slot`, `clip_valid` | i32, bool [rows, clips] | slot of each clip's [CLS] |
| `clip_index` | i32 [rows, clips] | which clip it is, for messages; -1 is none |
| `<objective>_slot`, `_valid` | i32, bool [rows, targets] | slots that are predicted |
| `mlm_label`; `mfr_index`, ... | i32 [rows, targets] | the piece; the place in the buffer |
| `overflow` | i32 [rows, 1] | targets beyond the fixed number, not predicted |
| `damaged` | i32 [rows, 1] | clips that could not be read and are empty |
"""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from memobert_jax.config import DataConfig
from memobert_jax.masking import MaskedFrames
from memobert_jax.packing import Limits
from memobert_jax.tokenizer import Tokenizer

MODALITY_OF = {"mlm": "text", "mfr": "face", "mfc": "face", "msr": "speech"}


@dataclasses.dataclass(frozen=True)
class Widths:
    """Columns of the frame features; `face_emotion` 0 where there is none."""

    face: int
    face_emotion: int
    speech: int


@dataclasses.dataclass(frozen=True)
class Layout:
    """Shapes of a batch.

    Attributes:
      limits: slots, buffers and clips of a row.
      widths: columns of the features.
      target_share: share of a buffer that one objective can predict.
    """

    limits: Limits
    widths: Widths
    target_share: float

    @staticmethod
    def of(cfg: DataConfig, widths: Widths) -> "Layout":
        return Layout(Limits.of(cfg), widths, cfg.target_share)

    @property
    def caps(self) -> dict[str, int]:
        return dict(zip(("text", "face", "speech"), self.limits.caps, strict=True))

    @property
    def objectives(self) -> tuple[str, ...]:
        return tuple(k for k in MODALITY_OF if k != "mfc" or self.widths.face_emotion)

    def targets(self, objective: str) -> int:
        """Targets that one row holds for an objective."""
        return max(1, math.ceil(self.caps[MODALITY_OF[objective]] * self.target_share))


@dataclasses.dataclass(frozen=True)
class View:
    """One clip as a segment of a row: what it shows, and what is predicted of it.

    Attributes:
      ids: i32 [n] pieces as shown, [CLS] first.
      labels: i32 [n] pieces as they are.
      face, face_emotion, speech: f16 [frames, width].
      face_mask, speech_mask: how frames are shown.
      targets: objective -> i32 places in its modality.
      index: which clip of its dataset.
      damaged: whether it is empty because it could not be read.
    """

    ids: np.ndarray
    labels: np.ndarray
    face: np.ndarray
    face_emotion: np.ndarray
    speech: np.ndarray
    face_mask: MaskedFrames
    speech_mask: MaskedFrames
    targets: Mapping[str, np.ndarray]
    index: int = -1
    damaged: bool = False

    @property
    def lengths(self) -> tuple[int, int, int]:
        return len(self.ids), len(self.face), len(self.speech)


def no_label(labels: np.ndarray) -> float:
    """What stands for no label among labels of that kind: -1, or NaN among values."""
    return np.nan if labels.dtype.kind == "f" else -1


def special_ids(pieces: np.ndarray, tokenizer: Tokenizer) -> np.ndarray:
    """[CLS] pieces [SEP], or [CLS] alone where there is no text (MEmoBERT §3)."""
    if not len(pieces):
        return np.array([tokenizer.cls_id], np.int32)
    ids = np.empty(len(pieces) + 2, np.int32)
    ids[0], ids[1:-1], ids[-1] = tokenizer.cls_id, pieces, tokenizer.sep_id
    return ids


def empty_batch(rows: int, layout: Layout) -> dict[str, np.ndarray]:
    """A batch in which every slot is empty."""
    limits, widths, caps = layout.limits, layout.widths, layout.caps
    ints = lambda *shape: np.zeros((rows, *shape), np.int32)  # noqa: E731
    flags = lambda *shape: np.zeros((rows, *shape), bool)  # noqa: E731
    batch = {"text_ids": ints(caps["text"]), "text_position": ints(caps["text"])}
    for name, width in (("face", widths.face), ("speech", widths.speech)):
        n = caps[name]
        batch[name] = np.zeros((rows, n, width), np.float16)
        batch[f"{name}_source"] = np.tile(np.arange(n, dtype=np.int32), (rows, 1))
        batch[f"{name}_position"] = ints(n)
        batch[f"{name}_masked"] = flags(n)
    if widths.face_emotion:
        batch["face_emotion"] = np.zeros((rows, caps["face"], widths.face_emotion), np.float16)
    batch["slot_source"], batch["segment_ids"] = ints(limits.width), ints(limits.width)
    batch["clip_slot"], batch["clip_valid"] = ints(limits.max_clips), flags(limits.max_clips)
    batch["clip_index"] = ints(limits.max_clips) - 1
    for objective in layout.objectives:
        n = layout.targets(objective)
        batch[f"{objective}_slot"], batch[f"{objective}_valid"] = ints(n), flags(n)
        batch["mlm_label" if objective == "mlm" else f"{objective}_index"] = ints(n)
    batch["overflow"], batch["damaged"] = ints(1), ints(1)
    return batch
