"""What an evaluation is scored by: one class a clip, several labels, or a number.

A network gives each clip under each modality subset a few outputs: log-probabilities of classes, or
of labels that may hold together, or one value. A task says what to descend on, what to select by,
what to measure, and how the outputs add up over clips. Nothing else asks which task it is.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from memobert_jax import additive, losses, measures
from memobert_jax.config import VALUES, EvaluateConfig
from memobert_jax.measures import restricted


class Task(NamedTuple):
    """A task.

    Attributes:
      name: `single`, `multi` or `regression`.
      metrics: that are summed up over runs; the first is the main one, and higher is better.
      loss: (outputs f32 [..., n], labels) -> mean over the clips that have a label.
      measure: (outputs f32 [clips, n], labels, thresholds) -> measures of one subset.
      selection: (outputs f32 [subsets, clips, n], labels) -> {main metric, `loss`}, means over the
        subsets on which they are defined.
      terms: (outputs f32 [runs, subsets, clips, n], labels, thresholds [runs, 1, clips, n] or
        None) -> `additive.Terms`.
    """

    name: str
    metrics: tuple[str, ...]
    loss: Callable[[jax.Array, jax.Array], jax.Array]
    measure: Callable[..., dict[str, Any]]
    selection: Callable[[np.ndarray, np.ndarray], dict[str, float]]
    terms: Callable[..., additive.Terms]

    @property
    def main(self) -> str:
        return self.metrics[0]

    @property
    def thresholds(self) -> bool:
        """Whether outputs become answers by thresholds, which the validation part gives."""
        return self.name == "multi"


def kind(target: str) -> str:
    """The name of the task that a target of an evaluation is."""
    if target in VALUES:
        return "regression"
    return "multi" if target in ("emotions", "labels") else "single"


def of(cfg: EvaluateConfig) -> Task:
    """The task of an evaluation.

    Raises:
      ValueError: for a scoring that the task does not have.
    """
    name, scoring = kind(cfg.target), cfg.prompt.scoring
    if name == "single":
        return single(len(cfg.prompt.classes), among_others=scoring == "full_vocabulary")
    if scoring != "restricted":
        raise ValueError(
            f"prompt.scoring = {scoring!r} with target {cfg.target!r}: it is about one class a "
            "clip, so leave prompt.scoring at 'restricted'"
            + (", and thresholds from the validation part do the rest" if name == "multi" else "")
        )
    return MULTI if name == "multi" else REGRESSION


def better(one: dict[str, float], other: dict[str, float] | None) -> bool:
    """Whether a selection is better than another, or than none."""
    main = next(iter(one))
    return other is None or (one[main], -one["loss"]) > (other[main], -other["loss"])


def single(classes: int, *, among_others: bool = False) -> Task:
    """One class a clip, the most probable; with `among_others` the last output is none of them."""
    return Task(
        name="single",
        metrics=("uar", "accuracy", "weighted_f1", "macro_f1"),
        loss=losses.vocabulary_entropy if among_others else losses.cross_entropy,
        measure=functools.partial(_measure_class, classes),
        selection=_select_class,
        terms=lambda outputs, labels, thresholds=None: additive.single_label(
            outputs, labels, classes
        ),
    )


def _measure_class(
    classes: int, log_probs: np.ndarray, labels: np.ndarray, thresholds: None = None
) -> dict[str, Any]:
    """Scores of one subset.

    Args:
      classes: how many outputs are one.
      log_probs: f32 [clips, classes or one more], NaN where a clip could not be scored.
      labels: i32 [clips].
      thresholds: of no use here.

    Returns:
      `scored` clips, `classes` that are among them, `uar` and `macro_f1` (mean recall and F1 of
      these), `accuracy`, `weighted_f1`, `auc` (`measures.auc`), `loss` (mean -log p of the true
      class among the outputs), `outside` (mean mass that falls on no class) and `confusion` [true,
      predicted]; None where nothing was scored.
    """
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

    names = ("uar", "accuracy", "weighted_f1", "macro_f1", "auc", "loss", "outside")
    there = ~np.isnan(log_probs[:, 0])
    log_probs, labels = log_probs[there].astype(np.float64), labels[there]
    if not len(labels):
        return {"scored": 0, "classes": 0, **dict.fromkeys(names)}
    among, outputs = restricted(log_probs), log_probs.shape[-1]
    predicted = among.argmax(-1)
    present = np.unique(labels)
    f1 = functools.partial(f1_score, labels, predicted, labels=present, zero_division=0.0)
    return {
        "scored": len(labels),
        "classes": len(present),
        "uar": recall_score(labels, predicted, labels=present, average="macro", zero_division=0.0),
        "accuracy": accuracy_score(labels, predicted),
        "weighted_f1": f1(average="weighted"),
        "macro_f1": f1(average="macro"),
        "auc": measures.auc(np.exp(among), np.eye(outputs, dtype=bool)[labels]),
        "loss": float(-among[np.arange(len(labels)), labels].mean()),
        "outside": float(1 - np.exp(log_probs[:, :classes]).sum(-1).mean()),
        "confusion": confusion_matrix(labels, predicted, labels=np.arange(outputs)).tolist(),
    }


def _select_class(log_probs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The same numbers as `_measure_class` gives, for the many times that a fit asks."""

    def one(log_probs: np.ndarray) -> tuple[float, float] | None:
        there = ~np.isnan(log_probs[:, 0])
        if not there.any():
            return None
        among, true = restricted(log_probs[there].astype(np.float64)), labels[there]
        counts = np.bincount(true, minlength=among.shape[-1])
        hits = np.bincount(true[among.argmax(-1) == true], minlength=among.shape[-1])
        present = counts > 0
        loss = -among[np.arange(len(true)), true].mean()
        return float((hits[present] / counts[present]).mean()), float(loss)

    return _mean_over(map(one, log_probs), "uar")


def _mean_over(found: Any, main: str) -> dict[str, float]:
    score, loss = np.mean([one for one in found if one is not None], axis=0).tolist()
    return {main: score, "loss": loss}


def _log_loss(log_probs: np.ndarray, true: np.ndarray) -> float:
    log_probs = np.minimum(log_probs.astype(np.float64), losses.NEAR_ONE)
    return float(-np.where(true, log_probs, np.log(-np.expm1(log_probs))).mean())


def _measure_labels(
    log_probs: np.ndarray, labels: np.ndarray, thresholds: np.ndarray
) -> dict[str, Any]:
    """`measures.multi_label`, and the `loss` that is descended on."""
    there = ~np.isnan(log_probs[:, 0])
    loss = _log_loss(log_probs[there], labels[there] == 1) if there.any() else None
    return measures.multi_label(log_probs, labels, np.asarray(thresholds)) | {"loss": loss}


def _select_labels(log_probs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """With the thresholds that are best on these clips."""
    terms = additive.multi_label(log_probs, labels, thresholds_of(log_probs, labels))
    f1 = terms.measures(terms.values.sum(2))["f1_binary"][0]

    def one(number: int) -> tuple[float, float] | None:
        there = ~np.isnan(log_probs[number, :, 0])
        if not there.any():
            return None
        return float(f1[number]), _log_loss(log_probs[number, there], labels[there] == 1)

    return _mean_over(map(one, range(len(log_probs))), "f1_binary")


def thresholds_of(log_probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The threshold of each label that gives the highest F1 of "holds", over all subsets together.

    It lies half-way, in log-probability, between the two scores that it divides; of equals the
    highest is taken.

    Args:
      log_probs: f32 [subsets, clips, labels], NaN where not scored.
      labels: [clips, labels] of 0 and 1; each label holds for a clip and for another does not.

    Returns:
      f64 [labels], probabilities.
    """
    there = ~np.isnan(log_probs[..., 0])
    scores, true = log_probs[there], np.broadcast_to(labels, log_probs.shape)[there] == 1
    order = np.argsort(-scores, axis=0, kind="stable")
    scores, true = (np.take_along_axis(array, order, 0) for array in (scores, true))
    said = np.arange(1, len(scores) + 1)[:, None]
    f1 = 2 * true.cumsum(0) / (said + true.sum(0))
    below = np.concatenate([scores[1:], scores[-1:] - 1.0])
    f1[scores == below] = -1.0  # equal scores cannot be divided
    best = f1.argmax(0), np.arange(scores.shape[1])
    return np.exp((scores[best].astype(np.float64) + below[best]) / 2)


def _measure_value(
    values: np.ndarray, labels: np.ndarray, thresholds: None = None
) -> dict[str, Any]:
    """`measures.regression` of values f32 [clips, 1]."""
    return measures.regression(values[:, 0], labels)


def _select_value(values: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """A constant answer has a `ccc` of 0."""
    terms = additive.regression(values[..., 0], labels)
    ccc = np.nan_to_num(terms.measures(terms.values.sum(2))["ccc"][0])
    error = np.where(terms.scored[0], (values[..., 0] - labels) ** 2, 0.0)
    sizes = terms.scored[0].sum(-1)
    scored = zip(ccc.tolist(), error.sum(-1).tolist(), sizes.tolist(), strict=True)
    return _mean_over([(c, e / n) for c, e, n in scored if n], "ccc")


MULTI = Task(
    name="multi",
    metrics=("f1_binary", "w_acc", "f1_weighted", "accuracy"),
    loss=losses.label_entropy,
    measure=_measure_labels,
    selection=_select_labels,
    terms=additive.multi_label,
)
"""Labels that may hold together, each where its probability reaches its threshold."""

REGRESSION = Task(
    name="regression",
    metrics=("ccc", "pearson", "mae"),
    loss=losses.squared_error,
    measure=_measure_value,
    selection=_select_value,
    terms=lambda outputs, labels, thresholds=None: additive.regression(outputs[..., 0], labels),
)
"""A number: sentiment, valence, arousal or dominance."""
