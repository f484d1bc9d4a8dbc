"""The voices of the talking heads."""

import dataclasses
import importlib.util

import numpy as np
import pytest

from tfds_builders.talking_heads import corpus, voice
from tfds_builders.talking_heads.espeak import RATE_HZ

ANN = voice.cast("female", (0, 0))
TOM = voice.cast("male", (0, 1))
PLAIN = voice.Prosody(185, 50, 50, 0, 0, 0)


def prosody(emotion: str) -> voice.Prosody:
    class Still:
        def normal(self, size):
            return np.zeros(size)

    return voice.prosody(ANN, *corpus.AFFECT[emotion], Still())


@pytest.fixture(scope="module")
def spoken():
    """One sentence in four emotions, and one that opens with closed lips."""
    lines = [("we won the match.", prosody(e)) for e in corpus.EMOTIONS["four"]]
    return voice.speak(ANN, [*lines, ("papa.", PLAIN)])


def level_db(samples: np.ndarray) -> float:
    return 10 * np.log10(np.mean(samples**2))


def band_db(samples: np.ndarray, low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    return 10 * np.log10(power[(hz >= low_hz) & (hz < high_hz)].sum() / power.sum())


def test_speech_is_the_same_whenever_it_is_spoken(spoken):
    lines = [("we won the match.", prosody(e)) for e in corpus.EMOTIONS["four"]]
    again = voice.speak(ANN, [*lines, ("papa.", PLAIN)])
    for first, second in zip(spoken, again, strict=True):
        np.testing.assert_array_equal(first.samples, second.samples)


def test_speech_is_audible_and_does_not_clip(spoken):
    for speech in spoken:
        assert -50 < level_db(speech.samples) < -10
        assert np.abs(speech.samples).max() < 0.99


def test_anger_is_louder_and_faster_than_sadness(spoken):
    anger, _, neutral, sadness = spoken[:4]
    assert level_db(anger.samples) > level_db(neutral.samples) + 2
    assert level_db(neutral.samples) > level_db(sadness.samples) + 2
    assert anger.duration_s < neutral.duration_s < sadness.duration_s


def test_happiness_has_the_brightness_of_a_smile(spoken):
    anger, happiness, neutral, sadness = (band_db(s.samples, 1700, 3400) for s in spoken[:4])
    assert happiness > neutral + 2
    assert neutral > sadness + 2
    assert happiness > anger


def test_the_mouth_is_shut_before_and_after_speech_and_open_within(spoken):
    for speech in spoken:
        assert np.all(np.diff(speech.times) >= 0)
        assert speech.times[0] <= 0
        assert speech.times[-1] >= speech.duration_s
        assert speech.opening[0] == speech.opening[-1] == 0
        assert speech.opening.max() > 0.6
        assert np.all((speech.opening >= 0) & (speech.opening <= 1))


def test_lips_meet_at_labial_sounds(spoken):
    opening = spoken[-1].opening[1:-1]
    shut = opening[opening == 0]
    assert len(shut) >= 2


def test_speakers_differ():
    first, second = (voice.speak(v, [("good morning.", PLAIN)])[0].samples for v in (ANN, TOM))
    n = min(len(first), len(second))
    assert not np.allclose(first[:n], second[:n], atol=1e-3)
    assert voice.cast("female", (0, 0)) == ANN


def test_prosody_is_linear_in_valence_and_arousal():
    class Still:
        def normal(self, size):
            return np.zeros(size)

    def vector(valence, arousal):
        return np.array(dataclasses.astuple(voice.prosody(ANN, valence, arousal, Still())))

    rest = vector(0, 0)
    mixed = vector(0.4, -0.3)
    parts = 0.4 * (vector(1, 0) - rest) - 0.3 * (vector(0, 1) - rest)
    np.testing.assert_allclose(mixed - rest, parts, atol=1e-9)


def test_an_unknown_voice_is_an_error():
    with pytest.raises(RuntimeError, match="no voice 'nowhere'"):
        voice.speak(dataclasses.replace(ANN, variant="nowhere"), [("hello.", PLAIN)])


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install espeakng-loader"):
        voice.speak(ANN, [("hello.", PLAIN)])
