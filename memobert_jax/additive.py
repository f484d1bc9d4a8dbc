"""Measures that are functions of sums over clips: what a resampling of speakers adds up.

A clip contributes a few numbers (a hit, its class, its prediction; or products of two values). A
measure of any weighted set of clips then follows from the weighted sum alone, so that thousands of
resamples are one matrix product. The same measures by scikit-learn and scipy: `scores`, `measures`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_CONSTANT = 1e-12
"""Variance, relative to the mean square, below which a value counts as constant."""


class Terms(NamedTuple):
    """Contributions of clips, and what follows from their sums.

    values: f64 [runs, subsets, clips, terms], 0 where a clip was not scored.
    scored: bool [runs, subsets, clips].
    measures: sums f64 [..., terms] -> measure -> f64 [...], NaN where it is undefined.
    """

    values: np.ndarray
    scored: np.ndarray
    measures: Callable[[np.ndarray], dict[str, np.ndarray]]


def single_label(log_probs: np.ndarray, labels: np.ndarray, classes: int | None = None) -> Terms:
    """`uar`, `accuracy`, `weighted_f1` and `macro_f1`, over the classes that are among the clips.

    The predicted class is the most probable one; of equals, the first.

    Args:
      log_probs: f32 [runs, subsets, clips, classes], without `runs`, or without `runs` and
        `subsets`; NaN where a clip could not be scored.
      labels: i32 [clips], negative where there is no label: not scored.
      classes: how many of the last axis are; what lies behind them is no class, and a wrong answer
        where it is most probable. By default all are.

    Raises:
      ValueError: if the shapes do not fit, or a label is none of the classes.
    """
    log_probs = _lead(log_probs, 2, len(labels))
    outputs = log_probs.shape[-1]
    classes = classes or outputs
    if labels.max(initial=-1) >= classes:
        raise ValueError(f"label {labels.max()} with {classes} classes; expected less than that")
    scored = ~np.isnan(log_probs).any(-1) & (labels >= 0)
    one_hot = np.eye(outputs)[:, :classes]
    true = np.broadcast_to(one_hot[labels], (*log_probs.shape[:-1], classes))
    predicted = one_hot[log_probs.argmax(-1)]
    values = np.concatenate([true * predicted, true, predicted], -1) * scored[..., None]
    return Terms(values, scored, _single_label)


def _single_label(sums: np.ndarray) -> dict[str, np.ndarray]:
    hits, true, predicted = np.split(sums, 3, -1)
    present, clips = true > 0, true.sum(-1)
    f1 = np.where(present, _ratio(2 * hits, true + predicted), np.nan)
    return {
        "uar": _mean(np.where(present, _ratio(hits, true), np.nan)),
        "accuracy": _ratio(hits.sum(-1), clips),
        "weighted_f1": _ratio(np.where(present, f1 * true, 0.0).sum(-1), clips),
        "macro_f1": _mean(f1),
    }


def multi_label(log_probs: np.ndarray, labels: np.ndarray, thresholds: np.ndarray) -> Terms:
    """`w_acc`, `f1_weighted`, `f1_binary` and `accuracy` by label, and their means over the labels.

    As `measures.multi_label`; a label is predicted where its probability reaches its threshold.

    Args:
      log_probs: f32 [runs, subsets, clips, labels] or with fewer leading axes, NaN where a clip
        could not be scored.
      labels: [clips, labels] of 0 and 1, negative where not known: the clip is not scored.
      thresholds: [labels] probabilities.

    Raises:
      ValueError: if the shapes do not fit.
    """
    log_probs = _lead(log_probs, 2, len(labels))
    labels = labels.astype(np.int8)
    scored = ~np.isnan(log_probs).any(-1) & (labels >= 0).all(-1)
    said, true = reaches(log_probs, thresholds), labels == 1
    cells = [said & true, said & ~true, ~said & true, ~said & ~true]
    values = np.concatenate(cells, -1) * scored[..., None].astype(np.float64)
    return Terms(values, scored, _multi_label)


def reaches(log_probs: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Where probabilities reach their thresholds, bool like `log_probs` f32 [..., labels]."""
    with np.errstate(divide="ignore"):
        bounds = np.log(np.asarray(thresholds, np.float64)).astype(np.float32)
    return np.asarray(log_probs, np.float32) >= bounds


def _multi_label(sums: np.ndarray) -> dict[str, np.ndarray]:
    tp, fp, fn, tn = np.split(sums, 4, -1)
    positive, negative = tp + fn, fp + tn
    clips = positive + negative
    f1 = np.where(positive + fp > 0, _ratio(2 * tp, 2 * tp + fp + fn), 0.0)
    f1_negative = np.where(negative + fn > 0, _ratio(2 * tn, 2 * tn + fp + fn), 0.0)
    by_label = {
        "w_acc": (_ratio(tp, positive) + _ratio(tn, negative)) / 2,
        "f1_weighted": _ratio(f1 * positive + f1_negative * negative, clips),
        "f1_binary": np.where(positive > 0, f1, np.nan),
        "accuracy": _ratio(tp + tn, clips),
    }
    return {name: _mean(values) for name, values in by_label.items()}


def regression(predicted: np.ndarray, true: np.ndarray) -> Terms:
    """`pearson`, `ccc` and `mae`, as `measures.regression`.

    Args:
      predicted: [runs, subsets, clips] or with fewer leading axes, NaN where not scored.
      true: [clips], NaN where there is no value.

    Raises:
      ValueError: if the shapes do not fit.
    """
    x = _lead(predicted, 1, len(true)).astype(np.float64)
    y = np.broadcast_to(true.astype(np.float64), x.shape)
    scored = ~np.isnan(x) & ~np.isnan(y)
    known = true[~np.isnan(true)]
    # One centre for all: sums of squares stay exact, and sums of two arms can be exchanged.
    centre = float(np.median(known)) if len(known) else 0.0
    x, y = (np.where(scored, values - centre, 0.0) for values in (x, y))
    values = np.stack([scored, x, y, x * x, y * y, x * y, np.abs(x - y)], -1)
    return Terms(values, scored, _regression)


def _regression(sums: np.ndarray) -> dict[str, np.ndarray]:
    clips = sums[..., 0]
    x, y, xx, yy, xy, error = np.moveaxis(_ratio(sums[..., 1:], clips[..., None]), -1, 0)
    var_x, var_y = (_variance(mean, square) for mean, square in ((x, xx), (y, yy)))
    covariance = xy - x * y
    return {
        "pearson": _ratio(covariance, np.sqrt(var_x * var_y)),
        "ccc": _ratio(2 * covariance, var_x + var_y + (x - y) ** 2),
        "mae": error,
    }


def _variance(mean: np.ndarray, square: np.ndarray) -> np.ndarray:
    variance = square - mean**2
    return np.where(variance > _CONSTANT * square, variance, 0.0)


def right(correct: np.ndarray) -> Terms:
    """`accuracy` of any decision.

    Args:
      correct: [runs, subsets, clips] or with fewer leading axes: 1, 0, or NaN where not scored.
    """
    correct = _lead(correct, 1, np.shape(correct)[-1])
    scored = ~np.isnan(correct)
    values = np.stack([scored, np.where(scored, correct, 0.0)], -1).astype(np.float64)
    return Terms(values, scored, lambda sums: {"accuracy": _ratio(sums[..., 1], sums[..., 0])})


def _lead(array: np.ndarray, own: int, clips: int) -> np.ndarray:
    """With leading axes [runs, subsets] before its `own` last ones, which begin with the clips."""
    array = np.asarray(array)
    if not own <= array.ndim <= own + 2 or array.shape[-own] != clips:
        raise ValueError(
            f"shape {array.shape} for {clips} labels; expected [runs, subsets, {clips}"
            + ", classes]" * (own == 2)
            + "]" * (own == 1)
            + " or fewer leading axes"
        )
    return array.reshape((1,) * (own + 2 - array.ndim) + array.shape)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """NaN for nothing over nothing and for anything over nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)


def _mean(values: np.ndarray) -> np.ndarray:
    """Over the last axis, of what is defined."""
    there = ~np.isnan(values)
    return _ratio(np.where(there, values, 0.0).sum(-1), there.sum(-1))
