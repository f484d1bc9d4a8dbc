"""Several fits at once: every device of the mesh fits networks of its own.

Fits of an arm have equal shapes, whatever their seed, clips, fold and first parameters. Their
states and batches are stacked, the stack is dealt out over the devices along `data`, and each
device steps its share with `jax.vmap`. No device waits for another, so that the fits of many
small networks fill a mesh that one of them would not; each device must hold its share whole.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from memobert_jax import sharding, stages
from memobert_jax.classify import TRUNK
from memobert_jax.config import FitConfig
from memobert_jax.stages import Program
from memobert_jax.state import Params
from memobert_jax.views import Rows

_STACK = PartitionSpec("data")


class Course(NamedTuple):
    """What a fit goes through in stage `all`: its clips, the pull to its start, and its seed."""

    rows: Rows
    pull: float
    seed: int


class Together(NamedTuple):
    """A program compiled for several fits at once, whose number decides the shapes.

    Attributes:
      program: of one fit.
      stack: several trees of parameters -> one, in which each leaf has them along its first axis.
      pick: (stacked parameters, number) -> the parameters of one fit, as the program has them.
      start: stacked parameters -> stacked TrainState, a copy.
      fit: as `Program.fit`, of stacked states, anchors, batches, pulls and seeds.
    """

    program: Program
    stack: Callable[..., Params]
    pick: Callable[[Params, int], Params]
    start: Callable[[Params], Any]
    fit: Callable[..., tuple[Any, jax.Array]]


def compile_together(program: Program) -> Together:
    """The compiled steps of several fits; each is compiled when it is first called.

    Raises:
      ValueError: for a mesh that splits networks over devices.
    """
    mesh = program.mesh
    if mesh.shape["tensor"] * mesh.shape["fsdp"] > 1:
        raise ValueError(
            f"fit.together: mesh {dict(mesh.shape)} splits a network over devices, but fits at "
            "once have each a device for the whole of it: set mesh.tensor and mesh.fsdp to 1, or "
            "fit.together to 1"
        )
    stacked = NamedSharding(mesh, _STACK)
    mapped = jax.shard_map(
        jax.vmap(program.step, in_axes=(0, 0, 0, None, 0, 0)),
        mesh=mesh,
        in_specs=(_STACK, _STACK, _STACK, PartitionSpec(), _STACK, _STACK),
        out_specs=_STACK,
        check_vma=False,
    )
    return Together(
        program=program,
        stack=jax.jit(
            lambda *trees: jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees),
            out_shardings=stacked,
        ),
        pick=jax.jit(
            lambda tree, number: jax.tree.map(lambda leaf: leaf[number], tree),
            out_shardings=program.classifier.shardings(mesh),
        ),
        start=jax.jit(jax.vmap(program.begin), out_shardings=stacked),
        fit=jax.jit(mapped, out_shardings=(stacked, sharding.replicated(mesh)), donate_argnums=0),
    )


def whole_stages(
    together: Together,
    starts: Sequence[Params],
    courses: Sequence[Course],
    cfg: FitConfig,
    lr: float,
) -> Iterator[tuple[int, list[Params], list[float]]]:
    """Stage `all` of several fits: (step, parameters, mean loss since the last) of each of them.

    Where they are no multiple of the devices, the last one is fitted several times.

    Raises:
      FloatingPointError: if a loss is not finite.
    """
    mesh, number = together.program.mesh, len(courses)
    over = [number - 1] * (-number % mesh.shape["data"])
    places = [*range(number), *over]
    params = together.stack(*(starts[place] for place in places))
    anchors, state, losses = params[TRUNK], together.start(params), []
    mine = _mine(len(places))

    def stacked(values: Sequence[np.ndarray]) -> jax.Array:
        return jax.make_array_from_process_local_data(
            NamedSharding(mesh, _STACK), np.stack(values), (len(places), *np.shape(values[0]))
        )

    chosen = [courses[place] for place in places[mine]]
    pulls = stacked([np.float32(course.pull) for course in chosen])
    seeds = stacked([np.uint32(course.seed) for course in chosen])
    for step in range(cfg.steps):
        batches = [stages.local_batch(c.rows, cfg, step, c.seed, 0, 1) for c in chosen]
        batch = {name: stacked([b[name] for b in batches]) for name in batches[0]}
        state, loss = together.fit(state, anchors, batch, np.float32(lr), pulls, seeds)
        losses.append(loss)
        if (step + 1) % cfg.eval_every == 0 or step + 1 == cfg.steps:
            found = np.mean(jax.device_get(losses), axis=0)[:number]
            means = [stages.finite(mean, "all", step + 1) for mean in found]
            yield step + 1, [together.pick(state.params, n) for n in range(number)], means
            losses = []


def _mine(number: int) -> slice:
    """The fits of this host."""
    part = number // jax.process_count()
    return slice(jax.process_index() * part, (jax.process_index() + 1) * part)
