"""TFDS builder of GoEmotions: comments with one or several of 28, 7 or 4 labels; text alone."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from memobert_jax import record
from tfds_builders import manual, tables
from tfds_builders.goemotions import taxonomy
from tfds_builders.labels import Published
from tfds_builders.listing import Omission, Tally
from tfds_builders.records_builder import RecordsBuilder, RecordsConfig, written
from tfds_builders.streaming import Records

FILES = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}
LABEL_FILES = ("emotions.txt", "labels.txt")
"""Names of the file that gives the order of the labels; a copy may lack it."""

PUBLISHED = Published(
    "Demszky et al. 2020, the official split",
    {"train": {"clips": 43410}, "validation": {"clips": 5426}, "test": {"clips": 5427}},
)


@dataclasses.dataclass(eq=False)
class SetConfig(RecordsConfig):
    """A configuration with one of the label sets of `taxonomy.SETS`."""

    stage: str = "clips"
    published: Published | None = PUBLISHED
    label_set: str = "original"


class Builder(RecordsBuilder):
    """The comments of GoEmotions, in their official split."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[SetConfig]] = [
        SetConfig(name="original", description="27 emotions and neutral."),
        SetConfig(name="ekman", description="6 emotions and neutral.", label_set="ekman"),
        SetConfig(
            name="group",
            description="Positive, negative, ambiguous, neutral.",
            label_set="group",
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "manual_dir is a folder with train.tsv, dev.tsv and test.tsv of GoEmotions, from "
        "https://github.com/google-research/google-research/tree/master/goemotions/data; they may "
        "lie in a folder `original` in it."
    )

    def open_records(self, manual_dir: Path) -> Records:
        """The rows of the three files."""
        folder = manual_dir / "original" if (manual_dir / "original").is_dir() else manual_dir
        paths = {
            split: manual.need(folder, name, self.MANUAL_DOWNLOAD_INSTRUCTIONS)
            for split, name in FILES.items()
        }
        check_labels(folder)
        return Records(
            inputs=list(paths.values()),
            splits=list(paths),
            read=functools.partial(read, paths, self.builder_config.label_set),
        )


def check_labels(folder: Path) -> None:
    """Refuses files that number other labels, as those of a coarser set do.

    Raises:
      ValueError: if a label file is there, and its names are not the 28 in their order.
    """
    for path in (folder / name for name in LABEL_FILES):
        if path.is_file() and (found := tuple(path.read_text().split())) != taxonomy.ORIGINAL:
            raise ValueError(
                f"{path} has {len(found)} labels ({', '.join(found[:4])}, …); expected the 28 of "
                "the original set, in their order: the coarser sets are made from these"
            )


def read(
    paths: Mapping[str, Path], label_set: str, tally: Tally
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(split, clips-record) of each comment, in order of the files.

    Args:
      paths: split -> its file: text, numbers of the labels, id, separated by tabs.
      label_set: one of `taxonomy.SETS`.
      tally: of what is listed and left out.

    Raises:
      ValueError: for a row that cannot be meant, with its line.
    """
    known = {taxonomy.canonical(label) for label in taxonomy.SETS[label_set]} - {-1}
    seen: set[str] = set()
    for split, path in paths.items():
        for number, line in enumerate(tables.decode(path.read_bytes()).split("\n"), 1):
            if not line.strip():
                continue
            text, numbers, name = row(line.rstrip("\r"), f"{path} line {number}")
            tally.listed += 1
            if name in seen:
                tally.omit(Omission.DUPLICATE_ID, name)
            elif not text:
                tally.omit(Omission.NO_TEXT, name)
            else:
                labels = taxonomy.mapped(numbers, label_set)
                classes = [taxonomy.canonical(label) for label in labels]
                if len(classes) > 1:
                    tally.note("comments with several labels, so without `emotion`")
                elif classes == [-1]:
                    tally.note("comments with one label without a canonical name")
                yield split, _clip(name, text, labels, classes, known)
            seen.add(name)


def row(line: str, where: str) -> tuple[str, list[int], str]:
    """(text, label numbers, id) of a line.

    Raises:
      ValueError: if it is no such row; names `where`.
    """
    cells = line.split("\t")
    if len(cells) != 3:
        raise ValueError(
            f"{where}: {len(cells)} cells; expected text, label numbers and id, separated by tabs"
        )
    numbers = [int(n) if n.isdecimal() else -1 for n in cells[1].split(",")]
    if not all(0 <= n < len(taxonomy.ORIGINAL) for n in numbers):
        raise ValueError(
            f"{where}: labels {cells[1]!r}; expected numbers from 0 to "
            f"{len(taxonomy.ORIGINAL) - 1}, separated by commas"
        )
    return cells[0].strip(), numbers, cells[2].strip()


def _clip(
    name: str, text: str, labels: list[str], classes: list[int], known: set[int]
) -> dict[str, Any]:
    intensities = np.full(len(record.EMOTIONS), np.nan, np.float32)
    intensities[list(known)] = 0
    intensities[[id_ for id_ in classes if id_ >= 0]] = 1
    return written(
        name,
        text,
        emotion=classes[0] if len(classes) == 1 else -1,
        emotions=intensities,
        labels=",".join(labels),
    )
