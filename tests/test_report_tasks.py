"""Reports of several labels and of values, of lost frames, templates and published figures."""

import json

import numpy as np
import pytest
import report_kit as kit

from memobert_jax.report import answers, findings, runs
from memobert_jax.report.__main__ import report


def read(folder, **changes):
    return runs.read(kit.evaluation(folder, **changes), folder.name)


def edited(folder, **entries):
    found = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps(found | entries))
    return runs.read(folder, folder.name)


def page(tmp_path, *folders, **options):
    report([str(folder) for folder in folders], tmp_path / "page.html", **options)
    return (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("task", ["multi", "regression"])
def test_the_headline_differs_from_the_measures_of_the_task(tmp_path, task):
    skill = {arm: able for arm, able in kit.SKILL.items() if task == "multi" or arm == "head"}
    e = read(tmp_path / "one", task=task, skill=skill)
    rows = {row["arm"]: row["cells"] for row in findings.headline(e)}
    cuts = np.full(len(e.classes), 0.4)
    for arm in e.arms:
        found = e.scores[arm][e.largest(arm)].values()
        each = [e.task.measure(run[-1], e.labels, cuts) for run in found]
        for name in e.task.metrics:
            expected = np.mean([one[name] for one in each])
            assert rows[arm][name]["value"] == pytest.approx(expected, rel=1e-6)


def test_thresholds_are_not_those_of_the_fold_of_each_clip(tmp_path):
    kit.evaluation(tmp_path / "one", task="multi")
    results = json.loads((tmp_path / "one/results.json").read_text())
    arms = results["arms"]
    for run in arms["head"]["runs"]:
        run["thresholds"] = [0.0 if run["fold"] else 1.0] * 4
    e = edited(tmp_path / "one", arms=arms)
    said = answers.labels(e)["head"]
    there = e.fold == 1
    for row, has in zip(said, e.labels.T, strict=True):
        hits = has[there].sum()
        assert row["f1_binary"] == pytest.approx(2 * hits / (there.sum() + has.sum()))
        assert row["threshold"] == pytest.approx(there.mean())
        assert row["positives"] == has.sum()


def test_what_is_about_one_class_is_on_the_page_of_another_task(tmp_path):
    kit.evaluation(tmp_path / "many", task="multi")
    kit.evaluation(tmp_path / "value", task="regression", skill={"head": 1.0})
    for folder, there, gone in (
        ("many", ("Label by label", "Macro F1 is", "Of every label of every clip"), ("guessing",)),
        ("value", ("Predicted against true", "CCC is", "CCC, \u00d7 100"), ("Calibration",)),
    ):
        text = page(tmp_path, tmp_path / folder)
        assert all(words in text for words in there)
        assert not any(words in text for words in (*gone, "What is taken for what", "UAR"))


def test_a_share_of_lost_frames_is_not_on_the_curve(tmp_path):
    e = read(tmp_path / "one", frame_loss=(0.0, 0.5, 0.9))
    found = answers.frame_loss(e)
    assert [share for share, _ in found["prompt"]] == [0.0, 0.5, 0.9]
    runs_of = e.results["arms"]["head"]["runs"]
    half = np.mean([run["frame_loss"][1]["uar"] for run in runs_of])
    assert found["head"][1][1]["mean"] == pytest.approx(half)
    assert "When frames are lost" in page(tmp_path, tmp_path / "one")


def test_templates_that_were_compared_are_not_shown(tmp_path):
    kit.evaluation(tmp_path / "one")
    arms = json.loads((tmp_path / "one/results.json").read_text())["arms"]
    for run in (run for found in arms.values() for run in found["runs"]):
        run["templates"] = {"{text} x [MASK]": {"uar": 0.5}, "[MASK] {text}": {"uar": 0.25}}
        run["template"] = "{text} x [MASK]"
    e = edited(tmp_path / "one", arms=arms)
    found = answers.templates(e)
    assert found["rows"][1] == ("[MASK] {text}", {0: 0.25, 1: 0.25})
    assert set(found["taken"].values()) == {"{text} x [MASK]"}
    assert "on the validation part alone" in page(tmp_path, tmp_path / "one")


def test_published_figures_do_not_stand_beside_the_arms(tmp_path):
    kit.evaluation(tmp_path / "one")
    protocol = json.loads((tmp_path / "one/results.json").read_text())["protocol"]
    one = {"name": "a machine", "source": "Somebody 1999", "metric": "accuracy", "value": 0.674}
    protocol["references"] = [one | {"subset": "TFS"}, one | {"subset": "FS"}]
    e = edited(tmp_path / "one", protocol=protocol)
    rows = answers.references(e)
    whole = findings.intervals(e, "head", e.largest("head"))["accuracy"]["TFS"]
    assert rows[0]["arms"]["head"] == whole
    assert rows[1]["arms"] == {}
    text = page(tmp_path, tmp_path / "one")
    assert "Somebody 1999" in text
    assert "67.4" in text


def test_another_word_is_no_column_of_the_confusion(tmp_path):
    kit.evaluation(tmp_path / "one")
    with np.load(tmp_path / "one/scores.npz") as file:
        kept = {name: file[name] for name in file.files}
    wide = np.pad(kept["zero_shot"], ((0, 0), (0, 0), (0, 1)), constant_values=9.0)
    np.savez_compressed(tmp_path / "one/scores.npz", **kept | {"zero_shot": wide})
    e = runs.read(tmp_path / "one", "one")
    found = answers.confusion(e)
    assert found["columns"]["zero_shot"][-1] == "another word"
    assert all(row[-1] == 1.0 for row in found["arms"]["zero_shot"])
    assert len(found["columns"]["head"]) == 4
    assert "another word" in page(tmp_path, tmp_path / "one")


@pytest.mark.parametrize("task", ["multi", "regression"])
def test_two_evaluations_of_a_task_are_not_compared(tmp_path, task):
    skill = {"head": 1.5, "random_init": 0.5}
    for name in ("one", "other"):
        kit.evaluation(tmp_path / name, task=task, skill=skill)
    folders = (tmp_path / "one", tmp_path / "other")
    title = {"multi": "Macro F1, points", "regression": "CCC, points"}[task]
    assert title in page(tmp_path, *folders, compare=True)


def test_evaluations_of_two_tasks_are_compared(tmp_path):
    kit.evaluation(tmp_path / "one", skill={"head": 1.0})
    kit.evaluation(tmp_path / "many", task="multi", skill={"head": 1.0})
    with pytest.raises(ValueError, match=r"of task multi, .* of task single"):
        page(tmp_path, tmp_path / "one", tmp_path / "many", compare=True)
