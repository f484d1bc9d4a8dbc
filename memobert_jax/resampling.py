"""Clusters of clips drawn with replacement, or exchanged between two arms; intervals and p.

Sums of `additive.Terms` by cluster go in, so a resample is one row of a matrix product.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

LEVEL = 0.95
RESAMPLES = 2000
SEED = 0
FEWEST = 5
"""Clusters that an interval takes; of fewer, it misses the truth far too often at any width."""

_AT_ONCE = 256
"""Resamples held in memory together."""
_ROUNDING = 1e-12

Measures = Callable[[np.ndarray], dict[str, np.ndarray]]


def clusters(groups: Sequence[Any]) -> np.ndarray:
    """i64 [clips] number of each clip's cluster: its group, or one of its own where that is ""."""
    names, of = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    of = np.where(names[of] == "", len(names) + np.arange(len(of)), of)
    return np.unique(of, return_inverse=True)[1]


def by_cluster(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    """f64 [clusters, runs, subsets, terms]: [runs, subsets, clips, terms] added by `of` [clips]."""
    from scipy.sparse import csr_array

    clips = np.moveaxis(values, 2, 0)
    member = csr_array((np.ones(len(of)), (of, np.arange(len(of)))))
    return (member @ clips.reshape(len(of), -1)).reshape(-1, *clips.shape[1:])


def resample(
    sums: np.ndarray, measures: Measures, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Measure -> f64 [resamples, runs, subsets], on as many clusters drawn with replacement."""
    size, rng = len(sums), np.random.default_rng(seed)

    def weights() -> Iterator[np.ndarray]:
        for rows in _blocks(resamples):
            drawn = rng.integers(0, size, (rows, size), np.int32)
            cells = drawn + size * np.arange(rows)[:, None]
            yield np.bincount(cells.ravel(), minlength=rows * size).reshape(rows, size)

    return _measured(sums, 0.0, measures, weights())


def exchange(
    sums: np.ndarray, measures: Measures, most: int, seed: int
) -> tuple[dict[str, np.ndarray], bool]:
    """The arms exchanged on some clusters: on every choice of them if these are `most` or fewer.

    Args:
      sums: f64 [clusters, 2 * runs, subsets, terms], the runs of one arm before those of the other.

    Returns:
      Measure -> f64 [permutations, 2 * runs, subsets]; whether these are all permutations.
    """
    size, rng = len(sums), np.random.default_rng(seed)
    every = size < 63 and 2**size <= most

    def chosen() -> Iterator[np.ndarray]:
        if every:
            yield (np.arange(2**size)[:, None] >> np.arange(size)) & 1
        else:
            yield from (rng.integers(0, 2, (rows, size), np.int8) for rows in _blocks(most))

    swapped = np.roll(sums, sums.shape[1] // 2, axis=1)
    return _measured(swapped - sums, sums.sum(0), measures, chosen()), every


def _measured(
    sums: np.ndarray, base: np.ndarray | float, measures: Measures, weights: Iterable[np.ndarray]
) -> dict[str, np.ndarray]:
    columns = sums.reshape(len(sums), -1)
    found = []
    for block in weights:
        total = base + (block.astype(np.float64) @ columns).reshape(-1, *sums.shape[1:])
        found.append(measures(total))
    return {name: np.concatenate([block[name] for block in found]) for name in found[0]}


def _blocks(total: int) -> list[int]:
    return [min(_AT_ONCE, total - start) for start in range(0, total, _AT_ONCE)]


def interval(value: float, draws: np.ndarray, clusters: int, level: float) -> dict[str, Any]:
    """Percentile interval of resampled values, moved outwards for few clusters.

    Its ends are the percentiles Phi(-t sqrt(n / (n - 1))) and its mirror, with n clusters and t the
    quantile of Student's t with n - 1 degrees of freedom (Hesterberg 2015, 1411.5279, "expanded
    percentile"). Plain percentiles and BCa are too narrow for the 5 to 24 speakers of a corpus.

    Returns:
      `low`, `high` and an empty `reason`, or None and None and the reason why there is none; the
      number of `undefined` draws, which are left out.
    """
    from scipy.stats import norm, t

    there = draws[~np.isnan(draws)]
    undefined = len(draws) - len(there)
    if np.isnan(value):
        reason = "undefined: too little was scored, or all values are the same"
    elif clusters < FEWEST:
        reason = f"only {clusters} cluster(s); an interval takes {FEWEST}"
    elif undefined > (1 - level) * len(draws):
        reason = f"undefined on {undefined} of {len(draws)} resamples"
    elif np.ptp(there) <= _ROUNDING:
        reason = "the same on every resample, which does not make it certain"
    else:
        outwards = np.sqrt(clusters / (clusters - 1)) * t.ppf((1 + level) / 2, clusters - 1)
        low, high = np.quantile(there, norm.cdf([-outwards, outwards])).tolist()
        return {"low": low, "high": high, "reason": "", "undefined": undefined}
    return {"low": None, "high": None, "reason": reason, "undefined": undefined}


def p_value(difference: float, permuted: np.ndarray, every: bool) -> float | None:
    """Two-sided: permutations [permutations] at least as far from 0; None where undefined.

    One that is undefined counts as far; of drawn ones, the data themselves count as one more.
    """
    if np.isnan(difference):
        return None
    far = int((~(np.abs(permuted) < abs(difference) - _ROUNDING)).sum())
    return far / len(permuted) if every else (far + 1) / (len(permuted) + 1)
