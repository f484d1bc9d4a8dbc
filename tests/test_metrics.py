"""Metric lines once a step, also after a kill; a clock that leaves pauses out."""

import itertools
import json
import math
import types

import numpy as np
import pytest
from tensorboardX import event_file_writer
from tensorboardX.proto import event_pb2

from memobert_jax import metrics


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / metrics.FILE).read_text("utf-8").splitlines()]


def write(folder, start: int, steps, lead: bool = True) -> None:
    with metrics.Writer(folder, start, lead) as writer:
        for step in steps:
            writer.scalars(step, {"loss": 1.0 / step, "clips": np.float32(step)})


def test_each_logged_step_is_one_line_of_json_and_a_tensorboard_event(tmp_path):
    write(tmp_path / "run", 0, [2, 4])
    assert lines(tmp_path / "run") == [
        {"step": 2, "loss": 0.5, "clips": 2.0},
        {"step": 4, "loss": 0.25, "clips": 4.0},
    ]
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    assert b"loss" in events.read_bytes()


@pytest.fixture
def seconds(monkeypatch):
    """Time in which no two files of events are of the same second, and so of the same name."""
    passing = itertools.count(1_000_000_000)
    monkeypatch.setattr(
        event_file_writer, "time", types.SimpleNamespace(time=lambda: next(passing))
    )


def shown(folder) -> list[tuple[str, int, float]]:
    """(name, step, value) of what TensorBoard shows: a file forgets the steps from its start on."""
    found = []
    for path in sorted((folder / "tensorboard").iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):  # records: u64 size, u32 checksum, event, u32 checksum
            size = int.from_bytes(data[at : at + 8], "little")
            event = event_pb2.Event.FromString(data[at + 12 : at + 12 + size])
            if event.session_log.status == event_pb2.SessionLog.START:
                found = [point for point in found if point[1] < event.step]
            found += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
            at += size + 16
    return found


@pytest.mark.usefixtures("seconds")
@pytest.mark.parametrize("again", [False, True])
def test_tensorboard_shows_each_point_of_a_resumed_run_once(tmp_path, again):
    heldout = {f"{metrics.HELDOUT}mlm": 4.0}
    with metrics.Writer(tmp_path, 0, lead=True) as writer:
        for step in (2, 4, 6):
            writer.scalars(step, {"loss": float(step), "broken": math.nan})
            writer.scalars(step, heldout)
    with metrics.Writer(tmp_path, 4, lead=True, again=again) as writer:
        if again:
            writer.scalars(4, heldout)
        writer.scalars(6, {"loss": 7.0})
    points = shown(tmp_path)
    assert [p for p in points if p[0] == "loss"] == [("loss", 2, 2), ("loss", 4, 4), ("loss", 6, 7)]
    assert [p[1:] for p in points if p[0] == "heldout/mlm"] == [(2, 4), (4, 4)]
    assert not [p for p in points if p[0] == "broken"]


@pytest.mark.usefixtures("seconds")
def test_tensorboard_forgets_a_run_that_was_killed_before_its_first_checkpoint(tmp_path):
    write(tmp_path, 0, [2])
    write(tmp_path, 0, [2])
    assert [p[1] for p in shown(tmp_path) if p[0] == "loss"] == [2]


def test_lines_can_be_read_while_the_run_goes_on(tmp_path):
    with metrics.Writer(tmp_path, 0, lead=True) as writer:
        writer.scalars(1, {"loss": 3.0})
        assert lines(tmp_path) == [{"step": 1, "loss": 3.0}]


def test_a_resumed_run_has_each_step_once(tmp_path):
    write(tmp_path, 0, [2, 4, 6])
    write(tmp_path, 4, [6, 8])
    assert [line["step"] for line in lines(tmp_path)] == [2, 4, 6, 8]


def test_held_out_losses_of_the_step_that_a_run_resumes_at_are_measured_again(tmp_path):
    with metrics.Writer(tmp_path, 0, lead=True) as writer:
        for step in (2, 4):
            writer.scalars(step, {"loss": 1.0})
            writer.scalars(step, {f"{metrics.HELDOUT}mlm": 2.0})
    write(tmp_path, 4, [])
    assert [sorted(line)[0] for line in lines(tmp_path)] == ["loss", "heldout/mlm", "loss"]
    assert lines(tmp_path)[-1]["step"] == 4


def test_held_out_losses_that_are_not_measured_again_are_kept(tmp_path):
    with metrics.Writer(tmp_path, 0, lead=True) as writer:
        writer.scalars(4, {f"{metrics.HELDOUT}mlm": 2.0})
    with metrics.Writer(tmp_path, 4, lead=True, again=False):
        assert [line["step"] for line in lines(tmp_path)] == [4]


def test_a_run_killed_before_its_first_checkpoint_starts_its_lines_again(tmp_path):
    with metrics.Writer(tmp_path, 0, lead=True) as writer:
        writer.scalars(0, {"trivial": 1.0})
    write(tmp_path, 0, [2])
    assert [line["step"] for line in lines(tmp_path)] == [2]


def test_a_line_that_was_cut_by_a_kill_is_removed(tmp_path):
    write(tmp_path, 0, [2, 4])
    with (tmp_path / metrics.FILE).open("a") as file:
        file.write('{"step": 6, "lo')
    write(tmp_path, 4, [6])
    assert [line["step"] for line in lines(tmp_path)] == [2, 4, 6]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_null_not_invalid_json(tmp_path, value):
    with metrics.Writer(tmp_path, 0, lead=True) as writer:
        writer.scalars(1, {"loss": value})
    assert lines(tmp_path) == [{"step": 1, "loss": None}]


def test_other_hosts_write_nothing(tmp_path):
    write(tmp_path / "run", 0, [2], lead=False)
    assert not (tmp_path / "run").exists()


def scalars(mlm=(6.0, 3.0), msr=(2.0, 4.0), **rest) -> dict:
    base = {"grad_norm": 1.0, "skipped": 0.0, "overflow": 1.0, "damaged": 1.0, "clips": 5.0}
    out = base | {"tokens": 50.0} | rest
    for name, (total, count) in (("mlm", mlm), ("msr", msr)):
        out |= {f"sum/{name}": total, f"count/{name}": count}
    return {name: np.float32(value) for name, value in out.items()}


def test_a_skipped_step_is_counted_and_hides_no_loss_of_the_others():
    broken = scalars(mlm=(math.nan, 3.0), msr=(math.inf, 4.0), grad_norm=math.nan, skipped=1.0)
    out = metrics.summarise([scalars(), broken], {"mlm": 0.8, "msr": 0.2})
    assert out["loss"] == pytest.approx(0.8 * 2 + 0.2 * 0.5)
    assert (out["skipped"], out["grad_norm"], out["clips"]) == (1.0, 1.0, 10.0)
    only = metrics.summarise([broken], {"mlm": 0.8, "msr": 0.2})
    assert math.isnan(only["loss"])
    assert only["skipped"] == 1.0


def test_the_loss_of_a_window_is_the_mean_over_all_its_targets():
    window = [scalars(), scalars(mlm=(0.0, 9.0), grad_norm=3.0)]
    out = metrics.summarise(window, {"mlm": 0.8, "msr": 0.2})
    assert out["loss/mlm"] == pytest.approx(0.5)
    assert out["loss/msr"] == pytest.approx(0.5)
    assert out["targets/mlm"] == 6.0
    assert out["loss"] == pytest.approx(0.5)
    assert out["grad_norm"] == 2.0
    assert (out["clips"], out["tokens"], out["overflow"], out["damaged"]) == (10, 100, 2, 2)


def test_an_objective_without_targets_in_a_window_leaves_the_loss_to_the_others():
    out = metrics.summarise([scalars(mlm=(0.0, 0.0))], {"mlm": 0.8, "msr": 0.2})
    assert math.isnan(out["loss/mlm"])
    assert out["loss"] == pytest.approx(0.5)


def test_a_window_without_any_target_has_no_loss_but_no_error():
    out = metrics.summarise([scalars(mlm=(0.0, 0.0), msr=(0.0, 0.0))], {"mlm": 0.8, "msr": 0.2})
    assert math.isnan(out["loss"])
    assert out["targets/mlm"] == 0.0


@pytest.fixture
def clock(monkeypatch):
    """A clock and a function that lets its time pass."""
    now = [100.0]
    monkeypatch.setattr(metrics.time, "perf_counter", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return metrics.Clock(), wait


def test_pauses_do_not_count_as_time(clock):
    watch, wait = clock
    wait(2.0)
    with watch.paused():
        wait(50.0)
    wait(1.0)
    assert watch.seconds == pytest.approx(3.0)


def test_time_spent_on_input_is_known(clock):
    watch, wait = clock
    with watch.input():
        wait(1.0)
    wait(3.0)
    assert watch.waited == pytest.approx(1.0)
    assert watch.seconds == pytest.approx(4.0)


def test_a_restarted_clock_forgets(clock):
    watch, wait = clock
    with watch.input():
        wait(5.0)
    watch.restart()
    wait(2.0)
    assert watch.seconds == pytest.approx(2.0)
    assert watch.waited == 0.0
