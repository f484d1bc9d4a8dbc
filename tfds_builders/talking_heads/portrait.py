"""The part of a talking head that stays: a person's looks, and the picture layers made from them.

Lengths are in units of 1/256 of the picture's side; the face looks straight ahead, upright, with
the middle between its eyes near (128, 120). Layers are drawn once per speaker, at twice the
resolution of the frames; `face.py` draws eyes, brows and mouth on them for every frame.
"""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

UNITS = 256.0
_SHIFT = 4

Colour = tuple[float, float, float]

_SKINS: tuple[Colour, ...] = (
    (244, 208, 180), (236, 194, 164), (228, 182, 148), (214, 164, 128),
    (196, 144, 108), (170, 118, 86), (142, 96, 68),
)  # fmt: skip
_HAIRS: tuple[Colour, ...] = (
    (34, 26, 22), (58, 38, 26), (92, 58, 34), (128, 84, 46), (176, 134, 78), (120, 52, 28),
    (128, 124, 122),
)  # fmt: skip
_IRISES: tuple[Colour, ...] = ((74, 48, 28), (98, 70, 38), (70, 96, 66), (78, 108, 138))
_WALLS: tuple[Colour, ...] = (
    (176, 190, 198), (202, 190, 168), (150, 172, 156), (188, 164, 160), (140, 150, 176),
    (208, 204, 196),
)  # fmt: skip
_SHIRTS: tuple[Colour, ...] = (
    (52, 72, 112), (120, 46, 50), (60, 92, 74), (70, 70, 76), (196, 188, 172), (104, 78, 122),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Look:
    """A person. Colours are RGB, 0 to 255; lengths in picture units."""

    skin: Colour
    hair: Colour
    iris: Colour
    wall: Colour
    shirt: Colour
    long_hair: bool
    half_width: float
    chin_y: float
    eye_y: float
    eye_dx: float
    eye_half_width: float
    brow_y: float
    brow_thickness: float
    nose_y: float
    nose_half_width: float
    mouth_y: float
    mouth_half_width: float
    lip: float
    light_x: float
    tilt_deg: float
    centre: tuple[float, float]
    zoom: float
    gaze_x: float
    sway: float
    blink_every_s: float


def look(gender: str, seed: Sequence[int]) -> Look:
    """The looks and habits of a speaker."""
    rng = np.random.default_rng((*seed, 2))
    female = gender == "female"

    def of(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def pick(choices: tuple[Colour, ...]) -> Colour:
        return choices[rng.integers(len(choices))]

    skin_index = int(rng.integers(len(_SKINS)))
    dark_skin = skin_index >= 4
    eye_y = of(117, 121)
    return Look(
        skin=_SKINS[skin_index],
        hair=_HAIRS[rng.integers(3 if dark_skin else len(_HAIRS))],
        iris=_IRISES[rng.integers(2 if dark_skin else len(_IRISES))],
        wall=pick(_WALLS),
        shirt=pick(_SHIRTS),
        long_hair=female and rng.random() < 0.8,
        half_width=of(46, 50) if female else of(48, 53),
        chin_y=of(188, 192) if female else of(190, 196),
        eye_y=eye_y,
        eye_dx=of(20.5, 23.0),
        eye_half_width=of(10.8, 12.2),
        brow_y=eye_y - of(14.0, 16.0),
        brow_thickness=of(1.5, 2.0) if female else of(2.2, 3.0),
        nose_y=of(144, 148),
        nose_half_width=of(7.5, 9.0) if female else of(8.5, 10.5),
        mouth_y=of(163, 166),
        mouth_half_width=of(15.5, 17.5),
        lip=of(1.1, 1.35) if female else of(0.85, 1.05),
        light_x=float(rng.choice((-1, 1))) * of(0.5, 1.0),
        tilt_deg=of(-6, 6),
        centre=(of(-7, 7), of(-3, 7)),
        zoom=of(0.96, 1.08),
        gaze_x=of(-1.2, 1.2),
        sway=of(0.6, 1.3),
        blink_every_s=of(2.5, 4.5),
    )


@dataclasses.dataclass(frozen=True)
class Layers:
    """Pictures of one speaker, `side` pixels wide and high.

    back: u8 [side, side, 3], wall, shoulders and neck. head: u8 [side, side, 3] with `alpha` u8
    [side, side]: hair, ears, skin and nose.
    """

    back: np.ndarray
    head: np.ndarray
    alpha: np.ndarray

    @property
    def scale(self) -> float:
        """Layer pixels per picture unit."""
        return self.head.shape[0] / UNITS


def polygon(image: np.ndarray, points: np.ndarray, colour, scale: float) -> None:
    """Fills a polygon given in picture units [n, 2], with smooth edges, in place."""
    cv2.fillPoly(image, [_fixed(points, scale)], colour, cv2.LINE_AA, _SHIFT)


def line(image: np.ndarray, points: np.ndarray, colour, width: float, scale: float) -> None:
    """Draws an open line given in picture units [n, 2], in place."""
    pixels = max(1, round(width * scale))
    cv2.polylines(image, [_fixed(points, scale)], False, colour, pixels, cv2.LINE_AA, _SHIFT)


def _fixed(points: np.ndarray, scale: float) -> np.ndarray:
    return np.rint((points * scale - 0.5) * (1 << _SHIFT)).astype(np.int32)


def ellipse(x: float, y: float, rx: float, ry: float, n: int = 48) -> np.ndarray:
    """Points [n, 2] of an ellipse."""
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def darker(colour: Colour, factor: float) -> Colour:
    return tuple(float(np.clip(c * factor, 0, 255)) for c in colour)


def layers(person: Look, side: int) -> Layers:
    """Draws the static layers of a person."""
    scale = side / UNITS
    head, alpha = _head(person, side, scale)
    return Layers(_back(person, side, scale), head, alpha)


def _mask(side: int, scale: float, points: np.ndarray, blur: float = 0.0) -> np.ndarray:
    """A filled polygon as f32 [side, side, 1] in 0..1, blurred by `blur` picture units."""
    mask = np.zeros((side, side), np.uint8)
    polygon(mask, points, 255, scale)
    soft = mask.astype(np.float32) / 255
    if blur:
        soft = cv2.GaussianBlur(soft, (0, 0), blur * scale)
    return soft[..., None]


def _paint(image: np.ndarray, mask: np.ndarray, colour: Colour, opacity: float = 1.0) -> None:
    image += (np.asarray(colour, np.float32) - image) * (mask * opacity)


def _back(person: Look, side: int, scale: float) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / scale
    wall = np.asarray(person.wall, np.float32)
    light = 1.08 - 0.0012 * y + 0.0008 * person.light_x * (128 - x)
    image = wall * light[..., None]
    cx, cy = 128 + person.centre[0], person.centre[1]
    frame_x = 40 if person.light_x > 0 else 216
    frame = np.array([[-26, 30], [26, 30], [26, 96], [-26, 96]], np.float32) + (frame_x, 0)
    _paint(image, _mask(side, scale, frame, 1.5), darker(person.wall, 0.8))
    shoulders = np.array(
        [[-120, 270], [-104, 232], [-62, 216], [-22, 204], [22, 204], [62, 216], [104, 232],
         [120, 270]], np.float32,
    ) + (cx, cy)  # fmt: skip
    _paint(image, _mask(side, scale, shoulders + (0, 3), 5), darker(person.wall, 0.6), 0.5)
    shirt = _mask(side, scale, shoulders, 1.0)
    _paint(image, shirt, person.shirt)
    _paint(image, shirt * _mask(side, scale, ellipse(cx, 262 + cy, 90, 26), 14), (0, 0, 0), 0.25)
    neck = np.array(
        [[-23, 165], [23, 165], [24, 205], [34, 214], [0, 228], [-34, 214], [-24, 205]], np.float32
    ) + (cx, cy)
    skin = _mask(side, scale, neck, 1.0)
    _paint(image, skin, darker(person.skin, 0.9))
    _paint(
        image,
        skin * _mask(side, scale, ellipse(cx, 186 + cy, 40, 20), 7),
        darker(person.skin, 0.55),
        0.75,
    )
    return np.clip(image, 0, 255).astype(np.uint8)


def outline(person: Look) -> np.ndarray:
    """The edge of the face from temple to temple over the chin, closed over the skull."""
    w, chin = person.half_width, person.chin_y
    right = np.array(
        [[0, 46], [0.42, 49], [0.78, 62], [0.97, 84], [1.0, 112], [0.97, 136], [0.88, 156],
         [0.68, 175], [0.38, chin - 4], [0, chin]]
    )  # fmt: skip
    right[:, 0] *= w
    left = right[-2:0:-1] * (-1, 1)
    return _smooth(np.concatenate([right, left]) + (128, 0))


def _smooth(points: np.ndarray, per_side: int = 6) -> np.ndarray:
    """A closed Catmull-Rom curve through `points` [n, 2]."""
    p0, p1, p2, p3 = (np.roll(points, k, 0)[:, None] for k in (1, 0, -1, -2))
    t = np.linspace(0, 1, per_side, endpoint=False)[None, :, None]
    curve = 0.5 * (
        2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )  # fmt: skip
    return curve.reshape(-1, 2)


def _head(person: Look, side: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    image = np.empty((side, side, 3), np.float32)
    image[:] = person.hair
    w, face = person.half_width, outline(person)
    hair_back = _hair_back(person)
    ears = [ellipse(128 + s * (w + 1), person.eye_y + 9, 6, 12) for s in (-1, 1)]
    alpha = np.maximum.reduce(
        [_mask(side, scale, shape, 0.5) for shape in (face, hair_back, *ears)]
    )
    back = _mask(side, scale, hair_back, 0.5)
    _paint(image, back, darker(person.hair, 0.8))
    for ear in ears:
        _paint(image, _mask(side, scale, ear, 0.8), darker(person.skin, 0.82))
    skin = _mask(side, scale, face, 0.6)
    _paint(image, skin, person.skin)
    shaded = image.copy()
    _shade(shaded, person, side, scale)
    image += (shaded - image) * skin
    _hair_front(image, person, side, scale)
    return np.clip(image, 0, 255).astype(np.uint8), np.rint(alpha[..., 0] * 255).astype(np.uint8)


def _hair_back(person: Look) -> np.ndarray:
    w = person.half_width
    if person.long_hair:
        right = np.array(
            [
                [0, 36],
                [0.5, 38],
                [0.95, 54],
                [1.2, 86],
                [1.27, 130],
                [1.28, 176],
                [1.0, 214],
                [0.7, 210],
            ]
        )
    else:
        right = np.array([[0, 38], [0.5, 40], [0.9, 54], [1.08, 80], [1.07, 104], [0.9, 120]])
    right[:, 0] *= w
    left = right[:0:-1] * (-1, 1)
    return _smooth(np.concatenate([right, left]) + (128, 0))


def _shade(image: np.ndarray, person: Look, side: int, scale: float) -> None:
    """Light and shadow on the skin: form of the head, eye sockets, nose, cheeks, chin."""
    s, w = person.skin, person.half_width
    shadow, light = darker(s, 0.62), darker(s, 1.16)
    blush = (min(255.0, s[0] * 1.02), s[1] * 0.8, s[2] * 0.78)

    def soft(points: np.ndarray, blur: float, colour: Colour, opacity: float) -> None:
        _paint(image, _mask(side, scale, points, blur), colour, opacity)

    core = _mask(side, scale, ellipse(128 + 5 * person.light_x, 116, w * 0.86, 68), 14)
    _paint(image, 1 - core, shadow, 0.62)
    soft(ellipse(128 + 14 * person.light_x, 78, 24, 14), 10, light, 0.5)
    for side_sign in (-1, 1):
        x = 128 + side_sign * person.eye_dx
        soft(ellipse(x, person.eye_y - 4, 14, 9), 4, shadow, 0.42)
        soft(ellipse(x, person.eye_y + 9, 10, 3), 3, shadow, 0.25)
        soft(ellipse(x + 6 * side_sign, person.nose_y - 3, 12, 9), 6, blush, 0.5)
        soft(ellipse(x + 3 * side_sign, person.nose_y - 10, 9, 5), 4, light, 0.35)
    _nose(soft, person, shadow, light)
    soft(ellipse(128, person.mouth_y + 12, 12, 3.5), 3, shadow, 0.45)
    soft(ellipse(128, person.chin_y - 13, 12, 7), 5, light, 0.35)
    soft(ellipse(128, person.mouth_y - 10, 3.0, 6), 2, shadow, 0.25)


def _nose(soft, person: Look, shadow: Colour, light: Colour) -> None:
    y, n, shade_side = person.nose_y, person.nose_half_width, -np.sign(person.light_x)
    bridge = [[0, person.eye_y - 6], [5, person.eye_y + 6], [n * 0.9, y - 4], [2, y - 2]]
    soft(np.array(bridge) * (shade_side, 1) + (128, 0), 2.5, shadow, 0.5)
    soft(ellipse(128, (person.eye_y + y) / 2 - 2, 2.6, 13), 2, light, 0.55)
    soft(ellipse(128, y - 2, 5, 4), 2, light, 0.6)
    soft(ellipse(128, y + 4.5, n, 2.4), 1.6, shadow, 0.8)
    for s in (-1, 1):
        soft(ellipse(128 + s * n * 0.85, y, 3.4, 4.0), 1.6, shadow, 0.42)
        soft(ellipse(128 + s * n * 0.45, y + 3.6, 2.6, 1.4), 0.6, darker(shadow, 0.45), 0.9)


def _hair_front(image: np.ndarray, person: Look, side: int, scale: float) -> None:
    """Hair over the forehead, with a hairline and a few strands of light."""
    w = person.half_width
    top = np.array(
        [[-1.12, 104], [-1.1, 74], [-0.8, 50], [0, 34], [0.8, 50], [1.1, 74], [1.12, 104]]
    )
    part = 0.35 * np.sign(person.light_x)
    if person.long_hair:
        under = np.array(
            [
                [0.97, 112],
                [0.84, 88],
                [part + 0.3, 70],
                [part, 64],
                [part - 0.3, 70],
                [-0.84, 88],
                [-0.97, 112],
            ]
        )
    else:
        under = np.array(
            [
                [0.98, 100],
                [0.92, 86],
                [0.74, 72],
                [part, 66],
                [-0.74, 72],
                [-0.92, 86],
                [-0.98, 100],
            ]
        )
    shape = np.concatenate([top, under]) * (w, 1) + (128, 0)
    mask = _mask(side, scale, shape, 1.0)
    _paint(image, _mask(side, scale, shape + (0, 3), 4), darker(person.skin, 0.5), 0.35)
    _paint(image, mask, person.hair)
    rng = np.random.default_rng(round(person.half_width * 1e6))
    strands = np.zeros((side, side), np.uint8)
    for x in rng.uniform(-1, 1, 42):
        root = np.array([128 + part * w * 0.6, 40.0])
        tip = np.array([128 + x * w * 1.15, 64 + 44 * abs(x) ** 1.5])
        bend = (root + tip) / 2 + (0, -9 * (1 - abs(x)))
        line(strands, np.array([root, bend, tip]), 255, 0.6, scale)
    soft = cv2.GaussianBlur(strands.astype(np.float32) / 255, (0, 0), 0.6 * scale)[..., None]
    _paint(image, soft * mask, darker(person.hair, 1.7), 0.45)
