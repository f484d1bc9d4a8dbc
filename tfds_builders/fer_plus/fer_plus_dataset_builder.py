"""TFDS builder of FER+: each picture is a clip of one face crop, without text and sound."""

import dataclasses
import functools
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import tensorflow_datasets as tfds

from memobert_jax import record
from tfds_builders import manual
from tfds_builders.fer_plus import votes
from tfds_builders.listing import Tally
from tfds_builders.records_builder import RecordsBuilder, RecordsConfig
from tfds_builders.streaming import Records


@dataclasses.dataclass(eq=False)
class VotesConfig(RecordsConfig):
    """A configuration that says whether pictures without a majority are kept."""

    stage: str = "clips"
    unlabelled: bool = False


class Builder(RecordsBuilder):
    """Pictures of FER+."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[VotesConfig]] = [
        VotesConfig(name="majority", description="Pictures with a majority for one emotion."),
        VotesConfig(
            name="votes", description="Also pictures without one, unlabelled.", unlabelled=True
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"manual_dir is a folder with {votes.PIXELS_FILE} (FER2013) and {votes.VOTES_FILE} (FER+)."
    )

    def open_records(self, manual_dir: Path) -> Records:
        """The pictures, in order of the files."""
        names = (votes.PIXELS_FILE, votes.VOTES_FILE)
        return Records(
            inputs=[manual.need(manual_dir, n, self.MANUAL_DOWNLOAD_INSTRUCTIONS) for n in names],
            splits=list(votes.SPLITS.values()),
            read=functools.partial(_read, manual_dir, self.builder_config.unlabelled),
        )


def _read(folder: Path, unlabelled: bool, tally: Tally) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = itertools.zip_longest(votes.read_votes(folder), votes.read_pixels(folder))
    for number, (voted, drawn) in enumerate(rows):
        if voted is None or drawn is None or voted[1] != drawn[0]:
            raise ValueError(
                f"row {number + 1} of {votes.PIXELS_FILE} and of {votes.VOTES_FILE} in {folder} "
                "are not of the same picture; the files must be of the same release, in their "
                "original order"
            )
        name, split, label = voted
        tally.listed += 1
        if label.reason is None or (label.emotions and unlabelled):
            yield split, _clip(name, label, drawn[1])
        else:
            tally.omit(label.reason, name)


def _clip(name: str, label: votes.Label, picture: np.ndarray) -> dict[str, Any]:
    size = (record.FACE_SIZE, record.FACE_SIZE)
    crop = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
    colour = cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR)
    _, jpeg = cv2.imencode(".jpg", colour, [cv2.IMWRITE_JPEG_QUALITY, record.JPEG_QUALITY])
    return record.make(
        "clips",
        id=name,
        video_id=name,
        faces=[jpeg.tobytes()],
        face_time_s=np.zeros(1, np.float32),
        face_score=np.ones(1, np.float32),
        emotion=label.emotion,
        emotions=np.array(label.emotions, np.float32),
    )
