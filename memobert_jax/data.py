"""Features datasets to masked host batches. Position in the data is the step.

The batch of step k is a pure function of (datasets, tokenizer, configuration, k): the same global
rows come out for any number of hosts and threads, and after any restart.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from memobert_jax import reader
from memobert_jax.batch import MODALITY_OF, Layout, View, special_ids
from memobert_jax.collate import assemble
from memobert_jax.config import MODALITIES, PretrainConfig
from memobert_jax.features import FeaturesDataset
from memobert_jax.featurizer import finite
from memobert_jax.masking import mask_frames, mask_words, nothing_masked
from memobert_jax.sources import Source, read_clip, widths_of
from memobert_jax.tokenizer import Tokenizer

_MIX_PERIOD = 4096
MASKS, OBJECTIVE, ORDER, MIX, HELDOUT_ROWS, HELDOUT_MASKS = range(1, 7)
"""What a stream of random numbers is for: no two of them meet."""


class TrainData:
    """The training rows of all sources, in the order of the run."""

    def __init__(self, cfg: PretrainConfig, tokenizer: Tokenizer):
        if not cfg.data.sources:
            raise ValueError(
                "data.sources is empty: give --config.data.sources=\"(('FEATURES_DIR', 1.0),)\""
            )
        self.cfg, self.tokenizer = cfg, tokenizer
        self.sources = [
            Source.open(
                FeaturesDataset(*reader.split_of(path, cfg.data.split)[:2]), cfg.data, tokenizer
            )
            for path, _ in cfg.data.sources
        ]
        self.layout = Layout.of(cfg.data, widths_of([s.dataset for s in self.sources]))
        self.shares = cfg.objectives.shares(self.layout.widths.face_emotion)
        self.mix = _mix_table([weight for _, weight in cfg.data.sources], cfg.seed)

    def describe(self) -> str:
        return "\n".join(
            f"{path} (weight {weight:g}): {source.describe()}"
            for source, (path, weight) in zip(self.sources, self.cfg.data.sources, strict=True)
        )

    def idle(self) -> list[str]:
        """Objectives that are on, of a modality that no clip of any source has."""
        absent = set.intersection(*(set(source.absent) for source in self.sources))
        return [name for name in self.shares if MODALITY_OF[name] in absent]

    def locate(self, number: int) -> tuple[int, int]:
        """(source, row) of a global row number: a pure function of the seed and the number."""
        cycle, place = divmod(number, _MIX_PERIOD)
        source = int(self.mix.order[place])
        drawn = cycle * int(self.mix.counts[-1, source]) + int(self.mix.counts[place, source])
        epoch, at = divmod(drawn, len(self.sources[source].plan))
        return source, int(self._permutation(source, epoch)[at])

    @functools.lru_cache(maxsize=64)  # noqa: B019 - one TrainData lives as long as the run
    def _permutation(self, source: int, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([self.cfg.seed, ORDER, source, epoch])
        return rng.permutation(len(self.sources[source].plan)).astype(np.int32)

    def views(self, number: int) -> list[View]:
        """The masked clips of a global row."""
        source, row = self.locate(number)
        dataset, step = self.sources[source].dataset, number // self.cfg.data.batch_rows
        rng = np.random.default_rng([self.cfg.seed, MASKS, number])
        schedule, shares = self.cfg.objectives.schedule, self.shares
        names = tuple(shares)
        if schedule == "per_step":
            draw = np.random.default_rng([self.cfg.seed, OBJECTIVE, step])
            names = (draw.choice(names, p=list(shares.values())),)
        return [
            self._masked(dataset, clip, rng, names, one=schedule == "per_clip")
            for clip in self.sources[source].row(row)
        ]

    def _masked(self, dataset, clip, rng, names, *, one: bool) -> View:
        return masked_view(
            dataset, clip, rng, names, self.cfg, self.tokenizer, self.shares, one=one
        )

    def batch(self, step: int, process: int = 0, processes: int = 1) -> dict[str, np.ndarray]:
        """This host's rows of the global batch of a step (from 0)."""
        numbers = self._numbers(step, process, processes)
        return assemble(map(self.views, numbers), self.layout, len(numbers))

    def _numbers(self, step: int, process: int, processes: int) -> range:
        rows = self.cfg.data.batch_rows // processes
        first = step * self.cfg.data.batch_rows + process * rows
        return range(first, first + rows)

    def clip_ids(self, step: int, process: int = 0, processes: int = 1) -> dict[str, list[str]]:
        """Which clips `batch` of the same arguments holds: dataset folder -> ids, row by row."""
        return self._ids(self._numbers(step, process, processes), lambda dataset, clip: True)

    def broken_ids(self, step: int, process: int = 0, processes: int = 1) -> dict[str, list[str]]:
        """Those of `clip_ids` whose features are not finite; reads them again."""

        def broken(dataset: FeaturesDataset, clip: int) -> bool:
            return not finite(read_clip(dataset, clip, self.cfg.data.skip_corrupt)[0])

        return self._ids(self._numbers(step, process, processes), broken)

    def _ids(self, numbers: Iterable[int], wanted: Callable) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for number in numbers:
            source, row = self.locate(number)
            dataset, ids = self.sources[source].dataset, self.sources[source].dataset.column("id")
            clips = [ids[c] for c in self.sources[source].row(row) if wanted(dataset, c)]
            if clips:
                found.setdefault(str(dataset.path), []).extend(clips)
        return found

    def batches(
        self,
        start: int,
        process: int = 0,
        processes: int = 1,
        place: Callable[[dict[str, np.ndarray]], Any] = lambda batch: batch,
    ) -> Iterator[Any]:
        """`place(batch)` of the steps from `start` on, made ahead by threads.

        With a `place` that puts a batch on the devices, it is there before its step begins.
        """
        import grain

        steps = grain.MapDataset.range(start, self.cfg.steps)
        options = grain.ReadOptions(
            num_threads=self.cfg.data.read_threads, prefetch_buffer_size=self.cfg.data.prefetch
        )
        load = functools.partial(self.batch, process=process, processes=processes)
        return iter(steps.map(lambda step: place(load(step))).to_iter_dataset(options))


def masked_view(
    dataset: FeaturesDataset,
    clip: int,
    rng: np.random.Generator,
    names: Sequence[str],
    cfg: PretrainConfig,
    tokenizer: Tokenizer,
    shares: dict[str, float],
    *,
    one: bool = False,
) -> View:
    """A clip with its masks drawn.

    Args:
      dataset: where the clip is.
      clip: its index.
      rng: draws.
      names: objectives that may be masked for.
      cfg: masking ratios and the longest lengths.
      tokenizer: of the run.
      shares: of the objectives, for `one`.
      one: mask for a single objective, drawn by share among those the clip has the modality for.
    """
    item, damaged = read_clip(dataset, clip, cfg.data.skip_corrupt)
    if cfg.masking.fewer and rng.random() < cfg.masking.fewer:
        item = _fewer(item, rng)
    pieces = tokenizer.encode(item["text"])
    ids = labels = special_ids(pieces.ids, tokenizer)
    face, speech = item["face"][: cfg.data.max_face], item["speech"][: cfg.data.max_speech]
    emotion = item["face_emotion"][: len(face)]
    present = {"mlm": len(pieces.ids), "mfr": len(face), "mfc": len(emotion), "msr": len(speech)}
    names = [name for name in names if present[name]]
    if one and names:
        weights = np.array([shares[name] for name in names])
        names = [names[rng.choice(len(names), p=weights / weights.sum())]]
    targets = {}
    if "mlm" in names:
        groups = np.full(len(ids), -1, np.int32)
        groups[1:-1] = pieces.groups
        words = mask_words(ids, groups, rng, cfg.masking, tokenizer.mask_id, tokenizer.random_ids)
        ids, targets["mlm"] = words.inputs, words.targets.nonzero()[0]
    if "mfr" in names or "mfc" in names:
        face_mask = mask_frames(len(face), rng, cfg.masking.face_ratio, cfg.masking)
        places = face_mask.targets.nonzero()[0]
        targets |= {name: places for name in ("mfr", "mfc") if name in names}
    else:
        face_mask = nothing_masked(len(face))
    if "msr" in names:
        speech_mask = mask_frames(len(speech), rng, cfg.masking.speech_ratio, cfg.masking)
        targets["msr"] = speech_mask.targets.nonzero()[0]
    else:
        speech_mask = nothing_masked(len(speech))
    return View(ids, labels, face, emotion, speech, face_mask, speech_mask, targets, clip, damaged)


def _fewer(item: dict, rng: np.random.Generator) -> dict:
    """A clip without some of its modalities: each proper subset of those that it has alike."""
    has = [name for name in MODALITIES if len(item[name])]
    if len(has) < 2:
        return item
    shown = rng.integers(1, 2 ** len(has) - 1)  # a bit for each
    return item | {name: item[name][:0] for bit, name in enumerate(has) if not shown >> bit & 1}


@dataclasses.dataclass(frozen=True)
class _Mix:
    order: np.ndarray
    counts: np.ndarray


def _mix_table(weights: Sequence[float], seed: int) -> _Mix:
    """One period of sources in the given shares, shuffled, with running counts [period + 1, n].

    Raises:
      ValueError: if a weight is not above 0.
    """
    if min(weights) <= 0:
        raise ValueError(f"data.sources weights are {list(weights)}; every one must be above 0")
    exact = np.asarray(weights) / np.sum(weights) * _MIX_PERIOD
    sizes = np.maximum(np.floor(exact).astype(int), 1)
    while sizes.sum() != _MIX_PERIOD:
        step = 1 if sizes.sum() < _MIX_PERIOD else -1
        sizes[np.argmax(step * (exact - sizes))] += step
    order = np.repeat(np.arange(len(weights)), sizes)
    np.random.default_rng([seed, MIX]).shuffle(order)
    counts = np.zeros((_MIX_PERIOD + 1, len(weights)), np.int64)
    counts[1:] = np.cumsum(order[:, None] == np.arange(len(weights)), axis=0)
    return _Mix(order, counts)
