"""The face that speaks is chosen by its mouth and the voice together."""

import numpy as np
import pytest

from memobert_jax.config import ExtractConfig
from memobert_jax.media import speakers
from memobert_jax.media.speakers import Mouth

CONFIG = ExtractConfig()


def mouth(opening, frames=None, width=None):
    opening = np.array(opening, np.float32)
    frames = np.arange(len(opening)) if frames is None else np.array(frames)
    width = np.full(len(opening), 0.7, np.float32) if width is None else np.array(width)
    return Mouth(frames, opening, width)


def counts(face, voiced):
    return speakers.scores(face, np.array(voiced, bool), CONFIG)


def test_a_talking_mouth_scores_on_all_three():
    assert counts(mouth([0.0, 0.1, 0.0, 0.1]), [1, 1, 1, 1]) == (2, 3, 3)


def test_a_still_mouth_does_not_change_however_open():
    assert counts(mouth([0.1] * 5), [1] * 5) == (5, 0, 0)


def test_change_without_voice_does_not_overlap():
    assert counts(mouth([0.0, 0.1, 0.0, 0.1]), [1, 0, 0, 0]) == (2, 3, 0)


def test_slow_change_counts_over_two_frames():
    assert counts(mouth([0.0, 0.02, 0.04, 0.06]), [1] * 4) == (2, 2, 2)


def test_frames_far_apart_are_not_compared():
    assert counts(mouth([0.0, 0.1], frames=[0, 5]), [1] * 6) == (1, 0, 0)
    assert counts(mouth([0.0, 0.1], frames=[0, 2]), [1] * 6) == (1, 1, 1)


def test_width_changes_count_too():
    face = mouth([0.0] * 3, width=[0.7, 0.8, 0.7])
    assert counts(face, [1] * 3) == (0, 2, 2)


def test_one_sighting_is_no_movement():
    assert counts(mouth([0.2]), [1]) == (1, 0, 0)


def test_voice_is_matched_to_frames_of_a_tenth_of_a_second():
    active = np.zeros(30, bool)
    active[10:16] = True
    assert speakers.voiced_frames(active, 3).tolist() == [False, True, False]
    assert speakers.voiced_frames(active, 2).tolist() == [False, True]
    assert speakers.voiced_frames(active, 5).tolist() == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("persons", "expected"),
    [
        ({}, None),
        ({0: (5, 5, 0)}, None),
        ({0: (0, 9, 9), 1: (1, 1, 1)}, 1),
        ({0: (5, 5, 5), 1: (4, 4, 4)}, 0),
        # Ranks (1, 2, 2) against (2, 1, 1): 2.41 against 2.71.
        ({0: (9, 3, 3), 1: (2, 4, 4)}, 1),
        # Ranks (1, 3, 3), (2, 1, 2), (3, 2, 1): 2.15, 2.41, 2.28.
        ({0: (9, 1, 1), 1: (5, 9, 5), 2: (1, 5, 9)}, 1),
        # Ranks tie at (1, 2), (2, 1) and (1, 1): the greater counts win, then the lower number.
        ({0: (3, 2, 4), 1: (2, 9, 4)}, 1),
        ({1: (3, 3, 3), 0: (3, 3, 3)}, 0),
    ],
)
def test_ranks_decide_and_any_zero_excludes(persons, expected):
    assert speakers.choose(persons) == expected
