"""The benchmark: its FLOPs are those of real tokens, and it runs with nothing given."""

import dataclasses
import json
import subprocess
import sys
import types
from pathlib import Path

import jax
import numpy as np
import pytest
import runs

from memobert_jax import bench, flops, runtime, synthetic, tokenizer
from memobert_jax.config import DataConfig, ModelConfig
from memobert_jax.data import TrainData

ROOT = Path(__file__).resolve().parents[1]


def test_model_flops_are_those_of_the_multiplications_one_by_one():
    cfg, clips = ModelConfig(hidden=8, layers=3, heads=2, mlp=20), [5, 7]
    forward = 0
    for n in clips:
        products = [(n, 8, 24), (n, 8, 8), (n, 8, 20), (n, 20, 8)]  # qkv, out, up, down
        products += [(n, 4, n), (n, n, 4)] * 2  # q k', weights v, for each head
        forward += cfg.layers * sum(2 * a * b * c for a, b, c in products)
    assert flops.model_flops(cfg, sum(clips), sum(n * n for n in clips)) == 3 * forward


def test_squares_are_of_clips_and_not_of_rows_or_empty_slots():
    rows = np.array([[1, 1, 1, 2, 0, 0], [1, 2, 2, 3, 3, 3], [0, 0, 0, 0, 0, 0]])
    assert flops.squares(rows) == 9 + 1 + 1 + 4 + 9


def test_an_unknown_device_has_no_datasheet():
    assert flops.datasheet_flops() is None


@pytest.mark.parametrize("kind", ["NVIDIA H100 80GB HBM3", "NVIDIA H200"])
def test_the_datasheet_of_known_devices_counts_all_of_them(kind, monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda: [types.SimpleNamespace(device_kind=kind)] * 8)
    monkeypatch.setattr(jax, "device_count", lambda: 8)
    assert flops.datasheet_flops() == 8 * 989e12
    used = flops.utilisation(ModelConfig(), 1e6, 7e7, 2.0, 8 * 700e12)
    assert used["mfu_datasheet"] == pytest.approx(used["mfu_measured"] * 700 / 989)


def test_random_clips_have_the_papers_lengths_and_widths(tmp_path):
    folder, words = synthetic.write(tmp_path, 40)
    data = TrainData(
        dataclasses.replace(runs.BASE, data=DataConfig(sources=((str(folder), 1.0),))),
        tokenizer.load(words),
    )
    (source,) = data.sources
    assert len(source.clips) == 40, source.dropped
    text, face, speech = np.array(
        [v.lengths for n in range(len(source.plan)) for v in data.views(n)]
    ).T
    assert (text.max(), face.max(), speech.max()) <= (32, 36, 64)
    assert text.min() >= 4
    assert source.dataset.widths | synthetic.WIDTHS == source.dataset.widths
    expected = synthetic.lengths(20_000)
    assert np.abs(expected.sum(1).mean() + 2 - 68.7) < 1  # with [CLS] and [SEP]


def test_with_nothing_given_input_and_training_are_measured(tmp_path):
    small = {"layers": 1, "hidden": 16, "heads": 2, "mlp": 16}
    command = [sys.executable, "-m", "memobert_jax.bench", "--config=configs/bench.py"]
    command += [f"--config.model.{name}={value}" for name, value in small.items()]
    command += ["--steps=2", "--synthetic=60", f"--output={tmp_path / 'bench.json'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    results = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    train = results["train"]
    assert train["steps"] == 2
    for name in ("clips_per_s", "tokens_per_s", "mfu_measured", "compile_s", "peak_memory_gb"):
        assert train[name] > 0
    assert 0.9 < train["real_slots"] <= 1
    assert 0 <= train["input_wait"] < 1
    assert train["mfu_datasheet"] is None
    assert results["input"]["clips_per_core_s"] > 0
    assert results["git"] == runtime.git_revision()
    assert results["hardware"] in done.stdout
    assert "1 layers of 16, 2 heads, float32" in done.stdout
    assert "mfu_datasheet                   unknown" in done.stdout


def test_a_folder_without_videos_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no video in"):
        bench.media(tmp_path, 3)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            [],
            [
                "--config=configs/bench.py --output=bench/bench.json",
                "--config=configs/bench_base.py --output=bench/bench_base.json",
            ],
        ),
        (
            ["--config=configs/base.py", "--steps=3", "--results=x y"],
            ["--config=configs/base.py --output=x y/base.json --steps=3"],
        ),
    ],
)
def test_the_script_runs_its_set_or_the_config_given(arguments, expected):
    command = [str(ROOT / "launch" / "bench.sh"), "--dry-run", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    start = ".venv/bin/python -m memobert_jax.bench "
    assert done.stdout.splitlines() == [start + line for line in expected]


@pytest.mark.parametrize(
    ("argument", "advice"),
    [
        ("--output=all.json", "give --results=FOLDER"),
        ("--output", "give --results=FOLDER"),
        ("--config", "give --config=VALUE"),
    ],
)
def test_what_a_set_cannot_take_is_refused_with_what_to_give_instead(argument, advice):
    command = [str(ROOT / "launch" / "bench.sh"), "--dry-run", argument, "x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert advice in done.stderr
