"""The pickles of MMSA (`aligned_50.pkl`, `unaligned_50.pkl`, `unaligned_39.pkl`), as tables.

For each split `text`, `audio`, `vision` [n, steps, columns], `text_bert` [n, 3, steps] (ids, mask,
segments), `raw_text`, `id` ("video$_$clip"), `regression_labels`; unaligned ones also
`audio_lengths` and `vision_lengths`. Steps are words of BERT, the first and the last of a segment
its [CLS] and [SEP].
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfds_builders.cmu import ids, labels
from tfds_builders.cmu.mult import KEYS, arrays_of, numbers, read_splits, table
from tfds_builders.cmu.processed import Table

_NEEDED = (*KEYS, "id", "raw_text", "regression_labels")


def read(path: Path) -> dict[str, Table]:
    """Split -> table.

    Raises:
      FileNotFoundError, ValueError: if it is no such pickle, or its parts do not fit together.
    """
    tables = {}
    for split, part in read_splits(path, _NEEDED).items():
        where = f"{path}, {split}"
        arrays = arrays_of(part, where)
        texts = _texts(part["raw_text"], where)
        given = numbers(part["regression_labels"], f"{where}: regression_labels").ravel().tolist()
        if len(texts) != len(given):
            raise ValueError(f"{where}: {len(texts)} texts for {len(given)} labels")
        values = [
            found | {"text": text} if isinstance(found := labels.fields(value, ()), dict) else found
            for value, text in zip(given, texts, strict=True)
        ]
        names = ids.parse_all(part["id"], where)
        tables[split] = table(where, names, arrays, values, lengths=_lengths(part, arrays, where))
    return tables


def _texts(given: Any, where: str) -> list[str]:
    texts = given.tolist() if isinstance(given, np.ndarray) else given
    if not isinstance(texts, list | tuple) or not all(isinstance(t, str | bytes) for t in texts):
        raise ValueError(f"{where}: raw_text is no array of texts")
    return [" ".join(ids.text(each).split()) for each in texts]


def _lengths(
    part: Mapping[str, Any], arrays: Mapping[str, np.ndarray], where: str
) -> dict[str, np.ndarray]:
    """Modality -> steps that are no padding, of the modalities of which the file tells."""
    found = {}
    for key, name in (("audio_lengths", "speech"), ("vision_lengths", "face")):
        if key in part:
            given = numbers(part[key], f"{where}: {key}").ravel()
            steps = arrays[name].shape[1]
            if not np.isin(given, np.arange(steps + 1)).all():
                raise ValueError(
                    f"{where}: {key} are up to {given.max()}; expected whole numbers from 0 to "
                    f"{steps}, the steps of the array"
                )
            found[name] = given.astype(np.int64)
    if "text_bert" in part:
        mask = numbers(part["text_bert"], f"{where}: text_bert")
        steps = arrays["text_features"].shape[1]
        if mask.shape[1:] != (3, steps):
            raise ValueError(
                f"{where}: text_bert has the shape {mask.shape}; expected [n, 3, {steps}]"
            )
        found["text_features"] = (mask[:, 1] > 0).sum(1)
        first = np.arange(steps) < found["text_features"][:, None]
        if not np.array_equal(mask[:, 1] > 0, first):
            raise ValueError(f"{where}: the mask in text_bert does not begin with its ones")
    return found
