"""A frozen front end, and the one way in which it is run.

The media of a clip is cut into chunks of a fixed number of rows, and a compiled function maps over
a fixed number of chunks, one after the other. A row is therefore computed by the same instructions
at the same place of a chunk whatever else is encoded with its clip: on one kind of processor,
features are byte-equal for one clip and for a million.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np


@dataclasses.dataclass(frozen=True)
class Encoder:
    """A frozen front end of one modality.

    Attributes:
      name, version: what a checkpoint remembers; another version may give other features.
      weights_sha256: of the weights file; '' without weights.
      width: columns of a row.
      rate_hz: rows per second.
      bands: columns over which normalisation statistics repeat, as they are fitted on the training
        split; 0 where each row is normalised by itself.
      chunk_rows: rows of a chunk.
      batch: chunks of one call of the compiled function.
      prepare: media of a clip -> (chunks [c, ...], number of rows), on the host.
      compute: one chunk [...] -> f32 [chunk_rows, width], in JAX.
    """

    name: str
    version: int
    weights_sha256: str
    width: int
    rate_hz: float
    bands: int
    chunk_rows: int
    batch: int
    prepare: Callable[[Any], tuple[np.ndarray, int]]
    compute: Callable[[jax.Array], jax.Array]

    def identity(self) -> dict[str, Any]:
        """What a features dataset and a checkpoint remember, JSON-able."""
        names = ("name", "version", "weights_sha256", "width", "rate_hz")
        return {name: getattr(self, name) for name in names}


def compiled(encoder: Encoder) -> Callable[[np.ndarray], jax.Array]:
    """The jitted function chunks [batch, ...] -> f32 [batch, chunk_rows, width]."""
    return jax.jit(lambda chunks: jax.lax.map(encoder.compute, chunks))


def encode(
    encoder: Encoder,
    function: Callable[[np.ndarray], jax.Array],
    prepared: Sequence[tuple[np.ndarray, int]],
) -> list[np.ndarray]:
    """The rows of each clip, f32 [rows, width].

    Args:
      encoder: the front end.
      function: `compiled(encoder)`, made once.
      prepared: `encoder.prepare` of the media of each clip.
    """
    chunks = np.concatenate([chunks for chunks, _ in prepared])
    empty = np.zeros((-len(chunks) % encoder.batch, *chunks.shape[1:]), chunks.dtype)
    chunks = np.concatenate([chunks, empty])
    starts = range(0, len(chunks), encoder.batch)
    batches = [function(chunks[start : start + encoder.batch]) for start in starts]
    rows = np.concatenate(
        [np.zeros((0, encoder.width), np.float32)]
        + [np.asarray(batch).reshape(-1, encoder.width) for batch in batches]
    )
    lengths = [len(chunks) * encoder.chunk_rows for chunks, _ in prepared]
    places = np.cumsum([0, *lengths[:-1]])
    return [rows[at : at + count] for at, (_, count) in zip(places, prepared, strict=True)]


def normalise(
    encoder: Encoder, rows: np.ndarray, statistics: Mapping[str, Sequence[float]]
) -> np.ndarray:
    """f16 [rows, width]: mean and standard deviation of each band removed, where it has bands.

    Raises:
      ValueError: if the encoder has bands and there are no statistics of that number.
    """
    if encoder.bands:
        found = {name: len(statistics.get(name, ())) for name in ("mean", "std")}
        if set(found.values()) != {encoder.bands}:
            raise ValueError(
                f"encoder {encoder.name!r} is normalised with the mean and std of {encoder.bands} "
                f"bands; the normalisation given has {found}: take that of a features dataset"
            )
        repeats = encoder.width // encoder.bands
        mean = np.tile(np.asarray(statistics["mean"], np.float32), repeats)
        std = np.tile(np.asarray(statistics["std"], np.float32), repeats)
        rows = (rows - mean) / std
    return rows.astype(np.float16)
