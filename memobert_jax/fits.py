"""Finished fits of an evaluation, so that an interrupted one goes on where it was.

Each lies in a file of its own under a key of everything that decides it, written at once. Of each
arm the checkpoint of the run that validates best is kept beside them.
"""

import dataclasses
import functools
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from jax.experimental import multihost_utils

from memobert_jax import checkpoint, config, runtime, tasks
from memobert_jax.datasets import write_atomically
from memobert_jax.fewshot import Run
from memobert_jax.state import Params
from memobert_jax.workbench import Workbench

FOLDER = "fits"


class Fit(NamedTuple):
    """result: JSON-able; outputs: f32 [subsets, clips, outputs] of the scored part."""

    result: dict[str, Any]
    outputs: np.ndarray


def key_of(decides: Mapping[str, Any]) -> str:
    """24 hex digits of everything that decides a fit, JSON-able."""
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:24]


class Fits:
    """The fits in the folder of an evaluation's results, shared by all hosts."""

    def __init__(self, output: str | Path):
        self.output = Path(output)
        self.folder = self.output / FOLDER
        self.folder.mkdir(parents=True, exist_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def load(self, keys: Sequence[str]) -> dict[str, Fit]:
        """Those of some fits that are finished. Every host gets those that the lead host has."""
        found = {key: self._read(key) for key in keys} if runtime.is_lead() else {}
        there = np.array([found.get(key) is not None for key in keys], bool)
        there = multihost_utils.broadcast_one_to_all(there)
        wanted = [key for key, is_there in zip(keys, there, strict=True) if is_there]
        return {key: found.get(key) or self._need(key) for key in wanted}

    def _read(self, key: str) -> Fit | None:
        path = self._path(key)
        if not path.is_file():
            return None
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                return Fit(json.loads(str(arrays["result"])), arrays["outputs"])
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            logging.warning("%s is damaged (%s); that fit is done again", path, error)
            return None

    def _need(self, key: str) -> Fit:
        found = self._read(key)
        if found is None:
            raise OSError(f"{self._path(key)} is not there: all hosts must share {self.output}")
        return found

    def save(self, key: str, fit: Fit) -> None:
        """Writes a finished fit, on the lead host."""
        if runtime.is_lead():
            packed = io.BytesIO()
            np.savez(packed, result=json.dumps(fit.result), outputs=fit.outputs)
            data = packed.getvalue()
            write_atomically(self._path(key), lambda path: Path(path).write_bytes(data))

    def keep(self, arm: str, description: Mapping[str, Any], params: Params) -> None:
        """Saves the best fit of an arm as a checkpoint, instead of the one before."""
        params = jax.device_get(params) if jax.process_count() == 1 else params
        checkpoint.save_params(self.output / arm, params, description)

    def kept(self, arm: str) -> str:
        """Key of the fit whose checkpoint is there and whole; '' without one."""
        try:
            checkpoint.verify(self.output / arm)
            return checkpoint.metadata(self.output / arm)["fit"]["key"]
        except (OSError, ValueError, KeyError):
            return ""


_NOT_OF_A_FIT = ("arms", "seeds", "source", "ceilings", "mesh", "protocol", "disjoint")
_NOT_OF_A_FIT += ("train_split", "validation_split", "test_split", "frame_loss")
"""What does not decide a single fit, or stands in its key as something stronger."""
_NOT_OF_ONE = ("per_class", "shares", "subset_seeds", "together", "fewer")
"""The same of FitConfig."""


@functools.cache
def _code() -> str:
    """Hash of the source of this package: other code may give other numbers."""
    state = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        state.update(path.read_bytes())
    return state.hexdigest()


def keys_of(
    bench: Workbench, paths: Sequence[Path], plan: Sequence[tuple[str, Run]]
) -> dict[tuple[str, Run], str]:
    """A key for each fit, of everything that decides it."""
    cfg = {k: v for k, v in config.as_dict(bench.cfg).items() if k not in _NOT_OF_A_FIT}
    cfg["fit"] = {k: v for k, v in cfg["fit"].items() if k not in _NOT_OF_ONE}
    common = {
        "code": _code(),
        "jax": jax.__version__,
        "config": cfg,
        "features": bench.corpus.fingerprints,
        "layout": dataclasses.asdict(bench.layout),
        "scored": bench.scored,
    }
    checkpoints = {path: checkpoint.fingerprint(path) for path in set(paths)}
    described = [bench.protocol.fold_fingerprint(fold) for fold in bench.folds]
    return {
        (arm, run): key_of(
            common
            | {"arm": arm, "run": run, "fold": described[run.fold]}
            | {"checkpoint": checkpoints[paths[run.fold]], "frame_loss": bench.frame_loss(run)}
        )
        for arm, run in plan
    }


def finished(
    plan: Sequence[tuple[str, Run]],
    keys: Mapping[tuple[str, Run], str],
    saved: Sequence[str],
    store: Fits,
) -> tuple[dict[tuple[str, Run], Fit], dict[str, Any]]:
    """(finished fits, arm -> how its kept one validates).

    Of the arms `saved` a checkpoint of the best is kept; where it is not there, that fit is not
    finished.
    """
    found = store.load([keys[what] for what in plan])
    known = {what: found[keys[what]] for what in plan if keys[what] in found}
    best: dict[str, Any] = {}
    for arm in saved:
        champion = None
        for what, one in known.items():
            if what[0] == arm and tasks.better(validation := _validation(one), best.get(arm)):
                best[arm], champion = validation, what
        if champion and store.kept(arm) != keys[champion]:
            del known[champion], best[arm]
    return known, best


def _validation(one: Fit) -> Mapping[str, float]:
    return one.result["selected"]["validation"]
