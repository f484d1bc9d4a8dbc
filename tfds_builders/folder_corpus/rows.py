"""The CSV file of a labelled folder -> sources of extraction."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from memobert_jax.media.subtitles import Utterance
from tfds_builders import tables
from tfds_builders.extraction import Source

REQUIRED = ("path", "start", "end", "text", "label", "speaker", "split")
GROUPS = ("speaker", "session", "dialogue")
NUMBERS = ("valence", "arousal", "dominance", "sentiment")
OPTIONAL = ("id", "gender", "session", "dialogue", *NUMBERS)
GENDERS = {"f": "female", "female": "female", "m": "male", "male": "male"}


def sources(csv_file: Path, root: Path, aliases: Mapping[str, str]) -> list[Source]:
    """One source a media file, and one a row without a path, in order of their names.

    Args:
      csv_file: columns REQUIRED and some of OPTIONAL; start and end in seconds, '' for the whole
        file; a row without a path has text only.
      root: folder that the paths are relative to.
      aliases: spellings of labels -> canonical names.

    Raises:
      ValueError: for a row that cannot be meant, with its line; for an id that is there twice;
        for a file in two splits.
    """
    by_video = defaultdict(list)
    for row in tables.read_rows(csv_file, REQUIRED, OPTIONAL):
        where = f"{csv_file} line {row['line']}"
        path = tables.inside(root, row["path"], where) if row["path"] else None
        by_video[_video_id(row, path, root)].append((row, where))
    rows = [row for group in by_video.values() for row, _ in group]
    _check_ids(csv_file, rows)
    return [
        Source(
            video_id=name,
            path=str(root / name) if group[0][0]["path"] else "",
            split=_split(name, group),
            utterances=tuple(_utterance(row, where, aliases) for row, where in group),
        )
        for name, group in sorted(by_video.items())
    ]


def _video_id(row: Mapping[str, Any], path: Path | None, root: Path) -> str:
    if path is not None:
        return PurePosixPath(path.relative_to(root)).as_posix()
    return row.get("id") or f"line_{row['line']}"


def _check_ids(csv_file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    counts = Counter(row.get("id", "") for row in rows)
    without = counts.pop("", 0)
    if counts and without:
        raise ValueError(
            f"{csv_file}: {without} of {len(rows)} rows have no id; give every row one, or none"
        )
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise ValueError(f"{csv_file}: ids must be unique; these are not: {_few(twice)}")


def _split(name: str, group: Sequence[tuple[Mapping[str, Any], str]]) -> str:
    splits = sorted({row["split"] for row, _ in group})
    if len(splits) > 1:
        raise ValueError(
            f"{group[0][1]}: {name!r} is in the splits {splits}; a file belongs to one split, or "
            "the test would know what was trained on"
        )
    if not re.fullmatch(r"[A-Za-z]\w*", splits[0]) or splits[0].lower() == "all":
        raise ValueError(
            f"{group[0][1]}: split {splits[0]!r}; expected a name such as train, validation or test"
        )
    return splits[0]


def _utterance(row: Mapping[str, Any], where: str, aliases: Mapping[str, str]) -> Utterance:
    start_s = tables.number(row["start"], where, absent=0.0)
    end_s = float("inf") if not row["end"] else tables.number(row["end"], where)
    if start_s < 0 or end_s <= start_s:
        raise ValueError(
            f"{where}: start {row['start']!r}, end {row['end']!r}; expected seconds with "
            "0 <= start < end, or both empty for the whole file"
        )
    if not row["path"] and not row["text"]:
        raise ValueError(f"{where}: neither path nor text; a row needs one of them")
    values: dict[str, Any] = tables.fields(row, ("id", *GROUPS))
    values["emotion"] = tables.emotion_id(row["label"], where, aliases)
    values |= {name: tables.number(row.get(name, ""), where) for name in NUMBERS}
    if gender := row.get("gender", ""):
        if gender.lower() not in GENDERS:
            raise ValueError(f"{where}: gender {gender!r}; expected one of {', '.join(GENDERS)}")
        values["gender"] = GENDERS[gender.lower()]
    return Utterance(start_s, end_s, row["text"], values)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
