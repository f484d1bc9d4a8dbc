"""Corpora that are free to download, through TFDS's download manager.

The folder of such a builder holds one of two files, with tabs between the columns. CHECKSUMS, in
TFDS's form, has address, size in bytes, sha256 and name of each file. ADDRESSES has configuration
and address of each zip whose checksum is not known beforehand: size and checksum are recorded when
it is downloaded first, beside the downloads, and hold from then on.
"""

import os
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import checksums
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
from tensorflow_datasets.core.download.util import DownloadError

CHECKSUMS, ADDRESSES = "checksums.tsv", "addresses.tsv"
_HERE = Path(__file__).parent
_ERRORS = (OSError, DownloadError, NonMatchingChecksumError)


def known(name: str, config: str) -> bool:
    """Whether the files of a configuration of the builder `name` can be downloaded."""
    return (_HERE / name / CHECKSUMS).is_file() or bool(addresses(name, config))


def addresses(name: str, config: str) -> list[str]:
    """Of the zips of a configuration whose checksums are not known beforehand."""
    path = _HERE / name / ADDRESSES
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return [address for given, address in (line.split("\t") for line in lines) if given == config]


def fetch(name: str, config: str, folder: Path) -> Path:
    """Downloads the files of a corpus, unless they are there, and extracts archives.

    Args:
      name: the builder.
      config: its configuration.
      folder: what is downloaded is kept there, and ADDRESSES' checksums are recorded there.

    Returns:
      A folder with the files under their names, or with what was in each archive.

    Raises:
      OSError: if a file cannot be fetched, or is not the one that is recorded; the message says
        where to get it by hand.
    """
    if (_HERE / name / CHECKSUMS).is_file():
        infos = checksums.load_url_infos(_HERE / name / CHECKSUMS)
        return link(download(name, infos, folder / "cache"), folder / name)
    recorded = folder / f"{name}.{CHECKSUMS}"
    found = download_archives(name, addresses(name, config), folder / "cache", recorded)
    whole = folder / f"{name}_{config}"
    parts = [extract(path, whole / number) for number, path in found.items()]
    return parts[0] if len(parts) == 1 else whole


def download_archives(name: str, urls: list[str], folder: Path, recorded: Path) -> dict[str, Path]:
    """Number of each zip -> where it is, in `folder`; `recorded` gets sizes and checksums.

    Raises:
      OSError: as `fetch`.
    """
    infos = checksums.load_url_infos(recorded) if recorded.is_file() else {}
    recorded.parent.mkdir(parents=True, exist_ok=True)
    recorded.touch()
    asked = {f"{number:03d}": url for number, url in enumerate(urls)}
    known = {number: url for number, url in asked.items() if url in infos}
    new = {number: url for number, url in asked.items() if url not in infos}
    options = {"register_checksums": True, "register_checksums_path": recorded}
    found = _get(name, infos, folder, known, {}) if known else {}
    return found | (_get(name, infos, folder, new, options) if new else {})


def extract(archive: Path, folder: Path) -> Path:
    """Extracts a zip, whole or not at all, unless that was done; the folder.

    TFDS would extract it with TensorFlow.

    Raises:
      OSError: if it is no zip, is damaged, or names a file that would lie outside the folder.
    """
    if folder.is_dir():
        return folder
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as file:
            for entry in file.namelist():
                if not (partial / entry).resolve().is_relative_to(partial.resolve()):
                    raise OSError(f"{archive} holds {entry!r}, which would lie outside its folder")
            file.extractall(partial)
        partial.replace(folder)
    except (zipfile.BadZipFile, zlib.error) as error:
        raise OSError(f"{archive} is no zip, or a damaged one ({error}): delete it") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def download(name: str, infos: Mapping[str, checksums.UrlInfo], folder: Path) -> dict[str, Path]:
    """Name of each file -> where it is, in `folder`, the cache of the manager.

    Raises:
      OSError: as `fetch`.
    """
    asked = {info.filename: url for url, info in infos.items()}
    return _get(name, infos, folder, asked, {})


def _get(
    name: str,
    infos: Mapping[str, checksums.UrlInfo],
    folder: Path,
    asked: Mapping[str, str],
    options: Mapping[str, Any],
) -> dict[str, Path]:
    manager = tfds.download.DownloadManager(
        download_dir=folder, url_infos=dict(infos), dataset_name=name, **options
    )
    try:
        found = manager.download(dict(asked))
    except _ERRORS as error:
        raise OSError(
            f"the files of {name} could not be downloaded ({error}). Get them by hand, from "
            f"{', '.join(asked.values())}, and give their folder as --manual_dir"
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
