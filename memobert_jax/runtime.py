"""The job: distributed start-up, preemption, the lead host, the compilation cache."""

import hashlib
import logging as stdlib_logging
import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from absl import logging
from jax.experimental import multihost_utils

_CLUSTER = ("SLURM_JOB_ID", "OMPI_COMM_WORLD_SIZE", "TPU_WORKER_ID", "JOB_COMPLETION_INDEX",
            "JAX_COORDINATOR_ADDRESS", "MEGASCALE_COORDINATOR_ADDRESS")  # fmt: skip


_PACKAGE = str(Path(__file__).parent)


def start(heartbeat_s: int = 30) -> None:
    """Joins the job; call once, before any other use of JAX.

    A single process joins a job of one, because without it SIGTERM kills the run instead of
    saving it. A dead peer is noticed after `heartbeat_s` seconds.
    """
    if jax.distributed.is_initialized():
        return
    if any(name in os.environ for name in _CLUSTER):
        jax.distributed.initialize(heartbeat_timeout_seconds=heartbeat_s)
        return
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    jax.distributed.initialize(
        f"localhost:{port}", num_processes=1, process_id=0, heartbeat_timeout_seconds=heartbeat_s
    )


def cache_compilations() -> None:
    """Keeps compiled programs in JAX_COMPILATION_CACHE_DIR, or in the user's cache folder."""
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(home / "memobert_jax" / "xla"))
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def quiet_libraries() -> None:
    """Shows log lines below WARNING of this package only; Orbax writes dozens a checkpoint.

    With --verbosity=1 all are shown.
    """
    if logging.get_verbosity() >= logging.DEBUG:
        return

    def ours(line) -> bool:
        return line.levelno >= stdlib_logging.WARNING or _PACKAGE in line.pathname

    logging.set_verbosity(logging.INFO)
    stdlib_logging.getLogger("absl").addFilter(ours)


def is_lead() -> bool:
    """Whether this host writes what is written once."""
    return jax.process_index() == 0


def preempted(step: int) -> bool:
    """Whether the job was asked to stop; call on every host, every step, exactly once."""
    if not jax.distributed.is_initialized():
        return False
    from jax.experimental import multihost_utils

    return multihost_utils.reached_preemption_sync_point(step)


def git_revision() -> str:
    """Revision of the source tree, with '-dirty' where it was changed; '' outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        logging.info("no git revision: not a checkout")
        return ""


def check_agree(values: Sequence[str], what: str) -> None:
    """Raises RuntimeError if the hosts of the job do not have the same values."""
    if jax.process_count() == 1:
        return
    mine = np.frombuffer(hashlib.sha256(repr(list(values)).encode()).digest(), np.uint8)
    found = multihost_utils.process_allgather(mine)
    if other := np.flatnonzero((found != found[0]).any(-1)).tolist():
        raise RuntimeError(
            f"hosts {other} have other {what} than host 0: give all of them the same data, "
            "packages and kind of processor"
        )


def hardware() -> str:
    """The devices of the job in words, with the processor where they are CPU devices."""
    device = jax.devices()[0]
    count = jax.device_count()
    words = f"{count} x {device.device_kind}"
    if device.platform == "cpu":
        words += f" ({os.cpu_count()} cores, {_processor()})"
    return words


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown processor"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"
