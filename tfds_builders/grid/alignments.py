"""GRID's `.align` files -> utterances with measured word times."""

from pathlib import Path

import numpy as np

from memobert_jax.media.subtitles import Utterance
from tfds_builders import tables

TICKS_PER_S = 25_000
"""Unit of the times: a thousandth of a frame of 25 per second."""

PAUSES = frozenset({"sil", "sp"})


def read(path: Path) -> Utterance:
    """The utterance of an alignment, from its first word to its last.

    A line has start, end and word; pauses are no words. Lines are put in order of time.

    Args:
      path: the file.

    Returns:
      An Utterance whose fields are the words, with starts and ends from the first word's start in
      seconds, and `words_aligned` = 1.

    Raises:
      ValueError: for a line that cannot be meant, words that overlap, or no word at all.
    """
    words: list[tuple[int, int, str]] = []
    for number, line in enumerate(tables.decode(path.read_bytes()).splitlines(), 1):
        cells = line.split()
        if not cells:
            continue
        if len(cells) != 3 or not (cells[0].isdecimal() and cells[1].isdecimal()):
            raise ValueError(f"{path} line {number}: {line!r}; expected start, end, word")
        if cells[2] not in PAUSES:
            words.append((int(cells[0]), int(cells[1]), cells[2]))
    words.sort()
    if not words:
        raise ValueError(f"{path} has no word")
    ends = [*(start for start, _, _ in words[1:]), words[-1][1]]
    for (start, end, word), latest in zip(words, ends, strict=True):
        if not start < end <= latest:
            raise ValueError(
                f"{path}: {word!r} from {start} to {end}; expected start < end <= {latest}, where "
                "the next word starts"
            )
    times = np.array([(start, end) for start, end, _ in words], np.float64) / TICKS_PER_S
    within = (times - times[0, 0]).astype(np.float32)
    texts = [word for _, _, word in words]
    fields = {
        "words_text": texts,
        "words_start_s": within[:, 0],
        "words_end_s": within[:, 1],
        "words_aligned": np.float32(1),
    }
    return Utterance(float(times[0, 0]), float(times[-1, 1]), " ".join(texts), fields)
