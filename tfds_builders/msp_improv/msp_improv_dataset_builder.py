"""TFDS builder of MSP-IMPROV: its turns, from the films or from the sound files."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from tfds_builders.clips_builder import LABELLED, ClipsBuilder, ClipsConfig
from tfds_builders.labels import Published
from tfds_builders.listing import EVERYTHING, Listing
from tfds_builders.msp_improv import evaluation, release

_COUNTS = {
    "S": {"A": 470, "S": 633, "H": 1048, "N": 1789, "O": 70, "X": 371},
    "T": {"A": 115, "S": 106, "H": 136, "N": 283, "O": 1, "X": 11},
    "R": {"A": 169, "S": 80, "H": 88, "N": 241, "O": 3, "X": 39},
    "P": {"A": 38, "S": 66, "H": 1372, "N": 1164, "O": 11, "X": 134},
}
"""Turns of each setting and label, in all 8,438."""

_SOURCE = "Busso et al. 2017, tables 3 and 4, as quoted elsewhere"


@dataclasses.dataclass(eq=False)
class TurnsConfig(ClipsConfig):
    """A configuration that says which turns are wanted, and whether of films or of sound files.

    `labels`: code of the release -> canonical name, '' for none; `settings`: letters of
    `evaluation.SETTINGS`.
    """

    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    settings: str = ""
    films: bool = True


def _config(name: str, description: str, labels: str, settings: str, films: bool) -> TurnsConfig:
    counts = {"clips": sum(_COUNTS[setting][code] for setting in settings for code in labels)}
    for code in labels:
        if label := evaluation.CODES[code]:
            counts[f"emotion/{label}"] = sum(_COUNTS[setting][code] for setting in settings)
    return TurnsConfig(
        name=name if films else f"{name}_speech",
        description=f"{description} {'Films' if films else 'Sound files'}.",
        extract=LABELLED,
        published=Published(_SOURCE, {EVERYTHING: counts}),
        labels={code: evaluation.CODES[code] for code in labels},
        settings=settings,
        films=films,
    )


_FOUR, _EVERY = "AHNS", "AHNOSX"
_CHOICES = {
    "other_improvised": ("Improvised turns, without the target sentences.", _FOUR, "S"),
    "target_improvised": ("Target sentences that were improvised towards.", _FOUR, "T"),
    "target_read": ("Target sentences that were read.", _FOUR, "R"),
    "natural_interaction": ("What the actors said between the recordings.", _FOUR, "P"),
    "4class": ("Anger, happiness, neutral, sadness; all settings.", _FOUR, "PRST"),
    "all": ("Every turn, also of another emotion, or without agreement.", _EVERY, "PRST"),
}


class Builder(ClipsBuilder):
    """Turns of MSP-IMPROV."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[ClipsConfig]] = [
        _config(name, *chosen, films)
        for films in (True, False)
        for name, chosen in _CHOICES.items()
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"manual_dir is a folder with {' or '.join(release.EVALUATIONS)}, and in any folders below "
        "it the films or sound files MSP-IMPROV-*.avi, .wav and the transcripts MSP-IMPROV-*.txt, "
        "all under the names of the release."
    )

    def list_sources(self, manual_dir: Path) -> Listing:
        """A source a turn that has a label and a setting of the configuration."""
        chosen = self.builder_config
        return release.listing(
            manual_dir,
            chosen.labels,
            chosen.settings,
            chosen.films,
            self.MANUAL_DOWNLOAD_INSTRUCTIONS,
        )
