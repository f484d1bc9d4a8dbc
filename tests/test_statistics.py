"""Statistics of arms, subset by subset: what is drawn, what is paired, and what is left out."""

import json

import numpy as np
import pytest

from memobert_jax import additive, statistics, tasks

measure = tasks.single(3).measure
SUBSETS = ("T", "S", "TS")
CLIPS = 120
SPEAKERS = np.array([f"s{i % 8}" for i in range(CLIPS)])


def arm(seed, runs=2, skill=1.0):
    """Log-probabilities [runs, subsets, clips, classes] that are right more often with skill."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(runs, len(SUBSETS), CLIPS, 3))
    logits[..., np.arange(CLIPS), LABELS] += skill
    return (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32)


LABELS = np.random.default_rng(99).integers(0, 3, CLIPS).astype(np.int32)


def terms(log_probs):
    return additive.single_label(log_probs, LABELS)


def test_values_are_means_over_the_runs_and_lie_inside_their_intervals():
    log_probs = arm(0)
    found = statistics.intervals(terms(log_probs), SPEAKERS, SUBSETS)
    assert set(found) == set(tasks.single(2).metrics)
    for s, subset in enumerate(SUBSETS):
        runs = [measure(log_probs[run, s], LABELS)["uar"] for run in range(2)]
        cell = found["uar"][subset]
        assert cell["value"] == pytest.approx(np.mean(runs))
        assert cell["low"] < cell["value"] < cell["high"]
        assert (cell["clusters"], cell["clips"], cell["left_out"]) == (8, CLIPS, 0)
    means = [found["uar"][subset]["value"] for subset in SUBSETS]
    assert found["uar"]["mean"]["value"] == pytest.approx(np.mean(means))


def test_speakers_that_differ_make_the_interval_wider_than_clips_drawn_one_by_one():
    log_probs = arm(1, runs=1, skill=0.0)
    good = np.isin(SPEAKERS, ["s0", "s1", "s2"])
    log_probs[..., good, :] = np.log(np.eye(3) * 0.97 + 0.01)[LABELS[good]]
    by_speaker, by_clip = (
        statistics.intervals(terms(log_probs), groups, SUBSETS)["accuracy"]["T"]
        for groups in (SPEAKERS, [""] * CLIPS)
    )
    assert by_clip["clusters"] == CLIPS
    width = [one["high"] - one["low"] for one in (by_speaker, by_clip)]
    assert width[0] > 2 * width[1]


def test_one_speaker_gives_a_value_and_a_reason_but_no_interval():
    cell = statistics.intervals(terms(arm(2)), ["only"] * CLIPS, SUBSETS)["uar"]["mean"]
    assert cell["value"] > 0.4
    assert (cell["low"], cell["high"], cell["clusters"]) == (None, None, 1)
    assert "only 1 cluster" in cell["reason"]


def test_a_subset_without_scores_is_undefined_and_no_part_of_the_mean():
    log_probs = arm(3)
    log_probs[:, 1] = np.nan
    log_probs[:, 2, :70] = np.nan
    found = statistics.intervals(terms(log_probs), SPEAKERS, SUBSETS)["uar"]
    assert found["S"]["value"] is None
    assert (found["S"]["clips"], found["S"]["left_out"]) == (0, CLIPS)
    assert "undefined" in found["S"]["reason"]
    assert (found["TS"]["clips"], found["TS"]["left_out"]) == (50, 70)
    both = [found[subset]["value"] for subset in ("T", "TS")]
    assert found["mean"]["value"] == pytest.approx(np.mean(both))
    assert found["mean"]["clips"] == 50
    nothing = statistics.intervals(terms(log_probs * np.nan), SPEAKERS, SUBSETS)["uar"]
    assert {cell["value"] for cell in nothing.values()} == {None}


def test_results_can_be_written_as_json_without_nan():
    log_probs = arm(4)
    log_probs[:, 1] = np.nan
    made = [
        statistics.intervals(terms(log_probs), SPEAKERS, SUBSETS),
        statistics.paired(terms(log_probs), terms(arm(5)), SPEAKERS, SUBSETS),
        statistics.over_groups(terms(log_probs), SPEAKERS, SUBSETS),
        statistics.over_runs(terms(log_probs), SUBSETS),
    ]
    json.dumps(made, allow_nan=False)


def test_a_constant_prediction_has_no_correlation_and_no_interval_of_it():
    true = np.random.default_rng(6).normal(size=CLIPS)
    found = additive.regression(np.stack([true * 0 + 0.3, true, true + 1]), true)
    cells = statistics.intervals(found, SPEAKERS, SUBSETS)
    assert cells["pearson"]["T"]["value"] is None
    assert cells["ccc"]["T"]["value"] == pytest.approx(0)
    assert cells["mae"]["TS"]["value"] == pytest.approx(1)
    assert "same on every resample" in cells["mae"]["TS"]["reason"]


def test_a_better_arm_is_told_from_a_worse_one_but_not_an_arm_from_its_equal():
    good, bad = arm(7, skill=3.0), arm(8, skill=0.3)
    cell = statistics.paired(terms(good), terms(bad), SPEAKERS, SUBSETS)["uar"]["mean"]
    assert cell["low"] > 0
    assert cell["p"] == 2 / 2**8
    assert cell["permutations"] == 2**8
    assert cell["value"] == pytest.approx(cell["first"] - cell["second"])
    back = statistics.paired(terms(bad), terms(good), SPEAKERS, SUBSETS)["uar"]["mean"]
    assert back["value"] == pytest.approx(-cell["value"])
    assert back["p"] == cell["p"]
    equal = statistics.paired(terms(arm(9)), terms(arm(10)), SPEAKERS, SUBSETS)["uar"]["mean"]
    assert equal["low"] < 0 < equal["high"]
    assert equal["p"] > 0.05


def test_an_arm_does_not_differ_from_itself():
    one = terms(arm(11))
    cell = statistics.paired(one, one, SPEAKERS, SUBSETS)["accuracy"]["T"]
    assert (cell["value"], cell["p"], cell["low"]) == (0, 1, None)


def test_arms_are_compared_on_the_clips_that_every_run_of_both_scored():
    one, other = arm(12), arm(13)
    one[0, 0, :10] = np.nan
    other[1, 0, 5:25] = np.nan
    cell = statistics.paired(terms(one), terms(other), SPEAKERS, SUBSETS)["uar"]["T"]
    assert (cell["clips"], cell["left_out"]) == (CLIPS - 25, 25)
    for name, log_probs in (("first", one), ("second", other)):
        runs = [measure(run[0, 25:], LABELS[25:])["uar"] for run in log_probs]
        assert cell[name] == pytest.approx(np.mean(runs))


def test_an_arm_of_one_run_is_compared_with_each_run_of_the_other():
    one, other = terms(arm(14, runs=3)), terms(arm(15, runs=1))
    repeated = terms(np.repeat(arm(15, runs=1), 3, 0))
    assert statistics.paired(one, other, SPEAKERS, SUBSETS) == statistics.paired(
        one, repeated, SPEAKERS, SUBSETS
    )
    assert statistics.paired(other, one, SPEAKERS, SUBSETS)["uar"]["T"]["first"] == pytest.approx(
        measure(arm(15, runs=1)[0, 0], LABELS)["uar"]
    )


def test_arms_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="cannot be paired"):
        statistics.paired(terms(arm(0, runs=2)), terms(arm(0, runs=3)), SPEAKERS, SUBSETS)
    with pytest.raises(ValueError, match="cannot be paired"):
        statistics.paired(terms(arm(0)), terms(arm(0)[:, :2]), SPEAKERS, SUBSETS)
    with pytest.raises(ValueError, match="119 groups and 3 subsets"):
        statistics.intervals(terms(arm(0)), SPEAKERS[1:], SUBSETS)
    with pytest.raises(ValueError, match="2 subsets"):
        statistics.over_groups(terms(arm(0)), SPEAKERS, SUBSETS[:2])


def test_each_speaker_is_measured_alone_and_clips_without_one_are_counted():
    log_probs = arm(16)
    speakers = SPEAKERS.copy()
    speakers[:6] = ""
    log_probs[:, 0, speakers == "s7"] = np.nan
    found = statistics.over_groups(terms(log_probs), speakers, SUBSETS)
    assert found["without_group"] == 6
    cell = found["measures"]["uar"]["T"]
    assert cell["groups"].keys() == set(SPEAKERS)
    assert cell["groups"]["s7"] is None
    assert cell["n"] == 7
    own = speakers == "s3"
    runs = [measure(run[0, own], LABELS[own])["uar"] for run in log_probs]
    assert cell["groups"]["s3"] == pytest.approx(np.mean(runs))
    known = [value for value in cell["groups"].values() if value is not None]
    assert (cell["mean"], cell["sd"]) == pytest.approx((np.mean(known), np.std(known, ddof=1)))


def test_folds_are_groups_by_number():
    found = statistics.over_groups(terms(arm(17)), np.arange(CLIPS) % 5, SUBSETS)
    assert found["without_group"] == 0
    assert list(found["measures"]["uar"]["mean"]["groups"]) == ["0", "1", "2", "3", "4"]
    none = statistics.over_groups(terms(arm(17)), [""] * CLIPS, SUBSETS)
    assert none["without_group"] == CLIPS
    assert none["measures"]["uar"]["T"] == {"mean": None, "sd": None, "n": 0, "groups": {}}


def test_the_spread_over_runs_is_that_of_a_sample():
    log_probs = arm(18, runs=3)
    cell = statistics.over_runs(terms(log_probs), SUBSETS)["accuracy"]["S"]
    runs = [measure(run[1], LABELS)["accuracy"] for run in log_probs]
    assert (cell["mean"], cell["sd"]) == pytest.approx((np.mean(runs), np.std(runs, ddof=1)))
    assert cell["n"] == 3
    assert statistics.over_runs(terms(log_probs[:1]), SUBSETS)["uar"]["T"]["sd"] is None
