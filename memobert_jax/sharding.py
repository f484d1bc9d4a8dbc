"""The device mesh and the one table that maps logical axes of arrays to it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from memobert_jax.config import MeshConfig

MESH_AXES = ("data", "fsdp", "tensor")

RULES: Mapping[str | None, str | tuple[str, ...] | None] = {
    None: None,
    "rows": ("data", "fsdp"),
    "embed": "fsdp",
    "mlp": "tensor",
    "heads": "tensor",
    "vocab": "tensor",
}
"""Logical axis -> mesh axis; the axis None is replicated."""


def make_mesh(cfg: MeshConfig, devices: Sequence[Any] | None = None) -> Mesh:
    """The mesh (data, fsdp, tensor) over `devices` (default: all of the job).

    Raises:
      ValueError: if the axes do not multiply to the number of devices.
    """
    devices = jax.devices() if devices is None else list(devices)
    sizes = [cfg.data, cfg.fsdp, cfg.tensor]
    described = f"mesh (data, fsdp, tensor) = {tuple(sizes)} for {len(devices)} devices"
    if any(size < 1 and size != -1 for size in sizes) or sizes.count(-1) > 1:
        raise ValueError(f"{described}: sizes are positive, and at most one is -1")
    if -1 in sizes:
        known = math.prod(size for size in sizes if size != -1)
        if len(devices) % known:
            raise ValueError(
                f"{described}: the fixed axes multiply to {known}, which does not "
                "divide the devices: lower them"
            )
        sizes[sizes.index(-1)] = len(devices) // known
    if math.prod(sizes) != len(devices):
        raise ValueError(
            f"{described}: the axes multiply to {math.prod(sizes)}; "
            "set one of them to -1 to take the devices that remain"
        )
    return jax.make_mesh(sizes, MESH_AXES, axis_types=(AxisType.Auto,) * 3, devices=devices)


def spec(axes: Sequence[str | None], ndim: int) -> PartitionSpec:
    """The partition of an array whose last axes are the logical `axes`; the others replicated.

    Raises:
      ValueError: if two axes of one array map to the same mesh axis.
    """
    mapped = [None] * (ndim - len(axes)) + [RULES[axis] for axis in axes]
    used = [m for axis in mapped if axis for m in ((axis,) if isinstance(axis, str) else axis)]
    if len(set(used)) < len(used):
        raise ValueError(f"logical axes {tuple(axes)} use a mesh axis twice: {mapped}")
    return PartitionSpec(*mapped)


def param_shardings(mesh: Mesh, axes: Any, shapes: Any) -> Any:
    """Shardings of a parameter tree from its logical axes.

    Args:
      mesh: the mesh.
      axes: tree of tuples of logical axes.
      shapes: the same tree of arrays or ShapeDtypeStructs.

    Raises:
      ValueError: if a mesh axis does not divide the dimension that it would shard.
    """

    def one(path, shape, names):
        partition = spec(names, len(shape.shape))
        for size, axis in zip(shape.shape, partition, strict=True):
            if axis is not None and size % mesh.shape[axis]:
                raise ValueError(
                    f"parameter {jax.tree_util.keystr(path)} of shape {shape.shape}: mesh axis "
                    f"{axis!r} of size {mesh.shape[axis]} does not divide {size}"
                )
        return NamedSharding(mesh, partition)

    return jax.tree_util.tree_map_with_path(one, shapes, axes)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Rows of a batch over the data and fsdp axes."""
    return NamedSharding(mesh, PartitionSpec(RULES["rows"]))


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def alone() -> bool:
    """Whether what is traced is laid out on one device: without a mesh, or inside `shard_map`."""
    mesh = jax.sharding.get_abstract_mesh()
    return mesh.empty or AxisType.Manual in mesh.axis_types


def constrain(x: jax.Array, *axes: str | None) -> jax.Array:
    """Lays the first axes of `x` out as the logical `axes`, the others replicated.

    Without a mesh, and in what every device does by itself, `x` itself.
    """
    if alone():
        return x
    return jax.lax.with_sharding_constraint(x, spec(axes, len(axes)))


def constrain_rows(x: jax.Array) -> jax.Array:
    """Keeps an activation [rows, ...] sharded over rows only."""
    return constrain(x, "rows")


def check_rows(mesh: Mesh, rows: int, accumulate: int = 1) -> None:
    """Checks that a global batch of `rows` rows divides over hosts and devices.

    Raises:
      ValueError: if it does not, or if the devices of a host do not hold the rows that it reads.
    """
    shards = mesh.shape["data"] * mesh.shape["fsdp"]
    parts = math.lcm(shards * accumulate, jax.process_count())
    if rows % parts:
        raise ValueError(
            f"a batch of {rows} rows does not divide over data x fsdp = {shards} shards, "
            f"{accumulate} micro-batches and {jax.process_count()} hosts: use a multiple of {parts}"
        )
    mine = rows // jax.process_count()
    first = mine * jax.process_index()
    slices = batch_sharding(mesh).addressable_devices_indices_map((rows,)).values()
    held = {row for (part,) in slices for row in range(*part.indices(rows))}
    if held != set(range(first, first + mine)):
        raise ValueError(
            f"mesh {dict(mesh.shape)} lays rows {min(held)} to {max(held)} on the devices of host "
            f"{jax.process_index()}, which reads rows {first} to {first + mine - 1}: keep axis "
            f"tensor inside a host, so that it divides its {jax.local_device_count()} devices"
        )


def to_global(mesh: Mesh, batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """This host's rows of a batch as global arrays, sharded over rows."""
    sharding, hosts = batch_sharding(mesh), jax.process_count()
    return {
        name: jax.make_array_from_process_local_data(
            sharding, array, (len(array) * hosts, *array.shape[1:])
        )
        for name, array in batch.items()
    }
