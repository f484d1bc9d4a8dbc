"""Evaluation protocols: which clips are fitted on, selected on and scored, and nothing else.

A protocol is a value: clip numbers by part, checked for leaks when it is made. Few-shot subsets
are stratified and nested: with one seed, the subset of k clips a class lies inside that of k + 1.
"""

import dataclasses
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memobert_jax import record
from memobert_jax.features import FeaturesDataset

PARTS = ("train", "validation", "test")


class Corpus:
    """Splits of one features dataset, end to end under one numbering of clips."""

    def __init__(self, path: str | Path, splits: Iterable[str]):
        self.path = Path(path)
        self.splits = {name: FeaturesDataset(path, name) for name in dict.fromkeys(splits)}
        sizes = [len(split) for split in self.splits.values()]
        self._starts = np.cumsum([0, *sizes])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def metadata(self) -> dict[str, Any]:
        return next(iter(self.splits.values())).metadata

    @property
    def widths(self) -> dict[str, int]:
        return next(iter(self.splits.values())).widths

    @property
    def fingerprints(self) -> dict[str, str]:
        """Split -> fingerprint of its clips, encoders and normalisation."""
        return {name: split.fingerprint for name, split in self.splits.items()}

    def clips_of(self, split: str) -> np.ndarray:
        """i32 numbers of the clips of a split."""
        at = list(self.splits).index(split)
        return np.arange(self._starts[at], self._starts[at + 1], dtype=np.int32)

    @functools.lru_cache(maxsize=32)  # noqa: B019 - a corpus lives as long as the evaluation
    def column(self, name: str) -> np.ndarray:
        """A text, scalar or emotion field of all clips, [clips]."""
        return np.array([value for split in self.splits.values() for value in split.column(name)])

    def read(self, clip: int, names: Iterable[str]) -> dict[str, Any]:
        """Fields of one clip."""
        at = int(np.searchsorted(self._starts, clip, side="right")) - 1
        return list(self.splits.values())[at].read(int(clip - self._starts[at]), names)

    def labels(self, classes: Sequence[str]) -> np.ndarray:
        """i32 [clips] index of each clip's emotion in `classes`; -1 for another or none.

        Raises:
          ValueError: for a class that is no canonical label name.
        """
        unknown = sorted(set(classes) - set(record.EMOTIONS))
        if unknown:
            raise ValueError(
                f"prompt.classes names {unknown}; expected some of {', '.join(record.EMOTIONS)}"
            )
        place = {record.EMOTIONS.index(name): i for i, name in enumerate(classes)}
        return np.array([place.get(int(e), -1) for e in self.column("emotion")], np.int32)


@dataclasses.dataclass(frozen=True, eq=False)
class Protocol:
    """Clips by part.

    Attributes:
      name, version: what a result carries.
      classes: canonical label names; every part holds each of them.
      disjoint: columns of which no two parts share a value.
      parts: those of PARTS that are needed -> i32 clip numbers of the corpus.
      labels: i32 [clips of the corpus], index in `classes` or -1.
      excluded: part -> reason -> clips that cannot be used.
      source: dataset folder and fingerprints of its splits.
    """

    name: str
    version: int
    classes: tuple[str, ...]
    disjoint: tuple[str, ...]
    parts: Mapping[str, np.ndarray]
    labels: np.ndarray
    excluded: Mapping[str, Mapping[str, int]]
    source: Mapping[str, Any]

    def counts(self, part: str) -> dict[str, int]:
        """Clips of each class in a part."""
        found = np.bincount(self.labels[self.parts[part]], minlength=len(self.classes))
        return dict(zip(self.classes, found.tolist(), strict=True))

    @property
    def fingerprint(self) -> str:
        """12 hex digits of everything that decides which clip is where."""
        values = [self.name, self.version, self.classes, self.disjoint, self.source["splits"]]
        values += [[part, clips.tolist()] for part, clips in sorted(self.parts.items())]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]

    def describe(self) -> dict[str, Any]:
        """JSON-able: what a result says of its protocol."""
        return {
            "name": self.name,
            "version": self.version,
            "fingerprint": self.fingerprint,
            "disjoint": list(self.disjoint),
            "clips": {part: self.counts(part) for part in self.parts},
            "excluded": {part: dict(reasons) for part, reasons in self.excluded.items()},
            "source": dict(self.source),
        }


def by_split(
    corpus: Corpus,
    splits: Mapping[str, str],
    classes: Sequence[str],
    disjoint: Sequence[str],
) -> Protocol:
    """The protocol that the dataset's own splits make.

    Args:
      corpus: with those splits.
      splits: part -> name of its split; parts that are not needed may be left out.
      classes: canonical label names; clips of other emotions are left out and counted.
      disjoint: columns of which no two parts may share a value.

    Raises:
      ValueError: for a leak, an empty part, or a part without one of the classes.
    """
    labels = corpus.labels(classes)
    everything = {part: corpus.clips_of(split) for part, split in splits.items()}
    protocol = Protocol(
        name="by_split",
        version=1,
        classes=tuple(classes),
        disjoint=tuple(disjoint),
        parts={part: clips[labels[clips] >= 0] for part, clips in everything.items()},
        labels=labels,
        excluded={part: _excluded(corpus, clips, labels) for part, clips in everything.items()},
        source={
            "path": str(corpus.path),
            "splits": dict(splits),
            "fingerprints": corpus.fingerprints,
        },
    )
    check_leaks(corpus, everything, disjoint)
    for part in splits:
        _check_classes(protocol, part, splits[part])
    return protocol


def _excluded(corpus: Corpus, clips: np.ndarray, labels: np.ndarray) -> dict[str, int]:
    emotions = corpus.column("emotion")[clips[labels[clips] < 0]]
    names = Counter(
        "no label" if emotion < 0 else f"label {record.EMOTIONS[emotion]} is not among the classes"
        for emotion in emotions.tolist()
    )
    return dict(sorted(names.items()))


def check_leaks(corpus: Corpus, parts: Mapping[str, np.ndarray], disjoint: Sequence[str]) -> None:
    """Raises ValueError, with the offending values, if two parts share a clip or a group."""
    for column in ("id", *disjoint):
        values = corpus.column(column)
        groups = {part: Counter(values[clips].tolist()) for part, clips in parts.items()}
        names = list(parts)
        for i, one in enumerate(names):
            for other in names[i + 1 :]:
                shared = sorted((groups[one].keys() & groups[other].keys()) - {""})
                if shared:
                    _refuse_leak(column, one, other, shared, groups[other])


def _refuse_leak(column: str, one: str, other: str, shared: list, counts: Counter) -> None:
    clips = sum(counts[value] for value in shared)
    shown = ", ".join(map(repr, shared[:5])) + (", ..." if len(shared) > 5 else "")
    advice = (
        "give three different splits"
        if column == "id"
        else f"split the data by {column}, or, if that is what you want to measure, leave "
        f"{column!r} out of evaluate's `disjoint`"
    )
    raise ValueError(
        f"the parts {one} and {other} share {len(shared)} values of {column} ({shown}; {clips} "
        f"clips of {other}): {advice}"
    )


def _check_classes(protocol: Protocol, part: str, split: str) -> None:
    counts = protocol.counts(part)
    missing = [name for name, count in counts.items() if not count]
    if len(missing) == len(counts):
        raise ValueError(
            f"the {part} part is empty: split {split!r} of {protocol.source['path']} has no clip "
            f"of {', '.join(counts)} (left out: {dict(protocol.excluded[part]) or 'nothing'})"
        )
    if missing:
        raise ValueError(
            f"the {part} part (split {split!r}) has no clip of {', '.join(missing)}; it has "
            f"{counts}: take the class out of prompt.classes and prompt.label_words, or add clips"
        )


def few_shot(protocol: Protocol, per_class: int, seed: int) -> np.ndarray:
    """i32 clip numbers: `per_class` of each class from the train part; 0: all of it.

    Raises:
      ValueError: if a class has fewer clips.
    """
    train = protocol.parts["train"]
    if not per_class:
        return train
    counts = protocol.counts("train")
    short = {name: count for name, count in counts.items() if count < per_class}
    if short:
        raise ValueError(
            f"fit.per_class = {per_class}, but the train part has only {short}: lower per_class"
        )
    drawn = []
    for label in range(len(protocol.classes)):
        clips = train[protocol.labels[train] == label]
        drawn.append(np.random.default_rng([seed, label]).permutation(clips)[:per_class])
    return np.sort(np.concatenate(drawn))
