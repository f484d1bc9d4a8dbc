"""Skipped steps: looked at late but on all hosts alike, named by their clips, and not too many."""

import json
import logging as stdlib_logging
import math

import jax
import pytest

from memobert_jax import skips


class Scalar:
    """A number on a device: says when it is read."""

    def __init__(self, value: float, read: list[str] | None = None, name: str = ""):
        self.value, self.read, self.name = value, read, name

    def copy_to_host_async(self):
        pass

    def __float__(self) -> float:
        if self.read is not None:
            self.read.append(self.name)
        return self.value


class Data:
    """Two hosts with one row of two clips each a step."""

    def clip_ids(self, step: int, process: int = 0, processes: int = 1) -> dict[str, list[str]]:
        hosts = [process] if processes == 2 else [0, 1]
        return {"corpus": [f"s{step}h{host}{clip}" for host in hosts for clip in "ab"]}

    def broken_ids(self, step: int, process: int = 0, processes: int = 1) -> dict[str, list[str]]:
        ids = self.clip_ids(step, process, processes)["corpus"]
        return {"corpus": [clip for clip in ids if clip.endswith("b")]}


def scalars(skipped: bool) -> dict[str, Scalar]:
    norm = math.nan if skipped else 1.0
    return {"skipped": Scalar(float(skipped)), "grad_norm": Scalar(norm), "clips": Scalar(4.0)}


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / skips.FILE).read_text("utf-8").splitlines()]


def run(watch: skips.Skips, flags: str, first: int = 1):
    """Takes a step for each flag, x is skipped; returns (step, error) of the first error."""
    for step, flag in enumerate(flags, first):
        error = watch.add(step, scalars(flag == "x"), wait=False)
        if error:
            return step, error
    return None


def test_the_loop_does_not_wait_for_the_steps_that_it_has_just_begun(tmp_path):
    watch, read = skips.Skips(Data(), 3, tmp_path, 0), []
    for step in range(1, skips.LAG + 1):
        watch.add(step, {"skipped": Scalar(0.0, read, f"step {step}")}, wait=False)
    assert read == []
    watch.add(step + 1, {"skipped": Scalar(0.0, read, "last")}, wait=False)
    assert read == ["step 1"]
    watch.add(step + 2, {"skipped": Scalar(0.0, read, "very last")}, wait=True)
    assert read == [*(f"step {k}" for k in range(1, skips.LAG + 1)), "last", "very last"]


def test_one_step_more_than_allowed_ends_the_run_lag_steps_later_by_its_numbers(tmp_path):
    step, error = run(skips.Skips(Data(), 3, tmp_path, 0), "..x.xxxxxxxxxxx")
    assert step == 8 + skips.LAG
    assert isinstance(error, FloatingPointError)
    assert "in steps 5 to 8, one after another" in str(error)
    assert f"Step {step} is saved with the parameters as they were after step 4:" in str(error)


def test_as_many_steps_as_allowed_are_borne_again_and_again(tmp_path):
    watch = skips.Skips(Data(), 3, tmp_path, 0)
    assert run(watch, "xxx.xxx.xxx.") is None
    assert watch.add(13, scalars(False), wait=True) is None


def test_at_the_end_of_a_run_nothing_is_left_unseen(tmp_path):
    watch = skips.Skips(Data(), 1, tmp_path, 0)
    assert run(watch, ".x") is None
    error = watch.add(3, scalars(True), wait=True)
    assert "steps 2 to 3" in str(error)
    assert [line["step"] for line in lines(tmp_path)] == [2, 3]


def test_good_steps_begun_before_the_end_are_known_to_the_error(tmp_path):
    step, error = run(skips.Skips(Data(), 1, tmp_path, 0), ".xx.." + "." * skips.LAG)
    assert "in steps 2 to 3" in str(error)
    assert f"the parameters as they were after step {step}:" in str(error)


def test_a_run_that_was_resumed_knows_where_its_parameters_are_from(tmp_path):
    _, error = run(skips.Skips(Data(), 1, tmp_path, 20), "x" * 12, first=21)
    assert "the parameters as they were after step 20:" in str(error)


def test_every_skipped_step_is_a_line_with_all_clips_and_what_was_not_finite(tmp_path):
    watch = skips.Skips(Data(), 3, tmp_path, 0)
    run(watch, ".x..x.......")
    assert lines(tmp_path) == [
        {"step": k, "not_finite": ["grad_norm"], "clips": Data().clip_ids(k - 1)} for k in (2, 5)
    ]


@pytest.mark.parametrize("host", [0, 1])
def test_a_host_logs_the_clips_of_its_own_rows_and_the_lead_alone_writes(
    tmp_path, monkeypatch, caplog, host
):
    monkeypatch.setattr(jax, "process_index", lambda: host)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    caplog.set_level(stdlib_logging.WARNING, logger="absl")
    run(skips.Skips(Data(), 3, tmp_path, 0), ".x......")
    (told,) = caplog.messages
    assert told == (
        f"step 2 is skipped, because grad_norm is not finite; clips of host {host} (all in "
        f"skipped.jsonl): s1h{host}a, s1h{host}b; features that are not finite have s1h{host}b"
    )
    assert (tmp_path / skips.FILE).exists() == (host == 0)


def test_a_log_line_names_a_few_clips_and_how_many_more_there_are(tmp_path, caplog):
    class Many(Data):
        def clip_ids(self, step, process=0, processes=1):
            return {"one": [f"a{i}" for i in range(500)], "two": ["b"]}

        def broken_ids(self, step, process=0, processes=1):
            return {}

    caplog.set_level(stdlib_logging.WARNING, logger="absl")
    run(skips.Skips(Many(), 3, tmp_path, 0), "x......")
    (told,) = caplog.messages
    assert told.endswith(
        "a0, a1, a2, a3, a4, a5, a6, a7 and 493 more; features that are not finite have none of "
        "them"
    )
    assert sum(map(len, lines(tmp_path)[0]["clips"].values())) == 501


def test_a_resumed_run_has_each_skipped_step_once(tmp_path):
    run(skips.Skips(Data(), 3, tmp_path, 0), "x.x.x......")
    watch = skips.Skips(Data(), 3, tmp_path, 3)
    assert [line["step"] for line in lines(tmp_path)] == [1, 3]
    run(watch, ".x......", first=4)
    assert [line["step"] for line in lines(tmp_path)] == [1, 3, 5]
    skips.Skips(Data(), 3, tmp_path, 0)
    assert lines(tmp_path) == []
