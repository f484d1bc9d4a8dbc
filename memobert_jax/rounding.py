"""Plans that follow a linear program over rows: its rows as often as they are whole, then others.

For the others, and where there are too many kinds for a program over whole rows, its prices are one
more resource, of which a row has 1: `patterns` then makes rows that are worth nearly as much.
"""

from collections.abc import Sequence

import numpy as np

from memobert_jax import columns
from memobert_jax.bounds import fewest_rows
from memobert_jax.columns import Relaxed
from memobert_jax.patterns import TARGETS, Pattern, patterns

_WHOLE = 100_000
"""What a row is worth."""
QUICK, _PARTS = 1500, 8
"""Kinds of a part up to which its program is quick, and how many parts there are at most."""
_ROUND_UP = (1e-6, 0.3, 0.6, 0.15, 0.45, 0.75, 0.9)
"""Parts of a row that are added to its number before it is rounded down, as they are tried."""


def by_rows(
    kinds: np.ndarray, counts: np.ndarray, caps: Sequence[int], found: Sequence[Pattern]
) -> tuple[float, list[Pattern]]:
    """(the rows that there are at least, a plan), by a program over whole rows.

    Args:
      kinds: i32 [kinds, resources], what one clip takes of each.
      counts: i64 [kinds], clips of each kind.
      caps: what a row has of each resource.
      found: a plan to begin with.
    """
    least = max(fewest_rows(kinds, counts, caps).shares.values())
    relaxed = columns.relax(kinds, counts, caps, [pattern.kinds for pattern in found], least)
    fewest, best = max(relaxed.bound, least) - 1e-6, list(found)
    for up in _ROUND_UP:
        if _number(best) - 1 < fewest:
            break
        best = min(best, _rounded(kinds, counts, caps, relaxed, up), key=_number)
    return relaxed.bound, best


def by_parts(
    kinds: np.ndarray, counts: np.ndarray, caps: Sequence[int], found: list[Pattern]
) -> list[Pattern]:
    """A plan of a corpus of very many kinds, of which every n-th clip is planned by itself.

    Each part has the mixture of the whole, so that little is lost where two of them meet. There are
    as many parts as make a program of each one quick. Where it would take more than `_PARTS`, the
    plan is `found`: so many clips seldom need a program.
    """
    ends, plan = np.cumsum(counts), []
    for number in range(2, _PARTS + 1):
        whole = [(ends + n) // number - (ends - counts + n) // number for n in range(number)]
        if max(np.count_nonzero(own) for own in whole) <= QUICK:
            break
    else:
        return found
    for own in whole:
        ids = np.flatnonzero(own)
        some = kinds[ids], own[ids], caps
        first = min((patterns(*some, share) for share in TARGETS), key=_number)
        part = by_rows(*some, first)[1]
        plan += [Pattern(tuple(ids[list(one.kinds)].tolist()), one.rows) for one in part]
    return min(found, plan, key=_number)


def by_sizes(
    kinds: np.ndarray,
    counts: np.ndarray,
    caps: Sequence[int],
    takes: np.ndarray,
    place: int,
    found: Sequence[Pattern],
) -> tuple[float, list[Pattern]]:
    """The same by a program that knows of one resource alone.

    Args:
      kinds, counts, caps, found: as above.
      takes: i32 [kinds], what one clip takes of that resource at least.
      place: which resource it is.
    """
    sizes, size = np.unique(takes, return_inverse=True)
    some, held = sizes > 0, np.bincount(size, counts).astype(np.int64)
    free = int((~some).sum())
    rows = [size[[kind for kind in pattern.kinds if takes[kind]]] - free for pattern in found]
    like = [tuple(row.tolist()) for row in rows if len(row)]
    relaxed = columns.relax(sizes[some][:, None], held[some], (caps[place],), like)
    prices = np.append(np.zeros(free), relaxed.prices)[size]
    return relaxed.bound, _priced(kinds, counts, caps, prices)


def _priced(
    kinds: np.ndarray, counts: np.ndarray, caps: Sequence[int], prices: np.ndarray
) -> list[Pattern]:
    """A plan whose rows are worth as nearly 1 as can be."""
    worth = np.floor(prices * _WHOLE + 1e-6).astype(np.int32)
    priced, caps = np.column_stack([kinds, worth]), (*caps, _WHOLE)
    return min((patterns(priced, counts, caps, share) for share in TARGETS), key=_number)


def _rounded(
    kinds: np.ndarray, counts: np.ndarray, caps: Sequence[int], relaxed: Relaxed, up: float
) -> list[Pattern]:
    """Rows that are used `up` times less than once more are used once more."""
    left, plan = counts.astype(np.int64), []
    for place in np.argsort(-relaxed.times, kind="stable").tolist():
        own, times = np.unique(relaxed.columns[place], return_counts=True)
        whole = min(int(relaxed.times[place] + up), int((left[own] // times).min()))
        if whole:
            plan.append(Pattern(relaxed.columns[place], whole))
            left[own] -= whole * times
    ids = np.flatnonzero(left)
    rest = _priced(kinds[ids], left[ids], caps, relaxed.prices[ids]) if len(ids) else []
    return plan + [Pattern(tuple(ids[list(one.kinds)].tolist()), one.rows) for one in rest]


def _number(plan: list[Pattern]) -> int:
    return sum(pattern.rows for pattern in plan)
