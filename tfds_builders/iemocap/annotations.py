"""The text files of an IEMOCAP dialogue: what was felt in each turn, and what was said."""

import dataclasses
import math
import re
from pathlib import Path

from tfds_builders import tables

CODES = {
    "ang": "anger",
    "dis": "disgust",
    "exc": "excitement",
    "fea": "fear",
    "fru": "frustration",
    "hap": "happiness",
    "neu": "neutral",
    "oth": "other",
    "sad": "sadness",
    "sur": "surprise",
    "xxx": "",
}
"""Labels of the release -> canonical names; xxx: the annotators do not agree."""

MARKED_SIDE = "left"
"""The half of the picture with the actor who wears the markers: a reading of the films that several
published programs share. The ledger's `speaks_elsewhere` counts against it."""

_GENDERS = {"F": "female", "M": "male"}
_SETTINGS = {"impro": "improvised", "script": "scripted"}
_DIALOGUE = re.compile(r"Ses\d\d[FM]_(impro|script)\w+")
_PART = re.compile(r"[FM]\w+")
_TURN = re.compile(r"\[(\S+)\s+-\s+(\S+)\]\s+(\S+)\s+(\S+)(?:\s+\[([^\]]*)\])?")
_SAID = re.compile(r"(Ses\S+)\s+\[[^\]]*\]\s*:(.*)")


@dataclasses.dataclass(frozen=True)
class Turn:
    """A turn of a dialogue, as evaluated.

    Attributes:
      name: dialogue and turn, such as Ses01F_impro01_M003.
      start_s, end_s: place in the dialogue, seconds.
      code: its label, one of CODES.
      valence, arousal, dominance: means of the annotators, 1 to 5; NaN where there is none.
    """

    name: str
    start_s: float
    end_s: float
    code: str
    valence: float
    arousal: float
    dominance: float

    @property
    def dialogue(self) -> str:
        return self.name.rpartition("_")[0]

    @property
    def setting(self) -> str:
        """'improvised' or 'scripted', as the name of the dialogue says."""
        return _SETTINGS[_DIALOGUE.fullmatch(self.dialogue)[1]]

    @property
    def gender(self) -> str:
        return _GENDERS[self._letter]

    @property
    def session(self) -> str:
        return self.name[:5]

    @property
    def speaker(self) -> str:
        return self.session + self._letter

    @property
    def half(self) -> str:
        """The half of the picture in which the speaker is: 'left' or 'right'."""
        marked = self._letter == self.name[5]
        other = {"left": "right", "right": "left"}[MARKED_SIDE]
        return MARKED_SIDE if marked else other

    @property
    def _letter(self) -> str:
        return self.name.rpartition("_")[2][0]


def is_dialogue(name: str) -> bool:
    """Whether a name is that of a dialogue, such as Ses05M_script01_1b."""
    return _DIALOGUE.fullmatch(name) is not None


def read_turns(path: Path) -> tuple[list[Turn], list[str]]:
    """The turns of a file of `dialog/EmoEvaluation`, in its order, which is not that of time.

    Returns:
      The turns; and, for each line that should be a turn and cannot be read as one of this
      dialogue, "FILE line N".

    Raises:
      ValueError: for a label that IEMOCAP does not have.
    """
    turns, unreadable = [], []
    for number, line in enumerate(tables.decode(path.read_bytes()).splitlines(), 1):
        if not line.startswith("["):
            continue  # the header, and the annotators one by one
        turn = _turn(line, f"{path} line {number}")
        if turn is not None and turn.dialogue == path.stem:
            turns.append(turn)
        else:
            unreadable.append(f"{path.name} line {number}")
    return turns, unreadable


def _turn(line: str, where: str) -> Turn | None:
    found = _TURN.match(line)
    if found is None:
        return None
    start, end, name, code, means = found.groups()
    times = tables.score(start), tables.score(end)
    if any(map(math.isnan, times)) or not _PART.fullmatch(name.rpartition("_")[2]):
        return None
    if code not in CODES:
        raise ValueError(
            f"{where}: label {code!r}; IEMOCAP has {', '.join(CODES)}. Is the file as released?"
        )
    felt = [tables.score(text) for text in (means or "").split(",")]
    return Turn(name, *times, code, *(felt if len(felt) == 3 else [math.nan] * 3))


def read_transcript(path: Path) -> tuple[dict[str, str], int]:
    """What is said in each turn of a file of `dialog/transcriptions`: (name -> text, left over).

    The text stands as released, with descriptions such as [LAUGHTER]. Lines without a turn's name,
    as "M: [LAUGHTER]", cannot be placed: they are the number left over.
    """
    said: dict[str, str] = {}
    left = 0
    for line in tables.decode(path.read_bytes()).splitlines():
        found = _SAID.match(line.strip())
        if found is not None:
            said.setdefault(found[1], " ".join(found[2].split()))
        else:
            left += bool(line.strip())
    return said, left
