"""Classifiers on the pre-trained network: label words at [MASK], or a head on the pooled [CLS].

Both give log-probabilities of the classes for every segment of a batch (MEmoBERT §6.2, §6.3), so
that fitting and scoring do not ask which of them it is.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from memobert_jax import sharding
from memobert_jax.config import ModelConfig
from memobert_jax.models.heads import EmotionHead
from memobert_jax.models.memobert import Batch, Memobert, take_slots
from memobert_jax.state import Network, Params, memobert, network
from memobert_jax.views import Rows

TRUNK, HEAD = "memobert", "head"
"""Top of a classifier's parameter tree: the pre-trained network, and what is new."""


class Classifier(NamedTuple):
    """A way to classify clips.

    Attributes:
      kind: `prompt` or `head`.
      shapes, axes: trees of parameters {TRUNK: ..., HEAD: ...}; a prompt has no HEAD.
      features: (params, batch, key) -> f32 [rows, clips, hidden], what the top reads; a key
        switches dropout on.
      top: (params, features) -> f32 [..., classes], log-probabilities. Of a prompt they are
        those of the label words in the whole vocabulary, so they sum to less than 1; of a head they
        sum to 1.
      top_paths: the parts of the parameter tree that labels alone can fit: pre-training does not
        touch them. A prompt has none.
      fresh: part of the tree -> (key -> random parameters of it), not compiled.
    """

    kind: str
    shapes: Params
    axes: Params
    features: Callable[[Params, Batch, jax.Array | None], jax.Array]
    top: Callable[[Params, jax.Array], jax.Array]
    top_paths: tuple[tuple[str, ...], ...]
    fresh: Mapping[str, Callable[[jax.Array], Params]]

    def log_probs(self, params: Params, batch: Batch, key: jax.Array | None) -> jax.Array:
        """f32 [rows, clips, classes] of the segments of a batch."""
        return self.top(params, self.features(params, batch, key))

    @property
    def network(self) -> Network:
        return Network(None, self.shapes, self.axes)

    def shardings(self, mesh: Mesh) -> Any:
        return sharding.param_shardings(mesh, self.axes, self.shapes)


def _fresh(make: Callable[[nnx.Rngs], nnx.Module], key: jax.Array) -> Params:
    return nnx.to_pure_dict(nnx.state(make(nnx.Rngs(key))))


def prompt_classifier(cfg: ModelConfig, label_ids: np.ndarray) -> Classifier:
    """Classes are the label words at the [MASK] of each segment.

    Args:
      cfg: the network.
      label_ids: i32 [classes].
    """
    trunk = memobert(cfg)
    label_ids = np.asarray(label_ids, np.int32)

    def features(params: Params, batch: Batch, key: jax.Array | None) -> jax.Array:
        hidden = nnx.merge(trunk.graphdef, params[TRUNK])(batch, key)
        places = batch["mlm_slot"][:, : batch["clip_slot"].shape[1]]
        return take_slots(hidden, places).astype(jnp.float32)

    def top(params: Params, features: jax.Array) -> jax.Array:
        model = nnx.merge(trunk.graphdef, params[TRUNK])
        logits = model.mlm_head(features, model.text.word[...])
        return jax.nn.log_softmax(logits)[..., label_ids]

    return Classifier(
        "prompt",
        {TRUNK: trunk.shapes},
        {TRUNK: trunk.axes},
        features,
        top,
        (),
        {TRUNK: functools.partial(_fresh, lambda rngs: Memobert(cfg, rngs))},
    )


def head_classifier(cfg: ModelConfig, classes: int) -> Classifier:
    """Classes are the outputs of an `EmotionHead` on the pooled [CLS] of each segment."""
    makers = {
        TRUNK: lambda rngs: Memobert(cfg, rngs),
        HEAD: lambda rngs: EmotionHead(cfg, classes, rngs),
    }
    nets = {part: network(make) for part, make in makers.items()}

    def features(params: Params, batch: Batch, key: jax.Array | None) -> jax.Array:
        hidden = nnx.merge(nets[TRUNK].graphdef, params[TRUNK])(batch, key)
        return take_slots(hidden, batch["clip_slot"]).astype(jnp.float32)

    def top(params: Params, features: jax.Array) -> jax.Array:
        model, head = (nnx.merge(nets[part].graphdef, params[part]) for part in (TRUNK, HEAD))
        return jax.nn.log_softmax(head(model.pooler(features)))

    return Classifier(
        "head",
        {part: net.shapes for part, net in nets.items()},
        {part: net.axes for part, net in nets.items()},
        features,
        top,
        ((TRUNK, "pooler"), (HEAD,)),
        {part: functools.partial(_fresh, make) for part, make in makers.items()},
    )


class Scores(NamedTuple):
    """log_probs: f32 [subsets, clips, classes]; features: f32 [subsets, clips, hidden]; NaN where
    nothing of a clip is shown."""

    log_probs: np.ndarray
    features: np.ndarray


def make_score_step(classifier: Classifier, mesh: Mesh) -> Callable[[Params, Batch], tuple]:
    """The jitted step (params, batch) -> (log-probabilities, features, view numbers)."""

    def score_step(params: Params, batch: Batch):
        features = classifier.features(params, batch, None)
        return classifier.top(params, features), features, batch["clip_index"]

    return jax.jit(
        score_step,
        in_shardings=(classifier.shardings(mesh), sharding.batch_sharding(mesh)),
        out_shardings=sharding.replicated(mesh),
    )


def score(
    step: Callable[[Params, Batch], tuple], params: Params, rows: Rows, batches: Iterable[Batch]
) -> Scores:
    """Scores of all views.

    Args:
      step: `make_score_step`.
      params: of its classifier.
      rows: what is scored.
      batches: global batches of all rows; at most two are on their way.

    Raises:
      FloatingPointError: if a score is not finite.
    """
    done, waiting = [], []
    for batch in batches:
        waiting.append(step(params, batch))
        if len(waiting) > 2:
            done.append(jax.device_get(waiting.pop(0)))
    done += jax.device_get(waiting)
    *values, numbers = (np.concatenate(arrays) for arrays in zip(*done, strict=True))
    there = numbers >= 0
    broken = ~np.isfinite(values[0][there]).all(-1)
    if broken.any():
        raise FloatingPointError(
            f"{broken.sum()} of {len(broken)} scores are not finite: the parameters diverged; "
            "take an earlier checkpoint, or lower the learning rates of the fit"
        )
    places = rows.locate(numbers[there])
    out = []
    for value in values:
        array = np.full((len(rows.subsets), len(rows.clips), value.shape[-1]), np.nan, np.float32)
        array[places] = value[there]
        out.append(array)
    return Scores(*out)


def global_batches(rows: Rows, size: int, mesh: Mesh) -> Iterable[Mapping[str, jax.Array]]:
    """Global batches of `size` rows, over all hosts and devices."""
    sharding.check_rows(mesh, size)
    for batch in rows.batches(size, jax.process_index(), jax.process_count()):
        yield sharding.to_global(mesh, batch)
