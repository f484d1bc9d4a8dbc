"""The benchmark: its FLOPs are those of real tokens, and it runs with nothing given."""

import dataclasses
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import runs

from memobert_jax import bench, flops, synthetic, tokenizer
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


@pytest.mark.slow
def test_with_nothing_given_input_and_training_are_measured(tmp_path):
    cfg = dataclasses.replace(
        runs.BASE,
        data=DataConfig(batch_rows=8),
        model=ModelConfig(hidden=16, layers=1, heads=2, mlp=16),
    )
    with runs.quick_compilation(tmp_path):
        results = bench.measure(
            cfg, videos="", clips="", split="train", synthetic=200, steps=2, limit=1
        )
    train = results["train"]
    assert train["steps"] == 2
    for name in ("clips_per_s", "tokens_per_s", "mfu_measured", "compile_s", "peak_memory_gb"):
        assert train[name] > 0
    assert 0.9 < train["real_slots"] <= 1
    assert train["mfu_datasheet"] is None
    assert results["input"]["clips_per_core_s"] > 0
    assert json.loads(json.dumps(results)) == results
    shown = bench.table(results)
    assert results["hardware"] in shown
    assert "1 layers of 16, 2 heads, float32" in shown
    assert "mfu_datasheet                   unknown" in shown


def test_a_folder_without_videos_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no video in"):
        bench.media(tmp_path, 3)


def test_the_script_runs_the_config_given_or_its_own():
    for arguments, expected in (
        ([], "--config=configs/bench.py"),
        (["--config=configs/base.py", "--steps=3"], "--config=configs/base.py --steps=3"),
    ):
        command = [str(ROOT / "launch" / "bench.sh"), "--dry-run", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.strip().endswith(f"-m memobert_jax.bench {expected}")
