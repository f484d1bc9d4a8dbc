"""Reading dataset folders of either stage, record by record at random.

Through array_record's readers, one a shard, and `codec`, which cuts the features out of a record's
bytes without copying them.
"""

import bisect
import hashlib
import itertools
import json
import operator
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from memobert_jax import codec, datasets, record

_BUFFER = 1 << 15
"""Bytes that a reader fetches at once; records are read at random."""

_TAIL = 1 << 16
"""Bytes at the end of a shard that its fingerprint covers: array_record keeps the places and sizes
of all records there."""


def open_builder(path: str | Path, stage: str):
    """The TFDS builder of a dataset folder of `stage`.

    Raises:
      FileNotFoundError: if there is no dataset in the folder.
      ValueError: if its records are of the other stage, or of another program.
    """
    import tensorflow_datasets as tfds

    path = Path(path)
    if not (path / datasets.INFO).is_file():
        found = f"; it holds {sorted(p.name for p in path.iterdir())[:5]}" if path.is_dir() else ""
        raise FileNotFoundError(
            f"no {stage} dataset in {path}: expected a folder with {datasets.INFO}{found}. "
            "Give the folder that featurize or a builder wrote; if it was interrupted there, run "
            "it again."
        )
    builder = tfds.builder_from_directory(str(path))
    names = set(builder.info.features)
    stages = [one for one in ("clips", "features") if names == _top_names(one)]
    if not stages:
        raise ValueError(
            f"the records in {path} are not of this program (or of another version of it): their "
            f"fields are {sorted(names)}; expected {sorted(_top_names(stage))}"
        )
    if stages[0] != stage:
        advice = (
            f"run `python -m memobert_jax.featurize --input={path} --output=...`, give its output"
            if stage == "features"
            else "give the clips dataset that it was made from"
        )
        raise ValueError(f"{path} is a {stages[0]} dataset, expected a {stage} dataset: {advice}")
    return builder


def _top_names(stage: str) -> set[str]:
    return {name.split("/")[0] for name in record.fields(stage)}


class Split:
    """The records of one split of a dataset folder, read at random.

    Files open at the first read; a pickled copy opens its own.

    Attributes:
      shards: (path, number of records) of each file, in order.
      widths: columns of each `frames` field.
      quantised: those that are stored as int8; they are read as float16.

    Raises:
      FileNotFoundError: if there is no dataset in the folder.
      ValueError: if it is of another stage, or has no such split.
    """

    def __init__(self, path: str | Path, split: str, stage: str):
        self.path, self.split, self.stage = Path(path), split, stage
        info = open_builder(path, stage).info
        if split not in info.splits:
            raise ValueError(f"{path} has no split {split!r}; it has {sorted(info.splits)}")
        found = info.splits[split]
        self.shards = [
            (os.fspath(file), length)
            for file, length in zip(found.filepaths, found.shard_lengths, strict=True)
        ]
        self.widths = {
            name: info.features[name].shape[1]
            for name, field in record.fields(stage).items()
            if field.kind == "frames"
        }
        self.quantised = [n for n in self.widths if info.features[n].np_dtype == np.int8]
        self._ends = list(itertools.accumulate(found.shard_lengths))
        self._readers: list = [None] * len(self.shards)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_readers": [None] * len(self.shards)}

    def read(self, index: int, names: Iterable[str] | None = None) -> dict[str, Any]:
        """The flat record `index`, or only its fields `names`; arrays are read-only views.

        Raises:
          IndexError: if `index` is not in [0, len(self)).
          ValueError: if the record or its file is damaged; the message names both.
        """
        index = operator.index(index)
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {self.path} {self.split}: it has {len(self)}")
        shard = bisect.bisect_right(self._ends, index)
        path, length = self.shards[shard]
        position = index - (self._ends[shard] - length)
        reader = self._readers[shard]
        try:
            (data,) = (self._open(shard) if reader is None else reader).read([position])
            return codec.parse(data, self.stage, self.widths, names, self.quantised)
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"{path}: record {position} (number {index} of split {self.split!r}) is damaged: "
                f"{error}. Restore the file from a copy, or write the dataset again into an empty "
                "folder."
            ) from error

    def read_many(self, indices: Iterable[int]) -> list[dict[str, Any]]:
        """`read` of each index."""
        return [self.read(index) for index in indices]

    def _open(self, shard: int):
        from array_record.python import array_record_module

        path, _ = self.shards[shard]
        self._readers[shard] = array_record_module.ArrayRecordReader(
            path, options="readahead_buffer_size:0", file_reader_buffer_size=_BUFFER
        )
        return self._readers[shard]


def fingerprint(builder) -> str:
    """12 hex digits that change with the records or the metadata of a dataset folder.

    Covers names, sizes and ends of all shards, not their whole content.
    """
    state = hashlib.sha256(json.dumps(dict(builder.info.metadata or {}), sort_keys=True).encode())
    for split in sorted(builder.info.splits):
        for file in builder.info.splits[split].filepaths:
            with open(file, "rb") as handle:
                size = handle.seek(0, os.SEEK_END)
                handle.seek(max(0, size - _TAIL))
                state.update(f"{file.name} {size} ".encode() + handle.read())
    return state.hexdigest()[:12]


def split_of(path: str, split: str) -> tuple[str, str, bool]:
    """(folder, split, whether the path names it) of a source: FOLDER, or FOLDER:SPLIT."""
    folder, colon, named = path.rpartition(":")
    if colon and not Path(path).is_dir():
        return folder, named, True
    return path, split, False
