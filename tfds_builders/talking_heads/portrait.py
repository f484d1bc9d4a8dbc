"""The part of a talking head that stays: wall, shoulders, neck, hair, skin and nose.

Drawn once per speaker, at a higher resolution than the frames; `face.py` draws eyes, brows and
mouth on it for every frame.
"""

import functools

import cv2
import numpy as np

from tfds_builders.talking_heads.brush import (
    UNITS,
    Colour,
    darker,
    ellipse,
    line,
    mirrored,
    polygon,
    soft,
)
from tfds_builders.talking_heads.looks import Look

_WHITE = (255.0, 255.0, 255.0)
_BLACK = (0.0, 0.0, 0.0)


def backdrop(person: Look, side: int) -> np.ndarray:
    """Wall, shoulders and neck: RGB u8 [side, side, 3]."""
    scale = side / UNITS
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / scale
    light = 1.08 - 0.0012 * y + 0.0008 * person.light_x * (128 - x)
    image = np.asarray(person.wall, np.float32) * light[..., None]
    paint = functools.partial(soft, image, scale=scale)
    place = np.array([128 + person.centre[0], person.centre[1]])
    picture_x = 40 if person.light_x > 0 else 216
    paint(_box(picture_x, 63, 29, 36), darker(person.wall, 0.68), blur=1.0)
    paint(_box(picture_x, 63, 26, 33), darker(person.wall, 0.86), blur=0.8)

    shoulders = mirrored(
        [[0, 200], [18, 204], [40, 211], [70, 220], [100, 236], [116, 262], [118, 300], [0, 300]], 1
    ) + (place - np.array([128, 0]))
    paint(shoulders, darker(person.wall, 0.6), blur=5, opacity=0.5)
    shirt = _mask(shoulders, side, scale)
    paint(shoulders, person.shirt, blur=0.6)
    for s in (-1, 1):
        arm = ellipse(*(place + np.array([s * 104, 262])), 26, 40)
        paint(arm, darker(person.shirt, 0.6), blur=9, opacity=0.6, within=shirt)
    collar = ellipse(*(place + np.array([0, 207])), 36, 20)
    paint(collar, darker(person.shirt, 0.65), blur=0.8, within=shirt)

    neck = mirrored([[0, 160], [23, 165], [23, 196], [31, 211], [20, 221], [0, 224]], 1)
    neck = neck + (place - np.array([128, 0]))
    skin = _mask(neck, side, scale)
    paint(neck, darker(person.skin, 0.92), blur=0.6)
    shade = ellipse(*(place + np.array([0, person.chin_y - 4])), 40, 18)
    paint(shade, darker(person.skin, 0.55), blur=5, opacity=0.8, within=skin)
    return np.clip(image, 0, 255).astype(np.uint8)


def head(person: Look, side: int) -> np.ndarray:
    """Hair, ears, skin and nose, without eyes, brows and mouth: RGBA u8 [side, side, 4]."""
    scale = side / UNITS
    face, back = _face(person), _hair_behind(person)
    ears = [ellipse(128 + s * (person.half_width + 1), person.eye_y + 9, 6, 12) for s in (-1, 1)]
    alpha = np.zeros((side, side), np.uint8)
    image = np.full((side, side, 3), person.hair, np.float32)
    paint = functools.partial(soft, image, scale=scale)
    for shape in (face, back, *ears):
        polygon(alpha, shape, _WHITE, scale)
    paint(back, darker(person.hair, 0.75), blur=0.5)
    _strands(image, person, scale, _mask(back, side, scale), 0.25, falling=True)
    for ear in ears:
        paint(ear, darker(person.skin, 0.84), blur=0.8)
        paint(ear * (0.5, 0.5) + ear.mean(0) * 0.5, darker(person.skin, 0.62), blur=1.2)
    paint(face, person.skin, blur=0.5)
    _shade(image, person, scale, _mask(face, side, scale))
    _hair_in_front(image, person, scale, side)
    return np.dstack([np.clip(image, 0, 255).astype(np.uint8), alpha])


def _mask(points: np.ndarray, side: int, scale: float) -> np.ndarray:
    mask = np.zeros((side, side), np.uint8)
    polygon(mask, points, _WHITE, scale)
    return mask.astype(np.float32) / 255


def _box(x: float, y: float, half_width: float, half_height: float) -> np.ndarray:
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    return corners * (half_width, half_height) + np.array([x, y])


def _face(person: Look) -> np.ndarray:
    chin = person.chin_y
    right = [[0, 46], [0.42, 49], [0.78, 62], [0.97, 84], [1.0, 112], [0.97, 136], [0.88, 156],
             [0.68, 175], [0.38, chin - 4], [0, chin]]  # fmt: skip
    return mirrored(right, person.half_width)


def _hair_behind(person: Look) -> np.ndarray:
    if person.long_hair:
        right = [[0, 35], [0.5, 38], [0.95, 54], [1.2, 86], [1.27, 130], [1.28, 176], [1.12, 212],
                 [0.6, 216], [0, 150]]  # fmt: skip
    else:
        right = [[0, 37], [0.5, 40], [0.9, 54], [1.08, 80], [1.07, 106], [0.9, 122], [0, 122]]
    return mirrored(right, person.half_width)


def _shade(image: np.ndarray, person: Look, scale: float, skin: np.ndarray) -> None:
    """Light and shadow of the head's form, the eye sockets, cheeks, nose, lips and chin."""
    paint = functools.partial(soft, image, scale=scale, within=skin)
    w, shadow, light = person.half_width, darker(person.skin, 0.62), darker(person.skin, 1.16)
    red, green, blue = person.skin
    blush = (min(255.0, red * 1.02), green * 0.8, blue * 0.78)
    for s in (-1, 1):
        edge = ellipse(128 + s * w * 1.06, 125, 10, 62)
        paint(edge, shadow, blur=8, opacity=0.75 if s * person.light_x < 0 else 0.45)
    paint(ellipse(128, person.chin_y + 4, w * 0.8, 8), shadow, blur=6, opacity=0.7)
    paint(ellipse(128 + 14 * person.light_x, 80, 24, 12), light, blur=9, opacity=0.5)
    for s in (-1, 1):
        x = 128 + s * person.eye_dx
        paint(ellipse(x, person.eye_y - 4, 14, 9), shadow, blur=4, opacity=0.42)
        paint(ellipse(x, person.eye_y + 9, 10, 3), shadow, blur=3, opacity=0.25)
        paint(ellipse(x + 6 * s, person.nose_y - 3, 12, 9), blush, blur=6, opacity=0.5)
        paint(ellipse(x + 3 * s, person.nose_y - 10, 9, 5), light, blur=4, opacity=0.35)
    _nose(paint, person, shadow, light)
    paint(ellipse(128, person.mouth_y + 12, 12, 3.5), shadow, blur=3, opacity=0.45)
    paint(ellipse(128, person.chin_y - 13, 12, 7), light, blur=5, opacity=0.35)
    paint(ellipse(128, person.mouth_y - 10, 3.0, 6), shadow, blur=2, opacity=0.25)


def _nose(paint, person: Look, shadow: Colour, light: Colour) -> None:
    y, n, away = person.nose_y, person.nose_half_width, -np.sign(person.light_x)
    side = np.array([[0, person.eye_y - 6], [5, person.eye_y + 6], [n * 0.9, y - 4], [2, y - 2]])
    paint(side * (away, 1) + np.array([128, 0]), shadow, blur=2.5, opacity=0.5)
    paint(ellipse(128, (person.eye_y + y) / 2 - 2, 2.6, 13), light, blur=2, opacity=0.55)
    paint(ellipse(128, y - 2, 5, 4), light, blur=2, opacity=0.6)
    paint(ellipse(128, y + 4.5, n, 2.4), shadow, blur=1.6, opacity=0.8)
    for s in (-1, 1):
        paint(ellipse(128 + s * n * 0.85, y, 3.4, 4.0), shadow, blur=1.6, opacity=0.42)
        nostril = ellipse(128 + s * n * 0.45, y + 3.6, 2.6, 1.4)
        paint(nostril, darker(shadow, 0.45), blur=0.6, opacity=0.9)


def _hair_in_front(image: np.ndarray, person: Look, scale: float, side: int) -> None:
    """Hair on the skull, with a parting."""
    part = person.parting
    low, high = (88, 66) if person.long_hair else (82, 68)
    under = [[1.0, 114 if person.long_hair else 104], [0.9, low + 4], [0.66, (low + high) / 2 - 2],
             [part + 0.12, high], [part, high - 3], [part - 0.12, high],
             [-0.66, (low + high) / 2 - 2], [-0.9, low + 4],
             [-1.0, 114 if person.long_hair else 104]]  # fmt: skip
    over = [[-1.12, 106], [-1.1, 76], [-0.82, 51], [0, 34], [0.82, 51], [1.1, 76], [1.12, 106]]
    shape = np.array(over + under) * (person.half_width, 1) + np.array([128, 0])
    drop = shape + np.array([0, 3])
    soft(
        image,
        drop,
        darker(person.skin, 0.5),
        scale,
        blur=3,
        opacity=0.45,
        within=_mask(_face(person), side, scale),
    )
    soft(image, shape, person.hair, scale, blur=0.8)
    _strands(image, person, scale, _mask(shape, side, scale), 0.4, falling=False)


def _strands(
    image: np.ndarray, person: Look, scale: float, within: np.ndarray, opacity: float, falling: bool
) -> None:
    """Lighter and darker strands from the parting, over the skull or falling from it."""
    rng = np.random.default_rng(round(person.half_width * 1e6))
    root = np.array([128 + person.parting * person.half_width, 38.0])
    t = np.linspace(0, 1, 12)[:, None]
    for factor in (1.6, 0.55):
        strands = np.zeros(within.shape, np.uint8)
        for x in rng.uniform(-1, 1, 60):
            reach = 215 if falling else 70 + 45 * x * x
            tip = np.array([128 + x * person.half_width * 1.25, reach])
            bend = np.array([tip[0] * 0.85 + root[0] * 0.15, 46 + 14 * abs(x)])
            line(
                strands,
                (1 - t) ** 2 * root + 2 * t * (1 - t) * bend + t**2 * tip,
                _WHITE,
                0.5,
                scale,
            )
        share = cv2.GaussianBlur(strands.astype(np.float32), (0, 0), 0.7 * scale) / 255 * within
        colour = np.asarray(darker(person.hair, factor), np.float32)
        image += (colour - image) * (opacity * share)[..., None]
