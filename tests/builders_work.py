"""Work for the tests of processes; light, as every process imports it."""

import os
import signal
import threading
from pathlib import Path


def work_or_die(item: int, folder: str) -> None:
    """Work for `processes`: 3 dies each time, 5 the first time, 99 raises; others leave a file."""
    if item == 3 or (item == 5 and not (Path(folder) / "second").exists()):
        (Path(folder) / "second").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if item == 99:
        raise OSError("the disk is full")
    (Path(folder) / f"done {item}").touch()


def work_until_orphaned(item: int) -> None:
    """Ends the parent, then waits for what cannot come."""
    print("working", flush=True)
    os.kill(os.getppid(), signal.SIGKILL)
    threading.Event().wait()
