"""The three CSV files of MELD: what is said by whom, with which emotion and sentiment.

Source: README of MELD; Poria, Hazarika, Majumder, Naik, Cambria, Mihalcea, "MELD: A Multimodal
Multi-Party Dataset for Emotion Recognition in Conversations", ACL 2019.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memobert_jax import record
from memobert_jax.media.subtitles import Utterance
from tfds_builders import tables
from tfds_builders.named_files import whole_file

COLUMNS = (
    "sr no.",
    "utterance",
    "speaker",
    "emotion",
    "sentiment",
    "dialogue_id",
    "utterance_id",
    "season",
    "episode",
    "starttime",
    "endtime",
)

EMOTIONS = {
    "neutral": "neutral",
    "surprise": "surprise",
    "fear": "fear",
    "sadness": "sadness",
    "joy": "happiness",
    "disgust": "disgust",
    "anger": "anger",
}
"""Label -> canonical name, in the order of the authors."""

SENTIMENTS = {"negative": -1.0, "neutral": 0.0, "positive": 1.0}

_C1 = {code: bytes([code]).decode("cp1252", errors="replace") for code in range(0x80, 0xA0)}
_TIME = re.compile(r"(\d+):(\d\d):(\d\d)[,.](\d{3})")


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
      stem: dia<dialogue>_utt<utterance>, the name of its file.
      listed_s: length by its times, seconds; NaN where they cannot be read.
      utterance: its text and labels.
    """

    stem: str
    listed_s: float
    utterance: Utterance


def read(path: Path, split: str) -> list[Row]:
    """The rows of a CSV file, in its order.

    Dialogues are counted anew in each split, so ids and dialogues carry its name.

    Raises:
      FileNotFoundError: without the file.
      ValueError: for a label outside the sets, or numbers that are none.
    """
    return [
        _row(row, split, f"{path} line {row['line']}") for row in tables.read_rows(path, COLUMNS)
    ]


def _row(row: Mapping[str, Any], split: str, where: str) -> Row:
    names = ("dialogue_id", "utterance_id", "season", "episode")
    dialogue, utterance, season, episode = (_whole(row[name], name, where) for name in names)
    stem = f"dia{dialogue}_utt{utterance}"
    emotion = EMOTIONS[_one_of(EMOTIONS, row["emotion"], "emotion", where)]
    said = whole_file(
        repaired(row["utterance"]),
        id=f"{split}_{stem}",
        speaker=repaired(row["speaker"]),
        session=f"s{season:02}e{episode:02}",
        dialogue=f"{split}_dia{dialogue}",
        emotion=record.EMOTIONS.index(emotion),
        sentiment=SENTIMENTS[_one_of(SENTIMENTS, row["sentiment"], "sentiment", where)],
    )
    return Row(stem, seconds(row["endtime"]) - seconds(row["starttime"]), said)


def repaired(text: str) -> str:
    """Text without C1 control characters.

    The files were once Windows-1252, read as Latin-1 and written as UTF-8: an apostrophe is U+0092
    in a quarter of the utterances. Each becomes the character that its byte is in Windows-1252.
    """
    return text.translate(_C1)


def seconds(time: str) -> float:
    """Seconds of a time such as 00:14:38,127 or 0:10:44,769; NaN for anything else."""
    found = _TIME.fullmatch(time)
    if found is None:
        return math.nan
    hours, minutes, whole, thousandths = map(int, found.groups())
    return 3600 * hours + 60 * minutes + whole + thousandths / 1000


def _one_of(known: Mapping[str, Any], label: str, column: str, where: str) -> str:
    name = label.lower()
    if name not in known:
        raise ValueError(f"{where}: {column} {label!r}; expected one of {', '.join(known)}")
    return name


def _whole(text: str, column: str, where: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{where}: {column} {text!r}; expected a whole number")
    return int(text)
