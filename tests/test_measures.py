"""AUC, multi-label, regression and calibration: by hand, by definition, and where undefined."""

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from memobert_jax import measures


def test_restricted_probabilities_sum_to_one_even_where_all_are_tiny():
    log_probs = np.array([[-300.0, -301.0, -302.0], [-0.1, -4.0, -9.0]], np.float32)
    found = np.exp(measures.restricted(log_probs))
    assert found.sum(-1) == pytest.approx([1, 1], abs=1e-6)
    assert found[0, 0] / found[0, 1] == pytest.approx(np.e)


def test_auc_is_the_mean_of_one_against_the_rest():
    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, 3, 90), rng.dirichlet(np.ones(3), 90)
    expected = metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert measures.auc(probabilities, np.eye(3, dtype=bool)[labels]) == pytest.approx(expected)


def test_auc_counts_ties_half_and_is_undefined_for_one_class():
    true = np.eye(2, dtype=bool)[[0, 0, 1, 1]]
    assert measures.auc(np.full((4, 2), 0.5), true) == 0.5
    assert measures.auc(np.full((2, 2), 0.5), true[:2]) is None


TRUE = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]])
SURE = np.log(np.array([[9, 1, 1], [2, 1, 1], [1, 9, 1], [9, 1, 1], [1, 1, 1]]) / 10)


def test_w_acc_is_the_formula_of_dai_and_others():
    found = measures.multi_label(SURE.astype(np.float32), TRUE, np.full(3, 0.5))
    tp, tn, positive, negative, clips = 1, 2, 2, 3, 5
    formula = (tp * negative / positive + tn) / (2 * negative)
    assert found["labels"][0]["w_acc"] == pytest.approx(formula)
    assert clips == positive + negative == found["scored"]
    assert found["w_acc"] == pytest.approx((formula + 1) / 2)
    assert found["exact"] == pytest.approx(3 / 5)


def test_a_label_that_never_holds_has_no_w_acc_auc_or_binary_f1():
    never = measures.multi_label(SURE.astype(np.float32), TRUE, np.full(3, 0.5))["labels"][2]
    assert never == {
        "positives": 0,
        "w_acc": None,
        "f1_weighted": 1.0,
        "f1_binary": None,
        "auc": None,
        "accuracy": 1.0,
    }


def test_silence_on_a_rare_label_has_a_high_weighted_and_no_binary_f1():
    labels = (np.arange(100) < 12).astype(int)[:, None]
    found = measures.multi_label(np.full((100, 1), -5, np.float32), labels, np.array([0.5]))
    assert found["f1_weighted"] == pytest.approx(0.82, abs=0.005)
    assert found["f1_binary"] == 0
    assert found["w_acc"] == 0.5


def test_each_label_has_its_own_threshold_which_is_reached_by_equality():
    log_probs = np.log(np.array([[0.3, 0.3], [0.2, 0.2]], np.float32))
    found = measures.multi_label(log_probs, np.array([[1, 0], [0, 0]]), np.array([0.3, 0.31]))
    assert found["exact"] == 1


def test_unscored_and_unlabelled_clips_are_left_out_of_multi_label_measures():
    log_probs, labels = SURE.astype(np.float32), TRUE.copy()
    log_probs[1], labels[3] = np.nan, -1
    assert measures.multi_label(log_probs, labels, np.full(3, 0.5))["scored"] == 3
    nothing = measures.multi_label(log_probs * np.nan, labels, np.full(3, 0.5))
    assert nothing["scored"] == 0
    assert nothing["w_acc"] is None


def test_concordance_falls_with_shift_and_scale_where_correlation_does_not():
    true = np.array([-2.0, -1, 0, 1, 2])
    shifted, scaled = measures.regression(true + 2, true), measures.regression(true * 3, true)
    assert shifted["pearson"] == scaled["pearson"] == pytest.approx(1)
    assert shifted["ccc"] == pytest.approx(2 * 2 / (2 + 2 + 4))
    assert scaled["ccc"] == pytest.approx(2 * 6 / (2 + 18))
    assert shifted["mae"] == 2


@pytest.mark.parametrize("value", [0.0, 0.1, 1e8])
def test_a_constant_prediction_has_no_correlation_and_no_concordance(value):
    found = measures.regression(np.full(4, value), np.array([0.0, 1, 2, np.nan]))
    assert found["scored"] == 3
    assert found["pearson"] is None
    assert found["ccc"] == pytest.approx(0, abs=1e-12)


def test_rounding_around_a_constant_is_not_taken_for_variation():
    predicted = np.array([1e8, 1e8, np.nextafter(1e8, np.inf)])
    assert measures.regression(predicted, np.array([0.0, 1, 2]))["pearson"] is None


def test_regression_without_variation_or_clips_is_undefined():
    assert measures.regression(np.ones(3), np.ones(3))["ccc"] is None
    assert measures.regression(np.ones(1), np.zeros(1))["pearson"] is None
    assert measures.regression(np.full(3, np.nan), np.ones(3)) == {
        "scored": 0,
        "pearson": None,
        "ccc": None,
        "mae": None,
    }


VALUES = np.array([-9, -2.6, -2.5, -1.5, -0.5, -0.1, 0, 0.1, 0.5, 1.5, 2.5, 9])


def test_sentiment_is_rounded_as_each_code_base_does():
    nearest = measures.sentiment_classes(VALUES, 7).tolist()
    away = measures.sentiment_classes(VALUES, 7, "away").tolist()
    assert nearest == [-3, -3, -2, -2, 0, 0, 0, 0, 0, 2, 2, 3]
    assert away == [-3, -3, -3, -2, -1, -1, 0, 1, 1, 2, 3, 3]
    assert measures.sentiment_classes(VALUES, 5).tolist() == [-2] * 4 + [0] * 5 + [2] * 3
    assert measures.sentiment_classes(VALUES, 2).tolist() == [0] * 7 + [1] * 5


def test_two_classes_of_sentiment_with_and_without_zero():
    true, predicted = np.array([-1.0, 0, 1, 2, np.nan]), np.array([-0.2, 0.1, 0.0, 3, 1])
    found = measures.sentiment(predicted, true)
    assert (found["scored"], found["scored_2"]) == (4, 3)
    assert found["accuracy_2"] == pytest.approx(2 / 3)
    assert found["accuracy_2_with_zero"] == 1
    assert found["accuracy_7"] == pytest.approx(1 / 4)
    assert found["accuracy_5"] == pytest.approx(2 / 4)
    away = measures.sentiment(predicted, true, "away")
    assert away["rounding"] == "away"
    assert away["accuracy_7"] == pytest.approx(1 / 4)
    assert measures.sentiment(true * np.nan, true)["accuracy_2"] is None


def test_an_unknown_rounding_or_number_of_classes_is_refused():
    with pytest.raises(ValueError, match="3 classes"):
        measures.sentiment_classes(VALUES, 3)
    with pytest.raises(ValueError, match="'up'"):
        measures.sentiment_classes(VALUES, 7, "up")


def confident(confidence, right):
    """Log-probabilities of two classes with that confidence in class 0, and labels."""
    p = np.asarray(confidence, np.float64)
    return np.log(np.stack([p, 1 - p], -1)), np.where(right, 0, 1)


def test_the_reliability_table_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5001, 0.999, 400)
    log_probs, labels = confident(confidence, rng.random(400) < 0.7)
    found = measures.calibration(log_probs, labels)
    for name, strategy in (("width", "uniform"), ("mass", "quantile")):
        true, mean = calibration_curve(labels == 0, confidence, n_bins=10, strategy=strategy)
        bins = [one for one in found[name] if one["clips"]]
        assert [one["accuracy"] for one in bins] == pytest.approx(true)
        assert [one["confidence"] for one in bins] == pytest.approx(mean)
        gaps = np.abs(true - mean) * [one["clips"] for one in bins]
        assert found[f"ece_{name}"] == pytest.approx(gaps.sum() / 400)
    assert len(found["width"]) == 10
    assert {one["clips"] for one in found["mass"]} == {40}


def test_calibration_by_hand():
    found = measures.calibration(*confident([0.75, 0.75, 0.75, 0.75], [1, 1, 0, 0]))
    assert found["ece_width"] == found["ece_mass"] == pytest.approx(0.25)
    assert (found["confidence"], found["accuracy"]) == (pytest.approx(0.75), 0.5)
    assert [one["clips"] for one in found["mass"]] == [4]
    assert found["width"][0]["accuracy"] is None


def test_a_bin_holds_its_upper_edge():
    table = measures.calibration(*confident([0.5, 0.5], [1, 0]))["width"]
    assert [one["high"] for one in table if one["clips"]] == [0.5]


def test_calibration_looks_at_the_classes_alone_and_at_scored_clips():
    log_probs, labels = confident([0.9, 0.6, 0.6, 0.8], [1, 0, 1, 1])
    log_probs[0], labels[3] = np.nan, -1
    found = measures.calibration(log_probs - 5, labels)
    assert found["scored"] == 2
    assert found["confidence"] == pytest.approx(0.6)
    nothing = measures.calibration(log_probs * np.nan, labels)
    assert (nothing["scored"], nothing["ece_mass"], nothing["width"]) == (0, None, [])
