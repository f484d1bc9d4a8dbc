"""What the templates show: numbers of `findings` and `comparison` in rows, and the figures."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memobert_jax import metrics
from memobert_jax.media import ledger
from memobert_jax.report import comparison, findings, plots, svg, wording
from memobert_jax.report.evaluation import Evaluation
from memobert_jax.report.runs import Dataset, Training


def evaluation(e: Evaluation, name: str) -> dict[str, Any]:
    """Everything about one evaluation; `name` begins the ids of its elements."""
    styles = _styles(e)
    speakers, genders = findings.groups(e, e.speakers), findings.groups(e, e.genders)
    return {
        "id": name,
        "e": e,
        "results": e.results,
        "headline": findings.headline(e),
        "contrasts": findings.contrasts(e),
        "few_shot": few_shot(e, name, styles),
        "subsets": findings.subsets(e),
        "confusion": findings.confusion(e),
        "calibration": _calibration(e, name),
        "speakers": _speakers(e, name, speakers),
        "genders": genders,
        "coverage": findings.coverage(e),
        "fine_print": fine_print(e),
        "keys": {arm: svg.key(style) for arm, style in styles.items()},
    }


def _styles(e: Evaluation) -> dict[str, svg.Style]:
    """The first style for the arm that is spoken of first."""
    order = [e.focus, *(arm for arm in e.arms if arm != e.focus)]
    return {arm: svg.STYLES[i % len(svg.STYLES)] for i, arm in enumerate(order)}


def few_shot(e: Evaluation, name: str, styles: Mapping[str, svg.Style]) -> list[str] | None:
    """A curve for each subset, all modalities first; None with fewer than two sizes."""
    ticks: dict[float, str] = {}
    for arm in e.arms:
        sizes = [size for size in e.sizes(arm) if size is not None]
        ticks |= {_each(e, arm, size): wording.tick(size) for size in sizes}
    if len(ticks) < 2:
        return None
    chance, top = 100 * e.results["chance"], _top(e)
    figures = []
    for subset in [e.whole, *(s for s in e.subsets if s != e.whole)]:
        series, levels = [], []
        for arm, style in styles.items():
            if None in e.scores[arm]:
                level = findings.intervals(e, arm, None)["uar"][subset]["value"]
                levels += [] if level is None else [(style, 100 * level)]
            else:
                series.append(_curve(e, arm, subset, style))
        label = f"UAR against labelled clips of each class, with {wording.modalities(subset)}"
        at, title = f"{name}-few-{subset}", wording.modalities(subset)
        figures.append(plots.few_shot(at, label, title, series, levels, chance, ticks, top))
    return figures


def _top(e: Evaluation) -> float:
    """The multiple of 20 % that no UAR and no interval exceeds."""
    cells = [
        cell
        for arm in e.arms
        for size in e.sizes(arm)
        for cell in findings.intervals(e, arm, size)["uar"].values()
    ]
    most = max(cell[end] or 0.0 for cell in cells for end in ("value", "high"))
    return 20.0 * max(2, int(np.ceil(5 * most)))


def _each(e: Evaluation, arm: str, size: Any) -> float:
    """Labelled clips of each class, of which there may be a fraction in the mean."""
    return round(float(np.mean(e.clips_fitted(arm, size))) / len(e.classes), 2)


def _curve(e: Evaluation, arm: str, subset: str, style: svg.Style) -> plots.Series:
    sizes = e.sizes(arm)
    cells = [findings.intervals(e, arm, size)["uar"][subset] for size in sizes]
    values = [
        [np.nan if cell[end] is None else 100 * cell[end] for cell in cells]
        for end in ("value", "low", "high")
    ]
    return plots.Series(style, [_each(e, arm, size) for size in sizes], *values)


def _calibration(e: Evaluation, name: str) -> list[dict[str, Any]]:
    out = []
    for arm, found in findings.calibration(e).items():
        if not found["scored"]:
            continue
        title, runs = wording.arm(arm), len(e.scores[arm][e.largest(arm)])
        label = f"Share of right answers against confidence: {title}"
        figure = plots.reliability(f"{name}-reliability-{arm}", label, title, found["width"])
        out.append({"arm": arm, "svg": figure, "runs": runs, **found})
    return out


def _speakers(e: Evaluation, name: str, found: dict[str, Any]) -> dict[str, Any] | None:
    """The groups of `findings`, speakers by the UAR of the focus arm, with a figure of all arms."""
    if not found["clips"]:
        return None
    gender = findings.gender_of(e)
    order = sorted(found["clips"], key=lambda s: found["arms"][e.focus][s] or 0.0)
    first = next(filter(None, (gender[speaker] for speaker in order)), "")
    rows = {
        wording.short(arm): (
            [np.nan if values[s] is None else 100 * values[s] for s in order],
            [gender[s] == first for s in order],
        )
        for arm, values in found["arms"].items()
    }
    label = "UAR of every speaker by itself, a row an arm"
    figure = plots.strips(f"{name}-speakers", label, rows, 100 * e.results["chance"])
    others = sorted({gender[s] for s in order} - {first, ""})
    return {**found, "order": order, "gender": gender, "svg": figure, "filled": first,
            "hollow": others}  # fmt: skip


def fine_print(e: Evaluation) -> dict[str, Any]:
    """What decides what the numbers mean: pairs of name and value, and tables."""
    r, p = e.results, e.protocol
    runs = [run for arm in r["arms"].values() for run in arm["runs"]]

    def seeds(key: str) -> str:
        found = sorted({run[key] for run in runs if run.get(key) is not None})
        return ", ".join(map(str, found)) or "none"

    checkpoint = r["checkpoint"]
    pairs = {
        "Protocol": f"{p['name']}, version {p['version']}",
        "Fingerprint": p["fingerprint"],
        "Rule": p.get("rule", ""),
        "Kept apart": wording.plain(p["disjoint"]),
        "Scored part": f"{r['scored_part']}, {wording.count(len(e.ids), 'clip')}",
        "Dataset": wording.plain(p["source"]),
        "Checkpoint": wording.plain({k: checkpoint[k] for k in checkpoint if k != "data"}),
        "Pre-trained on": wording.plain(
            [source.get("path", source) for source in checkpoint.get("data") or []]
        ),
        "Seeds": seeds("seed"),
        "Seeds of the few-shot subsets": seeds("subset_seed"),
        "Command": wording.plain(r.get("command")),
        "Revision": wording.plain(r.get("git")),
        "Hardware": wording.plain(r.get("hardware")),
        "Could not be checked": "; ".join(r.get("unchecked", [])),
    }
    return {
        "pairs": {key: value for key, value in pairs.items() if value},
        "folds": p["folds"],
        "parts": list(dict.fromkeys(part for fold in p["folds"] for part in fold["clips"])),
        "views": r.get("views", {}),
        "runs": [(arm, run) for arm, found in r["arms"].items() for run in found["runs"]],
        "config": json.dumps(r.get("config", {}), indent=1),
    }


def compared(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Every evaluation beside the first, arm by arm.

    Raises:
      ValueError: if they do not compare (`comparison.check`).
    """
    comparison.check(evaluations)
    first, *others = evaluations
    styles = {other.label: svg.STYLES[i % len(svg.STYLES)] for i, other in enumerate(others)}
    names = dict.fromkeys(arm for e in evaluations for arm in e.arms)
    every = {
        arm: {other.label: comparison.pair(first, other, arm) for other in others} for arm in names
    }
    reach = _reach([pair for pairs in every.values() for pair in pairs.values()])
    arms = []
    for arm, pairs in every.items():
        rows: dict[str, list] = {}
        for label, pair in pairs.items():
            for subset in pair.get("subsets", ()):
                cell = pair["found"]["uar"][subset]
                if cell["value"] is not None:
                    rows.setdefault(subset, []).append((styles[label], cell))
        figure = None
        if rows:
            title = wording.arm(arm)
            label = f"Difference in UAR to {first.label} by modalities: {title}"
            figure = plots.differences(f"compare-{arm}", label, title, rows, reach)
        arms.append({"arm": arm, "pairs": pairs, "svg": figure})
    clips = {other.label: len(comparison.places(first, other)[0]) for other in others}
    keys = {label: svg.key(style) for label, style in styles.items()}
    made = [pair for row in arms for pair in row["pairs"].values() if "found" in pair]
    return {
        "first": first,
        "arms": arms,
        "clips": clips,
        "keys": keys,
        "cells": [pair["found"]["uar"][pair["whole"]] for pair in made],
        "stamped": [other.label for other in others if other.stamp],
    }


def _reach(pairs: Sequence[Mapping[str, Any]]) -> float:
    """Points that no difference in UAR and no interval exceeds, to either side."""
    cells = [cell for pair in pairs if "found" in pair for cell in pair["found"]["uar"].values()]
    ends = [abs(cell[end] or 0.0) for cell in cells for end in ("value", "low", "high")]
    return 100 * 1.08 * max(ends, default=0.0) or 1.0


def training(t: Training, name: str) -> dict[str, Any]:
    """Curves of every objective, and a row for each: held-out loss first and last, trivial ones."""
    objectives = [n for n in metrics.LOSS_NAMES if n in t.train or n in t.heldout]
    figures, rows = [], []
    for objective in objectives:
        title = metrics.LOSS_NAMES[objective]
        trivial, heldout = t.trivial.get(objective, {}), t.heldout.get(objective)
        figures.append(
            plots.losses(
                f"{name}-{objective}", f"Loss against the step: {title}", title,
                t.train.get(objective), heldout, trivial,
            )
        )  # fmt: skip
        if heldout:
            ends = {"first": heldout[1][0], "last": heldout[1][-1]}
            rows.append({"title": title, **ends, "trivial": trivial})
    return {"id": name, "t": t, "figures": figures, "rows": rows}


def dataset(d: Dataset, name: str) -> dict[str, Any]:
    """The yield ledger as rows of name, seconds, share, count and explanation."""
    totals, seconds = d.totals, d.totals["duration_s"]

    def row(what: str, spent: float, count: int, why: str) -> dict[str, Any]:
        share = spent / seconds if seconds else 0.0
        return {"name": what, "seconds": spent, "share": share, "count": count, "why": why}

    rows = [
        row("input", seconds, totals["videos"], "videos"),
        row("kept", totals["kept_s"], totals["clips"], "clips"),
    ]
    for reason, entry in sorted(totals["dropped"].items(), key=lambda item: -item[1]["seconds"]):
        rows.append(row(reason, entry["seconds"], entry["count"], _explained(reason)))
    notes = [(reason, n, _explained(reason)) for reason, n in totals.get("notes", {}).items()]
    return {
        "id": name,
        "d": d,
        "rows": rows,
        "notes": notes,
        "listing": d.metadata.get("listing") or {},
    }


def _explained(reason: str) -> str:
    known = reason in set(ledger.Reason)
    return ledger.EXPLANATIONS.get(ledger.Reason(reason), "") if known else ""
