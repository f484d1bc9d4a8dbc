"""What a fit descends on: of one class a clip, of several labels, of a value."""

import jax
import jax.numpy as jnp

NEAR_ONE = -1e-7
"""Largest log-probability of which log(1 - p) is taken."""


def cross_entropy(log_probs: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean cross-entropy among the classes.

    Args:
      log_probs: f32 [..., classes]; need not sum to 1.
      labels: i32 [...]; -1 counts for nothing.
    """
    return vocabulary_entropy(jax.nn.log_softmax(log_probs), labels)


def vocabulary_entropy(log_probs: jax.Array, labels: jax.Array) -> jax.Array:
    """As `cross_entropy`, of probabilities as they are: of words, among all words."""
    taken = jnp.take_along_axis(log_probs, jnp.maximum(labels, 0)[..., None], axis=-1)[..., 0]
    return _mean_where(-taken, labels >= 0)


def label_entropy(log_probs: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean binary cross-entropy over clips and labels.

    Args:
      log_probs: f32 [..., labels], log-probabilities that a label holds.
      labels: i32 [..., labels] of 0 and 1; -1 counts for nothing.
    """
    log_probs = jnp.minimum(log_probs, NEAR_ONE)
    against = jnp.log(-jnp.expm1(log_probs))
    return _mean_where(-jnp.where(labels > 0, log_probs, against), labels >= 0)


def squared_error(values: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean squared error of f32 [..., 1] against f32 [...]; NaN counts for nothing."""
    there = ~jnp.isnan(labels)
    return _mean_where((values[..., 0] - jnp.where(there, labels, 0.0)) ** 2, there)


def _mean_where(values: jax.Array, there: jax.Array) -> jax.Array:
    return jnp.sum(jnp.where(there, values, 0.0)) / jnp.maximum(jnp.sum(there), 1)
