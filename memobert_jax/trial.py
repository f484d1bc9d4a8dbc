"""One run of one arm: fitted if it has to be, and scored."""

import time
from typing import Any

import numpy as np

from memobert_jax import fit, stages
from memobert_jax.classify import HEAD, TRUNK
from memobert_jax.fewshot import Run
from memobert_jax.fit import Fitted
from memobert_jax.fits import Fit
from memobert_jax.state import Params
from memobert_jax.workbench import Workbench


def kind_of(bench: Workbench, arm: str) -> str:
    """The kind of classifier that an arm is."""
    if arm in ("head", "probe"):
        return arm
    return "prompt" if bench.words else "head"


def steps_of(bench: Workbench, arm: str) -> int:
    """Steps of a fit that a progress bar counts."""
    return 0 if arm in ("zero_shot", "probe") else len(bench.cfg.fit.lrs) * bench.cfg.fit.steps


def run_arm(
    bench: Workbench, arm: str, run: Run, trunk: Params, chosen: tuple[int, dict], advance
) -> tuple[Fit, Any]:
    """(what came of a run with the template that was chosen, what was fitted or None)."""
    began, kept, kind = time.monotonic(), None, kind_of(bench, arm)
    template, compared = chosen
    params = start(bench, arm, trunk, run, template)
    clips = 0 if run.size is None else len(bench.train_clips[run.subset])
    result: dict[str, Any] = {
        "fold": run.fold,
        "seed": run.seed,
        "subset_seed": run.subset_seed,
        "per_class": None if run.size is None else run.size.label,
        "train_clips": clips,
        "template": bench.templates[template].text,
        "templates": compared,
    }
    if arm != "zero_shot":
        kept = _fit(bench, arm, run, params, template, advance)
        params = kept.params
        selected = {name: getattr(kept, name) for name in ("stage", "step", "lr", "validation")}
        result |= {"selected": selected, "history": kept.history}
    labels = bench.rows(run.fold, template).labels
    thresholds = bench.thresholds(kind, params, run.fold, template)
    outputs = bench.score(kind, params, run.fold, template)
    result["thresholds"] = thresholds
    result["subsets"] = {
        subset: bench.task.measure(part, labels, thresholds)
        for subset, part in zip(bench.cfg.subsets, outputs, strict=True)
    }
    result["frame_loss"] = [
        {"share": share, **bench.task.measure(part[0], labels, thresholds)}
        for share in bench.frame_loss(run)
        for part in (bench.score(kind, params, run.fold, template, share),)
    ]
    result["seconds"] = round(time.monotonic() - began, 2)
    return Fit(result, outputs), kept


def _fit(bench: Workbench, arm: str, run: Run, params: Params, template: int, advance) -> Fitted:
    kind = kind_of(bench, arm)
    program, train = bench.program(kind), bench.train(run, template)
    validation = bench.validation(run.fold, template, kind)
    if arm == "probe":
        return fit.probe(program, params, train, validation, bench.cfg.fit, room=bench.room)
    return fit.fit(
        program,
        params,
        train,
        validation,
        bench.cfg.fit,
        run.seed,
        pull=0.0 if arm == "random_init" else bench.cfg.fit.anchor,
        room=bench.room,
        advance=advance,
    )


def start(bench: Workbench, arm: str, trunk: Params, run: Run, template: int) -> Params:
    """The parameters that a run of an arm starts with."""
    fresh, seed = bench.program(kind_of(bench, arm)).fresh, np.uint32(run.seed or 0)
    params = {TRUNK: fresh[TRUNK](seed) if arm == "random_init" else trunk}
    if HEAD in fresh:
        params[HEAD] = fresh[HEAD](seed)
        if "deviation" in params[HEAD]:
            labels = bench.train(run, template).rows.labels
            found = {"mean": labels.mean(), "deviation": labels.std() or 1.0}
            for name, value in found.items():
                params[HEAD][name] = stages.put_like(value, params[HEAD][name])
    return params
