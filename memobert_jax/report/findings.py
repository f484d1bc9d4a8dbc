"""The numbers of one evaluation that a report shows, from what every clip was given.

Everything is measured on the clips of all folds together, each from the fold that tests it. Where
an arm was fitted on several sizes of the training part, tables are about the largest.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memobert_jax import resampling, statistics
from memobert_jax.report import wording
from memobert_jax.report.evaluation import Evaluation, Key

_LIGHTEST = 0.2
"""How far above chance the darkest cell is at least: what is near chance stays light."""


@functools.cache
def intervals(e: Evaluation, arm: str, size: Any) -> dict[str, dict[str, Any]]:
    """`statistics.intervals` of an arm: measure -> subset or `mean` -> cell."""
    return statistics.intervals(e.terms(arm, size), e.speakers, e.subsets)


def deviation(e: Evaluation, arm: str, size: Any) -> dict[str, dict[str, Any]]:
    """Measure -> subset -> `statistics.spread` over every seed in every fold."""
    terms = e.terms(arm, size)
    by_fold = resampling.by_cluster(terms.values, np.unique(e.fold, return_inverse=True)[1])
    out = {}
    for name, values in terms.measures(by_fold).items():
        columns = zip(e.subsets, values.reshape(-1, len(e.subsets)).T, strict=True)
        out[name] = {s: statistics.spread(v[~np.isnan(v)].tolist()) for s, v in columns}
    return out


def headline(e: Evaluation) -> list[dict[str, Any]]:
    """A row an arm: `cells` of every measure with all modalities, each with `sd` and `runs`."""
    rows = []
    for arm in e.arms:
        size = e.largest(arm)
        found, spread = intervals(e, arm, size), deviation(e, arm, size)
        cells = {
            name: {**cell[e.whole], "sd": spread[name][e.whole]["sd"]}
            for name, cell in found.items()
        }
        rows.append(
            {
                "arm": arm,
                "fitted_on": wording.fitted_on(size, e.clips_fitted(arm, size)),
                "seeds": len(e.scores[arm][size]),
                "cells": cells,
            }
        )
    return rows


def matched(first: Mapping[Key, Any], second: Mapping[Key, Any]) -> tuple[list, list] | None:
    """Runs of two arms that can be paired: those of the same seeds, or one run with any.

    None if there are none.
    """
    if common := [key for key in first if key in second]:
        return common, common
    if 1 in (len(first), len(second)):
        return list(first), list(second)
    return None


def common_size(first: Evaluation, one: str, second: Evaluation, other: str) -> tuple | None:
    """The largest sizes at which two arms can be compared; None if they have none in common."""
    here, there = first.sizes(one), second.sizes(other)
    if None in here or None in there:
        return here[-1], there[-1]
    both = [size for size in here if size in there]
    return (both[-1], both[-1]) if both else None


def contrasts(e: Evaluation) -> list[dict[str, Any]]:
    """The focus arm minus each other arm, on the same clips with all modalities.

    A row has `other` and `cell` of `statistics.paired`, or `why` there is none.
    """
    rows: list[dict[str, Any]] = []
    for other in e.arms:
        if other == e.focus:
            continue
        sizes = common_size(e, e.focus, e, other)
        keys = sizes and matched(e.scores[e.focus][sizes[0]], e.scores[other][sizes[1]])
        if not keys:
            what = "seed" if sizes else "size of the training part"
            rows.append({"other": other, "why": f"no {what} in common"})
            continue
        pair = [e.terms(*arm) for arm in zip((e.focus, other), sizes, keys, strict=True)]
        found = statistics.paired(*pair, e.speakers, e.subsets)
        rows.append({"other": other, "cell": found[e.main][e.whole], "sizes": sizes})
    return rows


def subsets(e: Evaluation) -> dict[str, Any]:
    """`columns`, and `rows`: arm -> a cell of the main measure for each, with `at_chance` and
    `shade` in 0-1."""
    columns = [*e.subsets, "mean"] if len(e.subsets) > 1 else list(e.subsets)
    chance = e.chance or 0.0
    rows = {arm: intervals(e, arm, e.largest(arm))[e.main] for arm in e.arms}
    values = [row[c]["value"] for row in rows.values() for c in columns]
    top = max((value for value in values if value is not None), default=1.0)
    room = max(top - chance, _LIGHTEST)

    def cell(found: Mapping[str, Any]) -> dict[str, Any]:
        value, low = found["value"], found["low"]
        shade = 0.0 if value is None else float(np.clip((value - chance) / room, 0, 1))
        near = low is not None and low <= chance and e.chance is not None
        return {**found, "shade": shade, "at_chance": near}

    return {
        "columns": columns,
        "rows": {arm: [cell(row[c]) for c in columns] for arm, row in rows.items()},
    }


def groups(e: Evaluation, names: np.ndarray) -> dict[str, Any]:
    """Arm -> the main measure of each speaker or gender by itself; `clips` of each; `without`,
    clips of none."""
    arms, without = {}, 0
    for arm in e.arms:
        found = statistics.over_groups(e.terms(arm, e.largest(arm)), names, e.subsets)
        arms[arm] = found["measures"][e.main][e.whole]["groups"]
        without = max(without, found["without_group"])
    kept, clips = np.unique(names[names != ""], return_counts=True)
    return {
        "arms": arms,
        "clips": dict(zip(kept.tolist(), clips.tolist(), strict=True)),
        "without": without,
    }


def gender_of(e: Evaluation) -> dict[str, str]:
    """Speaker -> gender, "" where it is not known."""
    return dict(zip(e.speakers.tolist(), e.genders.tolist(), strict=True))


def coverage(e: Evaluation) -> dict[str, Any]:
    """`rows`: subset -> clips that every run of every arm scored, and of how many; `unequal`: arms
    that were not scored on the same clips as the first."""
    there = {
        arm: np.concatenate([~np.isnan(e.stacked(arm, size)).any(-1) for size in sizes])
        for arm, sizes in e.scores.items()
    }
    first = there[e.arms[0]][0]
    every = np.all([mask.all(0) for mask in there.values()], axis=0)
    return {
        "rows": {
            subset: (int(row.sum()), len(row)) for subset, row in zip(e.subsets, every, strict=True)
        },
        "unequal": [arm for arm, mask in there.items() if (mask != first).any()],
    }


def reasons(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why some intervals are missing, each reason once."""
    return list(dict.fromkeys(cell["reason"] for cell in cells if cell.get("reason")))
