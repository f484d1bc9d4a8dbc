"""The file names of CREMA-D: who says which of twelve sentences, in which emotion, how strongly.

Source: README of the repository of CREMA-D; Cao, Cooper, Keutmann, Gur, Nenkova, Verma, "CREMA-D:
Crowd-sourced Emotional Multimodal Actors Dataset", IEEE Trans. Affective Computing 5(4), 2014.
"""

import dataclasses
import re

TEXTS = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
"""Code of a sentence -> the sentence."""

EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
"""Code of the emotion that was acted -> canonical name."""

LEVELS = ("LO", "MD", "HI", "XX")
"""Low, medium, high, not said. The record has no field for it; it is part of the id."""

_NAME = re.compile(r"(?P<actor>\d{4})_(?P<text>[A-Z]{3})_(?P<emotion>[A-Z]{3})_(?P<level>[A-Z]+)")


@dataclasses.dataclass(frozen=True)
class Name:
    """What a file name says.

    Attributes:
      id: the name with a level of two letters.
      actor: four digits.
      text: the sentence.
      emotion: canonical name of the emotion that was acted.
    """

    id: str
    actor: str
    text: str
    emotion: str


def whole(stem: str) -> str:
    """A name with a level of two letters: older releases have 1040_ITH_SAD_X for ..._XX."""
    return f"{stem}X" if stem.endswith("_X") else stem


def read(stem: str) -> Name | None:
    """What a file name such as 1001_DFA_ANG_XX says; None if it is none.

    Raises:
      ValueError: for a sentence, emotion or level that the dataset does not have.
    """
    found = _NAME.fullmatch(whole(stem))
    if found is None:
        return None
    for part, value, known in (
        ("sentence", found["text"], TEXTS),
        ("emotion", found["emotion"], EMOTIONS),
        ("level", found["level"], LEVELS),
    ):
        if value not in known:
            raise ValueError(
                f"{stem!r}: {part} {value!r}; expected one of {', '.join(known)}. If the file is "
                "not of CREMA-D, take it out of the folder"
            )
    return Name(
        id=found[0],
        actor=found["actor"],
        text=TEXTS[found["text"]],
        emotion=EMOTIONS[found["emotion"]],
    )
