"""Processed files (padded arrays of segments) -> features-records without the padding.

What a file holds of one split is a `Table`, whatever its format: `mult`, `mmsa` and `seq20` read
them. Here the padding is taken off, and what remains becomes a record.
"""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from memobert_jax import record
from tfds_builders.cmu import padding
from tfds_builders.cmu.columns import Face, speech_name
from tfds_builders.cmu.tidy import Oddities
from tfds_builders.listing import Omission, Tally
from tfds_builders.streaming import Records, encoder

SPLITS = {"train": "train", "valid": "validation", "test": "test"}
"""Name in the files -> name here."""

MODALITIES = ("text_features", "speech", "face")


@dataclasses.dataclass(frozen=True)
class Id:
    """What a file says of where a segment is from; NaN where it does not say.

    key: unique in the corpus; video: '' where it is not known.
    """

    key: str
    video: str = ""
    start_s: float = np.nan
    end_s: float = np.nan


@dataclasses.dataclass(frozen=True)
class Table:
    """The segments of one split.

    Attributes:
      ids: of the segments.
      arrays: modality -> [segments, steps, width].
      values: record fields of each segment (labels, text), or why it is left out.
      lengths: modality -> i64 [segments] steps that are no padding, where the file says so.
    """

    ids: Sequence[Id]
    arrays: Mapping[str, np.ndarray]
    values: Sequence[Mapping[str, Any] | Omission]
    lengths: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        shapes = {name: array.shape for name, array in self.arrays.items()}
        if any(len(shape) != 3 or not shape[1] for shape in shapes.values()):
            raise ValueError(f"shapes are {shapes}; expected [segments, steps, columns] of each")
        counts = {name: shape[0] for name, shape in shapes.items()}
        counts |= {f"lengths of {name}": len(given) for name, given in self.lengths.items()}
        counts |= {"ids": len(self.ids), "labels": len(self.values)}
        if len(set(counts.values())) > 1:
            raise ValueError(f"counts of segments differ: {counts}; expected one")


LookUp = Callable[[Id, Mapping[str, Any], Tally], Mapping[str, Any]]
"""(id, its fields, tally) -> more fields of its record."""


@dataclasses.dataclass(frozen=True)
class Source:
    """A processed corpus.

    Attributes:
      inputs: its files.
      tables: split, as here -> its table.
      aligned: whether a step is the same word in all modalities.
      emotion_scores: whether the emotion scores of FACET 4.2 are kept.
      beside: opens what other files know of a segment.
    """

    inputs: Sequence[Path]
    tables: Mapping[str, Table]
    aligned: bool
    emotion_scores: bool = False
    beside: Callable[[], AbstractContextManager[LookUp]] = contextlib.nullcontext


def records(source: Source) -> Records:
    """What the files hold, to be read segment by segment.

    Raises:
      ValueError: if modalities do not fit together, or padding is on no clear side.
    """
    groups = [MODALITIES] if source.aligned else [(name,) for name in MODALITIES]
    widths = _widths(source)
    face = Face.of(widths["face"], source.emotion_scores)
    counted = {group: _votes(source, group) for group in groups}
    sides = {group: _side(source, group, votes) for group, votes in counted.items()}
    widths["face"] = face.width
    rows = "mean over a word" if source.aligned else "frames as the file has them"
    names = {"face": face.name, "speech": speech_name(widths["speech"])}
    encoders = {n: encoder(f"{what}, {rows}", widths[n], 0.0) for n, what in names.items()}

    def read(tally: Tally) -> Iterator[tuple[str, dict[str, Any]]]:
        oddities = Oddities()
        for group, where in sides.items():
            tally.note(f"{', '.join(group)}: segments padded on the {where}", counted[group][where])
        with source.beside() as look_up:
            for split, number, who, values in _listed(source.tables, tally):
                parts = _parts(source.tables[split], number, sides, oddities)
                if not any(len(part) for part in parts.values()):
                    tally.omit(Omission.NO_FEATURES, who.key)
                    continue
                parts["face"] = parts["face"][:, face.first :]
                more = look_up(who, values, tally) if look_up else {}
                yield split, _item(who, parts, {**values, **more}, widths)
        _note_shared_videos(source.tables, tally)
        oddities.note(tally)

    return Records(source.inputs, tuple(source.tables), read, encoders, widths)


def _listed(
    tables: Mapping[str, Table], tally: Tally
) -> Iterator[tuple[str, int, Id, Mapping[str, Any]]]:
    """(split, number, id, fields) of every segment that has labels, each id once."""
    seen = set()
    for split, table in tables.items():
        for number, (who, values) in enumerate(zip(table.ids, table.values, strict=True)):
            tally.listed += 1
            if isinstance(values, Omission):
                tally.omit(values, who.key)
            elif who.key in seen:
                tally.omit(Omission.DUPLICATE_ID, who.key)
            else:
                seen.add(who.key)
                yield split, number, who, values


def _widths(source: Source) -> dict[str, int]:
    """Columns of each modality, the same in all splits."""
    found: dict[str, set[tuple[int, int]]] = {name: set() for name in MODALITIES}
    for split, table in source.tables.items():
        for name in MODALITIES:
            found[name].add(table.arrays[name].shape[1:])
        steps = {name: table.arrays[name].shape[1] for name in MODALITIES}
        if source.aligned and len(set(steps.values())) > 1:
            raise ValueError(
                f"{source.inputs[0]}, {split}: modalities have {steps} steps; expected as many of "
                "each in an aligned file. Is it the unaligned one?"
            )
    for name, shapes in found.items():
        if len({width for _, width in shapes}) > 1:
            raise ValueError(
                f"{source.inputs[0]}: {name} has (steps, columns) {sorted(shapes)} in its splits; "
                "expected the same columns"
            )
    return {name: min(shapes)[1] for name, shapes in found.items()}


def _votes(source: Source, group: Sequence[str]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for table in source.tables.values():
        counted.update(padding.votes([table.arrays[name] for name in group]))
    return counted


def _side(source: Source, group: Sequence[str], votes: Counter[str]) -> str:
    try:
        return padding.side(votes)
    except ValueError as error:
        raise ValueError(f"{source.inputs[0]}, {', '.join(group)}: {error}") from error


def _parts(
    table: Table, number: int, sides: Mapping[Sequence[str], str], oddities: Oddities
) -> dict[str, np.ndarray]:
    """Modality -> f4 [rows, width] of one segment without its padding."""
    parts = {}
    for group, where in sides.items():
        arrays = {name: oddities.numbers(name, table.arrays[name][number]) for name in group}
        known = [int(table.lengths[name][number]) for name in group if name in table.lengths]
        steps = len(arrays[group[0]])
        if not known:
            kept = padding.span(list(arrays.values()), where)
        elif where == "left":
            kept = slice(steps - known[0], steps)
        else:
            kept = slice(0, known[0])
        parts |= {name: oddities.halves(name, array[kept]) for name, array in arrays.items()}
    return parts


def _item(
    who: Id, parts: Mapping[str, np.ndarray], values: Mapping[str, Any], widths: Mapping[str, int]
) -> dict[str, Any]:
    """A record; times that are not known are 0, those of face rows NaN."""
    known = np.isfinite([who.start_s, who.end_s]).all()
    start_s, end_s = (who.start_s, who.end_s) if known else (0.0, 0.0)
    words, starts, ends = record.even_words(values.get("text", ""), end_s - start_s)
    rows = len(parts["face"])
    filled = {
        "id": who.key,
        "video_id": who.video or who.key,
        "start_s": start_s,
        "end_s": end_s,
        "words_text": words,
        "words_start_s": starts,
        "words_end_s": ends,
        "face_time_s": np.full(rows, np.nan, np.float32),
        "face_score": (parts["face"] != 0).any(1).astype(np.float32),
    }
    return record.make("features", widths, **filled | dict(parts) | dict(values))


def _note_shared_videos(tables: Mapping[str, Table], tally: Tally) -> None:
    splits: dict[str, set[str]] = {}
    for split, table in tables.items():
        for who in table.ids:
            splits.setdefault(who.video, set()).add(split)
    splits.pop("", None)
    tally.note("videos that are in more than one split", sum(len(s) > 1 for s in splits.values()))
