"""The listing ledger: what a corpus lists is kept, or left out under a reason code.

It comes before the yield ledger of `memobert_jax.media.ledger`: the listing counts items (rows of
an annotation, files), the yield ledger the seconds of media that the kept items were cut from.
"""

import dataclasses
import enum
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memobert_jax import datasets
from tfds_builders.extraction import Source

OMITTED_FILE = "omitted.jsonl"
"""In the dataset's folder: every item that was left out, one JSON object a line."""

EVERYTHING = "everything"
"""The one split of a corpus without official ones: folds are made of speakers and sessions."""

EXAMPLES = 5
"""Ids of each reason that stand in the metadata and in the report."""


class Omission(enum.StrEnum):
    """Why an item is left out. The values stand in every listing ledger."""

    NO_MEDIA = "no_media"
    NO_ANNOTATION = "no_annotation"
    NO_LABEL = "no_label"
    NO_MAJORITY = "no_majority"
    NO_TEXT = "no_text"
    NO_FEATURES = "no_features"
    LABEL_NOT_IN_SET = "label_not_in_set"
    UNKNOWN_EMOTION = "unknown_emotion"
    NOT_A_FACE = "not_a_face"
    KNOWN_BAD = "known_bad"
    DUPLICATE_ID = "duplicate_id"
    OTHER_SETTING = "other_setting"
    OTHER_MODALITY = "other_modality"
    BAD_TIMES = "bad_times"
    MISALIGNED = "misaligned"
    NOT_FINITE = "not_finite"
    UNREADABLE = "unreadable"


EXPLANATIONS: dict[Omission, str] = {
    Omission.NO_MEDIA: "the annotation lists it, but its file is not there",
    Omission.NO_ANNOTATION: "a file that no annotation lists",
    Omission.NO_LABEL: "annotated, but without a label",
    Omission.NO_MAJORITY: "no label has a majority of the annotators",
    Omission.NO_TEXT: "no words are said or written",
    Omission.NO_FEATURES: "no row of features in any modality",
    Omission.LABEL_NOT_IN_SET: "its label is not one of this configuration",
    Omission.UNKNOWN_EMOTION: "the annotators say that the emotion cannot be told",
    Omission.NOT_A_FACE: "the annotators say that it is no face",
    Omission.KNOWN_BAD: "known to be bad: see the builder's README",
    Omission.DUPLICATE_ID: "listed more than once; the first one is kept",
    Omission.OTHER_SETTING: "of a part of the corpus that this configuration leaves out",
    Omission.OTHER_MODALITY: "a file of a modality that this configuration does not read",
    Omission.BAD_TIMES: "ends before it starts, or outside its recording",
    Omission.MISALIGNED: "its modalities or tables do not fit together",
    Omission.NOT_FINITE: "features that half precision cannot hold",
    Omission.UNREADABLE: "its file or row cannot be read",
}


class Tally:
    """Counts items while the files of a corpus are read.

    Attributes:
      listed: items that the corpus names so far: rows of its annotation, and files that no row
        names. The reader adds to it where it meets an item, before it decides what becomes of it.
      omitted: (id, reason) of each item that is left out.
      notes: what else is worth knowing, in words -> how often; such items are kept.
    """

    def __init__(self) -> None:
        self.listed = 0
        self.omitted: list[tuple[str, Omission]] = []
        self.notes: Counter[str] = Counter()

    def omit(self, reason: Omission, item: str) -> None:
        """Leaves out an item that was listed."""
        self.omitted.append((item, Omission(reason)))

    def note(self, words: str, count: int = 1) -> None:
        """Counts something about items that are kept, such as a time that was mended."""
        if count:
            self.notes[words] += count

    def totals(self, kept: int) -> dict[str, Any]:
        """{"listed", "kept", "omitted": {reason: {"count", "examples"}}, "notes"}, JSON-able.

        Raises:
          RuntimeError: if kept and omitted items are not all that were listed.
        """
        if self.listed != kept + len(self.omitted):
            raise RuntimeError(
                f"{self.listed} items were listed, but {kept} are kept and {len(self.omitted)} "
                "left out: the reader of this corpus miscounts, which is an error of this program"
            )
        by_reason = defaultdict(list)
        for item, reason in self.omitted:
            by_reason[str(reason)].append(item)
        return {
            "listed": self.listed,
            "kept": kept,
            "omitted": {
                reason: {"count": len(items), "examples": items[:EXAMPLES]}
                for reason, items in sorted(by_reason.items())
            },
            "notes": dict(sorted(self.notes.items())),
        }

    def write(self, folder: Path) -> None:
        """Writes OMITTED_FILE."""
        lines = [json.dumps({"id": item, "reason": str(reason)}) for item, reason in self.omitted]
        text = "".join(f"{line}\n" for line in lines)
        datasets.write_atomically(folder / OMITTED_FILE, lambda name: Path(name).write_text(text))


@dataclasses.dataclass(frozen=True)
class Listing:
    """What a corpus lists: the sources to extract, and the tally of all items.

    An utterance of a source is an item; so is a source that is cut by its subtitles.
    """

    sources: Sequence[Source]
    tally: Tally

    @classmethod
    def of(cls, sources: Sequence[Source]) -> "Listing":
        """The listing of a corpus of which nothing is left out."""
        tally = Tally()
        tally.listed = _items(sources)
        return cls(sources, tally)

    def totals(self) -> dict[str, Any]:
        """`Tally.totals` with the items of the sources as those that are kept."""
        return self.tally.totals(_items(self.sources))


def _items(sources: Sequence[Source]) -> int:
    return sum(1 if s.utterances is None else len(s.utterances) for s in sources)


def table(totals: Mapping[str, Any]) -> str:
    """The totals as console lines: what is listed, kept, and left out under each reason."""
    lines = [f"listed {totals['listed']:>36}", f"{'kept':<26} {totals['kept']:>16}"]
    for reason, entry in sorted(totals["omitted"].items(), key=lambda item: -item[1]["count"]):
        shown = ", ".join(entry["examples"]) + (", …" if entry["count"] > EXAMPLES else "")
        lines.append(
            f"{'left out: ' + reason:<26} {entry['count']:>16}  "
            f"{EXPLANATIONS[Omission(reason)]} ({shown})"
        )
    lines += [f"note: {words}: {count}" for words, count in totals["notes"].items()]
    return "\n".join(lines)
