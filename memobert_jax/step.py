"""The train and eval steps: what training, evaluation and the benchmark share."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh

from memobert_jax import objectives, optim, sharding
from memobert_jax.config import PretrainConfig
from memobert_jax.models.memobert import Batch
from memobert_jax.state import Network, Params, TrainState


def _sums(net: Network, params: Params, batch: Batch, names, key) -> dict[str, jax.Array]:
    model = nnx.merge(net.graphdef, params)
    return {k: total for k, (total, _) in objectives.losses(model, batch, names, key).items()}


def _micro_batches(batch: Batch, parts: int) -> Batch:
    """[rows, ...] -> [parts, rows / parts, ...], without moving a row to another device."""
    return {
        name: array.reshape(-1, parts, *array.shape[1:]).swapaxes(0, 1)
        for name, array in batch.items()
    }


def gradients(
    net: Network,
    params: Params,
    batch: Batch,
    shares: Mapping[str, float],
    key: jax.Array,
    accumulate: int,
) -> tuple[Params, dict[str, jax.Array], dict[str, jax.Array]]:
    """(gradients, loss sums, counts) of the mixed loss, global over micro-batches and devices."""
    counts = {k: jnp.sum(batch[f"{k}_valid"], dtype=jnp.float32) for k in shares}
    factors = objectives.normalisers(counts, shares)

    def loss(params, part, key):
        sums = _sums(net, params, part, shares, key)
        return sum(factors[name] * sums[name] for name in shares), sums

    grad = jax.grad(loss, has_aux=True)
    if accumulate == 1:
        return *grad(params, batch, key), counts

    def one(total, part):
        part, part_key = part
        return jax.tree.map(jnp.add, total, grad(params, part, part_key)), None

    zero = jax.tree.map(jnp.zeros_like, params), {k: jnp.zeros(()) for k in shares}
    parts = _micro_batches(batch, accumulate), jax.random.split(key, accumulate)
    return *jax.lax.scan(one, zero, parts)[0], counts


def make_train_step(
    net: Network,
    tx: optax.GradientTransformation,
    schedule: optax.Schedule,
    shares: Mapping[str, float],
    cfg: PretrainConfig,
    shardings: TrainState,
    mesh: Mesh,
) -> Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]:
    """The jitted step (state, batch) -> (state, scalars); the given state is consumed.

    Dropout keys come from (seed, step), so a resumed run repeats them. A step whose loss or
    gradient is not finite changes nothing but the step number, so that it counts for the schedule,
    and says so in `skipped`.
    """

    def train_step(state: TrainState, batch: Batch):
        key = jax.random.fold_in(jax.random.key(cfg.seed), state.step)
        grads, sums, counts = gradients(net, state.params, batch, shares, key, cfg.optim.accumulate)
        grad_norm = optax.tree.norm(grads)
        finite = jnp.isfinite(grad_norm) & jnp.all(jnp.isfinite(jnp.stack(list(sums.values()))))
        rate = schedule(state.step)
        params, opt_state, updates = optim.descend(tx, grads, state.opt_state, state.params, rate)
        new = TrainState(state.step + 1, params, opt_state)
        kept = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new[1:], state[1:])
        scalars = {f"sum/{name}": total for name, total in sums.items()}
        scalars |= {f"count/{name}": count for name, count in counts.items()}
        scalars |= {
            "grad_norm": grad_norm,
            "update_norm": optax.tree.norm(updates),
            "learning_rate": rate,
            "skipped": jnp.where(finite, 0.0, 1.0),
            "clips": jnp.sum(batch["clip_valid"], dtype=jnp.float32),
            "tokens": jnp.sum(batch["segment_ids"] > 0, dtype=jnp.float32),
            "overflow": jnp.sum(batch["overflow"], dtype=jnp.float32),
            "damaged": jnp.sum(batch["damaged"], dtype=jnp.float32),
        }
        return TrainState(new.step, *kept), scalars

    return jax.jit(
        train_step,
        in_shardings=(shardings, sharding.batch_sharding(mesh)),
        out_shardings=(shardings, sharding.replicated(mesh)),
        donate_argnums=0,
    )


def make_eval_step(
    net: Network, names: tuple[str, ...], params_shardings: Any, mesh: Mesh
) -> Callable[[Params, Batch], dict[str, tuple[jax.Array, jax.Array]]]:
    """The jitted step (params, batch) -> objective -> (loss sum, count), without dropout."""

    def eval_step(params: Params, batch: Batch):
        return objectives.losses(nnx.merge(net.graphdef, params), batch, names)

    return jax.jit(
        eval_step,
        in_shardings=(params_shardings, sharding.batch_sharding(mesh)),
        out_shardings=sharding.replicated(mesh),
    )
