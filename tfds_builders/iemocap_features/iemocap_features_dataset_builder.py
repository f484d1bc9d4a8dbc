"""TFDS builder of the processed features of IEMOCAP that CMU and MulT made."""

from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from tfds_builders import manual
from tfds_builders.cmu import mult, processed, seq20
from tfds_builders.cmu.places import FeaturesConfig, both
from tfds_builders.labels import Published
from tfds_builders.records_builder import RecordsBuilder
from tfds_builders.streaming import Records


def _classes(**counts: int) -> dict[str, int]:
    return {"clips": sum(counts.values())} | {f"emotion/{name}": n for name, n in counts.items()}


_FOUR = Published(
    "class counts of iemocap_data.pkl",
    {
        "train": _classes(neutral=954, happiness=338, sadness=690, anger=735),
        "validation": _classes(neutral=358, happiness=116, sadness=188, anger=136),
        "test": _classes(neutral=383, happiness=135, sadness=193, anger=227),
    },
)
_NINE = Published(
    "class counts of the files of 20 steps (Dai et al. 2020, data.py)",
    {
        "train": _classes(
            anger=735, excitement=686, fear=19, sadness=690, surprise=65, frustration=1235,
            happiness=338, neutral=954, disgust=1,
        )
    },
)  # fmt: skip


class Builder(RecordsBuilder):
    """Features of IEMOCAP in the splits of CMU; the files do not tell who speaks."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[FeaturesConfig]] = both(
        FeaturesConfig(
            name="four",
            description="Four emotions, 20 words.",
            kind="pickle",
            file="iemocap_data.pkl",
            published=_FOUR,
        ),
        FeaturesConfig(
            name="four_unaligned",
            description="Four emotions, words and frames.",
            kind="pickle",
            file="iemocap_data_noalign.pkl",
            aligned=False,
            published=_FOUR,
        ),
        FeaturesConfig(
            name="nine",
            description="Nine emotions, 21 words.",
            kind="seq_20",
            file="text_train.p",
            published=_NINE,
        ),
    )
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "manual_dir holds iemocap_data.pkl (four), iemocap_data_noalign.pkl (four_unaligned), or "
        "the files text_, covarep_, facet_ and y_ of train, valid and test, each .p (nine)."
    )

    def open_records(self, manual_dir: Path) -> Records:
        """The pickles of a configuration."""
        cfg = self.builder_config
        path = manual.need(manual_dir, cfg.file, self.MANUAL_DOWNLOAD_INSTRUCTIONS)
        if cfg.kind == "seq_20":
            inputs, tables = seq20.iemocap_files(manual_dir), seq20.read_iemocap(manual_dir)
        else:
            inputs, tables = [path], mult.read_iemocap(path)
        source = processed.Source(inputs, tables, cfg.aligned, cfg.emotion_scores)
        return processed.records(source)
