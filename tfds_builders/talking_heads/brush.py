"""Drawing with smooth edges. Points are in picture units (1/256 of the picture's side); `scale` is
pixels per unit. Pictures are u8 RGB or RGBA; what is drawn is opaque."""

import functools
from collections.abc import Callable

import cv2
import numpy as np

UNITS = 256.0
_SHIFT = 4

Colour = tuple[float, float, float]


def polygon(image: np.ndarray, points: np.ndarray, colour: Colour, scale: float) -> None:
    """Fills the polygon `points` [n, 2], in place."""
    cv2.fillPoly(image, [_fixed(points, scale)], (*colour, 255), cv2.LINE_AA, _SHIFT)


def line(image: np.ndarray, points: np.ndarray, colour: Colour, width: float, scale: float) -> None:
    """Draws the open line `points` [n, 2] of `width` units, at least a pixel, in place."""
    pixels = max(1, round(width * scale))
    fixed = [_fixed(points, scale)]
    cv2.polylines(image, fixed, False, (*colour, 255), pixels, cv2.LINE_AA, _SHIFT)


def _fixed(points: np.ndarray, scale: float) -> np.ndarray:
    return np.rint(points * (scale * (1 << _SHIFT)) - (1 << _SHIFT) / 2).astype(np.int32)


def ellipse(x: float, y: float, rx: float, ry: float, n: int = 32) -> np.ndarray:
    """Points [n, 2] of an ellipse."""
    return _circle(n) * (rx, ry) + np.array([x, y])


@functools.cache
def _circle(n: int) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def smooth(points: np.ndarray, steps: int = 6) -> np.ndarray:
    """A closed Catmull-Rom curve through `points` [n, 2]: [n * steps, 2]."""
    p0, p1, p2, p3 = (np.roll(points, k, 0)[:, None] for k in (1, 0, -1, -2))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    cubic = (3 * p1 - p0 - 3 * p2 + p3) * t**3
    square = (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
    return (0.5 * (2 * p1 + (p2 - p0) * t + square + cubic)).reshape(-1, 2)


def mirrored(right: np.ndarray, width: float) -> np.ndarray:
    """A closed curve from its right half, top to bottom: x in `width` units from the middle."""
    half = np.asarray(right, np.float64) * (width, 1)
    points = np.concatenate([half, half[::-1] * (-1, 1)])
    ends = np.isclose(points[:, 0], 0)
    keep = ~(ends & (np.arange(len(points)) >= len(half)))
    return smooth(points[keep] + np.array([128.0, 0.0]))


@functools.cache
def darker(colour: Colour, factor: float) -> Colour:
    """The colour times `factor`; above 1 it becomes lighter."""
    return tuple(min(255.0, max(0.0, c * factor)) for c in colour)


def soft(
    image: np.ndarray,
    points: np.ndarray,
    colour: Colour,
    scale: float,
    *,
    blur: float,
    opacity: float = 1.0,
    within: np.ndarray | None = None,
) -> None:
    """Paints a polygon with blurred edges on an f32 picture [height, width, 3], in place.

    Args:
      blur: standard deviation of the edge, units.
      opacity: 0 to 1.
      within: f32 [height, width] in 0..1, where painting counts; everywhere if None.
    """
    margin = 3 * blur + 1
    low = np.maximum((points.min(0) - margin) * scale, 0).astype(int)
    high = np.maximum(np.ceil((points.max(0) + margin) * scale), 0).astype(int)
    where = slice(low[1], high[1]), slice(low[0], high[0])
    patch = image[where]
    mask = np.zeros(patch.shape[:2], np.uint8)
    if not mask.size:
        return
    polygon(mask, points - low / scale, (255.0, 255.0, 255.0), scale)
    share = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), blur * scale) * (opacity / 255)
    if within is not None:
        share *= within[where]
    patch += (np.asarray(colour, np.float32) - patch) * share[..., None]


def mix(
    image: np.ndarray,
    scale: float,
    box: tuple[float, float, float, float],
    draw: Callable[[np.ndarray, np.ndarray], None],
    *,
    shape: np.ndarray | None = None,
    opacity: float = 1.0,
    blur: float = 0.0,
) -> None:
    """Draws on a copy of a part of a u8 picture and mixes the copy in, in place.

    Args:
      box: left, top, right, bottom of the part.
      draw: `draw(layer, origin)` draws on the copy, whose top left is at `origin` [2].
      shape: polygon [n, 2] inside which the copy counts; the whole box if None.
      opacity: 0 to 1.
      blur: the copy is averaged over squares of this size.
    """
    x0, y0, x1, y1 = (round(v * scale) for v in box)
    patch = image[y0:y1, x0:x1]
    origin = np.array([x0, y0]) / scale
    layer = patch.copy()
    draw(layer, origin)
    if blur:
        side = 2 * round(blur * scale / 2) + 1
        layer = cv2.blur(layer, (side, side))
    if shape is None:
        patch[:] = cv2.addWeighted(patch, 1 - opacity, layer, opacity, 0)
        return
    share = np.zeros(patch.shape[:2], np.uint8)
    polygon(share, shape - origin, (255.0, 255.0, 255.0), scale)
    share = cv2.merge([share] * patch.shape[2])
    old = cv2.multiply(patch, 255 - share, scale=1 / 255)
    patch[:] = cv2.add(old, cv2.multiply(layer, share, scale=opacity / 255))
