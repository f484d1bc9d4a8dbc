"""TFDS builder of RAVDESS: acted speech with or without the face."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from memobert_jax.media import video
from tfds_builders import manual, named_files
from tfds_builders.clips_builder import LABELLED, ClipsConfig
from tfds_builders.extraction import Source
from tfds_builders.labels import Published
from tfds_builders.listing import EVERYTHING, Listing, Tally
from tfds_builders.ravdess import action_units, names
from tfds_builders.records_builder import RecordsBuilder, RecordsConfig
from tfds_builders.streaming import Records

PUBLISHED = Published(
    "Livingstone & Russo 2018: 24 actors, 2 statements, 2 repetitions, 2 intensities, of neutral 1",
    {
        EVERYTHING: {
            "clips": 1440,
            "emotion/neutral": 96,
            **dict.fromkeys(
                (
                    "emotion/calm",
                    "emotion/happiness",
                    "emotion/sadness",
                    "emotion/anger",
                    "emotion/fear",
                    "emotion/disgust",
                    "emotion/surprise",
                ),
                192,
            ),
        }
    },
)


@dataclasses.dataclass(eq=False)
class MediaConfig(ClipsConfig):
    """A configuration that says which files are read: those whose name begins with `modality`."""

    modality: str = names.AUDIO


class Builder(RecordsBuilder):
    """The speech of RAVDESS; there is no official split: folds are made by `speaker`."""

    OPTIONS: ClassVar[tuple[str, ...]] = ("like",)
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        MediaConfig(
            name="audio_visual",
            modality=names.AUDIO_VISUAL,
            description="Face and speech, of the audio-visual files (01-01-…).",
            extract=LABELLED,
            published=PUBLISHED,
        ),
        MediaConfig(
            name="speech",
            description="Speech alone, of the sound files (03-01-…).",
            extract=LABELLED,
            published=PUBLISHED,
        ),
        RecordsConfig(
            name="action_units",
            description="Features: log-mel speech of the sound files, one vector of facial action "
            "units a clip.",
            normalise_on=EVERYTHING,
            published=PUBLISHED,
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "manual_dir is the folder into which the archives of RAVDESS were extracted "
        "(https://zenodo.org/records/1188976): Actor_01 to Actor_24, with "
        "01-01-….mp4 for audio_visual, 03-01-….wav (or .opus) for speech and action_units; the "
        f"latter also needs {action_units.FILE}."
    )

    def __init__(self, *, like: str = "", **kwargs: Any):
        """`like`: see `action_units.open_records`; of no use to the other configurations."""
        super().__init__(**kwargs)
        self._like = like
        if like and not self.read_whole:
            raise ValueError(
                f"--like has no effect on configuration {self.builder_config.name!r}: leave it out"
            )

    def list_sources(self, manual_dir: Path) -> Listing:
        """The speech files of the modality that the configuration reads, in order of their ids."""
        modality = self.builder_config.modality
        suffixes = video.SUFFIXES if modality == names.AUDIO_VISUAL else manual.SOUND_SUFFIXES
        tally = Tally()
        files = names.find(manual_dir, modality, suffixes, tally)
        if not files:
            example = f"speech clip such as {names.expected(modality)[0].id}"
            raise manual.missing(manual_dir, example, self.MANUAL_DOWNLOAD_INSTRUCTIONS)
        return Listing([_source(clip, path) for clip, path in files], tally)

    def open_records(self, manual_dir: Path) -> Records:
        """Log-mel rows and action units."""
        units = manual.need(manual_dir, action_units.FILE, self.MANUAL_DOWNLOAD_INSTRUCTIONS)
        return action_units.open_records(manual_dir, units, LABELLED, self._like)


def _source(clip: names.Clip, path: Path) -> Source:
    utterance = named_files.whole_file(clip.text, **clip.fields())
    return Source(clip.id, str(path), EVERYTHING, (utterance,))
