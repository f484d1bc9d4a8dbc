"""Label counts of a dataset as it was built, beside those that its authors published."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from memobert_jax import record

SCALARS = ("sentiment", "valence", "arousal", "dominance")
FIELDS = ("emotion", "emotions", "labels", *SCALARS)
"""Fields of the record that `count` looks at."""

KEYS = frozenset(
    ("clips", *FIELDS, *(f"{kind}/{e}" for kind in FIELDS[:2] for e in record.EMOTIONS))
)
"""What is counted: `clips`; a field, where it is there; `emotion/NAME`, clips of that class;
`emotions/NAME`, clips with an intensity above zero. Besides these, `labels/NAME`: clips with that
label of the corpus."""

ALL = "all"
"""In published counts: all splits together."""


@dataclasses.dataclass(frozen=True)
class Published:
    """Counts that were published for a configuration.

    Attributes:
      source: where they stand: paper and table, or file.
      counts: split, or ALL -> key of KEYS, or labels/NAME -> number. Where one class of `emotion`,
        `emotions` or `labels` is given for a split, a class that is not given counts as 0.

    Raises:
      ValueError: for a key that is not counted.
    """

    source: str
    counts: Mapping[str, Mapping[str, int]]

    def __post_init__(self) -> None:
        keys = {key for part in self.counts.values() for key in part}
        if unknown := sorted(key for key in keys - KEYS if not key.startswith("labels/")):
            raise ValueError(
                f"published counts of {unknown}; expected labels/NAME, or some of {sorted(KEYS)}"
            )


def count(item: Mapping[str, Any]) -> Counter[str]:
    """What a flat record adds to the counts; it needs FIELDS only."""
    found = Counter({"clips": 1})
    if (emotion := int(item["emotion"])) >= 0:
        found.update(("emotion", f"emotion/{record.EMOTIONS[emotion]}"))
    intensities = np.asarray(item["emotions"])
    if np.isfinite(intensities).any():
        found["emotions"] += 1
        found.update(f"emotions/{record.EMOTIONS[i]}" for i in np.flatnonzero(intensities > 0))
    if item["labels"]:
        found.update(("labels", *(f"labels/{name}" for name in item["labels"].split(","))))
    found.update(name for name in SCALARS if np.isfinite(item[name]))
    return found


def differences(
    built: Mapping[str, Mapping[str, int]], published: Published
) -> list[tuple[str, str, int, int]]:
    """(split, key, built, published) of every published count that the dataset does not meet."""
    sums = sum((Counter(part) for part in built.values()), Counter())
    found = []
    for split, counts in published.counts.items():
        here = sums if split == ALL else built.get(split, {})
        kinds = {key.split("/")[0] for key in counts if "/" in key}
        keys = set(counts) | {key for key in here if "/" in key and key.split("/")[0] in kinds}
        for key in sorted(keys):
            if here.get(key, 0) != counts.get(key, 0):
                found.append((split, key, here.get(key, 0), counts.get(key, 0)))
    return found


def describe(built: Mapping[str, Mapping[str, int]], published: Published | None) -> str:
    """The counts as a console table, a column a split, and what differs from the published ones."""
    labelled = any(set(part) - {"clips"} for part in built.values())
    if not labelled and published is None:
        return ""
    given = published.counts if published else {}
    splits = [*built, *(split for split in given if split not in built)]
    sums = {ALL: sum((Counter(part) for part in built.values()), Counter())}
    counts = {split: built.get(split, sums.get(split, {})) for split in splits}
    keys = {key for part in (*counts.values(), *given.values()) for key in part}
    width = max(12, *(len(split) + 2 for split in splits))
    lines = [f"{'labels, built (published)':<26}" + "".join(f"{s:>{2 * width}}" for s in splits)]
    for key in sorted(keys, key=lambda key: (key != "clips", key)):
        line = f"{key:<26}"
        for split in splits:
            shown = f"({given[split][key]})" if key in given.get(split, {}) else ""
            line += f"{counts[split].get(key, 0):>{width}} {shown:<{width - 1}}"
        lines.append(line.rstrip())
    return "\n".join([*lines, *_verdict(built, published)])


def _verdict(built: Mapping[str, Mapping[str, int]], published: Published | None) -> list[str]:
    if published is None:
        return ["no published counts are known for this configuration"]
    found = differences(built, published)
    if not found:
        return [f"all counts that are published are met ({published.source})"]
    lines = [f"*** {len(found)} COUNTS DIFFER FROM THE PUBLISHED ONES ({published.source}):"]
    for split, key, here, there in found:
        change = f"built {here}, published {there} ({here - there:+})"
        lines.append(f"*** split {split}, {key}: {change}")
    return lines
