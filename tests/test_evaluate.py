"""Evaluation end to end: a checkpoint and labelled features become tables and checkpoints."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import evaluation_kit as kit
import numpy as np
import pytest
import samples

from memobert_jax import (
    arms,
    checkpoint,
    evaluate,
    features,
    fits,
    results,
    scores,
    tasks,
    trial,
    workbench,
)
from memobert_jax.config import ARMS, EvaluateConfig, MeshConfig, PromptConfig

SIZES = {"train": 32, "validation": 16, "test": 24}
FIT = dataclasses.replace(kit.FIT, per_class=(8,))
ROOT = Path(__file__).resolve().parents[1]


def configured(data, **changes) -> EvaluateConfig:
    return dataclasses.replace(kit.EVALUATE, source=str(data), fit=FIT, **changes)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return samples.dataset(tmp_path_factory.mktemp("data"), SIZES, emotional=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory, data):
    return kit.save(tmp_path_factory.mktemp("run"), kit.params(), data, step=7, steps=9)


@pytest.fixture(scope="module")
def ceilings(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "corpus.json"
    path.write_text(json.dumps({"best_possible_accuracy": {"T": 0.7, "FS": 0.8, "TFS": 0.9}}))
    return str(path)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, data, run, ceilings):
    output = tmp_path_factory.mktemp("output")
    return evaluate.evaluate(configured(data, ceilings=ceilings), run, output), output


def uar(results, arm, subset="TFS"):
    return results["arms"][arm]["summary"]["uar"][subset]["mean"]


def test_results_say_where_they_come_from(evaluated, run):
    results, _ = evaluated
    assert results["checkpoint"]["step"] == 7
    assert results["checkpoint"]["path"].endswith(f"{run.name}/checkpoints/7")
    (fold,) = results["protocol"]["folds"]
    assert fold["clips"]["test"] == dict.fromkeys(samples.CLASSES, 6)
    assert results["protocol"]["name"] == "by_split"
    assert (results["format"], results["stamp"], results["warnings"]) == (3, "", [])
    assert results["config"]["seeds"] == [0, 1]
    assert results["chance"] == 0.25
    assert results["majority"]["uar"] == pytest.approx(0.25)
    assert results["scored_part"] == "test"
    assert results["hardware"]


def test_every_arm_is_scored_for_every_seed_on_the_same_clips(evaluated):
    results, _ = evaluated
    assert {arm: len(found["runs"]) for arm, found in results["arms"].items()} == {
        "zero_shot": 1,
        "prompt": 2,
        "head": 2,
        "probe": 2,
        "random_init": 2,
    }
    for arm, found in results["arms"].items():
        for one in found["runs"]:
            assert one["fold"] == 0
            assert (one["per_class"], one["train_clips"]) == (
                (None, 0) if arm == "zero_shot" else (8, 32)
            )
            assert {s["scored"] for s in one["subsets"].values()} == {24}
            assert all(np.sum(s["confusion"]) == 24 for s in one["subsets"].values())


def test_a_fit_on_clips_that_can_be_told_apart_beats_no_fit(evaluated):
    results, _ = evaluated
    assert uar(results, "prompt") > 0.6 > uar(results, "zero_shot")
    assert uar(results, "head") > 0.6


def test_the_files_hold_what_was_returned(evaluated):
    results, output = evaluated
    assert json.loads((output / "results.json").read_text()) == results
    table = (output / "table.txt").read_text()
    assert table == scores.table(results) + "\n"
    assert "best possible" in table


def test_the_scores_of_every_clip_are_kept(evaluated):
    results, output = evaluated
    with np.load(output / "scores.npz", allow_pickle=False) as kept:
        fitted = ("prompt", "head", "probe", "random_init")
        runs = {f"{arm}-{seed}-{seed}-8" for arm in fitted for seed in (0, 1)} | {"zero_shot"}
        items = {"ids", "labels", "speakers", "genders", "fold", "subsets", "classes", "stamp"}
        assert set(kept.files) == runs | items
        assert kept["ids"][0] == "clip48"
        assert kept["speakers"][0] == "speaker6"
        assert kept["fold"].tolist() == [0] * 24
        assert str(kept["stamp"]) == ""
        again = tasks.single(4).measure(kept["head-1-1-8"][2], kept["labels"])
    recorded = results["arms"]["head"]["runs"][1]["subsets"]["TFS"]
    assert again == recorded


def test_a_fitted_prompt_scores_again_as_it_did(evaluated, data, tmp_path):
    results, output = evaluated
    runs = results["arms"]["prompt"]["runs"]
    kept = checkpoint.metadata(output / "prompt")["fit"]
    (fitted,) = [r for r in runs if r["seed"] == kept["seed"]]
    assert _validation(fitted) == max(map(_validation, runs))
    again = evaluate.evaluate(configured(data, arms=("zero_shot",)), output / "prompt", tmp_path)
    found = again["arms"]["zero_shot"]["runs"][0]["subsets"]
    for subset, one in fitted["subsets"].items():
        assert found[subset]["confusion"] == one["confusion"]
        assert found[subset]["loss"] == pytest.approx(one["loss"], abs=1e-5)


def _validation(one):
    found = one["selected"]["validation"]
    return found["uar"], -found["loss"]


def test_a_fitted_head_is_saved_whole_and_refused_as_a_start(evaluated, data, tmp_path):
    _, output = evaluated
    assert checkpoint.metadata(output / "head")["kind"] == "head"
    with pytest.raises(ValueError, match=r"fitted head.*predict"):
        evaluate.evaluate(configured(data), output / "head", tmp_path)


def test_another_mesh_gives_the_same_scores(evaluated, data, run, tmp_path):
    cfg = configured(data, arms=("zero_shot",), mesh=MeshConfig(data=2, fsdp=2, tensor=2))
    found = evaluate.evaluate(cfg, run, tmp_path)["arms"]["zero_shot"]["runs"][0]["subsets"]
    for subset, one in evaluated[0]["arms"]["zero_shot"]["runs"][0]["subsets"].items():
        assert found[subset]["loss"] == pytest.approx(one["loss"], abs=1e-5)


def test_a_subset_seed_and_a_training_seed_are_crossed(data, run):
    fit = dataclasses.replace(FIT, subset_seeds=(5, 6))
    cfg = dataclasses.replace(configured(data), fit=fit)
    bench = workbench.Workbench(cfg, checkpoint.metadata(checkpoint.resolve(run)))
    found = [(run.seed, run.subset_seed) for run in bench.runs()]
    assert sorted(found) == [(0, 5), (0, 6), (1, 5), (1, 6)]
    assert {subset for _, subset, _ in bench.train_clips} == {5, 6}


def test_zero_shot_alone_needs_no_other_part(tmp_path, run, data):
    lone = samples.dataset(tmp_path / "lone", {"test": 8}, first=200, emotional=False)
    results = evaluate.evaluate(configured(lone, arms=("zero_shot",)), run, tmp_path / "out")
    assert set(results["protocol"]["folds"][0]["clips"]) == {"test"}
    assert results["majority"] is None


def test_clips_that_were_cut_are_counted_by_modality(tmp_path, run, data):
    cfg = configured(data, arms=("zero_shot",), max_text=9, max_speech=10)
    results = evaluate.evaluate(cfg, run, tmp_path)
    assert any("the text of 24 of 24 clips was cut" in line for line in results["warnings"])
    lengths = features.FeaturesDataset(data, "test").lengths["speech"]
    expected = f"the speech of {(lengths > 10).sum()} of 24 clips was cut at its end, to 10 rows"
    assert any(expected in line for line in results["warnings"])
    assert not any("the face of" in line for line in results["warnings"])


@pytest.mark.parametrize("name", ["face", "speech"])
def test_clips_whose_features_are_not_finite_are_refused_by_name(tmp_path, run, name):
    rng = np.random.default_rng(0)
    clips = [samples.clip(i, rng) for i in range(8)]
    clips[5][name] = np.full_like(clips[5][name], np.inf)
    for clip in clips:
        clip["face_emotion"] = np.zeros((0, 1), np.float16)
    metadata = {"encoders": samples.ENCODERS}
    broken = features.write(
        tmp_path / "x", {"test": clips}, metadata=metadata, widths=samples.WIDTHS
    )
    with pytest.raises(
        ValueError, match=r"1 clips of .*x have features .* not finite: clip5\. Take"
    ):
        evaluate.evaluate(configured(broken, arms=("zero_shot",)), run, tmp_path / "out")


def test_features_of_another_width_are_refused(tmp_path, run):
    widths = {"face": 24, "speech": 33}
    encoders = {**samples.ENCODERS, "speech": {**samples.ENCODERS["speech"], "width": 33}}
    other = samples.dataset(tmp_path / "x", SIZES, widths=widths, metadata={"encoders": encoders})
    with pytest.raises(ValueError, match=r'(?s)encoders of .* differ.*"width": 20.*"width": 33'):
        evaluate.evaluate(configured(other), run, tmp_path / "out")


def test_clips_of_the_pre_training_are_scored_under_a_stamp_or_not_at_all(tmp_path, run, data):
    cfg = configured(data, arms=("zero_shot",), test_split="train")
    with pytest.raises(ValueError, match=r"pre-training saw 32 clips of test \('clip0'"):
        evaluate.evaluate(cfg, run, tmp_path)
    cfg = dataclasses.replace(cfg, reproduce=("seen_test",))
    results = evaluate.evaluate(cfg, run, tmp_path)
    stamp = "TEST CLIPS WERE SEEN BEFORE by pre-training (--reproduce=seen_test)"
    assert results["stamp"] == stamp
    assert any("pre-training saw 32 clips" in line for line in results["warnings"])
    assert (tmp_path / "table.txt").read_text().startswith(f"*** {stamp} ***\n")
    with np.load(tmp_path / "scores.npz", allow_pickle=False) as kept:
        assert str(kept["stamp"]) == stamp


def test_the_same_again_repeats_no_fit_and_another_configuration_all(
    evaluated, data, run, ceilings, monkeypatch
):
    results, output = evaluated
    monkeypatch.setattr(trial, "run_arm", None)
    again = evaluate.evaluate(configured(data, ceilings=ceilings), run, output)
    assert again["fits_reused"] == 9
    for name in ("arms", "protocol", "majority", "views"):
        assert again[name] == results[name]


def keys_of(cfg, run):
    path = checkpoint.resolve(run)
    bench = workbench.Workbench(cfg, checkpoint.metadata(path))
    return fits.keys_of(bench, [path], arms._plan(bench))


def test_a_fit_is_found_by_all_that_decides_it(data, run, tmp_path):
    cfg = configured(data)
    keys = keys_of(cfg, run)
    assert len(set(keys.values())) == 9
    fewer = keys_of(dataclasses.replace(cfg, seeds=(1,), arms=("head",)), run)
    assert set(fewer.values()) < set(keys.values())
    other = kit.save(tmp_path, kit.params(1), data, step=7, steps=9)
    sections = {
        "fit": dataclasses.replace(FIT, lrs=(1e-3,)),
        "prompt": PromptConfig(template="{text} it is [MASK] ."),
    }
    changed = [keys_of(dataclasses.replace(cfg, **{k: v}), run) for k, v in sections.items()]
    changed += [keys_of(dataclasses.replace(cfg, max_text=20), run), keys_of(cfg, other)]
    changed.append(keys_of(dataclasses.replace(cfg, reproduce=("test_oracle",)), run))
    found = [value for one in (keys, *changed) for value in one.values()]
    assert len(set(found)) == len(found)


def test_features_of_another_encoder_are_refused(tmp_path, run, data):
    encoders = {**samples.ENCODERS, "face": {**samples.ENCODERS["face"], "version": 2}}
    other = samples.dataset(tmp_path / "other", SIZES, metadata={"encoders": encoders})
    with pytest.raises(
        ValueError, match=r"(?s)encoders of .* differ.*featurize --like="
    ) as refused:
        evaluate.evaluate(configured(other), run, tmp_path / "out")
    assert '"version": 2' in str(refused.value)
    assert f"--like={data} " in str(refused.value)


def test_features_normalised_on_other_clips_are_refused(tmp_path, run):
    metadata = {"normalisation": {"speech": {"mean": [0.0], "std": [1.0]}}}
    other = samples.dataset(tmp_path / "other", SIZES, metadata=metadata)
    with pytest.raises(ValueError, match=r"normalisation of .* differ"):
        evaluate.evaluate(configured(other), run, tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"test_split": "tset"}, ValueError, "no split 'tset'; it has"),
        ({"validation_split": "test"}, ValueError, "share 24 values of id .*test_oracle"),
        ({"protocol": "by_splits"}, ValueError, "no protocol 'by_splits'; did you mean"),
        ({"protocol": "meld_official"}, ValueError, "is for the dataset meld 1, but .* corpus"),
        ({"batch_rows": 6}, ValueError, "use a multiple of 8"),
        ({"max_text": 600}, ValueError, "expected at most 64, the positions"),
        ({"max_text": 5}, ValueError, "a clip may have 5: shorten it"),
        ({"ceilings": "nowhere.json"}, FileNotFoundError, "'nowhere.json'"),
        ({"mesh": MeshConfig(data=3)}, ValueError, "for 8 devices"),
        (
            {"prompt": PromptConfig(label_words=("angry", "happy", "neutral", "heartbroken"))},
            ValueError,
            "label word 'heartbroken' is not known",
        ),
        (
            {"prompt": PromptConfig(classes=("anger", "fear"), label_words=("angry", "scared"))},
            ValueError,
            "no clip of fear",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path, run, data, changes, error, message):
    with pytest.raises(error, match=message):
        evaluate.evaluate(dataclasses.replace(configured(data), **changes), run, tmp_path)
    assert not (tmp_path / "results.json").exists()


def test_an_empty_validation_part_is_refused(tmp_path, run):
    lone = samples.dataset(tmp_path / "lone", {"train": 32, "validation": 0, "test": 8})
    with pytest.raises(ValueError, match=r"validation part \(split 'validation'\) is empty"):
        evaluate.evaluate(configured(lone), run, tmp_path / "out")


def test_ceilings_without_their_entry_are_refused(tmp_path):
    path = tmp_path / "other.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match="no entry 'best_possible_accuracy'"):
        results.ceilings(str(path))


def test_a_missing_checkpoint_is_named(tmp_path, data):
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        evaluate.evaluate(configured(data), tmp_path / "none", tmp_path / "out")


def test_an_output_that_cannot_be_written_is_found_before_the_work(tmp_path, data, run):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        evaluate.evaluate(configured(data), run, tmp_path / "file")


def test_damaged_parameters_are_refused(tmp_path, data):
    folder = kit.save(tmp_path / "run", kit.params(), data)
    files = [p for p in folder.rglob("*") if p.is_file() and "ocdbt" in str(p)]
    victim = max(files, key=lambda p: p.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 0xFF
    victim.write_bytes(content)
    with pytest.raises(checkpoint.CorruptCheckpointError, match="damaged"):
        evaluate.evaluate(configured(data), folder, tmp_path / "out")


def test_the_command_line_prints_table_and_stamp_and_names_the_files(tmp_path, data, run):
    command = [sys.executable, "-m", "memobert_jax.evaluate"]
    command += ["--config=configs/evaluate_emotion.py", f"--config.source={data}"]
    command += ["--config.arms=('zero_shot',)", "--config.subsets=('T',)"]
    command += ["--config.batch_rows=8", f"--checkpoint={run}", f"--output={tmp_path}"]
    command += ["--reproduce=test_oracle"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "xla")},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "table.txt").read_text() in done.stdout
    assert "*** SELECTED ON TEST (--reproduce=test_oracle) ***" in done.stdout
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["command"].startswith("python -m memobert_jax.evaluate --config=configs/")
    assert results["config"]["reproduce"] == ["test_oracle"]
    assert "results.json" in done.stdout


def test_every_arm_of_the_configuration_has_a_name_in_the_table():
    assert set(ARMS) == set(scores.NAMES)
