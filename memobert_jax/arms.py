"""The arms of an evaluation: each is fitted in every run and scored on the same views.

`zero_shot` is the pre-trained network with a prompt and no label; `prompt` and `head` fit it on
labelled clips, `probe` only a linear layer on its states; `random_init` fits the same network from
random parameters, with the prompt, or with the head where a value is predicted. A run is a fold, a
few-shot size, a seed of its subset and a seed of the fit.
"""

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from memobert_jax import config, fits, results, scores, tasks, trial
from memobert_jax.classify import TRUNK
from memobert_jax.fewshot import Run
from memobert_jax.fits import Fit, Fits
from memobert_jax.workbench import Workbench

SAVED = ("prompt", "head")
"""Arms of which the run that validates best is kept."""


class Comparison(NamedTuple):
    """What came out.

    results: JSON-able; outputs: run name -> f32 [subsets, clips, outputs] of the scored part, in
    which a clip has the scores of its fold; items: arrays [clips] of these clips.
    """

    results: dict[str, Any]
    outputs: dict[str, np.ndarray]
    items: dict[str, np.ndarray]


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
    done, templates, trunk, loaded = {}, {}, None, None
    with jax.set_mesh(bench.mesh):
        for arm, run in known:
            advance(trial.steps_of(bench, arm), run.name(arm))
        for arm, runs in _waves(bench, [what for what in plan if what not in known]):
            fold, name = runs[0].fold, runs[0].name(arm)
            advance(0, name)
            if loaded != paths[fold]:
                loaded = paths[fold]
                trunk = bench.load(loaded)
            if fold not in templates:
                templates[fold] = bench.choose(fold, trunk)
            tried = trial.run_arm(
                bench, arm, runs, trunk, templates[fold], lambda n, name=name: advance(n, name)
            )
            for run, (found, kept) in zip(runs, tried, strict=True):
                done[arm, run] = found
                if store is None:
                    continue
                if arm in SAVED and tasks.better(kept.validation, best.get(arm)):
                    best[arm] = kept.validation
                    said = _description(bench, arm, loaded, found, head["stamp"], keys[arm, run])
                    store.keep(arm, said, kept.params[TRUNK] if arm == "prompt" else kept.params)
                store.save(keys[arm, run], found)
    done = {what: done.get(what) or known[what] for what in plan}
    _check_items(bench, done)
    items, outputs = results.items(bench), _pooled(done)
    arms = {arm: _summary(bench, arm, done, outputs, items) for arm in bench.cfg.arms}
    found = head | {
        "arms": arms,
        "below_zero_shot": scores.below_zero_shot(arms, bench.task.main),
        "fits_reused": len(known),
        "seconds": round(time.monotonic() - began, 2),
    }
    return Comparison(json.loads(json.dumps(found)), outputs, items)


def _summary(
    bench: Workbench,
    arm: str,
    done: Mapping[tuple[str, Run], Fit],
    outputs: Mapping[str, np.ndarray],
    items: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """The runs of an arm, and the summary and statistics of those of the largest few-shot size."""
    runs = {run: one.result for (name, run), one in done.items() if name == arm}
    summary = results.summarise(list(runs.values()), bench.cfg.subsets, bench.task.metrics)
    largest = summary["sizes"][-1]["per_class"]
    by_name: dict[str, list] = {}
    for run, one in sorted(runs.items(), key=lambda item: item[0].fold):
        if one["per_class"] == largest:
            by_name.setdefault(run.name(arm), []).append(one["thresholds"])
    pooled = np.stack([outputs[name] for name in by_name])
    thresholds = None
    if bench.task.thresholds:
        thresholds = np.array(list(by_name.values()))[:, None, items["fold"]]
    terms = bench.task.terms(pooled, items["labels"], thresholds)
    statistics = results.statistics_of(terms, items, bench.cfg.subsets)
    return {"runs": list(runs.values()), **summary, "statistics": statistics}


def _plan(bench: Workbench) -> list[tuple[str, Run]]:
    """(arm, run) in the order in which they are done: what shares clips stands together."""
    plan = []
    for fold in bench.folds:
        if "zero_shot" in bench.cfg.arms:
            plan.append(("zero_shot", Run(fold)))
        for runs in _chunks(bench.runs(fold), bench.cfg.fit.together):
            plan += [(arm, run) for arm in bench.fitted_arms for run in runs]
    return plan


def _waves(
    bench: Workbench, plan: Sequence[tuple[str, Run]]
) -> Iterator[tuple[str, Sequence[Run]]]:
    """(arm, its runs that are fitted at once) of a plan."""
    for (arm, _), whats in itertools.groupby(plan, lambda what: (what[0], what[1].fold)):
        for wave in _chunks([run for _, run in whats], bench.cfg.fit.together):
            yield arm, wave


def _chunks(runs: Sequence[Run], size: int) -> list[Sequence[Run]]:
    return [runs[first : first + size] for first in range(0, len(runs), size)]


def _description(
    bench: Workbench, arm: str, path: Path, found: Fit, stamp: str, key: str
) -> dict[str, Any]:
    """Metadata of a fitted checkpoint: those of its origin, and how it was fitted."""
    names = ("fold", "seed", "subset_seed", "per_class", "train_clips", "selected", "thresholds")
    prompt = config.as_dict(bench.cfg.prompt)
    prompt |= {"template": found.result["template"], "templates": ()}
    said = {
        **bench.metadata,
        "kind": arm,
        "fit": {
            "task": bench.task.name,
            "outputs": bench.classes,
            "prompt": prompt,
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
            run.name(arm): ~np.isnan(one.outputs[..., 0])
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
        by_name.setdefault(run.name(arm), []).append(one.outputs)
    return {name: np.concatenate(parts, axis=1) for name, parts in by_name.items()}
