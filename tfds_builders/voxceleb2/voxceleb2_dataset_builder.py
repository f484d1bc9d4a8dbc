"""TFDS builder of VoxCeleb2: unlabelled clips of one face and its voice, without text."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from memobert_jax.config import ExtractConfig
from memobert_jax.media import video
from tfds_builders import manual, tables, unlabelled
from tfds_builders.clips_builder import ClipsBuilder, ClipsConfig, check_no_empty_split
from tfds_builders.extraction import Outcome, Source
from tfds_builders.listing import Listing, Omission, Tally

META_FILE = "vox2_meta.csv"
_COLUMNS = ("voxceleb2 id", "vggface2 id", "gender", "set")
_GENDERS = {"f": "female", "m": "male"}
_PLACE = re.compile(r"(?:^|/)(id\d{5})/([^/]+)/\d+\.\w+$")


@dataclasses.dataclass(eq=False)
class VoxConfig(ClipsConfig):
    """A configuration that says whether videos or sound files are read."""

    faces: bool = True


class Builder(ClipsBuilder):
    """Clips of VoxCeleb2."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[VoxConfig]] = [
        VoxConfig(
            name="default",
            description="Face and speech, of the mp4 files.",
            extract=ExtractConfig(require=("face", "speech")),
        ),
        VoxConfig(
            name="speech",
            description="Speech alone, of the m4a files.",
            extract=ExtractConfig(require=("speech",)),
            faces=False,
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "manual_dir is a folder with the extracted trees of VoxCeleb2, dev/mp4/id00012/VIDEO/"
        "00001.mp4 and test/mp4/… (for --config=speech dev/aac/…/00001.m4a), and, if at hand, "
        f"{META_FILE} for gender and set."
    )

    def list_sources(self, manual_dir: Path) -> Listing:
        """The files of the tree, in order of their paths; their split is the official set."""
        cfg = self.builder_config
        wanted, other = video.SUFFIXES, manual.SOUND_SUFFIXES
        if not cfg.faces:
            wanted, other = other, wanted
        speakers = read_meta(manual_dir)
        tally, sources = Tally(), []
        for path in sorted(manual.walk(manual_dir)):
            suffix, name = path.suffix.lower(), path.relative_to(manual_dir).as_posix()
            if suffix not in wanted | other:
                continue
            tally.listed += 1
            if suffix in other:
                tally.omit(Omission.OTHER_MODALITY, name)
            elif not (place := _PLACE.search(name)):
                tally.omit(Omission.NO_ANNOTATION, name)
            else:
                speaker, session = place.groups()
                known = speakers.get(speaker, {})
                official = known.get("set") or ("test" if "test" in name.split("/") else "dev")
                labels = {"speaker": speaker, "session": session, "gender": known.get("gender", "")}
                sources.append(Source(name, str(path), official, None, labels))
        if not sources:
            what = f"file such as id00012/VIDEO/00001{'.mp4' if cfg.faces else '.m4a'}"
            raise manual.missing(manual_dir, what, self.MANUAL_DOWNLOAD_INSTRUCTIONS)
        return Listing(sources, tally)

    def assign_splits(
        self, sources: Sequence[Source], outcomes: Sequence[Outcome]
    ) -> dict[str, list[Outcome]]:
        """`train` and `validation` of the set dev, by speaker; `test` is the official one.

        Copies of a file are dropped. A set of which there is no file has no split.
        """
        official: dict[str, list[Outcome]] = {"dev": [], "test": []}
        for source, outcome in zip(sources, unlabelled.drop_copies(outcomes), strict=True):
            official[source.split].append(outcome)
        splits = unlabelled.split_by_hash(official["dev"], unit_of=speaker_of)
        splits["test"] = official["test"]
        splits = {name: part for name, part in splits.items() if part}
        check_no_empty_split(splits)
        return splits


def speaker_of(video_id: str) -> str:
    """The speaker of a path in the tree."""
    return _PLACE.search(video_id)[1]


def read_meta(manual_dir: Path) -> Mapping[str, Mapping[str, Any]]:
    """Speaker -> `gender` and `set` of vox2_meta.csv; nothing without the file.

    Raises:
      ValueError: for a table that cannot be meant, with its line.
    """
    path = manual_dir / META_FILE
    if not path.is_file():
        return {}
    found = {}
    for row in tables.read_rows(path, _COLUMNS):
        gender, official = row["gender"].lower(), row["set"].lower()
        if gender not in _GENDERS or official not in ("dev", "test"):
            raise ValueError(
                f"{path} line {row['line']}: gender {row['gender']!r}, set {row['set']!r}; "
                "expected f or m, and dev or test"
            )
        speaker = row["voxceleb2 id"]
        found[speaker] = {"gender": _GENDERS[gender], "set": official}
    return found
