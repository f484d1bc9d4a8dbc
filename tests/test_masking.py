"""What is hidden and predicted: the shares measured on the authors' code (paper notes §4.2)."""

import numpy as np
import pytest

from memobert_jax.config import MaskingConfig
from memobert_jax.masking import hide_frames, mask_frames, mask_words, nothing_masked

DRAWS = 3000
MASK, RANDOM = 4, (100, 200)


def frame_draws(mode: str, n: int, ratio: float, draws: int = DRAWS, **cfg):
    rng, cfg = np.random.default_rng(n), MaskingConfig(mode=mode, **cfg)
    return [mask_frames(n, rng, ratio, cfg) for _ in range(draws)]


def share(draws, name: str) -> float:
    return float(np.mean([getattr(draw, name).mean() for draw in draws]))


def runs(flags: np.ndarray) -> list[int]:
    """Lengths of the stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return (edges[1::2] - edges[::2]).tolist()


@pytest.mark.parametrize(
    ("n", "ratio", "targets", "zeroed"),
    [
        (15, 0.20, 0.186, None),
        (20, 0.20, 0.140, None),
        (36, 0.20, 0.149, 0.133),
        (20, 0.15, 0.140, None),
        (36, 0.15, 0.078, None),
        (64, 0.15, 0.123, 0.110),
    ],
)
def test_paper_mode_masks_the_share_of_frames_measured_on_the_original(n, ratio, targets, zeroed):
    draws = frame_draws("paper", n, ratio)
    assert share(draws, "targets") == pytest.approx(targets, abs=0.004)
    if zeroed is not None:
        assert share(draws, "masked") == pytest.approx(zeroed, abs=0.004)


@pytest.mark.parametrize(("n", "ratio", "targets"), [(36, 0.20, 0.162), (64, 0.15, 0.136)])
def test_head_mode_masks_the_share_of_frames_measured_on_the_original(n, ratio, targets):
    draws = frame_draws("head", n, ratio)
    assert share(draws, "targets") == pytest.approx(targets, abs=0.003)
    assert all((draw.masked == draw.targets).all() for draw in draws), "head mode zeroes every span"


@pytest.mark.parametrize("mode", ["paper", "head"])
@pytest.mark.parametrize(("n", "ratio"), [(14, 0.20), (19, 0.15), (1, 0.20), (3, 0.9), (4, 0.9)])
def test_a_clip_too_short_for_a_span_has_exactly_one_frame_zeroed(mode, n, ratio):
    for draw in frame_draws(mode, n, ratio, 200):
        assert draw.targets.sum() == draw.masked.sum() == 1
        assert (draw.source == np.arange(n)).all()


@pytest.mark.parametrize("mode", ["paper", "head"])
def test_the_authors_modes_never_reach_the_last_two_frames_with_spans(mode):
    spans = [d for d in frame_draws(mode, 36, 0.2, 1000) if d.targets.sum() > 1]
    reached = np.sum([draw.targets for draw in spans], axis=0)
    assert (reached[-2:] == 0).all()
    assert (reached[:-2] > 0).all()


@pytest.mark.parametrize("mode", ["paper", "default"])
def test_one_dice_a_clip_zeroes_80_replaces_10_and_leaves_one_frame_to_10(mode):
    zeroed = replaced = single = 0
    for draw in frame_draws(mode, 36, 0.2):
        moved = draw.source != np.arange(36)
        assert not (moved & ~draw.targets).any(), "a frame was replaced but is not predicted"
        assert not (moved & draw.masked).any(), "a replaced frame carries the mask vector"
        if draw.targets.sum() == 1:
            single += 1
            assert draw.masked.sum() == 1
        elif draw.masked.any():
            zeroed += 1
            assert (draw.masked == draw.targets).all()
        else:
            replaced += 1
            assert moved.any()
    shares = np.array([zeroed, replaced, single]) / DRAWS
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.025)


def test_a_replaced_span_shows_consecutive_frames_of_the_same_clip():
    for draw in frame_draws("default", 40, 0.2, 500):
        assert ((draw.source >= 0) & (draw.source < 40)).all()
        moved = np.flatnonzero(draw.source != np.arange(40))
        for first in np.flatnonzero(draw.targets)[::3] if len(moved) else ():
            assert (np.diff(draw.source[first : first + 3]) == 1).all()


@pytest.mark.parametrize("n", [1, 2, 3, 5, 15, 36, 64])
@pytest.mark.parametrize("ratio", [0.15, 0.2, 0.6])
def test_default_mode_predicts_something_of_every_clip_that_has_frames(n, ratio):
    assert all(draw.targets.any() for draw in frame_draws("default", n, ratio, 200))


@pytest.mark.parametrize(("n", "ratio"), [(36, 0.2), (64, 0.15), (20, 0.9), (7, 1.0), (3, 1.0)])
def test_default_mode_keeps_spans_apart_so_that_the_ratio_is_kept(n, ratio):
    for draw in frame_draws("default", n, ratio, 300):
        count = draw.targets.sum()
        assert count in (1, int(n * ratio // 3) * 3)
        assert count == 1 or all(length % 3 == 0 for length in runs(draw.targets))


def test_default_mode_reaches_every_frame_also_the_last():
    reached = np.sum([draw.targets for draw in frame_draws("default", 36, 0.2, 1000)], axis=0)
    assert (reached > 0).all()


def test_the_length_of_a_span_is_the_configured_one():
    spans = {run for d in frame_draws("default", 60, 0.1, 300, span=5) for run in runs(d.targets)}
    assert spans == {1, 5}


def test_a_clip_without_frames_has_none_masked():
    for mode in ("default", "paper", "head"):
        draw = mask_frames(0, np.random.default_rng(0), 0.2, MaskingConfig(mode=mode))
        assert [len(part) for part in draw] == [0, 0, 0]


def test_nothing_masked_shows_each_frame_in_its_place():
    draw = nothing_masked(5)
    assert not draw.masked.any()
    assert not draw.targets.any()
    assert (draw.source == np.arange(5)).all()


def words_clip(words: int, pieces: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """(ids, groups) of [CLS], `words` words of some pieces each, [SEP]."""
    groups = np.concatenate([[-1], np.repeat(np.arange(words), pieces), [-1]])
    return np.arange(len(groups), dtype=np.int32) + 10, groups


def word_draws(mode: str, words: int, draws: int = DRAWS, **cfg):
    ids, groups = words_clip(words)
    rng, cfg = np.random.default_rng(words), MaskingConfig(mode=mode, **cfg)
    return [mask_words(ids, groups, rng, cfg, MASK, RANDOM) for _ in range(draws)]


@pytest.mark.parametrize(
    ("words", "empty"), [(3, 0.61), (6, 0.38), (8, 0.28), (12, 0.14), (20, 0.04)]
)
def test_paper_mode_leaves_as_many_texts_without_target_as_the_original(words, empty):
    draws = word_draws("paper", words)
    measured = np.mean([not draw.targets.any() for draw in draws])
    assert measured == pytest.approx(empty, abs=0.025)


def test_default_mode_predicts_a_word_of_every_text():
    assert all(draw.targets.any() for draw in word_draws("default", 1, 300))
    assert all(draw.targets.any() for draw in word_draws("default", 3, 300))


def test_words_are_chosen_with_the_configured_ratio():
    for ratio in (0.15, 0.4):
        draws = word_draws("default", 40, 500, text_ratio=ratio)
        chosen = np.mean([draw.targets.sum() / 80 for draw in draws])
        assert chosen == pytest.approx(ratio, abs=0.012)


def test_a_word_is_treated_whole_80_mask_10_random_10_kept():
    ids, _ = words_clip(10)
    kinds = dict.fromkeys(("mask", "random", "kept"), 0)
    for draw in word_draws("paper", 10):
        shown, targets = draw.inputs[1:-1].reshape(10, 2), draw.targets[1:-1].reshape(10, 2)
        assert (targets[:, 0] == targets[:, 1]).all(), "half a word is predicted"
        for word in np.flatnonzero(targets[:, 0]):
            if (shown[word] == MASK).all():
                kinds["mask"] += 1
            elif (shown[word] == ids[1:-1].reshape(10, 2)[word]).all():
                kinds["kept"] += 1
            else:
                assert ((shown[word] >= RANDOM[0]) & (shown[word] < RANDOM[1])).all()
                kinds["random"] += 1
    shares = np.array(list(kinds.values())) / sum(kinds.values())
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.025)


@pytest.mark.parametrize("mode", ["default", "paper", "head"])
def test_special_tokens_and_unchosen_words_are_shown_as_they_are(mode):
    ids, _ = words_clip(6)
    for draw in word_draws(mode, 6, 300, text_ratio=0.9):
        assert not draw.targets[[0, -1]].any()
        assert (draw.inputs[~draw.targets] == ids[~draw.targets]).all()


def test_masking_does_not_write_into_its_input():
    ids, groups = words_clip(30)
    before = ids.copy()
    mask_words(ids, groups, np.random.default_rng(0), MaskingConfig(), MASK, RANDOM)
    assert (ids == before).all()


def test_a_text_without_words_has_no_target():
    ids, groups = np.array([2], np.int32), np.array([-1])
    draw = mask_words(ids, groups, np.random.default_rng(0), MaskingConfig(), MASK, RANDOM)
    assert draw.inputs.tolist() == [2]
    assert not draw.targets.any()


def test_the_same_rng_gives_the_same_masks():
    ids, groups = words_clip(20)
    one, other = (
        (
            mask_frames(36, rng, 0.2, MaskingConfig()),
            mask_words(ids, groups, rng, MaskingConfig(), MASK, RANDOM),
        )
        for rng in (np.random.default_rng(5), np.random.default_rng(5))
    )
    for a, b in zip(one, other, strict=True):
        assert all((x == y).all() for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("hidden", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 2, 5, 36, 64])
def test_the_share_of_hidden_frames_holds_and_every_frame_is_reached(n, hidden):
    rng = np.random.default_rng(n)
    draws = np.array([hide_frames(n, rng, hidden).masked for _ in range(DRAWS)])
    whole_spans = n // min(3, n) * min(3, n) / n
    assert draws.mean() == pytest.approx(min(hidden, whole_spans), abs=0.02)
    assert draws.any(0).all()


def test_of_no_frames_none_is_hidden():
    assert not len(hide_frames(0, np.random.default_rng(0), 0.5).masked)


def test_single_mode_masks_pieces_and_frames_one_by_one_and_never_none():
    rng, cfg = np.random.default_rng(0), MaskingConfig(mode="single", text_ratio=0.15)
    groups = np.array([-1, 0, 0, 0, 1, -1])
    ids = np.arange(10, 16, dtype=np.int32)
    words = [mask_words(ids, groups, rng, cfg, MASK, RANDOM).targets for _ in range(DRAWS)]
    assert not np.array(words)[:, [0, 5]].any()
    assert all(targets.any() for targets in words)
    split = [targets[1:4].any() and not targets[1:4].all() for targets in words]
    assert np.mean(split) > 0.3, "words were masked whole"
    draws = frame_draws("single", 36, 0.15)
    assert share(draws, "targets") == pytest.approx(0.15, abs=0.01)
    for draw in draws:
        assert draw.targets.any()
        assert (draw.masked == draw.targets).all()
        assert (draw.source == np.arange(36)).all()
