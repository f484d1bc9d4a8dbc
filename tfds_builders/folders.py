"""The folder of a dataset: is it whole, may it be written, what does it hold."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from memobert_jax.media import ledger
from tfds_builders import labels, listing
from tfds_builders.clips_builder import LEDGER_FILE

FILES = ("dataset_info.json", "features.json", "metadata.json")


def is_built(folder: Path, files: Iterable[str], made_of: Mapping[str, Any]) -> bool:
    """Whether the dataset is there, and what it was made of.

    Args:
      folder: of the dataset.
      files: what a whole one has besides FILES.
      made_of: what it is made of, if it is the one that is wanted.

    Raises:
      ValueError: if another dataset, or something that is no dataset, is in its place.
    """
    if not folder.exists():
        return False
    if not all((folder / name).is_file() for name in (*FILES, *files)):
        raise ValueError(f"{folder} is not a whole dataset; look at it, then give --overwrite")
    metadata = json.loads((folder / "metadata.json").read_text())
    differing = _differences(metadata, made_of)
    if differing:
        raise ValueError(
            f"{folder} was built from other input or settings: {differing}. Give --overwrite to "
            "build it again (what is already extracted is used), or another --data_dir or "
            "--config_name to keep both"
        )
    return True


def _differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    lines = []
    for name, value in now.items():
        if isinstance(value, Mapping) and isinstance(was.get(name), Mapping):
            lines.append(_differences(was[name], value))
        elif was.get(name) != value:
            lines.append(f"{name} was {was.get(name)}, now {value}")
    return "; ".join(line for line in lines if line)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds the lock of a dataset's folder, and clears what a build that was killed left beside it.

    Raises:
      RuntimeError: if another build of the same dataset is running.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeError(f"another build of {folder} is running; wait for it") from error
        for left in folder.parent.glob(f"incomplete.*_{folder.name}"):
            shutil.rmtree(left)
        yield


@contextlib.contextmanager
def set_aside(folder: Path) -> Iterator[None]:
    """Moves the dataset out of the way; it comes back if the body fails, else it is deleted."""
    aside = folder.with_name(f"{folder.name}.replaced")
    shutil.rmtree(aside, ignore_errors=True)
    os.replace(folder, aside)
    try:
        yield
    except BaseException:
        os.replace(aside, folder)
        raise
    shutil.rmtree(aside)


def report(folder: Path) -> str:
    """Listing, ledger, splits, labels and place of a dataset, as text."""
    metadata = json.loads((folder / "metadata.json").read_text())
    listed, built, given = (metadata[name] for name in ("listing", "labels", "published"))
    parts = [listing.table(listed)]
    if listed["omitted"]:
        parts[0] += f"\nall that is left out: {folder / listing.OMITTED_FILE}"
    if metadata["ledger"]:
        parts.append(ledger.table(metadata["ledger"]))
        parts[-1] += f"\nledger of each video: {folder / LEDGER_FILE}"
    parts.append("\n".join(_split_lines(metadata)))
    parts.append(labels.describe(built, given and labels.Published(**given)))
    return "\n\n".join([*filter(None, parts), f"dataset: {folder}"])


def _split_lines(metadata: Mapping[str, Any]) -> Iterator[str]:
    for name, counts in metadata["splits"].items():
        if isinstance(counts, int):  # of records that were read, not cut from media
            yield f"split {name}: {counts} clips, {metadata['seconds'][name] / 3600:.2f} h"
        else:
            yield (
                f"split {name}: {counts['clips']} clips, {counts['kept_s'] / 3600:.2f} h, "
                f"of {counts['videos']} videos"
            )
