"""How long it takes to align a corpus of the size of CMU-MOSEI, and how much memory.

  python -m tfds_builders.cmu.bench --folder=FOLDER [--videos=3200]

Writes computational sequences of random numbers into FOLDER (in the shapes and rates of CMU-MOSEI,
compressed as there; 20 GB for 3,200 videos), aligns them as configuration `words` of cmu_mosei
does, prints the time and the memory, and removes them.
"""

import itertools
import multiprocessing
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from absl import app, flags, logging

from memobert_jax import command

SECONDS, WORDS = 180, 450
"""Of a video: 18,009 rows at 100 Hz in a tutorial of the SDK."""

SEGMENTS, VIDEOS = 23_000, 3_200
KINDS = 16
"""Videos that differ; the others are copies of them."""

_MIB = 1 << 20


def write(folder: str, videos: int) -> None:
    """Writes the sequences of `videos` videos, and a file of folds."""
    rng = np.random.default_rng(0)
    roots = {
        "CMU_MOSEI_TimestampedWordVectors": ("glove_vectors", lambda: _words(rng, 300)),
        "CMU_MOSEI_TimestampedWords": ("words", lambda: _words(rng, 0)),
        "CMU_MOSEI_COVAREP": ("COVAREP", lambda: _frames(rng, 74, 100)),
        "CMU_MOSEI_VisualFacet42": ("FACET 4.2", lambda: _frames(rng, 35, 30)),
        "CMU_MOSEI_Labels": ("All Labels", None),
    }
    for name, (root, make) in roots.items():
        with h5py.File(Path(folder, f"{name}.csd"), "w") as file:
            data = file.create_group(f"{root}/data")
            for video in range(videos):
                if make is None:
                    count = (video + 1) * SEGMENTS // VIDEOS - video * SEGMENTS // VIDEOS
                    _add(data, video, *_labels(rng, count))
                elif video < KINDS:
                    _add(data, video, *make())
                else:
                    data.copy(_name(video % KINDS), data, _name(video))
    parts = np.array_split([_name(video) for video in range(videos)], 10)
    lists = {
        "train": itertools.chain(*parts[:7]),
        "valid": parts[7],
        "test": itertools.chain(*parts[8:]),
    }
    text = "".join(f"standard_{s}_fold = {[str(v) for v in vs]}\n" for s, vs in lists.items())
    Path(folder, "cmu_mosei_std_folds.py").write_text(text)


def _name(video: int) -> str:
    return f"video{video:05d}"


def _add(data: h5py.Group, video: int, features: np.ndarray, intervals: np.ndarray) -> None:
    entry = data.create_group(_name(video))
    for name, array in (("features", features), ("intervals", intervals)):
        entry.create_dataset(name, data=array, compression="gzip", compression_opts=9)


def _frames(rng: np.random.Generator, width: int, rate: int) -> tuple[np.ndarray, np.ndarray]:
    starts = np.arange(SECONDS * rate) / rate
    features = rng.normal(size=(len(starts), width)).astype(np.float32)
    features[:: 10 * rate, 0] = -np.inf
    return features, np.stack([starts, starts + 1 / rate], 1)


def _words(rng: np.random.Generator, width: int) -> tuple[np.ndarray, np.ndarray]:
    edges = np.linspace(0, SECONDS, WORDS + 1)
    features = rng.normal(size=(WORDS, width)).astype(np.float32)
    texts = np.array([b"word%d" % number for number in range(WORDS)], "S32")[:, None]
    return features if width else texts, np.stack([edges[:-1], edges[1:]], 1)


def _labels(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    edges = np.sort(rng.uniform(0, SECONDS, count + 1))
    features = rng.integers(0, 10, (count, 7)).astype(np.float32) / 3
    order = rng.permutation(count)
    return features[order], np.stack([edges[:-1], edges[1:]], 1)[order]


def align(folder: Path) -> str:
    """Aligns what `write` has written; what it took, in words."""
    from tfds_builders.cmu import aligned
    from tfds_builders.cmu_mosei.cmu_mosei_dataset_builder import PLACES
    from tfds_builders.listing import Tally

    started = time.monotonic()
    found = aligned.records(PLACES.files(folder, "facet"), aligned.Rows("words", False))
    tally, segments, rows = Tally(), 0, 0
    for _, item in found.read(tally):
        segments, rows = segments + 1, rows + len(item["speech"])
    minutes = (time.monotonic() - started) / 60
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return (
        f"{segments} segments, {rows} words: {minutes:.1f} minutes, at most {peak / _MIB:.0f} MiB "
        f"of memory; left out: {len(tally.omitted)}"
    )


def main(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    logging.set_verbosity(logging.ERROR)  # Beam and TFDS talk a lot
    videos, parent = flags.FLAGS.videos, Path(flags.FLAGS.folder)
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="cmu-bench-", dir=parent))
    try:
        # A process of its own, so that its memory is not counted.
        child = multiprocessing.get_context("spawn").Process(
            target=write, args=(str(folder), videos)
        )
        child.start()
        child.join()
        if child.exitcode:
            raise OSError(f"the files could not be written into {folder}; is the disk full?")
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{videos} videos of {SECONDS} s, {size / 1e9:.1f} GB", flush=True)
        print(align(folder))
    finally:
        shutil.rmtree(folder)


def run() -> None:
    """Defines the flags and starts `main`."""
    flags.DEFINE_string("folder", None, "folder for the files, which are removed at the end")
    flags.DEFINE_integer("videos", VIDEOS, "number of videos", lower_bound=3)
    flags.mark_flag_as_required("folder")
    app.run(main, flags_parser=command.parse_flags)


if __name__ == "__main__":
    run()
