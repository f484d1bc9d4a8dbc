"""Rows as patterns of clip kinds: which kinds of clip share a row, and how often.

Clips of equal lengths are one kind, and equal rows are one pattern, so that the work grows with the
number of kinds and not of clips. Rows are made one after the other: the largest kind that is left
starts a row, and what follows keeps the rest of the row exactly fillable.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_CHUNK = 512
_TRIED = 8192
"""Kinds that are tried for a place under the strict rules, before the rules are relaxed."""
_PART = 128
"""Of one pattern at most this part of the rows that are left, so that what is left stays mixed."""
_CLOSE = 1e-6


class Pattern(NamedTuple):
    """kinds: the kinds of one row, once a clip; rows: how many such rows there are."""

    kinds: tuple[int, ...]
    rows: int


def patterns(
    kinds: np.ndarray,
    counts: np.ndarray,
    caps: Sequence[int],
    main: int,
    fillable: float,
    drift: float,
) -> list[Pattern]:
    """Rows that hold every clip once.

    Resource `main` of a row is filled exactly where that is possible. Of the others each pick
    leaves enough for an average rest of the row; and where one is scarce, the row uses it up to its
    average at least, or the clips that need it would be left to the last rows.

    Args:
      kinds: i32 [kinds, resources], what one clip takes of each.
      counts: i64 [kinds], clips of each kind.
      caps: what a row has of each resource.
      main: the resource that decides how many rows there are.
      fillable: share of `main` that can be filled at best.
      drift: a resource is scarce when the clips left need this many times the share of it that all
        clips need, or nine tenths of it.

    Returns:
      The patterns, as a pure function of the arguments: equal on every machine.
    """
    pool = _Pool(kinds, counts, np.asarray(caps, np.float64), main, fillable, drift)
    out = []
    while pool.clips:
        out.append(pool.take(pool.row()))
    return out


class _Pool:
    """The clips that are left, by kind: the largest first, of equal ones the hardest.

    Attributes:
      size: i32 [kinds], what a clip takes of the main resource.
      other: i32 [resources, kinds], what it takes of the others.
      excess: f64 [resources, kinds], that beyond the average of what is left for its size.
      density: f64 [resources, kinds], that by its size.
    """

    def __init__(self, kinds, counts, caps, main, fillable, drift):
        self.cap, self.caps = int(caps[main]), np.delete(caps, main)
        self.full = self.cap * fillable
        size, other = kinds[:, main], np.ascontiguousarray(np.delete(kinds, main, 1).T)
        use = (other @ counts) / self.caps / ((size @ counts) / self.full)
        hardness = np.zeros(len(size))
        for takes, cap, weight in zip(other, self.caps, use, strict=True):
            hardness += takes * ((weight * weight) * (weight * weight) / cap)
        self.ids = np.lexsort((-hardness, -size))
        self.size, self.other, self.counts = size[self.ids], other[:, self.ids], counts[self.ids]
        self.sizes = np.bincount(size, minlength=self.cap + 1)
        drifting = np.multiply(drift, use, out=np.zeros_like(use), where=use > 0)
        self.scarce_from = self.caps * np.minimum(0.9, np.maximum(0.5, drifting))
        self.clips = int(counts.sum())
        self._reach()
        self._refresh()

    def _reach(self) -> None:
        """Which sums of sizes that are left there are, as flags."""
        bits, whole = 1, (1 << (self.cap + 1)) - 1
        for size in np.flatnonzero(self.sizes).tolist():
            while 0 < size <= self.cap:
                bits |= (bits << size) & whole
                size *= 2
        self.reach = np.array([bits >> place & 1 for place in range(self.cap + 1)], bool)

    def _refresh(self) -> None:
        """Forgets kinds that are used up, and takes averages over what is left."""
        kept = self.counts > 0
        self.ids, self.size, self.counts = self.ids[kept], self.size[kept], self.counts[kept]
        self.other = np.ascontiguousarray(self.other[:, kept])
        total, totals = int(self.size @ self.counts), self.other @ self.counts
        self.ratio = totals / max(total, 1)
        self.average = np.minimum(totals / max(total / self.full, 1e-9), self.caps)
        self.scarce = self.average > self.scarce_from
        self.excess = self.other - self.size * self.ratio[:, None]
        self.density = self.other / np.maximum(self.size, 1e-9)
        self.stale = self.clips * 49 // 50

    def row(self) -> list[int]:
        """Places of the kinds of the next row."""
        pick: int | None = int((self.counts > 0).argmax())
        room, rest, picks = self.cap, self.caps.copy(), []
        while pick is not None:
            picks.append(pick)
            self.counts[pick] -= 1
            room, rest = room - int(self.size[pick]), rest - self.other[:, pick]
            pick = self._next(room, rest)
        return picks

    def _next(self, room: int, rest: np.ndarray) -> int | None:
        """The kind that goes on with a row in which `rest` is free; None: no clip fits."""
        start = int(np.searchsorted(-self.size, -room))
        reached = int(np.flatnonzero(self.reach[: room + 1])[-1])
        over = rest < room * self.ratio
        most_excess = np.where(over, np.inf, rest - room * self.ratio + _CLOSE)[:, None]
        by_size = max(room, 1e-9)
        most = np.where(over, rest / by_size + _CLOSE, np.inf)[:, None]
        least = np.where(self.scarce, (self.average - self.caps + rest) / by_size, -np.inf)
        least = least[:, None] - _CLOSE

        def fits(at: slice) -> np.ndarray:
            return (self.counts[at] > 0) & (self.other[:, at] <= rest[:, None]).all(0)

        def exact(at: slice) -> np.ndarray:
            size = self.size[at]
            return fits(at) & (size <= reached) & self.reach[np.maximum(reached - size, 0)]

        def balanced(at: slice) -> np.ndarray:
            ok = exact(at) & (self.excess[:, at] <= most_excess).all(0)
            return ok & (self.density[:, at] <= most).all(0) if over.any() else ok

        def thrifty(at: slice) -> np.ndarray:
            return balanced(at) & (self.density[:, at] >= least).all(0)

        rules = ([thrifty] if self.scarce.any() else []) + [balanced] if room else []
        for rule in rules:
            pick = self._first(rule, start, start + _TRIED)
            if pick is not None:
                return pick
        pick = self._first(exact, start, len(self.size))
        if pick is None:
            return self._first(fits, start, len(self.size))
        end = int(np.searchsorted(-self.size, -self.size[pick], "right"))
        return pick + int(np.flatnonzero(exact(slice(pick, end)))[-1])  # the easiest of its size

    def _first(self, rule, start: int, end: int) -> int | None:
        at, chunk = start, _CHUNK
        while at < min(end, len(self.size)):
            ok = rule(slice(at, at + chunk))
            if ok.any():
                return at + int(ok.argmax())
            at, chunk = at + chunk, 2 * chunk
        return None

    def take(self, picks: list[int]) -> Pattern:
        """The row `picks`, as often as the clips last and the mixture allows."""
        places, times = np.unique(picks, return_counts=True)
        self.counts[places] += times
        lasts = int((self.counts[places] // times).min())
        rows = min(lasts, 1 + self.clips // len(picks) // _PART)
        pattern = Pattern(tuple(self.ids[picks].tolist()), rows)
        self.counts[places] -= rows * times
        self.clips -= rows * len(picks)
        used_up = self.size[places[self.counts[places] == 0]]
        np.subtract.at(self.sizes, used_up, 1)
        if not self.sizes[used_up].all():
            self._reach()
        if self.clips <= self.stale:
            self._refresh()
        return pattern
