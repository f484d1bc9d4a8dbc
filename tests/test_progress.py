"""What a run tells: each metric line of its own window, held-out losses where they are due."""

import dataclasses
import json
import types

import jax.numpy as jnp
import numpy as np
import pytest
import runs

from memobert_jax import metrics
from memobert_jax.progress import Progress
from memobert_jax.skips import LAG

IDS = {"corpus": ["clip7"]}
DATA = types.SimpleNamespace(
    shares={"mlm": 1.0}, clip_ids=lambda *_: IDS, broken_ids=lambda *_: IDS
)


def scalars(total: float, *, skipped: bool = False) -> dict:
    values = {"sum/mlm": total, "count/mlm": 2.0, "clips": 4.0, "tokens": 8.0, "overflow": 0.0}
    values |= {"damaged": 0.0, "grad_norm": 1.0, "update_norm": 0.1, "skipped": float(skipped)}
    return {name: jnp.float32(value) for name, value in values.items()}


@pytest.fixture
def progress(tmp_path):
    def open_at(start: int = 0, **changes) -> Progress:
        cfg = dataclasses.replace(runs.BASE, **({"log_every": 2, "eval_every": 4} | changes))
        return Progress(cfg, DATA, tmp_path, start, lambda params: {"heldout/mlm": params})

    return open_at


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / metrics.FILE).read_text("utf-8").splitlines()]


def test_a_metric_line_is_of_the_steps_since_the_last_one(progress, tmp_path):
    with progress() as told:
        for step, total in enumerate((2.0, 4.0, 10.0, 20.0), 1):
            assert told.add(step, scalars(total), last=False) is None
    found = lines(tmp_path)
    assert [(line["step"], line["loss/mlm"]) for line in found] == [(2, 1.5), (4, 7.5)]
    names = {"grad_norm", "update_norm", "targets/mlm", "skipped", "clips_per_s", "input_wait"}
    assert names < set(found[0])
    assert found[0]["clips_per_s"] > 0


class Watched:
    """A number on a device: says that it was waited for."""

    def __init__(self, value: float, waits: list[str]):
        self._value, self._waits = value, waits

    def copy_to_host_async(self) -> None:
        pass

    def block_until_ready(self) -> "Watched":
        self._waits.append("blocked")
        return self

    def __float__(self) -> float:
        self._waits.append("read")
        return self._value

    def __array__(self, *_, **__) -> np.ndarray:
        self._waits.append("fetched")
        return np.float32(self._value)


def test_no_step_waits_for_the_device_before_a_metric_line_is_due(progress):
    waits = []
    with progress(log_every=LAG) as told:
        for step in range(1, LAG + 1):
            assert not waits, f"before step {step}"
            found = {name: Watched(float(value), waits) for name, value in scalars(1.0).items()}
            told.add(step, found, last=False)
    assert waits


def test_the_last_step_has_a_line_wherever_it_is(progress, tmp_path):
    with progress() as told:
        told.add(1, scalars(2.0), last=True)
    assert [line["step"] for line in lines(tmp_path)] == [1]


def test_the_error_of_too_many_skipped_steps_comes_after_their_line(progress, tmp_path):
    with progress(max_skipped=1, log_every=3) as told:
        errors = [told.add(k, scalars(1.0, skipped=True), last=False) for k in (1, 2, 3)]
    assert errors[:2] == [None, None]
    assert "in steps 1 to 2" in str(errors[2])
    assert [(line["step"], line["skipped"]) for line in lines(tmp_path)] == [(3, 3)]


def test_held_out_losses_are_measured_where_due_and_where_a_resumed_run_begins(progress, tmp_path):
    with progress() as told:
        told.begin(9.0, {"mlm/unigram": 5.0})
        for step in range(1, 9):
            told.measure(step, float(step))
    with progress(start=4) as told:
        told.begin(4.0, {"mlm/unigram": 5.0})
    assert [{k: v for k, v in line.items() if k != "step"} for line in lines(tmp_path)] == [
        {"trivial/mlm/unigram": 5.0},
        {"heldout/mlm": 4.0},
    ]
