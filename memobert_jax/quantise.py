"""Features in eight bits: integers from -127 to 127 with one scale for each clip and column.

The scales, float32, are stored before the rows they belong to, as four rows of their bytes, so that
they come back as they were. The largest value of a column in a clip is 127 times its scale: every
other is rounded by at most half a scale, and none is cut off.
"""

import numpy as np

SCALE_ROWS = 4
"""Rows of int8 that hold a row of float32."""

_LARGEST = 127


def quantise(rows: np.ndarray) -> np.ndarray:
    """f16 [n, width] -> i8 [4 + n, width]; nothing of no rows.

    Raises:
      ValueError: if a value is not finite.
    """
    if not len(rows):
        return np.zeros((0, rows.shape[1]), np.int8)
    values = rows.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("features that are not finite cannot be stored as int8")
    scale = np.abs(values).max(0) / _LARGEST
    whole = np.rint(values / np.where(scale == 0, 1, scale)).astype(np.int8)
    return np.concatenate([scale.view(np.int8).reshape(SCALE_ROWS, -1), whole])


def restore(stored: np.ndarray) -> np.ndarray:
    """i8 [4 + n, width] of `quantise` -> f16 [n, width]."""
    if not len(stored):
        return np.zeros(stored.shape, np.float16)
    scale = stored[:SCALE_ROWS].reshape(-1).view(np.float32)
    rows = np.empty((len(stored) - SCALE_ROWS, stored.shape[1]), np.float16)
    np.multiply(stored[SCALE_ROWS:], scale, out=rows, casting="unsafe")
    return rows
