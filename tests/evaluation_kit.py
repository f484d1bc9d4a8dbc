"""Tiny networks, labelled clips and checkpoints for the tests of evaluation and prediction."""

import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np
import runs
import samples

from memobert_jax import checkpoint, features, sharding, state, verbaliser, views
from memobert_jax.batch import Widths
from memobert_jax.config import (
    EvaluateConfig,
    FitConfig,
    MeshConfig,
    ModelConfig,
    PretrainConfig,
    PromptConfig,
)
from memobert_jax.prompts import Template
from memobert_jax.tokenizer import Tokenizer

LONGEST = views.Longest(32, 20, 40)
FIT = FitConfig(
    per_class=(4,),
    top_steps=40,
    top_lrs=(1e-2,),
    steps=40,
    lrs=(3e-3,),
    eval_every=20,
    batch_rows=8,
    dropout=0.0,
    hide=0.2,
)
EVALUATE = EvaluateConfig(
    subsets=("T", "FS", "TFS"), seeds=(0, 1), batch_rows=8, row_width=128, fit=FIT
)


@functools.cache
def tokens() -> Tokenizer:
    return runs.tokens()


@functools.cache
def prompt() -> Template:
    return Template(PromptConfig().template, tokens())


@functools.cache
def words() -> verbaliser.Verbaliser:
    return verbaliser.make(PromptConfig(), tokens())


def network(widths=samples.WIDTHS) -> ModelConfig:
    return ModelConfig(
        vocab_size=tokens().vocab_size,
        face_dim=widths["face"],
        speech_dim=widths["speech"],
        hidden=16,
        layers=1,
        heads=2,
        mlp=32,
        max_positions=64,
    )


def mesh():
    """One device, so that little is compiled."""
    return sharding.make_mesh(MeshConfig(1, 1, 1), jax.devices()[:1])


def random_tree(shapes: Any, seed: int) -> Any:
    """Parameters as a network starts with, drawn without compiling anything."""
    rng = np.random.default_rng(seed)

    def one(path, shape):
        if path[-1].key == "scale":
            return np.ones(shape.shape, shape.dtype)
        if path[-1].key == "bias":
            return np.zeros(shape.shape, shape.dtype)
        return rng.normal(scale=0.1, size=shape.shape).astype(shape.dtype)

    return jax.tree_util.tree_map_with_path(one, shapes)


def params(seed: int = 0, widths=samples.WIDTHS) -> dict[str, Any]:
    return random_tree(state.memobert(network(widths)).shapes, seed)


def clips(count: int, first: int = 0, **fields) -> list[views.Clip]:
    """Clips of class index % 4 whose modalities carry the class."""
    rng = np.random.default_rng(first)
    items = [samples.clip(i, rng, emotional=False, **fields) for i in range(first, first + count)]
    return [views.prepare(item, i % 4, prompt(), LONGEST) for i, item in enumerate(items, first)]


def layout(subsets=("TFS",), *, row_width: int = 128):
    lengths = views.lengths_of(clips(48), subsets)
    return views.layout_for(lengths, Widths(24, 0, 20), row_width)


def save(folder: Path, tree: Any, dataset: Path, *, step: int = 1, steps: int = 1, **extra) -> Path:
    """A checkpoint in a work directory, as a pre-training run of `steps` leaves it."""
    found = features.FeaturesDataset(dataset, "train")
    widths = found.widths
    source = {
        "path": str(dataset),
        "split": "train",
        "weight": 1.0,
        "fingerprint": found.fingerprint,
    }
    description = checkpoint.describe(
        network(widths),
        tokens(),
        found.metadata,
        [source],
        PretrainConfig(steps=steps),
        **({"kind": "pretrain"} | extra),
    )
    checkpoint.save_params(folder / checkpoint.FOLDER / str(step), tree, description)
    return folder
