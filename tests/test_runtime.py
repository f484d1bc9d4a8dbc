"""The job: joining one, being asked to stop, and what is said about the machine."""

import logging as stdlib_logging
import socket
import subprocess
from pathlib import Path

import jax
import numpy as np
import pytest
from absl import logging

from memobert_jax import packing, runtime


@pytest.fixture
def joined(monkeypatch):
    """What `jax.distributed.initialize` is called with; nothing is joined."""
    calls = []
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: False)
    monkeypatch.setattr(
        jax.distributed, "initialize", lambda *args, **kwargs: calls.append((args, kwargs))
    )
    for name in runtime._CLUSTER:
        monkeypatch.delenv(name, raising=False)
    return calls


def test_a_single_process_joins_a_job_of_one_at_a_free_port(joined):
    runtime.start(heartbeat_s=7)
    ((address,), options) = joined[0]
    host, port = address.split(":")
    assert options == {"num_processes": 1, "process_id": 0, "heartbeat_timeout_seconds": 7}
    with socket.socket() as free:
        free.bind((host, int(port)))


@pytest.mark.parametrize("name", ["SLURM_JOB_ID", "JAX_COORDINATOR_ADDRESS"])
def test_on_a_cluster_jax_finds_the_job_by_itself(joined, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    runtime.start()
    assert joined == [((), {"heartbeat_timeout_seconds": 30})]


def test_a_job_is_joined_once(joined, monkeypatch):
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    runtime.start()
    assert joined == []


def test_without_a_job_nobody_asks_to_stop():
    assert not jax.distributed.is_initialized()
    assert runtime.preempted(3) is False


def test_within_a_job_every_step_asks_whether_to_stop(monkeypatch):
    from jax.experimental import multihost_utils

    asked = []
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(
        multihost_utils, "reached_preemption_sync_point", lambda step: asked.append(step) or True
    )
    assert runtime.preempted(3) is True
    assert asked == [3]


def test_this_process_is_the_lead():
    assert runtime.is_lead()


def test_compiled_programs_are_kept_where_the_user_says(monkeypatch, tmp_path):
    changed = {}
    monkeypatch.setattr(jax.config, "update", changed.__setitem__)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    runtime.cache_compilations()
    assert changed["jax_compilation_cache_dir"] == str(tmp_path / "memobert_jax" / "xla")
    assert changed["jax_persistent_cache_min_compile_time_secs"] == 0
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    runtime.cache_compilations()
    assert changed["jax_compilation_cache_dir"] == str(tmp_path / "mine")


def test_log_lines_of_other_packages_are_shown_from_warnings_on():
    logger, verbosity = stdlib_logging.getLogger("absl"), logging.get_verbosity()
    try:
        runtime.quiet_libraries()
        (ours,) = logger.filters
        shown = {
            (level, path): bool(
                ours(stdlib_logging.makeLogRecord({"levelno": level, "pathname": path}))
            )
            for level in (stdlib_logging.INFO, stdlib_logging.WARNING)
            for path in (packing.__file__, "/site-packages/orbax/save.py")
        }
    finally:
        logger.filters.clear()
        logging.set_verbosity(verbosity)
    assert list(shown.values()) == [True, False, True, True]


def test_the_hardware_is_named_with_its_processor():
    words = runtime.hardware()
    assert words.startswith(f"8 x {jax.devices()[0].device_kind}")
    assert "cores" in words


def test_an_unknown_processor_is_said_to_be_unknown(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda self: "flags : a b c")
    assert runtime._processor() == "unknown processor"

    def missing(self):
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_text", missing)
    assert runtime._processor() == "unknown processor"


@pytest.mark.parametrize(
    "error", [FileNotFoundError("git"), subprocess.CalledProcessError(128, "git")]
)
def test_outside_a_checkout_there_is_no_revision(monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(runtime.subprocess, "run", fail)
    assert runtime.git_revision() == ""


def test_the_revision_is_what_git_says(monkeypatch):
    asked = []

    def run(command, **kwargs):
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, stdout="abc123-dirty\n")

    monkeypatch.setattr(runtime.subprocess, "run", run)
    assert runtime.git_revision() == "abc123-dirty"
    assert "--dirty" in asked[0]


def test_hosts_that_have_other_values_than_the_first_are_named(monkeypatch):
    runtime.check_agree(["anything"], "rows")
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    heard = {}

    def gathered(mine):
        return np.stack([mine, mine, heard.get("third", mine)])

    monkeypatch.setattr(runtime.multihost_utils, "process_allgather", gathered)
    runtime.check_agree(["a", "b"], "rows of clips")
    heard["third"] = np.zeros(32, np.uint8)
    with pytest.raises(RuntimeError, match=r"hosts \[2\] have other rows of clips than host 0"):
        runtime.check_agree(["a", "b"], "rows of clips")
