"""Measures from sums: equal to scikit-learn and scipy on every weighted set of clips."""

import numpy as np
import pytest
from sklearn import metrics

from memobert_jax import additive, measures, tasks

CLASSES = 4
measure = tasks.single(CLASSES).measure


def drawn(rng, *lead, clips=60):
    found = np.log(rng.dirichlet(np.ones(CLASSES), (*lead, clips))).astype(np.float32)
    return found, rng.integers(0, CLASSES, clips).astype(np.int32)


def measured(terms):
    return terms.measures(terms.values.sum(2))


def test_single_label_measures_are_those_of_scikit_learn():
    log_probs, labels = drawn(np.random.default_rng(0), 2, 3)
    log_probs[1, 2, :7] = np.nan
    found = measured(additive.single_label(log_probs, labels))
    for run, subset in np.ndindex(2, 3):
        expected = measure(log_probs[run, subset], labels)
        for name in tasks.single(2).metrics:
            assert found[name][run, subset] == pytest.approx(expected[name], abs=1e-12)


def test_a_class_that_is_absent_is_no_part_of_the_mean_recall_and_f1():
    log_probs, labels = drawn(np.random.default_rng(1))
    labels[labels == 2] = 0
    assert (log_probs.argmax(-1) == 2).any()
    found = measured(additive.single_label(log_probs, labels))
    expected = metrics.recall_score(labels, log_probs.argmax(-1), labels=[0, 1, 3], average="macro")
    assert found["uar"][0, 0] == pytest.approx(expected)
    assert found["macro_f1"][0, 0] == pytest.approx(measure(log_probs, labels)["macro_f1"])


def test_weights_count_a_clip_as_often_as_they_say():
    log_probs, labels = drawn(np.random.default_rng(2))
    terms = additive.single_label(log_probs, labels)
    times = np.random.default_rng(3).integers(0, 4, len(labels))
    found = terms.measures(times @ terms.values[0, 0])
    expected = measure(np.repeat(log_probs, times, 0), np.repeat(labels, times))
    for name in tasks.single(2).metrics:
        assert found[name] == pytest.approx(expected[name])


def test_of_equal_probabilities_the_first_class_is_predicted():
    ties = np.log(np.full((3, 3), 1 / 3, np.float32))
    terms = additive.single_label(ties, np.array([0, 1, 2]))
    assert measured(terms)["accuracy"][0, 0] == pytest.approx(1 / 3)
    assert terms.values[0, 0, :, 6:].tolist() == [[1, 0, 0]] * 3


def test_clips_without_scores_or_label_do_not_count():
    log_probs, labels = drawn(np.random.default_rng(4))
    log_probs[:5], labels[5:9] = np.nan, -1
    terms = additive.single_label(log_probs, labels)
    assert not terms.scored[0, 0, :9].any()
    assert terms.scored[0, 0, 9:].all()
    assert not terms.values[0, 0, :9].any()
    found = measured(additive.single_label(np.full((2, 3), np.nan, np.float32), np.array([0, 1])))
    assert all(np.isnan(value).all() for value in found.values())


def test_labels_and_scores_that_do_not_fit_are_refused():
    log_probs, labels = drawn(np.random.default_rng(5))
    with pytest.raises(ValueError, match=r"label 7 with 4 classes"):
        additive.single_label(log_probs, np.full(len(labels), 7))
    with pytest.raises(ValueError, match=r"shape \(60, 4\) for 59 labels"):
        additive.single_label(log_probs, labels[1:])
    with pytest.raises(ValueError, match="expected"):
        additive.regression(np.zeros((1, 1, 1, 1, 4)), np.zeros(4))


def test_multi_label_measures_are_those_of_scikit_learn():
    rng = np.random.default_rng(6)
    log_probs = np.log(rng.random((2, 80, 5))).astype(np.float32)
    labels = rng.integers(0, 2, (80, 5))
    labels[:, 3], labels[:, 4] = 0, 1
    labels[4], log_probs[1, 9] = -1, np.nan
    thresholds = np.array([0.3, 0.5, 0.7, 0.5, 0.5])
    found = measured(additive.multi_label(log_probs, labels, thresholds))
    for subset in range(2):
        expected = measures.multi_label(log_probs[subset], labels, thresholds)
        for name, values in found.items():
            assert values[0, subset] == pytest.approx(expected[name]), name


def test_regression_measures_are_those_of_scipy_far_from_zero_too():
    rng = np.random.default_rng(7)
    true = rng.normal(size=50) + 1e6
    predicted = np.stack([true + rng.normal(size=50), true * 0 + 3, rng.normal(size=50) + 1e6])
    predicted[0, 3], true[7] = np.nan, np.nan
    found = measured(additive.regression(predicted, true))
    for subset in range(3):
        expected = measures.regression(predicted[subset], true)
        for name, values in found.items():
            value = None if np.isnan(values[0, subset]) else values[0, subset]
            assert value == pytest.approx(expected[name], abs=1e-9), name


def test_any_decision_has_an_accuracy():
    found = measured(additive.right(np.array([1, 0, 1, np.nan])))
    assert found["accuracy"][0, 0] == pytest.approx(2 / 3)


def test_what_is_behind_the_classes_is_a_wrong_answer_and_no_class():
    log_probs = np.log(np.array([[0.5, 0.3, 0.2], [0.1, 0.3, 0.6], [0.1, 0.8, 0.1]]))
    labels = np.array([0, 1, 1])
    terms = additive.single_label(log_probs, labels, classes=2)
    assert terms.values.shape[-1] == 6
    found = terms.measures(terms.values.sum(2))
    assert found["uar"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)


def test_thresholds_may_differ_by_run_and_clip():
    rng = np.random.default_rng(5)
    log_probs = np.log(rng.random((2, 3, 6, 2))).astype(np.float32)
    labels = rng.integers(0, 2, (6, 2))
    cuts = rng.random((2, 1, 6, 2))
    together = additive.multi_label(log_probs, labels, cuts)
    for run in range(2):
        for clip in range(6):
            alone = additive.multi_label(
                log_probs[run][:, [clip]], labels[[clip]], cuts[run, 0, clip]
            )
            np.testing.assert_array_equal(together.values[run, :, clip], alone.values[0, :, 0])
