"""How few rows there can be, from each resource of a row by itself."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

RESOURCES = ("trunk slots", "text buffer", "face buffer", "speech buffer", "clips a row")
_SLICES = 8


@dataclasses.dataclass(frozen=True)
class Bound:
    """At least `rows` rows are needed, because of `resource`; shares: each resource's own bound."""

    rows: int
    resource: str
    shares: dict[str, float]


def whole_rows(kinds: np.ndarray, caps: Sequence[int]) -> np.ndarray:
    """The kinds, where a clip that leaves room for no other takes all that a row has."""
    caps = np.asarray(caps, np.int32)
    alone = (kinds + kinds.min(0, initial=caps[0]) > caps).any(1)
    return np.where(alone[:, None], caps, kinds)


def fewest_rows(kinds: np.ndarray, counts: np.ndarray, caps: Sequence[int]) -> Bound:
    """A bound on the number of rows from below, from each resource of a row by itself.

    Never below the bound of the linear program (total over capacity). Above it where a clip leaves
    room for no other, by which it takes all that a row has; and where large clips cannot share a
    row: dual feasible functions of Fekete and Schepers (Mathematical Programming 91, 2001), u^(k)
    after U^(e), for each e and for k from 1 to 8.

    Args:
      kinds: i32 [kinds, resources], what a clip of each kind takes.
      counts: i64 [kinds], clips of each kind.
      caps: what a row has of each of RESOURCES.
    """
    kinds = whole_rows(kinds, caps)
    shares = {
        name: _rows_of_one(np.bincount(kinds[:, d], counts, minlength=cap + 1), cap)
        for d, (name, cap) in enumerate(zip(RESOURCES, caps, strict=True))
    }
    resource = max(shares, key=shares.get)
    return Bound(math.ceil(shares[resource] - 1e-6), resource, shares)


def _rows_of_one(sizes: np.ndarray, cap: int) -> float:
    """Bins of size `cap` that `sizes[s]` things of each size s from 0 to cap need at least."""
    x = np.arange(cap + 1)
    best = float(sizes @ x) / cap
    for least in range(1, cap // 2 + 1):
        if sizes[least:].sum() <= best:
            break  # each counts for one bin at most
        rounded = np.where(x > cap - least, cap, np.where(x < least, 0, x))
        best = max(best, float(sizes @ rounded) / cap)
        for k in range(1, _SLICES + 1):
            slices = (k + 1) * rounded
            whole = np.where(slices % cap == 0, rounded / cap, slices // cap / k)
            best = max(best, float(sizes @ whole))
    return best
