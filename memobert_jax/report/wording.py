"""How a report writes numbers and calls things."""

from collections.abc import Sequence
from typing import Any

from memobert_jax import scores

MEASURES = {
    "single": {
        "uar": "UAR",
        "accuracy": "Accuracy (WA)",
        "weighted_f1": "Weighted F1",
        "macro_f1": "Macro F1",
    },
    "multi": {
        "f1_binary": "Macro F1",
        "w_acc": "W-Acc",
        "f1_weighted": "Weighted F1",
        "accuracy": "Accuracy",
    },
    "regression": {"ccc": "CCC", "pearson": "Pearson r", "mae": "MAE"},
}
"""Task -> its measures, the main one first, and what they are called."""

MEANINGS = {
    "single": "UAR is the share of the clips of a class that are recognised, as mean over the {n} "
    "classes.",
    "multi": "Macro F1 is the F1 of \u201cthe label holds\u201d, as mean over the {n} labels; a "
    "label is said to hold from a probability on that the validation part gave. W-Acc is balanced "
    "accuracy.",
    "regression": "CCC is the concordance (Lin) between what is predicted and what is true: 1 "
    "where both agree, 0 for a constant answer. MAE is the mean distance.",
}
SCORINGS = {
    "restricted": "the label words among themselves",
    "full_vocabulary": "the label words against every other word",
    "calibrated": "the label words less what the prompt says of no clip",
}
SHORT = {
    "zero_shot": "no label",
    "prompt": "prompt",
    "head": "head",
    "probe": "probe",
    "random_init": "random start",
}
MODALITIES = {"T": "text", "F": "face", "S": "speech"}
NONE = "\u2013"
"""Where there is no number."""


def arm(name: str) -> str:
    """An arm in full."""
    return scores.NAMES.get(name, name.replace("_", " "))


def short(name: str) -> str:
    """An arm in a word, for a figure."""
    return SHORT.get(name, name.replace("_", " "))


def modalities(subset: str) -> str:
    """`TFS` as "text, face and speech"; "mean" as it is."""
    names = [MODALITIES[letter] for letter in subset] if subset != "mean" else ["mean"]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f}"


def points(value: float | None) -> str:
    """A difference with its sign."""
    return NONE if value is None else f"{100 * value:+.1f}".replace("-", "\u2212")


def span(low: float | None, high: float | None, signed: bool = False) -> str:
    """An interval, in %; of differences, with signs."""
    if low is None or high is None:
        return NONE
    if signed:
        return f"{points(low)} to {points(high)}"
    return f"{percent(low)}{NONE}{percent(high)}"


def probability(p: float | None) -> str:
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def number(value: float) -> str:
    """Thousands with commas; a fraction with two digits."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def count(value: int, noun: str) -> str:
    """ "1 clip", "2 clips"."""
    return f"{value:,} {noun}" + ("" if value == 1 else "s")


def size(name: Any) -> str:
    """A size of the training part: None, 0 for all of it, clips of each class, or "10%"."""
    if name is None:
        return "none"
    if name == 0:
        return "all"
    return f"{name} a class" if isinstance(name, int) else str(name).replace("%", " %")


def tick(name: Any) -> str:
    """A size on the axis of a curve."""
    return str(name) if isinstance(name, int) and name else size(name)


def fitted_on(name: Any, clips: Sequence[int]) -> str:
    """A size with the labelled clips of its runs, which may differ by fold."""
    if not clips:
        return size(name)
    low, high = min(clips), max(clips)
    return f"{size(name)} ({low:,})" if low == high else f"{size(name)} ({low:,}{NONE}{high:,})"


def plain(value: Any) -> str:
    """Whatever a result says of itself, in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {plain(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return " ".join(map(plain, value)) or "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "not recorded" if value in (None, "") else str(value)
