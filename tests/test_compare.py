"""Runs beside each other: the table and the plot say what the metric lines say."""

import json
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from memobert_jax import compare, metrics


def run(folder, losses, every=10, clips=100, name="mlm", **more):
    """A work directory: `losses` are the held-out ones, one every `every` steps."""
    folder.mkdir(parents=True)
    lines = [{"step": 0, "trivial/mlm/unigram": 3.0}]
    for number, loss in enumerate(losses, 1):
        lines.append({"step": number * every, "clips": clips, "loss/mlm": 9.0})
        more_losses = {f"heldout/{k}": v for k, v in more.items()}
        lines.append({"step": number * every, f"heldout/{name}": loss, **more_losses})
    (folder / metrics.FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_curve_counts_other_clips_than_were_trained_on(tmp_path):
    curve = compare.read(run(tmp_path / "a", [3.0, 2.0], every=10, clips=64))
    np.testing.assert_array_equal(curve.steps, [10, 20])
    np.testing.assert_array_equal(curve.clips, [64, 128])
    np.testing.assert_array_equal(curve.losses["mlm"], [3.0, 2.0])


def test_the_share_of_the_baselines_clips_is_wrong(tmp_path):
    slow = compare.together("slow", [compare.read(run(tmp_path / "slow", [4.0, 3.0, 2.0, 1.0]))])
    fast = compare.together("fast", [compare.read(run(tmp_path / "fast", [2.0, 0.9, 0.8, 0.7]))])
    assert compare.share_needed(fast, slow, "mlm") == 0.5
    assert compare.share_needed(slow, slow, "mlm") == 1.0
    assert compare.share_needed(slow, fast, "mlm") is None


def test_table_and_plot_of_seeds(tmp_path):
    entries = [
        f"{name}={run(tmp_path / f'{name}_{seed}', [3.0, last + seed], msr=0.5)}"
        for name, last in (("per_step", 2.0), ("joint", 1.0))
        for seed in (0.0, 0.2)
    ]
    text = compare.compare(entries, "per_step", tmp_path / "out")
    assert "| `per_step` | 2 | 200 | 2.100 ± 0.141 | 1.00 | 0.500 ± 0.000 | 0.50 |" in text
    assert "| `joint` | 2 | 200 | 1.100 ± 0.141 | 1.00 |" in text
    assert (tmp_path / "out/table.md").read_text() == text + "\n"
    picture = (tmp_path / "out/curves.svg").read_text()
    ElementTree.fromstring(picture)
    for word in ("per_step", "joint", "masked words", "speech rows", "clips trained on"):
        assert word in picture
    compare.compare(entries, "per_step", tmp_path / "again")
    assert (tmp_path / "again/curves.svg").read_text() == picture


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "memobert_jax.compare", *map(str, arguments)],
        capture_output=True,
        text=True,
    )


def test_a_run_without_metrics_is_refused_with_its_path(tmp_path):
    out = command(f"--run=a={tmp_path}", "--baseline=a", f"--output={tmp_path / 'out'}")
    assert out.returncode == 1
    assert out.stderr == f"error: no {tmp_path / metrics.FILE}; give the work directory of a " + (
        "training run\n"
    )


def refused(tmp_path, runs, baseline, message):
    with pytest.raises(ValueError, match=message):
        compare.compare(runs, baseline, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_compared_is_refused(tmp_path):
    a = run(tmp_path / "a", [3.0, 2.0])
    b = run(tmp_path / "b", [3.0, 2.0, 1.0])
    empty = run(tmp_path / "c", [])
    refused(tmp_path, ["a"], "a", r"--run=a; expected NAME=WORKDIR")
    refused(tmp_path, [f"a={a}"], "b", r"--baseline=b is none of the runs: a")
    refused(tmp_path, [f"a={a}", f"a={b}"], "a", r"'a' were measured at other steps: \[\[10, 20\]")
    refused(tmp_path, [f"a={empty}"], "a", r"has no held-out losses yet")
    other = run(tmp_path / "d", [3.0, 2.0], name="msr")
    refused(tmp_path, [f"a={a}", f"b={other}"], "a", r"other held-out losses: a has mlm, b has msr")
