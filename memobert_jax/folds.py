"""How a protocol deals the clips out: by the values of one column, to the parts of each fold.

A definition is a value. The published ones stand in `published.py`; a user's own comes from a file:

    {"name": "my_folds", "version": 1,
     "dataset": "my_corpus", "dataset_version": "1",      (both may be left out)
     "by": "speaker", "disjoint": ["speaker"], "unseen": ["session"],
     "folds": [{"train": ["s1", "s2"], "validation": ["s3"], "test": ["s4"]}, ...]}

`by` may also be `split` or `id`. `disjoint` are the columns of which no two parts may share a
value, `unseen` those of which validation and test may share none with train; write [] for none.
"""

import dataclasses
import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memobert_jax.config import LABEL_WORDS, SENTIMENTS, VALUES

PARTS = ("train", "validation", "test")
GROUPS = ("video_id", "speaker", "session", "dialogue")
"""Columns that name what clips have in common."""

Fold = Mapping[str, Sequence[str]]
"""Part -> values of the column by which the clips are dealt out."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """A figure that others published under a protocol.

    Attributes:
      name: what reached it; source: where it stands.
      metric, subset, value: as results have them.
      target, classes: what was predicted, and how many classes there were.
    """

    name: str
    source: str
    metric: str
    subset: str
    value: float
    target: str
    classes: int


@dataclasses.dataclass(frozen=True)
class Definition:
    """A protocol before it meets a dataset.

    Attributes:
      name, version: what a result carries.
      by: `split`, `id` or a group column.
      folds: (column name -> its values [clips]) -> the folds.
      disjoint: columns of which no two parts may share a value.
      unseen: columns of which neither validation nor test may share a value with train.
      dataset: name of the only dataset that it is for; '': any.
      dataset_version: its version, or the first numbers of it; '': any.
      targets: what may be predicted.
      classes: names of emotions that have to be the classes; (): any.
      closed: whether the dataset may have no other emotion, because another one means that it is a
        configuration with other classes.
      needs: modalities that a clip has to have.
      ids: pattern that is found in the ids of the clips it is about; '': in all.
      rule: how the folds are made, in words.
      references: what others published; no part of what the protocol is.
    """

    name: str
    version: int
    by: str
    folds: Callable[[Callable[[str], np.ndarray]], list[Fold]]
    disjoint: tuple[str, ...]
    unseen: tuple[str, ...] = ()
    dataset: str = ""
    dataset_version: str = ""
    targets: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    closed: bool = False
    needs: tuple[str, ...] = ()
    ids: str = ""
    rule: str = ""
    references: tuple[Reference, ...] = ()


def by_split(splits: Mapping[str, str], disjoint: Sequence[str]) -> Definition:
    """The protocol that the dataset's own splits make.

    Args:
      splits: part -> name of its split; parts that are not needed may be left out.
      disjoint: columns of which no two parts may share a value.
    """
    fold = {part: (split,) for part, split in splits.items()}
    return Definition(
        name="by_split",
        version=1,
        by="split",
        folds=lambda column: [fold],
        disjoint=tuple(disjoint),
        rule="the dataset's own splits",
    )


def check_dataset(definition: Definition, dataset: Mapping[str, str], path: str | Path) -> None:
    """Raises ValueError if a definition is for another dataset, or for another version of it.

    Args:
      definition: the protocol.
      dataset: `name` and `version` of what is there; a version that is not recorded passes.
      path: where it is.
    """
    name, version, found = definition.dataset, definition.dataset_version, dataset["version"]
    same = not version or not found or f"{found}.".startswith(f"{version}.")
    if name and not (dataset["name"] == name and same):
        raise ValueError(
            f"protocol {definition.name} version {definition.version} is for the dataset {name} "
            f"{version}, but {path} is {dataset['name']} {found or '(version not recorded)'}: give "
            "features of that dataset, or a protocol of your own (a .json file)"
        )


def check_classes(definition: Definition, target: str, classes: Sequence[str]) -> None:
    """Raises ValueError if a definition has not this target, or has other classes."""
    if definition.targets and target not in definition.targets:
        raise ValueError(
            f"protocol {definition.name} has no target {target!r}; it has "
            f"{', '.join(definition.targets)}"
        )
    wanted = () if target in (*SENTIMENTS, *VALUES) else definition.classes
    if wanted and sorted(wanted) != sorted(classes):
        words = tuple(LABEL_WORDS[name] for name in wanted)
        raise ValueError(
            f"protocol {definition.name} has the classes {wanted}, but prompt.classes is "
            f'{tuple(classes)}: give --config.prompt.classes="{wanted}" '
            f'--config.prompt.label_words="{words}"'
        )


def check_emotions(definition: Definition, emotions: Sequence[str], where: str) -> None:
    """Raises ValueError if a `closed` definition meets a dataset with other emotions.

    Args:
      definition: the protocol.
      emotions: names of those that the clips have.
      where: the dataset, in words.
    """
    others = sorted(set(emotions) - set(definition.classes))
    if definition.closed and others:
        raise ValueError(
            f"protocol {definition.name} is for a configuration of {definition.dataset} with no "
            f"other labels than {', '.join(definition.classes)}, but {where} has "
            f"{', '.join(others)} too: the same names mean other clips there"
        )


_KEYS = ("name", "version", "by", "disjoint", "folds")
_OPTIONAL = ("unseen", "dataset", "dataset_version")


def from_file(path: str | Path) -> Definition:
    """A user's own protocol.

    Raises:
      FileNotFoundError: if there is no file.
      ValueError: if it is not of the form above; the message says where.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no protocol file {str(path)!r}")
    try:
        given = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise ValueError(f"{path}: expected an object with {', '.join(_KEYS)}")
    _check_keys(path, given)
    values = {name: tuple(given.get(name, ())) for name in ("disjoint", "unseen")}
    for name, columns in values.items():
        _check_columns(f"{path}: {name}", columns, GROUPS)
    _check_columns(f"{path}: by", [given["by"]], (*GROUPS, "split", "id"))
    folds = [_fold(f"{path}: fold {i}", fold) for i, fold in enumerate(given["folds"])]
    if not folds:
        raise ValueError(f"{path}: folds is empty")
    return Definition(
        name=str(given["name"]),
        version=int(given["version"]),
        by=given["by"],
        folds=lambda column: folds,
        dataset=str(given.get("dataset", "")),
        dataset_version=str(given.get("dataset_version", "")),
        rule=f"as in {path.name}",
        **values,
    )


def _check_keys(path: Path, given: Mapping[str, Any]) -> None:
    for name in given:
        if name not in (*_KEYS, *_OPTIONAL):
            near = difflib.get_close_matches(name, (*_KEYS, *_OPTIONAL), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{path}: unknown key {name!r}{hint}")
    if missing := [name for name in _KEYS if name not in given]:
        raise ValueError(f"{path}: missing {', '.join(missing)}")
    for name, kind in (("version", int), ("name", str), ("by", str), ("folds", list)):
        if not isinstance(given[name], kind):
            raise ValueError(f"{path}: {name} is {given[name]!r}; expected {kind.__name__}")
    for name in ("disjoint", "unseen"):
        if not isinstance(given.get(name, []), list):
            raise ValueError(f"{path}: {name} is {given[name]!r}; expected a list of columns")


def _check_columns(where: str, columns: Sequence[str], known: Sequence[str]) -> None:
    for column in columns:
        if column not in known:
            near = difflib.get_close_matches(str(column), known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"{where} names {column!r}; {hint}Expected one of {', '.join(known)}")


def _fold(where: str, given: Any) -> Fold:
    if not isinstance(given, dict) or set(given) != set(PARTS):
        raise ValueError(f"{where} is {given!r}; expected an object with {', '.join(PARTS)}")
    for part, values in given.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ValueError(f"{where}: {part} is {values!r}; expected a list of strings")
    return {part: tuple(given[part]) for part in PARTS}
