"""TFDS builder of a labelled folder: one CSV file says what is where."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from memobert_jax.config import ExtractConfig
from tfds_builders import tables
from tfds_builders.clips_builder import LABELLED, ClipsBuilder, ClipsConfig
from tfds_builders.folder_corpus import rows
from tfds_builders.listing import Listing

CSV_FILE = "clips.csv"


class Builder(ClipsBuilder):
    """Clips of a labelled folder."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[ClipsConfig]] = [
        ClipsConfig(name="default", description="Every row that has anything.", extract=LABELLED),
        ClipsConfig(
            name="complete",
            description="Rows with text, face and speech.",
            extract=ExtractConfig(min_utterance_s=0.2, max_utterance_s=60.0),
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"manual_dir is the folder of your files, with {CSV_FILE} in it (or give --csv): columns "
        f"{','.join(rows.REQUIRED)}, optional {','.join(rows.OPTIONAL)}."
    )

    OPTIONS: ClassVar[tuple[str, ...]] = ("csv", "aliases")

    def __init__(self, *, csv: str = "", aliases: Sequence[str] = (), **kwargs: Any):
        """`csv`: the CSV file, by default clips.csv in manual_dir; `aliases`: more spellings of
        labels, as joyous:happiness."""
        super().__init__(**kwargs)
        self._csv = csv
        self._aliases = {**tables.ALIASES, **tables.aliases(aliases)}

    def list_sources(self, manual_dir: Path) -> Listing:
        """The files and text-only rows of the CSV file."""
        csv_file = Path(self._csv or manual_dir / CSV_FILE)
        return Listing.of(rows.sources(csv_file, manual_dir, self._aliases))
