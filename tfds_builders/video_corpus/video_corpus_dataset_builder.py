"""TFDS builder of any folder of videos: unlabelled clips, cut by their subtitles."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from memobert_jax.config import ExtractConfig
from memobert_jax.media import video
from tfds_builders import manual, unlabelled
from tfds_builders.clips_builder import ClipsBuilder, ClipsConfig
from tfds_builders.extraction import Outcome, Source
from tfds_builders.listing import Listing


class Builder(ClipsBuilder):
    """Clips of a folder of videos with subtitles."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[ClipsConfig]] = [
        ClipsConfig(name="default", description="Clips with text, face and speech."),
        ClipsConfig(
            name="without_faces",
            description="Text and speech required; also sound files.",
            extract=ExtractConfig(require=("text", "speech")),
        ),
        ClipsConfig(
            name="without_text",
            description="Face and speech required; no subtitles needed.",
            extract=ExtractConfig(require=("face", "speech")),
        ),
        ClipsConfig(
            name="anything",
            description="Nothing required: what is missing is empty.",
            extract=ExtractConfig(require=()),
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "manual_dir is the folder of your videos, searched with all its folders. The subtitles of "
        "x.mp4 are x.srt, x.vtt or x.ass, beside it or in srt/, subtitles/ or subs/, or a "
        "subtitle stream in it."
    )

    def list_sources(self, manual_dir: Path) -> Listing:
        """Every video under the folder, hidden ones aside, in order of its relative path."""
        suffixes = video.SUFFIXES
        if "face" not in self.builder_config.extract.require:
            suffixes = suffixes | manual.SOUND_SUFFIXES
        files = sorted(path.relative_to(manual_dir).as_posix() for path in manual.walk(manual_dir))
        videos = [name for name in files if Path(name).suffix.lower() in suffixes]
        if not videos:
            raise FileNotFoundError(
                f"no video in {manual_dir}: {len(files)} files there and in its folders, none with "
                f"a suffix of {' '.join(sorted(suffixes))}. Give the folder of your videos"
            )
        return Listing.of([Source(name, str(manual_dir / name)) for name in videos])

    def assign_splits(
        self, sources: Sequence[Source], outcomes: Sequence[Outcome]
    ) -> dict[str, list[Outcome]]:
        """`train` and `validation` by a stable hash of the video id; copies of a file dropped."""
        return unlabelled.split_by_hash(unlabelled.drop_copies(outcomes))
