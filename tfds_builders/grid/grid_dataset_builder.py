"""TFDS builder of GRID: unlabelled clips of talking faces, cut by word alignments or subtitles."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from memobert_jax.config import ExtractConfig
from memobert_jax.media import subtitles, video
from tfds_builders import manual, unlabelled
from tfds_builders.clips_builder import ClipsBuilder, ClipsConfig
from tfds_builders.extraction import Outcome, Source
from tfds_builders.grid import alignments
from tfds_builders.labels import ALL, Published
from tfds_builders.listing import Listing, Omission, Tally

_SPEAKER = re.compile(r"(?:^|[^a-z0-9])(s\d{1,2})$", re.IGNORECASE)


class Builder(ClipsBuilder):
    """Clips of GRID."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[ClipsConfig]] = [
        ClipsConfig(
            name="default",
            description="Clips with text, face and speech.",
            extract=ExtractConfig(min_utterance_s=0.5),
            published=Published(
                "Cooke et al. 2006: 1000 sentences of each of 34 speakers", {ALL: {"clips": 34_000}}
            ),
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "manual_dir is a folder with the videos of GRID and their .align files, searched with all "
        "its folders, such as s1/bbaf2n.mpg and align/s1/bbaf2n.align; a subtitle file bbaf2n.srt "
        "serves where there is no .align file."
    )

    def list_sources(self, manual_dir: Path) -> Listing:
        """The videos with an alignment or subtitles, in order of their paths."""
        tally = Tally()
        paths = sorted(manual.walk(manual_dir))
        videos = [path for path in paths if path.suffix.lower() in video.SUFFIXES]
        if not videos:
            raise manual.missing(manual_dir, "video", self.MANUAL_DOWNLOAD_INSTRUCTIONS)
        aligned: dict[tuple[str, str], Path] = {}
        for path in paths:
            if path.suffix.lower() == ".align":
                first = aligned.setdefault((speaker_of(path, manual_dir), path.stem), path)
                if first is not path:
                    _omit(Omission.DUPLICATE_ID, path, manual_dir, tally)
        sources, used = [], set()
        tally.listed += len(videos)
        for path in videos:
            key = speaker, _ = speaker_of(path, manual_dir), path.stem
            source = _source(path, manual_dir, speaker, aligned.get(key))
            source = Omission.DUPLICATE_ID if key in used else source
            used |= {key} & aligned.keys()
            if isinstance(source, Source):
                sources.append(source)
            else:
                tally.omit(source, path.relative_to(manual_dir).as_posix())
        for key in sorted(aligned.keys() - used):
            _omit(Omission.NO_MEDIA, aligned[key], manual_dir, tally)
        return Listing(sources, tally)

    def assign_splits(
        self, sources: Sequence[Source], outcomes: Sequence[Outcome]
    ) -> dict[str, list[Outcome]]:
        """`train` and `validation` by a stable hash of the video id; copies of a file dropped."""
        return unlabelled.split_by_hash(unlabelled.drop_copies(outcomes))


def _omit(reason: Omission, path: Path, root: Path, tally: Tally) -> None:
    """Lists and leaves out an alignment."""
    tally.listed += 1
    tally.omit(reason, path.relative_to(root).as_posix())


def speaker_of(path: Path, root: Path) -> str:
    """The speaker, s1 to s34: the innermost folder that is named so, `root` included; else ''.

    `.align` files lie in folders of their own, so it is their speaker and name that say whose they
    are: names of videos repeat from speaker to speaker.
    """
    folders = (root.name, *path.relative_to(root).parts[:-1])
    found = [match[1].lower() for name in folders if (match := _SPEAKER.search(name))]
    return found[-1] if found else ""


def _source(path: Path, root: Path, speaker: str, aligned: Path | None) -> Source | Omission:
    """The source of a video, or why it is left out."""
    utterances = None
    if aligned is not None:
        try:
            utterances = (alignments.read(aligned),)
        except ValueError:
            return Omission.UNREADABLE
    elif subtitles.find_sidecar(path) is None:
        return Omission.NO_ANNOTATION
    labels = {"speaker": speaker} if speaker else {}
    return Source(path.relative_to(root).as_posix(), str(path), "", utterances, labels)
