"""Where the work of a build runs: processes of this machine, or any runner of Apache Beam."""

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner

from memobert_jax.config import ExtractConfig
from memobert_jax.media import ledger
from memobert_jax.media.ledger import Reason
from tfds_builders import extraction, processes, progress
from tfds_builders.extraction import Outcome, Source


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where to run.

    Attributes:
      runner: a Beam runner or its name, for everything; None: this machine, where videos are
        extracted in processes and the dataset is assembled by Beam inside this one.
      options: of the runner.
      workers: processes where the runner is None; 0: one a core.
    """

    runner: Any
    options: PipelineOptions
    workers: int

    @classmethod
    def of(cls, download_config) -> "Settings":
        """The settings in a TFDS DownloadConfig; Beam's `direct_num_workers` are the workers."""
        options = download_config.beam_options or beam_options()
        workers = options.view_as(DirectOptions).direct_num_workers
        return cls(download_config.beam_runner, options, workers)


def beam_options(flags: Sequence[str] = (), workers: int = 0) -> PipelineOptions:
    """Beam's options from `name=value` or `name` flags (never from this program's own flags)."""
    flags = [f"--{flag.lstrip('-')}" for flag in flags]
    return PipelineOptions([f"--direct_num_workers={workers}", *flags])


def for_each(items: Sequence[Any], settings: Settings, work: Callable, *args: Any) -> None:
    """Runs work(item, *args) for every item on the Beam runner, spread over its workers.

    Raises:
      RuntimeError: if work failed or a worker died; in this process, what `work` raised.
    """
    runner = BundleBasedDirectRunner() if settings.runner is None else settings.runner
    pipeline = beam.Pipeline(runner=runner, options=settings.options)
    _ = pipeline | beam.Create(list(items), reshuffle=True) | beam.Map(work, *args)
    try:
        pipeline.run().wait_until_finish()
    except RuntimeError as error:  # Beam's message is the worker's whole traceback
        raise RuntimeError(str(error).strip().splitlines()[-1]) from error


def extract_all(
    sources: Sequence[Source], extract: ExtractConfig, store: Path, settings: Settings, parent: Path
) -> list[Outcome]:
    """Extracts every source into the store; the outcomes are in order of `sources`.

    A folder in `parent` serves the communication with the workers meanwhile.

    Raises:
      OSError, RuntimeError: if the store cannot be written or a worker died. What is finished by
        then stays in the store.
    """
    workers = min(settings.workers or len(os.sched_getaffinity(0)), len(sources))
    numbered = list(enumerate(sources))
    with (
        progress.run_folder(parent) as folder,
        progress.bar(folder, len(sources), "extracting"),
    ):
        work = (extraction.extract_one, extract, str(store), str(folder))
        if settings.runner is None and workers > 1:
            give_up = functools.partial(_give_up, folder)
            processes.for_each(numbered, *work, workers=workers, folder=folder, give_up=give_up)
        else:
            for_each(numbered, settings, *work)
        marks = [folder / f"{number}.json" for number, _ in numbered]
        return [Outcome(**json.loads(path.read_text())) for path in marks]


def _give_up(folder: Path, numbered: tuple[int, Source]) -> None:
    """Drops a source whose process died twice; it is tried again by the next build."""
    number, source = numbered
    entry = ledger.failed(source.video_id, source.video_id, "", Reason.CRASHED)
    outcome = Outcome(source.video_id, "", 0, entry)
    progress.mark(folder, f"{number}.json", json.dumps(dataclasses.asdict(outcome)))
