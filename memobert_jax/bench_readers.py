"""Reads training sets for a moment, in threads of this process or in processes of their own."""

import dataclasses
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from absl import logging

from memobert_jax import tokenizer
from memobert_jax.config import DataConfig, PretrainConfig
from memobert_jax.data import TrainData
from memobert_jax.features import TRAINING_FIELDS


@dataclasses.dataclass(frozen=True)
class Case:
    """A training set, and the tokenizer of its texts."""

    folder: str
    tokenizer: str
    split: str

    def data(self) -> TrainData:
        """Its TrainData, with rows that an accelerator would take (`configs/pretrain_base.py`)."""
        cfg = DataConfig(
            sources=((self.folder, 1.0),), split=self.split, batch_rows=32, row_width=512,
            text_cap=104, face_cap=168, speech_cap=344, max_clips=16,
        )  # fmt: skip
        return TrainData(PretrainConfig(data=cfg), tokenizer.load(self.tokenizer))


@dataclasses.dataclass(frozen=True)
class Rate:
    """Clips in so many seconds of the clock, and of CPU time in all threads."""

    clips: int
    seconds: float
    cpu_s: float


class Reader:
    """Reads a case for a moment; goes on where it was the last time."""

    def __init__(self, case: Case):
        self.data, self._step = case.data(), 0
        self.batches(0.0, 1)

    def records(self, seconds: float) -> Rate:
        """Reading and decoding what training reads of a clip, in one thread."""
        dataset, count = self.data.sources[0].dataset, 0
        order = np.random.default_rng(self._step).permutation(len(dataset)).tolist()
        start, cpu = time.perf_counter(), time.process_time()
        while not count or time.perf_counter() - start < seconds:
            dataset.read(order[count % len(order)], TRAINING_FIELDS)
            count += 1
        return Rate(count, time.perf_counter() - start, time.process_time() - cpu)

    def batches(self, seconds: float, threads: int) -> Rate:
        """Whole masked batches, in so many threads of this process."""

        def work(number: int) -> int:
            count = 0
            while not count or time.perf_counter() - start < seconds:
                self._step += 1  # two threads that make the same batch do no harm
                count += int(self.data.batch(self._step)["clip_valid"].sum())
            return count

        start, cpu = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(threads) as pool:
            clips = sum(pool.map(work, range(threads)))
        return Rate(clips, time.perf_counter() - start, time.process_time() - cpu)


def _serve(cases: Sequence[Case], calls: Any) -> None:
    """What a process does: opens every case, then reads one of them whenever it is called."""
    logging.set_verbosity(logging.WARNING)
    readers = [Reader(case) for case in cases]
    calls.send(None)
    while (call := calls.recv()) is not None:
        number, seconds = call
        calls.send(readers[number].batches(seconds, 1))


class Processes:
    """Worker processes that read together; a context that ends them."""

    def __init__(self, cases: Sequence[Case], count: int):
        spawn = multiprocessing.get_context("spawn")
        pipes = [spawn.Pipe() for _ in range(count)]
        self._calls = [mine for mine, _ in pipes]
        self._jobs = [spawn.Process(target=_serve, args=(cases, theirs)) for _, theirs in pipes]
        for job in self._jobs:
            job.start()
        for _, theirs in pipes:
            theirs.close()

    def __enter__(self) -> "Processes":
        for calls in self._calls:
            calls.recv()
        return self

    def __exit__(self, *_: Any) -> None:
        for calls, job in zip(self._calls, self._jobs, strict=True):
            calls.send(None)
            job.join()

    def batches(self, number: int, seconds: float, count: int) -> Rate:
        """Batches of case `number` in the first `count` processes at a time."""
        used = self._calls[:count]
        for calls in used:
            calls.send((number, seconds))
        rates = [calls.recv() for calls in used]
        return Rate(
            sum(rate.clips for rate in rates),
            max(rate.seconds for rate in rates),
            sum(rate.cpu_s for rate in rates),
        )
