"""How fast clips are read and made into batches, by how their features are stored.

    python -m memobert_jax.bench_input [--source=FEATURES_DIR] [--output=FILE.json]

The same clips, random ones of the paper's lengths and widths or those of a features dataset, are
written under each encoding, and read at random from memory (the page cache). Every encoding is
measured for a moment in every round, one after the other, and the medians over the rounds are
shown, so that what else runs on the machine hits all of them alike; still, compare figures of one
call only. Rates per core are by CPU time; rates of threads and processes are by the clock.
"""

import dataclasses
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

from memobert_jax import command


@dataclasses.dataclass(frozen=True)
class Encoding:
    """storage: of FeaturesConfig; options: of array_record's writer."""

    storage: str
    options: str

    def __str__(self) -> str:
        return f"{self.storage} {self.options}"


ENCODINGS = (
    Encoding("float16", "group_size:1,uncompressed"),
    Encoding("float16", "group_size:8,uncompressed"),
    Encoding("float16", "group_size:1,snappy"),
    Encoding("float16", "group_size:1,zstd:1"),
    Encoding("float16", "group_size:1,zstd:9"),
    Encoding("float16", "group_size:8,zstd:1"),
    Encoding("int8", "group_size:1,uncompressed"),
    Encoding("int8", "group_size:1,zstd:1"),
)
"""The first is what featurize writes, unless it is told otherwise."""

_COMPARED = 200
"""Clips whose values are compared with what was written."""


def write(
    folder: Path, items: Sequence[dict[str, Any]], tokens: Any, metadata: dict[str, Any]
) -> list[Any]:
    """The clips under every encoding, each a Case."""
    from memobert_jax import features, tokenizer
    from memobert_jax.bench_readers import Case

    tokenizer.save(tokens, folder / "words.model")
    widths = {name: items[0][name].shape[1] for name in ("face", "face_emotion", "speech")}
    cases = []
    for number, encoding in enumerate(ENCODINGS):
        written = features.write(
            folder / str(number),
            {"train": items},
            metadata=metadata,
            widths=widths,
            storage=encoding.storage,
            options=encoding.options,
        )
        cases.append(Case(str(written), str(folder / "words.model"), "train"))
    return cases


def size(case: Any) -> int:
    """Bytes of the shards."""
    return sum(path.stat().st_size for path in Path(case.folder).glob("*.array_record-*"))


def error(case: Any, items: Sequence[dict[str, Any]]) -> float:
    """Root of the mean squared error of face and speech, over that of their values."""
    from memobert_jax.features import FeaturesDataset

    dataset, wrong, all_of_it = FeaturesDataset(case.folder, case.split), 0.0, 0.0
    for number, item in enumerate(items[:_COMPARED]):
        found = dataset.read(number, ("face", "speech"))
        for name, rows in found.items():
            exact = item[name].astype(np.float64)
            wrong += float(np.square(rows - exact).sum())
            all_of_it += float(np.square(exact).sum())
    return (wrong / all_of_it) ** 0.5 if all_of_it else 0.0


def measure(
    items: Sequence[dict[str, Any]],
    tokens: Any,
    metadata: dict[str, Any],
    *,
    rounds: int,
    seconds: float,
    workers: int,
) -> dict[str, dict[str, float]]:
    """Figures of every encoding by name; rates are medians over the rounds."""
    from memobert_jax.bench_readers import Processes, Reader

    with tempfile.TemporaryDirectory() as folder:
        cases = write(Path(folder), items, tokens, metadata)
        found: list[dict[str, list[float]]] = [{} for _ in cases]
        readers = [Reader(case) for case in cases]
        with Processes(cases, workers) as processes:
            for number in [n for _ in range(rounds) for n in range(len(cases))]:
                for name, value in _one(readers[number], processes, number, seconds, workers):
                    found[number].setdefault(name, []).append(value)
        return {
            str(encoding): {
                "bytes_per_clip": size(case) / len(items),
                "error": error(case, items),
                **{name: statistics.median(values) for name, values in rates.items()},
            }
            for encoding, case, rates in zip(ENCODINGS, cases, found, strict=True)
        }


def _one(reader: Any, processes: Any, number: int, seconds: float, workers: int):
    """(name, rate) of one case, once."""
    rate = reader.records(seconds)
    yield "records_per_core_s", rate.clips / rate.cpu_s
    for threads in range(1, workers + 1):
        rate = reader.batches(seconds, threads)
        if threads == 1:
            yield "batched_per_core_s", rate.clips / rate.cpu_s
        yield f"batched_per_s_{threads}_threads", rate.clips / rate.seconds
    for count in range(1, workers + 1):
        rate = processes.batches(number, seconds, count)
        yield f"batched_per_s_{count}_processes", rate.clips / rate.seconds


def table(figures: dict[str, dict[str, float]]) -> str:
    """The figures, a line for each encoding."""
    names = list(next(iter(figures.values())))
    width = max(map(len, figures))
    head = [f"{number}: {name}" for number, name in enumerate(names)]
    lines = [*head, " " * width + "".join(f"{number:>10}" for number in range(len(names)))]
    for encoding, values in figures.items():
        shown = [f"{v:>10,.0f}" if v >= 10 or not v else f"{v:>10.5f}" for v in values.values()]
        lines.append(f"{encoding:{width}}" + "".join(shown))
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    from memobert_jax import runtime, synthetic, tokenizer
    from memobert_jax.features import FeaturesDataset

    runtime.quiet_libraries()
    given = flags.FLAGS
    metadata: dict[str, Any] = {}
    if given.source:
        dataset = FeaturesDataset(given.source, given.split)
        items = [dataset[i] for i in range(min(given.clips, len(dataset)))]
        tokens = tokenizer.train(dataset.texts(), 8000)
        metadata = {key: dataset.metadata[key] for key in ("encoders", "normalisation", "extract")}
    else:
        items, tokens = synthetic.clips(given.clips), synthetic.words()
    figures = measure(
        items, tokens, metadata, rounds=given.rounds, seconds=given.seconds, workers=given.workers
    )
    results = {"hardware": runtime.hardware(), "git": runtime.git_revision(), "figures": figures}
    print(f"{results['hardware']}; revision {results['git'] or 'unknown'}\n{table(figures)}")
    if given.output:
        Path(given.output).write_text(json.dumps(results, indent=2) + "\n")


def run() -> None:
    """Defines the flags and starts `main`."""
    flags.DEFINE_string("source", "", "features dataset whose clips are taken; '': random clips")
    flags.DEFINE_string("split", "train", "split of --source")
    flags.DEFINE_integer("clips", 2000, "clips, at most", lower_bound=1)
    flags.DEFINE_integer("rounds", 5, "times that every encoding is measured", lower_bound=1)
    flags.DEFINE_float("seconds", 0.5, "time of one measurement", lower_bound=0.0)
    flags.DEFINE_integer("workers", 2, "threads, and processes, at most", lower_bound=1)
    flags.DEFINE_string("output", "", "JSON file to write")
    command.run(main)


if __name__ == "__main__":
    run()
