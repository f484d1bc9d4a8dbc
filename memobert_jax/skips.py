"""Skipped steps: which they were, of which clips, and when there are too many in a row.

A step whose loss or gradient is not finite changes nothing but the step number (`step.py`) and says
so in its scalars. The loop must not wait for the step that it has just begun, so they are looked at
LAG steps later, on every host at the same step: all hosts stop together. The clips of a step are
named from its number alone, because the batch is a pure function of it.
"""

import collections
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from absl import logging

from memobert_jax import metrics

FILE = "skipped.jsonl"
LAG = 4
"""Steps that are begun before the scalars of one are looked at: at most so many are taken after the
one that is too much."""

_SHOWN = 8


class Skips:
    """Looks for skipped steps, logs each with its clips, and counts those in a row.

    Every host logs the clips of its own rows, the first few by name, and those among them whose
    features are not finite. The lead host writes the clips of all hosts into skipped.jsonl, a line
    a step: `step`, `not_finite` (names of the scalars) and `clips` (dataset folder -> ids).

    Args:
      data: the TrainData of the run.
      most: skipped steps in a row that the run bears.
      workdir: of the run.
      start: step that the run starts at; lines of later ones, left by a run that was killed, are
        removed.
    """

    def __init__(self, data: Any, most: int, workdir: str | Path, start: int):
        self._data, self._most, self._path = data, most, Path(workdir) / FILE
        self._host, self._hosts = jax.process_index(), jax.process_count()
        self._waiting: collections.deque = collections.deque()
        self._in_a_row, self._good = 0, start
        self._too_many: tuple[int, int] | None = None
        if self._host == 0:
            metrics.drop_after(self._path, start)

    def add(
        self, step: int, scalars: Mapping[str, Any], *, wait: bool
    ) -> FloatingPointError | None:
        """Takes the scalars of a step in, and looks at those of LAG steps before.

        Call it on every host, every step. It waits for the device only where that is LAG steps
        behind, and for all steps so far with `wait` (where the run ends, or waits anyway).

        Returns:
          The error to end the run with, once more than `most` steps in a row were skipped. Then all
          steps so far have been looked at.
        """
        for array in scalars.values():
            array.copy_to_host_async()
        self._waiting.append((step, scalars))
        while self._waiting and (wait or len(self._waiting) > LAG or self._too_many):
            self._look(*self._waiting.popleft())
        return self._error(step) if self._too_many else None

    def _look(self, step: int, scalars: Mapping[str, Any]) -> None:
        if not float(scalars["skipped"]):
            self._in_a_row, self._good = 0, step
            return
        self._in_a_row += 1
        if self._in_a_row > self._most and self._too_many is None:
            self._too_many = step - self._in_a_row + 1, step
        names = sorted(name for name, value in scalars.items() if not math.isfinite(float(value)))
        mine = step - 1, self._host, self._hosts
        clips, broken = (_shown(f(*mine)) for f in (self._data.clip_ids, self._data.broken_ids))
        logging.warning(
            "step %d is skipped, because %s is not finite; clips of host %d (all in %s): %s; "
            "features that are not finite have %s",
            step, ", ".join(names), self._host, FILE, clips, broken or "none of them",
        )  # fmt: skip
        if self._host == 0:
            line = {"step": step, "not_finite": names, "clips": self._data.clip_ids(step - 1)}
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def _error(self, step: int) -> FloatingPointError:
        first, last = self._too_many
        return FloatingPointError(
            f"loss or gradient was not finite in steps {first} to {last}, one after another; their "
            f"clips stand in {self._path}. Step {step} is saved with the parameters as they were "
            f"after step {self._good}: run the same command again to go on behind these clips. "
            "Where it happens again, start in another work directory with a lower optim.peak_lr "
            "or with other data; --config.init_from=<this one> begins with the parameters saved"
        )


def _shown(clips: Mapping[str, list[str]]) -> str:
    """The first ids, and how many more there are."""
    ids = [clip for found in clips.values() for clip in found]
    more = len(ids) - _SHOWN
    return ", ".join(ids[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
