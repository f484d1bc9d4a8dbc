"""Several fits at once: every device of the mesh fits networks of its own.

Fits of an arm have equal shapes, whatever their seed, clips, fold and first parameters. Their
states and batches are stacked, the stack is dealt out over the devices along `data`, and each
device steps its share with `jax.vmap`. No device waits for another, so that the fits of many small
networks fill a mesh that one of them would not. Each device must hold its share whole, and one more
network while its scores are taken; what a fit started with, and the best that it has found, lie as
the network lies alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

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


def check_mesh(mesh: Mesh, together: int) -> None:
    """Raises ValueError for a mesh that splits networks over devices, if several are fitted."""
    if together > 1 and mesh.shape["tensor"] * mesh.shape["fsdp"] > 1:
        raise ValueError(
            f"fit.together: mesh {dict(mesh.shape)} splits a network over devices, but fits at "
            "once have each a device for the whole of it: set mesh.tensor and mesh.fsdp to 1, or "
            "fit.together to 1"
        )


def compile_together(program: Program) -> Together:
    """The compiled steps of several fits; each is compiled when it is first called.

    Raises:
      ValueError: for a mesh that splits networks over devices.
    """
    mesh = program.mesh
    check_mesh(mesh, 2)
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
) -> Iterator[tuple[int, Iterator[Params], list[float]]]:
    """Stage `all` of several fits: (step, parameters, mean loss since the last) of each of them.

    The parameters are gone at the next step. A loss that is not finite is that of one fit, and left
    to the caller. Where the fits are no multiple of the devices, the last one is fitted again.
    """
    mesh, number = together.program.mesh, len(courses)
    over = [number - 1] * (-number % mesh.shape["data"])
    places = [*range(number), *over]
    params = together.stack(*(starts[place] for place in places))
    anchors, state, losses = params[TRUNK], together.start(params), []
    where = NamedSharding(mesh, _STACK)
    slices = where.addressable_devices_indices_map((len(places),)).values()
    mine = sorted({n for (part,) in slices for n in range(*part.indices(len(places)))})

    def stacked(values: Mapping[int, np.ndarray]) -> jax.Array:
        """Of the fits on this host's devices, by their place in the stack."""

        def part(index: tuple[slice, ...]) -> np.ndarray:
            return np.stack([values[n] for n in range(*index[0].indices(len(places)))])

        shape = (len(places), *np.shape(values[mine[0]]))
        return jax.make_array_from_callback(shape, where, part)

    chosen = {n: courses[places[n]] for n in mine}
    pulls = stacked({n: np.float32(course.pull) for n, course in chosen.items()})
    seeds = stacked({n: np.uint32(course.seed) for n, course in chosen.items()})
    for step in range(cfg.steps):
        batches = {
            n: stages.local_batch(course.rows, cfg, step, course.seed, 0, 1)
            for n, course in chosen.items()
        }
        batch = {name: stacked({n: batches[n][name] for n in mine}) for name in batches[mine[0]]}
        state, loss = together.fit(state, anchors, batch, np.float32(lr), pulls, seeds)
        losses.append(loss)
        if (step + 1) % cfg.eval_every == 0 or step + 1 == cfg.steps:
            means = np.mean(jax.device_get(losses), axis=0)[:number].tolist()
            yield step + 1, (together.pick(state.params, n) for n in range(number)), means
            losses = []
