"""Heavy work in several processes of this machine, one item at a time, surviving their death.

Beam's own local processes wait for ever once one of them is killed (by the kernel for want of
memory, or by a decoder that crashes on a damaged file); Beam 2.77. Here the items that a dead
process had in hand are tried once more, each in a process of its own, and only then given up.
"""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any


def for_each(
    items: Sequence[Any],
    work: Callable,
    *args: Any,
    workers: int,
    folder: Path,
    give_up: Callable[[Any], None],
) -> None:
    """Runs work(item, *args) for every item in `workers` processes.

    Args:
      items: what to work on; they and `args` are pickled.
      work: a function of an importable module.
      workers: processes.
      folder: an empty folder in which started items are noted.
      give_up: called in this process with each item whose process died twice.

    Raises:
      Exception: the first one that `work` raises; no further item is begun then.
    """
    left = dict(enumerate(items))
    while left:
        _round(left, work, args, workers, folder)
        begun = [number for number in left if (folder / f".begun-{number}").exists()]
        if left and not begun:
            raise RuntimeError(
                "the worker processes die before they begin; look above for their messages"
            )
        for number in begun:
            alone = {number: left.pop(number)}
            _round(alone, work, args, 1, folder)
            if alone:
                give_up(alone[number])


def _round(
    left: dict[int, Any], work: Callable, args: Sequence[Any], workers: int, folder: Path
) -> None:
    """Works on all of `left` and removes what is finished; ends early if a process dies."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(left)), context, initializer=_follow_parent)
    with pool:
        futures = {
            pool.submit(_work, str(folder / f".begun-{number}"), work, item, *args): number
            for number, item in left.items()
        }
        try:
            for future in as_completed(futures):
                future.result()
                del left[futures[future]]
        except BrokenProcessPool:
            _remove_finished(left, futures)
        finally:
            pool.shutdown(cancel_futures=True)


def _remove_finished(left: dict[int, Any], futures: Mapping[Any, int]) -> None:
    for future, number in futures.items():
        if future.done() and not future.cancelled() and future.exception() is None:
            left.pop(number, None)


def _work(begun: str, work: Callable, item: Any, *args: Any) -> None:
    Path(begun).touch()
    work(item, *args)


def _follow_parent() -> None:
    """Leaves interrupts to the parent, and ends this process when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
