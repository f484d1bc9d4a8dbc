"""Labelled face crops of a clips dataset, for training a face front end."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np


@dataclasses.dataclass(frozen=True)
class Crops:
    """Labelled crops: images u8 [n, 64, 64], classes i32 [n] (-1: none), shares f32 [n, 8]."""

    images: np.ndarray
    classes: np.ndarray
    shares: np.ndarray
    left_out: Mapping[str, int]


def read(source: str | Path, split: str, soft: bool) -> Crops:
    """The crops of a clips dataset with the label of their clip.

    Args:
      source: the dataset folder.
      split: name of the split.
      soft: also clips that have shares of votes, but no majority.

    Raises:
      FileNotFoundError, ValueError: if there is no such dataset or split, or no labelled crop.
    """
    from memobert_jax import reader, record
    from memobert_jax.encoders.denseface import CLASSES, grey

    records = reader.Split(source, split, "clips")
    places = [record.EMOTIONS.index(name) for name in CLASSES]
    images, classes, shares = [], [], []
    left_out = {"no_face": 0, "no_label": 0, "label_of_no_class": 0}
    for index in range(len(records)):
        clip = records.read(index, ("id", "faces", "emotion", "emotions"))
        label, given = int(clip["emotion"]), np.asarray(clip["emotions"])[places]
        votes = given / given.sum() if np.isfinite(given).all() and given.sum() > 0 else None
        if not len(clip["faces"]):
            left_out["no_face"] += 1
        elif label < 0 and not (soft and votes is not None):
            left_out["no_label"] += 1
        elif label >= 0 and label not in places:
            left_out["label_of_no_class"] += 1
        else:
            number = places.index(label) if label >= 0 else -1
            images += [grey(crop, i) for i, crop in enumerate(clip["faces"])]
            classes += [number] * len(clip["faces"])
            shares += [np.eye(len(CLASSES))[number] if votes is None else votes] * len(
                clip["faces"]
            )
    if not images:
        raise ValueError(
            f"split {split!r} of {source} has no labelled face crop; left out: {left_out}. Give a "
            "clips dataset with faces and emotions, such as that of tfds_builders fer_plus"
        )
    arrays = np.stack(images), np.array(classes, np.int32), np.stack(shares).astype(np.float32)
    return Crops(*arrays, left_out)


def augmented(images: np.ndarray, shift: int, rng: np.random.Generator) -> np.ndarray:
    """u8 [n, 64, 64]: each image mirrored or not, and moved, its border repeated."""
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift)), mode="edge")
    out = np.empty_like(images)
    side = images.shape[1]
    for i, (y, x, mirror) in enumerate(
        rng.integers(0, (2 * shift + 1, 2 * shift + 1, 2), (len(images), 3))
    ):
        moved = padded[i, y : y + side, x : x + side]
        out[i] = moved[:, ::-1] if mirror else moved
    return out
