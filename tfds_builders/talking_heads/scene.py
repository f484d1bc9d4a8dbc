"""A video as a timeline: when each utterance is heard, and what the face does at every moment."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfds_builders.talking_heads import corpus, expression, looks, sentences, voice
from tfds_builders.talking_heads.espeak import RATE_HZ

_LEAD_IN_S = 0.3
_MARGIN_S = 0.09
_MIN_CUE_S = 1.2
_BLINK_S = 0.22


@dataclasses.dataclass(frozen=True)
class Cue:
    """An utterance in its place. Times in whole milliseconds, as in the subtitles."""

    start_ms: int
    end_ms: int
    utterance: corpus.Planned


@dataclasses.dataclass(frozen=True)
class Scene:
    """Everything that is heard and seen in a video.

    person: who is seen; samples: f32 [n] at `espeak.RATE_HZ`; poses: one for each video frame.
    """

    person: looks.Look
    cues: tuple[Cue, ...]
    samples: np.ndarray
    poses: tuple[expression.Pose, ...]


def compose(video: corpus.Video, fps: int) -> Scene:
    """Speaks the utterances of a video and lays them out in time.

    Raises what `voice.speak` raises.
    """
    rng = np.random.default_rng(video.seed)
    actor = voice.cast(video.speaker.gender, video.speaker.seed)
    lines = [
        (sentences.spoken(u.text), voice.prosody(actor, *corpus.AFFECT[u.shown["speech"]], rng))
        for u in video.utterances
    ]
    speeches = voice.speak(actor, lines)
    cues, begins, end_s = _place(video.utterances, speeches)
    samples = np.zeros(round(end_s * RATE_HZ), np.float32)
    for begin, speech in zip(begins, speeches, strict=True):
        at = round(begin * RATE_HZ)
        samples[at : at + len(speech.samples)] += speech.samples
    samples += rng.normal(0, 3e-4, len(samples)).astype(np.float32)
    times = np.arange(int(end_s * fps)) / fps
    person = looks.look(video.speaker.gender, video.speaker.seed)
    poses = _poses(times, cues, begins, speeches, person, rng)
    return Scene(person, tuple(cues), samples, tuple(poses))


def _place(
    utterances: Sequence[corpus.Planned], speeches: Sequence[voice.Speech]
) -> tuple[list[Cue], list[float], float]:
    """Cues, the times at which speech begins, and the length of the video, in seconds."""
    cues, begins, now = [], [], _LEAD_IN_S
    for utterance, speech in zip(utterances, speeches, strict=True):
        length = max(_MIN_CUE_S, speech.duration_s + 2 * _MARGIN_S)
        start_ms, end_ms = round(now * 1000), round((now + length) * 1000)
        cues.append(Cue(start_ms, end_ms, utterance))
        begins.append(now + (length - speech.duration_s) / 2)
        now = end_ms / 1000 + utterance.pause_s
    return cues, begins, now


def _poses(times, cues, begins, speeches, person: looks.Look, rng) -> list[expression.Pose]:
    opening, rounding = _mouth(times, begins, speeches)
    blink, gaze = _blinks(times, person, rng), _glances(times, rng)
    dx, dy, roll = (_sway(times, rng) * person.sway * k for k in (1.3, 0.9, 1.0))
    expressions = _expressions(times, cues, rng)
    return [
        expression.Pose(
            expression=e,
            opening=float(opening[i]),
            rounding=float(rounding[i]),
            blink=float(blink[i]),
            gaze_x=float(gaze[i]),
            dx=float(dx[i]),
            dy=float(dy[i] + e.nod),
            roll_deg=float(roll[i]),
        )
        for i, e in enumerate(expressions)
    ]


def _expressions(times: np.ndarray, cues: Sequence[Cue], rng) -> list[expression.Expression]:
    """The expression of each cue, changing smoothly in the pauses between them."""
    shown = [
        expression.of_affect(
            *(np.array(corpus.AFFECT[c.utterance.shown["face"]]) * rng.uniform(0.85, 1.1))
        )
        for c in cues
    ]
    knots, places = [], []
    for i, cue in enumerate(cues):
        knots += [cue.start_ms / 1000, cue.end_ms / 1000]
        places += [i, i]
    position = np.interp(times, knots, places)
    out = []
    for place in position:
        i = min(int(place), len(cues) - 1)
        share = place - i
        following = shown[min(i + 1, len(cues) - 1)]
        out.append(shown[i].blend(following, share * share * (3 - 2 * share)))
    return out


def _mouth(times, begins, speeches) -> tuple[np.ndarray, np.ndarray]:
    keys = np.concatenate([b + s.times for b, s in zip(begins, speeches, strict=True)])
    opening = np.interp(times, keys, np.concatenate([s.opening for s in speeches]))
    rounding = np.interp(times, keys, np.concatenate([s.rounding for s in speeches]))
    return opening, rounding


def _blinks(times: np.ndarray, person: looks.Look, rng) -> np.ndarray:
    """How far the lids are shut, 0 to 1."""
    gaps = rng.uniform(0.5, 1.5, int(times[-1] / person.blink_every_s * 2) + 2)
    at = np.cumsum(gaps * person.blink_every_s)
    distance = np.abs(times[:, None] - at[None]).min(1)
    return np.clip(1.3 - distance / (_BLINK_S / 2), 0, 1)


def _glances(times: np.ndarray, rng) -> np.ndarray:
    """Small jumps of the gaze to the side, in picture units."""
    return rng.normal(0, 0.8, int(times[-1] / 0.9) + 1)[(times / 0.9).astype(int)]


def _sway(times: np.ndarray, rng) -> np.ndarray:
    """A slow movement of about unit size."""
    hz, phase = rng.uniform((0.12, 0.3, 0.5), (0.25, 0.45, 0.8)), rng.uniform(0, 6.28, 3)
    return np.sin(2 * np.pi * hz * times[:, None] + phase) @ np.array([0.6, 0.35, 0.2])
