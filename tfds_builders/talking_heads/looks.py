"""What a person looks like, and the habits of the head. Lengths are in picture units."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfds_builders.talking_heads.brush import Colour

_SKINS: tuple[Colour, ...] = (
    (244, 208, 180), (236, 194, 164), (228, 182, 148), (214, 164, 128),
    (196, 144, 108), (170, 118, 86), (150, 102, 74),
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
_DARK_SKIN = 4
_DARK_HAIRS, _DARK_IRISES = 3, 2


@dataclasses.dataclass(frozen=True)
class Look:
    """A person who looks straight ahead, the middle between the eyes near (128, 120).

    Colours are RGB, 0 to 255. `light_x` is the side the light comes from, -1 to 1; `centre` and
    `zoom` place the head in the picture; `sway` is the size of its movements.
    """

    skin: Colour
    hair: Colour
    iris: Colour
    wall: Colour
    shirt: Colour
    long_hair: bool
    parting: float
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
    """The looks and habits of a speaker; the same for the same `seed`."""
    rng = np.random.default_rng((*seed, 2))
    female = gender == "female"

    def of(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def pick(choices: tuple[Colour, ...]) -> Colour:
        return choices[rng.integers(len(choices))]

    skin = int(rng.integers(len(_SKINS)))
    dark = skin >= _DARK_SKIN
    eye_y = of(117, 121)
    return Look(
        skin=_SKINS[skin],
        hair=pick(_HAIRS[:_DARK_HAIRS] if dark else _HAIRS),
        iris=pick(_IRISES[:_DARK_IRISES] if dark else _IRISES),
        wall=pick(_WALLS),
        shirt=pick(_SHIRTS),
        long_hair=female and rng.random() < 0.8,
        parting=of(-0.5, 0.5),
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
        mouth_half_width=of(18.5, 20.5),
        lip=of(1.1, 1.35) if female else of(0.85, 1.05),
        light_x=float(rng.choice((-1, 1))) * of(0.5, 1.0),
        tilt_deg=of(-6, 6),
        centre=(of(-7, 7), of(-3, 7)),
        zoom=of(0.96, 1.08),
        gaze_x=of(-1.2, 1.2),
        sway=of(0.6, 1.3),
        blink_every_s=of(2.5, 4.5),
    )
