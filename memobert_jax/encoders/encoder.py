"""A frozen front end, and the one way in which it is run.

The media of a clip is cut into chunks, and a compiled function takes a fixed number of chunks of
one shape. How a clip is cut depends on that clip alone. A CPU computes one chunk after the other,
so a row is computed by the same instructions at the same place of a chunk whatever else is encoded
with its clip: features are byte-equal for one clip and for a million, and for one device and for
many. An accelerator computes many chunks side by side, since one alone leaves most of it idle;
there the last bits of a row may depend on the place of its chunk.
"""

import dataclasses
import functools
import math
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

Prepared = tuple[np.ndarray, int]
"""(chunks [c, ...], number of rows) of one clip."""


@dataclasses.dataclass(frozen=True, eq=False)
class Encoder:
    """A frozen front end of one modality.

    Attributes:
      name, version: what a checkpoint remembers; another version may give other features.
      weights_sha256: of the weights and, where it is read too, of their configuration; '' without.
      width: columns of a row.
      rate_hz: rows per second.
      bands: columns over which normalisation statistics repeat, as they are fitted on the training
        split; 0 where each row is normalised by itself.
      batch: chunks of one call of the compiled function on a CPU, one after the other.
      side_by_side: chunks of one call on an accelerator, all at once.
      prepare: media of a clip -> `Prepared`, on the host.
      compute: params, one chunk [...] -> f32 [rows of a chunk, width + classes], in JAX.
      params: the weights, a tree of arrays.
      longest_s: seconds of a clip's media that are seen; what comes after is not.
      classes: columns behind `width` with the probabilities of expression classes.
      normalised: what the statistics are of and are removed from: the 'rows' that come out, or
        the 'media' in the chunks that go in.
    """

    name: str
    version: int
    weights_sha256: str
    width: int
    rate_hz: float
    bands: int
    batch: int
    side_by_side: int
    prepare: Callable[[Any], Prepared]
    compute: Callable[[Any, jax.Array], jax.Array]
    params: Any = ()
    longest_s: float = math.inf
    classes: int = 0
    normalised: str = "rows"

    def identity(self) -> dict[str, Any]:
        """What a features dataset and a checkpoint remember, JSON-able."""
        names = ("name", "version", "weights_sha256", "width", "rate_hz")
        return {name: getattr(self, name) for name in names}


Function = Callable[[np.ndarray], np.ndarray]


def compiled(
    encoder: Encoder,
    devices: Sequence[jax.Device] | None = None,
    *,
    accelerated: bool | None = None,
) -> Function:
    """The function chunks [c, ...] -> f32 [c, rows of a chunk, columns] on `devices`.

    Batches go to the devices in turn (default: all of this host) where there are as many batches as
    devices, or else to the first. Each device runs the same program on its own: one program over
    all of them would be fused in another way and give other last bits.

    Args:
      encoder: the front end.
      devices: of this host, of one kind.
      accelerated: whether chunks are computed side by side; by default where they are no CPUs.
    """

    @functools.cache
    def places() -> list[jax.Device]:  # at the first call: by then the job has been joined
        return jax.local_devices() if devices is None else list(devices)

    @functools.cache
    def put(number: int) -> Any:
        return jax.device_put(encoder.params, places()[number])

    lock = threading.Lock()

    def params(number: int) -> Any:
        with lock:  # threads that start together would each put the weights on the device
            return put(number)

    @functools.cache
    def at_once() -> bool:
        return places()[0].platform != "cpu" if accelerated is None else accelerated

    @jax.jit
    def program(params: Any, chunks: jax.Array) -> jax.Array:
        compute = functools.partial(encoder.compute, params)
        return jax.vmap(compute)(chunks) if at_once() else jax.lax.map(compute, chunks)

    def run(chunks: np.ndarray) -> np.ndarray:
        size = encoder.side_by_side if at_once() else encoder.batch
        empty = np.zeros((-len(chunks) % size, *chunks.shape[1:]), chunks.dtype)
        batches = np.concatenate([chunks, empty]).reshape(-1, size, *chunks.shape[1:])
        used = len(places()) if len(batches) >= len(places()) else 1
        parts = [
            program(params(i % used), jax.device_put(batch, places()[i % used]))
            for i, batch in enumerate(batches)
        ]
        if not parts:
            return np.zeros((0, 0, encoder.width + encoder.classes), np.float32)
        return np.concatenate([np.asarray(part) for part in parts])[: len(chunks)]

    return run


def encode(
    encoder: Encoder,
    function: Function,
    prepared: Sequence[Prepared],
    statistics: Mapping[str, Sequence[float]] | None = None,
) -> list[np.ndarray]:
    """The rows of each clip, f32 [rows, width + classes].

    Args:
      encoder: the front end.
      function: `compiled(encoder)`, made once.
      prepared: `encoder.prepare` of the media of each clip.
      statistics: fitted mean and std, for an encoder whose media are normalised.

    Raises:
      ValueError: if it needs statistics and they are not of its number of bands.
    """
    alike = defaultdict(list)
    for number, (chunks, _) in enumerate(prepared):
        alike[chunks.shape[1:]].append(number)
    found: dict[int, np.ndarray] = {}
    for numbers in alike.values():
        chunks = np.concatenate([prepared[number][0] for number in numbers])
        if encoder.normalised == "media":
            chunks = _standard(encoder, chunks, statistics or {})
        made = function(chunks)
        rows, at = made.reshape(-1, made.shape[-1]), 0
        for number in numbers:
            chunks, count = prepared[number]
            found[number] = rows[at : at + count]
            at += len(chunks) * made.shape[1]
    return [found[number] for number in range(len(prepared))]


def normalise(
    encoder: Encoder, rows: np.ndarray, statistics: Mapping[str, Sequence[float]]
) -> np.ndarray:
    """f16 [rows, width]: mean and standard deviation of each band removed, where rows have bands.

    Raises:
      ValueError: if the encoder has bands and there are no statistics of that number.
    """
    if encoder.bands and encoder.normalised == "rows":
        rows = _standard(encoder, rows, statistics)
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is counted as such
        return rows.astype(np.float16)


def _standard(
    encoder: Encoder, values: np.ndarray, statistics: Mapping[str, Sequence[float]]
) -> np.ndarray:
    """f32: mean and standard deviation removed; bands repeat over the last axis of `values`."""
    found = {name: len(statistics.get(name, ())) for name in ("mean", "std")}
    if set(found.values()) != {encoder.bands}:
        raise ValueError(
            f"encoder {encoder.name!r} is normalised with the mean and std of {encoder.bands} "
            f"bands; the normalisation given has {found}: take that of a features dataset"
        )
    repeats = values.shape[-1] // encoder.bands
    mean = np.tile(np.asarray(statistics["mean"], np.float32), repeats)
    std = np.tile(np.asarray(statistics["std"], np.float32), repeats)
    return (values - mean) / std


def measured(encoder: Encoder, function: Function, prepared: Sequence[Prepared]):
    """For each clip the values whose statistics are fitted, f64 [n, bands]."""
    if encoder.normalised == "rows":
        found = encode(encoder, function, prepared)
    else:
        found = [chunks.reshape(-1, *chunks.shape[2:])[:count] for chunks, count in prepared]
    return [values.astype(np.float64).reshape(-1, encoder.bands) for values in found]
