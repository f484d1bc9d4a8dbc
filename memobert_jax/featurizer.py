"""The one path from clips to features, for whole datasets (`featurize`) and for `predict`."""

import collections
import concurrent.futures
import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from memobert_jax import record
from memobert_jax.config import EncodersConfig

T = TypeVar("T")
U = TypeVar("U")
FITTED_CLIPS = 10_000
"""Normalisation is fitted on at most so many clips of a split, evenly spread over it."""

_LEAST_STD = 0.01
_SHARED = [name for name in record.fields("clips") if name in record.fields("features")]


@functools.cache
def _front_end(modality: str, name: str):
    """(Encoder, its compiled function) of a modality, by name."""
    from memobert_jax.encoders import encoder, logmel, pixels

    known = {"face": (pixels.ENCODER,), "speech": (logmel.ENCODER,)}[modality]
    for one in known:
        if one.name == name:
            return one, encoder.compiled(one)
    raise ValueError(f"no {modality} encoder {name!r}; known: {[one.name for one in known]}")


def identities(cfg: EncodersConfig) -> dict[str, dict[str, Any]]:
    """What is remembered of the encoders that `cfg` names, by modality."""
    names = dataclasses.asdict(cfg)
    return {modality: _front_end(modality, name)[0].identity() for modality, name in names.items()}


class Featurizer:
    """Makes features-records of clips-records, byte-equal however they are batched.

    Args:
      encoders: modality -> identity (`identities`), as features datasets and checkpoints keep it.
      normalisation: modality -> statistics (`fit_normalisation`).

    Raises:
      ValueError: if this code has no encoder of that name and version.
    """

    def __init__(self, encoders: Mapping[str, Mapping[str, Any]], normalisation: Mapping[str, Any]):
        self.encoders, self.normalisation = dict(encoders), dict(normalisation)
        for modality, given in encoders.items():
            have = _front_end(modality, given["name"])[0].identity()
            if dict(given) != have:
                raise ValueError(
                    f"the features were made with the {modality} encoder {dict(given)}, but this "
                    f"code has {have}: make the features again, or use the code that made them"
                )

    @property
    def widths(self) -> dict[str, int]:
        """Columns of each modality's features."""
        return {modality: given["width"] for modality, given in self.encoders.items()}

    def __call__(self, clips: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Flat features-records of flat clips-records, in order.

        `face` f16 [n, width], one row per crop, and `speech` f16 [m, width], one row per 60 ms;
        an absent modality has no rows.

        Raises:
          ValueError: if a crop or the speech of a clip cannot be decoded; names the clip.
        """
        from memobert_jax.encoders.encoder import normalise

        made = [{name: clip[name] for name in _SHARED} for clip in clips]
        for modality, given in self.encoders.items():
            encoder, _ = _front_end(modality, given["name"])
            statistics = self.normalisation.get(modality, {})
            for item, rows in zip(made, self.rows(modality, clips), strict=True):
                item[modality] = normalise(encoder, rows, statistics)
        blank = record.blank("features", self.widths)
        made = [blank | item for item in made]
        for item in made:
            record.check(item, "features")
        return made

    def rows(self, modality: str, clips: Sequence[Mapping[str, Any]]) -> list[np.ndarray]:
        """The encoder's rows of each clip before normalisation, f32 [rows, width]."""
        from memobert_jax.encoders.encoder import encode

        if not clips:
            return []
        encoder, function = _front_end(modality, self.encoders[modality]["name"])

        def prepare(clip):
            try:
                return encoder.prepare(_media(modality, clip))
            except ValueError as error:
                raise ValueError(f"clip {clip['id']!r}: {error}") from error

        return encode(encoder, function, [prepare(clip) for clip in clips])


def _media(modality: str, clip: Mapping[str, Any]) -> Any:
    from memobert_jax.media import audio

    return clip["faces"] if modality == "face" else audio.decode_flac(clip["speech"])


def in_order(function: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """`function` of each item, in order, computed in as many threads as there are cores."""
    threads = os.cpu_count() or 1
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        waiting = collections.deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def fit_normalisation(
    encoders: Mapping[str, Mapping[str, Any]],
    read: Callable[[T], Sequence[Mapping[str, Any]]],
    batches: Iterable[T],
) -> dict[str, dict[str, Any]]:
    """Mean and standard deviation of each band over all rows of clips-records.

    Summed in float64 clip by clip, so the result does not depend on the batching. A modality whose
    encoder has no bands is left out; without any row, mean is 0 and std 1.

    Args:
      encoders: modality -> identity.
      read: gives the clips-records of a batch.
      batches: what `read` takes.
    """
    raw = Featurizer(encoders, {})
    bands = {m: _front_end(m, given["name"])[0].bands for m, given in encoders.items()}
    bands = {modality: count for modality, count in bands.items() if count}
    sums = {modality: np.zeros((2, count)) for modality, count in bands.items()}
    counts = {modality: {"clips": 0, "frames": 0} for modality in bands}

    def all_rows(batch):
        clips = read(batch)
        return {modality: raw.rows(modality, clips) for modality in bands}

    for found in in_order(all_rows, batches):
        for modality, count in bands.items():
            for rows in found[modality]:
                frames = rows.astype(np.float64).reshape(-1, count)
                sums[modality] += frames.sum(0), (frames**2).sum(0)
                counts[modality]["clips"] += len(rows) > 0
                counts[modality]["frames"] += len(frames)
    return {modality: _moments(sums[modality], counts[modality]) for modality in bands}


def _moments(sums: np.ndarray, counts: Mapping[str, int]) -> dict[str, Any]:
    if not counts["frames"]:
        mean, std = np.zeros_like(sums[0]), np.ones_like(sums[0])
    else:
        mean, square = sums / counts["frames"]
        std = np.sqrt(np.maximum(square - mean**2, _LEAST_STD**2))
    return {"mean": mean.tolist(), "std": std.tolist(), **counts}
