"""The two stages of a fit, compiled: what is new in a classifier alone, and the whole network.

Both are Adam with warm-up and linear decay. Instead of weight decay, the pre-trained parameters are
pulled back to where they were. A stage is an iterator of (step, parameters, mean loss since the
last), so that what is kept is decided elsewhere.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from memobert_jax import classify, optim, sharding
from memobert_jax.batch import no_label
from memobert_jax.classify import TRUNK, Classifier
from memobert_jax.config import FitConfig, OptimConfig
from memobert_jax.models.memobert import Batch
from memobert_jax.state import Params, TrainState, put, state_shardings, take
from memobert_jax.tasks import Task
from memobert_jax.views import Rows

Progress = Iterator[tuple[int, Params, float]]


class Program(NamedTuple):
    """A classifier compiled once for every seed, learning rate, arm and checkpoint of its shapes.

    Attributes:
      classifier, task, mesh: what, what for, and where.
      fresh: part of the parameter tree -> (seed -> random parameters of it).
      begin: params -> TrainState, not compiled.
      step: what `fit` does, not compiled.
      score: see `classify.make_score_step`.
      score_top: (params, features [n, hidden]) -> outputs [n, outputs].
      start: params -> TrainState, a copy.
      fit: (state, anchor, batch, peak_lr, pull, seed) -> (state, loss); the state is consumed.
      start_top: params -> TrainState of the parts of `classifier.top_paths` alone.
      fit_top: (that state, params, features, labels, picked i32 [steps, batch], peak_lr) ->
        (state, mean loss).
    """

    classifier: Classifier
    task: Task
    mesh: Mesh
    fresh: Mapping[str, Callable[[np.uint32], Params]]
    begin: Callable[[Params], TrainState]
    step: Callable[..., tuple[TrainState, jax.Array]]
    score: Callable[[Params, Batch], tuple]
    score_top: Callable[[Params, Any], jax.Array]
    start: Callable[[Params], TrainState]
    fit: Callable[..., tuple[TrainState, jax.Array]]
    start_top: Callable[[Params], TrainState]
    fit_top: Callable[..., tuple[TrainState, jax.Array]]


def _schedule(cfg: FitConfig, steps: int) -> optax.Schedule:
    """0 .. 1 .. 0 over the stage, without its first and last zero."""
    warmup = round(cfg.warmup_share * steps)
    shape = optim.learning_rate(OptimConfig(peak_lr=1.0, warmup_steps=warmup + 1), steps + 1)
    return lambda step: shape(step + 1)


def _update(
    tx: optax.GradientTransformation, state: TrainState, grads: Params, rate: jax.Array
) -> TrainState:
    params, opt_state, _ = optim.descend(tx, grads, state.opt_state, state.params, rate)
    return TrainState(state.step + 1, params, opt_state)


def _whole_fit(
    classifier: Classifier, task: Task, cfg: FitConfig, tx: optax.GradientTransformation
):
    """`Program.fit`, not compiled."""
    shape = _schedule(cfg, cfg.steps)

    def fit(state: TrainState, anchor: Params, batch: Batch, peak_lr, pull, seed):
        key = jax.random.fold_in(jax.random.key(seed), state.step)

        def loss(params: Params) -> jax.Array:
            return task.loss(classifier.outputs(params, batch, key), batch["label"])

        value, grads = jax.value_and_grad(loss)(state.params)
        share = shape(state.step)
        state = _update(tx, state, grads, share * peak_lr)
        trunk = jax.tree.map(
            lambda p, start: p - share * pull * (p - start), state.params[TRUNK], anchor
        )
        return state._replace(params={**state.params, TRUNK: trunk}), value

    return fit


def _top_fit(classifier: Classifier, task: Task, cfg: FitConfig, tx: optax.GradientTransformation):
    """`Program.fit_top`, not compiled."""
    shape = _schedule(cfg, cfg.top_steps)

    def fit_top(state: TrainState, params: Params, features, labels, picked, peak_lr):
        def one(state: TrainState, picked):
            def loss(parts) -> jax.Array:
                found = classifier.top(put(params, parts), features[picked])
                return task.loss(found, labels[picked])

            value, grads = jax.value_and_grad(loss)(state.params)
            return _update(tx, state, grads, shape(state.step) * peak_lr), value

        state, losses = jax.lax.scan(one, state, picked)
        return state, losses.mean()

    return fit_top


def compile_program(classifier: Classifier, task: Task, cfg: FitConfig, mesh: Mesh) -> Program:
    """The compiled steps of a classifier; each is compiled when it is first called."""
    tx = optax.chain(optax.clip_by_global_norm(cfg.clip_norm), optax.scale_by_adam(b2=0.98))
    shardings = state_shardings(classifier.network, tx, mesh)
    everywhere, rows = sharding.replicated(mesh), sharding.batch_sharding(mesh)
    step = _whole_fit(classifier, task, cfg, tx)
    top = TrainState(everywhere, take(shardings.params, classifier.top_paths), None)

    def begin(params: Params) -> TrainState:
        copy = jax.tree.map(jnp.copy, params)
        return TrainState(jnp.zeros((), jnp.int32), copy, tx.init(copy))

    def fresh(part: str):
        def init(seed):
            return classifier.fresh[part](jax.random.key(seed))

        return jax.jit(init, out_shardings=shardings.params[part])

    return Program(
        classifier=classifier,
        task=task,
        mesh=mesh,
        fresh={part: fresh(part) for part in classifier.fresh},
        begin=begin,
        step=step,
        score=classify.make_score_step(classifier, mesh),
        score_top=jax.jit(classifier.top),
        start=jax.jit(begin, out_shardings=shardings),
        fit=jax.jit(
            step,
            in_shardings=(shardings, shardings.params[TRUNK], rows, *[everywhere] * 3),
            out_shardings=(shardings, everywhere),
            donate_argnums=0,
        ),
        start_top=jax.jit(lambda params: begin(take(params, classifier.top_paths))),
        fit_top=jax.jit(_top_fit(classifier, task, cfg, tx), out_shardings=(top, everywhere)),
    )


def pad(values: np.ndarray, length: int, value: float = 0) -> np.ndarray:
    """An array [n, ...] as [length, ...], so that parts of several sizes share one program."""
    more = [(0, length - len(values))] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, more, constant_values=value)


def draw(items: int, size: int, step: int, seed: int) -> list[int]:
    """Items of a step: all of them in epoch after epoch, each epoch in its own order."""
    places = range(step * size, (step + 1) * size)
    orders = {
        epoch: np.random.default_rng([seed, epoch]).permutation(items)
        for epoch in {place // items for place in places}
    }
    return [int(orders[place // items][place % items]) for place in places]


def top_stage(
    program: Program,
    params: Params,
    features: np.ndarray,
    labels: np.ndarray,
    cfg: FitConfig,
    lr: float,
    seed: int,
    room: int = 0,
) -> Progress:
    """Stage `top`, on hidden states f32 [n, hidden] with labels [n], or [n, labels] if several.

    `room` is the most that n may be: parts of fewer states are padded to it, and cost no program of
    their own.

    Raises:
      FloatingPointError: if the loss is not finite.
    """
    room = max(room, len(labels))
    size, width = (min(cfg.top_batch, items) for items in (len(labels), room))
    items, none = len(labels), no_label(labels)
    features, labels = pad(features, room + 1), pad(labels, room + 1, none)
    state = program.start_top(params)
    for first in range(0, cfg.top_steps, cfg.eval_every):
        last = min(first + cfg.eval_every, cfg.top_steps)
        drawn = [draw(items, size, k, seed) for k in range(first, last)]
        picked = pad(np.array(drawn, np.int32).T, width, room).T
        state, loss = program.fit_top(state, params, features, labels, picked, np.float32(lr))
        yield last, put(params, state.params), finite(loss, "top", last)


def whole_stage(
    program: Program, params: Params, rows: Rows, cfg: FitConfig, lr: float, pull: float, seed: int
) -> Progress:
    """Stage `all`, on packed rows. The parameters that it yields are gone at its next step.

    Raises:
      FloatingPointError: if the loss is not finite.
    """
    state, losses = program.start(params), []
    scalars = np.float32(lr), np.float32(pull), np.uint32(seed)
    for step in range(cfg.steps):
        batch = local_batch(rows, cfg, step, seed, jax.process_index(), jax.process_count())
        batch = sharding.to_global(program.mesh, batch)
        state, loss = program.fit(state, params[TRUNK], batch, *scalars)
        losses.append(loss)
        if (step + 1) % cfg.eval_every == 0 or step + 1 == cfg.steps:
            mean = np.mean(jax.device_get(losses))
            yield step + 1, state.params, finite(mean, "all", step + 1)
            losses = []


def finite(loss: Any, stage: str, step: int) -> float:
    """A mean loss.

    Raises:
      FloatingPointError: if it is not finite.
    """
    if not np.isfinite(loss):
        raise FloatingPointError(
            f"the loss of stage {stage} is {loss} before step {step}: lower the learning rates of "
            "fit, or start from another checkpoint"
        )
    return float(loss)


def local_batch(
    rows: Rows, cfg: FitConfig, step: int, seed: int, host: int, hosts: int
) -> Mapping[str, np.ndarray]:
    """The rows of a step that one of some hosts makes."""
    numbers, size = draw(len(rows), cfg.batch_rows, step, seed), cfg.batch_rows
    part = size // hosts
    mine = slice(host * part, (host + 1) * part)
    rngs = [np.random.default_rng([seed, step, place]) for place in range(size)]
    return rows.batch(numbers[mine], part, cfg.hide, rngs[mine])
