"""Tasks: each measure is the one of its name, and what is descended on is what is selected by."""

import jax
import numpy as np
import pytest

from memobert_jax import losses, tasks
from memobert_jax.config import EvaluateConfig, PromptConfig

LABELS = np.array([0, 0, 0, 1, 2, 2])
SINGLE = tasks.single(3)


def sure_of(predicted, mass=1.0):
    """Log-probabilities that put 0.7 of `mass` on the predicted class of three."""
    p = np.full((len(predicted), 3), 0.15)
    p[np.arange(len(predicted)), predicted] = 0.7
    return np.log(p * mass).astype(np.float32)


def test_metrics_of_a_known_confusion():
    found = SINGLE.measure(sure_of([0, 0, 1, 1, 2, 0]), LABELS)
    assert found["confusion"] == [[2, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert found["uar"] == pytest.approx((2 / 3 + 1 + 1 / 2) / 3)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["weighted_f1"] == pytest.approx((3 * 2 / 3 + 2 / 3 + 2 * 2 / 3) / 6)
    assert found["loss"] == pytest.approx(-(4 * np.log(0.7) + 2 * np.log(0.15)) / 6)
    assert (found["scored"], found["classes"]) == (6, 3)


def test_mass_on_other_words_changes_no_prediction_and_is_measured():
    whole, part = (SINGLE.measure(sure_of([0, 1, 2] * 2, mass), LABELS) for mass in (1.0, 0.25))
    assert part["outside"] == pytest.approx(0.75, abs=1e-6)
    assert whole["outside"] == pytest.approx(0, abs=1e-6)
    assert part["loss"] == pytest.approx(whole["loss"], abs=1e-6)
    assert part["confusion"] == whole["confusion"]


def test_clips_that_could_not_be_scored_count_for_nothing():
    log_probs = sure_of([0, 0, 0, 0, 2, 2])
    log_probs[3] = np.nan
    found = SINGLE.measure(log_probs, LABELS)
    assert (found["scored"], found["classes"], found["uar"]) == (5, 2, 1.0)
    assert SINGLE.measure(np.full((6, 3), np.nan, np.float32), LABELS)["uar"] is None


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
    assert tasks.better(one, other) is wins
    assert tasks.better(one, None)


def test_selection_is_the_mean_over_subsets():
    found = SINGLE.selection(np.stack([sure_of(LABELS), sure_of([0] * 6)]), LABELS)
    assert found["uar"] == pytest.approx((1 + 1 / 3) / 2)


def test_selection_gives_the_numbers_of_the_metrics():
    rng = np.random.default_rng(0)
    log_probs = rng.normal(size=(3, 40, 4)).astype(np.float32)
    log_probs[0, :9] = np.nan
    log_probs[2] = np.nan
    labels = rng.integers(0, 3, 40)
    found = [tasks.single(4).measure(part, labels) for part in log_probs[:2]]
    assert SINGLE.selection(log_probs, labels) == {
        name: pytest.approx(np.mean([one[name] for one in found])) for name in ("uar", "loss")
    }


def test_a_label_of_minus_one_counts_for_nothing():
    log_probs = np.log(np.full((2, 2, 4), 0.25, np.float32))
    log_probs[1] = 0.0
    loss = losses.cross_entropy(log_probs, np.array([[1, 2], [-1, -1]]))
    assert float(loss) == pytest.approx(np.log(4))
    assert float(losses.cross_entropy(log_probs, np.full((2, 2), -1))) == 0.0


def test_another_word_that_is_likelier_than_every_label_word_is_a_wrong_answer():
    task = tasks.single(3, among_others=True)
    log_probs = np.concatenate([sure_of(LABELS, 0.5), np.full((6, 1), np.log(0.1))], 1)
    assert task.measure(log_probs, LABELS)["uar"] == 1.0
    log_probs[3, 3] = np.log(0.4)
    found = task.measure(log_probs, LABELS)
    assert found["uar"] == pytest.approx(2 / 3)
    assert found["confusion"][1] == [0, 0, 0, 1]
    assert found["outside"] == pytest.approx(0.5, abs=1e-6)
    assert task.selection(log_probs[None], LABELS)["uar"] == pytest.approx(2 / 3)


def test_against_all_words_the_loss_is_that_of_the_whole_vocabulary():
    log_probs = sure_of(LABELS, 0.5)
    assert float(tasks.single(3, among_others=True).loss(log_probs, LABELS)) == pytest.approx(
        -np.log(0.35), abs=1e-6
    )
    assert float(SINGLE.loss(log_probs, LABELS)) == pytest.approx(-np.log(0.7), abs=1e-6)


def several(seed=0, subsets=2, clips=30, labels=3):
    """(log-probabilities that lean to the truth, truth)."""
    rng = np.random.default_rng(seed)
    true = rng.random((clips, labels)) < (0.5, 0.2, 0.4)
    scores = rng.normal(size=(subsets, clips, labels)) + 1.5 * true - 1
    return np.log(1 / (1 + np.exp(-scores))).astype(np.float32), true.astype(np.int32)


def test_a_threshold_is_the_best_of_all_that_divide_the_scores():
    from sklearn.metrics import f1_score

    log_probs, true = several()
    found = tasks.thresholds_of(log_probs, true)
    both = np.tile(true, (2, 1))
    for label in range(3):
        p = np.exp(log_probs[..., label].astype(np.float64).ravel())
        best = max(f1_score(both[:, label], p >= cut) for cut in p)
        assert f1_score(both[:, label], p >= found[label]) == pytest.approx(best)


def test_equal_scores_lie_on_one_side_of_a_threshold():
    log_probs = np.log(np.array([0.9, 0.5, 0.5, 0.5, 0.1], np.float32))[None, :, None]
    true = np.array([1, 1, 1, 0, 0])[:, None]
    (found,) = tasks.thresholds_of(log_probs, true)
    assert 0.1 < found < 0.5


def test_a_threshold_of_very_small_or_very_sure_scores_still_divides_them():
    for scores in ([-200, -201, -300, -400], [-1e-8, -2e-8, -5e-3, -1]):
        log_probs = np.array(scores, np.float32)[None, :, None]
        true = np.array([1, 0, 0, 0])[:, None]
        cut = tasks.thresholds_of(log_probs, true)
        assert tasks.MULTI.measure(log_probs[0], true, cut)["f1_binary"] == 1.0


def test_what_could_not_be_scored_has_no_say_in_a_threshold():
    log_probs, true = several()
    alone = tasks.thresholds_of(log_probs[:1], true)
    log_probs[1] = np.nan
    np.testing.assert_array_equal(tasks.thresholds_of(log_probs, true), alone)


def test_several_labels_are_selected_by_their_mean_f1_at_the_best_thresholds():
    log_probs, true = several(subsets=1)
    found = tasks.MULTI.selection(log_probs, true)
    measured = tasks.MULTI.measure(log_probs[0], true, tasks.thresholds_of(log_probs, true))
    assert found["f1_binary"] == pytest.approx(measured["f1_binary"])
    assert found["loss"] == pytest.approx(measured["loss"])
    assert found["loss"] == pytest.approx(float(tasks.MULTI.loss(log_probs[0], true)), abs=1e-6)


def test_a_sure_and_wrong_label_still_has_a_slope():
    logits = np.array([[12.0, -3.0]], np.float32)
    slope = jax.grad(lambda x: losses.label_entropy(jax.nn.log_sigmoid(x), np.array([[0, 1]])))(
        logits
    )
    np.testing.assert_allclose(slope, (1 / (1 + np.exp(-logits)) - [[0, 1]]) / 2, rtol=0.05)


def test_labels_that_are_not_known_count_for_nothing():
    log_probs, true = several(subsets=1)
    padded = np.concatenate([log_probs[0], log_probs[0]]), np.concatenate([true, true * 0 - 1])
    assert float(losses.label_entropy(*padded)) == pytest.approx(
        float(losses.label_entropy(log_probs[0], true))
    )


def test_a_value_is_selected_by_concordance_and_a_constant_answer_has_none():
    labels = np.array([0.0, 1.0, 2.0, np.nan], np.float32)
    good = np.array([0.1, 1.0, 1.9, 5.0], np.float32)[None, :, None]
    found = tasks.REGRESSION.selection(good, labels)
    assert found["ccc"] > 0.98
    assert found["loss"] == pytest.approx((0.01 + 0.01) / 3, rel=1e-4)
    assert float(tasks.REGRESSION.loss(good[0], labels)) == pytest.approx(found["loss"], rel=1e-4)
    assert tasks.REGRESSION.selection(np.ones_like(good), labels)["ccc"] == 0.0


@pytest.mark.parametrize(
    ("target", "scoring", "message"),
    [
        ("emotions", "calibrated", "thresholds from the validation part do the rest"),
        ("valence", "full_vocabulary", "is about one class a clip"),
    ],
)
def test_a_scoring_that_a_task_does_not_have_is_refused(target, scoring, message):
    cfg = EvaluateConfig(target=target, prompt=PromptConfig(scoring=scoring))
    with pytest.raises(ValueError, match=message):
        tasks.of(cfg)
