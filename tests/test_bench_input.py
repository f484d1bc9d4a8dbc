"""The measurement of ways to store features: the same clips each time, and figures of each."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import samples

from memobert_jax import bench_input, synthetic
from memobert_jax.bench_readers import Case, Reader
from memobert_jax.features import FeaturesDataset

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def items() -> list[dict]:
    return synthetic.clips(24)


@pytest.fixture(scope="module")
def cases(tmp_path_factory, items) -> list[Case]:
    return bench_input.write(tmp_path_factory.mktemp("cases"), items, synthetic.words(), {})


def test_every_encoding_holds_the_same_clips_in_the_same_order(cases, items):
    for encoding, case in zip(bench_input.ENCODINGS, cases, strict=True):
        dataset = FeaturesDataset(case.folder, "train")
        assert dataset.texts() == [item["text"] for item in items]
        assert dataset.metadata["storage"] == encoding.storage
        exact = encoding.storage == "float16"
        for number in (0, 13, 23):
            close = np.allclose(dataset[number]["speech"], items[number]["speech"], atol=0.02)
            same = np.array_equal(dataset[number]["speech"], items[number]["speech"])
            assert (close, same) == (True, exact), str(encoding)


def test_errors_are_those_of_eight_bits_and_none_else(cases, items):
    errors = [bench_input.error(case, items) for case in cases]
    for encoding, error in zip(bench_input.ENCODINGS, errors, strict=True):
        assert (0.001 < error < 0.01) if encoding.storage == "int8" else error == 0, str(encoding)


def test_sizes_are_those_of_the_shards(cases, items):
    sizes = dict(zip(map(str, bench_input.ENCODINGS), map(bench_input.size, cases), strict=True))
    plain = sizes["float16 group_size:1,uncompressed"]
    assert plain > sum(item["face"].nbytes + item["speech"].nbytes for item in items)
    assert sizes["int8 group_size:1,uncompressed"] < 0.65 * plain
    assert sizes["float16 group_size:1,zstd:9"] < plain


def test_what_is_counted_was_read_and_batched(cases):
    reader = Reader(cases[0])
    rate = reader.records(0.0)
    assert rate.clips == 1
    assert rate.seconds > 0
    step = reader._step
    rate = reader.batches(0.0, 2)
    expected = [reader.data.batch(k)["clip_valid"].sum() for k in range(step + 1, reader._step + 1)]
    assert len(expected) == 2
    assert rate.clips == sum(expected)


def test_the_table_has_a_line_for_each_encoding_and_names_its_columns():
    figures = {"a": {"error": 0.0, "speed": 12345.6}, "bc": {"error": 0.00551, "speed": 7.0}}
    lines = bench_input.table(figures).splitlines()
    assert lines[:2] == ["0: error", "1: speed"]
    assert lines[3].split() == ["a", "0", "12,346"]
    assert lines[4].split() == ["bc", "0.00551", "7.00000"]


@pytest.mark.slow
def test_the_command_measures_a_features_dataset_in_threads_and_processes(tmp_path):
    corpus = samples.dataset(tmp_path / "corpus", {"train": 12}, widths=samples.WIDTHS)
    arguments = ["--clips=12", "--rounds=1", "--seconds=0", "--workers=2"]
    arguments += [f"--source={corpus}", f"--output={tmp_path / 'out.json'}"]
    done = subprocess.run(
        [sys.executable, "-m", "memobert_jax.bench_input", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "out.json").read_text())["figures"]
    assert list(figures) == [str(encoding) for encoding in bench_input.ENCODINGS]
    for values in figures.values():
        rates = {
            name: value
            for name, value in values.items()
            if name.endswith(("_s", "threads", "processes"))
        }
        assert len(rates) == 2 + 2 + 2
        assert all(value > 0 for value in rates.values())
    assert "float16 group_size:1,uncompressed" in done.stdout
