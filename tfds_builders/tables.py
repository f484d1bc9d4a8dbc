"""CSV files as people really write them: their encodings and separators, with clear refusals."""

import csv
import difflib
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from memobert_jax import record

ALIASES = {
    "angry": "anger",
    "annoyed": "anger",
    "mad": "anger",
    "calmness": "calm",
    "contemptuous": "contempt",
    "disgusted": "disgust",
    "excited": "excitement",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "frustrated": "frustration",
    "happy": "happiness",
    "joy": "happiness",
    "joyful": "happiness",
    "neutrality": "neutral",
    "sad": "sadness",
    "surprised": "surprise",
    "ang": "anger",
    "dis": "disgust",
    "exc": "excitement",
    "fea": "fear",
    "fru": "frustration",
    "hap": "happiness",
    "neu": "neutral",
    "sur": "surprise",
    "oth": "other",
}
"""Other spellings of labels -> canonical names (`record.EMOTIONS`)."""


def aliases(pairs: Sequence[str]) -> dict[str, str]:
    """Spelling in lower case -> label, of pairs such as joyous:happiness.

    Raises:
      ValueError: for what is no such pair.
    """
    for pair in pairs:
        if pair.count(":") != 1:
            raise ValueError(
                f"--aliases has {pair!r}; expected SPELLING:LABEL, as joyous:happiness"
            )
    return {spelling.lower(): label for spelling, label in (pair.split(":") for pair in pairs)}


def read_rows(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> list[dict]:
    """The rows of a CSV file as dicts of stripped text; `line` holds the line of the file.

    UTF-8 (with or without mark), UTF-16 with mark and Windows-1252 are read; the separator is a
    comma, a semicolon or a tab.

    Raises:
      FileNotFoundError: without the file.
      ValueError: for missing or unknown columns, rows of another length, or no row at all.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; it needs the columns {','.join(required)}")
    text = decode(path.read_bytes())
    header = next(iter(text.splitlines()), "")
    reader = dict_reader(text, delimiter=max(",;\t", key=header.count), restkey="")
    names = [name.strip().lower() for name in reader.fieldnames or ()]
    _check_columns(path, names, required, optional)
    reader.fieldnames = names
    rows = []
    for row in each(reader, path):
        if None in row.values() or "" in row:
            raise ValueError(
                f"{path} line {reader.line_num}: expected {len(names)} columns ({','.join(names)})."
                " Put text that holds a separator in double quotes."
            )
        rows.append({**{k: v.strip() for k, v in row.items()}, "line": reader.line_num})
    if not rows:
        raise ValueError(f"{path} has a header but no rows; write one row a clip")
    return rows


def dict_reader(text: str, **options: Any) -> csv.DictReader:
    """A reader of the rows of a CSV file, whose lines end as on any system."""
    return csv.DictReader(io.StringIO(text, newline=None), **options)


def each(reader: csv.DictReader, path: Path) -> Iterator[dict]:
    """The rows of a reader.

    Raises:
      ValueError: for what is no CSV, such as a quote that is never closed; names file and line.
    """
    try:
        yield from reader
    except csv.Error as error:
        raise ValueError(
            f"{path}, after line {reader.line_num}: {error}. Is a double quote never closed?"
        ) from error


def decode(data: bytes) -> str:
    """Text of bytes in UTF-8, UTF-16 (by its mark) or else Windows-1252."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _check_columns(path, names, required, optional) -> None:
    missing = [name for name in required if name not in names]
    unknown = [name for name in names if name not in (*required, *optional)]
    if not missing and not unknown and len(names) == len(set(names)):
        return
    hints = {name: difflib.get_close_matches(name, (*required, *optional), n=1) for name in unknown}
    near = "".join(
        f"; did you mean {best[0]!r} by {name!r}?" for name, best in hints.items() if best
    )
    raise ValueError(
        f"{path} has the columns {', '.join(names) or '(none)'}: missing {missing}, unknown "
        f"{unknown}{near}\nRequired (values may be empty): {','.join(required)}"
        + (f"\nOptional: {','.join(optional)}" if optional else "")
    )


def emotion_id(label: str, where: str, aliases: Mapping[str, str] = ALIASES) -> int:
    """The class id of a label in `record.EMOTIONS` (or an alias of one); -1 for ''.

    Raises:
      ValueError: for any other label, with the nearest and all canonical names.
    """
    name = label.lower()
    name = aliases.get(name, name)
    if not name:
        return -1
    if name in record.EMOTIONS:
        return record.EMOTIONS.index(name)
    near = difflib.get_close_matches(name, [*record.EMOTIONS, *aliases], n=1)
    hint = f"; did you mean {aliases.get(near[0], near[0])!r}?" if near else "."
    raise ValueError(
        f"{where}: unknown label {label!r}{hint} Labels are {', '.join(record.EMOTIONS)}; other "
        "spellings can be mapped with --aliases=SPELLING:LABEL,…"
    )


def number(text: str, where: str, absent: float = math.nan) -> float:
    """A number, `absent` for ''.

    Raises:
      ValueError: if the text is no finite number.
    """
    if not text:
        return absent
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        hint = " (write a point, not a comma)" if "," in text else ""
        raise ValueError(f"{where}: {text!r} is not a number{hint}")
    return value


def score(text: str) -> float:
    """A number that annotators gave; NaN for a text that is no finite number."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def inside(root: Path, relative: str, where: str) -> Path:
    """The path of `relative` under `root`, which it may not leave.

    Raises:
      ValueError: for an absolute path or one that climbs out of `root`.
    """
    parts = PurePosixPath(relative.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or Path(relative).drive:
        raise ValueError(
            f"{where}: path {relative!r} leaves the folder {root}; give a path relative to it"
        )
    return root / parts


def fields(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """The named columns of a row that are there and not empty."""
    return {name: row[name] for name in names if row.get(name)}
