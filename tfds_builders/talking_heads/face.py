"""A face in motion: an expression drawn on the portrait of a person.

Lengths are in picture units (1/256 of the picture's side).
"""

import cv2
import numpy as np

from tfds_builders.talking_heads import portrait
from tfds_builders.talking_heads.brush import UNITS, darker, ellipse, line, mix, polygon
from tfds_builders.talking_heads.expression import Expression, Pose
from tfds_builders.talking_heads.looks import Look

_LAYER_SCALE = 2
_T = np.linspace(-1, 1, 17)
_ARC = 1 - _T**2
_OUTWARD = np.linspace(-1, 1, 13)


class Head:
    """Draws frames of one person. Holds what does not change from frame to frame."""

    def __init__(self, person: Look, size: int):
        self.person, self.size = person, size
        side = _LAYER_SCALE * size
        self._scale = side / UNITS
        back = portrait.backdrop(person, side)
        self._back = cv2.resize(back, (size, size), interpolation=cv2.INTER_AREA)
        self._layer = portrait.head(person, side)
        self._box = x0, y0, x1, y1 = _box(self._layer[..., 3])
        self._clean = self._layer[y0:y1, x0:x1].copy()
        self._rows = np.arange(y1 - y0)
        self._jaw = self._scale * self._jaw_share(np.arange(y0, y1) / self._scale)

    def draw(self, pose: Pose) -> np.ndarray:
        """One frame, RGB u8 [size, size, 3]."""
        head, e, scale = self._layer, pose.expression, self._scale
        x0, y0, x1, y1 = self._box
        rows = np.rint(self._rows - 0.5 * pose.gap * self._jaw).astype(np.intp)
        head[y0:y1, x0:x1] = self._clean[rows]
        for side in (-1, 1):
            _eye(head, scale, self.person, pose, side)
            _brow(head, scale, self.person, e, side)
            _fold(head, scale, self.person, e, side)
        _frown(head, scale, self.person, e)
        _mouth(head, scale, self.person, pose)
        return self._place(pose)

    def _jaw_share(self, y: np.ndarray) -> np.ndarray:
        """How far each row follows the jaw: not at the nose, wholly at the chin."""
        person = self.person
        knots = (person.nose_y + 6, person.mouth_y + 6, person.chin_y + 1, person.chin_y + 16)
        return np.interp(y, knots, (0.0, 0.8, 1.0, 0.0))

    def _place(self, pose: Pose) -> np.ndarray:
        """Moves the head to its place in front of the backdrop."""
        person, size = self.person, self.size
        angle = person.tilt_deg + pose.roll_deg
        matrix = cv2.getRotationMatrix2D((128.0, 190.0), angle, person.zoom)
        matrix[:, 2] += (person.centre[0] + pose.dx, person.centre[1] + pose.dy)
        matrix[:, 2] *= size / UNITS
        matrix[:, :2] *= size / self._layer.shape[0]
        x0, y0, x1, y1 = self._box
        corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ matrix[:, :2].T
        low = np.clip(np.floor((corners + matrix[:, 2]).min(0)), 0, size).astype(int)
        high = np.clip(np.ceil((corners + matrix[:, 2]).max(0)), 0, size).astype(int)
        matrix[:, 2] -= low
        shape = tuple(int(n) for n in high - low)
        front = cv2.warpAffine(self._layer, matrix, shape, flags=cv2.INTER_LINEAR)
        alpha = cv2.cvtColor(front[..., 3], cv2.COLOR_GRAY2RGB)
        front = cv2.multiply(cv2.cvtColor(front, cv2.COLOR_RGBA2RGB), alpha, scale=1 / 255)
        frame = self._back.copy()
        part = frame[low[1] : high[1], low[0] : high[0]]
        part[:] = cv2.add(front, cv2.multiply(part, 255 - alpha, scale=1 / 255))
        return frame


def _box(alpha: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is not transparent, and a pixel around it."""
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    low = max(columns[0] - 1, 0), max(rows[0] - 1, 0)
    return *low, min(columns[-1] + 2, alpha.shape[1]), min(rows[-1] + 2, alpha.shape[0])


def _curve(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    points = np.empty((len(x), 2))
    points[:, 0], points[:, 1] = x, y
    return points


def _band(x: np.ndarray, above: np.ndarray, below: np.ndarray) -> np.ndarray:
    points = np.empty((2 * len(x), 2))
    points[: len(x), 0], points[: len(x), 1] = x, above
    points[len(x) :, 0], points[len(x) :, 1] = x[::-1], below[::-1]
    return points


def _eye(head: np.ndarray, scale: float, person: Look, pose: Pose, side: int) -> None:
    e = pose.expression
    x, y, w = 128 + side * person.eye_dx, person.eye_y, person.eye_half_width
    slant = y - e.lid_slope * _T * side
    lower = slant + (3.4 - e.squint) * _ARC
    upper = slant - 5.6 * e.eye_open * _ARC**0.8
    upper = upper + (lower - upper) * pose.blink
    xs = x + w * _T
    almond = _band(xs, upper, lower)
    gaze = np.array([x + person.gaze_x + pose.gaze_x, y - 1.0 + e.gaze_y])
    glint = gaze + np.array([1.6 * person.light_x, -1.8])

    def ball(layer, origin):
        polygon(layer, almond - origin, (232, 230, 228), scale)
        polygon(layer, ellipse(*(gaze - origin), 5.4, 5.4, 24), darker(person.iris, 0.6), scale)
        polygon(layer, ellipse(*(gaze - origin), 4.6, 4.6, 24), person.iris, scale)
        polygon(layer, ellipse(*(gaze - origin), 2.3, 2.3, 16), (12, 10, 10), scale)
        polygon(layer, ellipse(*(glint - origin), 1.1, 1.1, 12), (250, 250, 250), scale)
        line(layer, _curve(xs, upper + 1.3) - origin, (150, 140, 138), 1.2, scale)

    mix(head, scale, (x - 15, y - 11, x + 15, y + 8), ball, shape=almond)
    line(head, _curve(xs, upper), darker(person.hair, 0.5), 1.4, scale)
    height = 3.0 + 5.2 * e.eye_open * (1 - 0.45 * pose.blink)
    crease = _curve(x + 1.02 * w * _T, slant - height * _ARC)[2:-2]
    line(head, crease, darker(person.skin, 0.62), 0.7, scale)
    line(head, _curve(xs, lower)[2:-2], darker(person.skin, 0.55), 0.6, scale)


def _brow(head: np.ndarray, scale: float, person: Look, e: Expression, side: int) -> None:
    x = 128 + side * (person.eye_dx + 0.5 + 14.0 * _OUTWARD)
    y = person.brow_y - 0.5 - e.brow_raise - 2.4 * (1 - _OUTWARD**2) - e.brow_slope * _OUTWARD
    thickness = person.brow_thickness * (1.05 - 0.35 * _OUTWARD - 0.35 * _OUTWARD**2)
    shape, colour = _band(x, y - thickness, y + thickness), darker(person.hair, 0.8)
    box = (x.min() - 2, y.min() - 5, x.max() + 2, y.max() + 5)
    mix(
        head,
        scale,
        box,
        lambda layer, origin: polygon(layer, shape - origin, colour, scale),
        opacity=0.88,
        blur=0.8,
    )


def _frown(head: np.ndarray, scale: float, person: Look, e: Expression) -> None:
    depth = float(np.clip(e.frown, 0, 1))
    if depth < 0.05:
        return
    y, colour = person.brow_y, darker(person.skin, 0.4)

    def lines(layer, origin):
        for s in (-1, 1):
            points = np.array([[128 + 3.6 * s, y - 4], [128 + 3.0 * s, y + 7]])
            line(layer, points - origin, colour, 1.2, scale)

    mix(head, scale, (120, y - 8, 136, y + 11), lines, opacity=0.8 * depth, blur=1.2)


def _fold(head: np.ndarray, scale: float, person: Look, e: Expression, side: int) -> None:
    """The fold from nose to mouth, deeper in a smile."""
    depth = float(np.clip(0.2 + e.smile / 10, 0.05, 0.9))
    w, y = person.mouth_half_width + e.width, person.mouth_y - 0.65 * e.smile
    start = np.array([person.nose_half_width + 3, person.nose_y - 1])
    bend, end = np.array([w + 3, person.nose_y + 5]), np.array([w + 5, y + 3])
    t = np.linspace(0, 1, 9)[:, None]
    points = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
    points = points * (side, 1) + np.array([128, 0])
    colour = darker(person.skin, 0.5)
    box = (points[:, 0].min() - 5, start[1] - 5, points[:, 0].max() + 5, end[1] + 5)
    mix(
        head,
        scale,
        box,
        lambda layer, origin: line(layer, points - origin, colour, 1.6, scale),
        opacity=depth,
        blur=2.5,
    )


def _mouth(head: np.ndarray, scale: float, person: Look, pose: Pose) -> None:
    e, gap = pose.expression, pose.gap
    w = person.mouth_half_width + e.width - 3.5 * pose.rounding * min(1.0, gap / 4)
    xs = 128 + w * _T
    middle = person.mouth_y - e.smile * (_T**2 - 0.35) + 0.3 * gap
    top, bottom = middle - 0.35 * gap * _ARC, middle + 0.65 * gap * _ARC**0.8
    thick = person.lip * e.lips * (1 - 0.15 * pose.opening)
    upper = top - (3.4 * _ARC**0.7 - 0.9 * np.exp(-((_T / 0.16) ** 2))) * thick
    lower = bottom + 4.4 * _ARC**0.75 * thick
    red, green, blue = person.skin
    lip = (red * 0.6 + 56, green * 0.5 + 14, blue * 0.54 + 20)
    polygon(head, _band(xs, upper, top + 0.2), darker(lip, 0.84), scale)
    polygon(head, _band(xs, bottom - 0.2, lower), lip, scale)
    shine = _curve(xs, bottom + 0.45 * (lower - bottom))[5:12]
    line(head, shine, darker(lip, 1.14), 1.2, scale)
    if gap < 0.6:
        line(head, _curve(xs, middle), darker(lip, 0.45), 1.0, scale)
        return
    bite = min(2.6, 0.4 * gap + 0.25 * max(0.0, e.smile))
    inner, teeth = _band(xs, top, bottom), _band(xs, top, np.minimum(top + bite * _ARC, bottom))
    deep = inner[:, 1].max()

    def inside(layer, origin):
        polygon(layer, inner - origin, (52, 18, 20), scale)
        tongue = ellipse(128, deep + 1.0, 0.5 * w, 0.35 * gap, 24)
        polygon(layer, tongue - origin, (140, 64, 66), scale)
        polygon(layer, teeth - origin, (226, 222, 212), scale)

    box = (xs[0] - 2, inner[:, 1].min() - 2, xs[-1] + 2, deep + 2)
    mix(head, scale, box, inside, shape=inner)
