"""One run of one arm: fitted if it has to be, and scored."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from memobert_jax import fit, state
from memobert_jax.classify import HEAD, TRUNK
from memobert_jax.fewshot import Run
from memobert_jax.fit import Fitted, Job
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
    bench: Workbench,
    arm: str,
    runs: Sequence[Run],
    trunk: Params,
    chosen: tuple[int, dict],
    advance: Callable[[int], Any],
) -> list[tuple[Fit, Fitted | None]]:
    """(what came of it, what was fitted) for each run of an arm in a fold.

    Args:
      bench: data and programs.
      arm: one of `config.ARMS`.
      runs: they are fitted at once.
      trunk: the pre-trained parameters.
      chosen: number of the template, and what it was chosen by.
      advance: told of steps.
    """
    began, (template, compared) = time.monotonic(), chosen
    starts = [start(bench, arm, trunk, run, template) for run in runs]
    if arm == "zero_shot":
        fitted = [None] * len(runs)
    else:
        fitted = _fit(bench, arm, runs, starts, template, advance)
    each = (time.monotonic() - began) / len(runs)
    out = []
    for run, first, kept in zip(runs, starts, fitted, strict=True):
        began, params = time.monotonic(), first if kept is None else kept.params
        result, outputs = _scored(bench, kind_of(bench, arm), run, params, template)
        selected = {}
        if kept is not None:
            names = ("stage", "step", "lr", "validation")
            selected["selected"] = {name: getattr(kept, name) for name in names}
            selected["history"] = kept.history
        seconds = {"seconds": round(each + time.monotonic() - began, 2)}
        out.append((Fit({**result, "templates": compared, **selected, **seconds}, outputs), kept))
    return out


def _scored(
    bench: Workbench, kind: str, run: Run, params: Params, template: int
) -> tuple[dict[str, Any], np.ndarray]:
    """(the result of a run, its outputs on the scored part)."""
    labels = bench.rows(run.fold, template).labels
    thresholds = bench.thresholds(kind, params, run.fold, template)
    outputs = bench.score(kind, params, run.fold, template)
    result = {
        "fold": run.fold,
        "seed": run.seed,
        "subset_seed": run.subset_seed,
        "per_class": None if run.size is None else run.size.label,
        "train_clips": 0 if run.size is None else len(bench.train_clips[run.subset]),
        "template": bench.templates[template].text,
        "thresholds": thresholds,
        "subsets": {
            subset: bench.task.measure(part, labels, thresholds)
            for subset, part in zip(bench.cfg.subsets, outputs, strict=True)
        },
        "frame_loss": [
            {"share": share, **bench.task.measure(part[0], labels, thresholds)}
            for share in bench.frame_loss(run)
            for part in (bench.score(kind, params, run.fold, template, share),)
        ],
    }
    return result, outputs


def _fit(
    bench: Workbench,
    arm: str,
    runs: Sequence[Run],
    starts: Sequence[Params],
    template: int,
    advance: Callable[[int], Any],
) -> list[Fitted]:
    kind, cfg = kind_of(bench, arm), bench.cfg.fit
    program, fold = bench.program(kind), runs[0].fold
    validation = bench.validation(fold, template, kind)
    parts = [bench.train(run, template) for run in runs]
    if arm == "probe":
        return [
            fit.probe(program, first, part, validation, cfg, room=bench.room)
            for first, part in zip(starts, parts, strict=True)
        ]
    pull = 0.0 if arm == "random_init" else cfg.anchor
    jobs = [Job(*pair, run.seed, pull) for run, *pair in zip(runs, starts, parts, strict=True)]
    together = bench.together(kind) if len(jobs) > 1 else None
    return fit.fit(
        program, jobs, validation, cfg, room=bench.room, together=together, advance=advance
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
                params[HEAD][name] = state.put_like(value, params[HEAD][name])
    return params
