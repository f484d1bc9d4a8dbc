"""The 28 labels of GoEmotions, and the two coarser sets that its authors map them to.

Demszky et al. 2020; emotions.txt, ekman_mapping.json and sentiment_mapping.json of the release.
"""

from collections.abc import Sequence

from memobert_jax import record
from tfds_builders import tables

ORIGINAL = (
    "admiration",
    "amusement",
    "anger",
    "annoyance",
    "approval",
    "caring",
    "confusion",
    "curiosity",
    "desire",
    "disappointment",
    "disapproval",
    "disgust",
    "embarrassment",
    "excitement",
    "fear",
    "gratitude",
    "grief",
    "joy",
    "love",
    "nervousness",
    "optimism",
    "pride",
    "realization",
    "relief",
    "remorse",
    "sadness",
    "surprise",
    "neutral",
)
"""In the order of the numbers 0 to 27 in the files."""

EKMAN = {
    "anger": ("anger", "annoyance", "disapproval"),
    "disgust": ("disgust",),
    "fear": ("fear", "nervousness"),
    "joy": (
        *("admiration", "amusement", "approval", "caring", "desire", "excitement"),
        *("gratitude", "joy", "love", "optimism", "pride", "relief"),
    ),
    "neutral": ("neutral",),
    "sadness": ("disappointment", "embarrassment", "grief", "remorse", "sadness"),
    "surprise": ("confusion", "curiosity", "realization", "surprise"),
}

GROUP = {
    "ambiguous": EKMAN["surprise"],
    "negative": (*EKMAN["anger"], *EKMAN["disgust"], *EKMAN["fear"], *EKMAN["sadness"]),
    "neutral": ("neutral",),
    "positive": EKMAN["joy"],
}

SETS = {"original": {name: (name,) for name in ORIGINAL}, "ekman": EKMAN, "group": GROUP}
"""Label set -> its labels -> the original ones that each stands for."""


def mapped(numbers: Sequence[int], label_set: str) -> list[str]:
    """The labels of a set that original label numbers stand for, each once, in the set's order."""
    names = {ORIGINAL[number] for number in numbers}
    return [label for label, parts in SETS[label_set].items() if names & set(parts)]


def canonical(label: str) -> int:
    """The class id in `record.EMOTIONS` of a label; -1 if it has no canonical name."""
    name = tables.ALIASES.get(label, label)
    return record.EMOTIONS.index(name) if name in record.EMOTIONS else -1
