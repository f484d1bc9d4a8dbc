"""The file names of SAVEE: which emotion, which sentence.

Source: `Info.txt` of the release; Haq and Jackson, "Multimodal Emotion Recognition", 2010.
"""

import re

from memobert_jax import record
from memobert_jax.media.subtitles import Utterance
from tfds_builders.listing import Omission
from tfds_builders.named_files import whole_file

SPEAKERS = ("DC", "JE", "JK", "KL")
"""All male; each has a folder."""

EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
"""Letters in front of the number of the sentence -> canonical name."""

_NAME = re.compile(r"([a-z]+)(\d{1,2})")


def read(speaker: str, stem: str) -> Utterance | Omission:
    """The utterance of a file such as a01 or a1 of a speaker; NO_ANNOTATION if either is none.

    The text is empty: the release does not say which number is which sentence.

    Raises:
      ValueError: for letters that are no emotion of the database.
    """
    found = _NAME.fullmatch(stem)
    if found is None or speaker not in SPEAKERS:
        return Omission.NO_ANNOTATION
    emotion, number = found[1], int(found[2])
    if emotion not in EMOTIONS:
        raise ValueError(
            f"'{speaker}/{stem}': emotion {emotion!r}; expected one of {', '.join(EMOTIONS)}. If "
            "the file is not of SAVEE, take it out of the folder"
        )
    return whole_file(
        "",
        id=f"{speaker}_{emotion}{number:02}",
        speaker=speaker,
        gender="male",
        emotion=record.EMOTIONS.index(EMOTIONS[emotion]),
    )
