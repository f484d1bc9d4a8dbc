"""Measures of clips by scikit-learn and scipy: AUC, multi-label, regression, calibration.

The measures of single-label classification are in `tasks.py`.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from memobert_jax.additive import reaches

ROUNDINGS = ("nearest", "away")


def restricted(log_probs: np.ndarray) -> np.ndarray:
    """Log-probabilities [..., classes] among the classes alone: each sums to 1."""
    highest = log_probs.max(-1, keepdims=True)
    return log_probs - highest - np.log(np.exp(log_probs - highest).sum(-1, keepdims=True))


def auc(probabilities: np.ndarray, true: np.ndarray) -> float | None:
    """Area under the ROC curve, one against the rest, mean over the classes that allow it.

    A class allows it if some clips are of it and some are not; None if none does.

    Args:
      probabilities: [clips, classes].
      true: bool [clips, classes].
    """
    from sklearn.metrics import roc_auc_score

    kept = [c for c in range(true.shape[1]) if 0 < true[:, c].sum() < len(true)]
    return _mean([float(roc_auc_score(true[:, c], probabilities[:, c])) for c in kept])


def multi_label(
    log_probs: np.ndarray, labels: np.ndarray, thresholds: np.ndarray
) -> dict[str, Any]:
    """Measures of Dai et al. 2020 (2009.09629) for labels that may hold together.

    `w_acc` is (TP N / P + TN) / 2N, which is balanced accuracy; `f1_weighted` the F1 of "holds" and
    that of "does not", weighted by their clips (high where a label is rare, whatever is said, hence
    beside it `f1_binary`, of "holds" alone); `auc` needs no threshold.

    Args:
      log_probs: f32 [clips, labels] log-probability that a label holds; NaN where not scored.
      labels: [clips, labels] of 0 and 1, negative where not known: the clip is not scored.
      thresholds: [labels]; a label is predicted where its probability is that or more.

    Returns:
      `scored` clips; `labels`: for each label its `positives`, the measures above and `accuracy`,
      None where undefined (a label that always or never holds has no `w_acc` and no `auc`, one that
      never holds no `f1_binary`); the mean of each measure over the labels that have it; `exact`,
      the share of clips with every label right.
    """
    from sklearn.metrics import accuracy_score

    names = ("w_acc", "f1_weighted", "f1_binary", "auc", "accuracy")
    there = ~np.isnan(log_probs).any(-1) & (labels >= 0).all(-1)
    log_probs, true = log_probs[there], labels[there] == 1
    if not there.any():
        return {"scored": 0, "labels": [], **dict.fromkeys((*names, "exact"))}
    said = reaches(log_probs, thresholds)
    found = [_label(log_probs[:, i], true[:, i], said[:, i]) for i in range(true.shape[1])]
    means = {name: _mean([one[name] for one in found]) for name in names}
    exact = float(accuracy_score(true, said))
    return {"scored": int(there.sum()), "labels": found, **means, "exact": exact}


def _label(log_probs: np.ndarray, true: np.ndarray, said: np.ndarray) -> dict[str, Any]:
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

    both = 0 < true.sum() < len(true)
    return {
        "positives": int(true.sum()),
        "w_acc": float(balanced_accuracy_score(true, said)) if both else None,
        "f1_weighted": float(f1_score(true, said, average="weighted", zero_division=0.0)),
        "f1_binary": float(f1_score(true, said, zero_division=0.0)) if true.any() else None,
        "auc": auc(np.exp(log_probs[:, None]), true[:, None]),
        "accuracy": float(accuracy_score(true, said)),
    }


def regression(predicted: np.ndarray, true: np.ndarray) -> dict[str, Any]:
    """Of sentiment, valence, arousal or dominance.

    `pearson` is undefined, None, where either side is constant. `ccc` is Lin's concordance
    (Biometrics 45, 1989), 2 cov / (var + var + (difference of means)^2) with variances of the
    population: 0 for a constant prediction, None only where both are the same constant.

    Args:
      predicted, true: [clips], NaN where there is no value: not scored.

    Returns:
      `scored`, `pearson`, `ccc` and `mae`.
    """
    from scipy.stats import ConstantInputWarning, NearConstantInputWarning, pearsonr
    from sklearn.metrics import mean_absolute_error

    there = ~np.isnan(predicted) & ~np.isnan(true)
    x, y = predicted[there].astype(np.float64), true[there].astype(np.float64)
    if not len(x):
        return {"scored": 0, "pearson": None, "ccc": None, "mae": None}
    pearson = None
    if len(x) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConstantInputWarning)
            warnings.simplefilter("error", NearConstantInputWarning)
            try:
                pearson = float(pearsonr(x, y).statistic)
            except (ConstantInputWarning, NearConstantInputWarning):
                pearson = None
    below = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    ccc = 2 * float(((x - x.mean()) * (y - y.mean())).mean()) / below if below else None
    return {
        "scored": len(x),
        "pearson": pearson,
        "ccc": None if ccc is None else float(ccc),
        "mae": float(mean_absolute_error(y, x)),
    }


def sentiment_classes(values: np.ndarray, classes: int, rounding: str = "nearest") -> np.ndarray:
    """i32 classes of sentiment values in [-3, 3], which are cut to that range first.

    With 7 and 5 classes a value is cut to +-3 or +-2 and rounded: `nearest` to the nearest
    integer, halves to the even one (MulT, MMSA); `away` away from zero, so that (0, 1] is 1 (the
    CMU multimodal SDK). With 2 classes 1 is positive, 0 is zero and negative.

    Raises:
      ValueError: for another number of classes or another rounding.
    """
    if rounding not in ROUNDINGS or classes not in (2, 5, 7):
        raise ValueError(
            f"sentiment in {classes} classes rounded {rounding!r}; expected 2, 5 or 7 classes and "
            f"one of {', '.join(ROUNDINGS)}"
        )
    if classes == 2:
        return (values > 0).astype(np.int32)
    if rounding == "away":
        values = np.sign(values) * np.ceil(np.abs(values))
    return np.rint(np.clip(values, -(classes // 2), classes // 2)).astype(np.int32)


def sentiment(predicted: np.ndarray, true: np.ndarray, rounding: str = "nearest") -> dict[str, Any]:
    """Accuracy of classes cut from regression values, `sentiment_classes` on both sides.

    Args:
      predicted, true: [clips], NaN where there is no value: not scored.

    Returns:
      `rounding`, `scored`, `accuracy_7`, `accuracy_5`; `accuracy_2`, positive against negative, and
      `weighted_f1_2`, both on the `scored_2` clips whose true value is not 0; and
      `accuracy_2_with_zero`, on all clips, negative against the rest.
    """
    from sklearn.metrics import accuracy_score, f1_score

    there = ~np.isnan(predicted) & ~np.isnan(true)
    x, y = predicted[there], true[there]
    out: dict[str, Any] = {"rounding": rounding, "scored": len(x), "scored_2": int((y != 0).sum())}
    for classes in (7, 5):
        pair = (sentiment_classes(values, classes, rounding) for values in (y, x))
        out[f"accuracy_{classes}"] = float(accuracy_score(*pair)) if len(x) else None
    out["accuracy_2_with_zero"] = float(accuracy_score(y >= 0, x >= 0)) if len(x) else None
    pair = [sentiment_classes(values[y != 0], 2) for values in (y, x)]
    some = out["scored_2"] > 0
    out["accuracy_2"] = float(accuracy_score(*pair)) if some else None
    f1 = f1_score(*pair, average="weighted", zero_division=0.0) if some else None
    out["weighted_f1_2"] = None if f1 is None else float(f1)
    return out


def calibration(log_probs: np.ndarray, labels: np.ndarray, bins: int = 10) -> dict[str, Any]:
    """Expected calibration error (Guo et al. 2017, 1706.04599) and the table of its bins.

    The confidence of a clip is the probability of its predicted class, among the classes alone.
    Bins hold their upper edge. Those of equal width cut [0, 1]; those of equal mass lie between
    quantiles of the confidences, and clips of the same confidence share a bin.

    Args:
      log_probs: f32 [clips, classes], NaN where not scored.
      labels: i32 [clips], negative where there is none: not scored.

    Returns:
      `scored`, mean `confidence`, `accuracy`, `ece_width`, `ece_mass` (sum over the bins of
      share * |accuracy - confidence|), None where nothing was scored; `width` and `mass`: for each
      bin `low`, `high`, `clips`, `confidence` and `accuracy`, the last two None in an empty bin.
    """
    there = ~np.isnan(log_probs).any(-1) & (labels >= 0)
    among = np.exp(restricted(log_probs[there].astype(np.float64)))
    right = among.argmax(-1) == labels[there] if there.any() else np.zeros(0, bool)
    return holding(among.max(-1, initial=0.0), right, bins)


def holding(confidence: np.ndarray, right: np.ndarray, bins: int = 10) -> dict[str, Any]:
    """`calibration` of anything that is said with a probability.

    Args:
      confidence: f64 [n], NaN where nothing was said.
      right: bool [n], whether it holds.
    """
    names = ("confidence", "accuracy", "ece_width", "ece_mass")
    there = ~np.isnan(confidence)
    confidence, right = confidence[there], right[there]
    if not len(right):
        return {"scored": 0, **dict.fromkeys(names), "width": [], "mass": []}
    edges = {"width": np.linspace(0, 1, bins + 1)}
    edges["mass"] = np.unique(np.quantile(confidence, np.linspace(0, 1, bins + 1)))
    out = {"scored": len(right), "confidence": float(confidence.mean())}
    out["accuracy"] = float(right.mean())
    for name, cut in edges.items():
        out[name] = _reliability(confidence, right, cut)
        gaps = [b["clips"] * abs(b["accuracy"] - b["confidence"]) for b in out[name] if b["clips"]]
        out[f"ece_{name}"] = float(sum(gaps) / len(right))
    return out


def _reliability(confidence: np.ndarray, right: np.ndarray, edges: np.ndarray) -> list[dict]:
    if len(edges) == 1:
        edges = np.repeat(edges, 2)
    bins = np.searchsorted(edges[1:-1], confidence)
    out = []
    for i in range(len(edges) - 1):
        inside = bins == i
        some = inside.any()
        out.append(
            {
                "low": float(edges[i]),
                "high": float(edges[i + 1]),
                "clips": int(inside.sum()),
                "confidence": float(confidence[inside].mean()) if some else None,
                "accuracy": float(right[inside].mean()) if some else None,
            }
        )
    return out


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None
