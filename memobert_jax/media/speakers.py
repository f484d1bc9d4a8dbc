"""Which of the faces in an utterance speaks (MEmoBERT §1.2, step 7)."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from memobert_jax.config import ExtractConfig
from memobert_jax.record import FACE_FPS

_LAGS = (1, 2)
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
