"""CPU seconds by stage."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Clock:
    """Adds the CPU seconds of this process to `seconds[stage]`, to the innermost open stage only.

    `with clock("detect"): ...` opens a stage.
    """

    def __init__(self, seconds: dict[str, float] | None = None):
        self.seconds = {} if seconds is None else seconds
        self._stages: list[str] = []
        self._mark = 0.0

    @contextlib.contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        self._account()
        self._stages.append(stage)
        try:
            yield
        finally:
            self._account()
            self._stages.pop()

    def each(self, stage: str, items: Iterable[T]) -> Iterator[T]:
        """The items; making them counts as `stage`."""
        iterator = iter(items)
        while True:
            with self(stage):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def _account(self) -> None:
        now = time.process_time()
        if self._stages:
            stage = self._stages[-1]
            self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._mark
        self._mark = now
