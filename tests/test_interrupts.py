"""Runs by the command line that are killed or asked to stop, each in a process of its own."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import runs
import samples

from memobert_jax import checkpoint, config, optim, sharding, state
from memobert_jax.config import MeshConfig

ROOT = Path(__file__).parents[1]
TIMES = ("clips_per_s", "tokens_per_s", "input_wait")
STOP = "if k == 8: return True"


class Job:
    """A run of 5,000 steps, of which every process takes a few, on one device."""

    def __init__(self, folder: Path):
        corpus = samples.dataset(folder / "corpus", widths=runs.WITH_EMOTION)
        self.folder = folder
        self.cfg = runs.config(
            corpus, tokenizer=runs.saved_tokens(folder), steps=5000, eval_every=5000
        )
        (folder / "job.py").write_text(
            "from memobert_jax import config\n"
            f"VALUES = {config.as_dict(self.cfg)!r}\n"
            "def get_config():\n"
            "    cfg = config.from_mapping(config.PretrainConfig, VALUES)\n"
            "    return config.as_config_dict(cfg)\n"
        )

    def run(self, workdir: str, at_step: str) -> subprocess.CompletedProcess:
        """Runs the command; `at_step` is done at every step `k`."""
        code = (
            "import os, signal\n"
            "from memobert_jax import runtime, train\n"
            "asked = runtime.preempted\n"
            "def preempted(k):\n"
            f"    {at_step}\n"
            "    return asked(k)\n"
            "runtime.preempted = preempted\n"
            "train.run()\n"
        )
        settings = runs.quick_settings(self.folder / "xla")
        env = {name.upper(): str(value) for name, value in settings.items()}
        flags = f"--config={self.folder / 'job.py'}", f"--workdir={self.folder / workdir}"
        return subprocess.run(
            [sys.executable, "-c", code, *flags],
            env=os.environ | env | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": ""},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def lines(self, workdir: str) -> list[dict]:
        """Metric lines without what depends on the clock."""
        text = (self.folder / workdir / "metrics.jsonl").read_text()
        return [
            {k: v for k, v in json.loads(line).items() if k not in TIMES}
            for line in text.splitlines()
        ]

    def steps(self, workdir: str) -> list[int]:
        return checkpoint.steps(self.folder / workdir / checkpoint.FOLDER)

    def state(self, workdir: str) -> state.TrainState:
        """The newest state, read back."""
        description = checkpoint.metadata(checkpoint.resolve(self.folder / workdir))
        cfg = dataclasses.replace(self.cfg, model=checkpoint.model_config(description))
        tx = optim.make_optimizer(cfg.optim)
        mesh = sharding.make_mesh(MeshConfig(), jax.devices()[:1])
        shardings = state.state_shardings(state.memobert(cfg.model), tx, mesh)
        shapes = jax.eval_shape(lambda: state.init_state(cfg, tx, shardings))
        with checkpoint.Checkpoints(self.folder / workdir, 4, 3, description) as checkpoints:
            return jax.device_get(checkpoints.restore(shapes, shardings))


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    return Job(tmp_path_factory.mktemp("job"))


def kill(signal_name: str, step: int) -> str:
    return f"k == {step} and os.kill(os.getpid(), signal.{signal_name})"


@pytest.mark.slow
def test_a_killed_run_goes_on_bit_for_bit(job):
    """Against a run that was never interrupted: the same metric lines, the same parameters."""
    done = job.run("whole", STOP)
    assert done.returncode == 0, done.stderr
    done = job.run("killed", kill("SIGKILL", 6))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert job.lines("killed")[-1]["step"] in (4, 6)
    assert set(job.steps("killed")) <= {4}
    done = job.run("killed", STOP)
    assert done.returncode == 0, done.stderr
    assert job.lines("killed") == job.lines("whole")
    assert [line["step"] for line in job.lines("whole")] == [0, 2, 4, 6, 8]
    jax.tree.map(np.testing.assert_array_equal, job.state("killed"), job.state("whole"))


@pytest.mark.slow
def test_sigterm_saves_where_the_run_is_and_ends_it_without_error(job):
    done = job.run("asked", kill("SIGTERM", 3))
    assert done.returncode == 0, done.stderr
    last = job.steps("asked")[-1]
    assert 3 <= last < 5000
    assert f"asked to stop: saved step {last}" in done.stderr
    assert job.lines("asked")[-1]["step"] == last
    assert int(job.state("asked").step) == last
