"""What a result says beside its scores: where they come from, what to compare with, and doubts."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memobert_jax import checkpoint, config, fewshot, runtime, scores, seen, statistics
from memobert_jax.additive import Terms
from memobert_jax.config import REPRODUCE
from memobert_jax.workbench import Workbench

FORMAT = 3


def head(bench: Workbench, paths: Sequence[Path], command: str = "") -> dict[str, Any]:
    """What every result carries.

    Args:
      bench: data and programs.
      paths: the checkpoint of each fold.
      command: that was typed, '' where none was.

    Raises:
      ValueError: if clips that are scored were seen before, and that is not asked for.
    """
    single = bench.task.name == "single"
    stamps, doubts, unchecked = before(bench, paths)
    return {
        "format": FORMAT,
        "task": bench.task.name,
        "stamp": "; ".join(stamps),
        "checkpoint": _checkpoint(bench, paths),
        "config": config.as_dict(bench.cfg),
        "command": command,
        "protocol": bench.protocol.describe(),
        "scored_part": bench.scored,
        "views": _views(bench),
        "longest": bench.longest._asdict(),
        "git": runtime.git_revision(),
        "hardware": runtime.hardware(),
        "chance": 1 / len(bench.classes) if single else None,
        "majority": _majority(bench) if single else None,
        "ceilings": ceilings(bench.cfg.ceilings),
        "unchecked": unchecked,
        "warnings": _warnings(bench) + doubts,
    }


def before(bench: Workbench, paths: Sequence[Path]) -> tuple[list[str], list[str], list[str]]:
    """(stamps, what has seen clips that are scored, what could not be told).

    Raises:
      ValueError: if clips of the test part were seen, and that is not asked for.
    """
    asked = bench.cfg.reproduce
    stamps = [f"{REPRODUCE['test_oracle']} (--reproduce=test_oracle)"] * ("test_oracle" in asked)
    described = {path: checkpoint.metadata(path) for path in dict.fromkeys(paths)}
    found, unchecked = {}, []
    for metadata in described.values():
        fits = [one.get("fit", {}) for one in seen.lineage(metadata, unchecked)]
        stamps += [fit["stamp"] for fit in fits if fit.get("stamp")]
    for fold in bench.folds:
        one = seen.look(
            bench.corpus,
            bench.protocol,
            described[paths[fold]],
            bench.scored,
            fold,
            pretrained=set(bench.cfg.arms) != {"random_init"} or len(bench.templates) > 1,
        )
        found[fold] = one.found
        unchecked += one.unchecked
    lines = seen.sentences(found, bench.scored)
    if lines and bench.scored == "test":
        if "seen_test" not in asked:
            seen.refuse(lines)
        by = ", ".join(dict.fromkeys(each.by for several in found.values() for each in several))
        stamps.append(f"{REPRODUCE['seen_test']} by {by} (--reproduce=seen_test)")
    if bench.protocol.unchecked:
        unchecked += [
            f"{count} clips have no {column}: whether parts share one is not known"
            for column, count in bench.protocol.unchecked.items()
        ]
    return list(dict.fromkeys(stamps)), lines, list(dict.fromkeys(unchecked))


def _checkpoint(bench: Workbench, paths: Sequence[Path]) -> dict[str, Any]:
    first, data = paths[0], []
    for path in dict.fromkeys(paths):
        data += [source for source in checkpoint.metadata(path)["data"] if source not in data]
    return {
        "path": str(first),
        "paths": list(dict.fromkeys(map(str, paths))),
        "step": int(first.name) if first.name.isdigit() else None,
        "kind": bench.metadata["kind"],
        "data": data,
        "tokenizer": bench.metadata["tokenizer"]["fingerprint"],
    }


def _views(bench: Workbench) -> dict[str, dict[str, int]]:
    """The counts of `Rows`, over all folds."""
    out = {subset: Counter() for subset in bench.cfg.subsets}
    for fold in bench.folds:
        for subset, counts in bench.rows(fold).counts.items():
            out[subset].update(counts)
    return {subset: dict(counts) for subset, counts in out.items()}


def _majority(bench: Workbench) -> dict[str, Any] | None:
    """Scores of the class that is most frequent in the train part, None without that part."""
    if "train" not in bench.protocol.folds[0].parts:
        return None
    answers, log_probs = [], []
    for fold in bench.folds:
        counts = bench.protocol.counts("train", fold)
        answers.append(max(counts, key=counts.__getitem__))
        one = np.log(np.full((len(bench.rows(fold).labels), len(counts)), 1e-9, np.float32))
        one[:, list(counts).index(answers[-1])] = 0.0
        log_probs.append(one)
    labels = np.concatenate([bench.rows(fold).labels for fold in bench.folds])
    found = bench.task.measure(np.concatenate(log_probs), labels)
    answer = "/".join(dict.fromkeys(answers))
    return {"answer": answer, **{metric: found[metric] for metric in bench.task.metrics}}


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
    out = [
        f"fold {run.fold}: of {run.size.per_class} clips a class, some have only {missing}"
        for run in {run.subset: run for run in bench.runs()}.values()
        if (missing := fewshot.short(bench.protocol, run.size, run.fold))
    ]
    out = list(dict.fromkeys(out))
    for part in bench.parts:
        found = [fold.parts[part] for fold in bench.protocol.folds]
        numbers = np.unique(np.concatenate(found)).tolist()
        clips = [[shown[n] for shown in bench.clips] for n in numbers if n in bench.clips[0]]
        for modality, most in (
            ("text", f"{bench.longest.text} pieces with the prompt"),
            ("face", f"{bench.longest.face} frames"),
            ("speech", f"{bench.longest.speech} rows of 60 ms"),
        ):
            cut = sum(any(clip.cut[modality] for clip in shown) for shown in clips)
            if cut:
                out.append(
                    f"{part}: the {modality} of {cut} of {len(clips)} clips was cut at its end, to "
                    f"{most}"
                )
    return out


def items(bench: Workbench) -> dict[str, np.ndarray]:
    """What `scores.npz` says of the clips that are scored, fold after fold."""
    parts = [fold.parts[bench.scored] for fold in bench.protocol.folds]
    clips = np.concatenate(parts)
    columns = {"ids": "id", "speakers": "speaker", "genders": "gender"}
    return {
        **{name: bench.corpus.column(column)[clips] for name, column in columns.items()},
        "labels": bench.protocol.labels.values[clips],
        "fold": np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts]),
        "subsets": np.array(bench.cfg.subsets),
        "classes": np.array(bench.classes),
    }


def statistics_of(
    terms: Terms, found: Mapping[str, np.ndarray], subsets: Sequence[str]
) -> dict[str, Any]:
    """How sure the scores of an arm are, over the folds pooled.

    Args:
      terms: of [runs, subsets, clips].
      found: `items`.
      subsets: their names.

    Returns:
      `runs`, `intervals` (drawn by speaker), `speakers`, `genders` and `folds`, as `statistics.py`
      gives them.
    """
    groups = {"speakers": "speakers", "genders": "genders", "folds": "fold"}
    return {
        "runs": statistics.over_runs(terms, subsets),
        "intervals": statistics.intervals(terms, found["speakers"], subsets),
        **{name: statistics.over_groups(terms, found[column], subsets)
           for name, column in groups.items()},
    }  # fmt: skip


def summarise(
    runs: Sequence[Mapping[str, Any]], subsets: Sequence[str], metrics: Sequence[str]
) -> dict[str, Any]:
    """`summary` over the runs of the largest few-shot size, and of each size if there are several.

    Returns:
      `summary` as `scores.summarise`; `sizes`: a list of {"per_class", "train_clips" (mean),
      "summary"} in order of their clips.
    """
    by_size: dict[Any, list] = {}
    for run in runs:
        by_size.setdefault(run["per_class"], []).append(run)
    sizes = [
        {
            "per_class": size,
            "train_clips": float(np.mean([run["train_clips"] for run in found])),
            "summary": scores.summarise(found, subsets, metrics),
        }
        for size, found in by_size.items()
    ]
    sizes.sort(key=lambda one: one["train_clips"])
    return {"summary": sizes[-1]["summary"], "sizes": sizes}
