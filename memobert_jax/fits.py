"""Finished fits of an evaluation, so that an interrupted one goes on where it was.

Each lies in a file of its own under a key of everything that decides it, written at once. Of each
arm the checkpoint of the run that validates best is kept beside them.
"""

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

from memobert_jax import checkpoint, runtime
from memobert_jax.datasets import write_atomically
from memobert_jax.state import Params

FOLDER = "fits"


class Fit(NamedTuple):
    """result: JSON-able; log_probs: f32 [subsets, clips, classes] of the scored part."""

    result: dict[str, Any]
    log_probs: np.ndarray


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
        there = np.atleast_1d(multihost_utils.broadcast_one_to_all(there))
        wanted = [key for key, is_there in zip(keys, there, strict=True) if is_there]
        return {key: found.get(key) or self._need(key) for key in wanted}

    def _read(self, key: str) -> Fit | None:
        path = self._path(key)
        if not path.is_file():
            return None
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                return Fit(json.loads(str(arrays["result"])), arrays["log_probs"])
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
            np.savez(packed, result=json.dumps(fit.result), log_probs=fit.log_probs)
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
