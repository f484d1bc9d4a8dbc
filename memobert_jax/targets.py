"""What is predicted of a clip: its class, the set of its classes, or a value, and why some have
none."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from memobert_jax import record
from memobert_jax.config import SENTIMENTS, VALUES
from memobert_jax.corpus import Corpus
from memobert_jax.measures import sentiment_classes


class Labels(NamedTuple):
    """The labels of all clips of a corpus.

    values: i32 [clips], index of the class or -1; of several classes at once i32 [clips, classes],
    1 where the clip has the class, all -1 where nothing is known; f32 [clips] of values, NaN where
    there is none; why: str [clips], why a clip has
    no label, '' where it has.
    """

    values: np.ndarray
    why: np.ndarray


def read(corpus: Corpus, target: str, classes: Sequence[str]) -> Labels:
    """The labels of a corpus.

    Args:
      corpus: the clips.
      target: one of `config.TARGETS`. `emotion` is the class of a clip; `emotions` are all classes
        whose intensity is above 0; `labels` are the corpus' own names, of which a clip may have
        several; `sentiment_2`, `_5`, `_7` are classes of the sentiment; `sentiment`, `valence`,
        `arousal` and `dominance` are values.
      classes: names, in order.

    Raises:
      ValueError: for a class that the target does not have, or a corpus without the field.
    """
    if target in VALUES:
        values = corpus.column(target).astype(np.float32)
        return Labels(values, np.where(np.isnan(values), f"no {target}", ""))
    if target in SENTIMENTS:
        return _sentiment(corpus.column("sentiment"), target, classes)
    if target == "labels":
        return _names(corpus.column("labels"), classes)
    _check(classes, record.EMOTIONS)
    places = [record.EMOTIONS.index(name) for name in classes]
    if target == "emotions":
        found = [corpus.read(n, ("emotions",))["emotions"] for n in range(len(corpus))]
        return _intensities(np.array(found).reshape(-1, len(record.EMOTIONS))[:, places])
    return _emotion(corpus.column("emotion"), places)


def _check(classes: Sequence[str], known: Sequence[str]) -> None:
    unknown = sorted(set(classes) - set(known))
    if unknown:
        raise ValueError(f"prompt.classes names {unknown}; expected some of {', '.join(known)}")


def _emotion(emotions: np.ndarray, places: Sequence[int]) -> Labels:
    values = np.full(len(emotions), -1, np.int32)
    for number, place in enumerate(places):
        values[emotions == place] = number
    others = [f"label {name} is not among the classes" for name in record.EMOTIONS]
    why = np.array([*others, "no label"])[emotions]
    return Labels(values, np.where(values < 0, why, ""))


def _sentiment(scores: np.ndarray, target: str, classes: Sequence[str]) -> Labels:
    """As `measures.sentiment_classes`; of two classes, 0 is in neither."""
    names = SENTIMENTS[target]
    if sorted(classes) != sorted(names):
        raise ValueError(f"prompt.classes is {tuple(classes)}; target {target} has {names}")
    there = ~np.isnan(scores)
    known = there & ((scores != 0) | (len(names) > 2))
    found = sentiment_classes(scores[known], len(names))
    places = np.array([list(classes).index(name) for name in names])
    values = np.full(len(scores), -1, np.int32)
    values[known] = places[found if len(names) == 2 else found + len(names) // 2]
    why = np.where(there, "sentiment 0 is neither negative nor positive", "no sentiment")
    return Labels(values, np.where(known, "", why))


def _names(labels: np.ndarray, classes: Sequence[str]) -> Labels:
    sets = [set(filter(None, text.split(","))) for text in labels.tolist()]
    known = set().union(*sets)
    if unknown := sorted(set(classes) - known):
        raise ValueError(f"prompt.classes names {unknown}; the clips have {sorted(known)}")
    values = np.array([[name in found for name in classes] for found in sets], np.int32)
    return _several(values.reshape(len(sets), len(classes)), np.array([bool(s) for s in sets]))


def _intensities(found: np.ndarray) -> Labels:
    return _several((found > 0).astype(np.int32), ~np.isnan(found).any(1))


def _several(values: np.ndarray, known: np.ndarray) -> Labels:
    values[~known] = -1
    return Labels(values, np.where(known, "", "no label"))
