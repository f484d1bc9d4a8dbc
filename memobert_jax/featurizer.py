"""The one path from clips to features, for whole datasets (`featurize`) and for `predict`."""

import collections
import concurrent.futures
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from absl import logging

from memobert_jax import record
from memobert_jax.config import EncodersConfig

T, U = TypeVar("T"), TypeVar("U")
FITTED_CLIPS = 10_000
"""Normalisation is fitted on at most so many clips of a split, evenly spread over it."""
NONE = {
    modality: {"name": "none", "version": 0, "weights_sha256": "", "width": 1, "rate_hz": 0.0}
    for modality in ("face", "speech")
}
"""Modality -> identity of the encoder of a dataset that has none of it."""
_LEAST_STD = 0.01
_OF = {"face": ("face_time_s", "face_score"), "speech": ("speech",)}
_SHARED = [name for name in record.fields("clips") if name in record.fields("features")]


@functools.cache
def _loaded(modality: str, name: str, path: str):
    """(Encoder, its compiled function) of a modality, by name and path of its weights."""
    from memobert_jax.encoders import denseface, encoder, logmel, pixels, wav2vec2

    known = {
        "face": {"pixels": lambda: pixels.ENCODER, "denseface": lambda: denseface.load(path)},
        "speech": {"logmel": lambda: logmel.ENCODER, "wav2vec2": lambda: wav2vec2.load(path)},
    }[modality]
    if name not in known:
        raise ValueError(f"no {modality} encoder {name!r}; known: {sorted(known)}")
    one = known[name]()
    return one, encoder.compiled(one)


def identities(cfg: EncodersConfig) -> dict[str, dict[str, Any]]:
    """What is remembered of the encoders that `cfg` names, by modality.

    Raises:
      FileNotFoundError, ValueError: if the weights are not there, or not those of the encoder.
    """
    paths = weights_paths(cfg)
    return {
        modality: _loaded(modality, name, paths.get(modality, ""))[0].identity()
        for modality, name in cfg.names().items()
    }


def weights_paths(cfg: EncodersConfig) -> dict[str, str]:
    """Modality -> absolute path of its weights, of the encoders that have any."""
    given = cfg.weights()
    return {modality: str(Path(path).resolve()) for modality, path in given.items() if path}


def _front_end(modality: str, given: Mapping[str, Any], path: str):
    """`_loaded`, if it is what features were made with."""
    sha256 = given.get("weights_sha256", "")
    advice = f"give --{modality}_weights=PATH of the weights with sha256 {sha256}"
    if sha256 and not (path and Path(path).exists()):
        raise FileNotFoundError(
            f"the {modality} encoder {given['name']!r} needs its weights, and there is nothing at "
            f"{path or 'a path that is known'}: {advice}"
        )
    found = _loaded(modality, given["name"], path)
    have = found[0].identity()
    if path and not have["weights_sha256"]:
        raise ValueError(
            f"{modality}_weights = {path!r}, but the {modality} encoder {given['name']!r} has no "
            "weights: leave them out"
        )
    if sha256 and have["weights_sha256"] != sha256:
        raise ValueError(
            f"{path} has the sha256 {have['weights_sha256']} (of weights and configuration), which "
            f"are other weights than those the features were made with: {advice}"
        )
    if dict(given) != have:
        raise ValueError(
            f"the features were made with the {modality} encoder {dict(given)}, but this code has "
            f"{have}: make the features again, or use the code that made them"
        )
    return found


class Featurizer:
    """Makes features-records of clips-records, byte-equal however they are batched.

    Args:
      encoders: modality -> identity (`identities`), as features datasets and checkpoints keep it.
      normalisation: modality -> statistics (`fit_normalisation`).
      weights: modality -> path of the encoder's weights, where it has any.

    Raises:
      FileNotFoundError: if weights are not where they are said to be.
      ValueError: if this code has no encoder of that name and version, or the weights are others,
        or given for an encoder that has none.
    """

    def __init__(
        self,
        encoders: Mapping[str, Mapping[str, Any]],
        normalisation: Mapping[str, Any],
        weights: Mapping[str, str] | None = None,
    ):
        self.encoders, self.normalisation = dict(encoders), dict(normalisation)
        self.front_ends = {
            modality: _front_end(modality, given, (weights or {}).get(modality, ""))
            for modality, given in encoders.items()
            if given["name"] != NONE[modality]["name"]
        }

    @property
    def widths(self) -> dict[str, int]:
        """Columns of each kind of features."""
        found = {modality: encoder.width for modality, (encoder, _) in self.front_ends.items()}
        classes = self.front_ends["face"][0].classes if "face" in self.front_ends else 0
        return found | ({"face_emotion": classes} if classes else {})

    def __call__(self, clips: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Flat features-records of flat clips-records, in order.

        `face` f16 [n, width] and, where the encoder gives it, `face_emotion` f16 [n, classes], one
        row per crop; `speech` f16 [m, width], one row per 60 ms. An absent modality has no rows.

        Raises:
          ValueError: if a crop or the speech of a clip cannot be decoded; names the clip.
        """
        from memobert_jax.encoders.encoder import normalise

        absent = (names for modality, names in _OF.items() if modality not in self.front_ends)
        shared = set(_SHARED).difference(*absent)
        made = [{name: clip[name] for name in shared} for clip in clips]
        for modality, (encoder, _) in self.front_ends.items():
            statistics = self.normalisation.get(modality, {})
            for item, rows in zip(made, self.rows(modality, clips), strict=True):
                item[modality] = normalise(encoder, rows[:, : encoder.width], statistics)
                if encoder.classes:
                    item["face_emotion"] = rows[:, encoder.width :].astype(np.float16)
        blank = record.blank("features", self.widths)
        made = [blank | item for item in made]
        for item in made:
            record.check(item, "features")
        return made

    def rows(self, modality: str, clips: Sequence[Mapping[str, Any]]) -> list[np.ndarray]:
        """What the encoder computes of each clip, f32 [rows, width + classes]."""
        from memobert_jax.encoders.encoder import encode

        encoder, function = self.front_ends[modality]
        statistics = self.normalisation.get(modality, {})
        return encode(encoder, function, self.prepared(modality, clips), statistics)

    def prepared(self, modality: str, clips: Sequence[Mapping[str, Any]]) -> list:
        """The media of each clip as the encoder takes it: (chunks, number of rows)."""
        encoder, _ = self.front_ends[modality]

        def prepare(clip):
            try:
                return encoder.prepare(_media(modality, clip))
            except ValueError as error:
                raise ValueError(f"clip {clip['id']!r}: {error}") from error

        return [prepare(clip) for clip in clips]


def finite(item: Mapping[str, Any]) -> bool:
    """Whether all features of a features-record are finite numbers."""
    return all(np.isfinite(item[name]).all() for name in ("face", "face_emotion", "speech"))


def unheard(item: Mapping[str, Any], longest_s: float) -> float:
    """Seconds of sound at the end of a clip that an encoder of so many seconds did not hear.

    Less than a row counts as 0, and so does a clip without speech.
    """
    beyond = float(item["end_s"]) - float(item["start_s"]) - longest_s
    return beyond if len(item["speech"]) and beyond > record.SPEECH_ROW_S else 0.0


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
    weights: Mapping[str, str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Mean and standard deviation of each band over all rows, or crops, of clips-records.

    Summed in float64 clip by clip, so the batching does not matter. A modality whose encoder has no
    bands is left out; without any row, mean is 0 and std 1, which a warning says.
    `clips` counts those with any, `frames` what was summed for a band: rows, or the grey values of
    the crops.

    Args:
      encoders: modality -> identity.
      read: gives the clips-records of a batch.
      batches: what `read` takes.
      weights: modality -> path of the encoder's weights, where it has any.
    """
    from memobert_jax.encoders.encoder import measured

    raw = Featurizer(encoders, {}, weights)
    bands = {modality: encoder.bands for modality, (encoder, _) in raw.front_ends.items()}
    bands = {modality: count for modality, count in bands.items() if count}
    sums = {modality: np.zeros((2, count)) for modality, count in bands.items()}
    counts = {modality: {"clips": 0, "frames": 0} for modality in bands}

    def all_frames(batch):
        clips = read(batch)
        return {m: measured(*raw.front_ends[m], raw.prepared(m, clips)) for m in bands}

    for found in in_order(all_frames, batches):
        for modality in bands:
            for frames in found[modality]:
                sums[modality] += frames.sum(0), (frames**2).sum(0)
                counts[modality]["clips"] += len(frames) > 0
                counts[modality]["frames"] += len(frames)
    for modality in bands:
        if not counts[modality]["frames"]:
            logging.warning(
                "no clip that the normalisation is fitted on has any %s: mean 0 and standard "
                "deviation 1 are taken, so %s stays as it is where other clips have it",
                *(modality, modality),
            )
    return {modality: _moments(sums[modality], counts[modality]) for modality in bands}


def _moments(sums: np.ndarray, counts: Mapping[str, int]) -> dict[str, Any]:
    if not counts["frames"]:
        mean, std = np.zeros_like(sums[0]), np.ones_like(sums[0])
    else:
        mean, square = sums / counts["frames"]
        std = np.sqrt(np.maximum(square - mean**2, _LEAST_STD**2))
    return {"mean": mean.tolist(), "std": std.tolist(), **counts}
