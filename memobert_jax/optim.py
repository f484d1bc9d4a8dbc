"""The optimizer: AdamW, global-norm clipping, linear warm-up and decay (MEmoBERT §5).

The rate is a function of the step number and is applied by `descend`, outside optax: a step that is
skipped counts for the schedule, but not for Adam's moments.
"""

from typing import Any

import jax
import optax

from memobert_jax.config import OptimConfig

_MODALITY_NORMS = ("projection_norm", "transform")
"""Layer norms that the original's exclusion list misses: of embedders and heads."""


def learning_rate(cfg: OptimConfig, steps: int) -> optax.Schedule:
    """0 -> peak_lr over `warmup_steps`, then linearly to 0 at `steps`."""
    warmup = min(cfg.warmup_steps, steps)
    return optax.join_schedules(
        [
            optax.linear_schedule(0.0, cfg.peak_lr, warmup),
            optax.linear_schedule(cfg.peak_lr, 0.0, max(steps - warmup, 1)),
        ],
        [warmup],
    )


def decay_mask(params: Any, cfg: OptimConfig) -> Any:
    """True where weight decay applies: no bias, no layer norm, and not the pooler.

    No objective trains the pooler, so decay would only shrink it; PyTorch, and so the authors,
    leave alone what has no gradient.

    With `decay_modality_norms` the layer norms of frame projections and of the heads, but for the
    word head, have their scales decayed, as in the original, whose exclusion list matches only
    what BERT calls its norms.
    """

    def decayed(path, _) -> bool:
        names = [key.key for key in path]
        norm = any(name.endswith("norm") for name in names)
        if norm and cfg.decay_modality_norms and "mlm_head" not in names:
            norm = not any(name in names for name in _MODALITY_NORMS)
        return names[-1] != "bias" and not norm and names[0] != "pooler"

    return jax.tree_util.tree_map_with_path(decayed, params)


def make_optimizer(cfg: OptimConfig) -> optax.GradientTransformation:
    """Gradients to AdamW's directions: clipped by global norm, with decoupled weight decay."""
    return optax.chain(
        optax.clip_by_global_norm(cfg.clip_norm),
        optax.scale_by_adam(b1=cfg.b1, b2=cfg.b2, eps=cfg.eps),
        optax.add_decayed_weights(cfg.weight_decay, lambda params: decay_mask(params, cfg)),
    )


def descend(
    tx: optax.GradientTransformation, grads: Any, opt_state: Any, params: Any, rate: jax.Array
) -> tuple[Any, Any, Any]:
    """(params, opt_state, updates) after a step of size `rate` against `tx`'s directions."""
    directions, opt_state = tx.update(grads, opt_state, params)
    updates = jax.tree.map(lambda direction: -rate * direction, directions)
    return optax.apply_updates(params, updates), opt_state, updates
