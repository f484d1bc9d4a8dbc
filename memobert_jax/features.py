"""Features datasets: what training, evaluation and prediction read.

A folder in TFDS's own layout (`datasets.py`) with two small files a split beside it, so that
planning never scans feature bytes: `lengths-<split>.npz` (words, face frames, speech rows of each
clip) and `clips-<split>.jsonl` (the text and scalar fields of each clip), both in clip order.
"""

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memobert_jax import codec, datasets, reader, record

COLUMN_KINDS = ("text", "scalar", "emotion")
LENGTHS = {"words": "words/text", "face": "face", "speech": "speech"}
"""Arrays of the lengths index and the fields that they count."""

TRAINING_FIELDS = ("text", "face", "face_emotion", "speech")
_TABLE = record.fields("features")
_COLUMNS = tuple(name for name, field in _TABLE.items() if field.kind in COLUMN_KINDS)


class FeaturesDataset:
    """One split of a features dataset, read at random.

    Files open at the first read; a pickled copy opens its own.

    Args:
      path: the dataset folder, as `featurize` writes it.
      split: name of the split.

    Attributes:
      widths: columns of `face`, `face_emotion`, `speech` and `text_features`.

    Raises:
      FileNotFoundError: if there is no dataset in the folder.
      ValueError: if it is a clips dataset, or has no such split.
    """

    def __init__(self, path: str | Path, split: str):
        self.path, self.split = Path(path), split
        self._records = reader.Split(path, split, "features")
        self.widths = self._records.widths

    @staticmethod
    def splits(path: str | Path) -> list[str]:
        """Names of the splits of a features dataset, sorted."""
        return sorted(reader.open_builder(path, "features").info.splits)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.read(index)

    def read(self, index: int, fields: Iterable[str] | None = None) -> dict[str, Any]:
        """The flat features-record of clip `index`, or only some of its fields.

        Arrays are read-only views of the bytes read.

        Raises:
          IndexError: if `index` is not in [0, len(self)).
          ValueError: if the record or its file is damaged; the message names both.
        """
        return self._records.read(index, fields)

    def __getstate__(self) -> dict[str, Any]:
        cached = ("lengths", "metadata", "dataset", "has", "_columns")
        return {key: value for key, value in self.__dict__.items() if key not in cached}

    @functools.cached_property
    def lengths(self) -> dict[str, np.ndarray]:
        """`words`, `face` and `speech`: i32 [len(self)]."""
        with np.load(self._beside("lengths", "npz"), allow_pickle=False) as arrays:
            lengths = {name: arrays[name] for name in LENGTHS}
        if any(len(array) != len(self) for array in lengths.values()):
            raise ValueError(
                f"{self.path}: lengths-{self.split}.npz has not {len(self)} entries; "
                "run featurize again"
            )
        return lengths

    @functools.cached_property
    def metadata(self) -> dict[str, Any]:
        """Encoders, normalisation, extraction settings, splits and ledger totals."""
        return json.loads((self.path / "metadata.json").read_text("utf-8"))

    @functools.cached_property
    def dataset(self) -> dict[str, str]:
        """`name`, `config` and `version` of the dataset that a builder made; '' where not known.

        `featurize` hands on those of the clips dataset; a builder's features have their own.
        """
        if "dataset" in self.metadata:
            return dict(self.metadata["dataset"])
        info = reader.open_builder(self.path, "features").info
        if self.metadata["clips_fingerprint"]:
            return {"name": info.name, "config": "", "version": ""}
        return datasets.identity(info)

    @functools.cached_property
    def has(self) -> frozenset[str]:
        """The modalities of which any clip has anything."""
        names = {"words": "text", "face": "face", "speech": "speech"}
        return frozenset(names[name] for name, found in self.lengths.items() if found.any())

    @functools.cached_property
    def _columns(self) -> dict[str, list]:
        lines = self._beside("clips", "jsonl").read_text("utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        if len(rows) != len(self):
            raise ValueError(
                f"{self.path}: clips-{self.split}.jsonl has {len(rows)} lines for {len(self)} "
                "clips; run featurize again"
            )
        return {name: [row[name] for row in rows] for name in _COLUMNS}

    def _beside(self, stem: str, suffix: str) -> Path:
        path = self.path / f"{stem}-{self.split}.{suffix}"
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; run featurize again")
        return path

    def column(self, name: str) -> list:
        """A text, scalar or emotion field of all clips, without reading a record.

        Raises:
          ValueError: for a field of another kind.
        """
        if name not in _COLUMNS:
            raise ValueError(f"no column {name!r}; columns: {sorted(_COLUMNS)}")
        return self._columns[name]

    def texts(self) -> list[str]:
        """The text of all clips, without reading a record."""
        return self.column("text")

    @functools.cached_property
    def fingerprint(self) -> str:
        """12 hex digits that change with the clips, the encoders or the normalisation."""
        parts = [self.metadata[key] for key in ("encoders", "normalisation")]
        parts += [self.split, self.metadata["digests"][self.split]]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def normalised_on(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The clips that the normalisation of a features dataset was fitted on.

    Returns:
      `clips`: fingerprint of their clips dataset; `split`: its name, '' where it is not recorded.
    """
    if "normalised_on" in metadata:
        return dict(metadata["normalised_on"])
    made = metadata.get("settings", {}) | metadata.get("request", {})
    return {"clips": metadata["clips_fingerprint"], "split": made.get("normalise_on", "")}


def index_row(item: Mapping[str, Any], example: bytes) -> dict[str, Any]:
    """What the files beside the shards hold of one clip, JSON-able.

    Args:
      item: a flat features-record.
      example: the same as `codec.serialize` gives it.
    """
    return {
        "lengths": {name: len(item[field]) for name, field in LENGTHS.items()},
        "columns": {name: _plain(item[name]) for name in _COLUMNS},
        "digest": hashlib.sha256(example).hexdigest(),
    }


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def write_index(directory: str | Path, split: str, rows: list[dict[str, Any]]) -> None:
    """Writes `lengths-<split>.npz` and `clips-<split>.jsonl` from `index_row`s in clip order."""
    directory = Path(directory)
    arrays = {name: np.array([row["lengths"][name] for row in rows], np.int32) for name in LENGTHS}

    def save(path: str) -> None:
        with open(path, "wb") as file:
            np.savez(file, **arrays)

    def lines(path: str) -> None:
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row["columns"]) + "\n" for row in rows)

    datasets.write_atomically(directory / f"lengths-{split}.npz", save)
    datasets.write_atomically(directory / f"clips-{split}.jsonl", lines)


def split_digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """The digest of a split's records in clip order, however they are sharded."""
    return hashlib.sha256("".join(row["digest"] for row in rows).encode()).hexdigest()


def write(
    directory: str | Path,
    splits: Mapping[str, Iterable[Mapping[str, Any]]],
    *,
    metadata: Mapping[str, Any] | None = None,
    widths: Mapping[str, int] | None = None,
    num_shards: int = 1,
    name: str = "corpus",
    storage: str = "float16",
    options: str = datasets.OPTIONS,
) -> Path:
    """Writes a features dataset of flat records that fits into memory; returns its folder.

    `metadata` entries replace the defaults (encoders called `none` with the given widths);
    `storage` is that of FeaturesConfig, `options` are those of array_record's writer.
    """
    quantised = record.quantised(storage)
    splits = {split: list(items) for split, items in splits.items()}
    rows = {
        split: [index_row(item, codec.serialize(item, "features", quantised)) for item in items]
        for split, items in splits.items()
    }
    blank = record.blank("features", widths)
    encoders = {
        modality: {
            "name": "none",
            "version": 0,
            "weights_sha256": "",
            "width": blank[modality].shape[1],
            "rate_hz": rate_hz,
        }
        for modality, rate_hz in (("face", record.FACE_FPS), ("speech", 1 / record.SPEECH_ROW_S))
    }
    defaults = {
        "encoders": encoders,
        "normalisation": {},
        "extract": {},
        "clips_fingerprint": "",
        "storage": storage,
        "splits": {split: len(items) for split, items in splits.items()},
        "digests": {split: split_digest(items) for split, items in rows.items()},
        "ledger": {},
    }
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for split, items in rows.items():
        write_index(directory, split, items)
    return datasets.write(
        directory,
        "features",
        splits,
        metadata=defaults | dict(metadata or {}),
        widths=widths,
        num_shards=num_shards,
        name=name,
        quantised=quantised,
        options=options,
    )
