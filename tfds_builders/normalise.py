"""Features that a corpus ships -> as they are stored: mean and deviation removed, finite, f16."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tfds_builders.listing import Tally

NORMALISED = ("face", "speech", "text_features")
"""Fields of which mean and standard deviation are removed where a configuration says so."""

_CONSTANT = 1e-6
"""A column whose standard deviation is below this share of its mean (or of 1) is left as it is."""


def fit(items: Iterable[Mapping[str, Any]], bands: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Mean and standard deviation of each column over the finite values of all rows.

    In the form of `featurizer.fit_normalisation`; summed in float64. A field without any row is
    left out; a column that is constant has std 1.

    Args:
      items: features-records.
      bands: field -> columns over which its statistics repeat, where these are not its width.
    """
    moments: dict[str, np.ndarray] = {}
    counts: dict[str, Counter[str]] = {}
    for item in items:
        for name in NORMALISED:
            if not len(item[name]):
                continue
            width = bands.get(name, item[name].shape[1])
            values = np.asarray(item[name], np.float64).reshape(-1, width)
            finite = np.isfinite(values)
            values = np.where(finite, values, 0)
            moments.setdefault(name, np.zeros((3, width)))
            moments[name] += finite.sum(0), values.sum(0), (values**2).sum(0)
            counts.setdefault(name, Counter()).update(clips=1, frames=len(values))
    return {name: _moments(*moments[name], counts[name]) for name in moments}


def _moments(n: np.ndarray, total: np.ndarray, squares: np.ndarray, counts) -> dict[str, Any]:
    mean = total / np.maximum(n, 1)
    std = np.sqrt(np.maximum(squares / np.maximum(n, 1) - mean**2, 0))
    std[std <= _CONSTANT * np.maximum(np.abs(mean), 1)] = 1
    return {"mean": mean.tolist(), "std": std.tolist(), **counts}


def finished(
    item: Mapping[str, Any],
    widths: Mapping[str, int],
    normalisation: Mapping[str, Mapping[str, Any]],
    tally: Tally,
) -> dict[str, Any]:
    """A features-record as it is stored: normalised, in half precision.

    A value that is not finite is counted and becomes 0: the mean of its column, if that is removed.

    Raises:
      ValueError: if a field has not the columns that were announced.
    """
    out = dict(item)
    for name in (*NORMALISED, "face_emotion"):
        values = np.asarray(item[name], np.float32)
        if values.ndim != 2 or values.shape[1] != widths.get(name, 1):
            raise ValueError(
                f"record {item['id']!r}: {name} has the shape {values.shape}; expected "
                f"[rows, {widths.get(name, 1)}]"
            )
        missing = ~np.isfinite(values)
        if name in normalisation and len(values):
            repeats = values.shape[1] // len(normalisation[name]["mean"])
            mean, std = (
                np.tile(np.asarray(normalisation[name][k], np.float32), repeats)
                for k in ("mean", "std")
            )
            values = (values - mean) / std
        values = np.where(missing, 0, values)
        rule = "the mean of their column" if name in normalisation else "0"
        tally.note(f"{name}: values that are not finite, set to {rule}", int(missing.sum()))
        with np.errstate(over="ignore"):
            out[name] = values.astype(np.float16)
    return out
