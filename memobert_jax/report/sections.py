"""What the templates show: an evaluation in rows, and the figures."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from memobert_jax.report import answers, findings, plots, svg, wording
from memobert_jax.report.evaluation import Evaluation

_THRESHOLDS = (
    "from the probability on that gives its best F1 on the validation part of the fold, over all "
    "modalities"
)


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
        "references": answers.references(e),
        "templates": answers.templates(e),
        "lossy": _lossy(e, name, styles),
        "confusion": answers.confusion(e),
        "labels": answers.labels(e),
        "scatter": _scatter(e, name),
        "calibration": _calibration(e, name),
        "measures": wording.MEASURES[e.task.name],
        "meaning": wording.MEANINGS[e.task.name].format(n=len(e.classes)),
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
    chance, top = _chance(e), _top(e)
    several = e.task.name != "regression"
    what = "labelled clips of each class" if several else "labelled clips"
    figures = []
    for subset in [e.whole, *(s for s in e.subsets if s != e.whole)]:
        series, levels = [], []
        for arm, style in styles.items():
            if None in e.scores[arm]:
                level = findings.intervals(e, arm, None)[e.main][subset]["value"]
                levels += [] if level is None else [(style, 100 * level)]
            else:
                series.append(_curve(e, arm, subset, style))
        label = f"{e.title} against {what}, with {wording.modalities(subset)}"
        at, title = f"{name}-few-{subset}", wording.modalities(subset)
        figures.append(plots.few_shot(at, label, title, series, levels, chance, ticks, top, what))
    return figures


def _chance(e: Evaluation) -> float | None:
    return None if e.chance is None else 100 * e.chance


def _lossy(e: Evaluation, name: str, styles: Mapping[str, svg.Style]) -> str | None:
    """A curve for each arm over the share of the frames that is lost; None where none was tried."""
    found = answers.frame_loss(e)
    if not found:
        return None
    series = []
    for arm, points in found.items():
        mean, sd = (np.array([p[key] if p[key] is not None else np.nan for _, p in points])
                    for key in ("mean", "sd"))  # fmt: skip
        band = 100 * (mean - sd), 100 * (mean + sd)
        series.append(plots.Series(styles[arm], [100 * s for s, _ in points], 100 * mean, *band))
    label = f"{e.title} against the share of the frames that is lost, a line an arm"
    return plots.lossy(f"{name}-lossy", label, series, _chance(e), _top(e))


def _scatter(e: Evaluation, name: str) -> list[str]:
    """Predicted against true values, a figure an arm, mean over its runs; [] of other tasks."""
    if e.task.name != "regression":
        return []
    at, figures = e.subsets.index(e.whole), []
    for arm in e.arms:
        said = e.stacked(arm, e.largest(arm))[:, at, :, 0].mean(0)
        there = ~np.isnan(said) & ~np.isnan(e.labels)
        if not there.any():
            continue
        title = wording.arm(arm)
        label = f"Predicted against true values: {title}"
        values = e.labels[there], said[there]
        figures.append(plots.scatter(f"{name}-scatter-{arm}", label, title, *values))
    return figures


def _top(e: Evaluation) -> float:
    """The multiple of 20 % that no main measure and no interval exceeds."""
    cells = [
        cell
        for arm in e.arms
        for size in e.sizes(arm)
        for cell in findings.intervals(e, arm, size)[e.main].values()
    ]
    most = max(cell[end] or 0.0 for cell in cells for end in ("value", "high"))
    return 20.0 * max(2, int(np.ceil(5 * most)))


def _each(e: Evaluation, arm: str, size: Any) -> float:
    """Labelled clips of each class, of which there may be a fraction in the mean."""
    return round(float(np.mean(e.clips_fitted(arm, size))) / len(e.classes), 2)


def _curve(e: Evaluation, arm: str, subset: str, style: svg.Style) -> plots.Series:
    sizes = e.sizes(arm)
    cells = [findings.intervals(e, arm, size)[e.main][subset] for size in sizes]
    values = [
        [np.nan if cell[end] is None else 100 * cell[end] for cell in cells]
        for end in ("value", "low", "high")
    ]
    return plots.Series(style, [_each(e, arm, size) for size in sizes], *values)


def _calibration(e: Evaluation, name: str) -> list[dict[str, Any]]:
    out = []
    for arm, found in answers.calibration(e).items():
        if not found["scored"]:
            continue
        title, runs = wording.arm(arm), len(e.scores[arm][e.largest(arm)])
        label = f"Share of right answers against confidence: {title}"
        figure = plots.reliability(f"{name}-reliability-{arm}", label, title, found["width"])
        out.append({"arm": arm, "svg": figure, "runs": runs, **found})
    return out


def _speakers(e: Evaluation, name: str, found: dict[str, Any]) -> dict[str, Any] | None:
    """The groups of `findings`, speakers by score of the focus arm, with a figure of all arms."""
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
    label = f"{e.title} of every speaker by itself, a row an arm"
    measure = f"{e.title} of a speaker, {e.unit}"
    figure = plots.strips(f"{name}-speakers", label, rows, _chance(e), measure)
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

    checkpoint, cfg = r["checkpoint"], r["config"]
    several = e.task.name != "regression"
    templates = list(dict.fromkeys(run["template"] for run in runs))
    pairs = {
        "Predicted": f"{cfg['target']}: {', '.join(e.classes)}",
        "Template": " or ".join(templates),
        "Label words": ", ".join(cfg["prompt"]["label_words"]) if several else "",
        "Prompts are scored by": wording.SCORINGS[cfg["prompt"]["scoring"]] if several else "",
        "A label is said to hold": _THRESHOLDS if e.task.thresholds else "",
        "Fits see": ", ".join(cfg["fit"]["cases"] or cfg["subsets"]),
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
        "parts": list(dict.fromkeys(part for fold in p["folds"] for part in fold["sizes"])),
        "views": r.get("views", {}),
        "runs": [(arm, run) for arm, found in r["arms"].items() for run in found["runs"]],
        "config": json.dumps(cfg, indent=1),
    }
