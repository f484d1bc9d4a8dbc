"""TFDS builder of any folder of videos: unlabelled clips, cut by their subtitles."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from memobert_jax.config import ExtractConfig
from memobert_jax.media import ledger, video
from memobert_jax.media.ledger import Reason
from tfds_builders.clips_builder import ClipsBuilder, ClipsConfig
from tfds_builders.extraction import Outcome, Source
from tfds_builders.listing import Listing

SOUND_SUFFIXES = frozenset(
    {".aac", ".aiff", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma"}
)
"""Taken where the configuration does not require faces."""

VALIDATION_SHARE = 0.05
"""Share of the videos in the validation split."""


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
            suffixes = suffixes | SOUND_SUFFIXES
        files = sorted(path.relative_to(manual_dir).as_posix() for path in walk(manual_dir))
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
        return split_by_hash(drop_copies(outcomes), VALIDATION_SHARE)


def walk(folder: Path) -> Iterator[Path]:
    """Files under a folder; hidden ones are ignored, links are followed, each folder once."""
    seen: set[Path] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = Path(parent).resolve()
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in files if not name.startswith("."))


def drop_copies(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Outcomes with the clips of a file's second and later copies dropped, under their reason."""
    seen: set[str] = set()
    out = []
    for outcome in outcomes:
        entry = outcome.ledger
        if outcome.clips and entry["sha256"] in seen:
            dropped = ledger.failed(
                entry["video_id"], entry["path"], entry["sha256"], Reason.COPY, entry["duration_s"]
            )
            outcome = Outcome(outcome.video_id, "", 0, dropped)
        elif outcome.clips:
            seen.add(entry["sha256"])
        out.append(outcome)
    return out


def split_by_hash(outcomes: Sequence[Outcome], share: float) -> dict[str, list[Outcome]]:
    """`train` and `validation`; both have clips where at least two videos have.

    The videos whose hash is lowest are the validation split: those below `share` of the range of
    the hash, and at least one. Videos without clips stay in the split of their hash.
    """

    def place(outcome: Outcome) -> float:
        return int(hashlib.sha256(outcome.video_id.encode()).hexdigest()[:13], 16) / 16**13

    ordered = sorted(place(outcome) for outcome in outcomes if outcome.clips)
    if len(ordered) < 2:
        return {"train": list(outcomes)}
    border = min(max(share, (ordered[0] + ordered[1]) / 2), ordered[-1])
    splits: dict[str, list[Outcome]] = {"train": [], "validation": []}
    for outcome in outcomes:
        splits["validation" if place(outcome) < border else "train"].append(outcome)
    return splits
