"""`logmel`: 80 mel bands, six frames of 10 ms stacked to one row per 60 ms. No weights.

Row r holds frames 6r to 6r + 5. Frame t is the 25 ms Hann window around the middle of samples
160t to 160t + 159, so a row needs the clip from 7.5 ms before its 60 ms to 7.5 ms after; beyond the
clip there are zeros. A clip of n samples has floor(n / 960) rows: what does not fill a row at its
end is only seen by the last window.
"""

import jax
import jax.numpy as jnp
import numpy as np

from memobert_jax.encoders.encoder import Encoder
from memobert_jax.record import SAMPLE_RATE

BANDS = 80
WINDOW = 400
HOP = 160
STACK = 6
FFT = 512
FLOOR = 1e-6
"""Added to each band's power before the logarithm: that of white noise 67 dB below full scale."""

_ROW = HOP * STACK
_MARGIN = (WINDOW - HOP) // 2
_CHUNK_ROWS = 8


def _mel(hz: np.ndarray) -> np.ndarray:
    """The mel scale of Slaney's Auditory Toolbox: linear below 1 kHz, logarithmic above."""
    return np.where(
        hz < 1000, hz * 3 / 200, 15 + 27 * np.log(np.maximum(hz, 1) / 1000) / np.log(6.4)
    )


def _hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def filters() -> np.ndarray:
    """Triangular mel filters of equal area from 0 to 8 kHz, f32 [FFT / 2 + 1, BANDS]."""
    top = _mel(np.array(SAMPLE_RATE / 2))
    edges = _hz(np.linspace(0, top, BANDS + 2))
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    hz = np.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1)[:, None]
    triangles = np.minimum((hz - low) / (centre - low), (high - hz) / (high - centre))
    return (np.maximum(triangles, 0) * 2 / (high - low)).astype(np.float32)


_FILTERS = filters()
_HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


def prepare(samples: np.ndarray) -> tuple[np.ndarray, int]:
    """Samples f32 [n], 16 kHz mono -> (chunks f32 [c, samples of 8 rows and margins], rows)."""
    rows = len(samples) // _ROW
    count = -(-rows // _CHUNK_ROWS)
    step = _CHUNK_ROWS * _ROW
    padded = np.zeros(max(count, 1) * step + 2 * _MARGIN, np.float32)
    inside = samples[: len(padded) - _MARGIN]
    padded[_MARGIN : _MARGIN + len(inside)] = inside
    windows = np.lib.stride_tricks.sliding_window_view(padded, step + 2 * _MARGIN)
    return windows[: count * step : step], rows


def compute(_: tuple[()], chunk: jax.Array) -> jax.Array:
    """Samples f32 [960 * rows + 240] -> log-mel f32 [rows, 480]."""
    hops = jnp.pad(chunk, (0, -len(chunk) % HOP)).reshape(-1, HOP)
    frames = jnp.concatenate([hops[:-2], hops[1:-1], hops[2:, : WINDOW - 2 * HOP]], axis=1)
    spectrum = jnp.fft.rfft(frames * _HANN, FFT)
    power = spectrum.real**2 + spectrum.imag**2
    bands = jnp.dot(power, _FILTERS, precision=jax.lax.Precision.HIGHEST)
    return jnp.log(bands + FLOOR).reshape(-1, STACK * BANDS)


ENCODER = Encoder(
    name="logmel",
    version=1,
    weights_sha256="",
    width=STACK * BANDS,
    rate_hz=SAMPLE_RATE / _ROW,
    bands=BANDS,
    batch=64,
    side_by_side=256,
    prepare=prepare,
    compute=compute,
)
