"""The training loop: the same run whatever interrupts it, and words where it must stop."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import runs
import samples

from memobert_jax import (
    checkpoint,
    config,
    features,
    optim,
    packing,
    runtime,
    sharding,
    skips,
    sources,
    state,
    tokenizer,
    train,
)
from memobert_jax.batch import Widths
from memobert_jax.config import PretrainConfig
from memobert_jax.data import TrainData


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with runs.quick_compilation(tmp_path_factory.mktemp("xla")):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("train")


@pytest.fixture(scope="module")
def cfg(folder) -> PretrainConfig:
    corpus = samples.dataset(folder / "corpus", widths=runs.WITH_EMOTION)
    cfg = runs.config(corpus, tokenizer=runs.saved_tokens(folder))
    assert cfg.model.dropout > 0
    return cfg


@pytest.fixture(scope="module")
def whole(folder, cfg):
    """(work directory, last state) of a run that nothing interrupted."""
    workdir = folder / "whole"
    return workdir, jax.device_get(train.train(cfg, workdir))


@pytest.fixture
def workdir(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def stop_at(monkeypatch):
    def stop(step: int):
        monkeypatch.setattr(runtime, "preempted", lambda k: k == step)

    return stop


TIMES = ("clips_per_s", "tokens_per_s", "input_wait")


def lines(workdir: Path) -> list[dict]:
    """Metric lines without what depends on the clock."""
    entries = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in entry.items() if k not in TIMES} for entry in entries]


def assert_same_run(workdir, state, whole):
    expected_dir, expected = whole
    assert lines(workdir) == lines(expected_dir)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state), expected)


def test_a_run_logs_every_window_the_held_out_losses_and_their_rivals_once(whole):
    found = lines(whole[0])
    windows = [line["step"] for line in found if "loss" in line]
    assert windows == [2, 4, 6, 8]
    assert [line["step"] for line in found if "heldout/mlm" in line] == [4, 8]
    assert [line["step"] for line in found if "trivial/mlm/unigram" in line] == [0]
    heldout = next(line for line in found if "heldout/mlm" in line)
    assert set(heldout) == {"step", *(f"heldout/{k}" for k in ("mlm", "mfr", "mfc", "msr"))}
    assert all(np.isfinite(list(line.values())).all() for line in found)
    assert found[-2]["loss"] < found[1]["loss"]


def test_a_run_leaves_checkpoints_a_table_of_parameters_and_tensorboard_events(whole, cfg):
    workdir, state = whole
    assert checkpoint.steps(workdir / "checkpoints") == [4, 8]
    assert "trunk/blocks/up/kernel" in (workdir / "parameters.txt").read_text()
    assert list((workdir / "tensorboard").iterdir())
    assert state.step == cfg.steps
    found = checkpoint.metadata(checkpoint.resolve(workdir))
    assert found["config"]["data"]["sources"] == [list(cfg.data.sources[0])]
    assert checkpoint.model_config(found).vocab_size == runs.tokens().vocab_size
    assert found["hardware"] == runtime.hardware()


def test_a_run_stopped_off_schedule_saves_where_it_is_and_ends_with_the_same_parameters(
    workdir, cfg, whole, stop_at
):
    stop_at(3)
    train.train(cfg, workdir)
    assert checkpoint.steps(workdir / "checkpoints") == [3]
    stop_at(None)
    state = train.train(cfg, workdir)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state), whole[1])
    assert [line["step"] for line in lines(workdir) if "loss" in line] == [2, 3, 4, 6, 8]


def test_a_run_stopped_where_losses_are_measured_does_not_wait_for_them(
    workdir, cfg, whole, stop_at
):
    stop_at(4)
    train.train(cfg, workdir)
    assert not [line for line in lines(workdir) if "heldout/mlm" in line]
    stop_at(None)
    assert_same_run(workdir, train.train(cfg, workdir), whole)


def test_a_finished_run_does_nothing_more(workdir, cfg, whole):
    shutil.copytree(whole[0], workdir)
    assert_same_run(workdir, train.train(cfg, workdir), whole)


def test_a_run_goes_on_from_a_checkpoint_bit_for_bit(workdir, cfg, whole):
    """From step 4, because the checkpoint of step 8 is damaged: it falls back and repeats."""
    shutil.copytree(whole[0], workdir)
    files = (workdir / "checkpoints" / "8" / "params").rglob("*")
    file = max((f for f in files if f.is_file()), key=lambda f: f.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert_same_run(workdir, train.train(cfg, workdir), whole)


def test_a_run_starts_from_the_parameters_it_is_given(workdir, cfg, whole, stop_at):
    stop_at(1)  # the first step has learning rate 0
    state = train.train(dataclasses.replace(cfg, init_from=str(whole[0])), workdir)
    assert int(state.step) == 1
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state.params), whole[1].params)


def broken_corpus(folder: Path) -> Path:
    """Clips whose speech is not finite."""
    rng = np.random.default_rng(0)
    splits = {"train": 8, "validation": 4}
    clips = {
        split: [samples.clip(i, rng, widths=runs.WITH_EMOTION) for i in range(size)]
        for split, size in splits.items()
    }
    for clip in clips["train"]:
        clip["speech"] = np.full_like(clip["speech"], np.inf)
    metadata = {"encoders": samples.ENCODERS}
    return features.write(folder, clips, metadata=metadata, widths=runs.WITH_EMOTION)


def test_too_many_steps_that_are_not_finite_end_the_run_by_their_numbers(workdir, cfg, tmp_path):
    data = dataclasses.replace(cfg.data, sources=((str(broken_corpus(tmp_path / "x")), 1.0),))
    broken = dataclasses.replace(cfg, data=data, max_skipped=2)
    with pytest.raises(FloatingPointError, match=r"in steps 1 to 3, .*skipped\.jsonl\. Step 4 is"):
        train.train(broken, workdir)
    found = [line for line in lines(workdir) if "loss" in line]
    assert [(line["step"], line["skipped"], line["loss"]) for line in found] == [
        (2, 2, None),
        (4, 2, None),
    ]


@pytest.fixture
def break_steps(monkeypatch):
    """Makes the speech of some steps infinite."""
    whole = TrainData.batch

    def choose(*steps: int):
        def batch(self, step, **hosts):
            made = whole(self, step, **hosts)
            if step + 1 in steps:
                made["speech"] = np.full_like(made["speech"], np.inf)
            return made

        monkeypatch.setattr(TrainData, "batch", batch)

    return choose


def test_a_run_that_is_ended_is_saved_with_the_parameters_from_before_and_can_go_on(
    workdir, cfg, stop_at, break_steps
):
    """From step 5 on all are skipped; no metric line or checkpoint is due after them."""
    changed = dataclasses.replace(cfg, max_skipped=2, log_every=50, checkpoint_every=50, steps=20)
    stop_at(4)
    before = jax.device_get(train.train(changed, workdir.with_name("before")))
    stop_at(None)
    break_steps(*range(5, 20))
    message = rf"in steps 5 to 7, .* Step {7 + skips.LAG} is saved with .* after step 4:"
    with pytest.raises(FloatingPointError, match=message):
        train.train(changed, workdir)
    assert checkpoint.steps(workdir / "checkpoints") == [7 + skips.LAG]
    saved = restored(changed, workdir)
    assert int(saved.step) == 7 + skips.LAG
    jax.tree.map(np.testing.assert_array_equal, saved[1:], before[1:])
    assert [line["skipped"] for line in lines(workdir) if "loss" in line] == [3 + skips.LAG]
    named = [json.loads(line) for line in (workdir / skips.FILE).read_text().splitlines()]
    assert [line["step"] for line in named] == list(range(5, 8 + skips.LAG))
    ids = {clip for line in named for clips in line["clips"].values() for clip in clips}
    assert ids <= {f"clip{i}" for i in range(48)}
    break_steps()
    end = jax.device_get(train.train(changed, workdir))
    assert int(end.step) == 20
    assert np.abs(end.params["text"]["word"] - saved.params["text"]["word"]).max() > 0


def restored(cfg: PretrainConfig, workdir: Path) -> state.TrainState:
    """The newest state of a run, as the run itself would take it up."""
    description = checkpoint.metadata(checkpoint.resolve(workdir))
    cfg = dataclasses.replace(cfg, model=checkpoint.model_config(description))
    tx, mesh = optim.make_optimizer(cfg.optim), sharding.make_mesh(cfg.mesh)
    shardings = state.state_shardings(state.memobert(cfg.model), tx, mesh)
    shapes = jax.eval_shape(lambda: state.init_state(cfg, tx, shardings))
    with checkpoint.Checkpoints(workdir, 4, 3, description) as checkpoints:
        return jax.device_get(checkpoints.restore(shapes, shardings))


def test_a_run_with_another_tokenizer_or_data_is_refused_by_name(workdir, cfg, whole, folder):
    shutil.copytree(whole[0], workdir)
    other = folder / "other.model"
    tokenizer.save(tokenizer.train([*runs.TEXTS, "quite another text"], 120), other)
    with pytest.raises(ValueError, match=r"the run in .*: its tokenizer differs"):
        train.train(dataclasses.replace(cfg, tokenizer=str(other)), workdir)
    corpus = samples.dataset(
        folder / "more", {"train": 50, "validation": 4}, widths=runs.WITH_EMOTION
    )
    data = dataclasses.replace(cfg.data, sources=((str(corpus), 1.0),))
    with pytest.raises(ValueError, match=r"the run in .*: its data differs"):
        train.train(dataclasses.replace(cfg, data=data), workdir)


def test_a_run_is_not_continued_as_another_run(workdir, cfg, whole):
    shutil.copytree(whole[0], workdir)
    other = dataclasses.replace(
        cfg, seed=7, masking=dataclasses.replace(cfg.masking, text_ratio=0.5)
    )
    message = r"the run in .* was started with another configuration:\n  seed: 1234 there, 7 here\n"
    with pytest.raises(ValueError, match=message + r"  masking\.text_ratio: 0\.15 there, 0\.5"):
        train.train(other, workdir)


def test_a_run_whose_clips_would_be_packed_into_other_rows_is_not_continued(
    workdir, cfg, whole, monkeypatch
):
    """Another version of the packing: the step would no longer be the position in the data."""
    shutil.copytree(whole[0], workdir)

    def backwards(lengths, limits):
        plan = packing.pack(lengths, limits)
        return dataclasses.replace(plan, clips=plan.clips[::-1], offsets=plan.offsets)

    monkeypatch.setattr(sources, "pack", backwards)
    with pytest.raises(ValueError, match=r"the clips of .* are packed into other rows than when"):
        train.train(cfg, workdir)


def test_a_run_may_go_on_with_other_habits(workdir, cfg, whole):
    """How often it saves, or how many threads read, is not the run."""
    shutil.copytree(whole[0], workdir)
    data = dataclasses.replace(cfg.data, read_threads=1)
    other = dataclasses.replace(cfg, data=data, checkpoint_every=3, max_skipped=5)
    assert_same_run(workdir, train.train(other, workdir), whole)


def test_parameters_for_features_of_another_width_are_no_start(workdir, cfg, whole, tmp_path):
    wide = runs.WITH_EMOTION | {"speech": 33}
    corpus = samples.dataset(tmp_path, widths=wide)
    data = dataclasses.replace(cfg.data, sources=((str(corpus), 1.0),))
    changed = dataclasses.replace(cfg, data=data, init_from=str(whole[0]))
    message = r'init_from = .*: its model differs.*\n  checkpoint: {"speech_dim": 20}\n.*: 33}'
    with pytest.raises(ValueError, match=message):
        train.train(changed, workdir)


def test_a_run_says_at_its_start_what_it_will_not_learn(tmp_path, caplog):
    rng = np.random.default_rng(0)
    clips = [samples.clip(i, rng) for i in range(8)]
    for clip in clips:
        none = {"speech": (0, 20), "face_emotion": (0, 1)}
        clip |= {name: np.zeros(shape, np.float16) for name, shape in none.items()}
    metadata = {"encoders": samples.ENCODERS}
    corpus = features.write(tmp_path, {"train": clips}, metadata=metadata, widths=samples.WIDTHS)
    with caplog.at_level("INFO", logger="absl"):
        train._open_data(runs.config(corpus, tokenizer=runs.saved_tokens(tmp_path)))
    assert "no clip has speech" in caplog.text
    assert "objective mfc is off: the features have no face_emotion" in caplog.text
    assert "objectives msr will never have a target" in caplog.text
    assert "--config.objectives.msr=0" in caplog.text


def test_parameters_of_another_tokenizer_are_no_start(workdir, cfg, whole, folder):
    other = folder / "second.model"
    tokenizer.save(tokenizer.train([*runs.TEXTS, "one more text"], 120), other)
    changed = dataclasses.replace(cfg, tokenizer=str(other), init_from=str(whole[0]))
    with pytest.raises(ValueError, match=r"init_from = .*: its tokenizer differs"):
        train.train(changed, workdir)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"mesh": config.MeshConfig(data=3)}, ValueError, "multiply to 3"),
        ({"optim": config.OptimConfig(accumulate=3)}, ValueError, "use a multiple of 24"),
        ({"tokenizer": "none.model"}, FileNotFoundError, r"no tokenizer at 'none\.model'"),
        ({"init_from": "nowhere"}, FileNotFoundError, "no checkpoint at 'nowhere'"),
    ],
)
def test_a_run_that_cannot_work_is_refused_at_once(workdir, cfg, changes, error, message):
    with pytest.raises(error, match=message):
        train.train(dataclasses.replace(cfg, **changes), workdir)


def test_sizes_of_the_model_come_from_the_data_and_others_are_refused(cfg):
    tokens, widths = runs.tokens(), Widths(24, 4, 20)
    model = train.fill_model(cfg, tokens, widths)
    assert (model.vocab_size, model.face_dim, model.face_emotion_dim) == (tokens.vocab_size, 24, 4)
    wrong = dataclasses.replace(cfg, model=dataclasses.replace(cfg.model, speech_dim=7))
    with pytest.raises(ValueError, match=r"model\.speech_dim = 7, but .* give 20; leave it 0"):
        train.fill_model(wrong, tokens, widths)


def test_clips_longer_than_the_position_tables_are_refused(cfg):
    model = dataclasses.replace(cfg.model, max_positions=39)
    with pytest.raises(
        ValueError, match=r"data\.max_speech = 40 exceeds model\.max_positions = 39"
    ):
        dataclasses.replace(cfg, model=model)


def test_tensorflow_is_not_imported(whole):
    assert "tensorflow" not in sys.modules
