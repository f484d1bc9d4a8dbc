"""Command lines: what the user must do is one sentence, what is a bug keeps its traceback."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from absl import logging

from memobert_jax import command, config

ROOT = Path(__file__).parents[1]
TINY = f"--config={ROOT / 'configs' / 'pretrain_tiny.py'}"


def refuse() -> None:
    config.from_mapping(config.PretrainConfig, {"seed": -1})


def miss() -> None:
    Path("no such folder/at all").read_bytes()


def test_an_error_that_says_what_to_do_is_one_sentence_and_status_1(capsys):
    assert command.reported(refuse)() == 1
    assert capsys.readouterr().err == (
        "error: seed = -1; expected a number of at least 0 (seed of initialisation, data order, "
        "masks and dropout)\n"
    )
    assert command.reported(miss)() == 1
    assert capsys.readouterr().err.startswith("error: [Errno 2] No such file or directory")


@pytest.mark.parametrize("function", [refuse, miss])
def test_asked_for_more_the_traceback_is_shown(function, monkeypatch):
    monkeypatch.setattr(logging, "get_verbosity", lambda: logging.DEBUG)
    with pytest.raises((ValueError, OSError)):
        command.reported(function)()


def test_errors_of_libraries_and_of_the_program_keep_their_traceback():
    def divide():
        return 1 // 0

    def stack():
        np.array([1.0, 2.0]).reshape(3)

    def compile_wrongly():
        jax.jit(lambda x: jax.numpy.concatenate([x, x[0]]))(np.zeros((2, 2)))

    def parse():
        int("three")

    for function in (divide, stack, compile_wrongly, parse):
        with pytest.raises((ZeroDivisionError, ValueError, TypeError)):
            command.reported(function)()


def test_the_status_of_a_command_is_what_it_returns_and_0_without():
    assert command.reported(lambda: None)() == 0
    assert command.reported(lambda status: status)(3) == 3


def test_a_command_that_is_stopped_by_hand_says_so(capsys):
    def wait():
        raise KeyboardInterrupt

    assert command.reported(wait)() == 130
    assert capsys.readouterr().err == "stopped\n"


def test_commands_with_positional_arguments_can_be_asked_for_more(monkeypatch):
    asked = []
    monkeypatch.setattr(logging, "set_verbosity", asked.append)
    parser = command.parser("Does nothing.")
    assert parser.parse_args([]).verbosity == 0
    assert parser.parse_args(["--verbosity=1"]).verbosity == 1
    assert asked == [1]


def entry_points() -> list[str]:
    files = [*(ROOT / "memobert_jax").glob("*.py")]
    return sorted(path.stem for path in files if "__main__" in path.read_text("utf-8"))


@pytest.mark.parametrize("name", entry_points())
def test_every_entry_point_ends_its_errors_so(name):
    """By its text: each would need arguments of its own to fail."""
    text = (ROOT / "memobert_jax" / f"{name}.py").read_text("utf-8")
    assert ("command.run(main)" in text) or ("sys.exit(command.reported(main)())" in text)
    assert "app.run" not in text


def run(module: str, *arguments: str) -> subprocess.CompletedProcess:
    command_line = [sys.executable, "-m", f"memobert_jax.{module}", *arguments]
    return subprocess.run(command_line, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_refused_run_shows_no_traceback(tmp_path):
    done = run("train", f"--workdir={tmp_path}", TINY, "--config.optim.b1=1.5")
    assert done.returncode == 1
    assert done.stderr.startswith("error: optim.b1 = 1.5; expected a number from 0 to below 1")
    assert "Traceback" not in done.stderr
    done = run("train", f"--workdir={tmp_path}", TINY, "--config.optim.b1=1.5", "--verbosity=1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_an_unknown_field_of_the_configuration_is_refused_by_its_nearest_name(tmp_path):
    done = run("train", f"--workdir={tmp_path}", TINY, "--config.optim.peek_lr=1")
    assert done.returncode == 1
    assert done.stderr == (
        'error: unknown config field \'peek_lr\' Did you mean "peak_lr" instead of "peek_lr"?\n'
    )


def test_a_command_with_positional_arguments_shows_no_traceback_either(tmp_path):
    done = run("tokenizer", f"--input={tmp_path}", f"--output={tmp_path / 'x.model'}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: no features dataset in {tmp_path}: expected a folder")
