"""TFDS builder of CREMA-D: 91 actors, twelve sentences; labels as acted or as perceived."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from memobert_jax import record
from memobert_jax.config import ExtractConfig
from memobert_jax.media.subtitles import Utterance
from tfds_builders import manual, named_files
from tfds_builders.clips_builder import ClipsBuilder, ClipsConfig
from tfds_builders.crema_d import names, tables
from tfds_builders.labels import Published
from tfds_builders.listing import EVERYTHING, Listing, Omission, Tally

SUFFIXES = {"VideoFlash": ".flv", "AudioWAV": ".wav"}
"""Folder of media -> suffix of its files."""

_ACTED = Published(
    "README of CREMA-D (7,442 clips); classes counted in the file names of SentenceFilenames.csv",
    {
        EVERYTHING: {
            "clips": 7442,
            **{f"emotion/{name}": 1271 for name in names.EMOTIONS.values()},
            "emotion/neutral": 1087,
        }
    },
)
_POINTER = b"version https://git-lfs"


@dataclasses.dataclass(eq=False)
class CremaConfig(ClipsConfig):
    """A configuration that says which media are read, and whose label is taken.

    vote: column of the raters' votes; '': the emotion that was acted.
    """

    media: str = "VideoFlash"
    vote: str = ""
    extract: ExtractConfig = dataclasses.field(
        default_factory=lambda: ExtractConfig(require=("speech",), max_utterance_s=10.0)
    )


class Builder(ClipsBuilder, skip_registration=True):  # TFDS has one of this name
    """Clips of CREMA-D.

    Clips last 1 to 10 seconds: files that are shorter or longer are none of the clip that their
    name says.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[CremaConfig]] = [
        CremaConfig(name="acted", description="Video; acted emotion.", published=_ACTED),
        CremaConfig(
            name="acted_audio",
            description="Sound; acted emotion.",
            media="AudioWAV",
            published=_ACTED,
        ),
        CremaConfig(
            name="perceived",
            description="Video; what most raters saw and heard.",
            vote="MultiModalVote",
        ),
        CremaConfig(
            name="perceived_face",
            description="Video; what most raters saw in it without sound.",
            vote="FaceVote",
        ),
        CremaConfig(
            name="perceived_voice",
            description="Sound; what most raters heard.",
            media="AudioWAV",
            vote="VoiceVote",
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "manual_dir is a clone of CREMA-D, made with git-lfs: it holds VideoFlash/ (or AudioWAV/, "
        f"for the configurations of sound), {tables.DEMOGRAPHICS_FILE} and, for the perceived "
        f"labels, {tables.VOTES_FILE}. Clips that {tables.CLIPS_FILE} lists and that are "
        "missing are counted."
    )

    def list_sources(self, manual_dir: Path) -> Listing:
        """The files of the media folder, by name, and the clips of the tables that it lacks."""
        config, tally = self.builder_config, Tally()
        genders = tables.genders(self._need(manual_dir, tables.DEMOGRAPHICS_FILE))
        votes, listed = None, set()
        if (manual_dir / tables.CLIPS_FILE).is_file():
            listed = tables.clips(manual_dir / tables.CLIPS_FILE)
        if config.vote:
            votes = tables.votes(self._need(manual_dir, tables.VOTES_FILE), config.vote)
        folder = self._need(manual_dir, config.media)
        paths = named_files.files(folder, SUFFIXES[config.media])
        _check_pointers(paths)

        def read(path: Path) -> Utterance | Omission:
            return _utterance(path.stem, genders, votes)

        found = named_files.sources(manual_dir, paths, read, tally)
        there = {name.id for name in map(names.read, [path.stem for path in paths]) if name}
        for name in sorted(listed.union(votes or ()) - there):
            tally.listed += 1
            tally.omit(Omission.NO_MEDIA, name)
        return Listing(found, tally)

    def _need(self, manual_dir: Path, relative: str) -> Path:
        return manual.need(manual_dir, relative, self.MANUAL_DOWNLOAD_INSTRUCTIONS)


def _utterance(
    stem: str, genders: Mapping[str, str], votes: Mapping[str, Sequence[str]] | None
) -> Utterance | Omission:
    name = names.read(stem)
    if name is None:
        return Omission.NO_ANNOTATION
    if name.actor not in genders:
        raise ValueError(
            f"{stem!r}: actor {name.actor} is not in {tables.DEMOGRAPHICS_FILE}, which has "
            f"{len(genders)} actors. If the file is not of CREMA-D, take it out of the folder"
        )
    chosen: Sequence[str] = (name.emotion,)
    if votes is not None:
        chosen = votes.get(name.id, ())
        if not chosen:
            return Omission.NO_ANNOTATION
        if len(chosen) > 1:
            return Omission.NO_MAJORITY
    return named_files.whole_file(
        name.text,
        id=name.id,
        speaker=name.actor,
        gender=genders[name.actor],
        emotion=record.EMOTIONS.index(chosen[0]),
    )


def _check_pointers(paths: Sequence[Path]) -> None:
    """Raises ValueError if some files are what git leaves of them without git-lfs."""
    small = [path for path in paths if path.is_file() and path.stat().st_size < 1024]
    pointers = [path for path in small if path.read_bytes().startswith(_POINTER)]
    if pointers:
        raise ValueError(
            f"{len(pointers)} of {len(paths)} files, such as {pointers[0]}, are pointers of "
            "git-lfs instead of media: run `git lfs pull` in the clone"
        )
