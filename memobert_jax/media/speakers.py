"""Which of the faces in an utterance speaks (MEmoBERT §1.2, step 7)."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from memobert_jax.config import ExtractConfig
from memobert_jax.media import audio
from memobert_jax.media.ledger import Reason
from memobert_jax.media.tracks import Sighting
from memobert_jax.record import FACE_FPS, SAMPLE_RATE

Look = tuple[float, list[Sighting]]
"""Time of a picture, seconds, and the faces in it."""

_LAGS = (1, 2)
_CONTEXT_S = 1.0
_VOICE_FPS = 100


@dataclasses.dataclass(frozen=True)
class Mouth:
    """The mouth of one person over an utterance.

    Attributes:
      frames: i32 [n], numbers of the 10 fps frames in which the person is seen, ascending.
      opening, width: f32 [n], of the inner lips, in distances between the eyes.
    """

    frames: np.ndarray
    opening: np.ndarray
    width: np.ndarray


def voiced_frames(active: np.ndarray, count: int) -> np.ndarray:
    """Whether there is voice around each face frame.

    Args:
      active: bool [m], voice activity in frames of 10 ms from the utterance's start.
      count: number of 10 fps face frames.

    Returns:
      bool [count]: at least half of the 100 ms that follow the frame's start are active.
    """
    step = round(_VOICE_FPS / FACE_FPS)
    padded = np.zeros(max(count * step, len(active)), bool)
    padded[: len(active)] = active
    return padded[: count * step].reshape(count, step).mean(axis=1) >= 0.5


def scores(mouth: Mouth, voiced: np.ndarray, config: ExtractConfig) -> tuple[int, int, int]:
    """The three counts of a person, in frames.

    Args:
      mouth: of the person.
      voiced: bool [frames of the utterance], see `voiced_frames`.

    Returns:
      (open, change, overlap): frames with the mouth open; frames whose opening or width differs
      from that of a frame one or two before by more than `config.mouth_change`; those of them
      with voice.
    """
    changed = np.zeros(len(mouth.frames), bool)
    for lag in _LAGS:
        near = mouth.frames[lag:] - mouth.frames[:-lag] <= _LAGS[-1]
        for series in (mouth.opening, mouth.width):
            changed[lag:] |= near & (np.abs(series[lag:] - series[:-lag]) > config.mouth_change)
    opened = int(np.sum(mouth.opening > config.mouth_open))
    return opened, int(changed.sum()), int(np.sum(changed & voiced[mouth.frames]))


def choose(counts: Mapping[int, Sequence[int]]) -> int | None:
    """The person who speaks: the greatest sum over the scores of 1 / sqrt(rank).

    A person with any score of zero is out. Equal scores share the better rank; of persons with
    equal sums the one with the greater counts speaks, and then the one of the lower number.

    Args:
      counts: the scores of each person, by number.

    Returns:
      The number of the person, or None.
    """
    left = {person: tuple(values) for person, values in counts.items() if all(values)}
    if not left:
        return None

    def merit(person):
        columns = zip(*left.values(), strict=True)
        ranks = [
            1 + sum(other > own for other in column)
            for own, column in zip(left[person], columns, strict=True)
        ]
        return sum(rank**-0.5 for rank in ranks), sum(left[person]), -person

    return max(left, key=merit)


def speaking_face(
    seen: Sequence[Look],
    start_s: float,
    end_s: float,
    sound: np.ndarray | None,
    config: ExtractConfig,
) -> tuple[list[tuple[float, Sighting]], Reason | None]:
    """The face that speaks in an utterance.

    Args:
      seen: the pictures of the utterance at 10 fps.
      start_s, end_s: of the utterance.
      sound: i16 [n], 16 kHz, of the whole video; None where the utterance has no sound: then the
        most present face is taken, as without `config.active_speaker`.

    Returns:
      The face over time as (time_s, sighting), and MOST_PRESENT_FACE or None; or [] and the reason
      why there is none.
    """
    people: dict[int, list[tuple[int, float, Sighting]]] = {}
    for time_s, sightings in seen:
        frame = int((time_s - start_s) * FACE_FPS + 1e-6)
        for sighting in sightings:
            people.setdefault(sighting.track, []).append((frame, time_s, sighting))
    if not people:
        return [], Reason.DAMAGED if not seen else Reason.NO_FACE
    length = max(len(seen), math.floor((end_s - start_s) * FACE_FPS + 1e-6))
    people = {
        track: looks
        for track, looks in people.items()
        if len(looks) >= config.min_presence * length
    }
    if not people:
        return [], Reason.FACE_TOO_RARE
    if config.active_speaker and sound is not None:
        voiced = voiced_frames(_voice(sound, start_s, end_s), length + 1)
        track = choose(
            {track: scores(_mouth(looks), voiced, config) for track, looks in people.items()}
        )
        if track is None:
            return [], Reason.NO_ACTIVE_SPEAKER
        note = None
    else:
        track = max(people, key=lambda track: (len(people[track]), -track))
        note = Reason.MOST_PRESENT_FACE if config.active_speaker else None
    return [(time_s, sighting) for _, time_s, sighting in people[track]], note


def is_in(sighting: Sighting, region: str) -> bool:
    """Whether a face is in the region (`subtitles.REGIONS`) of its picture."""
    return not region or (sighting.x < 0.5) == (region == "left")


def within(seen: Sequence[Look], region: str) -> list[Look]:
    """The pictures with the faces that are in the region."""
    return [(time_s, [s for s in sightings if is_in(s, region)]) for time_s, sightings in seen]


def _mouth(looks: list[tuple[int, float, Sighting]]) -> Mouth:
    mouths = np.array([sighting.mouth for _, _, sighting in looks], np.float32)
    frames = np.array([frame for frame, _, _ in looks], np.int32)
    return Mouth(frames, mouths[:, 0], mouths[:, 1])


def _voice(sound: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    """Voice activity of an utterance, judged with a second of sound on both sides."""
    frames = [round(t * SAMPLE_RATE / audio.HOP) for t in (start_s, end_s)]
    margin = round(_CONTEXT_S * SAMPLE_RATE / audio.HOP)
    low = max(0, frames[0] - margin)
    active = audio.voice_activity(sound[low * audio.HOP : (frames[1] + margin) * audio.HOP])
    return active[frames[0] - low : frames[1] - low]
