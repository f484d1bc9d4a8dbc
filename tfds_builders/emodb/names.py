"""The file names of Emo-DB: who says which of ten sentences in which emotion.

Source: the documentation of the database (emodb.bilderbar.info/docu); Burkhardt, Paeschke, Rolfes,
Sendlmeier, Weiss, "A Database of German Emotional Speech", Interspeech 2005.
"""

import re

from memobert_jax import record
from memobert_jax.media.subtitles import Utterance
from tfds_builders.listing import Omission
from tfds_builders.named_files import whole_file

GENDERS = {
    "03": "male",
    "08": "female",
    "09": "female",
    "10": "male",
    "11": "male",
    "12": "male",
    "13": "female",
    "14": "female",
    "15": "male",
    "16": "female",
}
"""Speaker -> gender."""

TEXTS = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
"""Code of a sentence -> the sentence."""

LABELS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
"""First letter of the German word (Wut, Langeweile, Ekel, Angst, Freude, Trauer) -> label."""

CANONICAL = {"boredom": "other"}
"""Labels that are no canonical names -> their class."""

_NAME = re.compile(r"(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<emotion>[A-Z])[a-z]?")


def read(stem: str) -> Utterance | Omission:
    """The utterance of a file name such as 03a01Fa; NO_ANNOTATION if it is none.

    Raises:
      ValueError: for a name with a speaker, sentence or emotion that the database does not have.
    """
    found = _NAME.fullmatch(stem)
    if found is None:
        return Omission.NO_ANNOTATION
    for part, known in (("speaker", GENDERS), ("text", TEXTS), ("emotion", LABELS)):
        if found[part] not in known:
            raise ValueError(
                f"{stem!r}: {part} {found[part]!r}; expected one of {', '.join(known)}. If the "
                "file is not of Emo-DB, take it out of the folder"
            )
    label = LABELS[found["emotion"]]
    return whole_file(
        TEXTS[found["text"]],
        id=stem,
        speaker=found["speaker"],
        gender=GENDERS[found["speaker"]],
        emotion=record.EMOTIONS.index(CANONICAL.get(label, label)),
        labels=label,
    )
