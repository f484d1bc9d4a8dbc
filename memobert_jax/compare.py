"""Held-out losses of pre-training runs beside each other: a table and a plot.

  python -m memobert_jax.compare --output=FOLDER --baseline=per_step \
      --run=per_step=RUNS/per_step_1 --run=per_step=RUNS/per_step_2 --run=joint=RUNS/joint_1 ...

Runs of one name are seeds of one thing. The table gives each name's last losses, mean and standard
deviation over its runs, and after which share of the baseline's training clips its mean first was
as low as the baseline's at the end. `curves.svg` has the losses against the clips trained on.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from memobert_jax import command, metrics
from memobert_jax.config import OBJECTIVES


class Curve(NamedTuple):
    """Held-out losses of one run.

    steps: i64 [points]; clips: f64 [points] training clips until there; losses: objective -> f64
    [points].
    """

    steps: np.ndarray
    clips: np.ndarray
    losses: dict[str, np.ndarray]


def read(workdir: str | Path) -> Curve:
    """The curve of a run from its `metrics.jsonl`.

    Raises:
      FileNotFoundError, ValueError: if there are no metrics, or no held-out losses in them.
    """
    path = Path(workdir) / metrics.FILE
    if not path.is_file():
        raise FileNotFoundError(f"no {path}; give the work directory of a training run")
    trained, points = {0: 0.0}, []
    for line in path.read_text("utf-8").splitlines():
        entry = json.loads(line)
        if "clips" in entry:
            trained[entry["step"]] = entry["clips"]
        if any(name.startswith(metrics.HELDOUT) for name in entry):
            points.append(entry)
    if not points:
        raise ValueError(f"{path} has no held-out losses yet; let the run reach `eval_every` steps")
    steps = np.array([point["step"] for point in points])
    at, total = np.array(sorted(trained)), np.cumsum([trained[step] for step in sorted(trained)])
    names = [name for name in OBJECTIVES if metrics.HELDOUT + name in points[0]]
    return Curve(
        steps,
        np.interp(steps, at, total),
        {name: np.array([p[metrics.HELDOUT + name] for p in points], float) for name in names},
    )


def together(name: str, curves: Sequence[Curve]) -> Curve:
    """The runs of one name, losses f64 [runs, points], clips as the mean of the runs.

    Raises:
      ValueError: if they were not measured at the same steps.
    """
    if any(not np.array_equal(curve.steps, curves[0].steps) for curve in curves):
        raise ValueError(
            f"the runs of {name!r} were measured at other steps: "
            f"{[curve.steps.tolist() for curve in curves]}; give runs that are all finished"
        )
    return Curve(
        curves[0].steps,
        np.mean([curve.clips for curve in curves], 0),
        {k: np.stack([curve.losses[k] for curve in curves]) for k in curves[0].losses},
    )


def share_needed(curve: Curve, baseline: Curve, objective: str) -> float | None:
    """Training clips until the mean loss is as low as the baseline's last, as share of all of the
    baseline's clips; None if it never is."""
    target = baseline.losses[objective].mean(0)[-1]
    low = np.flatnonzero(curve.losses[objective].mean(0) <= target)
    return float(curve.clips[low[0]] / baseline.clips[-1]) if len(low) else None


def table(groups: Mapping[str, Curve], baseline: str) -> str:
    """A Markdown table: a row a name; a loss and a share of the baseline's clips an objective."""
    names = list(groups[baseline].losses)
    head = [c for n in names for c in (n, f"{n}: share of the clips of `{baseline}` it took")]
    lines = [["", "runs", "clips", *head], ["---"] * (3 + len(head))]
    for name, curve in groups.items():
        cells = [f"`{name}`", str(len(curve.losses[names[0]])), f"{curve.clips[-1]:,.0f}"]
        for objective in names:
            last = curve.losses[objective][:, -1]
            spread = f" ± {last.std(ddof=1):.3f}" if len(last) > 1 else ""
            share = share_needed(curve, groups[baseline], objective)
            cells += [
                f"{last.mean():.3f}{spread}",
                "not reached" if share is None else f"{share:.2f}",
            ]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def plot(groups: Mapping[str, Curve], path: Path) -> None:
    """Mean and range over the runs of every held-out loss against the clips trained on."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot, ticker

    names = list(next(iter(groups.values())).losses)
    with pyplot.rc_context({"svg.hashsalt": "curves", "svg.fonttype": "none"}):
        figure, axes = pyplot.subplots(
            1, len(names), figsize=(4.2 * len(names), 3.6), layout="constrained", squeeze=False
        )
        for axis, objective in zip(axes[0], names, strict=True):
            for name, curve in groups.items():
                losses = curve.losses[objective]
                (line,) = axis.plot(curve.clips, losses.mean(0), label=name, linewidth=1.6)
                low, high = losses.min(0), losses.max(0)
                axis.fill_between(curve.clips, low, high, color=line.get_color(), alpha=0.15)
            axis.set(title=metrics.LOSS_NAMES[objective], xlabel="clips trained on", yscale="log")
            axis.yaxis.set_major_formatter("{x:g}")
            axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 1.5, 2, 3, 4, 6, 8)))
            axis.yaxis.set_minor_formatter(ticker.NullFormatter())
            axis.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
            axis.grid(alpha=0.3, which="both")
        axes[0, 0].set_ylabel("held-out loss")
        axes[0, 0].legend()
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = command.parser(__doc__)
    parser.add_argument(
        "--run", action="append", required=True, metavar="NAME=WORKDIR", help="a run, repeated"
    )
    parser.add_argument("--baseline", required=True, help="the name that the others are held to")
    parser.add_argument("--output", required=True, help="folder for table.md and curves.svg")
    args = parser.parse_args(argv)
    print(compare(args.run, args.baseline, Path(args.output)))


def compare(runs: Sequence[str], baseline: str, output: Path) -> str:
    """Writes table and plot of `NAME=WORKDIR` entries; returns the table.

    Raises:
      FileNotFoundError, ValueError: for a run that cannot be read, or names that do not fit.
    """
    found: dict[str, list[Curve]] = {}
    for entry in runs:
        name, separator, workdir = entry.partition("=")
        if not (separator and name and workdir):
            raise ValueError(f"--run={entry}; expected NAME=WORKDIR")
        found.setdefault(name, []).append(read(workdir))
    if baseline not in found:
        raise ValueError(f"--baseline={baseline} is none of the runs: {', '.join(found)}")
    names = {name: {tuple(curve.losses) for curve in curves} for name, curves in found.items()}
    if len(set.union(*names.values())) > 1:
        had = ", ".join(f"{n} has {' or '.join(map(' '.join, k))}" for n, k in names.items())
        raise ValueError(f"the runs have other held-out losses: {had}; compare runs on equal data")
    groups = {name: together(name, curves) for name, curves in found.items()}
    text = table(groups, baseline)
    output.mkdir(parents=True, exist_ok=True)
    (output / "table.md").write_text(text + "\n", "utf-8")
    plot(groups, output / "curves.svg")
    return text


if __name__ == "__main__":
    sys.exit(command.reported(main)())
