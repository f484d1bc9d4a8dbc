"""Plots of a pre-training, each an `<svg>` element."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memobert_jax.report.svg import ACCENT, MUTED, draw


def losses(
    name: str,
    label: str,
    title: str,
    train: tuple[Sequence[int], Sequence[float]] | None,
    heldout: tuple[Sequence[int], Sequence[float]] | None,
    trivial: Mapping[str, float],
) -> str:
    """Losses of one objective against the step, and those of predictors that learn nothing."""

    def paint(axis: Any) -> None:
        top = _top(train, heldout, trivial)
        for value in trivial.values():
            axis.axhline(value, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
        ends = (heldout or train or ((), (0.0,)))[1][-1]
        for value, names in _together(trivial, top / 14).items():
            axis.annotate(
                names, (1, value), xycoords=axis.get_yaxis_transform(), ha="right",
                va="top" if ends > value else "bottom", color=MUTED, fontsize=7.5,
            )  # fmt: skip
        if train:
            axis.plot(*train, color=MUTED, linewidth=1.0, alpha=0.8)
        if heldout:
            mark = "o" if len(heldout[0]) < 25 else None
            axis.plot(*heldout, color=ACCENT, linewidth=1.7, marker=mark, markersize=3.5)
        axis.set(title=title, xlabel="step")
        axis.set_ylim(0, top)
        axis.grid(axis="y")
        axis.xaxis.set_major_locator(_few_ticks())

    return draw(name, label, 210, paint)


def _top(train: Any, heldout: Any, trivial: Mapping[str, float]) -> float:
    """Where the axis ends: the first losses of training may lie beyond, so that the rest shows."""
    highest = [*trivial.values()]
    highest += [max(heldout[1])] if heldout else []
    highest += [float(np.quantile(train[1], 0.95))] if train else []
    return 1.15 * max(highest) or 1.0


def _together(trivial: Mapping[str, float], apart: float) -> dict[float, str]:
    """Value -> names of the predictors that lie there, or so near that their names would touch."""
    out: dict[float, str] = {}
    for predictor, value in sorted(trivial.items(), key=lambda item: item[1]):
        near = next((place for place in out if value - place < apart), None)
        if near is None:
            out[value] = predictor
        else:
            out[value] = f"{out.pop(near)}, {predictor}"
    return out


def _few_ticks():
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=4, integer=True)
