"""What is said in a segment, from a sequence of words with their times."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfds_builders.cmu.align import align
from tfds_builders.cmu.csd import PAUSE, CsdFile, Sequence


def fields(words: Sequence, start_s: float) -> dict[str, Any]:
    """The fields of a record that hold its text; pauses are no words.

    Args:
      words: of the segment; '' is no word.
      start_s: of the segment; word times are from there.
    """
    spoken = words[~np.isin(words.features, ("", PAUSE))]
    starts, ends = (spoken.intervals - start_s).astype(np.float32).T
    return {
        "text": " ".join(spoken.features),
        "words_text": spoken.features.tolist(),
        "words_start_s": np.ascontiguousarray(starts),
        "words_end_s": np.ascontiguousarray(ends),
        "words_aligned": 1.0,
    }


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Callable[[str, float, float], Mapping[str, Any]]]:
    """A function (video, start_s, end_s) -> `fields`, {} where the file does not know the video.

    Raises:
      FileNotFoundError, ValueError: if there is no file, or it does not hold words.
    """
    with CsdFile(path) as file:
        if file.width:
            raise ValueError(f"{path} has {file.width} columns of numbers; expected words")
        read = functools.lru_cache(maxsize=4)(file.read)

        def look_up(video: str, start_s: float, end_s: float) -> Mapping[str, Any]:
            if video not in file or not np.isfinite([start_s, end_s]).all():
                return {}
            return fields(align(np.array([[start_s, end_s]]), read(video)).of(0), start_s)

        yield look_up
