"""Packing: every clip once, within every limit, rows filled to the bound."""

import dataclasses

import numpy as np
import packing_corpora
import pytest

from memobert_jax import columns, packing, rounding
from memobert_jax.bounds import RESOURCES
from memobert_jax.config import DataConfig
from memobert_jax.packing import NEAR, Limits, pack, suggest
from memobert_jax.patterns import Pattern, by_kind, expand

LIMITS = Limits(width=256, caps=(64, 96, 160), max_clips=8)


def lognormal_clips(count: int, seed: int = 0) -> np.ndarray:
    """i32 [count, 3]: pieces, faces at 10 fps, rows of 60 ms of clips of 2.2 s (median)."""
    rng = np.random.default_rng(seed)
    seconds = np.maximum(rng.lognormal(np.log(2.2), 0.6, count), 1.0)
    words = np.rint(seconds * 3.4 + rng.normal(0.0, 2.0, count)).clip(2, 30)
    faces = np.rint(seconds * 10 * rng.uniform(0.5, 1.0, count)).clip(3, 36)
    rows = np.rint(seconds * 16.67).clip(10, 64)
    return np.stack([words + 2, faces, rows], 1).astype(np.int32)


def some_without(lengths: np.ndarray) -> np.ndarray:
    """Three clips in ten without each of the modalities; one without text keeps its [CLS]."""
    rng, out = np.random.default_rng(1), lengths.copy()
    for modality, least in ((0, 1), (1, 0), (2, 0)):
        out[rng.random(len(out)) < 0.3, modality] = least
    return out


def without_face(lengths: np.ndarray) -> np.ndarray:
    """Four clips in ten without face."""
    return (
        np.where(np.random.default_rng(2).random((len(lengths), 1)) < 0.4, (1, 0, 1), 1) * lengths
    )


def two_corpora(lengths: np.ndarray) -> np.ndarray:
    """Talking heads, radio without faces, and faces that say nothing, mixed."""
    kind = np.random.default_rng(3).choice(3, len(lengths), p=(0.4, 0.35, 0.25))
    keeps = np.array([(1, 1, 1), (1, 0, 1), (0, 1, 0)])[kind]
    return (lengths * keeps).clip((1, 0, 0)).astype(np.int32)


def short_or_long(count: int) -> np.ndarray:
    """Interjections of a second and utterances of four."""
    short, long = lognormal_clips(8 * count, 4), lognormal_clips(8 * count, 5)
    short, long = short[short[:, 2] <= 22], long[long[:, 2] >= 50]
    return np.concatenate([short[: count // 2], long[: count - count // 2]])


def tight(lengths: np.ndarray, scarce: tuple[int, ...], over: float = 1.0) -> Limits:
    """Limits of which the `scarce` resources are used up at once, the others to two thirds."""
    takes = np.column_stack([lengths.sum(1), lengths, np.ones(len(lengths), int)])
    clips = 256 / takes[:, 0].mean() / (1 if 0 in scarce else 1.25)
    caps = clips * takes.mean(0) * np.where(np.isin(range(5), scarce), over, 1.5)
    _, *caps, most = np.maximum(np.rint(caps).astype(int), takes.max(0)).tolist()
    return Limits(256, tuple(caps), most)


def one_each(lengths: np.ndarray) -> np.ndarray:
    """Clips of one modality, each beside the [CLS]."""
    kind = np.random.default_rng(1).integers(0, 3, len(lengths))[:, None]
    return np.where(kind == np.arange(3), lengths, np.array([1, 0, 0])).astype(np.int32)


CLIPS = lognormal_clips(1500)
CORPORA = {
    "width 256": (CLIPS, LIMITS),
    "width 512": (CLIPS, Limits(512, (128, 192, 320), 16)),
    "clips long for the row": (CLIPS, Limits(144, (48, 64, 96), 8)),
    "clips longer than half a row": (lognormal_clips(1500, 3), Limits(150, (48, 64, 100), 8)),
    "speech buffer short": (CLIPS, Limits(256, (64, 96, 130), 8)),
    "text buffer short": (CLIPS, Limits(256, (36, 96, 160), 8)),
    "few clips a row": (CLIPS, Limits(256, (64, 96, 160), 3)),
    "modalities missing": (some_without(CLIPS), Limits(256, (64, 96, 160), 16)),
    "one modality each": (one_each(CLIPS), Limits(256, (64, 96, 160), 24)),
    "text alone": (CLIPS * (1, 0, 0), Limits(256, (256, 96, 160), 32)),
    "speech alone": (CLIPS * (0, 0, 1) + (1, 0, 0), LIMITS),
    "one above half a row": (np.tile([[30, 36, 64]], (500, 1)), LIMITS),
    "one above a third": (np.tile([[12, 24, 50]], (500, 1)), LIMITS),
    "short and long": (np.tile([[4, 5, 17], [30, 36, 64]], (500, 1)), LIMITS),
}
TIGHT = {
    "all": (CLIPS, [(0, 1), (0, 2), (2, 3), (0, 3, 4)]),
    "modalities missing": (some_without(CLIPS), [(0, 1), (1, 2), (1, 2, 3)]),
    "faces missing": (without_face(CLIPS), [(0, 2), (0, 1, 3)]),
    "two corpora": (two_corpora(CLIPS), [(0, 1), (1, 2), (0, 1, 2)]),
    "short or long": (short_or_long(1500), [(1, 3), (3, 4)]),
    "one modality each": (one_each(CLIPS), [(0, 1), (1, 2)]),
}
CORPORA |= {
    f"{name}, {' and '.join(RESOURCES[d] for d in scarce)} used up": (clips, tight(clips, scarce))
    for name, (clips, several) in TIGHT.items()
    for scarce in several
}


@pytest.fixture(scope="module", params=CORPORA)
def packed(request):
    lengths, limits = CORPORA[request.param]
    return lengths, limits, pack(lengths, limits)


@pytest.fixture(scope="module")
def lengths():
    return CLIPS


@pytest.fixture(scope="module")
def plan(lengths):
    return pack(lengths, LIMITS)


def test_every_clip_lies_in_exactly_one_row(packed):
    lengths, _, plan = packed
    assert sorted(plan.clips.tolist()) == list(range(len(lengths)))
    assert [clip for row in range(len(plan)) for clip in plan[row]] == plan.clips.tolist()
    assert min(len(plan[row]) for row in range(len(plan))) > 0


def test_no_row_exceeds_its_slots_buffers_or_number_of_clips(packed):
    lengths, limits, plan = packed
    for row in range(len(plan)):
        used = lengths[plan[row]].sum(0)
        assert (used.sum(), *used, len(plan[row])) <= limits.resources
        assert used.sum() <= limits.width
        assert (used <= limits.caps).all()
        assert len(plan[row]) <= limits.max_clips


def test_rows_are_filled_to_within_a_point_of_the_bound(packed):
    lengths, limits, plan = packed
    assert plan.fill == pytest.approx(lengths.sum() / (len(plan) * limits.width))
    assert plan.most - NEAR <= plan.fill <= plan.most


def test_the_bound_is_never_below_that_of_the_linear_program(packed):
    lengths, limits, plan = packed
    uses = np.column_stack([lengths.sum(1), lengths, np.ones(len(lengths), int)]).sum(0)
    assert plan.bound.rows >= (uses / limits.resources).max() - 1e-6
    assert plan.bound.rows <= len(plan)
    assert plan.bound.resource == max(plan.bound.shares, key=plan.bound.shares.get)


@pytest.mark.parametrize(
    ("clip", "a_row"), [([30, 36, 64], 1), ([12, 24, 50], 2), ([10, 20, 35], 3), ([1, 9, 20], 8)]
)
def test_the_bound_knows_how_many_equal_clips_share_a_row(clip, a_row):
    plan = pack(np.tile([clip], (2400, 1)), LIMITS)
    assert plan.bound.rows == len(plan) == 2400 // a_row


def test_the_bound_counts_a_whole_row_for_a_clip_that_shares_with_none():
    """Its text leaves 3 pieces, of which no clip has so few; its speech would leave half a row."""
    lengths = np.concatenate([np.tile([[61, 0, 80]], (10, 1)), np.tile([[4, 0, 20]], (80, 1))])
    plan = pack(lengths, LIMITS)
    assert plan.bound.rows == len(plan) == 10 + 80 // 8


def test_the_bound_sees_clips_that_exclude_each_other_by_different_resources():
    """No two of the long ones share a row, though every resource has room for two."""
    lengths = np.tile([[33, 0, 0], [32, 49, 0], [1, 1, 1]], (100, 1))
    plan = pack(lengths, LIMITS)
    assert len(plan) == 200
    assert plan.bound.rows == pytest.approx(200, abs=1)
    assert plan.bound.resource == "row as a whole"
    assert pack(lengths, LIMITS, quick=True).bound.rows == pytest.approx(150, abs=2)


@pytest.mark.parametrize("seed", [24, 58, 94])
def test_corpora_whose_clips_hardly_share_a_row_are_packed_to_within_a_point(seed):
    """Clips of nearly one length: where the best row after the best row fails."""
    _, lengths = packing_corpora.corpus(seed, (500,))
    for limits, _ in suggest(lengths):
        plan, quick = pack(lengths, limits), pack(lengths, limits, quick=True)
        assert sorted(plan.clips.tolist()) == list(range(len(lengths)))
        assert len(plan) <= len(quick)
        assert quick.bound.rows <= plan.bound.rows <= len(plan)
        assert len(plan) - plan.bound.rows <= max(NEAR * len(plan), 1)


@pytest.mark.parametrize(("part_kinds", "parts"), [(170, 3), (130, 4)])
def test_a_corpus_of_very_many_kinds_is_planned_in_parts_of_equal_mixture(
    monkeypatch, part_kinds, parts
):
    monkeypatch.setattr(rounding, "QUICK", part_kinds)
    monkeypatch.setattr(rounding, "_PARTS", 4)
    planned, by_rows = [], rounding.by_rows

    def watched(kinds, counts, *rest):
        planned.append((len(kinds), int(counts.sum())))
        return by_rows(kinds, counts, *rest)

    monkeypatch.setattr(rounding, "by_rows", watched)
    _, lengths = packing_corpora.corpus(23, (500,))
    limits = next(limits for limits, _ in suggest(lengths) if limits.width == 256)
    order, starts, kinds = by_kind(lengths)
    plan = rounding.by_parts(kinds, np.diff(starts), limits.resources, [Pattern((0,), 10_000)])
    offsets, clips = expand(plan, order, starts)
    assert sorted(clips.tolist()) == list(range(len(lengths)))
    assert len(offsets) - 1 < len(pack(lengths, limits, quick=True))
    assert len(planned) == parts
    sizes = [clips for _, clips in planned]
    assert sum(sizes) == len(lengths)
    assert max(sizes) - min(sizes) <= 1


def test_a_corpus_that_would_take_too_many_parts_keeps_its_first_plan(monkeypatch):
    monkeypatch.setattr(rounding, "QUICK", 3)
    _, _, kinds = by_kind(CLIPS[:200])
    found = [Pattern((kind,), 1) for kind in range(len(kinds))]
    caps = Limits(256, (64, 96, 160), 8).resources
    assert rounding.by_parts(kinds, np.ones(len(kinds), np.int64), caps, found) is found


def test_a_program_that_is_not_at_its_end_is_followed_by_one_for_each_part(monkeypatch):
    monkeypatch.setattr(columns, "_WORK", 400)
    _, lengths = packing_corpora.corpus(23, (500,))
    limits = next(limits for limits, _ in suggest(lengths) if limits.width == 256)
    cut = pack(lengths, limits)
    monkeypatch.setattr(rounding, "QUICK", 170)
    planned, by_parts = [], rounding.by_parts
    monkeypatch.setattr(rounding, "by_parts", lambda *args: planned.append(args) or by_parts(*args))
    plan = pack(lengths, limits)
    assert len(planned) == 1
    assert len(plan) <= len(cut)
    assert sorted(plan.clips.tolist()) == list(range(len(lengths)))


def test_of_very_many_kinds_the_scarcest_resource_alone_is_programmed(monkeypatch):
    monkeypatch.setattr(packing, "_KINDS", 10)
    monkeypatch.setattr(rounding, "_PARTS", 2)
    _, lengths = packing_corpora.corpus(58, (500,))
    limits = next(limits for limits, _ in suggest(lengths) if limits.width == 512)
    plan, quick = pack(lengths, limits), pack(lengths, limits, quick=True)
    assert sorted(plan.clips.tolist()) == list(range(len(lengths)))
    assert quick.bound.rows < plan.bound.rows <= len(plan) <= len(quick)
    assert plan.bound.resource == RESOURCES[0]


@pytest.mark.parametrize(("name", "fill"), [("width 256", 0.985), ("width 512", 0.99)])
def test_rows_of_usual_clips_are_nearly_full(name, fill):
    lengths, limits = CORPORA[name]
    plan = pack(lengths, limits)
    assert plan.fill >= fill
    assert f"1500 clips in {len(plan)} rows of {limits.width} slots" in plan.report()
    assert f"at most {plan.most:.1%} can be ({plan.bound.rows} rows, for" in plan.report()
    assert plan.bound.resource == RESOURCES[0]


def test_the_plan_of_a_corpus_repeated_takes_no_more_rows():
    """Clips of equal lengths are planned together, however many there are."""
    many = pack(np.repeat(CLIPS, 20, axis=0), LIMITS)
    assert sorted(many.clips.tolist()) == list(range(30_000))
    assert many.fill >= many.most - NEAR


def test_a_row_that_can_be_repeated_leaves_the_clips_mixed():
    clips = one_each(CLIPS)
    many = pack(np.repeat(clips, 200, axis=0), tight(clips, (1, 2)))
    assert many.fill >= many.most - NEAR / 2


@pytest.mark.parametrize("corpus", [CLIPS, some_without(CLIPS)], ids=["all", "missing"])
def test_suggested_limits_are_met(corpus):
    suggestions = suggest(corpus, widths=(64, 256))
    assert [limits.width for limits, _ in suggestions] == [256], "64 holds no longest clip"
    for limits, most in suggestions:
        plan = pack(corpus, limits)
        assert plan.most == pytest.approx(most)
        assert plan.fill >= most - NEAR
        assert most >= 0.98


@pytest.mark.parametrize("only", [(1, 1, 1), (0, 1, 0), (1, 0, 1)], ids=str)
def test_suggested_limits_are_settings_that_the_configuration_takes(only):
    cfg = DataConfig()
    longest = (cfg.max_text, cfg.max_face, cfg.max_speech)
    (limits, _), *_ = suggest(CLIPS * only + (1, 0, 0), widths=(64, 256), longest=longest)
    text, face, speech = limits.caps
    dataclasses.replace(
        cfg, row_width=limits.width, text_cap=text, face_cap=face, speech_cap=speech
    )


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_a_corpus_without_a_modality_is_packed(absent):
    """Its share of a row is 0, by which nothing may be multiplied that has no end."""
    lengths = np.random.default_rng(0).integers(20, 36, (200, 3))
    lengths[:, absent] = 0
    plan = pack(lengths, Limits(256, (40, 96, 160), 8))
    assert sorted(plan.clips.tolist()) == list(range(200))


def test_suggested_buffers_follow_the_corpus():
    (talk, _), (faces, _) = (suggest(CLIPS * only + (1, 0, 0), widths=(256,))[0]
                             for only in ((1, 0, 1), (0, 1, 1)))  # fmt: skip
    assert talk.caps[0] > faces.caps[0]
    assert talk.caps[1] == 8 < faces.caps[1]
    assert suggest(np.zeros((0, 3))) == []


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
    ("clip", "why"), [([70, 10, 10], "text"), ([10, 99, 10], "face"), ([60, 90, 150], "width")]
)
def test_a_clip_that_fits_no_row_is_named_with_its_lengths(clip, why):
    with pytest.raises(ValueError, match=rf"clip 1 of lengths \[{clip[0]}, {clip[1]}, .* 256 slot"):
        pack([[3, 3, 3], clip], LIMITS)


def test_the_plan_depends_on_the_lengths_alone(plan, lengths):
    again = pack(lengths.copy(), LIMITS)
    for field in ("offsets", "clips"):
        assert (getattr(again, field) == getattr(plan, field)).all()
    assert pack(lengths[:100], LIMITS).clips.tolist() != plan.clips[:100].tolist()


def test_a_clip_that_takes_no_slot_is_refused():
    with pytest.raises(ValueError, match="clip 1 takes no slot"):
        pack([[3, 3, 3], [0, 0, 0]], LIMITS)


def test_a_row_without_room_is_none():
    with pytest.raises(ValueError, match="at least 1 of everything"):
        Limits(256, (64, 0, 160), 8)


def test_no_clips_make_no_rows():
    plan = pack(np.zeros((0, 3)), LIMITS)
    assert len(plan) == 0
    assert plan.fill == 0.0


def test_limits_are_those_of_the_configuration():
    cfg = dataclasses.replace(DataConfig(), row_width=300, text_cap=70, max_clips=5)
    assert Limits.of(cfg) == Limits(300, (70, cfg.face_cap, cfg.speech_cap), 5)
