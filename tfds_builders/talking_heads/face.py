"""A face in motion: an expression drawn on the static layers of a person.

An expression depends on an emotion through its valence and arousal, linearly: arousal opens the
eyes and pulls the brows down to the nose, valence lifts the corners of the mouth and the brows.
Lengths are in the picture units of `portrait.py`.
"""

import dataclasses

import cv2
import numpy as np

from tfds_builders.talking_heads.portrait import Look, darker, ellipse, layers, line, polygon

_T = np.linspace(-1, 1, 17)
_ARC = 1 - _T**2


@dataclasses.dataclass(frozen=True)
class Expression:
    """What the muscles do. Lengths in picture units, 0 is at rest.

    smile: lift of the mouth's corners; width: of half the mouth; jaw: opening of the mouth without
    speech; lips: relative thickness; brow_slope: inner ends down, outer ends up; brow_raise;
    eye_open: 1 at rest; lid_slope: outer corners up; squint: lift of the lower lids; frown: depth
    of the lines between the brows, 0 to 1; gaze_y: down; nod: of the head, down.
    """

    smile: float = 0.0
    width: float = 0.0
    jaw: float = 0.0
    lips: float = 1.0
    brow_slope: float = 0.0
    brow_raise: float = 0.0
    eye_open: float = 1.0
    lid_slope: float = 0.0
    squint: float = 0.0
    frown: float = 0.0
    gaze_y: float = 0.0
    nod: float = 0.0

    def blend(self, other: "Expression", share: float) -> "Expression":
        """This expression with `share` (0 to 1) of another."""
        mine, theirs = dataclasses.astuple(self), dataclasses.astuple(other)
        return Expression(*(a + (b - a) * share for a, b in zip(mine, theirs, strict=True)))


def expression(valence: float, arousal: float) -> Expression:
    """The expression of an emotion: linear in (valence, arousal)."""
    return Expression(
        smile=7.0 * valence,
        width=3.5 * valence,
        jaw=1.2 * arousal + 0.8 * valence,
        lips=1 - 0.2 * arousal,
        brow_slope=5.5 * arousal - 2.5 * valence,
        brow_raise=3.0 * valence - 1.5 * arousal,
        eye_open=1 + 0.3 * arousal - 0.12 * valence,
        lid_slope=1.4 * arousal,
        squint=1.4 * valence,
        frown=0.5 * arousal - 0.7 * valence,
        gaze_y=-1.2 * arousal,
        nod=-2.0 * arousal,
    )


@dataclasses.dataclass(frozen=True)
class Pose:
    """A moment: what the face shows, says and looks at, and where the head is."""

    expression: Expression
    opening: float = 0.0
    rounding: float = 0.0
    blink: float = 0.0
    gaze_x: float = 0.0
    dx: float = 0.0
    dy: float = 0.0
    roll_deg: float = 0.0


class Head:
    """Draws frames of one person. Holds the static layers and their frame-sized parts."""

    def __init__(self, person: Look, size: int):
        self.person, self.size = person, size
        self._layers = layers(person, 2 * size)
        self._back = cv2.resize(self._layers.back, (size, size), interpolation=cv2.INTER_AREA)

    def draw(self, pose: Pose) -> np.ndarray:
        """One frame, RGB u8 [size, size, 3]."""
        head = self._layers.head.copy()
        for side in (-1, 1):
            _eye(head, self._layers.scale, self.person, pose, side)
            _brow(head, self._layers.scale, self.person, pose.expression, side)
        _frown(head, self._layers.scale, self.person, pose.expression)
        _mouth(head, self._layers.scale, self.person, pose)
        return self._place(head, pose)

    def _place(self, head: np.ndarray, pose: Pose) -> np.ndarray:
        person, size = self.person, self.size
        matrix = cv2.getRotationMatrix2D(
            (128.0, 190.0), person.tilt_deg + pose.roll_deg, person.zoom
        )
        matrix[:, 2] += (person.centre[0] + pose.dx, person.centre[1] + pose.dy)
        matrix[:, 2] *= size / 256.0
        matrix[:, :2] *= size / head.shape[0]
        warped = cv2.warpAffine(head, matrix, (size, size), flags=cv2.INTER_LINEAR)
        alpha = cv2.warpAffine(self._layers.alpha, matrix, (size, size), flags=cv2.INTER_LINEAR)
        alpha = cv2.merge((alpha, alpha, alpha))
        front = cv2.multiply(warped, alpha, scale=1 / 255)
        return cv2.add(front, cv2.multiply(self._back, 255 - alpha, scale=1 / 255))


def _mix(head: np.ndarray, scale: float, box: tuple[float, ...], draw, shape=None, opacity=1.0):
    """Draws on a copy of a box (left, top, right, bottom) and mixes the copy in.

    `draw(layer, offset)` gets points shifted by `offset`; only inside the polygon `shape` the copy
    is used, everywhere in the box if there is none.
    """
    x0, y0, x1, y1 = (round(v * scale) for v in box)
    patch = head[y0:y1, x0:x1]
    offset = np.array([x0, y0]) / scale
    layer = patch.copy()
    draw(layer, offset)
    weight = np.full(patch.shape[:2], 255 if shape is None else 0, np.uint8)
    if shape is not None:
        polygon(weight, shape - offset, 255, scale)
    share = weight[..., None] * np.float32(opacity / 255)
    patch[:] = patch + (layer.astype(np.float32) - patch) * share


def _eye(head: np.ndarray, scale: float, person: Look, pose: Pose, side: int) -> None:
    e = pose.expression
    x, y, w = 128 + side * person.eye_dx, person.eye_y, person.eye_half_width
    slant = -e.lid_slope * _T * side
    lower = 3.4 * _ARC - e.squint * _ARC + 0.3 * slant
    upper = slant - 5.6 * e.eye_open * _ARC**0.8
    upper = upper + (lower - upper) * pose.blink
    xs = x + w * _T
    lid = np.stack([xs, y + upper], 1)
    almond = np.concatenate([lid, np.stack([xs, y + lower], 1)[::-1]])
    gaze = np.array([x + person.gaze_x + pose.gaze_x, y - 1.0 + e.gaze_y])

    def ball(layer, offset):
        polygon(layer, almond - offset, (232, 230, 228), scale)
        iris = gaze - offset
        polygon(layer, ellipse(*iris, 5.4, 5.4, 24), darker(person.iris, 0.6), scale)
        polygon(layer, ellipse(*iris, 4.6, 4.6, 24), person.iris, scale)
        polygon(layer, ellipse(*iris, 2.3, 2.3, 16), (12, 10, 10), scale)
        glint = iris + (1.6 * person.light_x, -1.8)
        polygon(layer, ellipse(*glint, 1.1, 1.1, 12), (250, 250, 250), scale)
        line(layer, lid + (0, 1.3) - offset, (150, 140, 138), 1.2, scale)

    _mix(head, scale, (x - 16, y - 13, x + 16, y + 10), ball, almond)
    lash = darker(person.hair, 0.5)
    line(head, lid, lash, 1.4, scale)
    crease = np.stack(
        [x + 1.02 * w * _T, y + slant - (3.0 + 5.2 * e.eye_open * (1 - 0.45 * pose.blink)) * _ARC],
        1,
    )
    line(head, crease[2:-2], darker(person.skin, 0.62), 0.7, scale)
    line(head, almond[19:-2], darker(person.skin, 0.55), 0.6, scale)


def _brow(head: np.ndarray, scale: float, person: Look, e: Expression, side: int) -> None:
    outward = np.linspace(-1, 1, 13)
    x = 128 + side * (person.eye_dx + 0.5 + 14.0 * outward)
    y = person.brow_y - e.brow_raise - 2.4 * (1 - outward**2) - 0.5 - e.brow_slope * outward
    thickness = person.brow_thickness * (1.05 - 0.35 * outward - 0.35 * outward**2)
    edge = np.stack([x, y - thickness], 1), np.stack([x, y + thickness], 1)[::-1]
    shape = np.concatenate(edge)
    left, right = x.min() - 2, x.max() + 2
    box = (left, y.min() - 6, right, y.max() + 6)
    colour = darker(person.hair, 0.8)
    _mix(head, scale, box, lambda layer, at: polygon(layer, shape - at, colour, scale), None, 0.88)


def _frown(head: np.ndarray, scale: float, person: Look, e: Expression) -> None:
    depth = float(np.clip(e.frown, 0, 1))
    if depth < 0.05:
        return

    def lines(layer, offset):
        for s in (-1, 1):
            points = np.array(
                [[128 + 3.6 * s, person.brow_y - 4], [128 + 3.0 * s, person.brow_y + 7]]
            )
            line(layer, points - offset, darker(person.skin, 0.45), 1.2, scale)

    box = (118, person.brow_y - 9, 138, person.brow_y + 12)
    _mix(head, scale, box, lines, None, 0.7 * depth)


def _mouth(head: np.ndarray, scale: float, person: Look, pose: Pose) -> None:
    e, y = pose.expression, person.mouth_y
    gap = max(0.0, e.jaw) + 8.0 * pose.opening
    w = person.mouth_half_width + e.width - 3.0 * pose.rounding * min(1.0, gap / 4)
    xs = 128 + w * _T
    middle = y - e.smile * (_T**2 - 0.35) + 0.35 * gap
    top, bottom = middle - 0.4 * gap * _ARC, middle + 0.6 * gap * _ARC**0.8
    thick = person.lip * e.lips
    bow = 0.9 * np.exp(-((_T / 0.16) ** 2))
    upper = top - (3.4 * _ARC**0.7 - bow) * thick
    lower = bottom + 4.4 * _ARC**0.75 * thick
    inner = np.concatenate([np.stack([xs, top], 1), np.stack([xs, bottom], 1)[::-1]])
    lip = tuple(a * 0.62 + b * 0.38 for a, b in zip(person.skin, (168, 52, 58), strict=True))

    def band(above, below):
        return np.concatenate([np.stack([xs, above], 1), np.stack([xs, below], 1)[::-1]])

    polygon(head, band(upper, top + 0.2), darker(lip, 0.86), scale)
    polygon(head, band(bottom - 0.2, lower), lip, scale)
    shine = np.stack([xs, bottom + 0.45 * (lower - bottom)], 1)[5:12]
    line(head, shine, darker(lip, 1.14), 1.2, scale)
    if gap > 0.6:
        _cavity(head, scale, inner, band(top, np.minimum(top + 2.6 * _ARC, bottom)), gap)
    else:
        line(head, np.stack([xs, middle], 1), darker(lip, 0.45), 1.0, scale)
    _folds(head, scale, person, e, w)


def _cavity(head, scale: float, inner: np.ndarray, teeth: np.ndarray, gap: float) -> None:
    box = (
        inner[:, 0].min() - 2,
        inner[:, 1].min() - 2,
        inner[:, 0].max() + 2,
        inner[:, 1].max() + 2,
    )
    bottom = inner[:, 1].max()

    def inside(layer, offset):
        polygon(layer, inner - offset, (58, 22, 24), scale)
        tongue = ellipse(128, bottom + 1.5, 9, 0.5 * gap, 24)
        polygon(layer, tongue - offset, (150, 72, 74), scale)
        polygon(layer, teeth - offset, (228, 224, 214), scale)

    _mix(head, scale, box, inside, inner)


def _folds(head: np.ndarray, scale: float, person: Look, e: Expression, w: float) -> None:
    """The folds from nose to mouth, deeper in a smile."""
    depth = float(np.clip(0.12 + e.smile / 9, 0, 0.8))
    y = person.mouth_y - e.smile * 0.65

    def lines(layer, offset):
        for s in (-1, 1):
            points = np.array(
                [[128 + s * (person.nose_half_width + 3), person.nose_y],
                 [128 + s * (w + 3.5), y - 8], [128 + s * (w + 4.5), y + 2]]
            )  # fmt: skip
            line(layer, points - offset, darker(person.skin, 0.62), 1.0, scale)

    box = (128 - w - 9, person.nose_y - 4, 128 + w + 9, y + 8)
    _mix(head, scale, box, lines, None, depth)
