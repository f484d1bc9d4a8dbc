"""Result folders as `evaluate` writes them, with answers that are right as often as is asked."""

import json
from pathlib import Path

import numpy as np

from memobert_jax import tasks
from memobert_jax.config import EvaluateConfig, as_dict
from memobert_jax.measures import restricted

CLASSES = ("anger", "happiness", "neutral", "sadness")
SUBSETS = ("T", "F", "S", "TFS")
SEEDS = (1, 2)
TARGETS = {"single": "emotion", "multi": "labels", "regression": "valence"}
TASKS = {"multi": tasks.MULTI, "regression": tasks.REGRESSION}
SKILL = {"zero_shot": 0.8, "prompt": 1.8, "head": 1.5, "random_init": 0.6}
"""How far the true class stands out, with all modalities and every clip of the training part."""


def evaluation(
    folder: Path,
    *,
    speakers: int = 8,
    per_speaker: int = 12,
    folds: int = 2,
    sizes=(1, 4, 0),
    subsets=SUBSETS,
    classes=CLASSES,
    skill=SKILL,
    seeds=SEEDS,
    fingerprint: str = "0123456789ab",
    draw: int = 0,
    named: bool = True,
    lacking=(),
    task: str = "single",
    frame_loss=(),
    **more,
) -> Path:
    """Writes results.json and scores.npz.

    Args:
      speakers, per_speaker, folds: clips, of each class as many; speakers are dealt to the folds.
      sizes: `per_class` of what is fitted.
      draw: seed of the noise.
      named: whether clips have speakers and genders.
      lacking: numbers of clips that cannot be scored with subset "F".
      task: `multi` gives every clip its class and some a second one, `regression` one value a clip.
      frame_loss: shares of which there are scores.
      more: entries of results.json.
    """
    rng = np.random.default_rng(draw)
    count = speakers * per_speaker
    who = np.repeat(np.arange(speakers), per_speaker)
    labels = (np.arange(count) % len(classes)).astype(np.int32)
    fold = (who % folds).astype(np.int32)
    if task == "multi":
        labels = np.eye(len(classes), dtype=np.int32)[labels]
        labels[::3, 0] = 1
    elif task == "regression":
        classes, labels = ("valence",), (labels + rng.normal(0, 0.3, count)).astype(np.float32)
    measured = TASKS.get(task) or tasks.single(len(classes))
    arrays, arms = {}, {}
    for arm, able in skill.items():
        fits = [(None, None, None)]
        if arm != "zero_shot":
            fits = [(seed, seed, size) for size in sizes for seed in seeds]
        runs = []
        for seed, subset_seed, size in fits:
            learnt = 1.0 if not size else 1 - 0.7 / size**0.5
            found = np.stack(
                [_answers(rng, labels, able * learnt, s, classes, task) for s in subsets]
            )
            if "F" in subsets:
                found[subsets.index("F"), list(lacking)] = np.nan
            arrays[arm if seed is None else f"{arm}-{seed}-{subset_seed}-{size}"] = found
            for f in range(folds):
                run = _run(arm, f, seed, subset_seed, size, len(classes), fold)
                cuts = np.full(len(classes), 0.4) if task == "multi" else None
                here = fold == f
                run["subsets"] = {
                    s: measured.measure(part[here], labels[here], cuts)
                    for s, part in zip(subsets, found, strict=True)
                }
                whole = run["subsets"][subsets[-1]]
                run["frame_loss"] = [
                    {"share": share, measured.main: whole[measured.main] * (1 - share / 2)}
                    for share in frame_loss
                ]
                run["thresholds"] = None if cuts is None else cuts.tolist()
                runs.append(run)
        arms[arm] = {"runs": runs, "summary": {}}
    has = labels if task == "multi" else labels[:, None] == np.arange(len(classes))
    counts = [dict(zip(classes, has[fold == f].sum(0).tolist(), strict=True)) for f in range(folds)]
    sizes_of = np.bincount(fold, minlength=folds).tolist()
    results = {
        "format": 3,
        "task": task,
        "checkpoint": {"path": "RUN/checkpoints/100", "step": 100, "kind": "pretrain",
                       "data": [{"path": "FEATURES"}], "tokenizer": "abc"},
        "config": as_dict(EvaluateConfig(source="LABELLED", target=TARGETS[task])),
        "command": "python -m memobert_jax.evaluate --config=configs/evaluate_emotion.py",
        "git": "a1b2c3d",
        "hardware": "1 x cpu",
        "warnings": [],
        "stamp": "",
        "protocol": {
            "name": "generated_folds",
            "version": 1,
            "fingerprint": fingerprint,
            "disjoint": ["speaker"],
            "classes": list(classes),
            "folds": [
                {
                    "clips": {"train": counts[(f + 1) % folds], "test": counts[f]},
                    "sizes": {"train": sizes_of[(f + 1) % folds], "test": sizes_of[f]},
                    "excluded": {"train": {"no label": 3}, "test": {}},
                }
                for f in range(folds)
            ],
            "source": {"path": "LABELLED"},
        },
        "scored_part": "test",
        "views": {s: {"scored": count} for s in subsets},
        "longest": {},
        "chance": 1 / len(classes) if task == "single" else None,
        "majority": None,
        "ceilings": None,
        "arms": arms,
        **more,
    }  # fmt: skip
    folder.mkdir(parents=True)
    names = np.array([f"speaker{n:02d}" if named else "" for n in range(speakers)])
    genders = np.array(["female", "male"] if named else ["", ""])
    np.savez_compressed(
        folder / "scores.npz",
        ids=np.array([f"clip{n:04d}" for n in range(count)]),
        labels=labels,
        speakers=names[who],
        genders=genders[who % 2],
        fold=fold,
        subsets=np.array(subsets),
        classes=np.array(classes),
        **arrays,
    )
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def _answers(rng, labels, able, subset, classes, task):
    """Outputs f32 [clips, outputs]; text says nothing."""
    share = {"T": 0.0, "F": 0.6, "S": 0.7}.get(subset, 1.0)
    if task == "regression":
        noise = rng.normal(0, 1.5, len(labels))
        return (able * share * labels + noise)[:, None].astype(np.float32)
    logits = rng.normal(size=(len(labels), len(classes)))
    if task == "multi":
        logits += 2 * able * share * labels - 1
        return -np.log1p(np.exp(-logits)).astype(np.float32)
    logits[np.arange(len(labels)), labels] += able * share
    return restricted(logits).astype(np.float32)


def _run(arm, f, seed, subset_seed, size, classes, fold):
    here = fold == f
    clips = size * classes if size else int((~here).sum() or len(here))
    run = {"fold": f, "seed": seed, "subset_seed": subset_seed, "per_class": size, "seconds": 1.5}
    run |= {"template": "{text} i am [MASK] .", "templates": {}}
    if arm != "zero_shot":
        selected = {"stage": "all", "step": 20, "lr": 1e-3, "validation": {"uar": 0.5, "loss": 1.0}}
        run |= {"train_clips": clips, "selected": selected, "history": []}
    return run


def training(folder: Path, steps=range(10, 110, 10)) -> Path:
    """A work directory with the losses of two objectives."""
    lines = [{"step": 0, "trivial/mlm/unigram": 2.8, "trivial/msr/mean": 1.0}]
    for step in steps:
        lines.append({"step": step, "clips": 64, "loss": 2.0, "loss/mlm": 3 - step / 50,
                      "loss/msr": 1.2 - step / 500, "clips_per_s": 30.0})  # fmt: skip
        lines.append({"step": step, "heldout/mlm": 3 - step / 60, "heldout/msr": 1.2 - step / 600})
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


LEDGER = {
    "videos": 3,
    "videos_with_clips": 2,
    "duration_s": 100.0,
    "clips": 9,
    "kept_s": 62.5,
    "dropped": {
        "outside_cues": {"seconds": 25.0, "count": 8},
        "no_face": {"seconds": 12.5, "count": 2},
    },
    "notes": {"cut_by_voice": 4},
}


def dataset(folder: Path, **more) -> Path:
    """The folder of a built dataset, as far as a report reads it."""
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text(json.dumps({"ledger": LEDGER, **more}))
    return folder
