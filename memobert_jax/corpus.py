"""The labelled clips of a features dataset, as columns under one numbering.

Protocols are made of these columns, without reading a record.
"""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from memobert_jax.config import MODALITIES
from memobert_jax.features import FeaturesDataset

_LENGTH_OF = {"text": "words", "face": "face", "speech": "speech"}


class Corpus:
    """Splits of one features dataset, end to end under one numbering of clips.

    Args:
      path: the dataset folder.
      splits: names of the splits; by default all of them.

    Raises:
      FileNotFoundError, ValueError: if there is no features dataset, or no such split.
    """

    def __init__(self, path: str | Path, splits: Iterable[str] | None = None):
        self.path = Path(path)
        names = FeaturesDataset.splits(path) if splits is None else dict.fromkeys(splits)
        self.splits = {name: FeaturesDataset(path, name) for name in names}
        sizes = [len(split) for split in self.splits.values()]
        self._starts = np.cumsum([0, *sizes])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def metadata(self) -> dict[str, Any]:
        return next(iter(self.splits.values())).metadata

    @property
    def widths(self) -> dict[str, int]:
        return next(iter(self.splits.values())).widths

    @property
    def fingerprints(self) -> dict[str, str]:
        """Split -> fingerprint of its clips, encoders and normalisation."""
        return {name: split.fingerprint for name, split in self.splits.items()}

    @property
    def dataset(self) -> dict[str, str]:
        """As `FeaturesDataset.dataset`."""
        return next(iter(self.splits.values())).dataset

    def clips_of(self, split: str) -> np.ndarray:
        """i32 numbers of the clips of a split."""
        at = list(self.splits).index(split)
        return np.arange(self._starts[at], self._starts[at + 1], dtype=np.int32)

    @functools.lru_cache(maxsize=32)  # noqa: B019 - a corpus lives as long as the evaluation
    def column(self, name: str) -> np.ndarray:
        """A text, scalar or emotion field of all clips, or their `split`, [clips].

        Raises:
          ValueError: for another field.
        """
        if name == "split":
            return np.repeat(list(self.splits), np.diff(self._starts))
        return np.array([value for split in self.splits.values() for value in split.column(name)])

    @functools.lru_cache(maxsize=8)  # noqa: B019 - as above
    def has(self, modality: str) -> np.ndarray:
        """bool [clips]: whether there are words, face frames or speech rows."""
        name = _LENGTH_OF[modality]
        return np.concatenate([split.lengths[name] > 0 for split in self.splits.values()])

    @property
    def empty(self) -> np.ndarray:
        """bool [clips]: clips without any modality."""
        return ~np.any([self.has(modality) for modality in MODALITIES], axis=0)

    def read(self, clip: int, names: Iterable[str]) -> dict[str, Any]:
        """Fields of one clip."""
        at = int(np.searchsorted(self._starts, clip, side="right")) - 1
        return list(self.splits.values())[at].read(int(clip - self._starts[at]), names)
