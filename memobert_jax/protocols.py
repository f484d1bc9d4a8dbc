"""Evaluation protocols: which clips are fitted on, selected on and scored, and nothing else.

A protocol is a definition (`folds.py`, `published.py`) that has met a dataset: clip numbers by fold
and part, checked for leaks when it is made.
"""

import dataclasses
import functools
import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from memobert_jax import folds, leaks, record, targets
from memobert_jax.corpus import Corpus
from memobert_jax.folds import PARTS, Definition
from memobert_jax.targets import Labels

NO_PART = "no part"


class Fold(NamedTuple):
    """parts: part -> i32 numbers of its usable clips; excluded: part, or NO_PART, -> reason ->
    clips that cannot be used."""

    parts: Mapping[str, np.ndarray]
    excluded: Mapping[str, Mapping[str, int]]


@dataclasses.dataclass(frozen=True, eq=False)
class Protocol:
    """Clips by fold and part.

    Attributes:
      definition: how they are dealt out.
      target, classes: what is predicted.
      folds: at least one.
      labels: of all clips of the corpus.
      ids: str [clips of the corpus].
      unchecked: column that must not be shared -> clips without a value in it.
      source: dataset folder, name and version, splits and their fingerprints.
    """

    definition: Definition
    target: str
    classes: tuple[str, ...]
    folds: tuple[Fold, ...]
    labels: Labels
    ids: np.ndarray
    unchecked: Mapping[str, int]
    source: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.definition.name

    def has(self, label: int, clips: np.ndarray) -> np.ndarray:
        """bool [clips]: which of some clips have a class; of values, which have one."""
        found = self.labels.values[clips]
        if found.dtype.kind == "f":
            return ~np.isnan(found)
        return found == label if found.ndim == 1 else found[:, label] == 1

    def counts(self, part: str, fold: int = 0) -> dict[str, int]:
        """Clips of each class in a part."""
        clips = self.folds[fold].parts[part]
        return {name: int(self.has(i, clips).sum()) for i, name in enumerate(self.classes)}

    def digest(self, part: str, fold: int) -> str:
        """12 hex digits of the ids and labels of a part."""
        clips = self.folds[fold].parts[part]
        pairs = zip(self.ids[clips].tolist(), self.labels.values[clips].tolist(), strict=True)
        return _hash(sorted(pairs))

    @functools.cached_property
    def fingerprint(self) -> str:
        """12 hex digits of everything that decides which clip is where and what it is.

        Features of other encoders have the same.
        """
        rules = self.definition
        values = [rules.name, rules.version, rules.disjoint, rules.unseen]
        return _hash(values + [self.fold_fingerprint(i) for i in range(len(self.folds))])

    def fold_fingerprint(self, fold: int) -> str:
        """12 hex digits of which clip is where in a fold and what it is."""
        parts = sorted(self.folds[fold].parts)
        return _hash([self.target, self.classes, [(p, self.digest(p, fold)) for p in parts]])

    def describe(self) -> dict[str, Any]:
        """JSON-able: what a result says of its protocol."""
        rules = self.definition
        return {
            "name": rules.name,
            "version": rules.version,
            "fingerprint": self.fingerprint,
            "rule": rules.rule,
            "disjoint": list(rules.disjoint),
            "unseen": list(rules.unseen),
            "target": self.target,
            "classes": list(self.classes),
            "folds": [
                {
                    "clips": {part: self.counts(part, i) for part in fold.parts},
                    "sizes": {part: len(clips) for part, clips in fold.parts.items()},
                    "excluded": {part: dict(found) for part, found in fold.excluded.items()},
                    "digests": {part: self.digest(part, i) for part in fold.parts},
                }
                for i, fold in enumerate(self.folds)
            ],
            "references": [
                dataclasses.asdict(one)
                for one in rules.references
                if (one.target, one.classes) == (self.target, len(self.classes))
            ],
            "unchecked": dict(self.unchecked),
            "source": dict(self.source),
        }


def _hash(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def make(
    corpus: Corpus,
    definition: Definition,
    classes: Sequence[str],
    *,
    target: str = "emotion",
    needed: Sequence[str] = PARTS,
    test_oracle: bool = False,
) -> Protocol:
    """A definition applied to the clips of a dataset.

    Args:
      corpus: its clips.
      definition: how they are dealt out.
      classes: names of the classes, in order.
      target: what is predicted, one of `config.TARGETS`.
      needed: parts that are used: each must hold every class.
      test_oracle: select on the test part, as several publications do; what comes of it must be
        stamped.

    Raises:
      ValueError: for another dataset, target or classes than those of the definition, for a leak,
        an empty part, or a part without one of the classes.
    """
    folds.check_dataset(definition, corpus.dataset, corpus.path)
    folds.check_classes(definition, target, classes)
    emotions = [record.EMOTIONS[n] for n in np.unique(corpus.column("emotion")) if n >= 0]
    where = f"{corpus.path} (config {corpus.dataset['config'] or 'not recorded'})"
    folds.check_emotions(definition, emotions, where)
    labels = targets.read(corpus, target, classes)
    why = _unusable(corpus, definition, labels)
    given = definition.folds(corpus.column)
    dealt = [_deal(corpus, definition, fold) for fold in given]
    for parts in dealt:
        if test_oracle:
            parts["validation"] = parts["test"]
        leaks.check(corpus, parts, definition, same=("validation", "test") if test_oracle else ())
    leaks.check_tested_once(corpus, [parts["test"] for parts in dealt if "test" in parts])
    everyone = np.unique(np.concatenate([clips for parts in dealt for clips in parts.values()]))
    groups = dict.fromkeys((*definition.disjoint, *definition.unseen))
    missing = {name: int((corpus.column(name)[everyone] == "").sum()) for name in groups}
    protocol = Protocol(
        definition=definition,
        target=target,
        classes=tuple(classes),
        folds=tuple(_fold(corpus, definition, parts, why) for parts in dealt),
        labels=labels,
        ids=corpus.column("id"),
        unchecked={name: count for name, count in missing.items() if count},
        source={
            "path": str(corpus.path),
            "dataset": corpus.dataset,
            "splits": list(corpus.splits),
            "fingerprints": corpus.fingerprints,
        },
    )
    for number, part in itertools.product(range(len(given)), needed):
        _check_part(protocol, number, part, given[number].get(part, ()))
    return protocol


def _unusable(corpus: Corpus, definition: Definition, labels: Labels) -> np.ndarray:
    """str [clips]: why a clip cannot be used, '' if it can."""
    why = labels.why.astype(object)
    for modality in definition.needs:
        why[~corpus.has(modality) & (why == "")] = f"no {modality}"
    why[corpus.empty & (why == "")] = "no modality"
    if definition.ids:
        pattern = re.compile(definition.ids)
        other = [not pattern.search(name) for name in corpus.column("id").tolist()]
        why[np.array(other, bool)] = f"id does not match {definition.ids}"
    return why


def _deal(corpus: Corpus, definition: Definition, fold: Mapping[str, Sequence[str]]) -> dict:
    """Part -> i32 numbers of all its clips, usable or not."""
    values = corpus.column(definition.by)
    there = set(corpus.splits) if definition.by == "split" else set(values.tolist())
    for part, names in fold.items():
        if absent := [name for name in names if name not in there or not name]:
            raise ValueError(
                f"protocol {definition.name}: the {part} part names {definition.by} "
                f"{leaks.some(absent)}, of which {corpus.path} has no clip"
            )
    return {part: np.flatnonzero(np.isin(values, names)).astype(np.int32)
            for part, names in fold.items()}  # fmt: skip


def _fold(
    corpus: Corpus, definition: Definition, parts: Mapping[str, np.ndarray], why: np.ndarray
) -> Fold:
    excluded = {part: dict(sorted(Counter(why[clips][why[clips] != ""].tolist()).items()))
                for part, clips in parts.items()}  # fmt: skip
    left = len(corpus) - len(np.unique(np.concatenate(list(parts.values()))))
    if left and definition.by != "split":
        excluded[NO_PART] = {f"{definition.by} in no part": left}
    return Fold({part: clips[why[clips] == ""] for part, clips in parts.items()}, excluded)


def _check_part(protocol: Protocol, fold: int, part: str, names: Sequence[str]) -> None:
    counts = protocol.counts(part, fold)
    missing = [name for name, count in counts.items() if not count]
    where = f"the {part} part ({protocol.definition.by} {leaks.some(names) or 'without a name'})"
    where = f"fold {fold}: {where}" if len(protocol.folds) > 1 else where
    left_out = f"(left out: {protocol.folds[fold].excluded[part] or 'nothing'})"
    if len(missing) == len(counts):
        raise ValueError(
            f"{where} is empty: {protocol.source['path']} has no clip of {', '.join(counts)} in it "
            f"{left_out}"
        )
    if missing:
        raise ValueError(
            f"{where} has no clip of {', '.join(missing)}; it has {counts} {left_out}: take the "
            "class out of prompt.classes and prompt.label_words, or add clips"
        )
