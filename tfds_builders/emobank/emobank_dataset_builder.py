"""TFDS builder of EmoBank: sentences with valence, arousal and dominance; text alone."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from tfds_builders import manual, tables
from tfds_builders.labels import Published
from tfds_builders.listing import Omission, Tally
from tfds_builders.records_builder import RecordsBuilder, RecordsConfig, written
from tfds_builders.streaming import Records

FILE = "emobank.csv"
SPLITS = {"train": "train", "dev": "validation", "test": "test"}
VALUES = {"v": "valence", "a": "arousal", "d": "dominance"}
LEAST, MOST = 1.0, 5.0
"""The ends of the published scale."""

PUBLISHED = Published(
    "Buechel and Hahn 2017, the official split",
    {"train": {"clips": 8062}, "validation": {"clips": 1000}, "test": {"clips": 1000}},
)


class Builder(RecordsBuilder):
    """The sentences of EmoBank, in their official split."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[RecordsConfig]] = [
        RecordsConfig(
            name="default",
            description="Valence, arousal and dominance.",
            stage="clips",
            published=PUBLISHED,
        )
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"manual_dir is a folder with {FILE} of EmoBank, from "
        "https://github.com/JULIELab/EmoBank/tree/master/corpus."
    )

    def open_records(self, manual_dir: Path) -> Records:
        """The rows of the file."""
        path = manual.need(manual_dir, FILE, self.MANUAL_DOWNLOAD_INSTRUCTIONS)
        return Records([path], list(SPLITS.values()), functools.partial(read, path))


def read(path: Path, tally: Tally) -> Iterator[tuple[str, dict[str, Any]]]:
    """(split, clips-record) of each sentence, in order of the file.

    Raises:
      ValueError: for a row that cannot be meant, with its line.
    """
    seen: set[str] = set()
    for row in tables.read_rows(path, ("id", "split", *VALUES, "text")):
        tally.listed += 1
        name, where = row["id"], f"{path} line {row['line']}"
        if row["split"] not in SPLITS or not name:
            raise ValueError(
                f"{where}: id {name!r} and split {row['split']!r}; expected an id and one of "
                f"{', '.join(SPLITS)}"
            )
        values = {VALUES[key]: _value(row[key], f"{where}, {key.upper()}") for key in VALUES}
        if name in seen:
            tally.omit(Omission.DUPLICATE_ID, name)
        elif not row["text"]:
            tally.omit(Omission.NO_TEXT, name)
        else:
            yield SPLITS[row["split"]], written(name, row["text"], **values)
        seen.add(name)


def _value(text: str, where: str) -> float:
    value = tables.number(text, where)
    if not LEAST <= value <= MOST:
        raise ValueError(f"{where}: {text!r}; expected a number from {LEAST:g} to {MOST:g}")
    return value
