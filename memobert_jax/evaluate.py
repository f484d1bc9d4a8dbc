"""Scores a checkpoint on labelled clips, with a prompt and with what is fitted on a few of them.

    python -m memobert_jax.evaluate --config=configs/evaluate_X.py --checkpoint=PATH --output=DIR

The checkpoint describes model, tokenizer and encoders itself. DIR gets `results.json`, `table.txt`,
`scores.npz` (the outputs of every clip) and, as checkpoints of their own, `prompt` and
`head`: of each the run that validates best. `fits` in it holds every finished fit: the same command
again repeats only those that are not there. Where the protocol has folds, `{fold}` in PATH stands
for the number of the fold, from 0.

With --watch, PATH is the work directory of a run that may still be going on, and each of its
checkpoints is scored once, on the validation part; see `watch.py`.
"""

import contextlib
import io
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

from memobert_jax import command

RESULTS, TABLE, SCORES = "results.json", "table.txt", "scores.npz"


def evaluate(cfg: Any, path: str | Path, output: str | Path, command: str = "") -> dict[str, Any]:
    """Evaluates `cfg` (an EvaluateConfig) from the checkpoint at `path`; writes into `output`.

    Run again after an interruption it repeats only the fits that were not finished.

    Args:
      cfg: what to evaluate.
      path: a checkpoint; `{fold}` in it stands for the number of the fold, from 0.
      output: folder of the results.
      command: that was typed, for the results.

    Returns:
      The results, as written to results.json.

    Raises:
      FileNotFoundError: if there is no checkpoint or no data.
      ValueError: if the parts do not fit together, the protocol leaks, or clips that are scored
        were seen before.
      OSError: if `output` cannot be written.
    """
    from memobert_jax import arms, checkpoint, fits, results, workbench

    claim(output)

    def resolved(fold: int) -> Path:
        return checkpoint.resolve(str(path).replace("{fold}", str(fold)))

    results.ceilings(cfg.ceilings)
    bench = workbench.Workbench(cfg, checkpoint.metadata(resolved(0)))
    paths = [resolved(fold) for fold in bench.folds]
    with progress(bench, paths[0]) as advance:
        found = arms.compare(bench, paths, advance, fits.Fits(output), command)
    write(found, output)
    return found.results


def claim(output: str | Path) -> None:
    """Makes the folder of the results.

    Raises:
      OSError: if it cannot be written to.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    probe = output / ".writable"
    probe.write_bytes(b"")
    probe.unlink()


@contextlib.contextmanager
def progress(bench: Any, path: Path) -> Iterator[Callable[[int, str], None]]:
    """A bar over all steps of all fits; gives the `advance` of `arms.compare`."""
    from tqdm import tqdm

    from memobert_jax import trial

    total = sum(trial.steps_of(bench, arm) for arm in bench.fitted_arms) * len(bench.runs())
    with tqdm(total=total, desc=f"evaluate {path.name}", unit="step") as bar:

        def advance(steps: int, what: str) -> None:
            bar.set_postfix_str(what, refresh=False)
            bar.update(steps)
            bar.refresh()

        yield advance


def write(found: Any, output: str | Path) -> None:
    """Writes a Comparison, on the lead host; results.json comes last."""
    from memobert_jax import runtime, scores
    from memobert_jax.datasets import write_atomically

    if not runtime.is_lead():
        return
    arrays = {name: array.astype(np.float32) for name, array in found.outputs.items()}
    packed = io.BytesIO()
    np.savez_compressed(packed, stamp=found.results["stamp"], **found.items, **arrays)
    files = {
        SCORES: packed.getvalue(),
        TABLE: (scores.table(found.results) + "\n").encode(),
        RESULTS: (json.dumps(found.results, indent=1) + "\n").encode(),
    }
    for name, data in files.items():
        write_atomically(Path(output) / name, lambda path, data=data: Path(path).write_bytes(data))


def main(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {list(argv[1:])}")
    from memobert_jax import config, runtime, scores, watch

    values = flags.FLAGS
    cfg = config.from_config_dict(config.EvaluateConfig, values.config)
    cfg = config.from_mapping(
        config.EvaluateConfig,
        config.as_dict(cfg) | {"reproduce": (*cfg.reproduce, *values.reproduce)},
    )
    runtime.quiet_libraries()
    runtime.cache_compilations()
    if values.distributed:
        runtime.start()
    if values.watch:
        watch.watch(
            cfg,
            values.checkpoint,
            values.output,
            arms=tuple(values.watch_arms),
            every_s=values.watch_every,
            timeout_s=values.watch_timeout,
        )
    else:
        typed = shlex.join(["python", "-m", "memobert_jax.evaluate", *sys.argv[1:]])
        results = evaluate(cfg, values.checkpoint, values.output, typed)
        if runtime.is_lead():
            print(scores.table(results))
            print(f"\n{values.output}: {RESULTS}, {TABLE}, {SCORES}, {', '.join(_saved(values))}")


def _saved(values: Any) -> list[str]:
    there = [path for path in sorted(Path(values.output).iterdir()) if path.is_dir()]
    return [f"{path.name}/" for path in there]


def run() -> None:
    """Defines the flags and starts `main`."""
    from ml_collections import config_flags

    config_flags.DEFINE_config_file("config", None, "configuration file", lock_config=True)
    flags.DEFINE_string(
        "checkpoint", None, "checkpoint, folder of them, or work directory; {fold}: a fold's number"
    )
    flags.DEFINE_string("output", None, "folder of the results")
    flags.DEFINE_list(
        "reproduce",
        [],
        "refused practices to reproduce, with a stamp on every output: test_oracle (select on the "
        "test part), seen_test (score clips that were seen before)",
    )
    flags.DEFINE_bool("distributed", False, "join the other processes of this job")
    flags.DEFINE_bool("watch", False, "score each checkpoint of a running job, once")
    flags.DEFINE_list("watch_arms", ["zero_shot"], "arms that --watch scores")
    flags.DEFINE_float("watch_every", 10.0, "seconds between looks into the work directory")
    flags.DEFINE_float("watch_timeout", 3600.0, "seconds without a new checkpoint that end --watch")
    flags.mark_flags_as_required(["config", "checkpoint", "output"])
    command.run(main)


if __name__ == "__main__":
    run()
