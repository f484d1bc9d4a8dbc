"""The four masked objectives (MEmoBERT §4.1), each a function to (loss sum, count).

A count is the number of targets; a sum over features or classes is divided by their number, so
that sum / count is the authors' mean over (targets x features).
"""

from collections.abc import Callable, Iterable, Mapping

import jax
import jax.numpy as jnp
import optax

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


def losses(
    model: Memobert, batch: Batch, names: Iterable[str], key: jax.Array | None = None
) -> dict[str, Loss]:
    """(sum, count) of each objective in `names` on a batch; `key` switches dropout on."""
    hidden = model(batch, key)
    return {name: FUNCTIONS[name](model, hidden, batch) for name in names}


def normalisers(counts: Mapping[str, jax.Array], shares: Mapping[str, float]) -> dict:
    """Factor of each objective's sum: share / count, shares rescaled to the objectives present.

    In schedule `per_step` only the drawn objective has targets, so it gets the whole weight.
    """
    present = sum(jnp.where(counts[name] > 0, share, 0.0) for name, share in shares.items())
    return {
        name: share / jnp.maximum(present, 1e-9) / jnp.maximum(counts[name], 1.0)
        for name, share in shares.items()
    }
