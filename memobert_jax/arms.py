"""The arms of an evaluation: each is fitted in every run and scored on the same views.

`zero_shot` is the pre-trained network with a prompt and no label; `prompt` and `head` fit it on a
few labelled clips; `random_init` fits the same network, with the prompt, from random parameters. A
run is a fold, a few-shot size, a seed of its subset and a seed of the fit.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from memobert_jax import config, fit, fits, results, scores
from memobert_jax.classify import HEAD, TRUNK
from memobert_jax.fewshot import Run
from memobert_jax.fits import Fit, Fits
from memobert_jax.state import Params
from memobert_jax.workbench import Workbench

SAVED = ("prompt", "head")
"""Arms of which the run that validates best is kept."""


class Comparison(NamedTuple):
    """What came out.

    results: JSON-able; log_probs: run name -> f32 [subsets, clips, classes] of the scored part, in
    which a clip has the scores of its fold; items: arrays [clips] of these clips.
    """

    results: dict[str, Any]
    log_probs: dict[str, np.ndarray]
    items: dict[str, np.ndarray]


def kind_of(arm: str) -> str:
    return "head" if arm == "head" else "prompt"


def compare(
    bench: Workbench,
    paths: Sequence[Path],
    advance: Callable[[int, str], Any] = lambda steps, what: None,
    store: Fits | None = None,
    command: str = "",
) -> Comparison:
    """Fits and scores every arm.

    Args:
      bench: data and programs.
      paths: a step folder for each fold; may be the same.
      advance: told (steps done, run name), for a progress bar.
      store: where finished fits are kept and found; by default nowhere.
      command: that was typed.

    Raises:
      ValueError: if clips that are scored were seen before, and that is not asked for.
    """
    began = time.monotonic()
    head = results.head(bench, paths, command)
    plan = _plan(bench)
    keys = fits.keys_of(bench, paths, plan) if store else {}
    known, best = fits.finished(plan, keys, SAVED, store) if store else ({}, {})
    done, trunk, loaded = {}, None, None
    with jax.set_mesh(bench.mesh):
        for arm, run in plan:
            name = run.name(arm)
            advance(0, name)
            if (arm, run) in known:
                done[arm, run] = known[arm, run]
                advance(steps_of(bench, arm), name)
                continue
            if loaded != paths[run.fold]:
                loaded = paths[run.fold]
                trunk = bench.load(loaded)
            found, kept = _run(bench, arm, run, trunk, lambda n, name=name: advance(n, name))
            done[arm, run] = found
            if store is None:
                continue
            if arm in SAVED and scores.better(kept.validation, best.get(arm)):
                best[arm] = kept.validation
                said = _description(bench, arm, loaded, found, head["stamp"], keys[arm, run])
                store.keep(arm, said, kept.params[TRUNK] if arm == "prompt" else kept.params)
            store.save(keys[arm, run], found)
    _check_items(bench, done)
    items, log_probs = results.items(bench), _pooled(done)
    arms = {arm: _summary(bench, arm, done, log_probs, items) for arm in bench.cfg.arms}
    found = head | {
        "arms": arms,
        "below_zero_shot": scores.below_zero_shot(arms),
        "fits_reused": len(known),
        "seconds": round(time.monotonic() - began, 2),
    }
    return Comparison(json.loads(json.dumps(found)), log_probs, items)


def _summary(
    bench: Workbench,
    arm: str,
    done: Mapping[tuple[str, Run], Fit],
    log_probs: Mapping[str, np.ndarray],
    items: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """The runs of an arm, and the summary and statistics of those of the largest few-shot size."""
    runs = {run: one.result for (name, run), one in done.items() if name == arm}
    summary = results.summarise(list(runs.values()), bench.cfg.subsets)
    largest = summary["sizes"][-1]["per_class"]
    names = dict.fromkeys(run.name(arm) for run, one in runs.items() if one["per_class"] == largest)
    pooled = np.stack([log_probs[name] for name in names])
    statistics = results.statistics_of(pooled, items, bench.cfg.subsets)
    return {"runs": list(runs.values()), **summary, "statistics": statistics}


def _plan(bench: Workbench) -> list[tuple[str, Run]]:
    """(arm, run) in the order in which they are done: what shares clips stands together."""
    plan = []
    for fold in bench.folds:
        if "zero_shot" in bench.cfg.arms:
            plan.append(("zero_shot", Run(fold)))
        plan += [(arm, run) for run in bench.runs(fold) for arm in bench.fitted_arms]
    return plan


def steps_of(bench: Workbench, arm: str) -> int:
    """Steps of a fit that a progress bar counts."""
    return 0 if arm == "zero_shot" else len(bench.cfg.fit.lrs) * bench.cfg.fit.steps


def _run(bench: Workbench, arm: str, run: Run, trunk: Params, advance) -> tuple[Fit, Any]:
    """(what came of a run, what was fitted or None)."""
    began, kept = time.monotonic(), None
    params = start(bench, arm, trunk, run.seed)
    clips = 0 if run.size is None else len(bench.train_clips[run.subset])
    result: dict[str, Any] = {
        "fold": run.fold,
        "seed": run.seed,
        "subset_seed": run.subset_seed,
        "per_class": None if run.size is None else run.size.label,
        "train_clips": clips,
    }
    if arm != "zero_shot":
        kept = fit.fit(
            bench.program(kind_of(arm)),
            params,
            bench.train(run),
            bench.validation(run.fold),
            bench.cfg.fit,
            run.seed,
            pull=0.0 if arm == "random_init" else bench.cfg.fit.anchor,
            room=bench.room,
            advance=advance,
        )
        params = kept.params
        chosen = {name: getattr(kept, name) for name in ("stage", "step", "lr", "validation")}
        result |= {"selected": chosen, "history": kept.history}
    log_probs = bench.score(kind_of(arm), params, run.fold)
    labels = bench.rows(run.fold).labels
    subsets = zip(bench.cfg.subsets, log_probs, strict=True)
    result["subsets"] = {subset: scores.measure(part, labels) for subset, part in subsets}
    result["seconds"] = round(time.monotonic() - began, 2)
    return Fit(result, log_probs), kept


def start(bench: Workbench, arm: str, trunk: Params, seed: int | None) -> Params:
    """The parameters that a run of an arm starts with."""
    fresh = bench.program(kind_of(arm)).fresh
    if arm == "random_init":
        return {TRUNK: fresh[TRUNK](np.uint32(seed))}
    if arm == "head":
        return {TRUNK: trunk, HEAD: fresh[HEAD](np.uint32(seed))}
    return {TRUNK: trunk}


def _description(
    bench: Workbench, arm: str, path: Path, found: Fit, stamp: str, key: str
) -> dict[str, Any]:
    """Metadata of a fitted checkpoint: those of its origin, and how it was fitted."""
    names = ("fold", "seed", "subset_seed", "per_class", "train_clips", "selected")
    said = {
        **bench.metadata,
        "kind": arm,
        "fit": {
            "prompt": config.as_dict(bench.cfg.prompt),
            "longest": bench.longest._asdict(),
            "fit": config.as_dict(bench.cfg.fit),
            "protocol": bench.protocol.describe(),
            "origin": str(path),
            "stamp": stamp,
            "key": key,
            **{name: found.result[name] for name in names},
        },
    }
    return json.loads(json.dumps(said))


def _check_items(bench: Workbench, done: Mapping[tuple[str, Run], Fit]) -> None:
    """Raises RuntimeError if two arms were not scored on the same views of the same clips."""
    for fold in bench.folds:
        there = {
            run.name(arm): ~np.isnan(one.log_probs[..., 0])
            for (arm, run), one in done.items()
            if run.fold == fold
        }
        first = next(iter(there))
        for name, scored in there.items():
            if not np.array_equal(scored, there[first]):
                raise RuntimeError(f"fold {fold}: {name} and {first} were scored on other clips")


def _pooled(done: Mapping[tuple[str, Run], Fit]) -> dict[str, np.ndarray]:
    """Run name -> its scores of all folds, clips end to end."""
    by_name: dict[str, list[np.ndarray]] = {}
    for (arm, run), one in sorted(done.items(), key=lambda item: item[0][1].fold):
        by_name.setdefault(run.name(arm), []).append(one.log_probs)
    return {name: np.concatenate(parts, axis=1) for name, parts in by_name.items()}
