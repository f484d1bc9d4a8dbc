"""What a user puts into `manual_dir`: its files, and refusals that say what to do."""

import os
from collections.abc import Iterator
from pathlib import Path

SOUND_SUFFIXES = frozenset(
    {".aac", ".aiff", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma"}
)
"""Of sound files, in lower case; those of videos are `memobert_jax.media.video.SUFFIXES`."""

ARCHIVES = (
    ".zip",
    ".tar",
    ".tar.gz",
    ".tgz",
    ".tar.bz2",
    ".tbz2",
    ".tar.xz",
    ".txz",
    ".tar.zst",
    ".7z",
    ".rar",
    ".gz",
)
_SHOWN = 5


def is_archive(path: Path) -> bool:
    """Whether a file's name is that of an archive."""
    return path.name.lower().endswith(ARCHIVES)


def check(manual_dir: Path, instructions: str) -> None:
    """Refuses a `manual_dir` that cannot be a corpus.

    Args:
      manual_dir: what was given.
      instructions: what belongs there; part of the message.

    Raises:
      FileNotFoundError: if it is not there, is empty, or holds nothing but archives.
      NotADirectoryError: if it is a file.
    """
    given = f"--manual_dir={manual_dir}"
    if not manual_dir.exists():
        raise FileNotFoundError(f"{given} is not there. {instructions}")
    if not manual_dir.is_dir():
        advice = "an archive: extract it, then give the folder" if is_archive(manual_dir) else ""
        raise NotADirectoryError(f"{given} is {advice or 'a file, not a folder'}. {instructions}")
    entries = [path for path in manual_dir.iterdir() if not path.name.startswith(".")]
    if not entries:
        raise FileNotFoundError(f"{given} is empty. {instructions}")
    if all(path.is_file() and is_archive(path) for path in entries):
        raise FileNotFoundError(
            f"{given} holds nothing but archives ({_few(entries)}): extract them there. "
            f"{instructions}"
        )


def need(manual_dir: Path, relative: str, instructions: str) -> Path:
    """A file or folder that a corpus must have.

    Args:
      manual_dir: the folder of the corpus.
      relative: path in it.
      instructions: what belongs there; part of the message.

    Raises:
      FileNotFoundError: if it is not there; the message says what is, and what to extract.
    """
    path = manual_dir / relative
    if not path.exists():
        raise missing(manual_dir, relative, instructions)
    return path


def missing(manual_dir: Path, what: str, instructions: str) -> FileNotFoundError:
    """The error of a folder that lacks something: says what it holds, and what to extract."""
    entries = [entry for entry in manual_dir.iterdir() if not entry.name.startswith(".")]
    archives = [entry for entry in entries if entry.is_file() and is_archive(entry)]
    advice = f" Extract the archives that are there ({_few(archives)})." if archives else ""
    return FileNotFoundError(
        f"no {what} in {manual_dir}, which holds {_few(entries) or 'nothing'}.{advice} "
        f"{instructions}"
    )


def walk(folder: Path) -> Iterator[Path]:
    """Files under a folder; hidden ones are ignored, links are followed, each folder once."""
    seen: set[Path] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = Path(parent).resolve()
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in files if not name.startswith("."))


def _few(paths: list[Path]) -> str:
    names = sorted(path.name for path in paths)
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" * (len(names) > _SHOWN))
