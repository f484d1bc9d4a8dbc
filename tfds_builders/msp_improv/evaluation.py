"""The evaluation file of MSP-IMPROV: what was felt in each turn; and the names of its turns."""

import dataclasses
import re
from pathlib import Path

from tfds_builders import tables

CODES = {
    "A": "anger",
    "H": "happiness",
    "N": "neutral",
    "O": "other",
    "S": "sadness",
    "X": "",
}
"""Labels of the release -> canonical names; X: no label has the most votes."""

SETTINGS = {
    "S": "other_improvised",
    "T": "target_improvised",
    "R": "target_read",
    "P": "natural_interaction",
}
"""Letters of the names -> what was recorded, as the corpus' paper calls it."""

_GENDERS = {"F": "female", "M": "male"}
_NAME = re.compile(r"MSP-IMPROV-(S\d\d[AHNS])-(([FM])(\d\d))-([PRST])-[FM]{2}\d+")
_BLOCK = re.compile(r"(?:UTD|MSP)-IMPROV-(\S+?)\.avi\s*;\s*([^;\s]*)\s*;(.*)")
_MEAN = re.compile(r"\b([AVDN])\s*:\s*([^;\s]*)")


@dataclasses.dataclass(frozen=True)
class Turn:
    """A turn, as evaluated.

    Attributes:
      name: of its files, such as MSP-IMPROV-S01A-F01-P-FM01.
      code: its label, one of CODES.
      valence, arousal, dominance: means of the annotators as in the file, whose A is `arousal`;
        NaN where it has none.
    """

    name: str
    code: str
    valence: float
    arousal: float
    dominance: float

    @property
    def scene(self) -> str:
        """The sentence and the emotion that it was improvised towards, such as S01A."""
        return self.name.split("-")[2]

    @property
    def speaker(self) -> str:
        return self.name.split("-")[3]

    @property
    def gender(self) -> str:
        return _GENDERS[self.speaker[0]]

    @property
    def session(self) -> str:
        """Of the two actors who were recorded together, such as session1."""
        return f"session{int(self.speaker[1:])}"

    @property
    def setting(self) -> str:
        """One of the letters of SETTINGS."""
        return self.name.split("-")[4]


def is_turn(name: str) -> bool:
    """Whether a name is that of a turn, such as MSP-IMPROV-S01A-F01-P-FM01."""
    return _NAME.fullmatch(name) is not None


def read(path: Path) -> tuple[list[Turn], list[str]]:
    """The turns of the evaluation file, in its order.

    A turn is a line as "UTD-IMPROV-S01A-F01-P-FM01.avi; A; A:4.5; V:2.0; D:3.0 ; N:4.0;", with the
    annotators one by one below, which are not read.

    Returns:
      The turns; and, for each line that should be a turn and cannot be read as one, "FILE line N".

    Raises:
      ValueError: for a label that MSP-IMPROV does not have, or a file without any turn.
    """
    turns, unreadable = [], []
    for number, line in enumerate(tables.decode(path.read_bytes()).splitlines(), 1):
        if not line.lstrip().startswith(("UTD-IMPROV-", "MSP-IMPROV-")):
            continue
        turn = _turn(line.strip(), f"{path} line {number}")
        if turn is None:
            unreadable.append(f"{path.name} line {number}")
        else:
            turns.append(turn)
    if not turns:
        raise ValueError(
            f"{path} has no line of a turn, such as 'UTD-IMPROV-S01A-F01-P-FM01.avi; A; A:4.5; "
            "V:2.0; D:3.0 ; N:4.0;'. Is it the evaluation file of MSP-IMPROV?"
        )
    return turns, unreadable


def _turn(line: str, where: str) -> Turn | None:
    block = _BLOCK.match(line)
    if block is None or not is_turn(name := f"MSP-IMPROV-{block[1]}"):
        return None
    if block[2] not in CODES:
        raise ValueError(
            f"{where}: label {block[2]!r}; MSP-IMPROV has {', '.join(CODES)}. Is the file as "
            "released?"
        )
    means = dict(_MEAN.findall(block[3]))
    return Turn(name, block[2], *(tables.score(means.get(key, "")) for key in "VAD"))
