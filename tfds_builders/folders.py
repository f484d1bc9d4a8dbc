"""The folder of a dataset: is it whole, may it be written, what does it hold."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from memobert_jax import config
from memobert_jax.media import clips, ledger
from tfds_builders.clips_builder import LEDGER_FILE, ClipsBuilder, fingerprint
from tfds_builders.extraction import Source


def is_whole(folder: Path) -> bool:
    """Whether a dataset stands there (it appears at once, by a rename)."""
    names = ("dataset_info.json", "features.json", "metadata.json", LEDGER_FILE)
    return all((folder / name).is_file() for name in names)


def is_built(builder: ClipsBuilder, sources: Sequence[Source]) -> bool:
    """Whether the dataset is there, made from these sources with these settings.

    Raises:
      ValueError: if another dataset, or something that is no dataset, is in its place.
    """
    folder = Path(builder.data_dir)
    if not folder.exists():
        return False
    if not is_whole(folder):
        raise ValueError(f"{folder} is not a whole dataset; look at it, then give --overwrite")
    metadata = json.loads((folder / "metadata.json").read_text())
    expected = {
        "extract": json.loads(json.dumps(config.as_dict(builder.builder_config.extract))),
        "extraction_version": clips.VERSION,
        "sources": {"videos": len(sources), "fingerprint": fingerprint(sources)},
    }
    differing = _differences({name: metadata.get(name) for name in expected}, expected)
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
    """Splits, ledger and place of a dataset, as text."""
    metadata = json.loads((folder / "metadata.json").read_text())
    lines = [ledger.table(metadata["ledger"]), ""]
    for name, counts in metadata["splits"].items():
        lines.append(
            f"split {name}: {counts['clips']} clips, {counts['kept_s'] / 3600:.2f} h, "
            f"of {counts['videos']} videos"
        )
    lines.append(f"ledger of each video: {folder / LEDGER_FILE}")
    return "\n".join([*lines, f"dataset: {folder}"])
