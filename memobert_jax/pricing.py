"""Rows worth most, where each clip has a price: what the linear program of `columns` lacks.

`worthy` finds good ones in milliseconds, `worthiest` also says what no row is worth more than.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from memobert_jax.highs import Program

Column = tuple[int, ...]
"""The kinds of one row, once a clip, in order."""
SURE = 1e-6
"""Difference from which numbers differ."""

_NEW = 16
"""Rows that are given back at most."""
_TRIED = 24
"""Kinds that are tried for a place of a row, by what they would make it worth."""
_STATES = 100_000
"""Rows that may grow at once while the row of most worth is looked for."""
_CELLS = 4_000_000
"""Numbers in the largest array of that search."""
_GRID = 4096
SLACK = 0.0002
"""Rows that are worth more than 1 by less than that are not looked for."""
_BRANCHING = {"mip_rel_gap": SLACK, "mip_max_nodes": 1000, "mip_improving_solution_save": True}


def worthy(
    kinds: np.ndarray, prices: np.ndarray, caps: Sequence[int], share: float = 0.0
) -> list[Column]:
    """Rows worth more than 1, by dynamic programming over the first resource.

    Of each amount of it the row of most worth is kept that was found, with what it takes of the
    others: of one resource that is the best, of several a good one.

    Args:
      kinds: i32 [kinds, resources], what one clip takes of each; of the first at least 1.
      prices: f64 [kinds], what one is worth.
      caps: what a row has of each resource.
      share: of the worth of the other resources that a clip takes, which counts against it.
    """
    ids = np.flatnonzero(prices > SURE)
    ids = ids[np.argsort(kinds[ids, 0], kind="stable")]
    if not len(ids):
        return []
    takes, worth = kinds[ids].astype(np.int64), prices[ids]
    if share:
        scarce = _scarcity(takes / np.asarray(caps), worth)
        worth = worth - share * (takes[:, 1:] / np.asarray(caps[1:]) @ scarce[1:])
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
    fit = np.flatnonzero((used[rest] <= rooms).all(1))
    best = fit[np.argsort(-(most[rest] + worth)[fit], kind="stable")[:_NEW]]
    found = dict.fromkeys([row(width), *(row(int(rest[place]), place) for place in best)])
    return [one for one in found if prices[list(one)].sum() > 1 + SURE]


def worthiest(
    kinds: np.ndarray, counts: np.ndarray, caps: Sequence[int], prices: np.ndarray
) -> tuple[float, list[Column]]:
    """(what no row is worth more than, rows of most worth of those worth more than 1).

    Rows of few clips are gone through; where there are too many, by branch and bound.

    Args:
      kinds, prices, caps: as above.
      counts: i64 [kinds], clips of each kind; a row has no more of it.
    """
    most, rows, whole = _grown(kinds, caps, prices)
    if whole:
        return most, rows
    bound, found = _branched(kinds, counts, caps, prices)
    return min(most, bound), list(dict.fromkeys(found + rows))[:_NEW]


def _scarcity(shares: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """f64 [resources], what each resource of a row is worth if parts of clips were allowed.

    Args:
      shares: f64 [kinds, resources], what one clip takes of a row.
      worth: f64 [kinds].
    """
    rooms = np.ones(shares.shape[1])
    solved = _knapsack(shares, worth, rooms, np.full(len(shares), np.inf)).solve()
    return rooms if solved is None else np.maximum(-solved[1], 0)


def _knapsack(
    takes: np.ndarray,
    worth: np.ndarray,
    rooms: np.ndarray,
    most: np.ndarray,
    options: Mapping[str, Any] | None = None,
) -> Program:
    """The row of most worth, whose cost is minus that; it has up to `most` of each kind."""
    number, resources = takes.shape
    program = Program(np.full(resources, -np.inf), rooms, options)
    starts, places = np.arange(number) * resources, np.tile(np.arange(resources), number)
    program.add(-worth, most, starts, places, takes.ravel())
    return program


def _grown(
    kinds: np.ndarray, caps: Sequence[int], prices: np.ndarray
) -> tuple[float, list[Column], bool]:
    """(what no row is worth more than, rows of most worth, whether all were looked at).

    Rows grow by one clip after the other; of those that take the same, the one of most worth is
    kept. One goes on growing while what it is worth and the most that would fit into its rest by
    one resource alone, or by their scarcest mixture, is more than 1. That is given up when there
    are too many of them; then the most of those before them is the bound.
    """
    ids = np.flatnonzero(prices > SURE)
    takes, worth = kinds[ids].astype(np.int64), prices[ids]
    rooms = np.asarray(caps, np.int64)
    most = _bounds(takes, worth, rooms)
    best, rows = 1.0 + SLACK, []
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
                if total[at] > 1 + SLACK:
                    rows.append((-float(total[at]), tuple(sorted(ids[whole[at]].tolist()))))
            best = max(best, -min(rows)[0]) if rows else best
            following.append(_distinct(left, total, whole))
            number += len(following[-1][1])
            if number > _STATES:
                return max(best, float((value + most(rest)).max())), _first(rows), False
        if not following:
            break
        arrays = (np.concatenate(arrays) for arrays in zip(*following, strict=True))
        rest, value, grown = _distinct(*arrays)
    return best, _first(rows), True


def _branched(
    kinds: np.ndarray, counts: np.ndarray, caps: Sequence[int], prices: np.ndarray
) -> tuple[float, list[Column]]:
    """(what no row is worth more than, rows worth more than 1, the best first).

    By branch and bound over how many clips of each kind a row has; if that is given up, the bound
    is the one that was proved by then.
    """
    ids = np.flatnonzero(prices > SURE)
    takes, rooms = kinds[ids], np.asarray(caps)
    fit = np.where(takes > 0, rooms // np.maximum(takes, 1), counts[ids, None])
    most = np.minimum(fit.min(1), counts[ids])
    program = _knapsack(takes, prices[ids], rooms, most, _BRANCHING)
    program.make_whole()
    if not program.run():
        return np.inf, []
    solver = program.solver
    rows = [np.rint(one.col_value).astype(int) for one in solver.getSavedMipSolutions()]
    worthy = [row for row in reversed(rows) if row @ prices[ids] > 1 + SLACK]
    found = [tuple(np.repeat(ids, row).tolist()) for row in worthy if (row @ takes <= rooms).all()]
    return max(1.0, -solver.getInfo().mip_dual_bound) * (1 + SURE), found[:_NEW]


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
    weights = _scarcity(takes / caps, worth)
    mixture = weights / weights.sum() * _GRID / caps
    mixed = np.floor(takes @ mixture - SURE).astype(np.int64)
    alone = {
        d: _most(takes[:, d], worth, int(cap)) for d, cap in enumerate(caps) if takes[:, d].all()
    }
    together = _most(mixed, worth, _GRID) if mixed.all() else np.full(_GRID + 1, np.inf)
    together = np.append(together, together[-1])  # the whole of a row may be rounded up

    def most(rest: np.ndarray) -> np.ndarray:
        bounds = [table[rest[:, d]] for d, table in alone.items()]
        bounds.append(together[np.floor(rest @ mixture + SURE).astype(np.int64)])
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
