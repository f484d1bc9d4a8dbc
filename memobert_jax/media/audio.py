"""Sound: 16 kHz mono samples placed by time, FLAC, and energy-based voice activity."""

import contextlib
import io
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
import soundfile

from memobert_jax.media import container
from memobert_jax.record import SAMPLE_RATE

HOP = SAMPLE_RATE // 100
"""Samples of one voice activity frame, 10 ms."""

_DRIFT_S = 0.04
_BEYOND_END_S = 60.0
_SILENCE_DB = -60.0
_LEAST_RANGE_DB = 6.0
_THRESHOLD = 0.4


def read(path: str | Path) -> np.ndarray:
    """All sound of a file: f32 [n] in [-1, 1), 16 kHz mono; see `read_pcm16`."""
    return read_pcm16(path).astype(np.float32) / 32768


def read_pcm16(path: str | Path) -> np.ndarray:
    """All sound of a file: i16 [n], 16 kHz mono, sample i at i / 16000 s of the container's time.

    Samples are placed by their time stamps: gaps become silence, overlaps are cut, a late start
    begins with silence. Packets that cannot be decoded are gaps. Without audio: i16 [0].

    Raises:
      FileNotFoundError: without a file.
      DamagedMedia: if the file cannot be opened.
    """
    with container.open_media(path) as media:
        stream = container.stream_of(media, "audio")
        if stream is None:
            return np.zeros(0, np.int16)
        stream.thread_type = "NONE"
        zero = container.origin(media)
        # A time stamp far beyond the declared length is damage, not an hour of silence.
        limit = ((media.duration or 0) / av.time_base + _BEYOND_END_S) * SAMPLE_RATE
        parts: list[np.ndarray] = []
        written = 0
        for frame in _resampled(_decoded(container.packets(media, stream))):
            samples = frame.to_ndarray()[0]
            if frame.pts is not None:
                place = round((float(frame.pts * frame.time_base) - zero) * SAMPLE_RATE)
                if place > limit and place - written > len(samples):
                    continue
                samples = _place(samples, place - written)
            parts.append(samples)
            written += len(samples)
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def _decoded(packets: Iterable["av.Packet"]) -> Iterator["av.AudioFrame"]:
    """Frames of the packets that can be decoded."""
    for packet in packets:
        with contextlib.suppress(av.error.FFmpegError):
            yield from packet.decode()


def _resampled(frames: Iterable["av.AudioFrame"]) -> Iterator["av.AudioFrame"]:
    """The frames as 16 kHz mono s16; their format may change on the way."""
    resampler, kind = None, None
    for frame in itertools.chain(frames, [None]):
        now = frame and (frame.format.name, frame.layout.name, frame.sample_rate)
        if now != kind:
            if resampler is not None:
                yield from _resample(resampler, None)
            resampler, kind = None, now
        if frame is not None:
            resampler = resampler or av.AudioResampler("s16", "mono", SAMPLE_RATE)
            yield from _resample(resampler, frame)


def _resample(resampler: "av.AudioResampler", frame: "av.AudioFrame | None"):
    try:
        return resampler.resample(frame)
    except av.error.FFmpegError:
        return []


def _place(samples: np.ndarray, late: int) -> np.ndarray:
    """`samples` after `late` samples of silence, or without the first `-late`; drift is ignored."""
    if abs(late) <= _DRIFT_S * SAMPLE_RATE:
        return samples
    if late < 0:
        return samples[-late:]
    return np.concatenate([np.zeros(late, np.int16), samples])


def encode_flac(samples: np.ndarray) -> bytes:
    """FLAC bytes of i16 [n] or f32 [n] in [-1, 1] samples, 16 kHz mono, 16 bit."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def decode_flac(data: bytes) -> np.ndarray:
    """f32 [n] in [-1, 1) of FLAC bytes; f32 [0] of b''.

    Raises:
      ValueError: if the bytes are no FLAC, or not 16 kHz mono.
    """
    if not data:
        return np.zeros(0, np.float32)
    try:
        samples, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{len(data)} bytes of speech are no FLAC file: {error}") from error
    if rate != SAMPLE_RATE or samples.shape[1] != 1:
        raise ValueError(
            f"speech has {rate} Hz and {samples.shape[1]} channels; expected {SAMPLE_RATE} Hz mono"
        )
    return samples[:, 0]


def voice_activity(samples: np.ndarray) -> np.ndarray:
    """Which frames of 10 ms carry voice, by energy.

    A frame is active if its level lies in the upper part of the range between the quiet (10th
    percentile) and the loud frames (95th) of these samples, and above -60 dB of full scale. Sound
    of one constant level is active throughout.

    Args:
      samples: i16 [n] or f32 [n] in [-1, 1], 16 kHz.

    Returns:
      bool [n // 160].
    """
    level = _level(samples)
    if not len(level):
        return np.zeros(0, bool)
    quiet, loud = np.percentile(np.maximum(level, _SILENCE_DB), [10, 95])
    threshold = _SILENCE_DB
    if loud - quiet >= _LEAST_RANGE_DB:
        threshold = quiet + _THRESHOLD * (loud - quiet)
    return level > threshold


def _level(samples: np.ndarray) -> np.ndarray:
    """f32 [n // 160]: mean power of each 10 ms, in dB of full scale."""
    count = len(samples) // HOP
    scale = 32768.0 if samples.dtype == np.int16 else 1.0
    framed = samples[: count * HOP].reshape(count, HOP).astype(np.float32) / np.float32(scale)
    return 10 * np.log10(np.mean(np.square(framed), axis=1) + 1e-12)


def is_silent(samples: np.ndarray) -> bool:
    """Whether no 10 ms of samples (as for `voice_activity`) are above -60 dB of full scale."""
    return not np.any(_level(samples) > _SILENCE_DB)


def voiced_spans(active: np.ndarray, pause_s: float) -> list[tuple[float, float]]:
    """Stretches of voice as (start_s, end_s), of `voice_activity`'s bool [n].

    Pauses of at most `pause_s` seconds do not end a stretch; it begins and ends with a quarter of
    that around the voice.
    """
    edges = np.flatnonzero(np.diff(active.astype(np.int8), prepend=0, append=0))
    spans: list[list[int]] = []
    for start, end in edges.reshape(-1, 2).tolist():
        if spans and start - spans[-1][1] <= pause_s * 100:
            spans[-1][1] = end
        else:
            spans.append([start, end])
    margin = pause_s / 4
    return [(max(0.0, start / 100 - margin), end / 100 + margin) for start, end in spans]
