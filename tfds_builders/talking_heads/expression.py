"""What a face does at a moment.

An expression depends on an emotion through its valence and arousal, linearly: arousal opens the
eyes and pulls the inner ends of the brows down, valence lifts brows and the corners of the mouth.
Lengths are in picture units (1/256 of the picture's side).
"""

import dataclasses
from typing import NamedTuple


class Expression(NamedTuple):
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
        return Expression(*(a + (b - a) * share for a, b in zip(self, other, strict=True)))


def of_affect(valence: float, arousal: float) -> Expression:
    """The expression of an emotion: linear in (valence, arousal)."""
    return Expression(
        smile=8.5 * valence,
        width=3.5 * valence,
        jaw=1.2 * arousal + 1.4 * valence,
        lips=1 - 0.2 * arousal,
        brow_slope=6.5 * arousal - 3.5 * valence,
        brow_raise=3.5 * valence - 1.5 * arousal,
        eye_open=1 + 0.35 * arousal - 0.12 * valence,
        lid_slope=2.2 * arousal,
        squint=1.4 * valence,
        frown=0.5 * arousal - 0.7 * valence,
        gaze_y=-1.6 * arousal,
        nod=-2.5 * arousal,
    )


@dataclasses.dataclass(frozen=True)
class Pose:
    """A moment: what the face shows, says and looks at, and where the head is.

    opening: of the mouth by speech, 0 to 1; rounding: of the lips, -1 (spread) to 1; blink: 0 to 1
    (shut); gaze_x, dx, dy: right and down.
    """

    expression: Expression
    opening: float = 0.0
    rounding: float = 0.0
    blink: float = 0.0
    gaze_x: float = 0.0
    dx: float = 0.0
    dy: float = 0.0
    roll_deg: float = 0.0

    @property
    def gap(self) -> float:
        """Distance of the lips."""
        return max(0.0, self.expression.jaw) + 13.0 * self.opening
