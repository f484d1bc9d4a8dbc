"""From log-probabilities of clips to UAR and its kin, over seeds, and as a table."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memobert_jax.measures import auc, restricted
from memobert_jax.statistics import spread

METRICS = ("uar", "accuracy", "weighted_f1", "macro_f1")
NAMES = {
    "zero_shot": "pre-trained, prompt, no label",
    "prompt": "pre-trained, prompt fitted",
    "head": "pre-trained, head fitted",
    "random_init": "random start, prompt fitted",
}


def measure(log_probs: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Scores of one subset.

    Args:
      log_probs: f32 [clips, classes], NaN where a clip could not be scored.
      labels: i32 [clips].

    Returns:
      `scored` clips, `classes` that are among them, `uar` and `macro_f1` (mean recall and F1 of
      these), `accuracy`, `weighted_f1`, `auc` (`measures.auc`), `loss` (mean -log p of the true
      class among the classes), `outside` (mean mass that falls on no class) and `confusion` [true,
      predicted]; None where nothing was scored.
    """
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

    there = ~np.isnan(log_probs[:, 0])
    log_probs, labels = log_probs[there].astype(np.float64), labels[there]
    if not len(labels):
        return {"scored": 0, "classes": 0, **dict.fromkeys((*METRICS, "auc", "loss", "outside"))}
    among = restricted(log_probs)
    predicted = among.argmax(-1)
    present = np.unique(labels)
    f1 = functools.partial(f1_score, labels, predicted, labels=present, zero_division=0.0)
    return {
        "scored": len(labels),
        "classes": len(present),
        "uar": recall_score(labels, predicted, labels=present, average="macro", zero_division=0.0),
        "accuracy": accuracy_score(labels, predicted),
        "weighted_f1": f1(average="weighted"),
        "macro_f1": f1(average="macro"),
        "auc": auc(np.exp(among), np.eye(log_probs.shape[-1], dtype=bool)[labels]),
        "loss": float(-among[np.arange(len(labels)), labels].mean()),
        "outside": float(1 - np.exp(log_probs).sum(-1).mean()),
        "confusion": confusion_matrix(
            labels, predicted, labels=np.arange(log_probs.shape[-1])
        ).tolist(),
    }


def selection(log_probs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """What validation selects by: mean `uar` over the subsets, then mean `loss`.

    The same numbers as `measure` gives, for the many times that a fit asks.

    Args:
      log_probs: f32 [subsets, clips, classes].
      labels: i32 [clips].
    """
    found = [_recall_and_loss(part, labels) for part in log_probs]
    uar, loss = np.mean([one for one in found if one is not None], axis=0).tolist()
    return {"uar": uar, "loss": loss}


def _recall_and_loss(log_probs: np.ndarray, labels: np.ndarray) -> tuple[float, float] | None:
    there = ~np.isnan(log_probs[:, 0])
    if not there.any():
        return None
    among, labels = restricted(log_probs[there].astype(np.float64)), labels[there]
    counts = np.bincount(labels, minlength=among.shape[-1])
    hits = np.bincount(labels[among.argmax(-1) == labels], minlength=among.shape[-1])
    present = counts > 0
    loss = -among[np.arange(len(labels)), labels].mean()
    return float((hits[present] / counts[present]).mean()), float(loss)


def better(one: Mapping[str, float], other: Mapping[str, float] | None) -> bool:
    """Whether a selection is better than another, or than none."""
    return other is None or (one["uar"], -one["loss"]) > (other["uar"], -other["loss"])


def summarise(runs: Sequence[Mapping[str, Any]], subsets: Sequence[str]) -> dict[str, Any]:
    """Metric -> subset, and `mean` over the subsets -> {"mean", "sd", "n"} over runs.

    The standard deviation is that of a sample; None for a single run.
    """
    out: dict[str, Any] = {}
    for metric in METRICS:
        values = {
            subset: [r["subsets"][subset][metric] for r in runs if r["subsets"][subset]["scored"]]
            for subset in subsets
        }
        full = [v for v in values.values() if len(v) == len(runs)]
        values["mean"] = np.mean(full, axis=0).tolist() if full else []
        out[metric] = {name: spread(found) for name, found in values.items()}
    return out


def below_zero_shot(arms: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """Fitted arm -> subset (or `mean`) -> [its UAR, that of zero-shot], where it is lower."""
    if "zero_shot" not in arms:
        return {}
    base = arms["zero_shot"]["summary"]["uar"]
    out = {}
    for arm in ("prompt", "head"):
        if arm in arms:
            found = arms[arm]["summary"]["uar"]
            out[arm] = {
                name: [found[name]["mean"], base[name]["mean"]]
                for name in base
                if base[name]["n"] and found[name]["n"] and found[name]["mean"] < base[name]["mean"]
            }
    return out


def table(results: Mapping[str, Any]) -> str:
    """The UAR of all arms and subsets beside chance and the best possible, for the console."""
    subsets = [*results["config"]["subsets"], "mean"]
    lines = [f"*** {results['stamp']} ***"] if results["stamp"] else []
    lines.append(_line("UAR in %", subsets))
    lines.append(_line("chance", [_percent(results["chance"])] * len(subsets)))
    for arm, found in results["arms"].items():
        few_shot = found["sizes"] if len(found["sizes"]) > 1 else []
        for name, size in [(NAMES[arm], found), *((_few(size), size) for size in few_shot)]:
            cells = [_cell(size["summary"]["uar"][subset]) for subset in subsets]
            lines.append(_line(name, cells))
    if results["ceilings"]:
        best = [results["ceilings"].get(name) for name in subsets[:-1]]
        best.append(None if None in best else float(np.mean(best)))
        lines.append(_line("best possible", [_percent(value) for value in best]))
    return "\n".join([*lines, *_notes(results)])


def _line(name: str, cells: Sequence[str]) -> str:
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
    clips = sum(sum(fold["clips"][part].values()) for fold in folds)
    over = f" in {len(folds)} folds" if len(folds) > 1 else ""
    notes = [
        f"{part}: {clips} clips{over}; runs: "
        + ", ".join(f"{arm} {len(found['runs'])}" for arm, found in results["arms"].items()),
        _origin(results),
    ]
    for arm, found in results["arms"].items():
        if arm != "head":
            masses = [one["outside"] for run in found["runs"] for one in run["subsets"].values()]
            masses = [mass for mass in masses if mass is not None]
            notes.append(f"{NAMES[arm]}: {np.mean(masses):.3f} of the mass is on other words")
    for arm, lower in results["below_zero_shot"].items():
        words = ", ".join(f"{n} ({_percent(a)} < {_percent(b)})" for n, (a, b) in lower.items())
        notes.append(f"{NAMES[arm]}: " + (f"BELOW zero-shot on {words}" if words else _NOT_BELOW))
    for subset, counts in results["views"].items():
        if counts["no modality of the subset"] or counts["a modality missing"]:
            notes.append(f"{subset}: " + ", ".join(f"{n} {why}" for why, n in counts.items()))
    for number, fold in enumerate(folds):
        for where, reasons in fold["excluded"].items():
            if reasons:
                where = f"fold {number}, {where}" if len(folds) > 1 else where
                notes.append(f"{where}: " + ", ".join(f"{n} {why}" for why, n in reasons.items()))
    return notes + results["warnings"]


def _origin(results: Mapping[str, Any]) -> str:
    protocol, seeds = results["protocol"], results["config"]["seeds"]
    return (
        f"protocol {protocol['name']} version {protocol['version']} ({protocol['fingerprint']}), "
        f"checkpoint {', '.join(results['checkpoint']['paths'])}, seeds "
        f"{', '.join(map(str, seeds))}, git {results['git'] or 'not known'}"
    )


_NOT_BELOW = "not below zero-shot on any subset"
