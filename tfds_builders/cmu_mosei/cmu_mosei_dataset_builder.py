"""TFDS builder of CMU-MOSEI: clips of its videos, or its published features."""

from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from tfds_builders.clips_builder import ClipsConfig
from tfds_builders.cmu import places, raw
from tfds_builders.cmu.labels import Labels, read_folds
from tfds_builders.cmu.places import FeaturesConfig, both
from tfds_builders.labels import Published
from tfds_builders.listing import Listing
from tfds_builders.records_builder import RecordsBuilder
from tfds_builders.streaming import Records

INSTRUCTIONS = (
    "manual_dir holds the files of CMU-MOSEI under the names that CMU, or MMSA, gave them. raw: "
    "Raw/Videos, Raw/Transcript and CMU_MOSEI_Labels.csd; words and frames: the .csd files; the "
    "others: one processed file. The splits of raw, words and frames are in cmu_mosei_std_folds.py "
    "of the CMU-MultimodalSDK. See tfds_builders/cmu_mosei/README.md."
)

PLACES = places.Places(
    labels=("CMU_MOSEI_Labels.csd", "All Labels.csd"),
    folds=("cmu_mosei_std_folds.py", "folds.csv"),
    sequences={
        "text_features": ("CMU_MOSEI_TimestampedWordVectors.csd", "glove_vectors.csd"),
        "words": ("CMU_MOSEI_TimestampedWords.csd", "words.csd"),
        "speech": ("CMU_MOSEI_COVAREP.csd", "COVAREP.csd", "COAVAREP.csd"),
        "facet": ("CMU_MOSEI_VisualFacet42.csd", "FACET 4.2.csd"),
        "openface": ("CMU_MOSEI_VisualOpenFace2.csd", "OpenFace_2.csd", "OpenFace_2.0.csd"),
    },
    instructions=INSTRUCTIONS,
    emotions=True,
)


def _clips(source: str, train: int, validation: int, test: int) -> Published:
    counts = {"train": train, "validation": validation, "test": test}
    return Published(source, {split: {"clips": count} for split, count in counts.items()})


_FOLDS = _clips("labelled segments in the SDK's standard folds", 16327, 1871, 4662)
_FIFTY = _clips("segments of the files of 50 steps, as MMSA has them", 16326, 1871, 4659)
_TWENTY = _clips(
    "segments of the files of 20 steps, CMU-MultimodalSDK issue 132", 15290, 2291, 4832
)


class Builder(RecordsBuilder):
    """CMU-MOSEI."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list] = [
        ClipsConfig(
            name="raw",
            description="Clips of the videos, to be featurized.",
            extract=raw.EVERY_CLIP,
            published=_FOLDS,
        ),
        *both(
            FeaturesConfig(
                name="words",
                description="COVAREP, FACET 4.2 and word vectors, a row a word.",
                kind="words",
                file="facet",
                published=_FOLDS,
            ),
            FeaturesConfig(
                name="frames",
                description="COVAREP and FACET 4.2 at 60 and 100 ms a row; word vectors.",
                kind="frames",
                file="facet",
                published=_FOLDS,
            ),
            FeaturesConfig(
                name="aligned_50",
                description="The pickle of the SDK and MulT, 50 words.",
                kind="pickle",
                file="mosei_senti_data.pkl",
                published=_FIFTY,
            ),
            FeaturesConfig(
                name="unaligned_50",
                description="The pickle of the SDK and MulT, 50 words and 500 frames.",
                kind="pickle",
                file="mosei_senti_data_noalign.pkl",
                aligned=False,
                published=_FIFTY,
            ),
            FeaturesConfig(
                name="mmsa_aligned",
                description="The aligned pickle of MMSA.",
                kind="mmsa",
                file="aligned_50.pkl",
                published=_FIFTY,
            ),
            FeaturesConfig(
                name="mmsa_unaligned",
                description="The unaligned pickle of MMSA.",
                kind="mmsa",
                file="unaligned_50.pkl",
                aligned=False,
                published=_FIFTY,
            ),
            FeaturesConfig(
                name="seq_20",
                description="The HDF5 files of 20 steps.",
                kind="h5",
                file="text_train_emb.h5",
                published=_TWENTY,
            ),
        ),
        FeaturesConfig(
            name="words_openface",
            description="COVAREP, OpenFace 2 and word vectors, a row a word.",
            kind="words",
            file="openface",
            published=_FOLDS,
        ),
        FeaturesConfig(
            name="frames_openface",
            description="COVAREP and OpenFace 2 at 60 and 100 ms a row; word vectors.",
            kind="frames",
            file="openface",
            published=_FOLDS,
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = INSTRUCTIONS

    def list_sources(self, manual_dir: Path) -> Listing:
        """The labelled segments, with the video or the clip that each is in."""
        labels = Labels(PLACES.need(manual_dir, PLACES.labels))
        folds = read_folds(PLACES.need(manual_dir, PLACES.folds))
        names = ("Videos/Full", "Videos/Segmented")
        media = raw.folder_of(manual_dir, names, INSTRUCTIONS)
        transcripts = raw.folder_of(manual_dir, ("Transcript/Segmented",), INSTRUCTIONS)
        return raw.listing(
            raw.Corpus(
                root=manual_dir,
                labels=labels,
                folds=folds,
                media=raw.media_in(media),
                whole="Full" in media.relative_to(manual_dir).parts,
                transcripts=raw.read_transcripts(transcripts),
                words_file=PLACES.find(manual_dir, PLACES.sequences["words"]),
            )
        )

    def open_records(self, manual_dir: Path) -> Records:
        """The files of a configuration of features."""
        return places.records(PLACES, manual_dir, self.builder_config)
