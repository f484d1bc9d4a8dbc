"""The four losses: means over targets and features, finite without targets, mixed by share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memobert_jax import objectives

ROWS, TARGETS, HIDDEN = 2, 3, 4
RNG = np.random.default_rng(0)


class Heads:
    """Predictions that a test sets; the slots pick rows of `predictions`."""

    def __init__(self, predictions):
        self.predictions = jnp.asarray(predictions)

    def _at(self, hidden, slots):
        return jnp.take_along_axis(self.predictions, slots[..., None], axis=1)

    word_logits = face_frames = speech_frames = face_emotions = _at


def batch(objective: str, truth: np.ndarray, valid) -> dict:
    """Targets at slots 4, 2, 0 of each row; their truth in places 0, 1, 2 of the buffer."""
    slots = np.tile(np.array([4, 2, 0], np.int32), (ROWS, 1))
    out = {f"{objective}_slot": slots, f"{objective}_valid": np.asarray(valid)}
    if objective == "mlm":
        return out | {"mlm_label": truth}
    name = {"mfr": "face", "msr": "speech", "mfc": "face_emotion"}[objective]
    index = np.tile(np.array([2, 0, 1], np.int32), (ROWS, 1))
    return out | {name: truth, f"{objective}_index": index}


VALID = np.array([[True, True, False], [True, False, False]])


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def test_mlm_is_the_mean_cross_entropy_of_the_target_pieces():
    logits = RNG.normal(size=(ROWS, 5, 7)).astype(np.float32)
    labels = RNG.integers(0, 7, (ROWS, TARGETS)).astype(np.int32)
    total, count = objectives.mlm(Heads(logits), None, batch("mlm", labels, VALID))
    picked = log_softmax(logits[:, [4, 2, 0]])
    expected = [
        -picked[0, 0, labels[0, 0]],
        -picked[0, 1, labels[0, 1]],
        -picked[1, 0, labels[1, 0]],
    ]
    assert count == 3
    np.testing.assert_allclose(total / count, np.mean(expected), rtol=1e-5)


@pytest.mark.parametrize("objective", ["mfr", "msr"])
def test_regression_is_the_mean_over_targets_and_features(objective):
    predicted = RNG.normal(size=(ROWS, 5, 6)).astype(np.float32)
    truth = RNG.normal(size=(ROWS, TARGETS, 6)).astype(np.float16)
    function = objectives.FUNCTIONS[objective]
    total, count = function(Heads(predicted), None, batch(objective, truth, VALID))
    errors = np.square(predicted[:, [4, 2, 0]] - truth[:, [2, 0, 1]].astype(np.float32))
    np.testing.assert_allclose(total / count, errors[VALID].mean(), rtol=1e-5)
    assert count == 3


def test_expression_loss_is_the_divergence_averaged_over_targets_and_classes():
    logits = RNG.normal(size=(ROWS, 5, 8)).astype(np.float32)
    p = RNG.dirichlet(np.ones(8), (ROWS, TARGETS)).astype(np.float16)
    p[0, 2] = np.eye(8)[3]  # exact zeros
    total, count = objectives.mfc(Heads(logits), None, batch("mfc", p, VALID))
    q, p = log_softmax(logits[:, [4, 2, 0]]), p[:, [2, 0, 1]].astype(np.float32)
    divergence = np.where(p > 0, p * (np.log(np.maximum(p, 1e-12)) - q), 0.0)
    np.testing.assert_allclose(total / count, divergence[VALID].mean(), rtol=1e-5)


@pytest.mark.parametrize("objective", objectives.FUNCTIONS)
def test_without_any_target_value_and_gradient_are_zero_not_nan(objective):
    truth = np.zeros((ROWS, TARGETS), np.int32)
    if objective != "mlm":
        truth = np.zeros((ROWS, TARGETS, 6), np.float16)
    none = batch(objective, truth, np.zeros_like(VALID))

    def loss(predictions):
        total, count = objectives.FUNCTIONS[objective](Heads(predictions), None, none)
        factor = objectives.normalisers({objective: count}, {objective: 1.0})[objective]
        return factor * total

    value, gradient = jax.value_and_grad(loss)(jnp.ones((ROWS, 5, 6)))
    assert value == 0.0
    assert (gradient == 0.0).all()


SHARES = {"mlm": 0.4, "mfr": 0.2, "mfc": 0.2, "msr": 0.2}


def normalised(**counts: float) -> dict[str, float]:
    arrays = {name: jnp.float32(counts.get(name, 0)) for name in SHARES}
    return {k: float(v) for k, v in objectives.normalisers(arrays, SHARES).items()}


def test_in_a_joint_step_each_mean_counts_by_its_share():
    factors = normalised(mlm=10, mfr=5, mfc=5, msr=100)
    assert factors == pytest.approx({"mlm": 0.04, "mfr": 0.04, "mfc": 0.04, "msr": 0.002})


def test_in_a_step_of_one_objective_it_has_the_whole_weight():
    assert normalised(msr=8)["msr"] == pytest.approx(1 / 8)
    assert normalised(mlm=4)["mlm"] == pytest.approx(1 / 4)


def test_the_share_of_an_objective_without_targets_goes_to_the_others():
    factors = normalised(mlm=10, msr=10)
    assert factors["mlm"] == pytest.approx(0.4 / 0.6 / 10)
    assert factors["msr"] == pytest.approx(0.2 / 0.6 / 10)


def test_a_step_without_any_target_has_finite_factors():
    assert np.isfinite(list(normalised().values())).all()
