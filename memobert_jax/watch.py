"""Scoring the checkpoints of a running job, each once, as they appear.

Whoever compares checkpoints by these scores chooses one of them, so they are scored on the
validation part; the test part is for `evaluate` without --watch. One JSON line a checkpoint goes to
`watch.jsonl`, in order of the steps; started again, steps that stand there are not scored again. It
ends when the last step of the run, which every checkpoint names, was scored, or when no checkpoint
has come for `timeout_s`. The run may delete a checkpoint before or while it is read: that is said,
and the next one is read.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from memobert_jax import arms, checkpoint, runtime, scores
from memobert_jax.config import EvaluateConfig
from memobert_jax.workbench import Workbench

FILE = "watch.jsonl"


def watch(
    cfg: EvaluateConfig,
    workdir: str | Path,
    output: str | Path,
    *,
    arms: tuple[str, ...] = ("zero_shot",),
    every_s: float = 10.0,
    timeout_s: float = 3600.0,
) -> list[dict[str, Any]]:
    """Scores checkpoints in `workdir` as they come; returns the lines that were written.

    Raises:
      ValueError: if the data do not fit the checkpoints, or a checkpoint is damaged.
      OSError: if `output` cannot be written.
    """
    cfg = dataclasses.replace(cfg, arms=arms)
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    known = _known(output / FILE)
    watcher = _Watcher(cfg, Path(workdir) / checkpoint.FOLDER, output)
    written: list[dict[str, Any]] = []
    lines, since = list(known), time.monotonic()
    while not any(line["step"] == line["last_step"] for line in lines):
        done = {line["step"] for line in lines} | watcher.gone
        fresh = [step for step in checkpoint.steps(watcher.folder) if step not in done]
        for step in fresh:
            line = watcher.score(step, every_s)
            since = time.monotonic()
            if line is not None:
                lines.append(line)
                written.append(line)
        if not fresh:
            if time.monotonic() - since > timeout_s:
                logging.info("no new checkpoint in %s for %g s", watcher.folder, timeout_s)
                break
            time.sleep(every_s)
    return written


def _known(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


class _Watcher:
    """What is made at the first checkpoint and serves the others, and the steps that got lost."""

    def __init__(self, cfg: EvaluateConfig, folder: Path, output: Path):
        self.cfg, self.folder, self.output = cfg, folder, output
        self.bench: Workbench | None = None
        self.gone: set[int] = set()

    def score(self, step: int, wait_s: float) -> dict[str, Any] | None:
        """One line for a step; None if it was deleted before it could be read."""
        path = self.folder / str(step)
        try:
            return self._score(step, path)
        except (OSError, ValueError, RuntimeError) as error:
            time.sleep(wait_s)
            if step in checkpoint.steps(self.folder):
                raise
            logging.warning("checkpoint %d was deleted before it was read (%s)", step, error)
            self.gone.add(step)
            return None

    def _score(self, step: int, path: Path) -> dict[str, Any]:
        metadata = checkpoint.metadata(path)
        if self.bench is None:
            self.bench = Workbench(self.cfg, metadata, scored="validation")
        results = arms.compare(self.bench, [path] * len(self.bench.folds)).results
        run, main = metadata["config"], self.bench.task.main
        line = {
            "step": step,
            "last_step": run["steps"] if run else None,
            "scored_part": "validation",
            main: {
                arm: {name: spread["mean"] for name, spread in found["summary"][main].items()}
                for arm, found in results["arms"].items()
            },
            "losses": {
                arm: {subset: _loss(found["runs"], subset) for subset in self.cfg.subsets}
                for arm, found in results["arms"].items()
            },
            "protocol": {
                key: results["protocol"][key] for key in ("name", "version", "fingerprint")
            },
            "checkpoint": results["checkpoint"]["path"],
            "seeds": results["config"]["seeds"],
            "git": results["git"],
            "seconds": results["seconds"],
        }
        if runtime.is_lead():
            with (self.output / FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(f"step {step}\n{scores.table(results)}\n", flush=True, file=sys.stdout)
        return line


def _loss(runs: Sequence[Mapping[str, Any]], subset: str) -> float | None:
    """Mean loss of a subset over the runs in which it was scored."""
    found = [run["subsets"][subset].get("loss") for run in runs]
    found = [loss for loss in found if loss is not None]
    return float(np.mean(found)) if found else None
