"""Checkpoints: Orbax, checksums, and the metadata that make a checkpoint describe itself.

A step folder holds `params` and `rest` (optimizer state and step), custom metadata (model,
tokenizer, encoders, data, run configuration) and `SHA256.json`, written once the step is whole.
Orbax neither notices flipped bytes nor falls back to an older step; `restore` does both.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging
from jax.experimental import multihost_utils
from orbax.checkpoint import v1 as ocp

from memobert_jax import config
from memobert_jax.config import ModelConfig, PretrainConfig
from memobert_jax.state import Params, TrainState
from memobert_jax.tokenizer import Tokenizer

FORMAT = 1
FOLDER = "checkpoints"
_SEAL = "SHA256.json"
_PARTIAL_SEAL = ".SHA256.json.partial"
_MARKER = "_CHECKPOINT_METADATA"
_NONE, _DAMAGED = -1, -2


class CorruptCheckpointError(ValueError):
    """The files of a checkpoint are not the ones that were written."""


def describe(
    model: ModelConfig,
    tokenizer: Tokenizer,
    features: Mapping[str, Any],
    data: list[dict[str, Any]],
    run: PretrainConfig | None = None,
    **extra: Any,
) -> dict[str, Any]:
    """The metadata of a checkpoint, JSON-able.

    Args:
      model: with every size set.
      tokenizer: stored whole.
      features: metadata of the features dataset; its encoders, normalisation and extraction
        settings are kept, so that `predict` can repeat them, and where the encoders' weights lie.
      data: path, split, weight and fingerprint of each source, ids of the clips held out of it,
        fingerprint of its rows.
      run: configuration of the run.
      **extra: further entries.
    """
    return {
        "format": FORMAT,
        "model": config.as_dict(model),
        "tokenizer": {
            "model": base64.b64encode(tokenizer.model).decode(),
            "fingerprint": tokenizer.fingerprint,
        },
        **{key: features[key] for key in ("encoders", "normalisation", "extract")},
        "weights": features.get("weights", {}),
        "data": data,
        "config": None if run is None else json.loads(json.dumps(config.as_dict(run))),
        **extra,
    }


def model_config(metadata: Mapping[str, Any]) -> ModelConfig:
    return config.from_mapping(ModelConfig, metadata["model"])


def tokenizer_of(metadata: Mapping[str, Any]) -> Tokenizer:
    return Tokenizer(base64.b64decode(metadata["tokenizer"]["model"]))


def check_same(
    metadata: Mapping[str, Any],
    other: Mapping[str, Any],
    what: str,
    hint: str = "Use the one the checkpoint was made with.",
) -> None:
    """Raises ValueError where two descriptions differ in tokenizer, model, encoders or data."""
    for key in ("tokenizer", "model", "encoders", "normalisation", "data"):
        if key not in other:
            continue
        a, b = (_identity(key, described[key]) for described in (metadata, other))
        if a != b:
            a, b = _differing(a, b)
            raise ValueError(
                f"{what}: its {key} differs from that of the checkpoint.\n  checkpoint: "
                f"{_short(a)}\n  here: {_short(b)}\n{hint}"
            )


def check_same_run(metadata: Mapping[str, Any], other: Mapping[str, Any], what: str) -> None:
    """Raises ValueError where `other` would continue the run of a checkpoint as another run."""
    elsewhere = "start in another work directory"
    check_same(metadata, other, what, f"Use the one it was started with, or {elsewhere}.")
    for there, here in zip(metadata["data"], other["data"], strict=True):
        if here.get("rows") and "rows" not in there:
            logging.warning(
                "%s was started by a version that did not record how clips are packed into rows: "
                "if that has changed, some clips are repeated",
                what,
            )
        elif there.get("rows") != here.get("rows"):
            raise ValueError(
                f"{what}: the clips of {here['path']} are packed into other rows than when it was "
                "started, so that it would repeat some and miss others. Go on with the version of "
                f"this program and of scipy that it was started with, or {elsewhere}."
            )
    changed = config.differences(PretrainConfig, metadata["config"] or {}, other["config"] or {})
    if changed:
        lines = "".join(f"\n  {name}: {a!r} there, {b!r} here" for name, (a, b) in changed.items())
        raise ValueError(
            f"{what} was started with another configuration:{lines}\nGive it what it was started "
            f"with, or {elsewhere} (--config.init_from begins with the parameters of this one)."
        )


def _identity(key: str, value: Any) -> Any:
    """What must agree: what shapes parameters or gives them a meaning; data may lie elsewhere."""
    if key == "tokenizer":
        found = tokenizer_of({key: value})
        kind = f"{found.pieces.kind} of {found.vocab_size} pieces"
        return f"{kind}, fingerprint {value['fingerprint']}"
    if key == "model":
        free = ("attention", "attention_dropout", "dropout", "dtype", "init_std", "remat")
        return {k: v for k, v in value.items() if k not in free}
    if key == "data":
        known = [{"held_out": []} | source for source in value]
        return [{k: v for k, v in source.items() if k not in ("path", "rows")} for source in known]
    return value


def _differing(a: Any, b: Any) -> tuple[Any, Any]:
    if not (isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys()):
        return a, b
    keys = [key for key in a if a[key] != b[key]]
    return {key: a[key] for key in keys}, {key: b[key] for key in keys}


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) < 400 else f"{text[:400]}..."


def steps(directory: str | Path) -> list[int]:
    """Complete steps below a checkpoints folder, ascending."""
    directory = Path(directory)
    if not directory.is_dir():
        return []
    return sorted(int(p.name) for p in directory.iterdir() if p.name.isdigit() and _complete(p))


def _complete(path: Path) -> bool:
    return (path / _MARKER).is_file()


def resolve(path: str | Path) -> Path:
    """The step folder that `path` means: itself, or the newest step of a run.

    Raises:
      FileNotFoundError: if there is no checkpoint.
    """
    path = Path(path)
    if _complete(path):
        return path.absolute()
    for folder in (path / FOLDER, path):
        found = steps(folder)
        if found:
            return (folder / str(found[-1])).absolute()
    raise FileNotFoundError(
        f"no checkpoint at {str(path)!r}: expected a work directory with {FOLDER}/, a folder of "
        "steps, or one step"
    )


def metadata(path: str | Path) -> dict[str, Any]:
    """The metadata of a step folder.

    Raises:
      ValueError: if it was written by another program or format.
    """
    found = ocp.checkpointables_metadata(path).custom_metadata
    if not found or found.get("format") != FORMAT:
        raise ValueError(f"{path} is no checkpoint of memobert-jax, format {FORMAT}")
    return found


def _digests(path: Path) -> dict[str, str]:
    seals = (_SEAL, _PARTIAL_SEAL)
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.name not in seals)
    out = {}
    for file in files:
        with open(file, "rb") as handle:
            out[str(file.relative_to(path))] = hashlib.file_digest(handle, "sha256").hexdigest()
    return out


def fingerprint(path: str | Path) -> str:
    """12 hex digits of the files of a complete step."""
    path = Path(path) / _SEAL
    digests = json.loads(path.read_text("utf-8")) if path.is_file() else _digests(path.parent)
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()[:12]


def seal(path: str | Path) -> None:
    """Writes the checksums of a complete step."""
    path = Path(path)
    partial = path / _PARTIAL_SEAL
    partial.write_text(json.dumps(_digests(path), indent=0))
    partial.replace(path / _SEAL)


def verify(path: str | Path) -> None:
    """Compares a step with its checksums; one that was never sealed passes with a warning.

    Raises:
      CorruptCheckpointError: if a file is missing or differs; the message names it.
    """
    path = Path(path)
    if not (path / _SEAL).is_file():
        logging.warning("%s has no checksums (the run ended while saving it)", path)
        return
    try:
        expected = json.loads((path / _SEAL).read_text("utf-8"))
    except ValueError as error:
        raise CorruptCheckpointError(f"checkpoint {path} is damaged: {_SEAL}: {error}") from error
    found = _digests(path)
    broken = sorted(name for name in expected if found.get(name) != expected[name])
    if broken:
        raise CorruptCheckpointError(
            f"checkpoint {path} is damaged: {len(broken)} of {len(expected)} files are missing or "
            f"changed, {broken[0]} first"
        )


def load_params(path: str | Path, shapes: Params, shardings: Any) -> Params:
    """Parameters alone, from a step folder to any mesh.

    Args:
      path: the step folder (`resolve`).
      shapes: tree of ShapeDtypeStructs.
      shardings: the same tree of shardings.

    Raises:
      CorruptCheckpointError: if the files changed since they were written.
    """
    verify(path)
    return ocp.load_checkpointables(path, {"params": _abstract(shapes, shardings)})["params"]


def save_params(path: str | Path, params: Params, description: Mapping[str, Any]) -> None:
    """Writes parameters (of a fitted prompt or head) as a checkpoint of their own."""
    path = Path(path).absolute()
    ocp.save_checkpointables(
        path, {"params": params}, custom_metadata=dict(description), overwrite=True
    )
    if jax.process_index() == 0:
        seal(path)


def _abstract(shapes: Any, shardings: Any) -> Any:
    return jax.tree.map(
        lambda shape, where: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=where),
        shapes,
        shardings,
    )


def _newest_sound(directory: Path) -> int:
    """The last step whose files are the ones that were written; _NONE, or _DAMAGED if all are."""
    found = steps(directory)
    for step in reversed(found):
        try:
            verify(directory / str(step))
        except CorruptCheckpointError as error:
            logging.error("%s; falling back to the step before", error)
        else:
            return step
    return _DAMAGED if found else _NONE


def _agreed(step: int) -> int:
    """The step that the lead host found, on every host: all must restore the same."""
    return int(multihost_utils.broadcast_one_to_all(np.int32(step)))


class Checkpoints:
    """The checkpoints of a run: saved asynchronously, sealed when whole, restored to any mesh."""

    def __init__(self, workdir: str | Path, every: int, keep: int, description: Mapping[str, Any]):
        self.directory = (Path(workdir) / FOLDER).absolute()
        self.description = dict(description)
        self._unsealed = False
        policies = ocp.training.save_decision_policies
        self._orbax = ocp.training.Checkpointer(
            self.directory,
            save_decision_policy=policies.FixedIntervalPolicy(every),
            preservation_policy=ocp.training.preservation_policies.LatestN(keep),
            cleanup_tmp_directories=True,
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: Any) -> None:
        self._orbax.close()
        self._seal()

    def _seal(self) -> None:
        self._unsealed = False
        if jax.process_index() == 0:
            for step in steps(self.directory):
                if not (self.directory / str(step) / _SEAL).is_file():
                    seal(self.directory / str(step))

    def save(self, step: int, state: TrainState, *, force: bool = False) -> bool:
        """Starts a save if one is due, and seals the last once it is whole; call every step.

        Returns:
          Whether a save was started.
        """
        if self._unsealed and not self._orbax.is_saving_in_progress():
            self._seal()
        if not force and not self._orbax.should_save(step):
            return False
        if step in steps(self.directory):
            return False
        self._orbax.wait()
        self._seal()
        rest = {"step": state.step, "opt_state": state.opt_state}
        self._orbax.save_checkpointables_async(
            step,
            {"params": state.params, "rest": rest},
            force=True,
            custom_metadata=self.description,
        )
        self._unsealed = True
        return True

    def restore(self, shapes: TrainState, shardings: TrainState) -> TrainState | None:
        """The newest sound state, or None where nothing was saved.

        Raises:
          ValueError: if the checkpoint is of another model, tokenizer, encoder, data or
            configuration.
          CorruptCheckpointError: if there are checkpoints but none is sound.
        """
        step = _agreed(_newest_sound(self.directory) if jax.process_index() == 0 else 0)
        if step == _NONE:
            return None
        if step == _DAMAGED:
            raise CorruptCheckpointError(
                f"all {len(steps(self.directory))} checkpoints in {self.directory} are damaged; "
                "remove the folder to start the run again"
            )
        path = self.directory / str(step)
        check_same_run(metadata(path), self.description, f"the run in {self.directory.parent}")
        target = _abstract(shapes, shardings)
        rest = {"step": target.step, "opt_state": target.opt_state}
        loaded = ocp.load_checkpointables(path, {"params": target.params, "rest": rest})
        self._forget_after(step)
        return TrainState(loaded["rest"]["step"], loaded["params"], loaded["rest"]["opt_state"])

    def _forget_after(self, step: int) -> None:
        for newer in [s for s in steps(self.directory) if s > step]:
            self._orbax.delete(newer)
