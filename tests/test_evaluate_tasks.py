"""Several labels, values, templates, calibration and lost frames: from the data to the results."""

import dataclasses
import json

import evaluation_kit as kit
import jax
import numpy as np
import pytest
import runs
import samples

from memobert_jax import checkpoint, evaluate, fits, predictor, record, scores, tasks, workbench
from memobert_jax.config import PromptConfig

SIZES = {"train": 32, "validation": 16, "test": 16}
FIT = dataclasses.replace(kit.FIT, per_class=(0,), steps=20, top_steps=20)
PAIRS = ("anger", "happiness", "neutral", "sadness")
VALUES = np.array([-1.5, 2.0, 0.5, -0.5], np.float32)


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with runs.quick_compilation(tmp_path_factory.mktemp("xla")):
        yield


def labels_of(index):
    """Each clip has its class, and every third one sadness too."""
    found = np.zeros(len(record.EMOTIONS), np.float32)
    found[record.EMOTIONS.index(samples.CLASSES[index % 4])] = 1.0
    found[record.EMOTIONS.index("sadness")] += index % 3 == 0
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    from memobert_jax import features

    rng, at, splits = np.random.default_rng(0), 0, {}
    for split, size in SIZES.items():
        splits[split] = [
            samples.clip(
                i,
                rng,
                emotional=False,
                emotions=labels_of(i),
                valence=np.float32(np.nan if i == 50 else VALUES[i % 4]),
            )
            for i in range(at, at + size)
        ]
        at += size
    metadata = {"encoders": samples.ENCODERS, "normalisation": {}, "extract": {}}
    folder = tmp_path_factory.mktemp("data") / "features"
    return features.write(folder, splits, metadata=metadata, widths=samples.WIDTHS)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    other = samples.dataset(tmp_path_factory.mktemp("other"), {"train": 4}, first=500)
    return kit.save(tmp_path_factory.mktemp("run"), kit.params(), other)


def configured(data, **changes):
    fields = {"subsets": ("T", "TFS"), "seeds": (7,), "fit": FIT, "source": str(data)} | changes
    return dataclasses.replace(kit.EVALUATE, **fields)


@pytest.fixture(scope="module")
def several(data, run, tmp_path_factory):
    output = tmp_path_factory.mktemp("several")
    cfg = configured(data, target="emotions", frame_loss=(0.0, 0.9))
    return evaluate.evaluate(cfg, run, output), output


def test_several_labels_are_answered_by_thresholds_of_the_validation_part(several, data, run):
    results, output = several
    assert (results["task"], results["chance"], results["majority"]) == ("multi", None, None)
    labels = np.stack([labels_of(i)[[record.EMOTIONS.index(c) for c in PAIRS]] for i in range(64)])
    with np.load(output / "scores.npz") as kept:
        np.testing.assert_array_equal(kept["labels"], labels[48:] > 0)
        for arm, found in results["arms"].items():
            (one,) = found["runs"]
            name = arm if arm == "zero_shot" else f"{arm}-7-7-0"
            again = tasks.MULTI.measure(kept[name][1], kept["labels"], one["thresholds"])
            assert again == one["subsets"]["TFS"]
            assert found["statistics"]["runs"]["f1_binary"]["TFS"]["mean"] == pytest.approx(
                one["subsets"]["TFS"]["f1_binary"]
            )
    cfg = configured(data, target="emotions")
    path = checkpoint.resolve(run)
    cfg = dataclasses.replace(cfg, arms=("zero_shot",))
    bench = workbench.Workbench(cfg, checkpoint.metadata(path), scored="validation")
    with jax.set_mesh(bench.mesh):
        outputs = bench.score("prompt", {"memobert": bench.load(path)}, 0, 0)
    found = tasks.thresholds_of(outputs, labels[32:48] > 0).tolist()
    assert found == pytest.approx(results["arms"]["zero_shot"]["runs"][0]["thresholds"], rel=1e-4)


def test_fits_of_several_labels_learn_them(several):
    results, _ = several
    f1 = {
        arm: found["summary"]["f1_binary"]["TFS"]["mean"] for arm, found in results["arms"].items()
    }
    assert min(f1["head"], f1["probe"], f1["prompt"]) > max(f1["zero_shot"], 0.6)
    assert "Macro F1 in %" in scores.table(results)


def test_a_clip_loses_the_same_frames_in_every_arm_and_none_at_a_share_of_zero(several):
    results, _ = several
    for found in results["arms"].values():
        (one,) = found["runs"]
        shares = [entry["share"] for entry in one["frame_loss"]]
        assert shares == [0.0, 0.9]
        none, most = ({k: v for k, v in e.items() if k != "share"} for e in one["frame_loss"])
        assert none["f1_binary"] == pytest.approx(one["subsets"]["TFS"]["f1_binary"])
        assert most["loss"] != pytest.approx(none["loss"], rel=1e-6)


def test_a_smaller_size_is_a_fit_of_its_own_where_it_is_the_largest(data, run):
    metadata = checkpoint.metadata(checkpoint.resolve(run))

    def shares(sizes):
        fit = dataclasses.replace(FIT, per_class=sizes)
        bench = workbench.Workbench(configured(data, fit=fit, frame_loss=(0.5,)), metadata)
        paths = [checkpoint.resolve(run)]
        plan = [("prompt", one) for one in bench.runs()]
        keys = fits.keys_of(bench, paths, plan)
        return {r.size.label: (bench.frame_loss(r), keys["prompt", r]) for r in bench.runs()}

    alone, both = shares((2,)), shares((2, 4))
    assert (alone[2][0], both[2][0], both[4][0]) == ((0.5,), (), (0.5,))
    assert alone[2][1] != both[2][1]


def test_a_fitted_head_says_what_its_answers_are(several):
    _, output = several
    kept = checkpoint.metadata(output / "head")["fit"]
    assert (kept["task"], tuple(kept["outputs"]), len(kept["thresholds"])) == ("multi", PAIRS, 4)
    said = {"T": np.log(np.array([0.9, 0.1, 0.5, 0.2], np.float32))}
    found = predictor.answers("multi", kept["outputs"], (0.5, 0.5, 0.5, 0.1), said)
    assert found["labels"] == {"T": ["anger", "neutral", "sadness"]}
    assert found["probabilities"]["T"]["anger"] == pytest.approx(0.9)
    value = predictor.answers("regression", ("valence",), None, {"T": np.array([0.25])})
    assert value == {"values": {"T": {"valence": 0.25}}}


def test_a_value_is_predicted_by_head_and_probe_and_by_no_prompt(data, run, tmp_path):
    arms = ("head", "probe", "random_init")
    cfg = configured(data, target="valence", arms=arms)
    results = evaluate.evaluate(cfg, run, tmp_path)
    assert results["task"] == "regression"
    ccc = {arm: found["summary"]["ccc"]["TFS"]["mean"] for arm, found in results["arms"].items()}
    assert ccc["probe"] > 0.5
    assert ccc["head"] > 0.3
    with np.load(tmp_path / "scores.npz") as kept:
        assert kept["labels"].dtype == np.float32
        assert len(kept["labels"]) == 15
        assert kept["head-7-7-0"].shape == (2, 15, 1)
        again = tasks.REGRESSION.measure(kept["head-7-7-0"][1], kept["labels"])
    assert again == results["arms"]["head"]["runs"][0]["subsets"]["TFS"]
    assert results["protocol"]["folds"][0]["excluded"]["test"] == {"no valence": 1}
    table = scores.table(results)
    assert "CCC in %" in table
    assert "random start, fitted" in table
    assert checkpoint.metadata(tmp_path / "head")["fit"]["outputs"] == ["valence"]
    with pytest.raises(ValueError, match="target valence is a number, which a prompt does not"):
        evaluate.evaluate(configured(data, target="valence"), run, tmp_path)
    several = PromptConfig(templates=("x [MASK] {text}",))
    with pytest.raises(ValueError, match=r"leave prompt\.templates out"):
        evaluate.evaluate(dataclasses.replace(cfg, prompt=several), run, tmp_path)


def test_the_template_of_a_fold_is_the_one_that_validates_best(data, run, tmp_path):
    given = ("{text} i am [MASK] .", "i am [MASK] . {text}", "[MASK] {text}")
    prompt = PromptConfig(template=given[0], templates=given[1:])
    cfg = configured(data, arms=("zero_shot",), prompt=prompt)
    (one,) = evaluate.evaluate(cfg, run, tmp_path / "all")["arms"]["zero_shot"]["runs"]
    assert list(one["templates"]) == list(given)
    best = max(
        one["templates"], key=lambda t: (one["templates"][t]["uar"], -one["templates"][t]["loss"])
    )
    assert one["template"] == best
    alone = configured(data, arms=("zero_shot",), prompt=PromptConfig(template=best))
    results = evaluate.evaluate(alone, run, tmp_path / "alone")
    (again,) = results["arms"]["zero_shot"]["runs"]
    assert again["subsets"]["TFS"]["uar"] == one["subsets"]["TFS"]["uar"]
    assert again["templates"] == {}
    assert "the best of 3 on the validation part" in (tmp_path / "all/table.txt").read_text()


def test_templates_with_and_without_the_text_are_not_compared(data, run, tmp_path):
    prompt = PromptConfig(templates=("i am [MASK] .",))
    with pytest.raises(ValueError, match="show the text of a clip and some do not"):
        evaluate.evaluate(configured(data, prompt=prompt), run, tmp_path)


def test_without_text_in_the_template_text_alone_is_not_scored(data, run, tmp_path):
    prompt = PromptConfig(template="i am [MASK] .")
    cfg = configured(data, arms=("zero_shot",), prompt=prompt)
    results = evaluate.evaluate(cfg, run, tmp_path)
    assert results["views"]["T"] == {
        "scored": 0,
        "no modality of the subset": 16,
        "a modality missing": 0,
    }
    assert results["arms"]["zero_shot"]["summary"]["uar"]["T"]["n"] == 0


def test_calibration_takes_away_what_the_prompt_says_of_no_clip(data, run, tmp_path):
    found = {}
    for scoring in ("restricted", "calibrated", "full_vocabulary"):
        cfg = configured(data, arms=("zero_shot",), prompt=PromptConfig(scoring=scoring))
        evaluate.evaluate(cfg, run, tmp_path / scoring)
        with np.load(tmp_path / scoring / "scores.npz") as kept:
            found[scoring] = kept["zero_shot"].astype(np.float64)
    assert found["full_vocabulary"].shape[-1] == 5
    np.testing.assert_allclose(found["full_vocabulary"][..., :4], found["restricted"], atol=1e-6)
    np.testing.assert_allclose(np.exp(found["calibrated"]).sum(-1), 1.0, atol=1e-5)
    change = found["calibrated"] - found["restricted"]
    offsets = change - change.mean(-1, keepdims=True)
    np.testing.assert_allclose(offsets, np.broadcast_to(offsets[0, 0], offsets.shape), atol=1e-4)
    assert np.abs(offsets).max() > 1e-3


def test_a_fit_may_show_other_cases_than_are_scored(data, run):
    fit = dataclasses.replace(FIT, cases=("TFS",))
    bench = workbench.Workbench(
        configured(data, fit=fit), checkpoint.metadata(checkpoint.resolve(run))
    )
    (only,) = bench.runs()
    assert bench.train(only, 0).rows.subsets == ("TFS",)
    assert bench.rows(0).subsets == ("T", "TFS")


def test_results_are_json(several):
    results, output = several
    assert json.loads((output / "results.json").read_text()) == results
