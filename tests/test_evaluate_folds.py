"""Folds, seeds and few-shot sizes: one program, pooled scores, and no fit is done twice."""

import dataclasses
import json
import shutil
from pathlib import Path

import evaluation_kit as kit
import numpy as np
import pytest
import runs
import samples

from memobert_jax import arms, checkpoint, evaluate, fewshot, fit, fits, scores, tasks, workbench

FOLDS = [
    {"train": ["speaker0", "speaker1", "speaker2"], "validation": ["speaker3"], "test": tested}
    for tested in (["speaker4"], ["speaker5"])
]
TASK = tasks.single(4)
FIT = dataclasses.replace(kit.FIT, per_class=(2, 4), steps=20, top_steps=20)


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with runs.quick_compilation(tmp_path_factory.mktemp("xla")):
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    other = samples.dataset(tmp_path_factory.mktemp("other"), {"train": 4}, first=500)
    return kit.save(tmp_path_factory.mktemp("run"), kit.params(), other)


@pytest.fixture(scope="module")
def cfg(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    data = samples.dataset(folder / "features", {"everything": 50}, emotional=False)
    own = {"name": "two", "version": 1, "by": "speaker", "disjoint": ["speaker"], "folds": FOLDS}
    (folder / "two.json").write_text(json.dumps(own))
    return dataclasses.replace(
        kit.EVALUATE,
        source=str(data),
        protocol=str(folder / "two.json"),
        arms=("zero_shot", "prompt", "head", "probe"),
        subsets=("T", "TFS"),
        seeds=(7,),
        fit=FIT,
    )


@pytest.fixture(scope="module")
def evaluated(cfg, run, tmp_path_factory):
    """(results, output, workbench) of an evaluation that nothing interrupted."""
    output = tmp_path_factory.mktemp("output")
    path = checkpoint.resolve(run)
    bench = workbench.Workbench(cfg, checkpoint.metadata(path))
    found = arms.compare(bench, [path] * 2, store=fits.Fits(output))
    evaluate.write(found, output)
    return found.results, output, bench


def test_all_folds_and_sizes_run_through_one_program(evaluated):
    _, _, bench = evaluated
    for kind, steps in (("prompt", ("score", "fit")), ("head", ("score", "fit", "fit_top"))):
        program = bench.program(kind)
        assert {name: getattr(program, name)._cache_size() for name in steps} == dict.fromkeys(
            steps, 1
        )
    assert bench.program("head").score_top._cache_size() == 1
    assert bench.program("probe").score_top._cache_size() == 1


def test_every_fold_and_size_is_a_run(evaluated):
    results, _, _ = evaluated
    for arm in ("prompt", "head"):
        found = [
            (r["fold"], r["per_class"], r["train_clips"]) for r in results["arms"][arm]["runs"]
        ]
        assert found == [(0, 2, 8), (0, 4, 16), (1, 2, 8), (1, 4, 16)]
        sizes = [(s["per_class"], s["train_clips"]) for s in results["arms"][arm]["sizes"]]
        assert sizes == [(2, 8.0), (4, 16.0)]
        largest = [r for r in results["arms"][arm]["runs"] if r["per_class"] == 4]
        assert results["arms"][arm]["summary"] == scores.summarise(
            largest, ("T", "TFS"), TASK.metrics
        )
    assert [r["fold"] for r in results["arms"]["zero_shot"]["runs"]] == [0, 1]
    assert [f["clips"]["test"] for f in results["protocol"]["folds"]] == [
        dict.fromkeys(samples.CLASSES, 2)
    ] * 2
    assert results["views"]["TFS"]["scored"] == 16


def test_scores_of_a_clip_are_those_of_the_fold_that_tests_it(evaluated):
    results, output, _ = evaluated
    with np.load(output / "scores.npz", allow_pickle=False) as kept:
        assert kept["ids"].tolist() == [f"clip{n}" for n in range(32, 48)]
        assert kept["fold"].tolist() == [0] * 8 + [1] * 8
        assert set(kept["speakers"]) == {"speaker4", "speaker5"}
        for size, places in ((2, (0, 2)), (4, (1, 3))):
            pooled = kept[f"prompt-7-7-{size}"]
            assert pooled.shape == (2, 16, 4)
            for fold, place in enumerate(places):
                there = kept["fold"] == fold
                again = TASK.measure(pooled[1, there], kept["labels"][there])
                assert results["arms"]["prompt"]["runs"][place]["subsets"]["TFS"] == again


def test_the_kept_checkpoint_names_its_fold_and_size(evaluated):
    results, output, _ = evaluated
    for arm in ("prompt", "head"):
        kept = checkpoint.metadata(output / arm)["fit"]
        (one,) = [
            r
            for r in results["arms"][arm]["runs"]
            if (r["fold"], r["per_class"]) == (kept["fold"], kept["per_class"])
        ]
        validations = [r["selected"]["validation"] for r in results["arms"][arm]["runs"]]
        assert kept["selected"] == one["selected"]
        assert not any(tasks.better(v, one["selected"]["validation"]) for v in validations)
        assert kept["stamp"] == ""


def test_an_interrupted_evaluation_goes_on_with_the_fit_it_was_in(
    cfg, run, evaluated, tmp_path, monkeypatch
):
    whole, output, _ = evaluated
    fitted = []

    def counted(*args, **kwargs):
        if len(fitted) == 5:
            raise KeyboardInterrupt
        fitted.append(args)
        return real(*args, **kwargs)

    real = fit.fit
    monkeypatch.setattr(fit, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        evaluate.evaluate(cfg, run, tmp_path)
    assert not (tmp_path / "results.json").exists()
    fitted.clear()
    found = evaluate.evaluate(cfg, run, tmp_path)
    assert len(fitted) == 3
    assert found["fits_reused"] == 9
    for arm, one in whole["arms"].items():
        again = [r["subsets"] for r in found["arms"][arm]["runs"]]
        assert again == [r["subsets"] for r in one["runs"]]
        assert found["arms"][arm]["summary"] == one["summary"]
    for arm in ("prompt", "head"):
        kept = [checkpoint.metadata(folder / arm)["fit"]["key"] for folder in (output, tmp_path)]
        assert kept[0] == kept[1]


def test_a_kept_checkpoint_that_is_lost_is_made_again(cfg, run, evaluated, tmp_path):
    _, output, _ = evaluated
    shutil.copytree(output, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "prompt")
    found = evaluate.evaluate(cfg, run, tmp_path)
    assert found["fits_reused"] == 13
    kept = [checkpoint.metadata(folder / "prompt")["fit"]["key"] for folder in (output, tmp_path)]
    assert kept[0] == kept[1]


def test_each_fold_may_have_a_checkpoint_of_its_own(cfg, tmp_path):
    data = samples.dataset(tmp_path / "other", {"train": 4}, first=500)
    for fold in (0, 1):
        kit.save(tmp_path / f"run{fold}", kit.params(fold), data)
    cfg = dataclasses.replace(cfg, arms=("zero_shot",))
    results = evaluate.evaluate(cfg, tmp_path / "run{fold}", tmp_path / "out")
    assert len(results["checkpoint"]["paths"]) == 2
    same = evaluate.evaluate(cfg, tmp_path / "run0", tmp_path / "same")
    pairs = zip(
        results["arms"]["zero_shot"]["runs"], same["arms"]["zero_shot"]["runs"], strict=True
    )
    assert [a["subsets"] == b["subsets"] for a, b in pairs] == [True, False]


@pytest.fixture(scope="module")
def oracle(cfg, run, tmp_path_factory):
    """An evaluation that selects on test because it is asked to."""
    output = tmp_path_factory.mktemp("oracle")
    fit_ = dataclasses.replace(FIT, per_class=(4,))
    cfg = dataclasses.replace(cfg, reproduce=("test_oracle",), arms=("prompt",), fit=fit_)
    return evaluate.evaluate(cfg, run, output), output


STAMP = "SELECTED ON TEST (--reproduce=test_oracle)"


def test_selecting_on_test_stamps_every_output(oracle):
    results, output = oracle
    assert results["stamp"] == STAMP
    assert json.loads((output / "results.json").read_text())["stamp"] == STAMP
    assert (output / "table.txt").read_text().startswith(f"*** {STAMP} ***\n")
    with np.load(output / "scores.npz", allow_pickle=False) as kept:
        assert str(kept["stamp"]) == STAMP
    assert checkpoint.metadata(output / "prompt")["fit"]["stamp"] == STAMP


def test_selecting_on_test_selects_on_test(oracle):
    results, _ = oracle
    for one in results["arms"]["prompt"]["runs"]:
        tested = [found["uar"] for found in one["subsets"].values()]
        assert one["selected"]["validation"]["uar"] == pytest.approx(np.mean(tested))


def test_the_stamp_stays_with_the_checkpoint(oracle, cfg, tmp_path):
    _, output = oracle
    number = checkpoint.metadata(output / "prompt")["fit"]["fold"]
    own = json.loads(Path(cfg.protocol).read_text()) | {"folds": [FOLDS[number]]}
    (tmp_path / "one.json").write_text(json.dumps(own))
    cfg = dataclasses.replace(
        cfg, arms=("zero_shot",), protocol=str(tmp_path / "one.json"), subsets=("T",)
    )
    assert evaluate.evaluate(cfg, output / "prompt", tmp_path / "out")["stamp"] == STAMP


def test_arms_that_were_scored_on_other_clips_are_not_compared(evaluated):
    _, _, bench = evaluated
    shape = (2, 8, 4)
    one, other = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    other[0, 3] = np.nan
    done = {
        (arm, fewshot.Run(fold)): fits.Fit({}, found)
        for arm, found in (("prompt", one), ("head", other))
        for fold in (0, 1)
    }
    with pytest.raises(RuntimeError, match="fold 0: head and prompt were scored on other clips"):
        arms._check_items(bench, done)
