"""Computational sequences (`.csd`, HDF5) of the CMU-MultimodalSDK, read video by video.

    /<root>/data/<video>/features    numbers [rows, width], or words: bytes [rows, 1]
    /<root>/data/<video>/intervals   f8 [rows, 2], start and end in seconds
    /<root>/metadata/<key>           JSON text; plain text in old files

The root is the first key of the file, whatever the file is called. A word `sp` is a pause.
"""

import dataclasses
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

PAUSE = "sp"


@dataclasses.dataclass(frozen=True)
class Sequence:
    """Rows of one video: `features` numbers [rows, width] or words [rows]; `intervals` f8 [rows, 2]
    of seconds."""

    features: np.ndarray
    intervals: np.ndarray

    def __len__(self) -> int:
        return len(self.intervals)

    def __getitem__(self, rows) -> "Sequence":
        return Sequence(self.features[rows], self.intervals[rows])


class CsdFile:
    """A `.csd` file, open for reading; a context manager.

    Attributes:
      root: name of the sequence, the first key of the file.
      metadata: key -> value; text that is not JSON stays text.
      videos: the videos, in the order of the file.

    Raises:
      FileNotFoundError: without the file.
      ValueError: if it is no such file.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._file = open_hdf5(self.path)
        try:
            self.root = next(iter(self._file), "")
            if not self.root:
                raise ValueError(f"{self.path} is empty; fetch it again")
            root = self._inside(self._file, self.root, h5py.Group)
            self._data = self._inside(root, "data", h5py.Group)
            self.metadata = self._metadata(root)
        except BaseException:
            self.close()
            raise
        self.videos = list(self._data)

    def __enter__(self) -> "CsdFile":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def __contains__(self, video: str) -> bool:
        return video in self._data

    def __iter__(self) -> Iterator[tuple[str, Sequence]]:
        return ((video, self.read(video)) for video in self.videos)

    @functools.cached_property
    def width(self) -> int:
        """Columns of the features, those of the first video; 0 for words or without any video."""
        if not self.videos:
            return 0
        entry = self._inside(self._data, self.videos[0], h5py.Group)
        features = self._inside(entry, "features", h5py.Dataset)
        return features.shape[1] if features.dtype.kind in "fiu" and features.ndim == 2 else 0

    def read(self, video: str) -> Sequence:
        """The rows of one video, in their order in the file.

        Raises:
          KeyError: without the video.
          ValueError: if its features and intervals do not belong together, or its columns are not
            those of the first video; it names both.
        """
        if video not in self._data:
            raise KeyError(f"{self.path} has no video {video!r}")
        entry = self._inside(self._data, video, h5py.Group)
        features, intervals = (
            self._inside(entry, name, h5py.Dataset) for name in ("features", "intervals")
        )
        shapes = features.shape, intervals.shape
        try:
            features, intervals = features[()], np.asarray(intervals[()], np.float64)
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.path}: video {video!r} is damaged: {error}") from error
        if features.dtype.kind not in "fiu":
            features = _words(features)
        elif features.ndim != 2:
            features = None
        if features is None or intervals.shape != (len(features), 2):
            raise ValueError(
                f"{self.path}: video {video!r} has features {shapes[0]} and intervals {shapes[1]}; "
                "expected [rows, width] and [rows, 2] of the same rows. Fetch the file again"
            )
        width = features.shape[1] if features.ndim == 2 else 0
        if width != self.width:
            raise ValueError(
                f"{self.path}: video {video!r} has {width} columns of numbers, the first video "
                f"{self.width}; expected as many. Fetch the file again"
            )
        return Sequence(features, intervals)

    def _metadata(self, root: h5py.Group) -> dict[str, Any]:
        if "metadata" not in root:
            return {}
        group = self._inside(root, "metadata", h5py.Group)
        return {key: _parsed(self._inside(group, key, h5py.Dataset)) for key in group}

    def _inside(self, group: h5py.Group, name: str, kind: type) -> Any:
        return member(self.path, group, name, kind)


def open_hdf5(path: Path) -> h5py.File:
    """An HDF5 file, open for reading.

    Raises:
      FileNotFoundError: without the file.
      ValueError: if it is none, or not whole.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(
            f"{path} is no HDF5 file, or not whole ({error}); fetch it again"
        ) from error


def member(path: Path, group: h5py.Group, name: str, kind: type) -> Any:
    """The group or dataset `name` of a group, which must lie in this file and nowhere else.

    Raises:
      ValueError: if it is not there, is something else, or is a link to another place.
    """
    link = group.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        found = "nothing" if link is None else f"a {type(link).__name__}"
        raise ValueError(f"{path}: {group.name.rstrip('/')}/{name} is {found}; expected data")
    found = group[name]
    if not isinstance(found, kind):
        raise ValueError(f"{path}: {found.name} is not a {kind.__name__.lower()}")
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        raise ValueError(f"{path}: {found.name} keeps its data in another file")
    return found


def _words(features: np.ndarray) -> np.ndarray | None:
    """str [rows] of bytes or str [rows] or [rows, 1]."""
    if features.size != len(features):
        return None
    words = [w.decode("utf-8", "replace") if isinstance(w, bytes) else w for w in features.ravel()]
    return np.array(words, str)


def _parsed(dataset: h5py.Dataset) -> Any:
    value = dataset[()]
    text = value.ravel()[0] if isinstance(value, np.ndarray) and value.size else value
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    try:
        return json.loads(text)
    except ValueError:
        return text
