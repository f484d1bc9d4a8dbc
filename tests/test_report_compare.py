"""Evaluations beside each other: the same clips, the right sign, and only what compares."""

import numpy as np
import pytest
import report_kit as kit
from test_report import arrays, command, edited

from memobert_jax.report import comparison, page, runs


def read(folder, **options):
    return runs.read(kit.evaluation(folder, **({"sizes": (4, 0)} | options)), folder.name)


def test_a_better_evaluation_does_not_come_out_as_better(tmp_path):
    base = read(tmp_path / "base")
    better = read(tmp_path / "better", skill=dict.fromkeys(kit.SKILL, 2.4), draw=1)
    found = comparison.pair(base, better, "prompt")
    cell = found["found"]["uar"]["TFS"]
    assert cell["value"] == pytest.approx(cell["first"] - cell["second"])
    assert cell["first"] > cell["second"]
    assert 0 < cell["low"] < cell["value"] < cell["high"]
    assert (cell["clips"], cell["clusters"], found["runs"], found["size"]) == (96, 8, 2, 0)
    back = comparison.pair(better, base, "prompt")["found"]["uar"]["TFS"]
    assert back["value"] == pytest.approx(-cell["value"])


def test_an_evaluation_differs_from_itself_in_another_order_of_clips(tmp_path):
    one = read(tmp_path / "one")
    kit.evaluation(tmp_path / "two", sizes=(4, 0))
    with np.load(tmp_path / "two/scores.npz") as file:
        found = {name: file[name] for name in file.files}
    order = np.random.default_rng(0).permutation(len(found["ids"]))
    turned = {
        name: array[:, order] if array.ndim == 3 else array[order]
        for name, array in found.items()
        if name not in ("subsets", "classes")
    }
    two = runs.read(arrays(tmp_path / "two", **turned), "two")
    for arm in one.arms:
        cells = comparison.pair(one, two, arm)["found"]["uar"]
        assert [cell["value"] for cell in cells.values()] == pytest.approx([0.0] * len(cells))


def test_clips_that_only_one_has_are_compared(tmp_path):
    one, two = read(tmp_path / "one"), read(tmp_path / "two", speakers=6)
    assert comparison.pair(one, two, "prompt")["found"]["uar"]["TFS"]["clips"] == 72


def test_runs_that_do_not_pair_are_paired(tmp_path):
    one = read(tmp_path / "one")
    other_seeds = read(tmp_path / "seeds", seeds=(7, 8))
    other_sizes = read(tmp_path / "sizes", sizes=(1,))
    no_head = read(tmp_path / "no_head", skill={"zero_shot": 1.0, "prompt": 1.0})
    assert comparison.pair(one, other_seeds, "prompt") == {"why": "no seed in common"}
    why = {"why": "no size of the training part in common"}
    assert comparison.pair(one, other_sizes, "prompt") == why
    assert comparison.pair(one, no_head, "head") == {"why": "no_head has no such arm"}
    text = page.render([one, other_seeds, no_head], compare=True)
    assert "not compared: no seed in common" in text
    assert "not compared: no_head has no such arm" in text


def test_only_the_subsets_that_both_have(tmp_path):
    one, two = read(tmp_path / "one"), read(tmp_path / "two", subsets=("S", "T"))
    found = comparison.pair(one, two, "prompt")
    assert found["subsets"] == ["T", "S"]
    assert found["whole"] == "S"


def refused(evaluations, *words):
    with pytest.raises(ValueError, match=r".") as found:
        comparison.check(evaluations)
    for word in words:
        assert str(word) in str(found.value)


def test_results_of_another_protocol_are_compared(tmp_path):
    one = read(tmp_path / "one")
    two = read(tmp_path / "two", fingerprint="ffffffffffff")
    refused(
        [one, two],
        tmp_path / "two",
        tmp_path / "one",
        "generated_folds version 1 (fingerprint ffffffffffff)",
        "generated_folds version 1 (fingerprint 0123456789ab)",
        "leave --compare out",
    )


def test_the_command_compares_results_of_another_protocol(tmp_path):
    paths = [kit.evaluation(tmp_path / "one", sizes=(4,))]
    paths.append(kit.evaluation(tmp_path / "two", sizes=(4,), fingerprint="ffffffffffff"))
    done = command(*paths, "--compare", f"--output={tmp_path / 'a.html'}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {paths[1]} was evaluated by another protocol")
    assert not (tmp_path / "a.html").exists()
    assert command(*paths, f"--output={tmp_path / 'a.html'}").returncode == 0


def test_what_does_not_compare_is_compared(tmp_path):
    one = read(tmp_path / "one")
    refused([one], "two or more", "1 given")
    validation = read(tmp_path / "validation", scored_part="validation")
    refused([one, validation], "scores of the validation part", "compare the same part")
    kit.evaluation(tmp_path / "labels", sizes=(4,))
    with np.load(tmp_path / "labels/scores.npz") as file:
        labels = file["labels"].copy()
    labels[5] = 0
    found = runs.read(arrays(tmp_path / "labels", labels=labels), "labels")
    refused([one, found], "about the label of 1 clips", "'clip0005' first")
    subsets = read(tmp_path / "subsets", subsets=("FS",))
    refused([one, subsets], "no modality subset in common: FS and T, F, S, TFS")
    ids = np.array([f"other{n}" for n in range(96)])
    kit.evaluation(tmp_path / "ids", sizes=(4,))
    refused([one, runs.read(arrays(tmp_path / "ids", ids=ids), "ids")], "no scored clip in common")
    kit.evaluation(tmp_path / "classes", sizes=(4,))
    turned = list(reversed(kit.CLASSES))
    edited(tmp_path / "classes", protocol=lambda old: old | {"classes": turned})
    found = runs.read(arrays(tmp_path / "classes", classes=np.array(turned)), "classes")
    refused([one, found], "has the classes sadness, neutral, happiness, anger")


def test_a_stamped_evaluation_stands_unmarked_beside_others(tmp_path):
    one = read(tmp_path / "one", sizes=(4,))
    two = read(tmp_path / "two", sizes=(4,), stamp="SELECTED ON TEST", draw=3)
    text = page.render([one, two], compare=True)
    table = text.split("Beside each other</h2>")[1].split("</table>")[0]
    assert table.count('two <span class="tag">stamped</span>') == len(kit.SKILL)
    assert text.startswith("\n<!doctype html>") or text.startswith("<!doctype html>")
