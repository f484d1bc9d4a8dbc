"""The two CSV files of FER+ -> pictures, and what ten votes say of one."""

import csv
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from memobert_jax import record
from memobert_jax.encoders.denseface import CLASSES
from tfds_builders import tables
from tfds_builders.listing import Omission

PIXELS_FILE, VOTES_FILE = "fer2013.csv", "fer2013new.csv"
SIDE = 48
OTHERS = {"unknown": Omission.UNKNOWN_EMOTION, "nf": Omission.NOT_A_FACE}
SPLITS = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}


@dataclasses.dataclass(frozen=True)
class Label:
    """What the votes say.

    Attributes:
      emotion: class id in `record.EMOTIONS`; -1 without a majority.
      emotions: shares of the votes for the eight classes, in the order of `record.EMOTIONS`; () if
        it has none, or a majority for `unknown` or `nf`.
      reason: why the picture has no label; None if it has one.
    """

    emotion: int
    emotions: tuple[float, ...]
    reason: Omission | None


def label(votes: Mapping[str, int]) -> Label:
    """The label of one picture.

    A vote that stands alone is an error of its voter and does not count. A majority is more than
    half of what remains. (Barsoum et al. 2016, "majority" and "probability".)

    Args:
      votes: class, `unknown` and `nf` (not a face) -> number of votes.
    """
    counted = {name: count for name, count in votes.items() if count > 1}
    top = max(counted, key=counted.__getitem__, default="")
    majority = bool(counted) and 2 * counted[top] > sum(counted.values())
    if majority and top in OTHERS:
        return Label(-1, (), OTHERS[top])
    total = sum(counted.get(name, 0) for name in CLASSES)
    shares = tuple(counted.get(name, 0) / total for name in record.EMOTIONS) if total else ()
    if not majority:
        return Label(-1, shares, Omission.NO_MAJORITY)
    return Label(record.EMOTIONS.index(top), shares, None)


def read_votes(folder: Path) -> list[tuple[str, str, Label]]:
    """(name, split, label) of each row of fer2013new.csv.

    Raises:
      FileNotFoundError, ValueError: if the file is missing or a row cannot be meant.
    """
    path = folder / VOTES_FILE
    names = (*CLASSES, *OTHERS)
    found = []
    for number, row in enumerate(tables.read_rows(path, ("usage", "image name", *names))):
        where = f"{path} line {row['line']}"
        votes = {name: tables.number(row[name], where, absent=0.0) for name in names}
        if not all(count.is_integer() and 0 <= count <= 10 for count in votes.values()):
            raise ValueError(f"{where}: votes {votes}; expected whole numbers from 0 to 10")
        name = row["image name"] or f"row{number:07d}"  # no name that another row has
        found.append((name, _split(row["usage"], where), label(votes)))
    return found


def read_pixels(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """(split, u8 [48, 48]) of each row of fer2013.csv, one at a time: the file is large.

    Raises:
      ValueError: if a row is no picture.
    """
    path = folder / PIXELS_FILE
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        if not {"pixels", "Usage"} <= set(reader.fieldnames or ()):
            raise ValueError(f"{path} has the columns {reader.fieldnames}; expected pixels, Usage")
        for row in tables.each(reader, path):
            where = f"{path} line {reader.line_num}"
            yield _split(row["Usage"], where), _picture((row["pixels"] or "").split(), where)


def _picture(values: Sequence[str], where: str) -> np.ndarray:
    try:
        grey = np.array(values, np.int64).reshape(SIDE, SIDE)
    except ValueError:
        grey = np.full((SIDE, SIDE), -1)
    if grey.min() < 0 or grey.max() > 255:
        raise ValueError(
            f"{where}: {len(values)} values are no picture; expected {SIDE * SIDE} whole numbers "
            "from 0 to 255"
        )
    return grey.astype(np.uint8)


def _split(usage: str | None, where: str) -> str:
    if usage not in SPLITS:
        raise ValueError(f"{where}: usage {usage!r}; expected one of {', '.join(SPLITS)}")
    return SPLITS[usage]
