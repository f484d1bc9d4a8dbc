"""The held-out set: fixed rows, the paper's masking, and predictors too simple to be a model.

A loss means little alone. Beside each held-out loss stands what a trivial predictor reaches on the
same targets: the frequency of word pieces; the mean of the clip's other frames, and the straight
line between the nearest of them.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from absl import logging

from memobert_jax import reader
from memobert_jax.batch import Layout, View
from memobert_jax.collate import assemble
from memobert_jax.config import MaskingConfig, PretrainConfig
from memobert_jax.data import HELDOUT_MASKS, HELDOUT_ROWS, masked_view
from memobert_jax.features import FeaturesDataset
from memobert_jax.sources import Source, widths_of
from memobert_jax.tokenizer import Tokenizer

GROUPS = (("mlm",), ("mfr", "mfc"), ("msr",))
"""Objectives measured together: one modality is masked at a time."""

_UNIGRAM_TEXTS = 100_000


class HeldOut(NamedTuple):
    """names: the objectives of a pass; rows: the views of each of its rows."""

    names: tuple[str, ...]
    rows: list[list[View]]


def heldout(cfg: PretrainConfig, tokenizer: Tokenizer) -> tuple[Layout, list[HeldOut]]:
    """The held-out rows of all sources, at most `eval_rows`, shared out by weight.

    A source that is trained on a split of its own, FOLDER:SPLIT, and has no `eval_split` gives
    none. What a split drops is logged, as for the training split.

    Masks depend on the seed alone: not on the schedule, nor on the masking of the run.

    Raises:
      ValueError: if no source gives any.
    """
    split, sources, weights = cfg.data.eval_split, [], []
    for path, weight in cfg.data.sources:
        folder, _, named = reader.split_of(path, split)
        if named and split not in FeaturesDataset.splits(folder):
            logging.info("no held-out rows of %s: it has no split %r", folder, split)
            continue
        sources.append(Source.open(FeaturesDataset(folder, split), cfg.data, tokenizer))
        weights.append(weight)
    if not sources:
        raise ValueError(f"no source has a split {split!r} to measure held-out losses on: set "
                         "--config.data.eval_split")  # fmt: skip
    quotas = _shared_out(cfg.eval_rows, weights)
    for source, quota in zip(sources, quotas, strict=True):
        rows = min(quota, len(source.plan))
        logging.info(
            "held out %s of %s: %d rows; %s", split, source.dataset.path, rows, source.describe()
        )
    layout = Layout.of(cfg.data, widths_of([source.dataset for source in sources]))
    shares = cfg.objectives.shares(layout.widths.face_emotion)
    paper = dataclasses.replace(cfg, masking=MaskingConfig(mode="paper"))
    rows = []
    for source, quota in zip(sources, quotas, strict=True):
        kept = np.random.default_rng([cfg.seed, HELDOUT_ROWS]).permutation(len(source.plan))[:quota]
        rows += [(number, source, row) for number, row in enumerate(kept.tolist(), len(rows))]

    def views(group: int, names: tuple[str, ...], number: int, source: Source, row: int):
        rng = np.random.default_rng([cfg.seed, HELDOUT_MASKS, group, number])
        return [
            masked_view(source.dataset, clip, rng, names, paper, tokenizer, shares)
            for clip in source.row(row)
        ]

    out = []
    for group, names in enumerate(GROUPS):
        names = tuple(name for name in names if name in shares)
        if names:
            out.append(HeldOut(names, [views(group, names, *row) for row in rows]))
    _warn_of_broken([source.dataset for _, source, _ in rows], out[0].rows)
    return layout, out


def _warn_of_broken(datasets: Sequence[FeaturesDataset], rows: Sequence[Sequence[View]]) -> None:
    broken = [
        dataset.column("id")[view.index]
        for dataset, views in zip(datasets, rows, strict=True)
        for view in views
        if not all(np.isfinite(x).all() for x in (view.face, view.face_emotion, view.speech))
    ]
    if broken:
        logging.warning(
            "held-out losses will not be finite, because the features of %d held-out clips are "
            "not: %s",
            len(broken),
            ", ".join(broken[:8]) + (", ..." if broken[8:] else ""),
        )


def _shared_out(rows: int, weights: Sequence[float]) -> list[int]:
    """`rows` in shares of `weights`, rounded so that they sum to it: largest remainder first."""
    exact = rows * np.asarray(weights) / np.sum(weights)
    out = np.floor(exact).astype(int)
    out[np.argsort(out - exact, kind="stable")[: rows - out.sum()]] += 1
    return out.tolist()


def batches(
    cfg: PretrainConfig,
    layout: Layout,
    passes: Iterable[HeldOut],
    process: int = 0,
    processes: int = 1,
) -> Iterator[tuple[tuple[str, ...], dict[str, np.ndarray]]]:
    """(objectives, this host's rows) of each held-out batch; the last ends in empty rows."""
    size = cfg.data.batch_rows
    part = slice(process * size // processes, (process + 1) * size // processes)
    for names, rows in passes:
        for first in range(0, len(rows), size):
            chunk = rows[first : first + size]
            chunk = chunk + [[]] * (size - len(chunk))
            yield names, assemble(chunk[part], layout, size // processes)


def trivial_losses(passes: Iterable[HeldOut], counts: np.ndarray) -> dict[str, float]:
    """Losses of the trivial predictors on the held-out targets.

    Args:
      passes: the held-out views.
      counts: how often each word piece occurs in the training text (`piece_counts`).

    Returns:
      `mlm/unigram` (cross-entropy, nats); `mfr/mean`, `mfr/line`, `msr/mean`, `msr/line` (mean
      squared error); those without a target are left out.
    """
    log_p = np.log((counts + 1.0) / (counts + 1.0).sum())
    found: dict[str, list[np.ndarray]] = {}
    for names, rows in passes:
        for view in (view for row in rows for view in row):
            if "mlm" in names and "mlm" in view.targets:
                found.setdefault("mlm/unigram", []).append(-log_p[view.labels[view.targets["mlm"]]])
            for name, frames in (("mfr", view.face), ("msr", view.speech)):
                places = view.targets[name] if name in names and name in view.targets else ()
                if len(places):
                    for kind, errors in _frame_errors(frames.astype(np.float32), places).items():
                        found.setdefault(f"{name}/{kind}", []).append(errors)
    return {name: float(np.concatenate(parts).mean()) for name, parts in found.items()}


def _frame_errors(frames: np.ndarray, places: np.ndarray) -> dict[str, np.ndarray]:
    """Mean squared error of each predicted frame; without another frame it is predicted as 0."""
    others = np.setdiff1d(np.arange(len(frames)), places)
    if not len(others):
        zero = np.square(frames[places]).mean(1)
        return {"mean": zero, "line": zero}
    right = np.searchsorted(others, places).clip(0, len(others) - 1)
    left = (np.searchsorted(others, places) - 1).clip(0)
    span = np.maximum(others[right] - others[left], 1)
    weight = ((places - others[left]) / span).clip(0, 1)[:, None]
    line = (1 - weight) * frames[others[left]] + weight * frames[others[right]]
    return {
        "mean": np.square(frames[others].mean(0) - frames[places]).mean(1),
        "line": np.square(line - frames[places]).mean(1),
    }


def piece_counts(sources: Sequence[Iterable[str]], tokenizer: Tokenizer) -> np.ndarray:
    """i64 [vocab_size] occurrences of each piece in 100,000 texts, as many of each source."""
    counts = np.zeros(tokenizer.vocab_size, np.int64)
    for texts in sources:
        for text in itertools.islice(texts, _UNIGRAM_TEXTS // len(sources)):
            np.add.at(counts, tokenizer.encode(text).ids, 1)
    return counts
