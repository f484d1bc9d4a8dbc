"""TFDS builder of MELD: dialogues of a television series, each utterance a file."""

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from memobert_jax.config import ExtractConfig
from memobert_jax.media import ledger
from memobert_jax.media.ledger import Reason
from tfds_builders import manual, named_files
from tfds_builders.clips_builder import LABELLED, ClipsBuilder, ClipsConfig
from tfds_builders.extraction import Outcome, Source
from tfds_builders.labels import Published
from tfds_builders.listing import Listing, Omission, Tally
from tfds_builders.meld import rows

SPLITS = {
    "train": ("train", "train_splits"),
    "dev": ("validation", "dev_splits_complete"),
    "test": ("test", "output_repeated_splits_test"),
}
"""Name of a split in the files -> (name of the split, folder of its clips)."""

FINAL = "final_videos_test"
"""In front of the names of some clips of the test split: a second cut of the same utterance."""

LONGER_S = 10.0
"""A file that lasts so much longer than the times of its row is not that utterance."""

COUNTS = {
    "train": (1109, 271, 268, 1743, 4710, 683, 1205),
    "validation": (153, 22, 40, 163, 470, 111, 150),
    "test": (345, 68, 50, 402, 1256, 208, 281),
}
"""Utterances of each split: anger, disgust, fear, joy, neutral, sadness, surprise."""

_CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
_PUBLISHED = Published(
    "README of MELD, dataset distribution",
    {
        split: {
            "clips": sum(counts),
            **{f"emotion/{name}": n for name, n in zip(_CLASSES, counts, strict=True)},
        }
        for split, counts in COUNTS.items()
    },
)


@dataclasses.dataclass(eq=False)
class MeldConfig(ClipsConfig):
    """A configuration that says which cut is taken where the test split has two."""

    final_cuts: bool = False
    extract: ExtractConfig = LABELLED
    published: Published | None = _PUBLISHED


@dataclasses.dataclass(frozen=True)
class ListedClip(Source):
    """A source with the length that its row says, seconds; NaN if it says none."""

    listed_s: float = math.nan


class Builder(ClipsBuilder):
    """Clips of MELD in its official splits."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[MeldConfig]] = [
        MeldConfig(name="default", description="The clips dia…_utt….mp4."),
        MeldConfig(
            name="final_cuts",
            description=f"{FINAL}dia…_utt….mp4 where the test split has it.",
            final_cuts=True,
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "manual_dir is the folder MELD.Raw, with the archives in it (train.tar.gz, dev.tar.gz, "
        "test.tar.gz) extracted: it holds train_sent_emo.csv, dev_sent_emo.csv, "
        "test_sent_emo.csv, train_splits/, dev_splits_complete/ and output_repeated_splits_test/, "
        "each there or in train/, dev/, test/."
    )

    def list_sources(self, manual_dir: Path) -> Listing:
        """The rows of the three tables, in their order, and the files that no row names."""
        tally = Tally()
        found = [clip for part in SPLITS for clip in self._clips(manual_dir, part, tally)]
        unknown = sum(not clip.listed_s > 0 for clip in found)
        tally.note("rows whose times make no length, so that their clips are not checked", unknown)
        return Listing(found, tally)

    def _clips(self, manual_dir: Path, part: str, tally: Tally) -> Iterator[ListedClip]:
        split, folder = SPLITS[part]
        table = self._place(manual_dir, part, f"{part}_sent_emo.csv")
        paths = named_files.files(self._place(manual_dir, part, folder), ".mp4")
        files, seen = {path.stem: path for path in paths}, set()
        for row in rows.read(table, part):
            tally.listed += 1
            if row.stem in seen:
                tally.omit(Omission.DUPLICATE_ID, row.utterance.fields["id"])
                continue
            seen.add(row.stem)
            path = self._cut(files, row.stem, tally)
            if path is None:
                tally.omit(Omission.NO_MEDIA, row.utterance.fields["id"])
                continue
            name = path.relative_to(manual_dir).as_posix()
            yield ListedClip(name, str(path), split, (row.utterance,), {}, row.listed_s)
        for path in files.values():
            tally.listed += 1
            tally.omit(Omission.NO_ANNOTATION, path.relative_to(manual_dir).as_posix())

    def _place(self, manual_dir: Path, part: str, name: str) -> Path:
        """A table or folder, which the archive of its part may have brought into a folder."""
        nested = manual_dir / part / name
        if nested.exists():
            return nested
        return manual.need(manual_dir, name, self.MANUAL_DOWNLOAD_INSTRUCTIONS)

    def _cut(self, files: dict[str, Path], stem: str, tally: Tally) -> Path | None:
        """Takes the file of an utterance out of `files`; a second cut of it is left out."""
        cuts = [files.pop(name, None) for name in (stem, FINAL + stem)]
        wanted, other = reversed(cuts) if self.builder_config.final_cuts else cuts
        if wanted is None or other is None:
            return wanted or other
        tally.listed += 1
        tally.omit(Omission.OTHER_SETTING, f"{other.parent.name}/{other.name}")
        return wanted

    def assign_splits(
        self, sources: Sequence[Source], outcomes: Sequence[Outcome]
    ) -> dict[str, list[Outcome]]:
        """The official splits; files that outlast their row are dropped, copies of files noted."""
        checked = [_of_its_row(*pair) for pair in zip(sources, outcomes, strict=True)]
        return super().assign_splits(sources, noting_copies(checked))

    def made_of(self, manual_dir: str | Path) -> dict[str, Any]:
        """As of any clips dataset, and the lengths by which files are dropped."""
        lengths = [source.listed_s for source in self.listing(manual_dir).sources]
        digest = hashlib.sha256(repr(lengths).encode()).hexdigest()[:16]
        return super().made_of(manual_dir) | {"listed_lengths": digest}


def _of_its_row(source: ListedClip, outcome: Outcome) -> Outcome:
    entry = outcome.ledger
    if not (outcome.clips and 0 < source.listed_s < entry["duration_s"] - LONGER_S):
        return outcome
    names = [entry[name] for name in ("video_id", "path", "sha256")]
    dropped = ledger.failed(*names, Reason.LONGER_THAN_LISTED, entry["duration_s"])
    return Outcome(outcome.video_id, "", 0, dropped)


def noting_copies(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Outcomes in whose ledgers each second and later copy of a file is noted; they are kept.

    The same file stands for several utterances where the cut between them failed.
    """
    seen: set[str] = set()
    found = []
    for outcome in outcomes:
        entry = outcome.ledger
        if outcome.clips and entry["sha256"] in seen:
            notes = dict(sorted({**entry["notes"], str(Reason.COPY): 1}.items()))
            outcome = dataclasses.replace(outcome, ledger={**entry, "notes": notes})
        seen.add(entry["sha256"])
        found.append(outcome)
    return found
