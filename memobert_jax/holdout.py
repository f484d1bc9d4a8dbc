"""Clips that nothing may learn from, not even without labels, because a protocol tests on them.

A hold-out is the name of a protocol and the number of a fold, "ravdess_5fold_actor:0", or the path
of a .json file in place of the name.
"""

from collections.abc import Sequence

import numpy as np

from memobert_jax import folds, published
from memobert_jax.features import FeaturesDataset


def ids(dataset: FeaturesDataset, hold_out: Sequence[str]) -> list[str]:
    """Ids of the clips of a split that are in the test part of one of some folds, in order.

    A protocol that is for another dataset holds nothing out.

    Raises:
      FileNotFoundError, ValueError: for a protocol or fold that there is not, or another version
        of its dataset.
    """
    if not hold_out:  # the columns of a large corpus are not read for nothing
        return []
    names, held = np.array(dataset.column("id")), np.zeros(len(dataset), bool)
    # Folds are those of the whole corpus, whichever split of it is asked about.
    splits = FeaturesDataset.splits(dataset.path)
    every = [FeaturesDataset(dataset.path, split) for split in splits]
    for one in hold_out:
        definition, fold = _parsed(one)
        if definition.dataset not in ("", dataset.dataset["name"]):
            continue
        folds.check_dataset(definition, dataset.dataset, dataset.path)
        dealt = definition.folds(lambda name: np.concatenate([_column(d, name) for d in every]))
        if fold >= len(dealt):
            raise ValueError(
                f"hold_out = {one!r}: the protocol has {len(dealt)} folds, numbered from 0"
            )
        held |= np.isin(_column(dataset, definition.by), dealt[fold].get("test", ()))
    return names[held].tolist()


def _column(dataset: FeaturesDataset, name: str) -> np.ndarray:
    if name == "split":
        return np.full(len(dataset), dataset.split)
    return np.array(dataset.column(name))


def _parsed(text: str) -> tuple[folds.Definition, int]:
    name, colon, fold = text.rpartition(":")
    if not colon or not fold.isdecimal():
        raise ValueError(
            f"hold_out = {text!r}; expected a protocol and the number of a fold, as in "
            "'ravdess_5fold_actor:0'"
        )
    return published.find(name), int(fold)
