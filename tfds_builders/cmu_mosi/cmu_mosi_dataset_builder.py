"""TFDS builder of CMU-MOSI: clips of its videos, or its published features."""

from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from tfds_builders.clips_builder import ClipsConfig
from tfds_builders.cmu import places, raw
from tfds_builders.cmu.labels import Labels, read_folds
from tfds_builders.cmu.places import FeaturesConfig
from tfds_builders.labels import Published
from tfds_builders.listing import Listing
from tfds_builders.records_builder import RecordsBuilder
from tfds_builders.streaming import Records

INSTRUCTIONS = (
    "manual_dir holds the files of CMU-MOSI under the names that CMU, or MMSA, gave them: for raw, "
    "Raw/Video/Full and CMU_MOSI_Opinion_Labels.csd; for words and frames, the .csd files; for the "
    "others one pickle. The splits of raw, words and frames are in cmu_mosi_std_folds.py of the "
    "CMU-MultimodalSDK. See tfds_builders/cmu_mosi/README.md."
)

_WORDS = (
    "CMU_MOSI_TimestampedWords.csd",
    "CMU_MOSI_ModifiedTimestampedWords.csd",
    "words.csd",
)
PLACES = places.Places(
    labels=("CMU_MOSI_Opinion_Labels.csd", "Opinion Segment Labels.csd"),
    folds=("cmu_mosi_std_folds.py", "folds.csv"),
    sequences={
        "text_features": (
            "CMU_MOSI_TimestampedWordVectors.csd",
            "CMU_MOSI_TimestampedWordVectors_1.1.csd",
            "glove_vectors.csd",
        ),
        "words": _WORDS,
        "speech": ("CMU_MOSI_COVAREP.csd", "COVAREP.csd"),
        "facet": (
            "CMU_MOSI_VisualFacet_4.1.csd",
            "CMU_MOSI_Visual_Facet_42.csd",
            "CMU_MOSI_Visual_Facet_41.csd",
            "FACET 4.1.csd",
            "FACET 4.2.csd",
        ),
    },
    instructions=INSTRUCTIONS,
)

_SEGMENTS = Published(
    "the 2,199 segments in the SDK's standard folds, as MulT and MMSA have them",
    {"train": {"clips": 1284}, "validation": {"clips": 229}, "test": {"clips": 686}},
)


class Builder(RecordsBuilder):
    """CMU-MOSI."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list] = [
        ClipsConfig(
            name="raw",
            description="Clips of the videos, to be featurized.",
            extract=raw.EVERY_CLIP,
            published=_SEGMENTS,
        ),
        FeaturesConfig(
            name="words",
            description="COVAREP, FACET and word vectors, a row a word.",
            kind="words",
            file="facet",
            published=_SEGMENTS,
        ),
        FeaturesConfig(
            name="frames",
            description="COVAREP and FACET at 60 and 100 ms a row; word vectors.",
            kind="frames",
            file="facet",
            published=_SEGMENTS,
        ),
        FeaturesConfig(
            name="aligned_50",
            description="The pickle of the SDK and MulT, 50 words.",
            kind="pickle",
            file="mosi_data.pkl",
            published=_SEGMENTS,
        ),
        FeaturesConfig(
            name="unaligned_50",
            description="The pickle of the SDK and MulT, 50 words and their frames.",
            kind="pickle",
            file="mosi_data_noalign.pkl",
            aligned=False,
            published=_SEGMENTS,
        ),
        FeaturesConfig(
            name="mmsa_aligned",
            description="The aligned pickle of MMSA.",
            kind="mmsa",
            file="aligned_50.pkl",
            published=_SEGMENTS,
        ),
        FeaturesConfig(
            name="mmsa_unaligned",
            description="The unaligned pickle of MMSA.",
            kind="mmsa",
            file="unaligned_50.pkl",
            aligned=False,
            published=_SEGMENTS,
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = INSTRUCTIONS

    def list_sources(self, manual_dir: Path) -> Listing:
        """The labelled segments of whole videos; texts from the file of words, if it is there."""
        labels = Labels(PLACES.need(manual_dir, PLACES.labels))
        folds = read_folds(PLACES.need(manual_dir, PLACES.folds))
        media = raw.folder_of(manual_dir, ("Video/Full", "Videos/Full"), INSTRUCTIONS)
        return raw.listing(
            raw.Corpus(
                root=manual_dir,
                labels=labels,
                folds=folds,
                media=raw.media_in(media),
                whole=True,
                words_file=PLACES.find(manual_dir, PLACES.sequences["words"]),
            )
        )

    def open_records(self, manual_dir: Path) -> Records:
        """The files of a configuration of features."""
        return places.records(PLACES, manual_dir, self.builder_config)
