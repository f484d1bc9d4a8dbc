"""The alignment of the CMU-MultimodalSDK, one video at a time, with binary search for loops.

Rows of one sequence (frames of COVAREP, say) are cut along the rows of another (words, or labelled
segments), as `dataset.py` of the SDK does it:

- a reference row of no length is skipped;
- a row belongs to every reference row [s, e] with which it shares more than EPS: one that straddles
  a border belongs to both, each time with its times cut to [s, e];
- to `collapse` is to replace the rows of a reference row by their mean, from the first start to
  the last end (the SDK's `collapse_function`, which its own script forgets to pass);
- to `impute` is to give a reference row without any row one of zeros.

Aligned rows are themselves a sequence again (`Pieces.sequence`), to be aligned to segments next.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from tfds_builders.cmu.csd import Sequence
from tfds_builders.cmu.tidy import EPS


@dataclasses.dataclass(frozen=True)
class Pieces:
    """The rows of a sequence that belong to the rows of a reference.

    Attributes:
      features: [rows, width] or [rows], in order of `reference`, then of time.
      intervals: f8 [rows, 2] seconds, cut to the reference row.
      reference: i64 [rows] number of the reference row, not falling.
    """

    features: np.ndarray
    intervals: np.ndarray
    reference: np.ndarray

    def sequence(self) -> Sequence:
        """All rows as one sequence in order of time."""
        order = np.argsort(self.intervals[:, 0], kind="stable")
        return Sequence(self.features[order], self.intervals[order])

    def of(self, number: int) -> Sequence:
        """The rows of one reference row."""
        low, high = np.searchsorted(self.reference, [number, number + 1])
        return Sequence(self.features[low:high], self.intervals[low:high])


def overlaps(
    reference: np.ndarray, intervals: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which rows share time with which reference rows.

    Args:
      reference: f8 [n, 2] seconds, in any order.
      intervals: f8 [rows, 2] seconds, sorted by start.

    Returns:
      (number of the reference row i64 [m], row i64 [m], f8 [m, 2] the time shared), in order of the
      reference, then of the rows.
    """
    starts, ends = reference.T
    # Rows that share time with [s, e] lie between the first by which any row reaches beyond s, and
    # the last that starts before e. What shares no more than EPS goes with the rows of no length.
    low = np.searchsorted(np.maximum.accumulate(intervals[:, 1]), starts, side="right")
    high = np.searchsorted(intervals[:, 0], ends, side="left")
    counts = np.maximum(high - low, 0)
    number = np.repeat(np.arange(len(reference)), counts)
    before = np.cumsum(counts) - counts
    row = np.arange(len(number)) + np.repeat(low - before, counts)
    shared = np.clip(intervals[row], starts[number, None], ends[number, None])
    kept = np.abs(shared[:, 1] - shared[:, 0]) > EPS
    return number[kept], row[kept], shared[kept]


def align(reference: np.ndarray, sequence: Sequence, collapse: bool = False) -> Pieces:
    """The rows of a sequence along a reference.

    Args:
      reference: f8 [n, 2] seconds.
      sequence: rows in any order.
      collapse: one row, the mean, for each reference row that has any. Of words the one with the
        longest share of time, as words have no mean.
    """
    order = np.argsort(sequence.intervals[:, 0], kind="stable")
    if (np.diff(order) == 1).all():
        order = slice(None)
    sequence = sequence[order]
    number, row, shared = overlaps(reference, sequence.intervals)
    if not collapse or not len(row):
        return Pieces(sequence.features[row], shared, number)
    first = np.flatnonzero(np.diff(number, prepend=-1))
    intervals = np.stack(
        [np.minimum.reduceat(shared[:, 0], first), np.maximum.reduceat(shared[:, 1], first)], 1
    )
    if sequence.features.ndim == 1:
        longest = np.lexsort((row, shared[:, 0] - shared[:, 1], number))[first]
        return Pieces(sequence.features[row[longest]], intervals, number[first])
    counts = np.diff(first, append=len(row))
    sums = np.add.reduceat(sequence.features[row], first, axis=0)
    return Pieces(sums / counts[:, None].astype(sums.dtype), intervals, number[first])


def align_all(
    name: str, sequences: Mapping[str, Sequence], collapse: bool = False
) -> dict[str, Pieces]:
    """All sequences of a video along the rows of the one called `name`, itself included."""
    reference = sequences[name].intervals
    made = {other: align(reference, rows, collapse) for other, rows in sequences.items()}
    own = np.flatnonzero(has_length(reference))
    made[name] = Pieces(sequences[name].features[own], reference[own], own)
    return made


def has_length(reference: np.ndarray) -> np.ndarray:
    """bool [n]: the reference rows to which anything can be aligned."""
    return np.abs(reference[:, 1] - reference[:, 0]) >= EPS


def impute(pieces: Pieces, reference: np.ndarray) -> tuple[Pieces, int]:
    """Pieces with a row of zeros for each reference row without any; and how many these are.

    A reference row of no length gets none: it is no row of the aligned reference.

    Args:
      pieces: numbers, or words, for which '' is the zero.
      reference: f8 [n, 2] seconds, what they were aligned to.
    """
    wanted = has_length(reference)
    wanted[pieces.reference] = False
    missing = np.flatnonzero(wanted)
    if not len(missing):
        return pieces, 0
    number = np.concatenate([pieces.reference, missing])
    order = np.argsort(number, kind="stable")
    zeros = np.zeros((len(missing), *pieces.features.shape[1:]), pieces.features.dtype)
    features = np.concatenate([pieces.features, zeros])
    intervals = np.concatenate([pieces.intervals, reference[missing]])
    return Pieces(features[order], intervals[order], number[order]), len(missing)


def pad(rows: np.ndarray, length: int, right: bool = False) -> np.ndarray:
    """[length, ...]: the last rows behind zeros, or, with `right`, the first before zeros."""
    zeros = np.zeros((length, *rows.shape[1:]), rows.dtype)
    if right:
        return np.concatenate([rows, zeros])[:length]
    return np.concatenate([zeros, rows])[-length:] if length else zeros
