"""Label rows of CMU-MOSI and CMU-MOSEI, and the lists of videos that make their splits.

A label file is a `.csd` with one row a segment: sentiment in [-3, 3], and in CMU-MOSEI the
intensities of six emotions in [0, 3]. Its rows are in no order of time, may overlap and may start
before zero. `video[k]` is row k of the video in this file, not the number of a raw clip.
"""

import ast
import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memobert_jax import record
from tfds_builders import tables
from tfds_builders.cmu.csd import CsdFile
from tfds_builders.cmu.tidy import EPS, Oddities
from tfds_builders.listing import Omission, Tally

EMOTIONS = ("happiness", "sadness", "anger", "surprise", "disgust", "fear")
"""Columns 1 to 6 of the labels of CMU-MOSEI."""

TOLERANCE_S = 1e-2
"""Times of one segment in two files differ by less (they are rounded in some)."""

LONGEST_S = 600.0
"""A segment that lasts longer is none: its times are of another unit, or of nothing."""

_MOST = 10 / 3 + 1e-3
"""A few intensities are 3.333."""

_FOLDS = {"train": "standard_train_fold", "validation": "standard_valid_fold",
          "test": "standard_test_fold"}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Label:
    """One labelled segment.

    emotions: f4 [len(record.EMOTIONS)], NaN for emotions that nobody was asked for.
    """

    video: str
    number: int
    start_s: float
    end_s: float
    sentiment: float
    emotions: np.ndarray

    @property
    def key(self) -> str:
        return f"{self.video}[{self.number}]"


class Labels:
    """All label rows of a corpus; the rows that cannot be used have a reason.

    Raises:
      FileNotFoundError, ValueError: if there is no such file, or it holds no labels.
    """

    def __init__(self, path: Path):
        self.path = path
        self.rows: dict[str, list[Label]] = {}
        self.unusable: dict[str, list[tuple[str, Omission]]] = defaultdict(list)
        self.oddities = Oddities()
        with CsdFile(path) as file:
            if file.width not in (1, 1 + len(EMOTIONS)):
                raise ValueError(
                    f"{path} has {file.width} columns; expected a label file: sentiment, or "
                    f"sentiment and {', '.join(EMOTIONS)}"
                )
            for video, sequence in file:
                self.oddities.times("labels", sequence.intervals)
                self.rows[video] = list(self._rows(video, sequence.features, sequence.intervals))

    def _rows(self, video: str, values: np.ndarray, intervals: np.ndarray) -> Iterator[Label]:
        for number, (row, times) in enumerate(zip(values, intervals, strict=True)):
            found = fields(row[0], row[1:])
            if not EPS <= times[1] - times[0] <= LONGEST_S or not np.isfinite(times).all():
                found = Omission.BAD_TIMES
            if isinstance(found, Omission):
                self.unusable[video].append((f"{video}[{number}]", found))
            else:
                yield Label(video, number, *times.tolist(), found["sentiment"], found["emotions"])

    def find(self, video: str, start_s: float, end_s: float) -> Label | None:
        """The label row of these times, within TOLERANCE_S at both ends; the nearest of several."""
        rows = self.rows.get(video, [])
        if not rows or not np.isfinite([start_s, end_s]).all():
            return None
        distance = [max(abs(r.start_s - start_s), abs(r.end_s - end_s)) for r in rows]
        best = int(np.argmin(distance))
        return rows[best] if distance[best] <= TOLERANCE_S else None

    def list_video(self, video: str, tally: Tally) -> list[Label]:
        """The usable rows of a video; all of its rows are listed, the others left out."""
        unusable = self.unusable.get(video, [])
        rows = self.rows[video]
        tally.listed += len(rows) + len(unusable)
        for key, reason in unusable:
            tally.omit(reason, key)
        high = sum(bool((row.emotions > 3).any()) for row in rows)
        tally.note("segments with an intensity above 3, kept", high)
        return rows


def fields(
    sentiment: float, intensities: np.ndarray, names: Sequence[str] = EMOTIONS
) -> dict[str, Any] | Omission:
    """The fields of a record that hold the labels of a segment, or why these cannot be used.

    Args:
      sentiment: in [-3, 3].
      intensities: [n] in [0, 3], or [0].
      names: the emotions of the columns.
    """
    if not np.isfinite([sentiment, *intensities]).all():
        return Omission.NO_LABEL
    if abs(sentiment) > 3 or any(not 0 <= value <= _MOST for value in intensities):
        return Omission.LABEL_NOT_IN_SET
    emotions = np.full(len(record.EMOTIONS), np.nan, np.float32)
    if len(intensities):
        emotions[[record.EMOTIONS.index(name) for name in names]] = intensities
    return {"sentiment": float(sentiment), "emotions": emotions}


def read_folds(path: Path) -> dict[str, str]:
    """Video -> split, of the SDK's file of standard folds or of a CSV file.

    The SDK's file (`cmu_mosei_std_folds.py`) is Python; its three lists of texts are read, nothing
    of it is run. A CSV file has the columns video, split.

    Raises:
      FileNotFoundError: without the file.
      ValueError: if a list is missing or is no list of texts, or a video is in two splits.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    if path.suffix == ".csv":
        pairs = [(row["video"], row["split"]) for row in tables.read_rows(path, ("video", "split"))]
    else:
        pairs = [(video, split) for split, videos in _lists(path).items() for video in videos]
    folds: dict[str, str] = {}
    for video, split in pairs:
        if split not in _FOLDS:
            raise ValueError(f"{path}: split {split!r}; expected one of {', '.join(_FOLDS)}")
        if folds.setdefault(video, split) != split:
            raise ValueError(f"{path}: video {video!r} is in {folds[video]} and in {split}")
    return folds


def _lists(path: Path) -> dict[str, list[str]]:
    try:
        tree = ast.parse(tables.decode(path.read_bytes()))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # as ast documents
        raise ValueError(f"{path} is no Python file: {type(error).__name__} {error}") from error
    found = {}
    for node in tree.body:
        for target in node.targets if isinstance(node, ast.Assign) else ():
            if isinstance(target, ast.Name) and target.id in _FOLDS.values():
                try:
                    found[target.id] = ast.literal_eval(node.value)
                except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                    found[target.id] = None
    for name in _FOLDS.values():
        videos = found.get(name)
        if not isinstance(videos, list | tuple) or not all(isinstance(v, str) for v in videos):
            raise ValueError(
                f"{path} has no list of texts called {name}; expected the SDK's file of standard "
                f"folds, with {', '.join(_FOLDS.values())}"
            )
    return {split: list(found[name]) for split, name in _FOLDS.items()}
