"""Leaks: clips, speakers, sessions or dialogues that two parts of a protocol share."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from memobert_jax.corpus import Corpus
from memobert_jax.folds import PARTS, Definition


def check(
    corpus: Corpus,
    parts: Mapping[str, np.ndarray],
    definition: Definition,
    same: tuple[str, ...] = (),
) -> None:
    """Raises ValueError, with offending values and clips, if two parts share what they must not.

    Args:
      corpus: the clips.
      parts: part -> numbers of all its clips.
      definition: which columns count.
      same: two parts that are one on purpose.
    """
    for one, other in itertools.combinations([part for part in PARTS if part in parts], 2):
        if same == (one, other):
            continue
        columns = ("id", *definition.disjoint)
        if one == "train":
            columns += definition.unseen
        for column in dict.fromkeys(columns):
            values = corpus.column(column)
            both = np.intersect1d(values[parts[one]], values[parts[other]])
            if len(both := both[both != ""]):
                clips = parts[other][np.isin(values[parts[other]], both)]
                _refuse_leak(
                    definition, column, one, other, both.tolist(), corpus.column("id")[clips]
                )


def _refuse_leak(
    definition: Definition, column: str, one: str, other: str, shared: list, ids: np.ndarray
) -> None:
    where = "evaluate's `disjoint`" if definition.name == "by_split" else "the protocol"
    if column != "id":
        advice = (
            f"split the data by {column}, or, if that is what you want to measure, leave "
            f"{column!r} out of {where}"
        )
    elif (one, other) == ("validation", "test"):
        advice = (
            "nothing is selected on clips that are scored; give three different splits. "
            "--reproduce=test_oracle does it all the same, and stamps every output"
        )
    else:
        advice = "give three different splits"
    raise ValueError(
        f"protocol {definition.name} leaks: the parts {one} and {other} share {len(shared)} values "
        f"of {column} ({some(shared)}; {len(ids)} clips of {other}: {some(ids.tolist())}): "
        f"{advice}"
    )


def check_tested_once(corpus: Corpus, tests: Sequence[np.ndarray]) -> None:
    """Scores are pooled over the folds: a clip has one place there, and one name."""
    numbers = np.concatenate(tests) if tests else np.zeros(0, np.int32)
    ids = corpus.column("id")[numbers]
    names, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"{(counts > 1).sum()} ids of {corpus.path} are in the test part more than once "
            f"({some(names[counts > 1].tolist())}): a clip is tested in one fold"
        )


def some(values: Sequence[str]) -> str:
    """The first of some values, for a message."""
    return ", ".join(map(repr, values[:5])) + (", ..." if len(values) > 5 else "")
