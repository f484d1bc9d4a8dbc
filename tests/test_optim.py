"""The optimizer: warm-up and decay, clipping, and what weight decay spares."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memobert_jax import optim, state
from memobert_jax.config import ModelConfig, OptimConfig

CONFIG = OptimConfig(peak_lr=1e-2, warmup_steps=4)


def test_the_learning_rate_rises_linearly_and_falls_linearly_to_zero():
    schedule = optim.learning_rate(CONFIG, 12)
    rates = [float(schedule(step)) for step in range(14)]
    expected = [0, 0.25, 0.5, 0.75, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0, 0]
    np.testing.assert_allclose(np.array(rates) / 1e-2, expected, atol=1e-6)


def test_without_warm_up_the_first_step_has_the_peak_rate():
    schedule = optim.learning_rate(OptimConfig(peak_lr=1e-2, warmup_steps=0), 10)
    assert float(schedule(0)) == pytest.approx(1e-2)


def test_a_run_shorter_than_its_warm_up_still_rises():
    schedule = optim.learning_rate(OptimConfig(peak_lr=1e-2, warmup_steps=100), 4)
    assert float(schedule(2)) == pytest.approx(0.5e-2)


def decayed(**changes) -> set[str]:
    """Paths of the parameters that are decayed."""
    net = state.memobert(
        ModelConfig(
            vocab_size=16, face_dim=4, face_emotion_dim=3, speech_dim=4, hidden=8, layers=1, heads=2
        )
    )
    mask = optim.decay_mask(net.shapes, OptimConfig(**changes))
    flat = jax.tree_util.tree_leaves_with_path(mask)
    return {"/".join(key.key for key in path) for path, on in flat if on}


def test_matrices_and_tables_are_decayed_but_no_bias_and_no_norm():
    paths = decayed()
    for name in ("trunk/blocks/qkv/kernel", "text/word", "face/position", "speech_type"):
        assert name in paths
    assert "face/mask_vector" in paths
    assert not [path for path in paths if "norm" in path or path.endswith("bias")]


def test_the_pooler_which_no_objective_trains_is_not_shrunk():
    assert not [path for path in decayed() if path.startswith("pooler")]


def test_the_authors_exclusion_list_lets_norms_of_frames_and_regression_heads_decay():
    extra = decayed(decay_modality_norms=True) - decayed()
    assert extra == {
        "face/projection_norm/scale",
        "speech/projection_norm/scale",
        "mfr_head/transform/norm/scale",
        "msr_head/transform/norm/scale",
        "mfc_head/transform/norm/scale",
    }


def test_gradients_are_clipped_by_their_global_norm():
    tx = optim.make_optimizer(OptimConfig(clip_norm=1.0, warmup_steps=0, weight_decay=0.0))
    params = {"a": jnp.zeros(3), "b": jnp.zeros(1)}
    small = {"a": jnp.array([0.3, 0.0, 0.0]), "b": jnp.array([0.4])}
    large = jax.tree.map(lambda g: 100 * g, small)
    for grads, expected in ((small, 0.03), (large, 0.06)):  # (1 - b1) times 0.3 and 0.6
        _, opt_state = jax.jit(tx.update)(grads, jax.jit(tx.init)(params), params)
        adam = next(s for s in jax.tree.leaves(opt_state, is_leaf=_adam) if _adam(s))
        np.testing.assert_allclose(np.asarray(adam.mu["a"]), [expected, 0, 0], rtol=1e-5)


def _adam(leaf) -> bool:
    return hasattr(leaf, "mu")


def test_weight_decay_is_decoupled_from_the_gradient():
    tx = optim.make_optimizer(OptimConfig(weight_decay=0.1))
    params = {"kernel": jnp.full(2, 5.0), "bias": jnp.full(2, 5.0)}
    zeros = jax.tree.map(jnp.zeros_like, params)
    step = jax.jit(functools.partial(optim.descend, tx))
    after, _, updates = step(zeros, jax.jit(tx.init)(params), params, jnp.float32(1e-2))
    np.testing.assert_allclose(np.asarray(updates["kernel"]), -1e-2 * 0.1 * 5.0, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(after["kernel"]), 5.0 - 1e-2 * 0.1 * 5.0, rtol=1e-6)
    assert (after["bias"] == 5.0).all()


def test_the_rate_follows_the_step_number_and_no_count_of_the_optimizer():
    """Else a skipped step, which leaves the optimizer as it was, would delay the schedule."""
    state = optim.make_optimizer(CONFIG).init({"kernel": jnp.zeros(2)})
    counts = [leaf for leaf in jax.tree.leaves(state) if leaf.dtype == jnp.int32]
    assert len(counts) == 1, "only Adam's bias correction counts"
