"""What is odd in published feature files, counted; what is no number, replaced.

The rule, which all published loaders follow for minus infinity: NaN and infinite values become 0.
"""

from collections import Counter, defaultdict

import numpy as np

from tfds_builders.cmu.csd import Sequence
from tfds_builders.listing import Tally

EPS = 1e-5
"""Seconds below which times are the same, as in the SDK."""

HALF_MAX = float(np.finfo(np.float16).max)

_WORDS = {
    "bad_times": "rows that end before they start or have no finite times, left out",
    "negative_start": "rows that start before zero, kept",
    "unsorted": "rows that start before the row above them, put in order",
    "overlapping": "rows that start before an earlier one has ended, kept",
    "repeated": "rows that repeat the times of another, kept",
    "nan": "values that are NaN, set to 0",
    "infinite": "values that are infinite, set to 0",
    "too_large": f"values beyond half precision, cut to ±{HALF_MAX:.0f}",
}


class Oddities:
    """Counts over all videos of a corpus, by sequence.

    Attributes:
      counts: sequence -> what is odd (the keys of the notes) -> how often.
      columns: (sequence, what is odd) -> columns in which it was found.
    """

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.columns: dict[tuple[str, str], set[int]] = defaultdict(set)

    def numbers(self, name: str, features: np.ndarray) -> np.ndarray:
        """Features f4 [..., width] with NaN and infinite values replaced by 0, and counted."""
        with np.errstate(over="ignore"):
            features = np.asarray(features, np.float32)
        if np.isfinite(features).all():
            return features
        self._found(name, "nan", np.isnan(features))
        self._found(name, "infinite", np.isinf(features))
        return np.where(np.isfinite(features), features, np.float32(0))

    def halves(self, name: str, features: np.ndarray) -> np.ndarray:
        """Finite features cut to what half precision can hold, and counted."""
        beyond = np.abs(features) > HALF_MAX
        if not beyond.any():
            return features
        self._found(name, "too_large", beyond)
        return np.clip(features, -HALF_MAX, HALF_MAX)

    def _found(self, name: str, what: str, where: np.ndarray) -> None:
        if where.any():
            self.counts[name][what] += int(where.sum())
            columns = where.reshape(-1, where.shape[-1]).any(0)
            self.columns[name, what] |= set(np.flatnonzero(columns).tolist())

    def times(self, name: str, intervals: np.ndarray) -> np.ndarray:
        """bool [rows]: rows whose times can be meant; what is odd about times is counted."""
        found = self.counts[name]
        good = np.isfinite(intervals).all(1)
        good &= ~(intervals[:, 1] < intervals[:, 0])
        starts, ends = intervals[good].T
        order = np.argsort(starts, kind="stable")
        latest = np.maximum.accumulate(ends[order])[:-1]
        found["bad_times"] += int((~good).sum())
        found["negative_start"] += int((starts < 0).sum())
        found["unsorted"] += int((np.diff(starts) < 0).sum())
        found["overlapping"] += int((starts[order][1:] < latest - EPS).sum())
        found["repeated"] += len(starts) - len(np.unique(intervals[good], axis=0))
        return good

    def sequence(self, name: str, sequence: Sequence) -> Sequence:
        """A sequence in its own order, counted, without rows of bad times, its numbers finite."""
        good = self.times(name, sequence.intervals)
        sequence = sequence if good.all() else sequence[good]
        if sequence.features.dtype.kind not in "fiu":
            return sequence
        return Sequence(self.numbers(name, sequence.features), sequence.intervals)

    def note(self, tally: Tally) -> None:
        """Notes all that was counted in the listing ledger, with the columns it was found in."""
        for name, counts in self.counts.items():
            for what, count in counts.items():
                columns = sorted(self.columns.get((name, what), ()))
                places = f" (columns {', '.join(map(str, columns))})" if columns else ""
                tally.note(f"{name}: {_WORDS[what]}{places}", count)
