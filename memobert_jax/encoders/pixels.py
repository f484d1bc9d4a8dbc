"""`pixels`: the face crop itself, grey, 32x32, its own mean and variance removed. No weights."""

from collections.abc import Sequence

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from memobert_jax.encoders.encoder import Encoder
from memobert_jax.record import FACE_FPS, FACE_SIZE

SIDE = 32
EPSILON = 1e-4
"""Added to the variance of grey values in [0, 1]: a flat crop becomes zeros, not noise."""

_CHUNK_ROWS = 8


def decode(crop: bytes, number: int) -> np.ndarray:
    """A JPEG crop of 112x112, the `number`th of its clip -> grey u8 [112, 112].

    Raises:
      ValueError: if it is no image of that size.
    """
    image = cv2.imdecode(np.frombuffer(crop, np.uint8), cv2.IMREAD_GRAYSCALE) if crop else None
    if image is None or image.shape != (FACE_SIZE, FACE_SIZE):
        found = "no image" if image is None else f"{image.shape[1]}x{image.shape[0]} pixels"
        raise ValueError(
            f"face crop {number} ({len(crop)} bytes) is {found}; expected a JPEG of "
            f"{FACE_SIZE}x{FACE_SIZE}"
        )
    return image


def prepare(crops: Sequence[bytes]) -> tuple[np.ndarray, int]:
    """JPEG crops of 112x112 -> (chunks u8 [c, 8, 32, 32], number of crops).

    Raises:
      ValueError: if a crop is no image of that size.
    """
    count = -(-len(crops) // _CHUNK_ROWS)
    grey = np.zeros((count * _CHUNK_ROWS, SIDE, SIDE), np.uint8)
    for i, crop in enumerate(crops):
        grey[i] = cv2.resize(decode(crop, i), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return grey.reshape(count, _CHUNK_ROWS, SIDE, SIDE), len(crops)


def compute(_: tuple[()], chunk: jax.Array) -> jax.Array:
    """Grey crops u8 [rows, 32, 32] -> f32 [rows, 1024], mean 0 and variance 1 in each row."""
    values = chunk.reshape(-1, SIDE * SIDE).astype(jnp.float32) / 255
    centred = values - values.mean(axis=1, keepdims=True)
    return centred * jax.lax.rsqrt((centred**2).mean(axis=1, keepdims=True) + EPSILON)


ENCODER = Encoder(
    name="pixels",
    version=1,
    weights_sha256="",
    width=SIDE * SIDE,
    rate_hz=FACE_FPS,
    bands=0,
    batch=64,
    side_by_side=256,
    prepare=prepare,
    compute=compute,
)
