"""An output folder of `evaluate`: results.json and the log-probabilities in scores.npz."""

import dataclasses
import functools
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memobert_jax import additive

FORMAT = 2
"""Of results.json."""
RESULTS, SCORES = "results.json", "scores.npz"
ENTRIES = ("checkpoint", "protocol", "scored_part", "chance", "warnings", "arms")
ARRAYS = ("ids", "labels", "speakers", "genders", "fold", "subsets", "classes")


class Key(NamedTuple):
    """Which fit, over all folds: seed and subset seed are None for what is not fitted."""

    seed: int | None
    subset_seed: int | None


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """An output folder of `evaluate`.

    Attributes:
      label: how the report calls it.
      results: results.json; stamp: of it, or of scores.npz, "" where nothing is amiss.
      ids, speakers, genders: str [clips]; labels, fold: i32 [clips], of every clip that is scored.
      subsets, classes: names, in the order of the arrays.
      scores: arm -> size of the training part (`per_class`, None where nothing is fitted) ->
        Key -> log-probabilities f32 [subsets, clips, classes], pooled over the folds.
    """

    label: str
    path: Path
    results: Mapping[str, Any]
    stamp: str
    ids: np.ndarray
    labels: np.ndarray
    speakers: np.ndarray
    genders: np.ndarray
    fold: np.ndarray
    subsets: tuple[str, ...]
    classes: tuple[str, ...]
    scores: Mapping[str, Mapping[Any, Mapping[Key, np.ndarray]]]

    @property
    def protocol(self) -> Mapping[str, Any]:
        return self.results["protocol"]

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(self.scores)

    @property
    def folds(self) -> int:
        return len(self.protocol["folds"])

    @functools.cached_property
    def whole(self) -> str:
        """The subset with most modalities, the last of equals: what the figures are about."""
        return max(reversed(self.subsets), key=len)

    @property
    def focus(self) -> str:
        """The arm that is spoken of first: the fitted prompt, or else the first arm."""
        return "prompt" if "prompt" in self.scores else self.arms[0]

    def clips_fitted(self, arm: str, size: Any) -> list[int]:
        """How many labelled clips each run of a size was fitted on."""
        if size is None:
            return []
        runs = self.results["arms"][arm]["runs"]
        return [run["train_clips"] for run in runs if run["per_class"] == size]

    def sizes(self, arm: str) -> list[Any]:
        """Sizes of the training part, smallest first."""
        return sorted(self.scores[arm], key=lambda size: np.mean(self.clips_fitted(arm, size) or 0))

    def largest(self, arm: str) -> Any:
        return self.sizes(arm)[-1]

    def stacked(self, arm: str, size: Any, keys: Sequence[Key] | None = None) -> np.ndarray:
        """Log-probabilities f32 [runs, subsets, clips, classes]."""
        found = self.scores[arm][size]
        return np.stack([found[key] for key in (found if keys is None else keys)])

    def terms(self, arm: str, size: Any) -> additive.Terms:
        """What the statistics take, of all runs of an arm with a size."""
        return additive.single_label(self.stacked(arm, size), self.labels)


def read(path: Path, label: str) -> Evaluation:
    """The results in a folder.

    Raises:
      FileNotFoundError: if the scores are missing.
      ValueError: for results of another format, or files that do not fit each other.
    """
    results = load(path / RESULTS)
    found = results.get("format") if isinstance(results, dict) else None
    if found != FORMAT:
        raise ValueError(
            f"{path / RESULTS} is of format {found!r}; the report reads format {FORMAT}, which has "
            "folds and speakers beside the scores: run `python -m memobert_jax.evaluate` again, "
            "with the same configuration and checkpoint, into a new folder"
        )
    if not (path / SCORES).is_file():
        raise FileNotFoundError(f"{path / SCORES} is missing; run evaluate again")
    if lacking := [name for name in ENTRIES if name not in results]:
        raise ValueError(f"{path / RESULTS} has no {', '.join(lacking)}; run evaluate again")
    try:
        with (path / SCORES).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path / SCORES} cannot be read: {error}; run evaluate again") from error
    if lacking := [name for name in ARRAYS if name not in arrays]:
        raise ValueError(f"{path / SCORES} has no {', '.join(lacking)}; run evaluate again")
    if arrays["labels"].ndim != 1:
        raise ValueError(
            f"{path / SCORES}: several labels a clip; the report knows one label a clip so far"
        )
    evaluation = Evaluation(
        label=label,
        path=path,
        results=results,
        stamp=results.get("stamp") or str(arrays.get("stamp", "")),
        **{name: arrays[name] for name in ARRAYS[:5]},
        **{name: tuple(arrays[name].tolist()) for name in ARRAYS[5:]},
        scores=_scores(path, results, arrays),
    )
    _check(evaluation, path)
    return evaluation


def _scores(path: Path, results: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict:
    out: dict[str, dict[Any, dict[Key, np.ndarray]]] = {}
    for arm, found in results["arms"].items():
        out[arm] = {}
        for run in found["runs"]:
            key, size = Key(run.get("seed"), run.get("subset_seed")), run.get("per_class")
            name = arm if key.seed is None else f"{arm}-{key.seed}-{key.subset_seed}-{size}"
            if name not in arrays:
                raise ValueError(
                    f"{path / RESULTS} has a run {name!r} of which {SCORES} has no scores; the "
                    "files are not of one evaluation: run evaluate again"
                )
            out[arm].setdefault(size, {})[key] = arrays[name]
    return out


def _check(evaluation: Evaluation, path: Path) -> None:
    """Raises ValueError unless all arrays are about the same clips, subsets and classes."""
    clips = len(evaluation.ids)
    for name in ARRAYS[:5]:
        if len(getattr(evaluation, name)) != clips or not clips:
            raise ValueError(f"{path / SCORES}: {name} does not name each of {clips} clips once")
    if len(np.unique(evaluation.ids)) < clips:
        raise ValueError(f"{path / SCORES}: a clip is scored in two folds; test each clip once")
    shape = (len(evaluation.subsets), clips, len(evaluation.classes))
    for arm, sizes in evaluation.scores.items():
        for array in (array for found in sizes.values() for array in found.values()):
            if array.shape != shape:
                raise ValueError(
                    f"{path / SCORES}: scores of {arm} have shape {array.shape}; expected "
                    f"[subsets, clips, classes] = {shape}"
                )
    if list(evaluation.classes) != list(evaluation.protocol["classes"]):
        raise ValueError(
            f"{path}: {SCORES} has the classes {', '.join(evaluation.classes)}, the protocol in "
            f"{RESULTS} has {', '.join(evaluation.protocol['classes'])}: not of one evaluation"
        )
    if not evaluation.scores:
        raise ValueError(f"{path / RESULTS} has no arm; run evaluate with at least one")


def load(path: Path) -> Any:
    """The content of a JSON file; ValueError, with its path, if it is none."""
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
