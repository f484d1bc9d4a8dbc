"""Rows by linear programming: how often each of some rows is used, if parts of rows were allowed.

The columns of the linear program are rows, and only those are made that its prices ask for (column
generation: Gilmore and Gomory, Operations Research 9, 1961). A price is what a clip of a kind is
worth of a row; where no row is worth more than 1, the prices of all clips bound the number of rows
from below, sharply also where several resources of a row are used up at once.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

Column = tuple[int, ...]
"""The kinds of one row, once a clip, in order."""

_ROUNDS = 600
_NEW = 16
"""Columns that a round adds at most."""
_TRIED = 24
"""Kinds that are tried for a place of a row, by what they would make it worth."""
_KEPT = 3
"""Columns a kind from which on the useless ones are dropped."""
_STATES = 100_000
"""Rows that may grow at once while a row of most worth is looked for."""
_CELLS = 4_000_000
"""Numbers in the largest array of that search."""
_SEARCHES = 100
"""How often the row of most worth is looked for."""
_GRID = 4096
_SLACK = 0.002
"""Rows that are worth more than 1 by less than that are not looked for."""
_SURE = 1e-6


class Relaxed(NamedTuple):
    """The linear program.

    Attributes:
      columns: rows.
      times: f64 [columns], how often each is used.
      prices: f64 [kinds], at which no row is worth more than 1, if that came out in time.
      bound: the rows that there are at least; 0 if that did not.
    """

    columns: list[Column]
    times: np.ndarray
    prices: np.ndarray
    bound: float


def relax(
    kinds: np.ndarray, counts: np.ndarray, caps: Sequence[int], rows: Iterable[Sequence[int]]
) -> Relaxed:
    """Rows that hold every clip, where a row may be used a fraction of a time.

    Args:
      kinds: i32 [kinds, resources], what one clip takes of each; of the first at least 1.
      counts: i64 [kinds], clips of each kind.
      caps: what a row has of each resource.
      rows: kinds of some rows to begin with, such as those of a plan.
    """
    columns = [(kind,) for kind in range(len(kinds))]
    columns += sorted({tuple(sorted(row)) for row in rows} - set(columns))
    known = set(columns)
    best = Relaxed(columns, np.zeros(len(columns)), np.zeros(len(kinds)), 0.0)
    steady, searches = None, 0
    for _ in range(_ROUNDS):
        solved = _solve(columns, counts)
        if solved is None:
            break
        times, prices, total = solved
        best = best._replace(columns=columns, times=times)
        if not best.bound:
            best = best._replace(prices=prices)
        steady = prices if steady is None else (steady + prices) / 2
        if not (new := [c for c in _worthy(kinds, steady, caps) if c not in known]):
            steady = prices
            new = [c for c in _worthy(kinds, prices, caps) if c not in known]
        if not new:
            most, rows = _worthiest(kinds, caps, prices)
            searches += 1
            bound = float(counts @ prices) / most
            if bound >= best.bound:
                best = Relaxed(columns, times, prices / most, bound)
            new = [row for row in rows if row not in known] if searches < _SEARCHES else []
        if not new or np.ceil(best.bound - _SURE) >= np.ceil(total - _SURE):
            break
        if len(columns) > _KEPT * len(kinds):
            columns = _useful(columns, times, prices)
            known = set(columns)
        columns = columns + new
        known.update(new)
    return best


def _useful(columns: list[Column], times: np.ndarray, prices: np.ndarray) -> list[Column]:
    """The columns that are used, and the half of the others that is worth most."""
    worth = np.array([prices[list(column)].sum() for column in columns])
    return [columns[n] for n in np.flatnonzero((times > 0) | (worth >= np.median(worth)))]


def _solve(
    columns: list[Column], counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float] | None:
    """(times, prices, how many rows that are) of a linear program; None if it was not solved."""
    lengths = [len(column) for column in columns]
    places = np.repeat(np.arange(len(columns)), lengths)
    shape = (len(counts), len(columns))
    holds = sparse.csc_matrix((np.ones(len(places)), (np.concatenate(columns), places)), shape)
    found = linprog(np.ones(len(columns)), A_ub=-holds, b_ub=-counts.astype(float), method="highs")
    if found.x is None:
        return None
    prices = np.maximum(-found.ineqlin.marginals, 0)
    return found.x, np.where(prices > _SURE, prices, 0), float(found.fun)


def _worthy(kinds: np.ndarray, prices: np.ndarray, caps: Sequence[int]) -> list[Column]:
    """Rows worth more than 1, by dynamic programming over the first resource.

    Of each amount of it the row of most worth is kept that was found, with what it takes of the
    others: of one resource that is the best, of several a good one.
    """
    ids = np.flatnonzero(prices > _SURE)
    ids = ids[np.argsort(kinds[ids, 0], kind="stable")]
    if not len(ids):
        return []
    takes, worth = kinds[ids].astype(np.int64), prices[ids]
    first, rooms = takes[:, 0], np.asarray(caps) - takes
    width = int(caps[0])
    most, used = np.zeros(width + 1), np.zeros((width + 1, takes.shape[1]), np.int64)
    last = np.full(width + 1, -1)
    for room, fitting in enumerate(np.searchsorted(first, np.arange(width + 1), "right")):
        if room:
            most[room], used[room] = most[room - 1], used[room - 1]
        before = room - first[:fitting]
        sums = most[before] + worth[:fitting]
        for place in np.argsort(-sums, kind="stable")[:_TRIED].tolist():
            if sums[place] <= most[room]:
                break
            if (used[before[place]] <= rooms[place]).all():
                most[room], last[room] = sums[place], place
                used[room] = used[before[place]] + takes[place]
                break

    def row(room: int, *places: int) -> Column:
        picked = list(places)
        while room > 0:
            if last[room] < 0:
                room -= 1
            else:
                picked.append(last[room])
                room -= first[last[room]]
        return tuple(sorted(ids[picked].tolist()))

    rest = width - first
    ends = np.where((used[rest] <= rooms).all(1), most[rest] + worth, 0.0)
    found = [row(width)] if most[width] > 1 + _SURE else []
    for place in np.argsort(-ends, kind="stable")[:_NEW].tolist():
        if ends[place] > 1 + _SURE:
            found.append(row(int(rest[place]), place))
    return list(dict.fromkeys(found))


def _worthiest(
    kinds: np.ndarray, caps: Sequence[int], prices: np.ndarray
) -> tuple[float, list[Column]]:
    """(what no row is worth more than, the rows of most worth of those that were looked at).

    Rows grow by one clip after the other; of those that take the same, the one of most worth is
    kept. One goes on growing while what it is worth and the most that would fit into its rest by
    one resource alone, or by their scarcest mixture, is more than 1. That is given up when there
    are too many of them; then the most of those before them is the bound.
    """
    ids = np.flatnonzero(prices > _SURE)
    takes, worth = kinds[ids].astype(np.int64), prices[ids]
    rooms = np.asarray(caps, np.int64)
    most = _bounds(takes, worth, rooms)
    best, rows = 1.0 + _SLACK, []
    rest, value, grown = rooms[None], np.zeros(1), np.zeros((1, 0), np.int32)
    while len(grown):
        following, number = [], 0
        step = max(_CELLS // max(takes.size, 1), 1)
        for first in range(0, len(grown), step):
            part = slice(first, first + step)
            old, new = np.nonzero((takes <= rest[part, None]).all(-1))
            if not len(new):
                continue
            left, total = rest[part][old] - takes[new], value[part][old] + worth[new]
            kept = total + most(left) > best
            left, total, old, new = left[kept], total[kept], old[kept], new[kept]
            whole = np.column_stack([grown[part][old], new]).astype(np.int32)
            for at in np.argsort(-total, kind="stable")[:_NEW].tolist():
                if total[at] > 1 + _SLACK:
                    rows.append((-float(total[at]), tuple(sorted(ids[whole[at]].tolist()))))
            best = max(best, -min(rows)[0]) if rows else best
            following.append(_distinct(left, total, whole))
            number += len(following[-1][1])
            if number > _STATES:
                return max(best, float((value + most(rest)).max())), _first(rows)
        if not following:
            break
        arrays = (np.concatenate(arrays) for arrays in zip(*following, strict=True))
        rest, value, grown = _distinct(*arrays)
    return best, _first(rows)


def _first(rows: list[tuple[float, Column]]) -> list[Column]:
    """The first of some rows in their order, each once."""
    return list(dict.fromkeys(row for _, row in sorted(rows)[:_NEW]))


def _distinct(
    rest: np.ndarray, value: np.ndarray, grown: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of rows with the same rest the one of most worth."""
    order = np.lexsort((-value, *rest.T))
    found = rest[order]
    new = np.ones(len(order), bool)
    new[1:] = (found[1:] != found[:-1]).any(1)
    return rest[order[new]], value[order[new]], grown[order[new]]


def _bounds(
    takes: np.ndarray, worth: np.ndarray, caps: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """(rests i64 [rows, resources]) -> f64 [rows], more than what fits into them is worth.

    By each resource alone, and by the mixture of them that bounds a whole row best.
    """
    shares = takes / caps
    found = linprog(-worth, A_ub=shares.T, b_ub=np.ones(len(caps)), method="highs")
    weights = -found.ineqlin.marginals
    mixture = weights / weights.sum() * _GRID / caps
    mixed = np.floor(takes @ mixture - _SURE).astype(np.int64)
    alone = {
        d: _most(takes[:, d], worth, int(cap)) for d, cap in enumerate(caps) if takes[:, d].all()
    }
    together = _most(mixed, worth, _GRID) if mixed.all() else np.full(_GRID + 1, np.inf)
    together = np.append(together, together[-1])  # the whole of a row may be rounded up

    def most(rest: np.ndarray) -> np.ndarray:
        bounds = [table[rest[:, d]] for d, table in alone.items()]
        bounds.append(together[np.floor(rest @ mixture + _SURE).astype(np.int64)])
        return np.min(bounds, axis=0)

    return most


def _most(sizes: np.ndarray, worth: np.ndarray, cap: int) -> np.ndarray:
    """f64 [cap + 1], the most that things of some sizes are worth that share a bin of each size."""
    order = np.argsort(sizes, kind="stable")
    sizes, worth = sizes[order], worth[order]
    most = np.zeros(cap + 1)
    for room, fitting in enumerate(np.searchsorted(sizes, np.arange(cap + 1), "right")):
        if fitting:
            most[room] = max(most[room - 1], (most[room - sizes[:fitting]] + worth[:fitting]).max())
    return most
