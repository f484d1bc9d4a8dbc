"""Resampling against brute force, and whether intervals hold the truth as often as they say."""

import itertools

import numpy as np
import pytest
from scipy.stats import bootstrap, norm, permutation_test, t

from memobert_jax import additive, resampling

CLIPS = 12
GROUPS = np.array(["b", "a", "", "c", "b", "a", "c", "", "b", "c", "a", "b"])


def terms_of(seed, runs=2, subsets=2):
    rng = np.random.default_rng(seed)
    log_probs = np.log(rng.dirichlet(np.ones(3), (runs, subsets, CLIPS))).astype(np.float32)
    return log_probs, rng.integers(0, 3, CLIPS)


def test_clips_of_one_speaker_are_one_cluster_and_unknown_speakers_are_not_pooled():
    of = resampling.clusters(GROUPS)
    assert len(set(of)) == 5
    assert of[2] != of[7]
    assert of[0] == of[4] == of[8] == of[11]
    assert resampling.clusters([""] * 3).tolist() == [0, 1, 2]


def test_a_resample_is_the_measure_of_the_clips_of_the_drawn_speakers():
    log_probs, labels = terms_of(0)
    terms, of = additive.single_label(log_probs, labels), resampling.clusters(GROUPS)
    sums = resampling.by_cluster(terms.values, of)
    found = resampling.resample(sums, terms.measures, 300, seed=3)
    rng, size = np.random.default_rng(3), of.max() + 1
    drawn = [rng.integers(0, size, (n, size), np.int32) for n in (256, 44)]
    for row, speakers in enumerate(np.concatenate(drawn)):
        clips = np.concatenate([np.flatnonzero(of == speaker) for speaker in speakers])
        again = additive.single_label(log_probs[:, :, clips], labels[clips])
        for name, values in again.measures(again.values.sum(2)).items():
            np.testing.assert_allclose(found[name][row], values, atol=1e-12)


def test_draws_repeat_with_their_seed_alone():
    terms = additive.single_label(*terms_of(1))
    sums = resampling.by_cluster(terms.values, resampling.clusters(GROUPS))
    one, same, other = (
        resampling.resample(sums, terms.measures, 50, seed)["uar"] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_few_clusters_are_exchanged_in_every_way():
    correct = np.random.default_rng(2).integers(0, 2, (2, 1, CLIPS)).astype(float)
    terms, of = additive.right(correct), resampling.clusters(GROUPS)
    sums = resampling.by_cluster(terms.values, of)
    found, every = resampling.exchange(sums, terms.measures, 32, seed=0)
    assert every
    expected = set()
    for chosen in itertools.product([False, True], repeat=5):
        swap = np.array(chosen)[of]
        arms = np.where(swap, correct[::-1, 0], correct[:, 0])
        expected.add(tuple(arms.mean(-1).round(9)))
    assert {tuple(row.round(9)) for row in found["accuracy"][..., 0]} == expected
    drawn, every = resampling.exchange(sums, terms.measures, 31, seed=0)
    assert not every
    assert len(drawn["accuracy"]) == 31
    assert {tuple(row.round(9)) for row in drawn["accuracy"][..., 0]} <= expected


def test_p_is_that_of_scipy_where_every_clip_is_a_cluster():
    rng = np.random.default_rng(5)
    one, other = (rng.random(10) < 0.8).astype(float), (rng.random(10) < 0.4).astype(float)
    terms = additive.right(np.stack([one, other])[:, None])
    sums = resampling.by_cluster(terms.values, np.arange(10))
    found, every = resampling.exchange(sums, terms.measures, 2000, seed=0)
    change = found["accuracy"][:, 0, 0] - found["accuracy"][:, 1, 0]
    expected = permutation_test(
        (one, other), lambda a, b: a.mean() - b.mean(), permutation_type="samples"
    ).pvalue
    assert resampling.p_value(one.mean() - other.mean(), change, every) == pytest.approx(expected)


def test_drawn_permutations_count_the_data_too_and_undefined_ones_as_far():
    permuted = np.array([0.1, -0.5, np.nan, 0.2])
    assert resampling.p_value(0.4, permuted, every=False) == pytest.approx(3 / 5)
    assert resampling.p_value(0.4, permuted, every=True) == pytest.approx(2 / 4)
    assert resampling.p_value(np.nan, permuted, every=True) is None


def test_with_many_clusters_the_interval_is_scipys_percentile_interval():
    correct = (np.random.default_rng(6).random(500) < 0.7).astype(float)
    terms = additive.right(correct)
    sums = resampling.by_cluster(terms.values, np.arange(500))
    draws = resampling.resample(sums, terms.measures, 4000, seed=0)["accuracy"][:, 0, 0]
    found = resampling.interval(correct.mean(), draws, 500, 0.95)
    expected = bootstrap((correct,), np.mean, method="percentile", rng=1).confidence_interval
    assert [found["low"], found["high"]] == pytest.approx(list(expected), abs=0.004)


def test_few_clusters_move_the_percentiles_outwards():
    draws = np.linspace(0, 1, 100_001)
    found = resampling.interval(0.5, draws, 10, 0.95)
    outwards = norm.cdf(-np.sqrt(10 / 9) * t.ppf(0.975, 9))
    assert found["low"] == pytest.approx(outwards, abs=1e-4)
    assert found["high"] == pytest.approx(1 - outwards, abs=1e-4)
    assert outwards < 0.01


def covered(speakers, repetitions=400):
    """How often the interval of the accuracy holds the truth, with speakers that differ."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(repetitions):
        able = rng.beta(6, 3, speakers)
        clips = np.full(speakers, 30.0)
        sums = np.stack([clips, rng.binomial(30, able)], -1)[:, None, None]
        measures = additive.right(np.ones(1)).measures
        draws = resampling.resample(sums, measures, 500, seed=int(rng.integers(1 << 30)))
        value = float(measures(sums.sum(0))["accuracy"][0, 0])
        found = resampling.interval(value, draws["accuracy"][:, 0, 0], speakers, 0.95)
        hits += found["low"] <= 6 / 9 <= found["high"]
    return hits / repetitions


@pytest.mark.parametrize("speakers", [8, 24])
def test_the_interval_holds_the_truth_as_often_as_it_says(speakers):
    assert 0.92 <= covered(speakers) <= 0.98


@pytest.mark.parametrize(
    ("value", "draws", "clusters", "reason"),
    [
        (0.5, np.linspace(0, 1, 100), 1, "only 1 cluster"),
        (0.5, np.linspace(0, 1, 100), 4, "takes 5"),
        (np.nan, np.full(100, np.nan), 20, "undefined"),
        (0.5, np.r_[np.linspace(0, 1, 90), [np.nan] * 10], 20, "undefined on 10 of 100"),
        (1.0, np.ones(100), 20, "same on every resample"),
    ],
)
def test_no_interval_is_given_where_there_is_none_but_the_reason_is(value, draws, clusters, reason):
    found = resampling.interval(value, draws, clusters, 0.95)
    assert found["low"] is None
    assert found["high"] is None
    assert reason in found["reason"]


def test_a_few_undefined_resamples_are_counted_and_left_out():
    found = resampling.interval(0.5, np.r_[np.linspace(0, 1, 98), [np.nan] * 2], 50, 0.95)
    assert found["undefined"] == 2
    assert 0 < found["low"] < found["high"] < 1
