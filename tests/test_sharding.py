"""The mesh and the table of logical axes: what does not fit is refused in words."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import runs
from jax.sharding import PartitionSpec

from memobert_jax import sharding, state
from memobert_jax.config import MeshConfig, ModelConfig
from memobert_jax.sharding import MESH_AXES, RULES

MODEL = ModelConfig(
    vocab_size=64, face_dim=6, speech_dim=5, hidden=16, layers=2, heads=2, mlp=32, max_positions=8
)


def mesh(data=-1, fsdp=1, tensor=1):
    return sharding.make_mesh(MeshConfig(data, fsdp, tensor))


@pytest.mark.parametrize(
    ("sizes", "shape"),
    [
        ((-1, 1, 1), (8, 1, 1)),
        ((2, 2, 2), (2, 2, 2)),
        ((-1, 2, 2), (2, 2, 2)),
        ((1, -1, 1), (1, 8, 1)),
        ((2, 1, -1), (2, 1, 4)),
    ],
)
def test_the_mesh_takes_all_devices(sizes, shape):
    made = mesh(*sizes)
    assert tuple(made.shape[axis] for axis in MESH_AXES) == shape
    assert made.axis_types == (jax.sharding.AxisType.Auto,) * 3


def test_a_mesh_can_be_made_of_some_devices():
    assert sharding.make_mesh(MeshConfig(), jax.devices()[:2]).shape["data"] == 2


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((3, 1, 1), r"\(3, 1, 1\) for 8 devices: the axes multiply to 3; set one of them to -1"),
        ((4, 4, 1), r"\(4, 4, 1\) for 8 devices: the axes multiply to 16"),
        ((-1, 3, 1), "the fixed axes multiply to 3, which does not divide"),
        ((-1, -1, 1), "at most one is -1"),
        ((0, 1, -1), "sizes are positive"),
        ((-2, 1, 1), "sizes are positive"),
    ],
)
def test_a_mesh_that_does_not_divide_the_devices_is_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        mesh(*sizes)


def test_logical_axes_follow_the_table_and_leading_axes_are_replicated():
    assert sharding.spec(("vocab", "embed"), 2) == PartitionSpec("tensor", "fsdp")
    assert sharding.spec(("embed", None, "heads", None), 5) == PartitionSpec(
        None, "fsdp", None, "tensor", None
    )
    assert sharding.spec((), 1) == PartitionSpec(None)


@pytest.mark.parametrize("axes", [("mlp", "heads"), ("rows", "embed"), ("vocab", "vocab")])
def test_two_axes_of_one_array_on_the_same_mesh_axis_are_refused(axes):
    with pytest.raises(ValueError, match=rf"'{axes[0]}', '{axes[1]}'.* use a mesh axis twice"):
        sharding.spec(axes, 2)


def test_every_rule_names_axes_of_the_mesh():
    named = [axis for rule in RULES.values() if rule for axis in np.atleast_1d(rule)]
    assert set(named) <= set(MESH_AXES)


def test_every_parameter_of_the_model_is_sharded_as_the_table_says():
    net = state.memobert(MODEL)
    shardings = sharding.param_shardings(mesh(2, 2, 2), net.axes, net.shapes)
    blocks = shardings["trunk"]["blocks"]
    assert blocks["up"]["kernel"].spec == PartitionSpec(None, "fsdp", "tensor")
    assert blocks["down"]["kernel"].spec == PartitionSpec(None, "tensor", "fsdp")
    assert blocks["qkv"]["kernel"].spec == PartitionSpec(None, "fsdp", None, "tensor", None)
    assert shardings["text"]["word"].spec == PartitionSpec("tensor", "fsdp")
    assert shardings["mlm_head"]["bias"].spec == PartitionSpec("tensor")
    assert blocks["attention_norm"]["scale"].spec == PartitionSpec(None, None)


def test_a_parameter_that_a_mesh_axis_does_not_divide_is_named():
    net = state.memobert(dataclasses.replace(MODEL, mlp=31))
    with pytest.raises(
        ValueError,
        match=r"\['down'\]\['kernel'\].*\(2, 31, 16\).*'tensor' of size 2 does not divide 31",
    ):
        sharding.param_shardings(mesh(2, 2, 2), net.axes, net.shapes)


@pytest.mark.parametrize(
    ("rows", "accumulate", "multiple"), [(6, 1, 4), (4, 2, 8), (10, 5, 20), (1, 1, 4)]
)
def test_a_batch_that_does_not_divide_the_devices_says_which_multiple_to_use(
    rows, accumulate, multiple
):
    with pytest.raises(ValueError, match=rf"a batch of {rows} rows .* multiple of {multiple}$"):
        sharding.check_rows(mesh(2, 2, 2), rows, accumulate)


def test_a_batch_that_does_not_divide_the_hosts_is_refused(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    with pytest.raises(ValueError, match="3 hosts: use a multiple of 12"):
        sharding.check_rows(mesh(2, 2, 2), 8)


def test_a_batch_that_divides_passes():
    sharding.check_rows(mesh(2, 2, 2), 8, 2)


def test_rows_of_a_batch_lie_on_data_and_fsdp():
    where = mesh(2, 2, 2)
    batch = sharding.to_global(where, {"x": np.arange(16, dtype=np.int32).reshape(8, 2)})
    assert batch["x"].sharding.spec == PartitionSpec(("data", "fsdp"))
    assert {shard.data.shape for shard in batch["x"].addressable_shards} == {(2, 2)}
    np.testing.assert_array_equal(batch["x"], np.arange(16).reshape(8, 2))


def test_activations_are_laid_out_inside_a_mesh_and_left_alone_outside():
    x = jnp.ones((8, 4))
    assert sharding.constrain_rows(x) is x
    with jax.set_mesh(mesh(2, 2, 2)):
        laid = jax.jit(lambda x: sharding.constrain(x, "vocab", "embed"))(x)
    assert laid.sharding.spec == PartitionSpec("tensor", "fsdp")


HOSTS = """
import sys
import jax, numpy as np
from memobert_jax import checkpoint, sharding
from memobert_jax.config import MeshConfig
host = int(sys.argv[1])
jax.distributed.initialize(sys.argv[2], 2, host)
for sizes in ((8, 1, 1), (4, 2, 1), (2, 1, 4), (1, 2, 4)):
    mesh = sharding.make_mesh(MeshConfig(*sizes))
    sharding.check_rows(mesh, 8)
    rows = np.arange(16, dtype=np.int32).reshape(8, 2)[4 * host : 4 * host + 4]
    whole = sharding.to_global(mesh, {"x": rows})["x"]
    assert whole.shape == (8, 2), whole.shape
    total = jax.jit(lambda x: x.sum(), out_shardings=sharding.replicated(mesh))(whole)
    assert int(total) == 120, int(total)
try:
    sharding.check_rows(sharding.make_mesh(MeshConfig(1, 1, 8)), 8)
except ValueError as error:
    assert "keep axis tensor inside a host" in str(error), error
else:
    raise AssertionError("rows that lie on two hosts were accepted")
assert checkpoint._agreed(7 if host == 0 else 3) == 7
print("whole")
"""


def test_two_hosts_hold_each_row_once_and_agree_on_a_step():
    for status, output in runs.on_two_hosts(HOSTS, devices=4):
        assert status == 0, output
        assert "whole" in output
