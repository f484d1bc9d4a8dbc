"""Tables of scores: a loss against zero-shot is always said, and where the numbers come from."""

import numpy as np
import pytest
from test_tasks import LABELS, sure_of

from memobert_jax import scores, tasks
from memobert_jax.config import EvaluateConfig, as_dict

TASK = tasks.single(3)


def test_the_spread_over_runs_is_that_of_a_sample():
    runs = [{"subsets": {"T": TASK.measure(sure_of(p), LABELS)}} for p in (LABELS, [0] * 6)]
    found = scores.summarise(runs, ("T",), TASK.metrics)["uar"]["T"]
    assert found == {
        "mean": pytest.approx(2 / 3),
        "sd": pytest.approx(np.std([1, 1 / 3], ddof=1)),
        "n": 2,
    }
    assert scores.summarise(runs[:1], ("T",), TASK.metrics)["uar"]["T"]["sd"] is None


def results(**predicted):
    """Results with one run an arm, subset T alone."""
    arms = {}
    for arm, found in predicted.items():
        runs = [
            {
                "fold": 0,
                "templates": {},
                "subsets": {"T": TASK.measure(sure_of(found), LABELS)},
            }
        ]
        arms[arm] = {
            "runs": runs,
            "summary": scores.summarise(runs, ("T",), TASK.metrics),
            "sizes": [],
        }
    counts = {"scored": 6, "no modality of the subset": 2, "a modality missing": 0}
    fold = {"sizes": {"test": 6}, "excluded": {"test": {"no label": 4}}}
    return {
        "task": "single",
        "stamp": "",
        "config": as_dict(EvaluateConfig(subsets=("T",))),
        "arms": arms,
        "chance": 1 / 3,
        "ceilings": {"T": 0.9},
        "below_zero_shot": scores.below_zero_shot(arms, "uar"),
        "protocol": {"name": "mine", "version": 2, "fingerprint": "abc", "folds": [fold]},
        "checkpoint": {"paths": ["RUN/0", "RUN/1"]},
        "git": "1a2b3c",
        "scored_part": "test",
        "views": {"T": counts},
        "warnings": ["texts were cut"],
        "unchecked": ["the texts of the tokenizer"],
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
    for words in (
        "33.3",
        "90.0",
        "2 no modality of the subset",
        "4 no label",
        "texts were cut",
        "not checked: the texts",
    ):
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
