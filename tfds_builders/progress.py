"""Progress that works on any runner: workers leave marks in a folder, the bar counts them."""

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm


@contextlib.contextmanager
def run_folder(parent: Path) -> Iterator[Path]:
    """A folder in `parent`, for the time of a run, in which its workers leave their marks."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=parent, ignore_cleanup_errors=True) as name:
        yield Path(name)


def mark(folder: str | Path, name: str, text: str = "") -> None:
    """Leaves a finished file `name` in the folder of a run."""
    partial = Path(folder) / f".{name}"
    partial.write_text(text)
    os.replace(partial, Path(folder) / name)


@contextlib.contextmanager
def bar(folder: Path, total: int, what: str) -> Iterator[None]:
    """A progress bar that counts the marks in `folder` while the body runs."""
    done = threading.Event()

    def count() -> int:
        return sum(not entry.name.startswith(".") for entry in os.scandir(folder))

    def poll(shown: tqdm) -> None:
        while not done.wait(0.5):
            shown.update(count() - shown.n)

    with tqdm(total=total, desc=what, unit=" videos", dynamic_ncols=True) as shown:
        thread = threading.Thread(target=poll, args=(shown,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            shown.update(count() - shown.n)
