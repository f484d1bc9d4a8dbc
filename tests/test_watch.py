"""Watching a run: each checkpoint is scored once, on the validation part, and none is missed."""

import dataclasses
import json
import shutil

import evaluation_kit as kit
import pytest
import samples

from memobert_jax import checkpoint, watch, workbench

CFG = dataclasses.replace(kit.EVALUATE, subsets=("T", "TFS"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return samples.dataset(folder, {"train": 8, "validation": 8}, emotional=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory, data):
    """Checkpoints 2 and 4 of a run of 4 steps."""
    folder = tmp_path_factory.mktemp("run")
    for step in (2, 4):
        kit.save(folder, kit.params(step), data, step=step, steps=4)
    return folder


def look(data, run, output, **changes):
    cfg = dataclasses.replace(CFG, source=str(data))
    return watch.watch(cfg, run, output, **({"every_s": 0.0, "timeout_s": 0.0} | changes))


def test_each_checkpoint_is_scored_once_until_the_last_step_of_the_run(data, run, tmp_path, capsys):
    lines = look(data, run, tmp_path, timeout_s=1e9)
    assert [(line["step"], line["last_step"]) for line in lines] == [(2, 4), (4, 4)]
    assert lines[0]["losses"] != lines[1]["losses"]
    written = (tmp_path / watch.FILE).read_text().splitlines()
    assert [json.loads(line) for line in written] == lines
    assert "step 4" in capsys.readouterr().out
    assert look(data, run, tmp_path, timeout_s=1e9) == []
    assert (tmp_path / watch.FILE).read_text().splitlines() == written


def test_checkpoints_are_compared_on_the_validation_part(data, run, tmp_path, capsys):
    (line, _) = look(data, run, tmp_path)
    assert line["scored_part"] == "validation"
    assert line["protocol"]["name"] == "by_split"
    assert line["checkpoint"].endswith("/2")
    assert "validation: 8 clips" in capsys.readouterr().out


def test_only_steps_that_were_not_scored_yet_are_scored(data, run, tmp_path):
    line = {"step": 2, "last_step": 4}
    (tmp_path / watch.FILE).write_text(json.dumps(line) + "\n")
    assert [line["step"] for line in look(data, run, tmp_path)] == [4]


def test_it_ends_when_no_checkpoint_comes(data, tmp_path):
    assert look(data, tmp_path / "none", tmp_path / "out") == []


def test_a_checkpoint_that_is_deleted_while_it_is_read_is_left_out(
    data, run, tmp_path, monkeypatch
):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    load = workbench.Workbench.load

    def deleted(bench, path):
        if path.name == "2":
            shutil.rmtree(path)
        return load(bench, path)

    monkeypatch.setattr(workbench.Workbench, "load", deleted)
    lines = look(data, copy, tmp_path / "out", timeout_s=1e9)
    assert [line["step"] for line in lines] == [4]


def test_a_damaged_checkpoint_ends_the_watch(data, run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    seal = copy / checkpoint.FOLDER / "2" / "SHA256.json"
    seal.write_text(json.dumps({"gone": "0"}))
    with pytest.raises(checkpoint.CorruptCheckpointError, match="damaged"):
        look(data, copy, tmp_path / "out")
