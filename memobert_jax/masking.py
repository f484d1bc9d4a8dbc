"""Which words and frames are hidden and predicted (MEmoBERT §4.2): pure functions of (clip, rng).

Four modes. `paper` and `head` are the authors' two states. `default` is `paper` with three things
mended: every clip that has a word or a frame gives at least one target, spans do not overlap, and
the last frames are reachable. `single` is their ablation without whole words and spans (§4.3).
"""

from typing import NamedTuple

import numpy as np

from memobert_jax.config import MaskingConfig


class MaskedWords(NamedTuple):
    """inputs: i32 [n] ids as shown; targets: bool [n] places that are predicted."""

    inputs: np.ndarray
    targets: np.ndarray


class MaskedFrames(NamedTuple):
    """masked: bool [n] zeroed and marked; source: i32 [n] frame shown; targets: bool [n]."""

    masked: np.ndarray
    source: np.ndarray
    targets: np.ndarray


def mask_words(
    ids: np.ndarray,
    groups: np.ndarray,
    rng: np.random.Generator,
    cfg: MaskingConfig,
    mask_id: int,
    random_ids: tuple[int, int],
) -> MaskedWords:
    """Whole-word masking: each word with `text_ratio`, then 80 % [MASK], 10 % random, 10 % kept.

    Args:
      ids: i32 [n] word pieces of one clip.
      groups: i32 [n] word of each piece, from 0 without gaps; -1 at special tokens, never masked.
      rng: draws.
      cfg: ratio and mode. Only `default` and `single` guarantee a target; `single` masks pieces.
      mask_id: id of [MASK].
      random_ids: half-open range of the ids that may replace a piece.
    """
    if cfg.mode == "single":
        groups = np.where(groups < 0, -1, np.cumsum(groups >= 0) - 1)
    words = int(groups.max(initial=-1)) + 1
    chosen = np.zeros(words + 1, bool)  # the last place is for special tokens, of group -1
    np.less(rng.random(words), cfg.text_ratio, out=chosen[:words])
    if cfg.mode in ("default", "single") and words and not np.count_nonzero(chosen):
        chosen[rng.integers(words)] = True
    targets = chosen[groups]
    inputs = ids.copy()
    for word in chosen.nonzero()[0]:
        places, dice = groups == word, rng.random()
        if dice < 0.8:
            inputs[places] = mask_id
        elif dice < 0.9:
            inputs[places] = rng.integers(*random_ids, size=np.count_nonzero(places))
    return MaskedWords(inputs, targets)


def nothing_masked(n: int) -> MaskedFrames:
    """n frames shown as they are."""
    return MaskedFrames(np.zeros(n, bool), np.arange(n, dtype=np.int32), np.zeros(n, bool))


def mask_frames(n: int, rng: np.random.Generator, ratio: float, cfg: MaskingConfig) -> MaskedFrames:
    """Span masking of n frames, one treatment a clip: 80 % zeroed, 10 % replaced, 10 % one frame.

    A replaced span shows another span of the clip, without the mask vector; a clip too short for a
    span has one random frame zeroed. In mode `head` all spans are zeroed, in mode `single` frames.
    """
    out = nothing_masked(n)
    if n == 0:
        return out
    if cfg.mode == "single":
        chosen = rng.random(n) < ratio
        chosen[rng.integers(n)] |= not chosen.any()
        return out._replace(masked=chosen, targets=chosen.copy())
    count = int(n * ratio // cfg.span)
    dice = rng.random() if cfg.mode != "head" else 0.0
    if cfg.mode != "default" and n <= cfg.span + 1:
        count = 0
    if count == 0 or dice >= 0.9:
        frame = rng.integers(n)
        out.masked[frame] = out.targets[frame] = True
        return out
    starts = _starts(n, count, rng, cfg)
    for start in starts.tolist():
        out.targets[start : start + cfg.span] = True
    if dice < 0.8:
        out.masked[:] = out.targets
        return out
    others = rng.integers(max(n - cfg.span, 1), size=len(starts))
    others += (others >= starts) & (n > cfg.span)  # another one, not the span itself
    for start, other in zip(starts.tolist(), others.tolist(), strict=True):
        out.source[start : start + cfg.span] = np.arange(other, other + cfg.span)
    return out


def hide_frames(n: int, rng: np.random.Generator, share: float, span: int = 3) -> MaskedFrames:
    """`share` of n frames zeroed, in spans apart from each other; predicts nothing.

    The number of spans is rounded at random, so that the share holds on average, also of a few
    frames.
    """
    out, span = nothing_masked(n), min(span, max(n, 1))
    count = min(int(n * share / span + rng.random()), n // span)
    out.masked[_apart(n, count, rng, span)[:, None] + np.arange(span)] = True
    return out


def lose_frames(n: int, share: float, name: str) -> MaskedFrames:
    """Each of n frames zeroed with probability `share`; predicts nothing.

    `name` alone decides which: what a smaller share loses a larger one loses too.
    """
    out, seed = nothing_masked(n), [ord(letter) for letter in name]
    out.masked[:] = np.random.default_rng(seed).random(n) < share
    return out


def _starts(n: int, count: int, rng: np.random.Generator, cfg: MaskingConfig) -> np.ndarray:
    if cfg.mode != "default":
        return np.sort(
            rng.choice(n - cfg.span - 1, size=min(count, n - cfg.span - 1), replace=False)
        )
    return _apart(n, count, rng, cfg.span)


def _apart(n: int, count: int, rng: np.random.Generator, span: int) -> np.ndarray:
    """First frames of `count` spans that do not overlap, i64 [count]."""
    # Places among the frames that are left when every span is shrunk to one.
    left = n - count * (span - 1)
    if count == 1:  # as `choice` draws, in a quarter of the time
        return np.array([rng.integers(left)])
    places = np.sort(rng.choice(left, size=count, replace=False))
    return places + np.arange(count) * (span - 1)
