"""The four masked objectives (MEmoBERT §4.1), each a function to (loss sum, count).

A count is the number of targets; a sum over features or classes is divided by their number, so
that sum / count is the authors' mean over (targets x features).
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from memobert_jax.config import OBJECTIVES, ObjectivesConfig
from memobert_jax.models.memobert import Batch, Memobert

Loss = tuple[jax.Array, jax.Array]


def _total(losses: jax.Array, valid: jax.Array) -> Loss:
    return jnp.sum(jnp.where(valid, losses, 0.0)), jnp.sum(valid, dtype=jnp.float32)


def _targets(frames: jax.Array, index: jax.Array) -> jax.Array:
    return jnp.take_along_axis(frames, index[..., None], axis=1).astype(jnp.float32)


def mlm(model: Memobert, hidden: jax.Array, batch: Batch) -> Loss:
    """Cross-entropy of the masked word pieces."""
    logits = model.word_logits(hidden, batch["mlm_slot"])
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["mlm_label"])
    return _total(losses, batch["mlm_valid"])


def mfr(model: Memobert, hidden: jax.Array, batch: Batch) -> Loss:
    """Squared error of the masked face features, mean over features."""
    predicted = model.face_frames(hidden, batch["mfr_slot"])
    errors = jnp.square(predicted - _targets(batch["face"], batch["mfr_index"]))
    return _total(errors.mean(-1), batch["mfr_valid"])


def msr(model: Memobert, hidden: jax.Array, batch: Batch) -> Loss:
    """Squared error of the masked speech features, mean over features."""
    predicted = model.speech_frames(hidden, batch["msr_slot"])
    errors = jnp.square(predicted - _targets(batch["speech"], batch["msr_index"]))
    return _total(errors.mean(-1), batch["msr_valid"])


def mfc(model: Memobert, hidden: jax.Array, batch: Batch) -> Loss:
    """KL(p || q) of the expression posteriors of masked faces, mean over classes."""
    log_q = jax.nn.log_softmax(model.face_emotions(hidden, batch["mfc_slot"]))
    p = _targets(batch["face_emotion"], batch["mfc_index"])
    return _total(optax.kl_divergence(log_q, p) / p.shape[-1], batch["mfc_valid"])


FUNCTIONS: Mapping[str, Callable[[Memobert, jax.Array, Batch], Loss]] = {
    "mlm": mlm,
    "mfr": mfr,
    "mfc": mfc,
    "msr": msr,
}


def shares(cfg: ObjectivesConfig, face_emotion_dim: int) -> dict[str, float]:
    """Share of each objective that is on, summing to 1.

    Without expression posteriors `mfc` is off and its weight goes to the others.

    Raises:
      ValueError: if no objective is left.
    """
    weights = {name: getattr(cfg, name) for name in OBJECTIVES}
    if not face_emotion_dim:
        weights["mfc"] = 0.0
    total = sum(weights.values())
    if total <= 0:
        raise ValueError(f"objectives = {weights}: give at least one objective a weight above 0")
    return {name: weight / total for name, weight in weights.items() if weight > 0}


def losses(model: Memobert, batch: Batch, names, key: jax.Array | None = None) -> dict[str, Loss]:
    """(sum, count) of each objective in `names` on a batch; `key` switches dropout on."""
    hidden = model(batch, key)
    return {name: FUNCTIONS[name](model, hidden, batch) for name in names}
