"""An output folder of `evaluate`: results.json, and what every clip was given in scores.npz."""

import dataclasses
import functools
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memobert_jax import additive, scores, tasks

FORMAT = 3
"""Of results.json."""
RESULTS, SCORES = "results.json", "scores.npz"
ENTRIES = ("task", "config", "checkpoint", "protocol", "scored_part", "chance", "warnings", "arms")
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
      ids, speakers, genders: str [clips]; fold: i32 [clips], of every clip that is scored.
      labels: i32 [clips] classes, i32 [clips, labels] of 0 and 1, or f32 [clips] values.
      subsets, classes: names, in the order of the arrays.
      scores: arm -> size of the training part (`per_class`, None where nothing is fitted) ->
        Key -> outputs f32 [subsets, clips, outputs], pooled over the folds: log-probabilities of
        the classes, and of `verbaliser.OTHER` where that counts, or values.
      thresholds: as `scores`, f64 [clips, labels], those of the fold of each clip; empty without.
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
    thresholds: Mapping[str, Mapping[Any, Mapping[Key, np.ndarray]]]

    @property
    def task(self) -> tasks.Task:
        """What is scored by what."""
        name = self.results["task"]
        kinds = {"multi": tasks.MULTI, "regression": tasks.REGRESSION}
        return kinds.get(name) or tasks.single(len(self.classes))

    @property
    def main(self) -> str:
        """The measure that is spoken of first."""
        return self.task.main

    @property
    def title(self) -> str:
        """What that measure is called."""
        return scores.TITLES[self.main]

    @property
    def unit(self) -> str:
        """What its numbers are in."""
        return "\u00d7 100" if self.task.name == "regression" else "%"

    @property
    def chance(self) -> float | None:
        """The main measure of guessing, None where that is nothing to compare with."""
        return self.results["chance"]

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
        """Outputs f32 [runs, subsets, clips, outputs]."""
        found = self.scores[arm][size]
        return np.stack([found[key] for key in (found if keys is None else keys)])

    def terms(
        self,
        arm: str,
        size: Any,
        keys: Sequence[Key] | None = None,
        clips: Any = slice(None),
        subsets: Any = slice(None),
    ) -> additive.Terms:
        """What the statistics take, of the runs of an arm with a size; by default of all of them
        and of all clips and subsets."""
        outputs, cuts = self.stacked(arm, size, keys)[:, subsets][:, :, clips], None
        if self.task.thresholds:
            found = self.thresholds[arm][size]
            cuts = np.stack([found[key] for key in (found if keys is None else keys)])
            cuts = cuts[:, None, clips]
        return self.task.terms(outputs, self.labels[clips], cuts)


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
            f"{path / RESULTS} is of format {found!r}; the report reads format {FORMAT}, which "
            "says what was predicted beside the scores: run `python -m memobert_jax.evaluate` "
            "again, with the same configuration and checkpoint, into a new folder"
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
    evaluation = Evaluation(
        label=label,
        path=path,
        results=results,
        stamp=results.get("stamp") or str(arrays.get("stamp", "")),
        **{name: arrays[name] for name in ARRAYS[:5]},
        **{name: tuple(arrays[name].tolist()) for name in ARRAYS[5:]},
        scores=_scores(path, results, arrays),
        thresholds=_thresholds(results, arrays["fold"]),
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


def _thresholds(results: Mapping[str, Any], fold: np.ndarray) -> dict:
    """Those of every run, for each clip those of its fold; {} where the task has none."""
    if results["task"] != "multi":
        return {}
    out: dict[str, dict[Any, dict[Key, np.ndarray]]] = {}
    for arm, found in results["arms"].items():
        for run in found["runs"]:
            key, size = Key(run.get("seed"), run.get("subset_seed")), run.get("per_class")
            cuts = np.array(run["thresholds"], np.float64)
            blank = np.full((len(fold), len(cuts)), np.nan)
            kept = out.setdefault(arm, {}).setdefault(size, {}).setdefault(key, blank)
            kept[fold == run["fold"]] = cuts
    return out


def _check(evaluation: Evaluation, path: Path) -> None:
    """Raises ValueError unless all arrays are about the same clips, subsets and classes."""
    clips, task = len(evaluation.ids), evaluation.results["task"]
    if task not in scores.MAIN:
        raise ValueError(
            f"{path / RESULTS} has the task {task!r}; expected one of {[*scores.MAIN]}"
        )
    wanted = (clips, len(evaluation.classes)) if task == "multi" else (clips,)
    if evaluation.labels.shape != wanted:
        raise ValueError(
            f"{path / SCORES}: labels have the shape {evaluation.labels.shape}; expected {wanted} "
            f"of task {task}"
        )
    for name in ARRAYS[:5]:
        if len(getattr(evaluation, name)) != clips or not clips:
            raise ValueError(f"{path / SCORES}: {name} does not name each of {clips} clips once")
    if len(np.unique(evaluation.ids)) < clips:
        raise ValueError(f"{path / SCORES}: a clip is scored in two folds; test each clip once")
    shape = (len(evaluation.subsets), clips, len(evaluation.classes))
    more = (*shape[:2], shape[2] + (task == "single"))
    for arm, sizes in evaluation.scores.items():
        for array in (array for found in sizes.values() for array in found.values()):
            if array.shape not in (shape, more):
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
