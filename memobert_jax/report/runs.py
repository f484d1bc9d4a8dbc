"""What a report reads: the folders of evaluations, of pre-training runs and of built datasets."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from memobert_jax import metrics
from memobert_jax.media import ledger
from memobert_jax.report import evaluation
from memobert_jax.report.evaluation import Evaluation

METADATA, LEDGER = "metadata.json", "ledger.jsonl"
_VERSION = re.compile(r"\d+\.\d+\.\d+")


class Training(NamedTuple):
    """Losses of a pre-training run, from its metrics.jsonl.

    Each curve is (steps [points], losses [points]). trivial: objective -> predictor -> loss; clips:
    trained on until then; last: the last line of training; damaged_lines: lines that could not be
    read, as the last one of a killed run.
    """

    label: str
    path: Path
    train: dict[str, tuple[list[int], list[float]]]
    heldout: dict[str, tuple[list[int], list[float]]]
    trivial: dict[str, dict[str, float]]
    clips: float
    last: dict[str, Any]
    damaged_lines: int


class Dataset(NamedTuple):
    """metadata: metadata.json of a built dataset; totals: of its yield ledger."""

    label: str
    path: Path
    metadata: dict[str, Any]
    totals: dict[str, Any]


def read(path: str | Path, label: str) -> Evaluation | Training | Dataset:
    """What lies in a folder.

    Raises:
      FileNotFoundError: if the folder is none of the three, or files of it are missing.
      ValueError: for results of another format, or files that do not fit each other.
    """
    path = Path(path)
    if (path / evaluation.RESULTS).is_file():
        return evaluation.read(path, label)
    if (path / metrics.FILE).is_file():
        return read_training(path, label)
    if (path / METADATA).is_file():
        return read_dataset(path, label)
    raise FileNotFoundError(
        f"{path} has none of {evaluation.RESULTS}, {metrics.FILE} and {METADATA}; give an output "
        "folder of evaluate, the work directory of a pre-training run, or the folder of a built "
        "dataset (DATA/NAME/CONFIG/VERSION)"
    )


def labels(paths: Sequence[str]) -> list[str]:
    """A name for each folder: as few of its last parts as tell it from the others.

    Raises:
      ValueError: if a folder is given twice.
    """
    parts = [Path(path).resolve().parts for path in paths]
    if twice := [path for i, path in enumerate(paths) if parts[i] in parts[:i]]:
        raise ValueError(f"given more than once: {', '.join(twice)}; name each folder once")
    return [_label(part, [other for other in parts if other != part]) for part in parts]


def _label(part: tuple[str, ...], others: Sequence[tuple[str, ...]]) -> str:
    count = 3 if _VERSION.fullmatch(part[-1]) else 1  # NAME/CONFIG/VERSION of a dataset
    while count < len(part) and any(part[-count:] == other[-count:] for other in others):
        count += 1
    return "/".join(part[-count:])


def read_training(path: Path, label: str) -> Training:
    """A work directory of `train`; lines that were cut are counted."""
    train: dict[str, tuple[list, list]] = {}
    heldout: dict[str, tuple[list, list]] = {}
    trivial: dict[str, dict[str, float]] = {}
    last: dict[str, Any] = {}
    clips, damaged = 0.0, 0
    for line in (path / metrics.FILE).read_text("utf-8").splitlines():
        try:
            entry = json.loads(line)
            step = int(entry["step"])
        except (ValueError, KeyError, TypeError):
            damaged += 1
            continue
        clips += entry.get("clips") or 0.0
        last = entry if "loss" in entry else last
        for name, value in entry.items():
            kind, _, rest = name.partition("/")
            if kind == "trivial" and value is not None:
                objective, _, predictor = rest.partition("/")
                trivial.setdefault(objective, {})[predictor] = value
            elif kind in ("loss", "heldout") and rest and value is not None:
                curve = (train if kind == "loss" else heldout).setdefault(rest, ([], []))
                curve[0].append(step)
                curve[1].append(value)
    if not train and not heldout:
        raise ValueError(f"{path / metrics.FILE} has no loss yet; let the run log a step")
    return Training(label, path, train, heldout, trivial, clips, last, damaged)


def read_dataset(path: Path, label: str) -> Dataset:
    """A folder of `tfds_builders.build`, or one that `featurize` made of it.

    A corpus that was read, not cut out of media, has a listing alone; its totals are {}.
    """
    metadata = evaluation.load(path / METADATA)
    metadata = metadata if isinstance(metadata, dict) else {}
    totals = metadata.get("ledger")
    if not totals and (path / LEDGER).is_file():
        lines = (path / LEDGER).read_text("utf-8").splitlines()
        totals = ledger.merge(json.loads(line) for line in lines)
    if not totals and not metadata.get("listing"):
        raise ValueError(
            f"{path} has no yield ledger, neither in {METADATA} nor as {LEDGER}; build the dataset "
            "again"
        )
    return Dataset(label, path, metadata, totals or {})
