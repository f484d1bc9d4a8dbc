"""A features dataset as a source of training rows: token lengths, the pack plan, safe reading."""

import dataclasses
import hashlib
import json
import time
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from memobert_jax import datasets, holdout, record
from memobert_jax.batch import Widths, special_ids
from memobert_jax.bounds import Bound
from memobert_jax.config import MODALITIES, DataConfig
from memobert_jax.features import TRAINING_FIELDS, FeaturesDataset
from memobert_jax.packing import NEAR, VERSION, Limits, PackPlan, pack, suggest
from memobert_jax.tokenizer import Tokenizer
from memobert_jax.words import CUTTING

_DAMAGE = (ValueError, KeyError, TypeError, OSError, EOFError, NotImplementedError)
_DAMAGE += (zipfile.BadZipFile, zlib.error)
_LONG_S = 2.0
"""Seconds from which on a plan of rows is worth keeping."""


def token_lengths(dataset: FeaturesDataset, tokenizer: Tokenizer) -> np.ndarray:
    """i32 [clips] pieces of each clip with special tokens; cached beside the data if it can be."""
    data, pieces = dataset.fingerprint[:12], tokenizer.fingerprint
    name = f"tokens-{dataset.split}-{data}-{pieces}-{CUTTING}.npy"
    cache = Path(dataset.path) / name
    if cache.is_file():
        return np.load(cache, allow_pickle=False)
    lengths = np.fromiter(
        (len(special_ids(tokenizer.encode(text).ids, tokenizer)) for text in dataset.texts()),
        np.int32,
    )
    try:
        datasets.write_atomically(cache, lambda path: _save(path, lengths))
    except OSError as error:
        logging.info("token lengths are not cached (%s); they are counted at every start", error)
    return lengths


def _save(path: str, array: np.ndarray) -> None:
    with open(path, "wb") as file:
        np.save(file, array, allow_pickle=False)


def packed(dataset: FeaturesDataset, lengths: np.ndarray, limits: Limits) -> PackPlan:
    """The plan of a dataset's rows; one that took long is kept beside the data if it can be."""
    key = hashlib.sha256(lengths.astype("<i4").tobytes() + repr((limits, VERSION)).encode())
    cache = Path(dataset.path) / f"rows-{dataset.split}-{key.hexdigest()[:16]}.npz"
    if (kept := _load_plan(cache, len(lengths))) is not None:
        return kept
    began = time.monotonic()
    plan = pack(lengths, limits)
    if time.monotonic() - began > _LONG_S:
        try:
            datasets.write_atomically(cache, lambda path: _save_plan(path, plan))
        except OSError as error:
            logging.info("rows are not kept (%s); they are planned at every start", error)
    return plan


def _save_plan(path: str, plan: PackPlan) -> None:
    rest = json.dumps([plan.real_slots, plan.width, dataclasses.asdict(plan.bound)])
    with open(path, "wb") as file:
        np.savez(file, offsets=plan.offsets, clips=plan.clips, rest=rest)


def _load_plan(path: Path, clips: int) -> PackPlan | None:
    """The plan of a number of clips in a file, if it is there and whole."""
    if not path.is_file():
        return None
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as found:
            real_slots, width, bound = json.loads(str(found["rest"]))
            plan = PackPlan(found["offsets"], found["clips"], real_slots, width, Bound(**bound))
        if not np.array_equal(np.sort(plan.clips), np.arange(clips)) or plan.offsets[-1] != clips:
            raise ValueError(f"it is not of {clips} clips")
        return plan
    except _DAMAGE as error:
        logging.warning("%s is damaged (%s): its rows are planned again", path, error)
        return None


@dataclasses.dataclass(frozen=True)
class Source:
    """One features dataset, packed.

    Attributes:
      dataset: the clips.
      clips: i32 [n] clips that can be used; the plan indexes into it.
      plan: rows of them.
      dropped: clips that cannot be used, by reason.
      cut: clips of which only the beginning is used, by what is left.
      absent: modalities that no clip has.
      advice: settings that would fill rows better, in words; '' where there are none.
    """

    dataset: FeaturesDataset
    clips: np.ndarray
    plan: PackPlan
    dropped: dict[str, int]
    cut: dict[str, int]
    absent: tuple[str, ...]
    advice: str

    @staticmethod
    def open(dataset: FeaturesDataset, cfg: DataConfig, tokenizer: Tokenizer) -> "Source":
        """Packs a split, without the clips that `cfg.hold_out` leaves out.

        Raises:
          ValueError: if no clip can be used.
        """
        held = np.zeros(len(dataset), bool)
        if cfg.hold_out:
            held = np.isin(dataset.column("id"), holdout.ids(dataset, cfg.hold_out))
        text = token_lengths(dataset, tokenizer)
        face = np.minimum(dataset.lengths["face"], cfg.max_face)
        speech = np.minimum(dataset.lengths["speech"], cfg.max_speech)
        too_long = text > cfg.max_text
        empty = (text <= 1) & (face == 0) & (speech == 0)
        clips = np.flatnonzero(~held & ~too_long & ~empty).astype(np.int32)
        dropped = {
            f"held out ({', '.join(cfg.hold_out)})": int(held.sum()),
            f"text longer than {cfg.max_text} tokens": int((too_long & ~held).sum()),
            "no modality": int((empty & ~too_long & ~held).sum()),
        }
        if not len(clips):
            raise ValueError(
                f"no clip of {str(dataset.path)!r} split {dataset.split!r} can be used: {dropped}"
            )
        cut = {
            f"{most} {what}": int((dataset.lengths[name][clips] > most).sum())
            for name, most, what in (
                ("face", cfg.max_face, "face frames"),
                ("speech", cfg.max_speech, "speech rows"),
            )
        }
        lengths = np.stack([text, face, speech], 1)[clips]
        plan = packed(dataset, lengths, Limits.of(cfg))
        some = (lengths > (1, 0, 0)).any(0)  # a clip without text has its [CLS]
        absent = tuple(
            name for name, any_clip in zip(MODALITIES, some, strict=True) if not any_clip
        )
        return Source(dataset, clips, plan, dropped, cut, absent, _advice(lengths, plan, cfg))

    def describe(self) -> str:
        """Rows, fill, what is dropped, what is cut and what is absent, in words."""
        parts = [f"{n} dropped: {why}" for why, n in self.dropped.items() if n] or ["all used"]
        parts += [f"{n} cut to their first {what}" for what, n in self.cut.items() if n]
        parts += [f"no clip has {name}" for name in self.absent]
        return "; ".join([self.plan.report(), *parts, *([self.advice] if self.advice else [])])

    def row(self, row: int) -> list[int]:
        """Clips of one packed row."""
        return self.clips[self.plan[row]].tolist()


def _advice(lengths: np.ndarray, plan: PackPlan, cfg: DataConfig) -> str:
    """Limits, as wide or wider, that fill 97 % of the rows and two points more than the plan."""
    widths = (plan.width, 2 * plan.width, 4 * plan.width)
    longest = (cfg.max_text, cfg.max_face, cfg.max_speech)
    for limits, fill in suggest(lengths, widths=widths, longest=longest):
        if fill >= max(plan.fill + 2 * NEAR, 0.97):
            caps = " ".join(
                f"{name}_cap={n}" for name, n in zip(MODALITIES, limits.caps, strict=True)
            )
            return (
                f"data.row_width={limits.width} {caps} max_clips={limits.max_clips} would fill up "
                f"to {fill:.1%}"
            )
    return ""


def shared(several: Sequence[FeaturesDataset]) -> dict[str, Any]:
    """What the features of several datasets are made with, where all that have a modality agree.

    A dataset in which no clip has a modality need not know its encoder.

    Returns:
      `encoders` and `normalisation` by modality, `weights`, `widths`, and `extract` of the first
      that was cut out of media.

    Raises:
      ValueError: if two datasets differ; names both and what they differ in.
    """
    first = several[0]
    out = {"encoders": {}, "normalisation": {}, "widths": dict(first.widths)}
    for modality, widths in (("face", ("face", "face_emotion")), ("speech", ("speech",))):
        owners = [one for one in several if modality in one.has] or [first]
        for key in ("encoders", "normalisation"):
            for other in owners[1:]:
                if other.metadata[key].get(modality) != owners[0].metadata[key].get(modality):
                    raise ValueError(
                        f"{other.path} and {owners[0].path} differ in the {modality} of their "
                        f"{key}: featurize one of them again with --like=<the other>"
                    )
            if modality in owners[0].metadata[key]:
                out[key][modality] = owners[0].metadata[key][modality]
        out["widths"] |= {name: owners[0].widths[name] for name in widths}
    weights = [one.metadata.get("weights", {}) for one in several]
    out["weights"] = {name: path for found in reversed(weights) for name, path in found.items()}
    extracted = [one.metadata["extract"] for one in several if one.metadata["extract"]]
    return out | {"extract": extracted[0] if extracted else {}}


def widths_of(datasets: Sequence[FeaturesDataset]) -> Widths:
    """Columns of the features, which every dataset that has them must share (`shared`)."""
    found = shared(datasets)["widths"]
    emotion = found["face_emotion"]
    return Widths(found["face"], emotion if emotion > 1 else 0, found["speech"])


def read_clip(dataset: FeaturesDataset, clip: int, skip_corrupt: bool) -> tuple[dict, bool]:
    """(a clip, False); a damaged one is (empty, True) where the user chose so.

    Its place stays its own, so that no other clip shifts.
    """
    try:
        return dataset.read(clip, TRAINING_FIELDS), False
    except ValueError as error:
        if not skip_corrupt:
            raise
        logging.warning("skipped: %s", error)
        return record.blank("features", dataset.widths), True
