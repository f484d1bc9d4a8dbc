"""What other files know of the segments of a processed file: emotions by their times, and words."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfds_builders.cmu import words
from tfds_builders.cmu.labels import TOLERANCE_S, Labels
from tfds_builders.cmu.processed import Id, LookUp
from tfds_builders.listing import Tally


@contextlib.contextmanager
def opened(labels_file: Path | None, words_file: Path | None) -> Iterator[LookUp]:
    """A function (id, its fields, tally) -> more fields.

    A segment gets the emotions of the label row that has its video, start and end, both within
    TOLERANCE_S. One without such a row has none; it is kept and counted.

    Raises:
      FileNotFoundError, ValueError: if a file is missing or is not of its kind.
    """
    with contextlib.ExitStack() as stack:
        labels = Labels(labels_file) if labels_file else None
        say = stack.enter_context(words.opened(words_file)) if words_file else None

        def look_up(who: Id, values: Mapping[str, Any], tally: Tally) -> dict[str, Any]:
            found: dict[str, Any] = {}
            if labels is not None:
                found |= _emotions(labels, who, values, tally)
            if say is not None:
                spoken = say(who.video, who.start_s, who.end_s)
                tally.note("segments without words in the file of words", not spoken)
                found |= spoken
            return found

        yield look_up


def _emotions(
    labels: Labels, who: Id, values: Mapping[str, Any], tally: Tally
) -> dict[str, np.ndarray]:
    label = labels.find(who.video, who.start_s, who.end_s)
    if label is None:
        tally.note("segments whose times are in no row of the label file: without emotions")
        return {}
    tally.note(f"segments found in the label file by their times, within {TOLERANCE_S} s")
    differ = abs(values["sentiment"] - label.sentiment) > 1e-3
    tally.note("of these, segments whose sentiment is not that of the label file", differ)
    return {"emotions": label.emotions}
