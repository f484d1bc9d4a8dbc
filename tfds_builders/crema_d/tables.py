"""The tables beside the media of CREMA-D: who the actors are, what the raters heard and saw."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tfds_builders import tables
from tfds_builders.crema_d import names

DEMOGRAPHICS_FILE = "VideoDemographics.csv"
VOTES_FILE = "processedResults/summaryTable.csv"
CLIPS_FILE = "SentenceFilenames.csv"

VOTES = {
    "A": "anger",
    "D": "disgust",
    "F": "fear",
    "H": "happiness",
    "N": "neutral",
    "S": "sadness",
}
"""Letter of a vote -> canonical name."""


def genders(path: Path) -> dict[str, str]:
    """Actor -> 'female' or 'male', of VideoDemographics.csv.

    Raises:
      FileNotFoundError, ValueError: if the file is missing or is another.
    """
    found = {}
    for row, where in _rows(path, ("ActorID", "Sex")):
        gender = row["Sex"].lower()
        if gender not in ("female", "male"):
            raise ValueError(f"{where}: Sex {row['Sex']!r}; expected Female or Male")
        found[row["ActorID"]] = gender
    return found


def votes(path: Path, column: str) -> dict[str, tuple[str, ...]]:
    """Clip -> canonical names of what most raters chose, several where they tie.

    Args:
      path: summaryTable.csv.
      column: VoiceVote (they heard the clip), FaceVote (saw it) or MultiModalVote (both).

    Raises:
      FileNotFoundError, ValueError: if the file is missing or is another.
    """
    found: dict[str, tuple[str, ...]] = {}
    for row, where in _rows(path, ("FileName", column)):
        letters = row[column].split(":")
        if unknown := [letter for letter in letters if letter not in VOTES]:
            raise ValueError(
                f"{where}: {column} {row[column]!r} has {unknown}; expected letters of "
                f"{', '.join(VOTES)}, with a colon between them"
            )
        name = names.whole(row["FileName"])
        if name in found:
            raise ValueError(f"{where}: {name} stands in an earlier line too")
        found[name] = tuple(VOTES[letter] for letter in letters)
    return found


def clips(path: Path) -> set[str]:
    """The clips that SentenceFilenames.csv lists.

    Raises:
      FileNotFoundError, ValueError: if the file is missing or is another.
    """
    return {names.whole(row["Filename"]) for row, _ in _rows(path, ("Filename",))}


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[Mapping[str, str], str]]:
    """(columns of a row, its place) of a table as R writes it: its first column has no name."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; it needs the columns {', '.join(columns)}")
    reader = tables.dict_reader(tables.decode(path.read_bytes()))
    if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
        raise ValueError(f"{path} has the columns {reader.fieldnames}; missing {missing}")
    for row in tables.each(reader, path):
        where = f"{path} line {reader.line_num}"
        if None in row or None in row.values():
            raise ValueError(f"{where}: expected {len(reader.fieldnames)} columns")
        yield {name: row[name].strip() for name in columns}, where
