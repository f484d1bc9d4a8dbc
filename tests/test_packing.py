"""Packing: every clip once, within every limit, rows nearly full."""

import dataclasses

import numpy as np
import pytest

from memobert_jax.config import DataConfig
from memobert_jax.packing import Limits, pack

LIMITS = Limits(width=256, caps=(56, 88, 160), max_clips=8)


def lognormal_clips(count: int, seed: int = 0) -> np.ndarray:
    """i32 [count, 3]: pieces, faces at 10 fps, rows of 60 ms of clips of 2.2 s (median)."""
    rng = np.random.default_rng(seed)
    seconds = np.maximum(rng.lognormal(np.log(2.2), 0.6, count), 1.0)
    words = np.rint(seconds * 3.4 + rng.normal(0.0, 2.0, count)).clip(2, 30)
    faces = np.rint(seconds * 10 * rng.uniform(0.5, 1.0, count)).clip(3, 36)
    rows = np.rint(seconds * 16.67).clip(10, 64)
    return np.stack([words + 2, faces, rows], 1).astype(np.int32)


@pytest.fixture(scope="module")
def lengths():
    return lognormal_clips(8000)


@pytest.fixture(scope="module")
def plan(lengths):
    return pack(lengths, LIMITS)


def test_every_clip_lies_in_exactly_one_row(plan, lengths):
    assert sorted(plan.clips.tolist()) == list(range(len(lengths)))
    assert [clip for row in range(len(plan)) for clip in plan[row]] == plan.clips.tolist()
    assert min(len(plan[row]) for row in range(len(plan))) > 0


def test_no_row_exceeds_its_slots_buffers_or_number_of_clips(plan, lengths):
    for row in range(len(plan)):
        used = lengths[plan[row]].sum(0)
        assert used.sum() <= LIMITS.width
        assert (used <= LIMITS.caps).all()
        assert len(plan[row]) <= LIMITS.max_clips


def test_rows_of_256_slots_are_filled_to_97_percent(plan, lengths):
    assert plan.fill >= 0.97
    assert plan.fill == lengths.sum() / (len(plan) * 256)
    assert f"{len(lengths)} clips in {len(plan)} rows of 256 slots, 97." in plan.report()


@pytest.mark.parametrize(("width", "caps", "fill"), [(512, (112, 176, 320), 0.97)])
def test_wider_rows_are_filled_as_well(lengths, width, caps, fill):
    assert pack(lengths, Limits(width, caps, 16)).fill >= fill


@pytest.mark.parametrize("modality", [0, 1, 2])
def test_a_full_buffer_closes_a_row_to_its_modality_alone(modality):
    caps = [50, 50, 50]
    caps[modality] = 10
    lengths = np.full((6, 3), 1)
    lengths[:, modality] = 5
    plan = pack(lengths, Limits(100, tuple(caps), 8))
    assert [len(plan[row]) for row in range(len(plan))] == [2, 2, 2]


def test_the_number_of_clips_closes_a_row():
    plan = pack(np.full((7, 3), 1), Limits(100, (50, 50, 50), 3))
    assert [len(plan[row]) for row in range(len(plan))] == [3, 3, 1]


def test_rows_can_be_filled_to_the_last_slot():
    plan = pack([[2, 3, 3], [1, 1, 0]], Limits(10, (3, 4, 3), 2))
    assert len(plan) == 1
    assert plan.fill == 1.0


def test_clips_of_one_modality_are_packed():
    plan = pack([[4, 0, 0], [1, 5, 0], [1, 0, 5]], Limits(16, (6, 5, 5), 3))
    assert len(plan) == 1


@pytest.mark.parametrize(
    ("clip", "why"), [([60, 10, 10], "text"), ([10, 90, 10], "face"), ([50, 80, 150], "width")]
)
def test_a_clip_that_fits_no_row_is_named_with_its_lengths(clip, why):
    with pytest.raises(ValueError, match=rf"clip 1 of lengths \[{clip[0]}, {clip[1]}, .* 256 slot"):
        pack([[3, 3, 3], clip], LIMITS)


def test_the_plan_depends_on_the_lengths_alone(plan, lengths):
    again = pack(lengths.copy(), LIMITS)
    for field in ("offsets", "clips"):
        assert (getattr(again, field) == getattr(plan, field)).all()
    assert pack(lengths[:100], LIMITS).clips.tolist() != plan.clips[:100].tolist()


def test_no_clips_make_no_rows():
    plan = pack(np.zeros((0, 3)), LIMITS)
    assert len(plan) == 0
    assert plan.fill == 0.0


def test_limits_are_those_of_the_configuration():
    cfg = dataclasses.replace(DataConfig(), row_width=300, text_cap=70, max_clips=5)
    assert Limits.of(cfg) == Limits(300, (70, cfg.face_cap, cfg.speech_cap), 5)
