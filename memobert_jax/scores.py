"""Scores over runs, and as a table for the console."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from memobert_jax import tasks
from memobert_jax.statistics import spread

NAMES = {
    "zero_shot": "pre-trained, prompt, no label",
    "prompt": "pre-trained, prompt fitted",
    "head": "pre-trained, head fitted",
    "probe": "pre-trained, linear probe",
    "random_init": "random start, fitted",
}

TITLES = {
    "uar": "UAR",
    "accuracy": "Accuracy",
    "weighted_f1": "Weighted F1",
    "macro_f1": "Macro F1",
    "f1_binary": "Macro F1",
    "w_acc": "W-Acc",
    "f1_weighted": "Weighted F1",
    "ccc": "CCC",
    "pearson": "Pearson r",
}
"""Metric -> what tables call it."""

MAIN = {task.name: task.main for task in (tasks.single(2), tasks.MULTI, tasks.REGRESSION)}
"""Task -> its main metric."""


def summarise(
    runs: Sequence[Mapping[str, Any]], subsets: Sequence[str], metrics: Sequence[str]
) -> dict[str, Any]:
    """Metric -> subset, and `mean` over the subsets -> {"mean", "sd", "n"} over runs.

    Runs in which a metric is undefined are left out. The standard deviation is that of a sample;
    None for a single run.
    """
    out: dict[str, Any] = {}
    for metric in metrics:
        values = {}
        for subset in subsets:
            found = [run["subsets"][subset][metric] for run in runs]
            values[subset] = [value for value in found if value is not None]
        full = [v for v in values.values() if len(v) == len(runs)]
        values["mean"] = np.mean(full, axis=0).tolist() if full else []
        out[metric] = {name: spread(found) for name, found in values.items()}
    return out


def below_zero_shot(
    arms: Mapping[str, Mapping[str, Any]], metric: str
) -> dict[str, dict[str, list[float]]]:
    """Fitted arm -> subset (or `mean`) -> [its score, that of zero-shot], where it is lower."""
    if "zero_shot" not in arms:
        return {}
    base = arms["zero_shot"]["summary"][metric]
    out = {}
    for arm in ("prompt", "head", "probe"):
        if arm in arms:
            found = arms[arm]["summary"][metric]
            out[arm] = {
                name: [found[name]["mean"], base[name]["mean"]]
                for name in base
                if base[name]["n"] and found[name]["n"] and found[name]["mean"] < base[name]["mean"]
            }
    return out


def table(results: Mapping[str, Any]) -> str:
    """The main metric of all arms and subsets, beside chance, the best possible and what others
    published, for the console; and each other metric that something was published of."""
    main = MAIN[results["task"]]
    references = results["protocol"].get("references", [])
    lines = [f"*** {results['stamp']} ***"] if results["stamp"] else []
    lines += _block(results, main, references)
    for metric in dict.fromkeys(one["metric"] for one in references):
        if metric != main:
            lines += _block(results, metric, references)
    return "\n".join([*lines, *_notes(results)])


def _block(results: Mapping[str, Any], metric: str, references: Sequence[Mapping]) -> list[str]:
    subsets = [*results["config"]["subsets"], "mean"]
    lines = [_line(f"{TITLES[metric]} in %", subsets)]
    if metric == "uar":
        lines.append(_line("chance", [_percent(results["chance"])] * len(subsets)))
    for arm, found in results["arms"].items():
        few_shot = found["sizes"] if len(found["sizes"]) > 1 else []
        for name, size in [(NAMES[arm], found), *((_few(one), one) for one in few_shot)]:
            lines.append(
                _line(name, [_cell(size["summary"][metric][subset]) for subset in subsets])
            )
    if results["ceilings"] and metric == "uar":
        best = [results["ceilings"].get(name) for name in subsets[:-1]]
        best.append(None if None in best else float(np.mean(best)))
        lines.append(_line("best possible", [_percent(value) for value in best]))
    for one in references:
        if one["metric"] == metric:
            there = [one["value"] if subset == one["subset"] else None for subset in subsets]
            lines.append(_line("published by others", map(_percent, there)) + f"  {one['name']}")
    return lines


def _line(name: str, cells: Iterable[str]) -> str:
    return f"{name:<29}" + "".join(f"{cell:>10}" for cell in cells)


def _few(size: Mapping[str, Any]) -> str:
    given = size["per_class"]
    if given == 0:
        return "  fitted on all clips"
    return f"  fitted on {given}" + ("" if isinstance(given, str) else " a class")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _cell(spread: Mapping[str, Any]) -> str:
    sd = "" if spread["sd"] is None else f"±{100 * spread['sd']:.1f}"
    return _percent(spread["mean"]) + sd


def _notes(results: Mapping[str, Any]) -> list[str]:
    folds, part = results["protocol"]["folds"], results["scored_part"]
    clips = sum(fold["sizes"][part] for fold in folds)
    over = f" in {len(folds)} folds" if len(folds) > 1 else ""
    scoring = results["config"]["prompt"]["scoring"]
    notes = [
        f"{part}: {clips} clips{over}; runs: "
        + ", ".join(f"{arm} {len(found['runs'])}" for arm, found in results["arms"].items()),
        _origin(results),
    ]
    for arm, found in results["arms"].items():
        masses = [one.get("outside") for run in found["runs"] for one in run["subsets"].values()]
        masses = [mass for mass in masses if mass is not None]
        if masses and arm not in ("head", "probe") and scoring != "calibrated":
            notes.append(f"{NAMES[arm]}: {np.mean(masses):.3f} of the mass is on other words")
    for arm, lower in results["below_zero_shot"].items():
        words = ", ".join(f"{n} ({_percent(a)} < {_percent(b)})" for n, (a, b) in lower.items())
        notes.append(f"{NAMES[arm]}: " + (f"BELOW zero-shot on {words}" if words else _NOT_BELOW))
    notes += _templates(results)
    for subset, counts in results["views"].items():
        if counts["no modality of the subset"] or counts["a modality missing"]:
            notes.append(f"{subset}: " + ", ".join(f"{n} {why}" for why, n in counts.items()))
    for number, fold in enumerate(folds):
        for where, reasons in fold["excluded"].items():
            if reasons:
                where = f"fold {number}, {where}" if len(folds) > 1 else where
                notes.append(f"{where}: " + ", ".join(f"{n} {why}" for why, n in reasons.items()))
    return notes + results["warnings"] + [f"not checked: {line}" for line in results["unchecked"]]


def _origin(results: Mapping[str, Any]) -> str:
    protocol, seeds = results["protocol"], results["config"]["seeds"]
    return (
        f"protocol {protocol['name']} version {protocol['version']} ({protocol['fingerprint']}), "
        f"checkpoint {', '.join(results['checkpoint']['paths'])}, seeds "
        f"{', '.join(map(str, seeds))}, git {results['git'] or 'not known'}"
    )


def _templates(results: Mapping[str, Any]) -> list[str]:
    """Where templates were compared: which one each fold took, of how many."""
    runs = [run for found in results["arms"].values() for run in found["runs"] if run["templates"]]
    taken = {run["fold"]: run for run in runs}
    return [
        f"fold {fold}: template {run['template']!r}, the best of {len(run['templates'])} on the "
        "validation part"
        for fold, run in sorted(taken.items())
    ]


_NOT_BELOW = "not below zero-shot on any subset"
