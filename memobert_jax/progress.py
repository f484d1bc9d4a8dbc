"""What a training run tells while it goes: metric lines, held-out losses, skipped steps, a bar."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
from tqdm import tqdm

from memobert_jax import metrics, runtime
from memobert_jax.config import PretrainConfig
from memobert_jax.skips import Skips


class Progress:
    """Metrics of a run from step `start` on; a context that closes their files.

    Args:
      cfg: of the run.
      data: its TrainData.
      workdir: of the run.
      start: step that it starts at.
      evaluate: params -> held-out losses.

    Attributes:
      clock: time since the last metric line.
    """

    def __init__(
        self,
        cfg: PretrainConfig,
        data: Any,
        workdir: str | Path,
        start: int,
        evaluate: Callable[[Any], dict[str, float]],
    ):
        self._cfg, self._shares, self._evaluate, self._start = cfg, data.shares, evaluate, start
        self._skips = Skips(data, cfg.max_skipped, workdir, start)
        again = self._measured(start)
        self._writer = metrics.Writer(workdir, start, runtime.is_lead(), again)
        self._bar = tqdm(total=cfg.steps, initial=start, desc="pre-train", unit="step")
        self._window: list[Mapping[str, Any]] = []
        self.clock = metrics.Clock()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.close()
        self._writer.__exit__()

    def begin(self, params: Any, trivial: Mapping[str, float]) -> None:
        """Tells what trivial predictors reach on the held-out targets, before the first step.

        A resumed run may have been stopped between saving and measuring its step: it is measured.
        """
        shown = ", ".join(f"{name} {loss:.3f}" for name, loss in trivial.items())
        self._bar.write(f"held-out losses of trivial predictors: {shown}", file=sys.stderr)
        if self._start:
            self.measure(self._start, params)
        else:
            self._writer.scalars(0, {f"trivial/{name}": loss for name, loss in trivial.items()})

    def add(
        self, step: int, scalars: Mapping[str, Any], *, last: bool
    ) -> FloatingPointError | None:
        """Takes in the scalars of a step; writes a metric line where one is due.

        Returns:
          The error to end the run with, if too many steps in a row were skipped (`skips.py`).
        """
        self._window.append(scalars)
        self._bar.update()
        due = last or step % self._cfg.log_every == 0
        failure = self._skips.add(step, scalars, wait=due)
        if due or failure:
            self._writer.scalars(step, self._line())
        return failure

    def _line(self) -> dict[str, float]:
        """Scalars of the window that ends here; waits for the device."""
        out = metrics.summarise(jax.device_get(self._window), self._shares)
        seconds = self.clock.seconds
        out |= {
            "clips_per_s": out["clips"] / seconds,
            "tokens_per_s": out.pop("tokens") / seconds,
            "input_wait": self.clock.waited / seconds,
        }
        self._window = []
        self.clock.restart()
        losses = " ".join(f"{n} {out[f'loss/{n}']:.3f}" for n in self._shares)
        self._bar.set_postfix_str(f"{losses} {out['clips_per_s']:.0f} clips/s")
        return out

    def measure(self, step: int, params: Any) -> None:
        """Writes the held-out losses of a step where they are due."""
        if not self._measured(step):
            return
        with self.clock.paused():
            values = self._evaluate(params)
            self._writer.scalars(step, values)
            shown = " ".join(
                f"{n.removeprefix(metrics.HELDOUT)} {v:.3f}" for n, v in values.items()
            )
            self._bar.write(f"step {step}: held-out {shown}", file=sys.stderr)

    def _measured(self, step: int) -> bool:
        return step % self._cfg.eval_every == 0 or step == self._cfg.steps
