"""Metrics of a run: one JSON line a logged step, TensorBoard events, a throughput clock."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

FILE = "metrics.jsonl"
HELDOUT = "heldout/"
"""Prefix of the held-out losses."""
LOSS_NAMES = {
    "mlm": "masked words (mlm), nats",
    "mfr": "face frames (mfr), squared error",
    "mfc": "expressions (mfc), KL",
    "msr": "speech rows (msr), squared error",
}


class Writer:
    """Writes scalars of the lead host; on other hosts it does nothing.

    Lines of steps after `start_step`, left by a run that was killed, are removed: each step stands
    once, in TensorBoard too.

    Args:
      workdir: of the run.
      start_step: step that the run starts at.
      lead: whether this is the lead host.
      again: whether the held-out losses of `start_step` are measured again, and so removed.
    """

    def __init__(self, workdir: str | Path, start_step: int, lead: bool, again: bool = True):
        self._file = self._events = None
        if not lead:
            return
        from tensorboardX import SummaryWriter

        path = Path(workdir) / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = drop_after(path, start_step, again)
        self._file = path.open("a", encoding="utf-8")
        # TensorBoard forgets what it has of `purge_step` and later, so that step is told again
        self._events = SummaryWriter(str(Path(workdir) / "tensorboard"), purge_step=start_step)
        for entry in kept:
            if entry["step"] == start_step:
                self._tell(start_step, {k: v for k, v in entry.items() if k != "step"})

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_) -> None:
        if self._file is not None:
            self._file.close()
            self._events.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One line; a value that is not finite is null there, and no point in TensorBoard."""
        if self._file is None:
            return
        plain = {name: float(value) for name, value in values.items()}
        line = {name: v if math.isfinite(v) else None for name, v in plain.items()}
        self._file.write(json.dumps({"step": step, **line}) + "\n")
        self._file.flush()
        self._tell(step, plain)

    def _tell(self, step: int, values: Mapping[str, float | None]) -> None:
        for name, value in values.items():
            if value is not None and math.isfinite(value):
                self._events.add_scalar(name, value, step)


def drop_after(path: Path, step: int, again: bool = False) -> list[dict]:
    """Takes the lines of later steps out of a file of JSON lines; returns those that are left.

    Args:
      path: the file; where there is none, nothing is done.
      step: the last to keep; 0: none, because a run from the start has no lines yet.
      again: whether held-out losses of `step` itself go too.
    """
    if not path.is_file():
        return []
    step = step or -1
    kept = []
    for line in path.read_text("utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue  # the last line of a killed run can be cut
        heldout = again and any(name.startswith(HELDOUT) for name in entry)
        if entry["step"] < step + (not heldout):
            kept.append(entry)
    partial = path.with_suffix(".partial")
    partial.write_text("".join(json.dumps(entry) + "\n" for entry in kept), "utf-8")
    partial.replace(path)
    return kept


class Clock:
    """Time of a window of steps, without what is paused and with the share spent on input."""

    def __init__(self):
        self.restart()

    def restart(self) -> None:
        self._start, self._paused, self._waited = time.perf_counter(), 0.0, 0.0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start - self._paused

    @property
    def waited(self) -> float:
        """Seconds spent waiting for input."""
        return self._waited

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time in here (checkpoints, evaluation) does not count."""
        start = time.perf_counter()
        yield
        self._paused += time.perf_counter() - start

    @contextmanager
    def input(self) -> Iterator[None]:
        """Time in here is spent waiting for input."""
        start = time.perf_counter()
        yield
        self._waited += time.perf_counter() - start


def summarise(window: list[Mapping[str, np.ndarray]], shares: Mapping[str, float]) -> dict:
    """Scalars of a window of steps: loss per objective over all its targets, means of the rest.

    Skipped steps are counted, but their losses and norms are left out. NaN where nothing is left.
    """
    summed = ("skipped", "overflow", "damaged", "clips", "tokens")
    kept = [scalars for scalars in window if not scalars["skipped"]] or window
    totals = {name: float(np.sum([scalars[name] for scalars in kept])) for name in window[0]}
    out = {name: float(np.sum([scalars[name] for scalars in window])) for name in summed}
    for name in shares:
        count = totals.pop(f"count/{name}")
        out[f"loss/{name}"] = totals.pop(f"sum/{name}") / count if count else math.nan
        out[f"targets/{name}"] = count / len(kept)
    present = {name: share for name, share in shares.items() if out[f"targets/{name}"]}
    weighted = sum(share * out[f"loss/{name}"] for name, share in present.items())
    out["loss"] = weighted / sum(present.values()) if present else math.nan
    return {name: total / len(kept) for name, total in totals.items()} | out
