"""The answers of an evaluation: right or wrong, sure or not, and beside those of others."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from memobert_jax import measures, statistics
from memobert_jax.report import findings
from memobert_jax.report.evaluation import Evaluation
from memobert_jax.verbaliser import OTHER


def confusion(e: Evaluation) -> dict[str, Any] | None:
    """`arms`: arm -> share [true, predicted] of the clips of a class, mean over the runs; None for
    a class without scored clips. `clips`: how many each class has; `columns`: arm -> what can be
    predicted. None where clips do not have one class."""
    if e.task.name != "single":
        return None
    classes, at = len(e.classes), e.subsets.index(e.whole)
    out: dict[str, Any] = {}
    for arm in e.arms:
        total = np.zeros((classes, e.stacked(arm, e.largest(arm)).shape[-1]))
        for run in e.stacked(arm, e.largest(arm))[:, at]:
            there = ~np.isnan(run[:, 0])
            said = run[there].argmax(-1)
            np.add.at(total, (e.labels[there], said), 1)
        out[arm] = [
            [None if not row.sum() else float(value / row.sum()) for value in row] for row in total
        ]
    clips = np.bincount(e.labels, minlength=classes).tolist()
    columns = {arm: [*e.classes, OTHER][: len(matrix[0])] for arm, matrix in out.items()}
    return {"arms": out, "clips": dict(zip(e.classes, clips, strict=True)), "columns": columns}


def labels(e: Evaluation) -> dict[str, list[dict[str, Any]]] | None:
    """Arm -> a row for each of several labels: `name`, and means over the runs of `positives`, its
    `threshold` and the measures of `measures.multi_label`; None where clips have one class."""
    if e.task.name != "multi":
        return None
    at, out = e.subsets.index(e.whole), {}
    for arm in e.arms:
        size = e.largest(arm)
        found = []
        for key, outputs in e.scores[arm][size].items():
            cuts = e.thresholds[arm][size][key]
            there = ~np.isnan(outputs[at]).any(-1)
            scored = (array[there] for array in (outputs[at], e.labels, cuts))
            rows = measures.multi_label(*scored)["labels"]
            found.append(
                [row | {"threshold": t} for row, t in zip(rows, cuts.mean(0), strict=True)]
            )
        out[arm] = [
            {"name": name} | {key: _mean([row[key] for row in rows]) for key in rows[0]}
            for name, rows in zip(e.classes, zip(*found, strict=True), strict=True)
        ]
    return out


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def calibration(e: Evaluation) -> dict[str, dict[str, Any]]:
    """Arm -> `measures.calibration` of the answers of all its runs, with all modalities.

    Of several labels, how often one holds against how probable it is said to be.
    """
    if e.task.name == "regression":
        return {}
    at, out = e.subsets.index(e.whole), {}
    for arm in e.arms:
        runs = e.stacked(arm, e.largest(arm))[:, at]
        labels = np.broadcast_to(e.labels, (len(runs), *e.labels.shape)).ravel()
        if e.task.name == "multi":
            out[arm] = measures.holding(np.exp(runs.ravel().astype(np.float64)), labels == 1)
        else:
            out[arm] = measures.calibration(runs.reshape(-1, runs.shape[-1]), labels)
    return out


def frame_loss(e: Evaluation) -> dict[str, list[tuple[float, dict[str, Any]]]]:
    """Arm -> (share of the frames that is lost, spread of the main measure over every seed and
    fold), in order of the shares; arms that were not scored so are left out."""
    out = {}
    for arm, found in e.results["arms"].items():
        by_share: dict[float, list[float]] = {}
        for run in found["runs"]:
            for entry in run.get("frame_loss", ()):
                by_share.setdefault(entry["share"], []).append(entry[e.main])
        if by_share:
            out[arm] = [
                (share, statistics.spread([v for v in values if v is not None]))
                for share, values in sorted(by_share.items())
            ]
    return out


def templates(e: Evaluation) -> dict[str, Any] | None:
    """Where templates were compared, `rows`: (template, the measure of the validation part by
    fold), and `taken`: fold -> template; None where none were."""
    runs = [run for found in e.results["arms"].values() for run in found["runs"]]
    by_fold = {run["fold"]: run for run in runs if run.get("templates")}
    if not by_fold:
        return None
    names = list(next(iter(by_fold.values()))["templates"])
    rows = [
        (name, {fold: by_fold[fold]["templates"][name][e.main] for fold in sorted(by_fold)})
        for name in names
    ]
    return {"rows": rows, "taken": {fold: run["template"] for fold, run in by_fold.items()}}


def references(e: Evaluation) -> list[dict[str, Any]]:
    """What others published under the protocol, each with `arms`: arm -> the same measure of it on
    the same modalities; of modalities that were not scored there is nothing to set beside it."""
    rows = []
    for one in e.protocol.get("references", ()):
        arms = {}
        if one["subset"] in e.subsets:
            for arm in e.arms:
                arms[arm] = findings.intervals(e, arm, e.largest(arm))[one["metric"]][one["subset"]]
        rows.append({**one, "arms": arms})
    return rows
