"""Beam runs of a build: which runner, and progress that works on any of them."""

import contextlib
import dataclasses
import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tqdm import tqdm

from memobert_jax.config import ExtractConfig
from tfds_builders import extraction
from tfds_builders.extraction import Outcome, Source


@dataclasses.dataclass(frozen=True)
class Settings:
    """How Beam runs.

    Attributes:
      runner: a Beam runner or its name; None: this machine, heavy work in several processes.
      options: of the runner.
      workers: processes where the runner is None; 0: one a core.
    """

    runner: Any = None
    options: PipelineOptions | None = None
    workers: int = 0

    @classmethod
    def of(cls, download_config) -> "Settings":
        """The settings in a TFDS DownloadConfig; Beam's `direct_num_workers` are the workers."""
        options = download_config.beam_options or beam_options()
        workers = options.view_as(DirectOptions).direct_num_workers
        return cls(download_config.beam_runner, options, workers)

    def pipeline(self, in_processes: bool) -> beam.Pipeline:
        """A pipeline; on this machine it runs in processes of its own, or else inside this one."""
        if self.runner is not None:
            return beam.Pipeline(runner=self.runner, options=self.options)
        workers = self.workers or len(os.sched_getaffinity(0))
        if not in_processes or workers < 2:
            return beam.Pipeline(runner=BundleBasedDirectRunner(), options=beam_options())
        local = {"direct_running_mode": "multi_processing", "direct_num_workers": workers}
        return beam.Pipeline(runner=FnApiRunner(), options=beam_options(**local))


def beam_options(flags: Sequence[str] = (), workers: int = 0, **more: Any) -> PipelineOptions:
    """Beam's options from `name=value` or `name` flags (never from this program's own flags)."""
    more.setdefault("direct_num_workers", workers)
    return PipelineOptions([f"--{flag.lstrip('-')}" for flag in flags], **more)


def for_each(
    items: Sequence[Any], settings: Settings, work: Callable, *args: Any, in_processes: bool
) -> None:
    """Runs work(item, *args) for every item, spread over the workers.

    Raises:
      RuntimeError: if work failed or a worker died.
    """
    pipeline = settings.pipeline(in_processes and len(items) > 1)
    _ = pipeline | beam.Create(list(items)) | beam.Reshuffle() | beam.Map(work, *args)
    with _worker_environment():
        pipeline.run().wait_until_finish()


@contextlib.contextmanager
def _worker_environment() -> Iterator[None]:
    """Lets worker processes of this machine import what this one can, and keeps them quiet."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as options:
        json.dump({"beam:option:default_sdk_harness_log_level:v1": "ERROR"}, options)
        options.flush()
        ours = {
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
            "PIPELINE_OPTIONS_FILE": options.name,
        }
        before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


def extract_all(
    sources: Sequence[Source], extract: ExtractConfig, store: Path, settings: Settings
) -> list[Outcome]:
    """Extracts every source into the store; the outcomes are in order of `sources`.

    Raises:
      OSError, RuntimeError: if the store cannot be written or a worker died. What is finished by
        then stays in the store.
    """
    with run_folder(store) as folder, progress(folder, len(sources), "extracting"):
        numbered = list(enumerate(sources))
        args = (extract, str(store), str(folder))
        for_each(numbered, settings, _extract_one, *args, in_processes=True)
        marks = [folder / f"{number}.json" for number, _ in numbered]
        return [Outcome(**json.loads(path.read_text())) for path in marks]


def _extract_one(
    numbered: tuple[int, Source], extract: ExtractConfig, store: str, folder: str
) -> None:
    import cv2

    cv2.setNumThreads(1)  # the videos are the parallel work
    number, source = numbered
    outcome = extraction.ensure(source, extract, store)
    mark(folder, f"{number}.json", json.dumps(dataclasses.asdict(outcome)))


@contextlib.contextmanager
def run_folder(store: Path) -> Iterator[Path]:
    """A folder in the store in which the workers of one run leave their marks.

    Raises:
      OSError: if it cannot be made.
    """
    try:
        Path(store).mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=store))
    except OSError as error:
        raise OSError(f"cannot write to {store} ({error}); give another --data_dir") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def mark(folder: str | Path, name: str, text: str = "") -> None:
    """Leaves a finished file `name` in the folder of a run."""
    partial = Path(folder) / f".{name}"
    partial.write_text(text)
    os.replace(partial, Path(folder) / name)


@contextlib.contextmanager
def progress(folder: Path, total: int, what: str) -> Iterator[None]:
    """A progress bar that counts the marks in `folder` while the body runs."""
    done = threading.Event()

    def count() -> int:
        return sum(not entry.name.startswith(".") for entry in os.scandir(folder))

    def poll(bar: tqdm) -> None:
        while not done.wait(0.5):
            bar.update(count() - bar.n)

    with tqdm(total=total, desc=what, unit=" videos", dynamic_ncols=True) as bar:
        thread = threading.Thread(target=poll, args=(bar,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            bar.update(count() - bar.n)
