"""Corpora that are free to download, through TFDS's download manager.

The folder of such a builder holds one of two files, with tabs between the columns. CHECKSUMS, in
TFDS's form, has address, size in bytes, sha256 and name of each file. ADDRESSES is for what has no
checksum that is known beforehand, a line each with the columns of `Address`: size and checksum are
recorded when it is downloaded first, beside the downloads, and hold from then on.
"""

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import checksums
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
from tensorflow_datasets.core.download.util import DownloadError

from tfds_builders import tables
from tfds_builders.archives import extract

CHECKSUMS, ADDRESSES = "checksums.tsv", "addresses.tsv"
_HERE = Path(__file__).parent
_ERRORS = (OSError, DownloadError, NonMatchingChecksumError)
_NOT_THERE = "HTTP code: 404"
_AT_ONCE = 64
_SHOWN = 40
_DONE = ".done"
"""In the folder of a corpus that is there whole: the addresses that it came from."""


class Address(NamedTuple):
    """A line of ADDRESSES.

    Attributes:
      configs: of the builder, with commas.
      url: of an archive, which is extracted with the archives in it, or of a file.
      path: of the file in the corpus; '': it is an archive.
      table: a CSV file that was fetched by a line before; each of its rows fills the names of its
        columns in `url` and `path`, as `{Filename}`. What the server does not have of these files
        is left out: the builder counts it, since the table lists it.
    """

    configs: str
    url: str
    path: str = ""
    table: str = ""


def known(name: str, config: str) -> bool:
    """Whether the files of a configuration of the builder `name` can be downloaded."""
    return (_HERE / name / CHECKSUMS).is_file() or bool(addresses(name, config))


def addresses(name: str, config: str) -> list[Address]:
    """What a configuration consists of whose checksums are not known beforehand."""
    path = _HERE / name / ADDRESSES
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    given = [Address(*line.split("\t")) for line in lines]
    return [one for one in given if config in one.configs.split(",")]


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
    whole, given = folder / f"{name}_{config}", addresses(name, config)
    done, all_of_it = whole / _DONE, "\n".join(map(str, given))
    if done.is_file() and done.read_text() == all_of_it and not _broken_links(whole):
        return _lone_folder(whole)
    recorded = folder / f"{name}.{CHECKSUMS}"
    get = functools.partial(download_recorded, name, folder=folder / "cache", recorded=recorded)
    archives = {one.url.rsplit("/", 1)[-1]: one.url for one in given if not one.path}
    for file, path in get(archives).items():
        try:
            extract(path, whole / file if len(archives) > 1 else whole)
        except OSError:
            _forget(archives[file], recorded)
            raise
    link(get({one.path: one.url for one in given if one.path and not one.table}), whole)
    for one in given:
        if one.table:
            link(_those_there(get, dict(_filled(one, whole))), whole)
    done.write_text(all_of_it)
    return _lone_folder(whole)


def _broken_links(folder: Path) -> bool:
    """Whether something that was downloaded is no longer there."""
    return any(path.is_symlink() and not path.exists() for path in folder.rglob("*"))


def _forget(url: str, recorded: Path) -> None:
    """Takes out what is recorded of a file that turned out to be none."""
    lines = recorded.read_text("utf-8").splitlines(keepends=True)
    recorded.write_text("".join(line for line in lines if line.split("\t")[0] != url), "utf-8")


def _filled(address: Address, folder: Path) -> Iterator[tuple[str, str]]:
    """(path, url) of an address for each row of its table."""
    table = folder / address.table
    for row in tables.each(tables.dict_reader(tables.decode(table.read_bytes())), table):
        path = address.path.format(**row)
        tables.inside(folder, path, f"{table}, downloaded")
        yield path, address.url.format(**row)


def _those_there(
    get: Callable[[dict[str, str]], dict[str, Path]], asked: dict[str, str]
) -> dict[str, Path]:
    """What `get` gives of some files, without those that the server does not have."""
    found, items = {}, list(asked.items())
    for first in range(0, len(items), _AT_ONCE):
        some = items[first : first + _AT_ONCE]
        batch = _all_there(get, some)
        for each in some if batch is None else ():
            found |= _all_there(get, [each]) or {}
        found |= batch or {}
    return found


def _all_there(
    get: Callable[[dict[str, str]], dict[str, Path]], items: Sequence[tuple[str, str]]
) -> dict[str, Path] | None:
    """What `get` gives of some files; None if the server does not have one of them."""
    try:
        return get(dict(items))
    except OSError as error:
        if _NOT_THERE not in str(error):
            raise
    return None


def _lone_folder(folder: Path) -> Path:
    """The innermost folder that holds all there is, but for hidden remains of what was killed."""
    while True:
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
        if len(entries) != 1 or not entries[0].is_dir():
            return folder
        (folder,) = entries


def download_recorded(
    name: str, asked: Mapping[str, str], *, folder: Path, recorded: Path
) -> dict[str, Path]:
    """Name -> where the file of its address is, in `folder`; `recorded` gets sizes and checksums.

    Raises:
      OSError: as `fetch`.
    """
    if not asked:
        return {}
    infos = checksums.load_url_infos(recorded) if recorded.is_file() else {}
    recorded.parent.mkdir(parents=True, exist_ok=True)
    recorded.touch()
    known = {key: url for key, url in asked.items() if url in infos}
    new = {key: url for key, url in asked.items() if url not in infos}
    options = {"register_checksums": True, "register_checksums_path": recorded}
    try:
        found = _get(name, infos, folder, known, {}) if known else {}
    except OSError as error:
        raise OSError(
            f"{error}. What the files were at their first download stands in {recorded}: if they "
            "were changed at their source since, delete it"
        ) from error
    return found | (_get(name, infos, folder, new, options) if new else {})


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
        urls = list(asked.values())
        more = f" and {len(urls) - _SHOWN} more addresses" * (len(urls) > _SHOWN)
        raise OSError(
            f"the files of {name} could not be downloaded ({error}). Get them by hand, from "
            f"{', '.join(urls[:_SHOWN])}{more}, and give their folder as --manual_dir"
        ) from error
    return {file: Path(path) for file, path in found.items()}


def link(files: Mapping[str, Path], folder: Path) -> Path:
    """`folder` with a link to each file under its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f".{place.name}.{os.getpid()}")
        partial.unlink(missing_ok=True)
        partial.symlink_to(path.resolve())
        partial.replace(place)
    return folder
