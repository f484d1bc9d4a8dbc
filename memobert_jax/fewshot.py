"""Few-shot subsets, and the runs of an evaluation: what is fitted on which of them.

Subsets are stratified and nested: with one seed, a smaller subset lies inside a larger one.
"""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from memobert_jax.config import EvaluateConfig, FitConfig
from memobert_jax.protocols import Protocol


class Size(NamedTuple):
    """Of a few-shot subset: clips of each class, or a share of those; 0 and 0: all of them."""

    per_class: int = 0
    share: float = 0.0

    @property
    def label(self) -> int | str:
        """Clips of each class, or a percentage such as "10%"."""
        return f"{100 * self.share:g}%" if self.share else self.per_class


class Run(NamedTuple):
    """One fit of an arm; without seed and size: a score without a fit."""

    fold: int
    seed: int | None = None
    subset_seed: int | None = None
    size: Size | None = None

    @property
    def subset(self) -> tuple:
        """What decides the clips that it is fitted on."""
        return self.fold, None if self.size == Size() else self.subset_seed, self.size

    def name(self, arm: str) -> str:
        """The same in all folds."""
        if self.size is None:
            return arm
        return f"{arm}-{self.seed}-{self.subset_seed}-{self.size.label}"


def runs(cfg: EvaluateConfig, folds: Iterable[int]) -> list[Run]:
    """The fits of an arm in some folds; those on the same clips stand together."""
    if cfg.fit.subset_seeds:
        seeds = [(seed, subset) for subset in cfg.fit.subset_seeds for seed in cfg.seeds]
    else:
        seeds = [(seed, seed) for seed in cfg.seeds]
    found = itertools.product(folds, sizes(cfg.fit), seeds)
    return [Run(fold, *pair, size) for fold, size, pair in found]


def sizes(fit: FitConfig) -> list[Size]:
    """The few-shot sizes of a configuration."""
    return [Size(n) for n in fit.per_class] + [Size(share=share) for share in fit.shares]


def short(protocol: Protocol, size: Size, fold: int) -> dict[str, int]:
    """Class -> its clips in the train part, of classes that have fewer than `per_class`."""
    counts = protocol.counts("train", fold)
    return {name: count for name, count in counts.items() if count < size.per_class}


def few_shot(
    protocol: Protocol, size: Size, seed: int, fold: int = 0, *, fewer: bool = False
) -> np.ndarray:
    """i32 clip numbers of a subset of the train part, each class drawn alike.

    A share is of every class, at least one clip; clips with none of several classes are drawn as a
    class of their own. With several classes a clip, a clip counts for each that it has. With
    `fewer`, a class that has fewer clips than `per_class` gives all of them.

    Raises:
      ValueError: if a class has fewer clips than `per_class`, without `fewer`.
    """
    train = protocol.folds[fold].parts["train"]
    if size == Size():
        return train
    if (missing := short(protocol, size, fold)) and not fewer:
        raise ValueError(
            f"fit.per_class = {size.per_class}, but the train part has only {missing}: lower "
            "per_class, or set fit.fewer to take all that such a class has"
        )
    strata = [train[protocol.has(label, train)] for label in range(len(protocol.classes))]
    strata.append(np.setdiff1d(train, np.concatenate(strata)))
    drawn = []
    for label, clips in enumerate(strata):
        count = size.per_class or max(round(size.share * len(clips)), 1)
        drawn.append(np.random.default_rng([seed, label]).permutation(clips)[:count])
    return np.unique(np.concatenate(drawn))
