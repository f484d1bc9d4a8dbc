"""Voices: who speaks how, and what an emotion does to it.

Speech is synthesised by espeak-ng (see `espeak.py` for its licence). The prosody of an emotion is
linear in its valence and arousal: arousal makes speech faster, higher, livelier, louder and
brighter, valence raises its pitch and the band of 1.5 to 3.5 kHz (lips spread in a smile shorten
the vocal tract).
"""
# ruff: noqa: RUF001  (letters of the International Phonetic Alphabet)

import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfds_builders.talking_heads.espeak import RATE_HZ

_VARIANTS = {
    "female": ("f1", "f2", "f3", "f4"),
    "male": ("m1", "m2", "m3", "m4", "m6"),
}

_OPENING = {
    "ɑaæɐ": 1.0,
    "ʌɛɜɔ": 0.85,
    "oeəɚ": 0.7,
    "iɪuʊ": 0.55,
    "jwɹrhkɡŋ": 0.35,
    "lntdszʃʒθðɾ": 0.22,
    "fv": 0.1,
    "pbm": 0.0,
}
_ROUNDING = {"uʊwoɔ": 1.0, "ɹʃʒ": 0.5, "iɪesz": -0.5}
_MARKS = "ˈˌː"

_LEAD_S = 0.05
_FILTER_TAIL = 1024
_LEVEL = 0.045
_FULL_SCALE = 32_768


@dataclasses.dataclass(frozen=True)
class Voice:
    """A speaker's voice: an espeak-ng voice, and offsets of its prosody."""

    variant: str
    rate: float
    pitch: float
    gain_db: float


@dataclasses.dataclass(frozen=True)
class Prosody:
    """How one utterance is spoken.

    rate: words a minute; pitch, pitch_range: 0-100 of espeak-ng; gain_db: loudness; tilt_db: gain
    at 4 kHz against 250 Hz; smile_db: gain around 2.4 kHz.
    """

    rate: float
    pitch: float
    pitch_range: float
    gain_db: float
    tilt_db: float
    smile_db: float


@dataclasses.dataclass(frozen=True)
class Speech:
    """Samples f32 [n] at RATE_HZ, and the mouth they need: times [k] in seconds from the first
    sample, opening [k] 0 to 1, rounding [k] -1 (spread) to 1 (rounded)."""

    samples: np.ndarray
    times: np.ndarray
    opening: np.ndarray
    rounding: np.ndarray

    @property
    def duration_s(self) -> float:
        return len(self.samples) / RATE_HZ


def cast(gender: str, seed: Sequence[int]) -> Voice:
    """The voice of a speaker."""
    rng = np.random.default_rng((*seed, 1))
    return Voice(
        variant=f"en-us+{rng.choice(_VARIANTS[gender])}",
        rate=float(rng.uniform(-10, 10)),
        pitch=float(rng.uniform(-6, 6)),
        gain_db=float(rng.uniform(-1, 1)),
    )


def prosody(voice: Voice, valence: float, arousal: float, rng: np.random.Generator) -> Prosody:
    """The prosody of an utterance: linear in (valence, arousal), with a little chance."""
    around = rng.normal(size=6)
    return Prosody(
        rate=voice.rate + 184 + 34 * arousal + 6 * valence + 5 * around[0],
        pitch=voice.pitch + 48 + 16 * arousal + 14 * valence + 2 * around[1],
        pitch_range=50 + 25 * arousal + 18 * valence + 4 * around[2],
        gain_db=voice.gain_db + 6.5 * arousal + 0.6 * around[3],
        tilt_db=12 * arousal + 0.8 * around[4],
        smile_db=12 * valence + 0.8 * around[5],
    )


def speak(voice: Voice, lines: Sequence[tuple[str, Prosody]]) -> list[Speech]:
    """Speaks lines of (sentence, prosody), one after the other.

    Raises:
      ModuleNotFoundError: without the package `espeakng-loader`.
      RuntimeError: if espeak-ng fails; the message carries its own.
    """
    requests = [
        {
            "text": text,
            "voice": voice.variant,
            "rate": round(np.clip(p.rate, 80, 450)),
            "pitch": round(np.clip(p.pitch, 0, 99)),
            "range": round(np.clip(p.pitch_range, 0, 99)),
            "volume": 100,
        }
        for text, p in lines
    ]
    header, pcm = _run_espeak(requests)
    speeches, start = [], 0
    for result, (_, p) in zip(header, lines, strict=True):
        samples = pcm[start : start + result["samples"]].astype(np.float32) / _FULL_SCALE
        start += result["samples"]
        speeches.append(Speech(_colour(samples, p), *_mouth(result["phonemes"], len(samples))))
    return speeches


def _run_espeak(requests: list[dict]) -> tuple[list[dict], np.ndarray]:
    from importlib.util import find_spec

    if find_spec("espeakng_loader") is None:
        raise ModuleNotFoundError(
            "the talking heads speak through espeak-ng: pip install espeakng-loader "
            "(GPL-3; used by this renderer alone)"
        )
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("espeak.py"))],
        input=json.dumps(requests).encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"espeak-ng failed: {done.stderr.decode(errors='replace').strip()}")
    header, _, pcm = done.stdout.partition(b"\n")
    return json.loads(header), np.frombuffer(pcm, "<i2")


def _colour(samples: np.ndarray, p: Prosody) -> np.ndarray:
    """Applies loudness, spectral tilt and smile as one zero-phase filter."""
    length = 1 << (len(samples) + _FILTER_TAIL - 1).bit_length()
    octaves = np.log2(np.maximum(np.fft.rfftfreq(length, 1 / RATE_HZ), 50.0) / 1000)
    tilt = p.tilt_db * np.clip(octaves / 4, -0.5, 0.5)
    smile = p.smile_db * np.exp(-0.5 * ((octaves - np.log2(2.4)) / 0.45) ** 2)
    gain = 10 ** ((p.gain_db + tilt + smile) / 20)
    level = np.sqrt(np.mean(np.square(samples))) + 1e-9
    gain *= _LEVEL / level
    coloured = np.fft.irfft(np.fft.rfft(samples, length) * gain, length)[: len(samples)]
    return np.tanh(coloured).astype(np.float32)


def _mouth(
    phonemes: list[tuple[float, str]], samples: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Key points of the mouth: each phoneme's shape at its middle, closed at both ends."""
    end = samples / RATE_HZ
    starts = [start for start, _ in phonemes] + [end]
    times, opening, rounding = [-_LEAD_S], [0.0], [0.0]
    for i, (start, symbol) in enumerate(phonemes):
        sound = symbol.strip(_MARKS)[:1]
        stress = 1.0 if "ˈ" in symbol else 0.85
        times.append((start + starts[i + 1]) / 2)
        opening.append(stress * _lookup(_OPENING, sound))
        rounding.append(_lookup(_ROUNDING, sound))
    times.append(end + _LEAD_S)
    opening.append(0.0)
    rounding.append(0.0)
    order = np.argsort(times, kind="stable")
    return tuple(np.asarray(a, np.float32)[order] for a in (times, opening, rounding))


def _lookup(table: dict[str, float], sound: str) -> float:
    return next((value for sounds, value in table.items() if sound and sound in sounds), 0.0)
