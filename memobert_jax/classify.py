"""Classifiers on the pre-trained network: label words at [MASK], a head on [CLS], a linear probe.

All give outputs (log-probabilities of classes or labels, or a value) for every segment of a batch
(MEmoBERT §6.2, §6.3), so that fitting and scoring do not ask which of them it is.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from memobert_jax import sharding, verbaliser
from memobert_jax.config import ModelConfig
from memobert_jax.measures import restricted
from memobert_jax.models.heads import EmotionHead, LinearProbe, ValueHead
from memobert_jax.models.memobert import Batch, Memobert, take_slots
from memobert_jax.state import Network, Params, memobert, network
from memobert_jax.verbaliser import Verbaliser
from memobert_jax.views import Rows

TRUNK, HEAD = "memobert", "head"
"""Top of a classifier's parameter tree: the pre-trained network, and what is new."""


class Classifier(NamedTuple):
    """A way to classify clips.

    Attributes:
      kind: `prompt`, `head` or `probe`.
      shapes, axes: trees of parameters {TRUNK: ..., HEAD: ...}; a prompt has no HEAD.
      features: (params, batch, key) -> f32 [rows, clips, hidden], what the top reads; a key
        switches dropout on.
      top: (params, features) -> f32 [..., outputs], log-probabilities of classes or labels, or
        values. Of a prompt they are those of the label words in the whole vocabulary, so they sum
        to less than 1; those of a head over classes sum to 1.
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

    def outputs(self, params: Params, batch: Batch, key: jax.Array | None) -> jax.Array:
        """f32 [rows, clips, outputs] of the segments of a batch."""
        return self.top(params, self.features(params, batch, key))

    @property
    def network(self) -> Network:
        return Network(None, self.shapes, self.axes)

    def shardings(self, mesh: Mesh) -> Any:
        return sharding.param_shardings(mesh, self.axes, self.shapes)


def _fresh(make: Callable[[nnx.Rngs], nnx.Module], key: jax.Array) -> Params:
    return nnx.to_pure_dict(nnx.state(make(nnx.Rngs(key))))


_OUTPUTS = {
    "single": jax.nn.log_softmax,
    "multi": jax.nn.log_sigmoid,
    "regression": lambda values: values,
}
"""Task -> what a head's linear layer becomes."""


def of_kind(
    kind: str, cfg: ModelConfig, task: str, outputs: int, words: Verbaliser | None, scoring: str
) -> Classifier:
    """A classifier by its name.

    `task` and the number of `outputs` are those of a head or a probe, `words` and `scoring` (see
    PromptConfig) those of a prompt.
    """
    if kind == "prompt":
        return prompt_classifier(cfg, words, against_others=scoring == "full_vocabulary")
    return {"head": head_classifier, "probe": probe_classifier}[kind](cfg, outputs, task)


def prompt_classifier(
    cfg: ModelConfig, words: Verbaliser, *, against_others: bool = False
) -> Classifier:
    """Classes are the label words at the [MASK] of each segment.

    Args:
      cfg: the network.
      words: the label words.
      against_others: with one more output, the last, see `verbaliser.log_probs`.
    """
    trunk = memobert(cfg)

    def features(params: Params, batch: Batch, key: jax.Array | None) -> jax.Array:
        hidden = nnx.merge(trunk.graphdef, params[TRUNK])(batch, key)
        places = batch["mlm_slot"][:, : batch["clip_slot"].shape[1]]
        return take_slots(hidden, places).astype(jnp.float32)

    def top(params: Params, features: jax.Array) -> jax.Array:
        model = nnx.merge(trunk.graphdef, params[TRUNK])
        logits = model.mlm_head(features, model.text.word[...])
        return verbaliser.log_probs(words, logits, against_others=against_others)

    return Classifier(
        "prompt",
        {TRUNK: trunk.shapes},
        {TRUNK: trunk.axes},
        features,
        top,
        (),
        {TRUNK: functools.partial(_fresh, lambda rngs: Memobert(cfg, rngs))},
    )


def head_classifier(cfg: ModelConfig, outputs: int, task: str = "single") -> Classifier:
    """A head on the pooled [CLS] of each segment: `EmotionHead`, or `ValueHead` for a value."""

    def read(model: Memobert, head: nnx.Module, features: jax.Array) -> jax.Array:
        return head(model.pooler(features))

    def features(hidden: jax.Array, batch: Batch) -> jax.Array:
        return take_slots(hidden, batch["clip_slot"])

    make = ValueHead if task == "regression" else EmotionHead
    paths = ((TRUNK, "pooler"), (HEAD,))
    return _with_head("head", cfg, lambda r: make(cfg, outputs, r), features, read, task, paths)


def probe_classifier(cfg: ModelConfig, outputs: int, task: str = "single") -> Classifier:
    """A linear layer on the mean of the last hidden states of each segment."""

    def read(model: Memobert, head: nnx.Module, features: jax.Array) -> jax.Array:
        return head(features)

    def features(hidden: jax.Array, batch: Batch) -> jax.Array:
        numbers = jnp.arange(1, batch["clip_slot"].shape[1] + 1)
        inside = batch["segment_ids"][:, None] == numbers[:, None]
        sums = jnp.einsum("rcw,rwh->rch", inside, hidden, preferred_element_type=jnp.float32)
        return sums / jnp.maximum(inside.sum(-1, keepdims=True), 1)

    make = functools.partial(LinearProbe, cfg, outputs)
    return _with_head("probe", cfg, make, features, read, task, ((HEAD,),))


def _with_head(
    kind: str,
    cfg: ModelConfig,
    make: Callable[[nnx.Rngs], nnx.Module],
    features: Callable[[jax.Array, Batch], jax.Array],
    read: Callable[[Memobert, nnx.Module, jax.Array], jax.Array],
    task: str,
    top_paths: tuple[tuple[str, ...], ...],
) -> Classifier:
    makers = {TRUNK: lambda rngs: Memobert(cfg, rngs), HEAD: make}
    nets = {part: network(maker) for part, maker in makers.items()}

    def states(params: Params, batch: Batch, key: jax.Array | None) -> jax.Array:
        hidden = nnx.merge(nets[TRUNK].graphdef, params[TRUNK])(batch, key)
        return features(hidden, batch).astype(jnp.float32)

    def top(params: Params, features: jax.Array) -> jax.Array:
        model, head = (nnx.merge(nets[part].graphdef, params[part]) for part in (TRUNK, HEAD))
        return _OUTPUTS[task](read(model, head, features))

    return Classifier(
        kind,
        {part: net.shapes for part, net in nets.items()},
        {part: net.axes for part, net in nets.items()},
        states,
        top,
        top_paths,
        {part: functools.partial(_fresh, maker) for part, maker in makers.items()},
    )


class Scores(NamedTuple):
    """outputs: f32 [subsets, clips, outputs]; features: f32 [subsets, clips, hidden]; NaN where
    nothing of a clip is shown."""

    outputs: np.ndarray
    features: np.ndarray


def make_score_step(classifier: Classifier, mesh: Mesh) -> Callable[[Params, Batch], tuple]:
    """The jitted step (params, batch) -> (outputs, features, view numbers)."""

    def score_step(params: Params, batch: Batch):
        features = classifier.features(params, batch, None)
        return classifier.top(params, features), features, batch["clip_index"]

    return jax.jit(
        score_step,
        in_shardings=(classifier.shardings(mesh), sharding.batch_sharding(mesh)),
        out_shardings=sharding.replicated(mesh),
    )


def score(
    step: Callable[[Params, Batch], tuple],
    params: Params,
    rows: Rows,
    batches: Iterable[Batch],
    free: Batch | None = None,
) -> Scores:
    """Scores of all views.

    Args:
      step: `make_score_step`.
      params: of its classifier.
      rows: what is scored.
      batches: global batches of all rows; at most two are on their way.
      free: a batch whose only view is a prompt of no clip. What it says is subtracted from the
        outputs, which are brought back to probabilities (Zhao et al. 2021, 2102.09690).

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
    if free is not None:
        found, _, numbers = jax.device_get(step(params, free))
        out[0] = restricted(out[0] - found[numbers >= 0][0])
    return Scores(*out)


def global_batches(rows: Rows, size: int, mesh: Mesh) -> Iterable[Mapping[str, jax.Array]]:
    """Global batches of `size` rows, over all hosts and devices."""
    sharding.check_rows(mesh, size)
    for batch in rows.batches(size, jax.process_index(), jax.process_count()):
        yield sharding.to_global(mesh, batch)
