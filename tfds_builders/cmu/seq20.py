"""The files of 20 steps: CMU-MOSEI as HDF5, IEMOCAP as pickles of Python 2 (of 21 steps).

    text_train_emb.h5 audio_train.h5 video_train.h5     dataset d1 [n, 20, columns]
    ey_train.h5 y_train.h5                              d1 [n, 6] intensities, [n, 1] sentiment
    text_train.p covarep_train.p facet_train.p y_train.p    [n, 21, columns]; [n, 11] one label

They have no ids. Which side is padded is found, as always.
"""

from pathlib import Path

import h5py
import numpy as np

from memobert_jax import pickles
from tfds_builders.cmu import csd, ids, labels
from tfds_builders.cmu.mult import one_class, table
from tfds_builders.cmu.processed import SPLITS, Table

MOSEI = {"text_features": "text_{}_emb.h5", "speech": "audio_{}.h5", "face": "video_{}.h5"}
MOSEI_LABELS = ("ey_{}.h5", "y_{}.h5")
SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""Columns of `ey`."""

IEMOCAP = {"text_features": "text_{}.p", "speech": "covarep_{}.p", "face": "facet_{}.p"}
IEMOCAP_LABELS = "y_{}.p"
ELEVEN = (
    "", "anger", "excitement", "fear", "sadness", "surprise", "frustration", "happiness", "neutral",
    "disgust", "",
)  # fmt: skip
"""Columns of `y`; the first is another label, the last none that is known."""


def mosei_files(folder: Path) -> list[Path]:
    names = (*MOSEI.values(), *MOSEI_LABELS)
    return [folder / name.format(split) for split in SPLITS for name in names]


def iemocap_files(folder: Path) -> list[Path]:
    names = (*IEMOCAP.values(), IEMOCAP_LABELS)
    return [folder / name.format(split) for split in SPLITS for name in names]


def read_mosei(folder: Path) -> dict[str, Table]:
    """Split -> table of CMU-MOSEI.

    Raises:
      FileNotFoundError, ValueError: if a file is missing or is not of this form.
    """
    tables = {}
    for split, name in SPLITS.items():
        where = f"{folder}, {split}"
        arrays = {m: _d1(folder / file.format(split), 3) for m, file in MOSEI.items()}
        emotions, given = (_d1(folder / file.format(split), 2) for file in MOSEI_LABELS)
        if emotions.shape != (len(given), len(SIX)) or given.shape[1] != 1:
            raise ValueError(
                f"{where}: ey is {emotions.shape} and y {given.shape}; expected [n, 6] and [n, 1]"
            )
        pairs = zip(given[:, 0], emotions, strict=True)
        values = [labels.fields(value, row, SIX) for value, row in pairs]
        tables[name] = table(where, ids.numbered(name, len(given)), arrays, values)
    return tables


def _d1(path: Path, dimensions: int) -> np.ndarray:
    with csd.open_hdf5(path) as file:
        dataset = csd.member(path, file, "d1", h5py.Dataset)
        if dataset.ndim != dimensions or dataset.dtype.kind not in "fiu":
            raise ValueError(
                f"{path}: d1 has the shape {dataset.shape}; expected {dimensions} dimensions"
            )
        return dataset[()]


def read_iemocap(folder: Path) -> dict[str, Table]:
    """Split -> table of IEMOCAP: segments with one label of ELEVEN.

    Raises:
      FileNotFoundError, ValueError: if a file is missing or is not of this form.
    """
    tables = {}
    for split, name in SPLITS.items():
        where = f"{folder}, {split}"
        arrays = {m: pickles.load(folder / file.format(split)) for m, file in IEMOCAP.items()}
        given = pickles.load(folder / IEMOCAP_LABELS.format(split))
        for what, array in (arrays | {"y": given}).items():
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
                raise ValueError(f"{where}: {what} is no array of numbers")
        if given.ndim != 2 or given.shape[1] != len(ELEVEN):
            raise ValueError(f"{where}: y has the shape {given.shape}; expected [n, 11]")
        values = [one_class(row, ELEVEN) for row in given]
        tables[name] = table(where, ids.numbered(name, len(given)), arrays, values)
    return tables
