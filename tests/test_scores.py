"""Scores: each metric is the one of its name, and a loss against zero-shot is always said."""

import numpy as np
import pytest

from memobert_jax import scores
from memobert_jax.config import EvaluateConfig, as_dict

LABELS = np.array([0, 0, 0, 1, 2, 2])


def sure_of(predicted, mass=1.0):
    """Log-probabilities that put 0.7 of `mass` on the predicted class of three."""
    p = np.full((len(predicted), 3), 0.15)
    p[np.arange(len(predicted)), predicted] = 0.7
    return np.log(p * mass).astype(np.float32)


def test_metrics_of_a_known_confusion():
    found = scores.measure(sure_of([0, 0, 1, 1, 2, 0]), LABELS)
    assert found["confusion"] == [[2, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert found["uar"] == pytest.approx((2 / 3 + 1 + 1 / 2) / 3)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["weighted_f1"] == pytest.approx((3 * 2 / 3 + 2 / 3 + 2 * 2 / 3) / 6)
    assert found["loss"] == pytest.approx(-(4 * np.log(0.7) + 2 * np.log(0.15)) / 6)
    assert (found["scored"], found["classes"]) == (6, 3)


def test_mass_on_other_words_changes_no_prediction_and_is_measured():
    whole, part = (scores.measure(sure_of([0, 1, 2] * 2, mass), LABELS) for mass in (1.0, 0.25))
    assert part["outside"] == pytest.approx(0.75, abs=1e-6)
    assert whole["outside"] == pytest.approx(0, abs=1e-6)
    assert part["loss"] == pytest.approx(whole["loss"], abs=1e-6)
    assert part["confusion"] == whole["confusion"]


def test_clips_that_could_not_be_scored_count_for_nothing():
    log_probs = sure_of([0, 0, 0, 0, 2, 2])
    log_probs[3] = np.nan
    found = scores.measure(log_probs, LABELS)
    assert (found["scored"], found["classes"], found["uar"]) == (5, 2, 1.0)
    assert scores.measure(np.full((6, 3), np.nan, np.float32), LABELS)["uar"] is None


@pytest.mark.parametrize(
    ("one", "other", "wins"),
    [
        ((0.6, 2.0), (0.5, 1.0), True),
        ((0.5, 1.0), (0.5, 2.0), True),
        ((0.5, 1.0), (0.5, 1.0), False),
        ((0.4, 0.1), (0.5, 9.0), False),
    ],
)
def test_selection_goes_by_uar_and_breaks_ties_by_loss(one, other, wins):
    one, other = ({"uar": uar, "loss": loss} for uar, loss in (one, other))
    assert scores.better(one, other) is wins
    assert scores.better(one, None)


def test_selection_is_the_mean_over_subsets():
    found = scores.selection(np.stack([sure_of(LABELS), sure_of([0] * 6)]), LABELS)
    assert found["uar"] == pytest.approx((1 + 1 / 3) / 2)


def test_selection_gives_the_numbers_of_the_metrics():
    rng = np.random.default_rng(0)
    log_probs = rng.normal(size=(3, 40, 4)).astype(np.float32)
    log_probs[0, :9] = np.nan
    log_probs[2] = np.nan
    labels = rng.integers(0, 3, 40)
    found = [scores.measure(part, labels) for part in log_probs[:2]]
    assert scores.selection(log_probs, labels) == {
        name: pytest.approx(np.mean([one[name] for one in found])) for name in ("uar", "loss")
    }


def test_the_spread_over_runs_is_that_of_a_sample():
    runs = [{"subsets": {"T": scores.measure(sure_of(p), LABELS)}} for p in (LABELS, [0] * 6)]
    found = scores.summarise(runs, ("T",))["uar"]["T"]
    assert found == {
        "mean": pytest.approx(2 / 3),
        "sd": pytest.approx(np.std([1, 1 / 3], ddof=1)),
        "n": 2,
    }
    assert scores.summarise(runs[:1], ("T",))["uar"]["T"]["sd"] is None


def results(**predicted):
    """Results with one run an arm, subset T alone."""
    arms = {}
    for arm, found in predicted.items():
        runs = [{"subsets": {"T": scores.measure(sure_of(found), LABELS)}}]
        arms[arm] = {"runs": runs, "summary": scores.summarise(runs, ("T",)), "sizes": []}
    counts = {"scored": 6, "no modality of the subset": 2, "a modality missing": 0}
    fold = {"clips": {"test": {"a": 3, "b": 3}}, "excluded": {"test": {"no label": 4}}}
    return {
        "stamp": "",
        "config": as_dict(EvaluateConfig(subsets=("T",))),
        "arms": arms,
        "chance": 1 / 3,
        "ceilings": {"T": 0.9},
        "below_zero_shot": scores.below_zero_shot(arms),
        "protocol": {"name": "mine", "version": 2, "fingerprint": "abc", "folds": [fold]},
        "checkpoint": {"paths": ["RUN/0", "RUN/1"]},
        "git": "1a2b3c",
        "scored_part": "test",
        "views": {"T": counts},
        "warnings": ["texts were cut"],
    }


def test_the_table_says_when_a_fitted_arm_ends_below_zero_shot():
    text = scores.table(results(zero_shot=LABELS, prompt=[0] * 6, head=LABELS))
    assert "prompt fitted: BELOW zero-shot on T (33.3 < 100.0)" in text
    assert "head fitted: not below zero-shot" in text


def test_a_random_start_is_not_compared_with_zero_shot():
    found = results(zero_shot=LABELS, random_init=[0] * 6)
    assert found["below_zero_shot"] == {}


def test_the_table_shows_chance_ceiling_and_all_that_was_left_out():
    text = scores.table(results(zero_shot=LABELS))
    for words in ("33.3", "90.0", "2 no modality of the subset", "4 no label", "texts were cut"):
        assert words in text


def test_the_table_says_where_its_numbers_come_from():
    (line,) = [
        line for line in scores.table(results(zero_shot=LABELS)).splitlines() if "git" in line
    ]
    said = (
        "protocol mine version 2 (abc), checkpoint RUN/0, RUN/1, seeds 1234, 4321, 5678, git 1a2b3c"
    )
    assert line == said


def test_a_stamp_is_the_first_line_of_the_table():
    found = results(zero_shot=LABELS)
    assert "***" not in scores.table(found)
    stamped = scores.table(found | {"stamp": "SELECTED ON TEST"})
    assert stamped.splitlines()[0] == "*** SELECTED ON TEST ***"


def test_the_table_has_a_line_for_each_few_shot_size_and_the_counts_of_all_folds():
    found = results(zero_shot=LABELS, prompt=LABELS)
    summary = found["arms"]["prompt"]["summary"]
    found["arms"]["prompt"]["sizes"] = [
        {"per_class": size, "summary": summary} for size in (4, "10%", 0)
    ]
    found["protocol"]["folds"] *= 2
    lines = scores.table(found).splitlines()
    starts = ("  fitted on 4 a class", "  fitted on 10%", "  fitted on all clips")
    assert all(any(line.startswith(start) for line in lines) for start in starts)
    assert len({len(line) for line in lines[:7]}) == 1
    assert "test: 12 clips in 2 folds" in "\n".join(lines)
    assert "fold 1, test: 4 no label" in lines
