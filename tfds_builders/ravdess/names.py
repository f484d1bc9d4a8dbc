"""The names of RAVDESS' files, which are its annotation, and where the files are.

    03-01-06-01-02-01-12.wav    modality-channel-emotion-intensity-statement-repetition-actor

Livingstone & Russo 2018, and the description at https://zenodo.org/records/1188976.
"""

import dataclasses
import itertools
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from memobert_jax.media import video
from tfds_builders import manual, tables
from tfds_builders.listing import Omission, Tally

AUDIO_VISUAL, AUDIO = "01", "03"
SPEECH, SONG = "01", "02"
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
"""The corpus' own names, in the order of their codes 01 to 08."""

INTENSITIES = ("normal", "strong")
STATEMENTS = ("Kids are talking by the door.", "Dogs are sitting by the door.")
REPETITIONS = ("01", "02")
ACTORS = tuple(f"{number:02d}" for number in range(1, 25))

_CODES = re.compile(r"\d\d(-\d\d){6}")
_MEDIA = video.SUFFIXES | manual.SOUND_SUFFIXES


@dataclasses.dataclass(frozen=True)
class Clip:
    """What the name of a file says."""

    modality: str
    channel: str
    emotion: str
    intensity: str
    statement: str
    repetition: str
    actor: str

    @property
    def id(self) -> str:
        return "-".join(dataclasses.astuple(self))

    @property
    def text(self) -> str:
        """The statement, the same words in every emotion."""
        return STATEMENTS[int(self.statement) - 1]

    def fields(self) -> dict[str, Any]:
        """The fields of the record that do not depend on its modalities.

        `labels` are the corpus' names of the emotion and of its intensity.
        """
        emotion, intensity = EMOTIONS[int(self.emotion) - 1], INTENSITIES[int(self.intensity) - 1]
        return {
            "id": self.id,
            "speaker": self.actor,
            "gender": "female" if int(self.actor) % 2 == 0 else "male",
            "emotion": tables.emotion_id(emotion, self.id),
            "labels": f"{emotion},{intensity}",
        }


def expected(modality: str) -> list[Clip]:
    """The 1440 clips of speech that the corpus has in a modality, in order of their ids.

    Each actor says each statement twice, in seven emotions at two intensities and neutrally at one.
    """
    codes = [f"{number:02d}" for number in range(1, 9)]
    all_of_them = itertools.product(codes, ("01", "02"), ("01", "02"), REPETITIONS, ACTORS)
    clips = [Clip(modality, SPEECH, *rest) for rest in all_of_them]
    return [clip for clip in clips if (clip.emotion, clip.intensity) != ("01", "02")]


def find(
    root: Path, modality: str, suffixes: Collection[str], tally: Tally
) -> list[tuple[Clip, Path]]:
    """The speech clips of a modality that are there, in order of their ids.

    Every clip that the corpus has is listed, and every other media file under the folder.

    Args:
      root: searched with all its folders.
      modality: AUDIO_VISUAL or AUDIO.
      suffixes: of the files that have it, in lower case.
      tally: of what is listed and left out.
    """
    wanted = {clip.id: clip for clip in expected(modality)}
    tally.listed += len(wanted)
    found: dict[str, Path] = {}
    for path in sorted(manual.walk(root)):
        if path.suffix.lower() not in _MEDIA:
            continue
        reason = _why_not(path, wanted, modality, suffixes)
        if reason is None and path.stem in found:
            reason = Omission.DUPLICATE_ID
        if reason is None:
            found[path.stem] = path
        else:
            tally.listed += 1
            tally.omit(reason, path.relative_to(root).as_posix())
    for missing in sorted(wanted.keys() - found):
        tally.omit(Omission.NO_MEDIA, missing)
    return [(wanted[name], found[name]) for name in sorted(found)]


def _why_not(
    path: Path, wanted: Collection[str], modality: str, suffixes: Collection[str]
) -> Omission | None:
    if not _CODES.fullmatch(path.stem):
        return Omission.NO_ANNOTATION
    given, channel, emotion, *_ = path.stem.split("-")
    if channel == SONG:
        return Omission.OTHER_SETTING
    if not 1 <= int(emotion) <= len(EMOTIONS):
        return Omission.LABEL_NOT_IN_SET
    if given != modality or path.suffix.lower() not in suffixes:
        return Omission.OTHER_MODALITY
    return None if path.stem in wanted else Omission.NO_ANNOTATION
