"""Corpora of one utterance a file whose name says what it is: files of a folder -> sources."""

from collections.abc import Callable, Iterable
from pathlib import Path

from memobert_jax.media.subtitles import Utterance
from tfds_builders.extraction import Source
from tfds_builders.listing import EVERYTHING, Omission, Tally


def files(folder: Path, suffix: str) -> list[Path]:
    """The files of a folder with a suffix, in any case, by name; hidden ones are ignored.

    A link that leads nowhere is one of them: extraction counts it as missing.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == suffix and not path.name.startswith(".") and not path.is_dir()
    )


def sources(
    root: Path,
    paths: Iterable[Path],
    read: Callable[[Path], Utterance | Omission],
    tally: Tally,
) -> list[Source]:
    """One source a file; a file that is left out, or whose id was there already, is counted.

    Args:
      root: folder of the corpus, which the paths lie in.
      paths: the files, in a stable order.
      read: what is said in a file, with the `id` among its fields; or why it is left out.
      tally: counts the files.
    """
    kept: dict[str, Source] = {}
    for path in paths:
        tally.listed += 1
        name, found = path.relative_to(root).as_posix(), read(path)
        if isinstance(found, Omission):
            tally.omit(found, name)
        elif found.fields["id"] in kept:
            tally.omit(Omission.DUPLICATE_ID, name)
        else:
            kept[found.fields["id"]] = Source(name, str(path), EVERYTHING, (found,))
    return list(kept.values())


def whole_file(text: str, **fields: object) -> Utterance:
    """The utterance that a file is, from its start to its end."""
    return Utterance(0.0, float("inf"), text, fields)
