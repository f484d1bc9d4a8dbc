"""The plots of a report, each an `<svg>` element; all shares are in %."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from memobert_jax.report.svg import ACCENT, INK, MUTED, PAPER, Style, draw

FAINT = (0, (1, 3))
"""The dots of a line that is there to compare with."""
_DOTS = 2000
"""Dots of a scatter at most: clips are taken evenly."""


class Series(NamedTuple):
    """x, y, low, high: f64 [points]; low and high NaN where there is no interval."""

    style: Style
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def _line(axis: Any, series: Series) -> None:
    style = series.style
    axis.plot(
        series.x,
        series.y,
        color=style.colour,
        linestyle=style.dash,
        linewidth=1.5,
        marker=style.mark,
        markersize=4.5,
        markerfacecolor=style.colour if style.filled else PAPER,
        markeredgecolor=style.colour,
        clip_on=False,
        zorder=3,
    )
    low, high = (np.array(values, float) for values in (series.low, series.high))
    if len(series.x) > 1:
        axis.fill_between(series.x, low, high, color=style.colour, alpha=0.12, linewidth=0)
    else:
        axis.vlines(series.x, low, high, color=style.colour, linewidth=1.2)


def few_shot(
    name: str,
    label: str,
    title: str,
    series: Sequence[Series],
    levels: Sequence[tuple[Style, float]],
    chance: float | None,
    ticks: Mapping[float, str],
    top: float,
    what: str,
) -> str:
    """A measure, times 100 and up to `top`, against labelled clips on a log scale; `levels` are
    those of arms that are fitted on none; `what` the clips are."""

    def paint(axis: Any) -> None:
        axis.set_xscale("log", base=2)
        for style, value in levels:
            axis.axhline(value, color=style.colour, linestyle=style.dash, linewidth=1.2)
        if chance is not None:
            axis.axhline(chance, color=MUTED, linewidth=0.8, linestyle=FAINT)
        for one in series:
            _line(axis, one)
        axis.set(title=title, ylim=(_bottom(series), top), xlabel=what)
        shown = _spaced(ticks)
        axis.set_xticks(list(shown), list(shown.values()))
        axis.set_xticks([], minor=True)
        axis.grid(axis="y")

    return draw(name, label, 220, paint)


def _bottom(series: Sequence[Series]) -> float:
    """0, or the lowest value below it."""
    values = np.concatenate([np.zeros(1), *(np.ravel([one.y, one.low]) for one in series)])
    return float(np.nanmin(values))


def lossy(name: str, label: str, series: Sequence[Series], chance: float | None, top: float) -> str:
    """A measure, times 100 and up to `top`, against the share of the frames that is lost, in %."""

    def paint(axis: Any) -> None:
        if chance is not None:
            axis.axhline(chance, color=MUTED, linewidth=0.8, linestyle=FAINT)
        for one in series:
            _line(axis, one)
        axis.set(xlim=(0, 100), ylim=(_bottom(series), top))
        axis.set(xlabel="frames of face and speech lost, %")
        axis.set_xticks([0, 25, 50, 75, 100])
        axis.grid(axis="y")

    return draw(name, label, 240, paint)


def scatter(name: str, label: str, title: str, true: np.ndarray, predicted: np.ndarray) -> str:
    """Predicted against true values, a dot a clip, of at most _DOTS clips."""
    kept = slice(None, None, len(true) // _DOTS + 1)
    true, predicted = true[kept], predicted[kept]

    def paint(axis: Any) -> None:
        ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
        axis.plot(ends, ends, color=MUTED, linewidth=0.8, linestyle=FAINT)
        size = float(np.clip(2000 / len(true), 2, 18))
        axis.scatter(
            true, predicted, s=size, color=ACCENT, alpha=0.5, linewidth=0, rasterized=False
        )
        axis.set(title=title, xlabel="true", ylabel="predicted")
        axis.grid()

    return draw(name, label, 260, paint)


def _spaced(ticks: Mapping[float, str]) -> dict[float, str]:
    """The ticks whose labels do not run into the next one on a log scale; the last one stays."""
    places = sorted(ticks, reverse=True)
    apart = (places[0] / places[-1]) ** 0.08
    kept = places[:1]
    for place in places[1:]:
        if kept[-1] / place >= apart:
            kept.append(place)
    return {place: ticks[place] for place in sorted(kept)}


def reliability(name: str, label: str, title: str, bins: Sequence[Mapping[str, Any]]) -> str:
    """Share of right answers against stated confidence; a dot's area is its share of the clips."""
    bins = [one for one in bins if one["clips"]]
    total = sum(one["clips"] for one in bins)

    def paint(axis: Any) -> None:
        axis.plot([0, 100], [0, 100], color=MUTED, linewidth=0.8, linestyle=FAINT)
        x, y = (np.array([100 * one[key] for one in bins]) for key in ("confidence", "accuracy"))
        area = np.array([8 + 320 * one["clips"] / total for one in bins])
        axis.vlines(x, x, y, color=ACCENT, linewidth=1.2, alpha=0.5)
        axis.scatter(x, y, s=area, color=ACCENT, alpha=0.75, linewidth=0, zorder=3, clip_on=False)
        axis.set(xlim=(0, 100), ylim=(0, 100), title=title)
        axis.set(xlabel="confidence, %", ylabel="right, %")
        axis.set_xticks([0, 25, 50, 75, 100])
        axis.set_yticks([0, 25, 50, 75, 100])
        axis.grid()

    return draw(name, label, 260, paint)


def strips(
    name: str,
    label: str,
    rows: Mapping[str, tuple[Sequence[float], Sequence[bool]]],
    chance: float | None,
    measure: str,
) -> str:
    """A dot a speaker, a row an arm: (measure times 100 [speakers], whether the dot is filled)."""
    found = np.concatenate([np.array(values, float) for values, _ in rows.values()])
    lowest = min([0.0, *found[~np.isnan(found)]])

    def paint(axis: Any) -> None:
        if chance is not None:
            axis.axvline(chance, color=MUTED, linewidth=0.8, linestyle=FAINT)
        for place, (values, filled) in enumerate(rows.values()):
            values, filled = np.array(values, float), np.array(filled, bool)
            at = place + _apart(values)
            for kind, face in ((filled, ACCENT), (~filled, PAPER)):
                axis.scatter(
                    values[kind], at[kind], s=20, facecolor=face, edgecolor=ACCENT, zorder=3,
                    linewidth=1.0, clip_on=False,
                )  # fmt: skip
            there = values[~np.isnan(values)]
            if len(there):
                mean = there.mean()
                axis.vlines(mean, place - 0.36, place + 0.36, color=INK, linewidth=1.8, zorder=4)
        axis.set_yticks(range(len(rows)), list(rows))
        axis.tick_params(axis="y", length=0, labelcolor=INK)
        axis.set(xlim=(lowest, 100), ylim=(len(rows) - 0.5, -0.5), xlabel=measure)
        axis.spines["left"].set_visible(False)
        axis.grid(axis="x")

    return draw(name, label, 60 + 44 * len(rows), paint)


def _apart(values: np.ndarray) -> np.ndarray:
    """f64 [n] offsets that keep dots of nearly the same value from hiding each other."""
    out = np.zeros(len(values))
    order = np.argsort(values, kind="stable")
    lanes = np.array([0.0, 0.16, -0.16, 0.3, -0.3])
    free = np.full(len(lanes), -np.inf)
    for one in order:
        lane = int(np.argmax(free <= values[one])) if (free <= values[one]).any() else 0
        free[lane] = values[one] + 2.4
        out[one] = lanes[lane]
    return out


def differences(
    name: str,
    label: str,
    title: str,
    rows: Mapping[str, Sequence[tuple[Style, Mapping[str, Any]]]],
    reach: float,
    measure: str,
) -> str:
    """A row a subset: differences up to `reach` points, with their intervals, beside the line of no
    change."""
    count = max(map(len, rows.values()))

    def paint(axis: Any) -> None:
        axis.axvline(0, color=INK, linewidth=0.9)
        for place, cells in enumerate(rows.values()):
            for i, (style, cell) in enumerate(cells):
                at = place + (i - (count - 1) / 2) * 0.26
                if cell["low"] is not None:
                    span = [100 * cell["low"], 100 * cell["high"]]
                    axis.plot(span, [at, at], color=style.colour, linewidth=1.4)
                face = style.colour if style.filled else PAPER
                axis.plot(
                    [100 * cell["value"]], [at], marker=style.mark, color=style.colour,
                    markerfacecolor=face, markersize=5, linestyle="none",
                )  # fmt: skip
        axis.set_yticks(range(len(rows)), list(rows))
        axis.tick_params(axis="y", length=0, labelcolor=INK)
        axis.set(title=title, xlabel=f"difference in {measure}, points")
        axis.set(xlim=(-reach, reach), ylim=(len(rows) - 0.5, -0.5))
        axis.spines["left"].set_visible(False)
        axis.grid(axis="x")

    return draw(name, label, 70 + (16 + 12 * count) * len(rows), paint)
