"""TFDS builder of Emo-DB: acted German speech, with its ten sentences as text."""

from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from memobert_jax.config import ExtractConfig
from tfds_builders import manual, named_files
from tfds_builders.clips_builder import ClipsBuilder, ClipsConfig
from tfds_builders.emodb import names
from tfds_builders.labels import Published
from tfds_builders.listing import EVERYTHING, Listing, Tally

COUNTS = {
    "anger": 127,
    "boredom": 81,
    "disgust": 46,
    "fear": 69,
    "happiness": 71,
    "neutral": 79,
    "sadness": 62,
}
"""Utterances of each label in the public release."""


class Builder(ClipsBuilder):
    """Clips of Emo-DB."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[ClipsConfig]] = [
        ClipsConfig(
            name="default",
            description="All utterances, seven labels.",
            extract=ExtractConfig(require=("speech",), min_utterance_s=0.2, max_utterance_s=60.0),
            published=Published(
                "the release of 535 utterances, emodb.bilderbar.info",
                {
                    EVERYTHING: {
                        "clips": sum(COUNTS.values()),
                        **{f"labels/{label}": count for label, count in COUNTS.items()},
                    }
                },
            ),
        )
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "manual_dir is the folder that download.zip of Emo-DB becomes, with wav/03a01Fa.wav in it."
    )

    def list_sources(self, manual_dir: Path) -> Listing:
        """The files of wav/, by name."""
        tally = Tally()
        folder = manual.need(manual_dir, "wav", self.MANUAL_DOWNLOAD_INSTRUCTIONS)
        paths = named_files.files(folder, ".wav")
        found = named_files.sources(manual_dir, paths, lambda p: names.read(p.stem), tally)
        return Listing(found, tally)
