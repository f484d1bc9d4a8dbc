"""How sure a result is: intervals clustered by speaker, paired comparisons, spread over groups.

Clips of one speaker are not independent, so speakers are drawn, each with all clips. All runs and
subsets are measured on the same draws. An interval says how a measure would vary with other
speakers; how it varies with the seed is the standard deviation over the runs.

Every function takes `additive.Terms` of an arm: its runs stacked, pooled over the folds.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from memobert_jax.additive import Terms
from memobert_jax.resampling import (
    LEVEL,
    RESAMPLES,
    SEED,
    by_cluster,
    clusters,
    exchange,
    interval,
    p_value,
    resample,
)


def spread(values: Sequence[float]) -> dict[str, Any]:
    """`mean`, standard deviation `sd` of a sample, and `n`; sd is None for a single value."""
    if not len(values):
        return {"mean": None, "sd": None, "n": 0}
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": sd, "n": len(values)}


def over_runs(terms: Terms, subsets: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Measure -> subset, and `mean` over the subsets -> `spread` over the runs.

    Each run is measured on all its clips together, from whatever fold they are.
    """
    found = terms.measures(terms.values.sum(2))
    return {name: _spreads(_with_mean(values), subsets) for name, values in found.items()}


def over_groups(terms: Terms, groups: Sequence[Any], subsets: Sequence[str]) -> dict[str, Any]:
    """Spread over speakers, genders or folds: each is measured by itself, as mean over the runs.

    Args:
      terms: of [runs, subsets, clips].
      groups: [clips] names or numbers; "" where a clip has none.
      subsets: names of the subsets.

    Returns:
      `without_group`, scored clips that have none; `measures`: measure -> subset, and `mean` over
      the subsets -> `spread` and `groups`: group -> value, None where it is undefined.

    Raises:
      ValueError: if the lengths of `groups` or `subsets` do not fit.
    """
    _check(terms, groups, subsets)
    names, of = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    kept = names != ""
    out = {}
    for name, values in terms.measures(by_cluster(terms.values, of)[kept]).items():
        values = _with_mean(values.mean(1))
        out[name] = _spreads(values, subsets)
        for cell, column in zip(out[name].values(), values.T, strict=True):
            found = [_number(value) for value in column]
            cell["groups"] = dict(zip(names[kept].tolist(), found, strict=True))
    without = terms.scored.any((0, 1)) & ~kept[of]
    return {"without_group": int(without.sum()), "measures": out}


def intervals(
    terms: Terms,
    groups: Sequence[str],
    subsets: Sequence[str],
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> dict[str, dict[str, Any]]:
    """Bootstrap intervals of every measure, by clusters; `resampling.interval` says which.

    Args:
      terms: of [runs, subsets, clips]; a measure is its mean over the runs.
      groups: [clips] speakers; a clip whose speaker is "" is a cluster of its own.
      subsets: names of the subsets.
      level: share of such intervals that hold the true value.
      resamples, seed: of the draws.

    Returns:
      Measure -> subset, and `mean` over the subsets on which it is defined -> `value`, `low`,
      `high`, `reason`, `undefined` (`resampling.interval`); `clips` that were scored, in how many
      `clusters`, and how many were `left_out`; for `mean` those of the subset with fewest.

    Raises:
      ValueError: if the lengths of `groups` or `subsets` do not fit.
    """
    _check(terms, groups, subsets)
    of = clusters(groups)
    runs = len(terms.values)
    sums, sizes = by_cluster(terms.values, of), _sizes(terms.scored.any(0), of)
    drawn = resample(sums, terms.measures, resamples, seed)
    out = {}
    for name, values in terms.measures(sums.sum(0)).items():
        usable, equal = ~np.isnan(values).any(0), np.full(runs, 1 / runs)
        out[name] = _cells(values, drawn[name], equal, usable, sizes, subsets, level)
    return out


def paired(
    first: Terms,
    second: Terms,
    groups: Sequence[str],
    subsets: Sequence[str],
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> dict[str, dict[str, Any]]:
    """First arm minus second, on the clips that every run of both scored.

    The interval is that of the difference on the same draws. `p` is two-sided, of permutations that
    exchange the arms on all clips of a cluster: every one if these are `resamples` or fewer, else
    that many drawn. With n clusters it cannot be below 2 / 2^n.

    Args:
      first, second: of [runs, subsets, clips]; as many runs, run by run the same seeds, or one.
      groups, subsets, level, resamples, seed: as for `intervals`.

    Returns:
      Measure -> subset, and `mean` -> `value`, the difference, and the rest of `intervals`;
      `first`, `second`, `p` and the number of `permutations`.

    Raises:
      ValueError: if the arms do not fit each other, or `groups` or `subsets` do not.
    """
    _check(first, groups, subsets)
    runs = max(len(first.values), len(second.values))
    if first.values.shape[1:] != second.values.shape[1:] or any(
        len(terms.values) not in (1, runs) for terms in (first, second)
    ):
        raise ValueError(
            f"arms of {first.values.shape} and {second.values.shape} [runs, subsets, clips, terms] "
            "cannot be paired; expected the same but for the runs, and as many runs or one"
        )
    of, both = clusters(groups), first.scored.all(0) & second.scored.all(0)
    arms = [by_cluster(terms.values * both[..., None], of) for terms in (first, second)]
    sums = np.concatenate([np.repeat(arm, runs // arm.shape[1], axis=1) for arm in arms], axis=1)
    sizes = _sizes(both, of)
    drawn = resample(sums, first.measures, resamples, seed)
    permuted, every = exchange(sums, first.measures, resamples, seed)
    contrast = np.repeat([1 / runs, -1 / runs], runs)
    out = {}
    for name, values in first.measures(sums.sum(0)).items():
        usable = ~np.isnan(values).any(0)
        out[name] = _cells(values, drawn[name], contrast, usable, sizes, subsets, level)
        points = _with_mean(values, usable)
        changes = contrast @ _with_mean(permuted[name], usable)
        for i, cell in enumerate(out[name].values()):
            cell["first"], cell["second"] = (
                _number(part[:, i].mean()) for part in np.split(points, 2)
            )
            cell["p"] = p_value(contrast @ points[:, i], changes[:, i], every)
            cell["permutations"] = len(changes)
    return out


def _cells(
    values: np.ndarray,
    drawn: np.ndarray,
    contrast: np.ndarray,
    usable: np.ndarray,
    sizes: Sequence[dict[str, int]],
    subsets: Sequence[str],
    level: float,
) -> dict[str, Any]:
    """Subset -> cell, of a contrast [runs] of values [runs, subsets] and [resamples, runs, ...]."""
    point, draws = (contrast @ _with_mean(array, usable) for array in (values, drawn))
    kept = [size for size, use in zip(sizes, usable, strict=True) if use] or list(sizes)
    sizes = [*sizes, min(kept, key=lambda size: (size["clusters"], size["clips"]))]
    return {
        subset: {
            "value": _number(value),
            **interval(value, column, size["clusters"], level),
            **size,
        }
        for subset, value, column, size in zip(
            [*subsets, "mean"], point, draws.T, sizes, strict=True
        )
    }


def _sizes(scored: np.ndarray, of: np.ndarray) -> list[dict[str, int]]:
    return [
        {
            "clusters": len(np.unique(of[there])),
            "clips": int(there.sum()),
            "left_out": int((~there).sum()),
        }
        for there in scored
    ]


def _with_mean(values: np.ndarray, usable: np.ndarray | None = None) -> np.ndarray:
    """[..., subsets] and, appended, the mean over those of them that are usable.

    Without `usable` [subsets], over those that are not undefined everywhere.
    """
    if usable is None:
        usable = ~np.isnan(values).all(tuple(range(values.ndim - 1)))
    some = values[..., usable]
    mean = some.mean(-1) if usable.any() else np.full(values.shape[:-1], np.nan)
    return np.concatenate([values, mean[..., None]], -1)


def _spreads(values: np.ndarray, subsets: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Subset, and `mean` -> `spread` of the defined values of [n, subsets + 1]."""
    columns = zip([*subsets, "mean"], values.T, strict=True)
    return {subset: spread(column[~np.isnan(column)].tolist()) for subset, column in columns}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _check(terms: Terms, groups: Sequence[Any], subsets: Sequence[str]) -> None:
    _, parts, clips = terms.scored.shape
    if len(groups) != clips or len(subsets) != parts or not clips:
        raise ValueError(
            f"{len(groups)} groups and {len(subsets)} subsets for scores of {parts} subsets and "
            f"{clips} clips; expected clips, a group for each of them and a name for each subset"
        )
