"""Linear layers: they are scikit-learn's, in the form that takes states as they are."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from memobert_jax import linear


@pytest.fixture(scope="module")
def states():
    return np.random.default_rng(0).normal(3.0, [1, 5, 0.2, 2], size=(60, 4)).astype(np.float32)


def piped(model, states, labels):
    return make_pipeline(StandardScaler(), model).fit(states, labels)


@pytest.mark.parametrize("classes", [2, 4])
def test_classes_have_the_probabilities_of_logistic_regression(states, classes):
    labels = np.arange(60) % classes
    kernel, bias = linear.fit(states, labels, 0.5, classes)
    logits = states @ kernel + bias
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    wanted = piped(LogisticRegression(C=2.0, max_iter=1000), states, labels)
    np.testing.assert_allclose(p, wanted.predict_proba(states), atol=1e-5)


def test_each_label_has_a_regression_of_its_own(states):
    labels = np.stack([np.arange(60) % 2, np.arange(60) % 5 == 0], 1).astype(np.int32)
    kernel, bias = linear.fit(states, labels, 0.5, 2)
    p = 1 / (1 + np.exp(-(states @ kernel + bias)))
    for label in range(2):
        wanted = piped(LogisticRegression(C=2.0, max_iter=1000), states, labels[:, label])
        np.testing.assert_allclose(p[:, label], wanted.predict_proba(states)[:, 1], atol=1e-5)


def test_values_are_those_of_ridge_regression(states):
    labels = (states @ [1.0, 0.5, 0, -1] + 2).astype(np.float32)
    kernel, bias = linear.fit(states, labels, 0.5, 1)
    wanted = piped(Ridge(alpha=0.5), states, labels)
    np.testing.assert_allclose((states @ kernel + bias)[:, 0], wanted.predict(states), atol=1e-4)


def test_a_class_that_no_state_has_is_never_predicted(states):
    labels = np.where(np.arange(60) % 2, 3, 1)
    kernel, bias = linear.fit(states, labels, 0.5, 4)
    logits = states @ kernel + bias
    assert set(logits.argmax(-1)) <= {1, 3}
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    wanted = piped(LogisticRegression(C=2.0, max_iter=1000), states, labels)
    np.testing.assert_allclose(p[:, [1, 3]], wanted.predict_proba(states), atol=1e-5)


@pytest.mark.parametrize("holds", [0, 1])
def test_a_label_that_is_always_the_same_is_said_so(states, holds):
    labels = np.stack([np.arange(60) % 2, np.full(60, holds)], 1).astype(np.int32)
    kernel, bias = linear.fit(states, labels, 0.5, 2)
    p = 1 / (1 + np.exp(-(states @ kernel + bias)))
    np.testing.assert_allclose(p[:, 1], holds, atol=1e-9)
