"""Archives of corpora: extracted whole or not at all, and nothing of them beside their folder."""

import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path

_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError)
_DAMAGE += (RuntimeError, NotImplementedError)  # an encrypted zip, an unknown compression
_NESTED = (".zip", ".tar", ".tar.gz", ".tgz")


def extract(archive: Path, folder: Path) -> Path:
    """Extracts a zip or tar, whole or not at all, unless that was done; `folder`.

    Zips and tars that it holds are extracted where they lie; those in them are not. TFDS would
    extract it with TensorFlow.

    Raises:
      OSError: if it is neither, is damaged, or names a file that would lie outside the folder.
    """
    if folder.is_dir():
        return folder
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _extract(archive, partial, str(archive))
        for path in [path for path in partial.rglob("*") if _nested(path)]:
            _extract(path, path.parent, f"{path.name} in {archive}")
            path.unlink()
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _nested(path: Path) -> bool:
    """Whether a file of an archive is one, too, and none of the system that packed it."""
    named = path.name.lower().endswith(_NESTED) and not path.name.startswith("._")
    return named and path.is_file() and not path.is_symlink()


def _extract(archive: Path, folder: Path, what: str) -> None:
    """Extracts an archive that is called `what`."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if tarfile.is_tarfile(archive):  # first: a tar may end in a zip, and be taken for it
            with tarfile.open(archive) as file:
                _check_inside(file.getnames(), folder, what)
                file.extractall(folder, filter="data")
        else:
            with zipfile.ZipFile(archive) as file:
                _check_inside(file.namelist(), folder, what)
                file.extractall(folder)
    except tarfile.FilterError as error:
        raise OSError(f"{what} holds what must not be extracted: {error}") from error
    except _DAMAGE as error:
        raise OSError(f"{what} is no zip or tar, or a damaged one ({error}): delete it") from error


def _check_inside(names: list[str], folder: Path, what: str) -> None:
    for entry in names:
        if not (folder / entry).resolve().is_relative_to(folder.resolve()):
            raise OSError(f"{what} holds {entry!r}, which would lie outside its folder")
