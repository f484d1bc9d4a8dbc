"""Rows by linear programming: how often each of some rows is used, if parts of rows were allowed.

The columns of the linear program are rows, and only those are made that its prices ask for (column
generation: Gilmore and Gomory, Operations Research 9, 1961). A price is what a clip of a kind is
worth of a row; where no row is worth more than 1, the prices of all clips bound the number of rows
from below, sharply also where several resources of a row are used up at once.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from memobert_jax.highs import Program
from memobert_jax.pricing import SURE, Column, worthiest, worthy

_ROUNDS, _WORK = 2000, 1_500_000
"""Rounds at most, and rounds times kinds: the time of a round grows with their number."""
_SEARCHES = 100
"""How often the row of most worth is looked for."""
_SMALL = 0.005
"""Part of all rows by which the bound may be lower."""
_SHARES = (0.0, 1.0, 0.5)
"""Of the worth of scarce resources that counts against a clip, as they are tried in turn."""


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
    kinds: np.ndarray,
    counts: np.ndarray,
    caps: Sequence[int],
    rows: Iterable[Sequence[int]],
    least: float = 0.0,
) -> Relaxed:
    """Rows that hold every clip, where a row may be used a fraction of a time.

    Args:
      kinds: i32 [kinds, resources], what one clip takes of each; of the first at least 1.
      counts: i64 [kinds], clips of each kind.
      caps: what a row has of each resource.
      rows: kinds of some rows to begin with, such as those of a plan.
      least: how many rows there are at least, as is known already.
    """
    columns = [(kind,) for kind in range(len(kinds))]
    columns += sorted({tuple(sorted(row)) for row in rows} - set(columns))
    known = set(columns)
    program = Program(counts, np.full(len(counts), np.inf))
    _add(program, columns)
    best = Relaxed(columns, np.zeros(len(columns)), np.zeros(len(kinds)), 0.0)
    steady, searches = None, 0
    for _ in range(min(_ROUNDS, _WORK // len(kinds))):
        solved = program.solve()
        if solved is None:
            break
        times, prices, total = solved
        prices = np.where(prices > SURE, prices, 0)
        best = best._replace(columns=columns, times=times)
        if not best.bound:
            best = best._replace(prices=prices)
        steady = prices if steady is None else (steady + prices) / 2
        for tried, share in ((steady, 0.0), *((prices, share) for share in _SHARES)):
            if new := [c for c in worthy(kinds, tried, caps, share) if c not in known]:
                break
            steady = prices
        if not new:
            most, rows = worthiest(kinds, counts, caps, prices)
            searches += 1
            bound = float(counts @ prices) / most
            if bound >= best.bound:
                best = Relaxed(columns, times, prices / most, bound)
            new = [row for row in rows if row not in known] if searches < _SEARCHES else []
        # of few rows the end is sought even where `least` is met: more columns round better
        if not new or _near(best.bound, total) or _few(least, total):
            break
        columns = columns + new
        _add(program, new)
        known.update(new)
    return best


def _near(bound: float, total: float) -> bool:
    """Whether no whole row is between them, or only a small part of very many."""
    return np.ceil(bound - SURE) >= np.ceil(total - SURE) or _few(bound, total)


def _few(bound: float, total: float) -> bool:
    """Whether only a small part of very many rows is between them."""
    return total - bound <= _SMALL * total >= 1


def _add(program: Program, columns: Sequence[Column]) -> None:
    held = [np.unique(column, return_counts=True) for column in columns]
    starts = np.cumsum([0] + [len(kinds) for kinds, _ in held[:-1]])
    kinds, times = (np.concatenate(parts) for parts in zip(*held, strict=True))
    program.add(np.ones(len(columns)), np.full(len(columns), np.inf), starts, kinds, times)
