"""Ids of segments as processed files write them.

["video", "23.199", "30.325"]   start and end in seconds (CMU-MOSEI, 50 steps)
"video_3", ["video_3"]          number of the raw clip (CMU-MOSI, 50 steps)
"video$_$3"                     the same (MMSA)
"video[3]"                      row of the label file (the SDK)
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfds_builders.cmu.processed import Id

_CLIP = re.compile(r"(?P<video>.+?)(\$_\$\d+|_\d+|\[\d+\])")


def parse_all(ids: Any, where: str) -> list[Id]:
    """The id of each segment, from an array or a list [n], [n, 1] or [n, 3] of texts or bytes.

    Raises:
      ValueError: for ids of another form, or times that are no numbers.
    """
    try:
        rows = np.asarray(ids)
    except ValueError as error:
        raise ValueError(f"{where}: ids of several forms; expected one") from error
    if rows.ndim not in (1, 2) or (rows.ndim == 2 and rows.shape[1] not in (1, 3)):
        raise ValueError(
            f"{where}: ids have the shape {rows.shape}; expected [n], [n, 1] or [n, 3]"
        )
    rows = rows[:, None] if rows.ndim == 1 else rows
    return [_parse([text(part) for part in row], where) for row in rows.tolist()]


def numbered(split: str, count: int) -> list[Id]:
    """Ids of segments of which a file tells nothing."""
    return [Id(f"{split}_{number:05d}") for number in range(count)]


def text(part: Any) -> str:
    """A text that Python 2 may have written as bytes."""
    return part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part)


def _parse(parts: Sequence[str], where: str) -> Id:
    if len(parts) == 1:
        found = _CLIP.fullmatch(parts[0])
        return Id(parts[0], found["video"] if found else parts[0])
    video, *times = parts
    try:
        start_s, end_s = map(float, times)
    except ValueError as error:
        raise ValueError(
            f"{where}: id {list(parts)}; expected [video, start, end] with times in seconds"
        ) from error
    return Id("_".join(parts), video, start_s, end_s)
