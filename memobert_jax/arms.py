"""The arms of an evaluation: each is fitted for every seed and scored on the same views.

`zero_shot` is the pre-trained network with a prompt and no label; `prompt` and `head` fit it on a
few labelled clips; `random_init` fits the same network, with the prompt, from random parameters.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from memobert_jax import config, fit, runtime, scores
from memobert_jax.classify import HEAD, TRUNK
from memobert_jax.state import Params
from memobert_jax.workbench import Workbench

FORMAT = 1
SAVED = ("prompt", "head")
"""Arms of which the run that validates best is kept."""


class Comparison(NamedTuple):
    """What came out.

    results: JSON-able; log_probs: run name -> f32 [subsets, clips, classes] of the scored part;
    fitted: arm of SAVED -> (description, parameters) of the run that validates best.
    """

    results: dict[str, Any]
    log_probs: dict[str, np.ndarray]
    fitted: dict[str, tuple[dict[str, Any], Params]]


def kind_of(arm: str) -> str:
    return "head" if arm == "head" else "prompt"


def compare(
    bench: Workbench, path: Path, advance: Callable[[int, str], Any] = lambda steps, what: None
) -> Comparison:
    """Fits and scores every arm from the checkpoint at `path`.

    Args:
      bench: data and programs.
      path: a step folder.
      advance: told (steps done, run name), for a progress bar.
    """
    began = time.monotonic()
    arms: dict[str, Any] = {}
    log_probs: dict[str, np.ndarray] = {}
    fitted: dict[str, tuple[dict[str, Any], Params]] = {}
    with jax.set_mesh(bench.mesh):
        trunk = bench.load(path)
        for arm in bench.cfg.arms:
            runs, best = [], None
            for seed, subset_seed in bench.runs() if arm != "zero_shot" else [(None, None)]:
                name = arm if seed is None else f"{arm}-{seed}-{subset_seed}"
                advance(0, name)
                run, found, kept = _run(
                    bench, arm, trunk, seed, subset_seed, lambda n, name=name: advance(n, name)
                )
                runs.append(run)
                log_probs[name] = found
                if arm in SAVED and scores.better(kept.validation, best):
                    best = kept.validation
                    fitted[arm] = _description(bench, arm, path, run), kept.params
            arms[arm] = {"runs": runs, "summary": scores.summarise(runs, bench.cfg.subsets)}
    results = _head(bench, path) | {
        "arms": arms,
        "below_zero_shot": scores.below_zero_shot(arms),
        "seconds": round(time.monotonic() - began, 2),
    }
    return Comparison(json.loads(json.dumps(results)), log_probs, fitted)


def _run(bench: Workbench, arm: str, trunk: Params, seed, subset_seed, advance):
    """(result, log-probabilities, what was fitted or None) of one run."""
    began, kept = time.monotonic(), None
    params, result = start(bench, arm, trunk, seed), {}
    if arm != "zero_shot":
        kept = fit.fit(
            bench.program(kind_of(arm)),
            params,
            bench.train(subset_seed),
            bench.validation,
            bench.cfg.fit,
            seed,
            pull=0.0 if arm == "random_init" else bench.cfg.fit.anchor,
            advance=advance,
        )
        params = kept.params
        chosen = {name: getattr(kept, name) for name in ("stage", "step", "lr", "validation")}
        clips = len(bench.train_clips[subset_seed])
        result = {"seed": seed, "subset_seed": subset_seed, "train_clips": clips}
        result |= {"selected": chosen, "history": kept.history}
    log_probs = bench.score(kind_of(arm), params)
    labels = bench.rows.labels
    subsets = zip(bench.cfg.subsets, log_probs, strict=True)
    result["subsets"] = {subset: scores.measure(part, labels) for subset, part in subsets}
    result["seconds"] = round(time.monotonic() - began, 2)
    return result, log_probs, kept


def start(bench: Workbench, arm: str, trunk: Params, seed: int | None) -> Params:
    """The parameters that a run of an arm starts with."""
    fresh = bench.program(kind_of(arm)).fresh
    if arm == "random_init":
        return {TRUNK: fresh[TRUNK](np.uint32(seed))}
    if arm == "head":
        return {TRUNK: trunk, HEAD: fresh[HEAD](np.uint32(seed))}
    return {TRUNK: trunk}


def _description(bench: Workbench, arm: str, path: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Metadata of a fitted checkpoint: those of its origin, and how it was fitted."""
    kept = {key: run[key] for key in ("seed", "subset_seed", "train_clips", "selected")}
    found = {
        **bench.metadata,
        "kind": arm,
        "fit": {
            "prompt": config.as_dict(bench.cfg.prompt),
            "longest": bench.longest._asdict(),
            "fit": config.as_dict(bench.cfg.fit),
            "protocol": bench.protocol.describe(),
            "origin": str(path),
            **kept,
        },
    }
    return json.loads(json.dumps(found))


def _head(bench: Workbench, path: Path) -> dict[str, Any]:
    """What every result carries: where it comes from, and what it is compared with."""
    classes = bench.cfg.prompt.classes
    return {
        "format": FORMAT,
        "checkpoint": {
            "path": str(path),
            "step": int(path.name) if path.name.isdigit() else None,
            "kind": bench.metadata["kind"],
            "data": bench.metadata["data"],
            "tokenizer": bench.metadata["tokenizer"]["fingerprint"],
        },
        "config": config.as_dict(bench.cfg),
        "protocol": bench.protocol.describe(),
        "scored_part": bench.scored,
        "views": bench.rows.counts,
        "longest": bench.longest._asdict(),
        "git": runtime.git_revision(),
        "hardware": runtime.hardware(),
        "chance": 1 / len(classes),
        "majority": _majority(bench),
        "ceilings": ceilings(bench.cfg.ceilings),
        "warnings": _warnings(bench),
    }


def _majority(bench: Workbench) -> dict[str, Any] | None:
    """Scores of the answer that is most frequent in the train part, None without that part."""
    if "train" not in bench.protocol.parts:
        return None
    counts = bench.protocol.counts("train")
    answer = max(counts, key=counts.__getitem__)
    log_probs = np.log(np.full((len(bench.rows.labels), len(counts)), 1e-9, np.float32))
    log_probs[:, list(counts).index(answer)] = 0.0
    found = scores.measure(log_probs, bench.rows.labels)
    return {"answer": answer, **{metric: found[metric] for metric in scores.METRICS}}


def ceilings(path: str) -> dict[str, float] | None:
    """Best possible accuracy of each subset from a JSON file; None without one.

    Raises:
      FileNotFoundError, ValueError: if the file is not there, or has no such entry.
    """
    if not path:
        return None
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path!r} (evaluate's `ceilings`); '' goes without")
    found = json.loads(Path(path).read_text("utf-8"))
    if not isinstance(found, dict) or "best_possible_accuracy" not in found:
        raise ValueError(
            f"{path} has no entry 'best_possible_accuracy' (evaluate's `ceilings`); expected the "
            "corpus.json of the talking heads, or a file with that entry"
        )
    return found["best_possible_accuracy"]


def _warnings(bench: Workbench) -> list[str]:
    out = []
    for part, numbers in bench.protocol.parts.items():
        clips = [bench.clips[n] for n in numbers.tolist() if n in bench.clips]
        longest = bench.longest
        for modality, most in (
            ("text", f"{longest.text} pieces with the prompt"),
            ("face", f"{longest.face} frames"),
            ("speech", f"{longest.speech} rows of 60 ms"),
        ):
            cut = sum(clip.cut[modality] > 0 for clip in clips)
            if cut:
                out.append(
                    f"{part}: the {modality} of {cut} of {len(clips)} clips was cut at its end, to "
                    f"{most}"
                )
    scored = bench.protocol.source["fingerprints"][bench.protocol.source["splits"][bench.scored]]
    if scored in {source["fingerprint"] for source in bench.metadata["data"]}:
        out.append(
            f"the network was pre-trained on the clips of the {bench.scored} part (without labels)"
        )
    return out
