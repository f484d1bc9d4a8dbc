"""Padding of processed files: found, not believed, and taken off.

A padded array [segments, steps, width] has rows of zeros before each segment (the SDK, MulT) or
after it (MMSA). Which it is, the first and last rows of all segments tell.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np


def is_zero(rows: np.ndarray) -> np.ndarray:
    """bool [...]: rows [..., width] without any value; what is not finite counts as none."""
    return ((rows == 0) | ~np.isfinite(rows)).all(-1)


def votes(arrays: Sequence[np.ndarray]) -> Counter[str]:
    """Segments that have a zero row first and not last (`left`), or last and not first (`right`).

    Args:
      arrays: [segments, steps, width] each, of the same steps; a step is zero where it is in all.
    """
    first, last = (np.all([is_zero(a[:, at]) for a in arrays], axis=0) for at in (0, -1))
    return Counter(left=int((first & ~last).sum()), right=int((last & ~first).sum()))


def side(counted: Mapping[str, int]) -> str:
    """'left', 'right' or, where no segment is padded, 'none'.

    Raises:
      ValueError: if as many segments speak for one side as for the other.
    """
    left, right = counted.get("left", 0), counted.get("right", 0)
    if left == right and left:
        raise ValueError(
            f"{left} segments have zeros before them and as many after them; expected zeros on one "
            "side. Fetch the file again"
        )
    return "left" if left > right else "right" if right else "none"


def span(arrays: Sequence[np.ndarray], where: str) -> slice:
    """The steps of one segment without its padding; no step where all are zero.

    Args:
      arrays: [steps, width] each, of the same steps.
      where: the side that is padded.
    """
    held = np.flatnonzero(~np.all([is_zero(array) for array in arrays], axis=0))
    if not len(held):
        return slice(0, 0)
    first = int(held[0]) if where == "left" else 0
    return slice(first, int(held[-1]) + 1 if where == "right" else len(arrays[0]))
