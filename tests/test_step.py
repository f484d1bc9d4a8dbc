"""The train step: one program, the same numbers on every mesh, nothing lost on a bad step.

Two runs are compared: one on a single device that takes each batch in four micro-batches, one on
the mesh (2, 2, 2) that takes it whole. Dropout is off, because micro-batches draw their own.
"""

import dataclasses
import functools

import jax
import numpy as np
import pytest
import runs
import samples

from memobert_jax import optim, sharding, state, step
from memobert_jax.config import MeshConfig
from memobert_jax.data import TrainData
from memobert_jax.models.transformer import dropout
from memobert_jax.train import fill_model


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with runs.quick_compilation(tmp_path_factory.mktemp("xla")):
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = samples.dataset(tmp_path_factory.mktemp("data"), widths=runs.WITH_EMOTION)
    # One objective a clip: the micro-batches have uneven numbers of targets.
    cfg = runs.config(folder, steps=32, objectives={"schedule": "per_clip"}, model={"dropout": 0.0})
    data = TrainData(cfg, runs.tokens())
    data.cfg = dataclasses.replace(cfg, model=fill_model(cfg, data.tokenizer, data.layout.widths))
    return data


class Run:
    """A few steps of training on one mesh, with what came out of each."""

    def __init__(self, data: TrainData, *sizes: int, accumulate: int = 1):
        self.mesh = sharding.make_mesh(MeshConfig(*sizes), jax.devices()[: int(np.prod(sizes))])
        cfg = dataclasses.replace(
            data.cfg, optim=dataclasses.replace(data.cfg.optim, accumulate=accumulate)
        )
        self.cfg = cfg
        net = state.memobert(data.cfg.model)
        tx = optim.make_optimizer(cfg.optim)
        self.shardings = state.state_shardings(net, tx, self.mesh)
        with jax.set_mesh(self.mesh):
            self.state = state.init_state(cfg, tx, self.shardings)
        self.start = jax.device_get(self.state.params)
        schedule = optim.learning_rate(cfg.optim, cfg.steps)
        self.step = step.make_train_step(
            net, tx, schedule, data.shares, cfg, self.shardings, self.mesh
        )

    def take(self, batch: dict) -> dict[str, float]:
        with jax.set_mesh(self.mesh):
            batch = sharding.to_global(self.mesh, batch)
            with jax.transfer_guard("disallow"):
                self.state, scalars = self.step(self.state, batch)
        return jax.device_get(scalars)


@pytest.fixture(scope="module")
def one(data):
    run = Run(data, 1, 1, 1, accumulate=4)
    run.scalars = [run.take(data.batch(k)) for k in range(3)]
    run.end = jax.device_get(run.state)
    return run


@pytest.fixture(scope="module")
def eight(data):
    run = Run(data, 2, 2, 2)
    run.scalars = [run.take(data.batch(k)) for k in range(3)]
    return run


def test_initial_parameters_do_not_depend_on_the_mesh(one, eight):
    jax.tree.map(np.testing.assert_array_equal, one.start, eight.start)


def test_the_micro_batches_have_uneven_numbers_of_targets(data):
    """Else a mean of means would pass the comparisons below."""
    for k in range(3):
        valid = data.batch(k)["mlm_valid"]
        assert len(set(valid.reshape(-1, 4, valid.shape[1]).sum((0, 2)).tolist())) > 1


def test_losses_on_eight_devices_are_those_on_one_in_micro_batches(one, eight):
    for alone, together in zip(one.scalars, eight.scalars, strict=True):
        assert alone.keys() == together.keys()
        for name, value in alone.items():
            np.testing.assert_allclose(together[name], value, rtol=1e-5, err_msg=name)


def test_parameters_after_three_steps_on_eight_devices_are_those_on_one(one, eight):
    """The first step has learning rate 0, so two updates are compared."""
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), one.end.params, one.start)
    still = [path for path, size in jax.tree_util.tree_leaves_with_path(moved) if size == 0]
    assert {path[0].key for path in still} == {"pooler"}, "only the pooler has no part in a loss"
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, atol=2e-5),
        jax.device_get(eight.state.params),
        one.end.params,
    )


def test_all_steps_run_one_compiled_program(one, eight):
    assert one.step._cache_size() == 1
    assert eight.step._cache_size() == 1


def test_parameters_and_both_moments_lie_in_shards(eight):
    moments = [
        leaf for leaf in jax.tree.leaves(eight.state.opt_state, is_leaf=_adam) if _adam(leaf)
    ]
    for tree in (eight.state.params, moments[0].mu, moments[0].nu):
        kernel = tree["trunk"]["blocks"]["up"]["kernel"]
        assert kernel.shape == (2, 32, 64)
        assert {shard.data.shape for shard in kernel.addressable_shards} == {(2, 16, 32)}
        word = tree["text"]["word"]
        assert {shard.data.shape for shard in word.addressable_shards} == {(32, 16)}


def _adam(leaf) -> bool:
    return hasattr(leaf, "mu")


def test_a_step_reports_what_it_was_given(one, data):
    for k, scalars in enumerate(one.scalars):
        batch = data.batch(k)
        assert scalars["clips"] == batch["clip_valid"].sum()
        assert scalars["tokens"] == (batch["segment_ids"] > 0).sum()
        assert scalars["skipped"] == scalars["overflow"] == scalars["damaged"] == 0
        for name in data.shares:
            assert scalars[f"count/{name}"] == batch[f"{name}_valid"].sum()
        assert scalars["learning_rate"] == pytest.approx([0, 5e-4, 1e-3][k], rel=1e-5)
        assert scalars["grad_norm"] > 0


def test_the_given_state_is_consumed(data, one):
    one.take(data.batch(3))
    before = one.state  # not fetched: what NumPy looks at cannot be given away
    one.take(data.batch(4))
    assert before.params["text"]["word"].is_deleted()
    with pytest.raises(RuntimeError, match="deleted"):
        np.asarray(before.params["text"]["word"])


@pytest.mark.parametrize("name", ["speech", "face"])
def test_a_step_that_is_not_finite_changes_the_step_number_alone(data, one, name):
    before = jax.device_get(one.state)
    batch = data.batch(4)
    batch[name] = np.full_like(batch[name], np.nan)
    scalars = one.take(batch)
    after = jax.device_get(one.state)
    assert scalars["skipped"] == 1
    assert after.step == before.step + 1
    jax.tree.map(np.testing.assert_array_equal, after[1:], before[1:])
    scalars = one.take(data.batch(5))
    assert scalars["skipped"] == 0
    rate = optim.learning_rate(one.cfg.optim, one.cfg.steps)(before.step + 1)
    assert scalars["learning_rate"] == pytest.approx(float(rate), rel=1e-5)
    assert (
        np.abs(
            jax.device_get(one.state.params["text"]["word"]) - after.params["text"]["word"]
        ).max()
        > 0
    )


def test_dropout_draws_the_same_on_every_mesh():
    x, key = np.ones((8, 6, 4), np.float32), jax.random.key(3)
    mesh = sharding.make_mesh(MeshConfig(2, 2, 2))
    with jax.set_mesh(mesh):
        spread = jax.jit(lambda x: sharding.constrain_rows(dropout(x, 0.5, key)))(
            jax.device_put(x, sharding.batch_sharding(mesh))
        )
    np.testing.assert_array_equal(spread, jax.jit(lambda x: dropout(x, 0.5, key))(x))


def test_micro_batches_hold_every_row_once():
    rows = np.arange(8)
    parts = step._micro_batches({"x": jax.numpy.asarray(rows)[:, None]}, 4)["x"]
    assert parts.shape == (4, 2, 1)
    assert sorted(np.ravel(parts).tolist()) == rows.tolist()
