"""TFDS builder of IEMOCAP: the turns of its dialogues, from the films or from the sound files."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from tfds_builders.clips_builder import LABELLED, ClipsBuilder, ClipsConfig
from tfds_builders.iemocap import annotations, release
from tfds_builders.labels import Published
from tfds_builders.listing import EVERYTHING, Listing

_MERGED = {"exc": "happiness"}
_FOUR = ("ang", "exc", "hap", "neu", "sad")
_SIX = ("ang", "exc", "fru", "hap", "neu", "sad")
_COUNTS = {
    "ang": 1103,
    "dis": 2,
    "exc": 1041,
    "fea": 40,
    "fru": 1849,
    "hap": 595,
    "neu": 1708,
    "oth": 3,
    "sad": 1084,
    "sur": 107,
    "xxx": 2507,
}
"""Turns of each label, in all 10,039."""

_SOURCE = "counts that public programs and data cards for the release agree on, not its paper"


@dataclasses.dataclass(eq=False)
class TurnsConfig(ClipsConfig):
    """A configuration that says which labels are wanted, and whether of films or of sound files.

    `labels`: code of the release -> canonical name, '' for none.
    """

    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    films: bool = True


def _config(name: str, description: str, labels: Mapping[str, str], films: bool) -> TurnsConfig:
    counts = {"clips": sum(_COUNTS[code] for code in labels)}
    for code, label in labels.items():
        if label:
            counts[f"emotion/{label}"] = counts.get(f"emotion/{label}", 0) + _COUNTS[code]
    return TurnsConfig(
        name=name if films else f"{name}_speech",
        description=f"{description} {'Films' if films else 'Sound files'}.",
        extract=LABELLED,
        published=Published(_SOURCE, {EVERYTHING: counts}),
        labels=labels,
        films=films,
    )


_FOUR_LABELS = {code: _MERGED.get(code, annotations.CODES[code]) for code in _FOUR}
_SETS = {
    "4class": ("Anger, happiness with excitement, neutral, sadness.", _FOUR_LABELS),
    "6class": (
        "Anger, excitement, frustration, happiness, neutral, sadness.",
        {code: annotations.CODES[code] for code in _SIX},
    ),
    "all": ("Every turn, also those on which the annotators do not agree.", annotations.CODES),
}


class Builder(ClipsBuilder):
    """Turns of IEMOCAP."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[ClipsConfig]] = [
        _config(name, *described, films)
        for films in (True, False)
        for name, described in _SETS.items()
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"manual_dir is the folder {release.RELEASE} with Session1 to Session5, as it is in the "
        "archive that the authors send (https://sail.usc.edu/iemocap/)."
    )

    def list_sources(self, manual_dir: Path) -> Listing:
        """A source a film, or a sound file, of the turns with a label of the configuration."""
        chosen = self.builder_config
        return release.listing(
            manual_dir, chosen.labels, chosen.films, self.MANUAL_DOWNLOAD_INSTRUCTIONS
        )
