"""Rows as patterns of clip kinds: which kinds of clip share a row, and how often.

Clips of equal lengths are one kind, and equal rows are one pattern, so that the work grows with the
number of kinds and not of clips. Rows are made one after the other. The hardest clip that is left
starts a row; clips drawn from the mixture of what is left follow, so that this mixture lasts; the
best of many pairs and triples ends the row, so that all scarce resources are used up at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

TARGETS = (1.0, 0.975)
"""Shares of the scarcest resource that rows may aim at: by one or the other there are fewer."""
_PAIRED = 300
"""Kinds of which the pairs are formed that may end a row."""
_THIRDS = 2
"""Clips drawn that are tried beside each of the pairs, when no pair is good."""
_ENDED = 3.5
"""Pairs and thirds are tried when a row lacks fewer average clips than that."""
_DRAWN = 8
"""Clips drawn for a place before the last ones, of which the most balancing is taken."""
_STEP = 0.004
"""Ends are equally good when what they leave unused differs by less than this part of a row."""
_PART = 128
"""Of one pattern at most this part of the rows that are left, so that what is left stays mixed."""
_GOLDEN = 2_654_435_769
"""2^32 over the golden ratio: its multiples modulo 2^32 spread evenly, however many they are."""


class Pattern(NamedTuple):
    """kinds: the kinds of one row, once a clip; rows: how many such rows there are."""

    kinds: tuple[int, ...]
    rows: int


def patterns(
    kinds: np.ndarray, counts: np.ndarray, caps: Sequence[int], fillable: float
) -> list[Pattern]:
    """Rows that hold every clip once.

    Args:
      kinds: i32 [kinds, resources], what one clip takes of each.
      counts: i64 [kinds], clips of each kind.
      caps: what a row has of each resource.
      fillable: share of the scarcest resource that can be filled at best.

    Returns:
      The patterns, as a pure function of the arguments: equal on every machine, since sums of
      floating-point numbers are taken resource by resource.
    """
    pool = _Pool(kinds, counts, np.asarray(caps, np.int64), fillable)
    out = []
    while pool.clips:
        out.append(pool.take(pool.row()))
    return out


def by_kind(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(clips by kind, where each kind starts among them, i32 [kinds, resources])."""
    sides = lengths.max(0, initial=0).astype(np.int64) + 1
    key = (lengths[:, 0] * sides[1] + lengths[:, 1]) * sides[2] + lengths[:, 2]
    order = np.argsort(key, kind="stable").astype(np.int32)
    key = key[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    own = lengths[order[first]]
    kinds = np.column_stack([own.sum(1), own, np.ones(len(own), np.int32)]).astype(np.int32)
    return order, np.append(first, len(order)), kinds


def expand(
    found: list[Pattern], order: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(offsets, clips) of a plan: the clips of a kind go to its patterns in their order."""
    sizes = np.repeat([len(p.kinds) for p in found], [p.rows for p in found])
    offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
    clips = np.empty(int(offsets[-1]), np.int32)
    taken, row = starts[:-1].tolist(), 0
    for kinds, rows in found:
        places = offsets[row : row + rows]
        for place, kind in enumerate(kinds):
            clips[places + place] = order[taken[kind] : taken[kind] + rows]
            taken[kind] += rows
        row += rows
    return offsets, clips


class _Pool:
    """The clips that are left, by kind, the hardest first.

    Attributes:
      takes: i32 [resources, kinds], what one clip takes.
      mean: f64 [resources], what a clip takes on average.
      target: f64 [resources], what a row must use on average, or there will be more rows.
      weight: f64 [resources], how scarce each is; they sum to 1.
      some: i64 [some], kinds by the number of their clips; the last one stands for no clip.
      first, second: i64 [pairs], the pairs of `some` as places in it, the hardest first.
      pairs: f32 [resources, pairs], what both take.
    """

    def __init__(self, kinds: np.ndarray, counts: np.ndarray, caps: np.ndarray, fillable: float):
        self.caps, self.fillable, self.drawn = caps, fillable, 0
        use = (counts @ kinds) / caps
        shares = (kinds * _power(use / use.max(), 2) / caps).T
        self.ids = np.argsort(-sum(share * share for share in shares), kind="stable")
        self.takes = np.ascontiguousarray(kinds[self.ids].T)
        self.counts, self.clips = counts[self.ids], int(counts.sum())
        self._refresh()

    def _refresh(self) -> None:
        """Forgets kinds that are used up, and takes averages over what is left."""
        kept = self.counts > 0
        self.ids, self.counts = self.ids[kept], self.counts[kept]
        self.takes = np.ascontiguousarray(self.takes[:, kept])
        self.least = self.takes.min(1, initial=self.caps.max())
        self.stale = self.clips * 49 // 50
        if not self.clips:
            return
        totals = self.takes.astype(np.int64) @ self.counts
        use = totals / self.caps
        self.mean = np.maximum(totals / self.clips, 1e-9)
        self.target = np.minimum(totals * self.fillable / use.max(), self.caps)
        weight = _power(self.target / self.caps, 3)
        self.weight = weight / sum(weight.tolist())
        self.until = np.cumsum(self.counts)
        self._pair_up()

    def _pair_up(self) -> None:
        some = np.unique(self._draw(_PAIRED)) if len(self.ids) > _PAIRED else range(len(self.ids))
        self.some = np.append(some, 0)
        self.first, self.second = np.triu_indices(len(self.some))
        takes = self.takes[:, self.some].astype(np.float32)
        takes[:, -1] = 0
        self.pairs = takes[:, self.first] + takes[:, self.second]

    def _draw(self, number: int) -> np.ndarray:
        """i64 [number], kinds at evenly spread places among the clips of the last refresh."""
        self.drawn += 1
        start = self.drawn * _GOLDEN % 2**32
        places = (start + (np.arange(number) << 32) // number) % 2**32
        return np.searchsorted(self.until, (places * self.until[-1]) >> 32, "right")

    def row(self) -> list[int]:
        """Places of the kinds of the next row; their clips are taken out."""
        picks, rest, lacks = [], self.caps, self.target

        def add(pick: int) -> None:
            nonlocal rest, lacks
            picks.append(pick)
            self.counts[pick] -= 1
            rest, lacks = rest - self.takes[:, pick], lacks - self.takes[:, pick]

        add(int((self.counts > 0).argmax()))
        while (pick := self._balancing(rest, lacks)) is not None:
            add(pick)
        for pick in self._ending(rest, lacks):
            add(pick)
        while (pick := self._filling(rest, lacks)) is not None:
            add(pick)
        return picks

    def _fit(self, at: np.ndarray | slice, rest: np.ndarray) -> np.ndarray:
        return (self.counts[at] > 0) & (self.takes[:, at] <= rest[:, None]).all(0)

    def _balancing(self, rest: np.ndarray, lacks: np.ndarray) -> int | None:
        """The clip of some drawn ones after which a row lacks the same of every resource."""
        if sum((self.weight * lacks / self.mean).tolist()) <= _ENDED:
            return None
        drawn = self._draw(_DRAWN)
        drawn = drawn[self._fit(drawn, rest)]
        if not len(drawn):
            return None
        lacking = (lacks[:, None] - self.takes[:, drawn]) / self.mean[:, None]
        even = sum(self.weight[:, None] * lacking)
        return int(drawn[sum(self.weight[:, None] * abs(lacking - even)).argmin()])

    def _ending(self, rest: np.ndarray, lacks: np.ndarray) -> list[int]:
        """The clips, at most three, that leave least of what a row must use."""
        best, end = self._pair(rest, lacks)
        if not best:
            return end
        thirds = np.unique(self._draw(_THIRDS))
        for third in thirds[self._fit(thirds, rest)].tolist():
            takes = self.takes[:, third]
            self.counts[third] -= 1
            unused, pair = self._pair(rest - takes, lacks - takes)
            self.counts[third] += 1
            if unused < best:
                best, end = unused, [third, *pair]
        return end

    def _pair(self, rest: np.ndarray, lacks: np.ndarray) -> tuple[float, list[int]]:
        """(What it leaves unused, the pair or single clip) that leaves least."""
        left = np.append(self.counts[self.some[:-1]], 2)
        fit = (left > 0)[self.first] & (left > 0)[self.second]
        fit &= (self.first != self.second) | (left > 1)[self.first]
        unused = np.zeros(len(fit), np.float32)
        for takes, most, lack, scale in zip(
            self.pairs, rest, lacks, self.weight / self.weight.max() / self.caps, strict=True
        ):
            fit &= takes <= most
            unused += np.float32(scale / _STEP) * np.maximum(np.float32(lack) - takes, 0)
        unused = np.where(fit, np.floor(unused), np.inf)
        best = int(unused.argmin())
        none = len(self.some) - 1
        places = (int(self.first[best]), int(self.second[best]))
        return float(unused[best]), [int(self.some[place]) for place in places if place != none]

    def _filling(self, rest: np.ndarray, lacks: np.ndarray) -> int | None:
        """The clip that leaves least of what a row must use, of all that fit."""
        if (rest < self.least).any():
            return None
        fit = np.flatnonzero(self._fit(slice(None), rest))
        if not len(fit):
            return None
        unused = np.maximum(lacks[:, None] - self.takes[:, fit], 0)
        return int(fit[sum((self.weight / self.caps)[:, None] * unused).argmin()])

    def take(self, picks: list[int]) -> Pattern:
        """The row `picks`, as often as the clips last and the mixture allows."""
        places, times = np.unique(picks, return_counts=True)
        self.counts[places] += times
        lasts = int((self.counts[places] // times).min())
        rows = min(lasts, 1 + self.clips // len(picks) // _PART)
        pattern = Pattern(tuple(self.ids[picks].tolist()), rows)
        self.counts[places] -= rows * times
        self.clips -= rows * len(picks)
        if self.clips <= self.stale:
            self._refresh()
        return pattern


def _power(x: np.ndarray, doublings: int) -> np.ndarray:
    """x to the power of 2 ** doublings, by products alone."""
    for _ in range(doublings):
        x = x * x
    return x
