"""Corpora that are free to download: TFDS's download manager, with sizes and checksums recorded.

The folder of such a builder holds CHECKSUMS in TFDS's form, a line a file, separated by tabs:
address, size in bytes, sha256, name.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import checksums
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
from tensorflow_datasets.core.download.util import DownloadError

CHECKSUMS = "checksums.tsv"
_HERE = Path(__file__).parent


def known(name: str) -> bool:
    """Whether the files of the builder `name` can be downloaded."""
    return (_HERE / name / CHECKSUMS).is_file()


def fetch(name: str, folder: Path) -> Path:
    """Downloads the files of a corpus, unless they are there.

    Args:
      name: the builder.
      folder: what is downloaded is kept there.

    Returns:
      `folder`/`name` with the files under their names.

    Raises:
      OSError: if a file cannot be fetched, or is not the one that is recorded; the message says
        where to get it by hand.
    """
    infos = checksums.load_url_infos(_HERE / name / CHECKSUMS)
    return link(download(name, infos, folder / "cache"), folder / name)


def download(name: str, infos: Mapping[str, checksums.UrlInfo], folder: Path) -> dict[str, Path]:
    """Name of each file -> where it is, in `folder`, the cache of the manager.

    Raises:
      OSError: as `fetch`.
    """
    manager = tfds.download.DownloadManager(
        download_dir=folder,
        url_infos=dict(infos),
        dataset_name=name,
    )
    try:
        found = manager.download({info.filename: url for url, info in infos.items()})
    except (OSError, DownloadError, NonMatchingChecksumError) as error:
        raise OSError(
            f"the files of {name} could not be downloaded ({error}). Get them by hand, from "
            f"{', '.join(infos)}, and give their folder as --manual_dir"
        ) from error
    return {file: Path(path) for file, path in found.items()}


def link(files: Mapping[str, Path], folder: Path) -> Path:
    """`folder` with a link to each file under its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in files.items():
        partial = folder / f".{name}.{os.getpid()}"
        partial.unlink(missing_ok=True)
        partial.symlink_to(path.resolve())
        partial.replace(folder / name)
    return folder
