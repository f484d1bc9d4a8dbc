"""The arms of an evaluation: each is fitted in every run and scored on the same views.

`zero_shot` is the pre-trained network with a prompt and no label; `prompt` and `head` fit it on a
few labelled clips; `random_init` fits the same network, with the prompt, from random parameters. A
run is a fold, a few-shot size, a seed of its subset and a seed of the fit.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import memobert_jax
from memobert_jax import checkpoint, config, fit, fits, results, runtime, scores
from memobert_jax.classify import HEAD, TRUNK
from memobert_jax.fits import Fit, Fits
from memobert_jax.state import Params
from memobert_jax.workbench import Run, Workbench

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
    keys = _keys(bench, paths, plan) if store else {}
    known, best = _known(plan, keys, store) if store else ({}, {})
    done, trunk, loaded = dict(known), None, None
    with jax.set_mesh(bench.mesh):
        for arm, run in plan:
            name = run.name(arm)
            advance(0, name)
            if (arm, run) in known:
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
    arms = {}
    for arm in bench.cfg.arms:
        runs = [done[name, run].result for name, run in plan if name == arm]
        arms[arm] = {"runs": runs, **results.summarise(runs, bench.cfg.subsets)}
    found = head | {
        "arms": arms,
        "below_zero_shot": scores.below_zero_shot(arms),
        "fits_reused": len(known),
        "seconds": round(time.monotonic() - began, 2),
    }
    return Comparison(json.loads(json.dumps(found)), _pooled(bench, done), results.items(bench))


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


_NOT_OF_A_FIT = ("arms", "seeds", "source", "ceilings", "mesh", "protocol", "disjoint")
_NOT_OF_A_FIT += ("train_split", "validation_split", "test_split")
"""What does not decide a single fit, or stands in its key as something stronger."""


def _keys(
    bench: Workbench, paths: Sequence[Path], plan: Sequence[tuple[str, Run]]
) -> dict[tuple[str, Run], str]:
    """A key for each fit, of everything that decides it."""
    cfg = {k: v for k, v in config.as_dict(bench.cfg).items() if k not in _NOT_OF_A_FIT}
    cfg["fit"] = {
        k: v for k, v in cfg["fit"].items() if k not in ("per_class", "shares", "subset_seeds")
    }
    common = {
        "version": memobert_jax.__version__,
        "git": runtime.git_revision(),
        "config": cfg,
        "features": bench.corpus.fingerprints,
        "layout": dataclasses.asdict(bench.layout),
        "scored": bench.scored,
    }
    checkpoints = {path: checkpoint.fingerprint(path) for path in set(paths)}
    described = [bench.protocol.fold_fingerprint(fold) for fold in bench.folds]
    return {
        (arm, run): fits.key_of(
            common
            | {"arm": arm, "run": run[1:], "fold": described[run.fold]}
            | {"checkpoint": checkpoints[paths[run.fold]]}
        )
        for arm, run in plan
    }


def _known(
    plan: Sequence[tuple[str, Run]], keys: Mapping[tuple[str, Run], str], store: Fits
) -> tuple[dict[tuple[str, Run], Fit], dict[str, Any]]:
    """(finished fits, arm -> how its kept one validates).

    Where the checkpoint of the best is not there, that fit is not finished.
    """
    found = store.load([keys[what] for what in plan])
    known = {what: found[keys[what]] for what in plan if keys[what] in found}
    best: dict[str, Any] = {}
    for arm in SAVED:
        champion = None
        for what, one in known.items():
            if what[0] == arm and scores.better(validation := _validation(one), best.get(arm)):
                best[arm], champion = validation, what
        if champion and store.kept(arm) != keys[champion]:
            del known[champion], best[arm]
    return known, best


def _validation(one: Fit) -> Mapping[str, float]:
    return one.result["selected"]["validation"]


def _run(bench: Workbench, arm: str, run: Run, trunk: Params, advance) -> tuple[Fit, Any]:
    """(what came of a run, what was fitted or None)."""
    began, kept = time.monotonic(), None
    params = start(bench, arm, trunk, run.seed)
    clips = 0 if run.size is None else len(bench.train_clips[run.subset])
    result: dict[str, Any] = {
        "fold": run.fold,
        "seed": run.seed,
        "subset_seed": run.subset_seed,
        "per_class": run.size and run.size.label,
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


def _pooled(bench: Workbench, done: Mapping[tuple[str, Run], Fit]) -> dict[str, np.ndarray]:
    """Run name -> its scores of all folds, clips end to end."""
    by_name: dict[str, list[np.ndarray]] = {}
    for (arm, run), one in sorted(done.items(), key=lambda item: item[0][1].fold):
        by_name.setdefault(run.name(arm), []).append(one.log_probs)
    return {name: np.concatenate(parts, axis=1) for name, parts in by_name.items()}
