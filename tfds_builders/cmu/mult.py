"""The pickles of 50 steps (IEMOCAP: 20) that the SDK and MulT made, as tables of segments.

`mosei_senti_data.pkl`, `mosi_data.pkl`, `iemocap_data.pkl`, each also as `..._noalign.pkl`: for
each split `text`, `audio`, `vision` [n, steps, columns], `labels`, and (not for IEMOCAP) `id`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memobert_jax import pickles, record
from tfds_builders.cmu import ids, labels
from tfds_builders.cmu.processed import SPLITS, Table
from tfds_builders.listing import Omission

KEYS = {"text": "text_features", "audio": "speech", "vision": "face"}
"""Key in the files -> modality here."""

FOUR = ("neutral", "happiness", "sadness", "anger")
"""Classes of `iemocap_data.pkl`, whose labels are four pairs [no, yes]."""


def read_splits(path: Path, keys: tuple[str, ...]) -> dict[str, Mapping[str, Any]]:
    """What a pickle has of each split, by the name of the split here.

    Raises:
      FileNotFoundError, ValueError: if it is no such pickle, or lacks a split or one of the keys.
    """
    found = pickles.load(path)
    if not isinstance(found, dict) or not set(SPLITS) <= set(found):
        has = sorted(map(str, found)) if isinstance(found, dict) else f"a {type(found).__name__}"
        raise ValueError(f"{path} holds {has}; expected the splits {', '.join(SPLITS)}")
    for split in SPLITS:
        part = found[split]
        missing = [key for key in keys if not isinstance(part, dict) or key not in part]
        if missing:
            raise ValueError(f"{path}, {split}: no {', '.join(missing)}; is it another file?")
    return {SPLITS[split]: found[split] for split in SPLITS}


def arrays_of(part: Mapping[str, Any], where: str) -> dict[str, np.ndarray]:
    """The modalities of a split, [n, steps, columns] of numbers.

    Raises:
      ValueError: for anything else.
    """
    arrays = {name: numbers(part[key], f"{where}: {key}") for key, name in KEYS.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if any(len(shape) != 3 for shape in shapes.values()):
        raise ValueError(f"{where}: shapes are {shapes}; expected [segments, steps, columns]")
    return arrays


def numbers(given: Any, what: str) -> np.ndarray:
    """An array or a list of numbers, of at least one dimension; `what` it is stands in errors.

    Raises:
      ValueError: for anything else.
    """
    try:
        array = np.asarray(given)
    except ValueError:  # lists of several lengths
        array = np.array(None)
    if array.dtype.kind not in "fiu" or not array.ndim:
        raise ValueError(f"{what} is no array of numbers")
    return array


def read(path: Path) -> dict[str, Table]:
    """Split -> table of a pickle of CMU-MOSI or CMU-MOSEI.

    Raises:
      FileNotFoundError, ValueError: if it is no such pickle, or its parts do not fit together.
    """
    tables = {}
    for split, part in read_splits(path, (*KEYS, "labels", "id")).items():
        where = f"{path}, {split}"
        given = numbers(part["labels"], f"{where}: labels")
        if given.size != len(given):
            raise ValueError(f"{where}: labels have the shape {given.shape}; expected [n, 1, 1]")
        values = [labels.fields(value, ()) for value in given.ravel().tolist()]
        tables[split] = table(
            where, ids.parse_all(part["id"], where), arrays_of(part, where), values
        )
    return tables


def read_iemocap(path: Path) -> dict[str, Table]:
    """Split -> table of `iemocap_data.pkl`: segments of one of FOUR, without an id.

    Raises:
      FileNotFoundError, ValueError: if it is no such pickle, or its parts do not fit together.
    """
    tables = {}
    for split, part in read_splits(path, (*KEYS, "labels")).items():
        where = f"{path}, {split}"
        given = numbers(part["labels"], f"{where}: labels")
        if given.shape[1:] != (len(FOUR), 2):
            raise ValueError(f"{where}: labels have the shape {given.shape}; expected [n, 4, 2]")
        values = [one_class(row, FOUR) for row in given.argmax(-1)]
        names = ids.numbered(split, len(given))
        tables[split] = table(where, names, arrays_of(part, where), values)
    return tables


def one_class(row: np.ndarray, names: tuple[str, ...]) -> Mapping[str, Any] | Omission:
    """The emotion whose column alone is above zero; '' in `names` is no emotion."""
    places = np.flatnonzero(row > 0)
    if len(places) != 1 or not names[places[0]]:
        return Omission.LABEL_NOT_IN_SET
    return {"emotion": record.EMOTIONS.index(names[places[0]])}


def table(where: str, *parts: Any, **lengths: Any) -> Table:
    """A Table, whose errors say where."""
    try:
        return Table(*parts, **lengths)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
