"""Two or more evaluations of one protocol beside each other, on the same clips."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from memobert_jax import additive, statistics
from memobert_jax.report import findings
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
    differ = np.flatnonzero(first.labels[here] != other.labels[there])
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
        scored = e.stacked(arm, size, chosen)[:, rows][:, :, clips]
        terms.append(additive.single_label(scored, e.labels[clips]))
    found = statistics.paired(terms[1], terms[0], first.speakers[at[0]], subsets)
    return {
        "found": found,
        "subsets": subsets,
        "whole": max(reversed(subsets), key=len),
        "size": sizes[0],
        "runs": len(keys[0]),
    }
