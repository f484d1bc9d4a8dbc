"""Checkpoints: whole or refused, on any mesh, and never of another run."""

import copy
import dataclasses
import json

import jax
import numpy as np
import optax
import pytest
import runs
import samples
from jax.sharding import NamedSharding, PartitionSpec

from memobert_jax import checkpoint, sharding
from memobert_jax.checkpoint import Checkpoints, CorruptCheckpointError
from memobert_jax.config import MeshConfig, ModelConfig, PretrainConfig
from memobert_jax.state import TrainState

TX = optax.adam(1e-3)
MODEL = ModelConfig(vocab_size=64, face_dim=24, speech_dim=20, hidden=32, heads=4)
FEATURES = {"encoders": samples.ENCODERS, "normalisation": {"speech": [0.5]}, "extract": {"x": 1}}
DATA = [{"path": "/some/where", "split": "train", "weight": 1.0, "fingerprint": "abc"}]


@pytest.fixture(scope="module")
def description():
    return checkpoint.describe(MODEL, runs.tokens(), FEATURES, DATA, PretrainConfig(), kind="test")


def mesh(*sizes):
    return sharding.make_mesh(MeshConfig(*sizes))


def shardings(where) -> TrainState:
    """A kernel over fsdp and tensor, like its moments; the rest everywhere."""
    everywhere = sharding.replicated(where)
    params = {
        "kernel": NamedSharding(where, PartitionSpec("fsdp", "tensor")),
        "bias": everywhere,
    }
    opt_state = optax.tree_map_params(
        TX, lambda _, s: s, jax.eval_shape(TX.init, shapes().params), params,
        transform_non_params=lambda _: everywhere,
    )  # fmt: skip
    return TrainState(everywhere, params, opt_state)


def values(step: int) -> TrainState:
    rng = np.random.default_rng(step)
    params = {
        "kernel": rng.normal(size=(8, 64)).astype(np.float32),
        "bias": rng.normal(size=4).astype(np.float32),
    }
    opt_state = jax.tree.map(lambda x: np.asarray(x) + x.dtype.type(step), TX.init(params))
    return TrainState(np.int32(step), params, opt_state)


def shapes() -> TrainState:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), values(0))


def put(step: int, where) -> TrainState:
    return jax.tree.map(jax.device_put, values(step), shardings(where))


def assert_is(state: TrainState, step: int):
    assert jax.tree.structure(state) == jax.tree.structure(values(step))
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state), values(step))


def save(workdir, description, *steps, keep: int = 3):
    with Checkpoints(workdir, every=1, keep=keep, description=description) as checkpoints:
        for step in steps:
            assert checkpoints.save(step, put(step, mesh(2, 2, 2)))


def restore(workdir, description, where=None):
    with Checkpoints(workdir, every=1, keep=3, description=description) as checkpoints:
        return checkpoints.restore(shapes(), shardings(where or mesh(2, 2, 2)))


def flip(path, at: float = 0.5):
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 0xFF
    path.write_bytes(content)


def largest(folder):
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


@pytest.mark.parametrize("sizes", [(2, 2, 2), (8, 1, 1), (1, 4, 2)])
def test_a_state_comes_back_whole_on_any_mesh(tmp_path, description, sizes):
    save(tmp_path, description, 3)
    state = restore(tmp_path, description, mesh(*sizes))
    assert_is(state, 3)
    expected = shardings(mesh(*sizes))
    same = jax.tree.map(lambda a, s: a.sharding.is_equivalent_to(s, a.ndim), state, expected)
    assert all(jax.tree.leaves(same))


def test_parameters_come_alone_from_the_checkpoint_of_a_run(tmp_path, description):
    save(tmp_path, description, 3)
    one = sharding.make_mesh(MeshConfig(), jax.devices()[:1])
    path = checkpoint.resolve(tmp_path)
    params = checkpoint.load_params(path, shapes().params, shardings(one).params)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(params), values(3).params)


def test_the_newest_state_is_restored_and_old_ones_make_room(tmp_path, description):
    save(tmp_path, description, 1, 2, 3, 4, keep=2)
    assert checkpoint.steps(tmp_path / checkpoint.FOLDER) == [3, 4]
    assert_is(restore(tmp_path, description), 4)


def test_an_empty_work_directory_restores_nothing(tmp_path, description):
    assert restore(tmp_path, description) is None


def test_a_save_that_is_not_due_or_done_already_is_left_out(tmp_path, description):
    with Checkpoints(tmp_path, every=4, keep=3, description=description) as checkpoints:
        state = put(3, mesh(2, 2, 2))
        assert not checkpoints.save(3, state)
        assert checkpoints.save(3, state, force=True)
        assert checkpoints.save(4, state)
    with Checkpoints(tmp_path, every=4, keep=3, description=description) as checkpoints:
        assert not checkpoints.save(4, state, force=True)
    assert checkpoint.steps(tmp_path / checkpoint.FOLDER) == [3, 4]


def test_every_step_is_sealed_with_the_checksums_of_its_files(tmp_path, description):
    save(tmp_path, description, 1, 2)
    for step in (1, 2):
        folder = tmp_path / checkpoint.FOLDER / str(step)
        sealed = json.loads((folder / "SHA256.json").read_text())
        files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
        assert set(sealed) == files - {"SHA256.json"}
        checkpoint.verify(folder)


@pytest.mark.parametrize("name", ["params", "rest", "_CHECKPOINT_METADATA", "SHA256.json"])
def test_a_flipped_byte_makes_the_run_fall_back_to_the_step_before(tmp_path, description, name):
    save(tmp_path, description, 1, 2)
    broken = tmp_path / checkpoint.FOLDER / "2" / name
    flip(largest(broken) if broken.is_dir() else broken)
    assert_is(restore(tmp_path, description), 1)
    assert checkpoint.steps(tmp_path / checkpoint.FOLDER) == [1], "the damaged step is still there"
    save(tmp_path, description, 2)
    assert_is(restore(tmp_path, description), 2)


@pytest.mark.parametrize("damage", ["truncated", "deleted", "emptied seal"])
def test_a_damaged_file_makes_the_run_fall_back(tmp_path, description, damage):
    save(tmp_path, description, 1, 2)
    folder = tmp_path / checkpoint.FOLDER / "2"
    file = largest(folder / "params")
    if damage == "deleted":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:-10])
    else:
        (folder / "SHA256.json").write_text("")
    assert_is(restore(tmp_path, description), 1)


def test_all_checkpoints_damaged_is_an_error_and_not_a_fresh_start(tmp_path, description):
    save(tmp_path, description, 1, 2)
    for step in "12":
        flip(largest(tmp_path / checkpoint.FOLDER / step / "params"))
    with pytest.raises(
        CorruptCheckpointError, match=r"all 2 checkpoints in .* are damaged; remove"
    ):
        restore(tmp_path, description)


def test_damage_is_reported_with_the_file(tmp_path, description):
    save(tmp_path, description, 1)
    folder = tmp_path / checkpoint.FOLDER / "1"
    file = largest(folder / "params")
    flip(file)
    name = str(file.relative_to(folder)).replace(".", r"\.")
    with pytest.raises(CorruptCheckpointError, match=rf"1 of \d+ files .* changed, {name} first"):
        checkpoint.load_params(folder, shapes().params, shardings(mesh(8, 1, 1)).params)


def test_a_step_whose_run_was_killed_before_sealing_it_is_used_and_sealed(tmp_path, description):
    save(tmp_path, description, 1)
    folder = tmp_path / checkpoint.FOLDER / "1"
    seal = folder / "SHA256.json"
    seal.rename(folder / ".SHA256.json.partial")  # as a kill between writing and renaming leaves it
    assert_is(restore(tmp_path, description), 1)
    assert seal.is_file()
    checkpoint.verify(folder)


def test_a_step_without_its_marker_is_no_checkpoint(tmp_path, description):
    save(tmp_path, description, 1, 2)
    (tmp_path / checkpoint.FOLDER / "2" / "_CHECKPOINT_METADATA").unlink()
    assert checkpoint.steps(tmp_path / checkpoint.FOLDER) == [1]


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("model", lambda d: d["model"].update(hidden=64)),
        ("tokenizer", lambda d: d["tokenizer"].update(fingerprint="other")),
        ("encoders", lambda d: d["encoders"]["face"].update(version=2)),
        ("normalisation", lambda d: d["normalisation"].update(speech=[0.6])),
        ("data", lambda d: d["data"][0].update(fingerprint="other")),
        ("data", lambda d: d["data"][0].update(weight=2.0)),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_by_what_differs(
    tmp_path, description, key, change
):
    save(tmp_path, description, 1)
    other = copy.deepcopy(description)
    change(other)
    with pytest.raises(ValueError, match=rf"its {key} differs from that of the checkpoint"):
        restore(tmp_path, other)


def test_data_that_were_moved_are_the_same_data(tmp_path, description):
    save(tmp_path, description, 1)
    moved = copy.deepcopy(description)
    moved["data"][0]["path"] = "/elsewhere"
    assert_is(restore(tmp_path, moved), 1)


def test_a_long_difference_is_cut_in_the_message(description):
    other = copy.deepcopy(description)
    other["normalisation"] = {"speech": [0.25] * 1000}
    with pytest.raises(ValueError, match=r"normalisation differs") as error:
        checkpoint.check_same(description, other, "here")
    assert len(str(error.value)) < 1200


def test_the_metadata_describe_model_tokenizer_and_run(tmp_path, description):
    save(tmp_path, description, 1)
    found = checkpoint.metadata(checkpoint.resolve(tmp_path))
    assert checkpoint.model_config(found) == MODEL
    assert checkpoint.tokenizer_of(found).fingerprint == runs.tokens().fingerprint
    assert found["encoders"] == samples.ENCODERS
    assert found["config"]["optim"]["peak_lr"] == PretrainConfig().optim.peak_lr
    assert found["kind"] == "test"


def test_a_checkpoint_of_another_format_is_refused(tmp_path, description):
    checkpoint.save_params(tmp_path / "x", values(1).params, description | {"format": 99})
    with pytest.raises(ValueError, match="no checkpoint of memobert-jax, format 1"):
        checkpoint.metadata(tmp_path / "x")


def test_fitted_parameters_are_a_checkpoint_of_their_own(tmp_path, description):
    for step in (1, 2):
        checkpoint.save_params(tmp_path / "fitted", values(step).params, description)
    assert checkpoint.resolve(tmp_path / "fitted") == tmp_path / "fitted"
    where = shardings(mesh(1, 2, 4)).params
    params = checkpoint.load_params(tmp_path / "fitted", shapes().params, where)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(params), values(2).params)
    flip(largest(tmp_path / "fitted"))
    with pytest.raises(CorruptCheckpointError):
        checkpoint.load_params(tmp_path / "fitted", shapes().params, where)


def test_a_work_directory_its_folder_and_a_step_name_the_same_checkpoint(tmp_path, description):
    save(tmp_path, description, 3, 20)
    newest = tmp_path / checkpoint.FOLDER / "20"
    for path in (tmp_path, tmp_path / checkpoint.FOLDER, newest):
        assert checkpoint.resolve(path) == newest
    assert checkpoint.resolve(tmp_path / checkpoint.FOLDER / "3").name == "3"


@pytest.mark.parametrize("name", ["", "nothing"])
def test_a_path_without_checkpoint_says_what_is_expected(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*a work directory with"):
        checkpoint.resolve(tmp_path / name)


def test_the_description_is_json_and_keeps_every_field(description):
    assert json.loads(json.dumps(description)) == description
    assert set(description["model"]) == {f.name for f in dataclasses.fields(ModelConfig)}
