"""Networks and training states as plain trees: shapes, logical axes, shardings, initial values."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from memobert_jax import sharding
from memobert_jax.config import ModelConfig, PretrainConfig
from memobert_jax.models.memobert import Memobert

Params = dict[str, Any]


class Network(NamedTuple):
    """A model without its parameters.

    graphdef: its static part; shapes: tree of ShapeDtypeStructs; axes: tree of logical axes.
    """

    graphdef: nnx.GraphDef
    shapes: Params
    axes: Params


class TrainState(NamedTuple):
    """step: i32 []; params, opt_state: trees of plain arrays."""

    step: jax.Array
    params: Params
    opt_state: Any


def network(make: Callable[[nnx.Rngs], nnx.Module]) -> Network:
    """The static part, shapes and logical axes of the module that `make` builds."""
    graphdef, state = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
    axes = nnx.State(
        jax.tree.map(
            lambda variable: tuple(variable.get_metadata().get("axes", ())),
            state,
            is_leaf=lambda leaf: isinstance(leaf, nnx.Variable),
        )
    )
    return Network(graphdef, nnx.to_pure_dict(state), nnx.to_pure_dict(axes))


def memobert(cfg: ModelConfig) -> Network:
    """The network of the pre-training model."""
    return network(lambda rngs: Memobert(cfg, rngs))


def take(params: Params, paths: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Some parts of a parameter tree, by path."""
    out = {}
    for path in paths:
        part = params
        for name in path:
            part = part[name]
        out["/".join(path)] = part
    return out


def put(params: Params, parts: dict[str, Any]) -> Params:
    """The tree with some parts replaced."""
    params = {top: dict(tree) for top, tree in params.items()}
    for path, part in parts.items():
        top, _, name = path.partition("/")
        if name:
            params[top][name] = part
        else:
            params[top] = part
    return params


def put_like(value: Any, old: jax.Array) -> jax.Array:
    """A value, broadcast to an array of the parameters, in its place on the devices."""
    return jax.device_put(np.broadcast_to(np.asarray(value, old.dtype), old.shape), old.sharding)


def init_params(make: Callable[[nnx.Rngs], nnx.Module], seed: int, shardings: Any = None) -> Params:
    """Random parameters of the module that `make` builds, created where they belong."""

    def init(key):
        return nnx.to_pure_dict(nnx.state(make(nnx.Rngs(key))))

    return jax.jit(init, out_shardings=shardings)(jax.random.key(seed))


def state_shardings(net: Network, tx: optax.GradientTransformation, mesh: Mesh) -> TrainState:
    """Shardings of a TrainState: moments lie where their parameters lie, the rest everywhere."""
    params = sharding.param_shardings(mesh, net.axes, net.shapes)
    everywhere = sharding.replicated(mesh)
    opt_state = optax.tree_map_params(
        tx,
        lambda _, where: where,
        jax.eval_shape(tx.init, net.shapes),
        params,
        transform_non_params=lambda _: everywhere,
    )
    return TrainState(everywhere, params, opt_state)


def init_state(
    cfg: PretrainConfig, tx: optax.GradientTransformation, shardings: TrainState
) -> TrainState:
    """A fresh TrainState, created shard by shard."""

    def init(key):
        params = nnx.to_pure_dict(nnx.state(Memobert(cfg.model, nnx.Rngs(key))))
        return TrainState(jnp.zeros((), jnp.int32), params, tx.init(params))

    return jax.jit(init, out_shardings=shardings)(jax.random.key(cfg.seed))
