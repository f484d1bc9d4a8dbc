"""Two or more evaluations of one protocol beside each other, on the same clips."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memobert_jax import statistics
from memobert_jax.report import findings, plots, svg, wording
from memobert_jax.report.evaluation import Evaluation


def check(evaluations: Sequence[Evaluation]) -> None:
    """Raises ValueError unless all are results of one protocol, for the same part and clips."""
    if len(evaluations) < 2:
        raise ValueError(
            f"--compare puts two or more evaluations beside each other, {len(evaluations)} given: "
            "name at least two output folders of evaluate"
        )
    first = evaluations[0]
    for other in evaluations[1:]:
        here, there = first.protocol, other.protocol
        if here["fingerprint"] != there["fingerprint"]:
            raise ValueError(
                f"{other.path} was evaluated by another protocol than {first.path}: "
                f"{_protocol(other)}, not {_protocol(first)}. Numbers of two protocols do not "
                "compare: evaluate both by one, or leave --compare out to see each by itself"
            )
        if first.results["scored_part"] != other.results["scored_part"]:
            raise ValueError(
                f"{other.path} has scores of the {other.results['scored_part']} part, "
                f"{first.path} of the {first.results['scored_part']} part: compare the same part"
            )
        _check_clips(first, other)


def _protocol(e: Evaluation) -> str:
    found = e.protocol
    stamp = f", stamped {e.stamp}" * bool(e.stamp)
    return f"{found['name']} version {found['version']} (fingerprint {found['fingerprint']}{stamp})"


def _check_clips(first: Evaluation, other: Evaluation) -> None:
    if first.results["task"] != other.results["task"]:
        raise ValueError(
            f"{other.path} is of task {other.results['task']}, {first.path} of task "
            f"{first.results['task']}: compare evaluations of one target"
        )
    if first.classes != other.classes:
        raise ValueError(
            f"{other.path} has the classes {', '.join(other.classes)}, {first.path} has "
            f"{', '.join(first.classes)}: compare evaluations with the same classes"
        )
    if not shared_subsets(first, other):
        raise ValueError(
            f"{other.path} and {first.path} have no modality subset in common: "
            f"{', '.join(other.subsets)} and {', '.join(first.subsets)}"
        )
    here, there = places(first, other)
    if not len(here):
        raise ValueError(f"{other.path} and {first.path} have no scored clip in common")
    unequal = first.labels[here] != other.labels[there]
    differ = np.flatnonzero(unequal.reshape(len(unequal), -1).any(-1))
    if len(differ):
        clip = str(first.ids[here][differ[0]])
        raise ValueError(
            f"{other.path} and {first.path} disagree about the label of {len(differ)} clips, "
            f"{clip!r} first: the datasets are not the same; evaluate both on one"
        )


def places(first: Evaluation, other: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """Where the clips that both scored stand in each."""
    _, here, there = np.intersect1d(first.ids, other.ids, return_indices=True)
    return here, there


def shared_subsets(first: Evaluation, other: Evaluation) -> list[str]:
    return [subset for subset in first.subsets if subset in other.subsets]


def pair(first: Evaluation, other: Evaluation, arm: str) -> dict[str, Any]:
    """An arm of `other` minus the same arm of `first`, on the clips that both scored.

    Returns:
      `found` of `statistics.paired`, the `subsets`, their `whole`, the `size` and how many `runs`
      were paired; or `why` they were not.
    """
    if arm not in first.scores or arm not in other.scores:
        lacking = first.label if arm not in first.scores else other.label
        return {"why": f"{lacking} has no such arm"}
    sizes = findings.common_size(first, arm, other, arm)
    if not sizes:
        return {"why": "no size of the training part in common"}
    keys = findings.matched(first.scores[arm][sizes[0]], other.scores[arm][sizes[1]])
    if not keys:
        return {"why": "no seed in common"}
    at = places(first, other)
    subsets = shared_subsets(first, other)
    terms = []
    for e, size, chosen, clips in zip((first, other), sizes, keys, at, strict=True):
        rows = [e.subsets.index(subset) for subset in subsets]
        terms.append(e.terms(arm, size, chosen, clips, rows))
    found = statistics.paired(terms[1], terms[0], first.speakers[at[0]], subsets)
    return {
        "found": found,
        "subsets": subsets,
        "whole": max(reversed(subsets), key=len),
        "size": sizes[0],
        "runs": len(keys[0]),
    }


def compared(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Every evaluation beside the first, arm by arm.

    Raises:
      ValueError: if they do not compare (`check`).
    """
    check(evaluations)
    first, *others = evaluations
    styles = {other.label: svg.STYLES[i % len(svg.STYLES)] for i, other in enumerate(others)}
    names = dict.fromkeys(arm for e in evaluations for arm in e.arms)
    every = {arm: {other.label: pair(first, other, arm) for other in others} for arm in names}
    reach = _reach([one for pairs in every.values() for one in pairs.values()], first.main)
    arms = []
    for arm, pairs in every.items():
        rows: dict[str, list] = {}
        for label, found in pairs.items():
            for subset in found.get("subsets", ()):
                cell = found["found"][first.main][subset]
                if cell["value"] is not None:
                    rows.setdefault(subset, []).append((styles[label], cell))
        figure = None
        if rows:
            title = wording.arm(arm)
            label = f"Difference in {first.title} to {first.label} by modalities: {title}"
            figure = plots.differences(f"compare-{arm}", label, title, rows, reach, first.title)
        arms.append({"arm": arm, "pairs": pairs, "svg": figure})
    clips = {other.label: len(places(first, other)[0]) for other in others}
    keys = {label: svg.key(style) for label, style in styles.items()}
    made = [one for row in arms for one in row["pairs"].values() if "found" in one]
    return {
        "first": first,
        "arms": arms,
        "clips": clips,
        "keys": keys,
        "cells": [one["found"][first.main][one["whole"]] for one in made],
        "measures": wording.MEASURES[first.task.name],
        "stamped": [other.label for other in others if other.stamp],
    }


def _reach(pairs: Sequence[Mapping[str, Any]], main: str) -> float:
    """Points that no difference in the main measure and no interval exceeds, to either side."""
    cells = [cell for pair in pairs if "found" in pair for cell in pair["found"][main].values()]
    ends = [abs(cell[end] or 0.0) for cell in cells for end in ("value", "low", "high")]
    return 100 * 1.08 * max(ends, default=0.0) or 1.0
