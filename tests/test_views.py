"""Views: what a subset hides is not there, and every scored clip finds its place."""

import evaluation_kit as kit
import numpy as np
import pytest
import samples

from memobert_jax import views
from memobert_jax.batch import Widths
from memobert_jax.config import SUBSETS
from memobert_jax.views import Rows


def no_frames(modality):
    return np.zeros((0, samples.WIDTHS[modality]), np.float16)


@pytest.mark.parametrize("subset", SUBSETS)
def test_a_view_has_the_modalities_of_its_subset_and_no_other(subset):
    clip = kit.clips(1)[0]
    view = views.show(clip, subset, 3)
    text, face, speech = view.lengths
    assert text == len((clip.with_text if "T" in subset else clip.without_text).ids)
    assert face == ("F" in subset) * len(clip.face)
    assert speech == ("S" in subset) * len(clip.speech)
    assert view.ids[view.targets["mlm"][0]] == kit.tokens().mask_id
    assert view.index == 3


@pytest.mark.parametrize("subset", SUBSETS)
def test_hiding_masks_words_and_frames_and_never_the_prompt(subset):
    clip, mask_id = kit.clips(1)[0], kit.tokens().mask_id
    seen = views.show(clip, subset, 0)
    places = np.zeros(len(seen.ids), bool)
    for seed in range(20):
        view = views.show(clip, subset, 0, 0.5, np.random.default_rng(seed))
        assert view.lengths == seen.lengths
        changed = view.ids != seen.ids
        assert (view.ids[changed] == mask_id).all()
        places |= changed
        assert view.face_mask.masked.any() == ("F" in subset)
        assert view.speech_mask.masked.any() == ("S" in subset)
        assert (view.face_mask.source == np.arange(len(view.face))).all()
    prompt = clip.with_text if "T" in subset else clip.without_text
    assert places.tolist() == (prompt.groups >= 0).tolist()
    assert places.any() == ("T" in subset)


def test_hiding_depends_on_the_generator_of_the_row_alone():
    rows = Rows(kit.clips(16), ("TFS", "S"), kit.layout())
    rngs = [[np.random.default_rng([seed, r]) for r in range(4)] for seed in (0, 0, 1)]
    one, same, other = (rows.batch(range(4), 4, 0.5, given) for given in rngs)
    assert all((one[name] == same[name]).all() for name in one)
    assert any((one[name] != other[name]).any() for name in one)
    part = rows.batch([2, 3], 2, 0.5, [np.random.default_rng([0, r]) for r in (2, 3)])
    assert all((part[name] == one[name][2:]).all() for name in one)


def test_frames_beyond_the_longest_are_left_out():
    item = samples.clip(0, np.random.default_rng(0))
    clip = views.prepare(item, 0, kit.prompt(), views.Longest(32, 2, 5))
    assert (len(clip.face), len(clip.speech)) == (2, 5)
    assert clip.cut == {
        "text": 0,
        "face": len(item["face"]) - 2,
        "speech": len(item["speech"]) - 5,
    }
    assert (clip.face == item["face"][:2]).all()


def test_what_a_clip_lacks_is_known_by_subset():
    whole, *_ = kit.clips(1)
    item = samples.clip(0, np.random.default_rng(0))
    mute = item | {"speech": no_frames("speech"), "text": ""}
    mute = views.prepare(mute, 0, kit.prompt(), kit.LONGEST)
    assert mute.has == {"face"}
    assert [views.missing(whole, subset) for subset in SUBSETS] == [""] * 7
    assert [views.missing(mute, subset) for subset in SUBSETS] == [
        "all", "", "all", "some", "all", "some", "some",
    ]  # fmt: skip


def test_clips_of_which_nothing_is_shown_are_counted_and_left_out():
    rows = Rows([kit.clips(1)[0], _without_text()], ("T", "TF"), kit.layout())
    assert rows.counts["T"] == {
        "scored": 1,
        "no modality of the subset": 1,
        "a modality missing": 0,
    }
    assert rows.counts["TF"] == {
        "scored": 2,
        "no modality of the subset": 0,
        "a modality missing": 1,
    }
    shown = np.concatenate([batch["clip_index"].ravel() for batch in rows.batches(8)])
    assert sorted(shown[shown >= 0].tolist()) == [0, 1, 3]


def _without_text():
    return views.prepare(
        samples.clip(1, np.random.default_rng(0), text="", words_text=[], words_start_s=[],
                     words_end_s=[]), 1, kit.prompt(), kit.LONGEST,
    )  # fmt: skip


def test_rows_of_nothing_are_refused():
    with pytest.raises(ValueError, match="none of 1 clips has a modality of T"):
        Rows([_without_text()], ("T",), kit.layout())


def test_a_layout_takes_every_view_it_was_made_for():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 90, (50, 3))
    lengths[7] = 300, 1, 1
    layout = views.layout_for(lengths, Widths(4, 0, 4), 128)
    assert layout.limits.width >= 302
    assert (np.array(layout.limits.caps) >= lengths.max(0)).all()
    assert layout.targets("mlm") >= layout.limits.max_clips


@pytest.mark.parametrize("subsets", [("T",), SUBSETS])
def test_each_segment_has_its_label_its_mask_and_its_number(subsets):
    clips = kit.clips(24)
    rows = Rows(clips, subsets, kit.layout(subsets))
    seen = []
    for batch in rows.batches(4):
        limit = batch["clip_slot"].shape[1]
        for row in range(4):
            ids = batch["text_ids"][row][batch["slot_source"][row] % batch["text_ids"].shape[1]]
            there = batch["clip_valid"][row]
            count = int(there.sum())
            assert batch["mlm_valid"][row].sum() == count
            slots = batch["mlm_slot"][row, :limit][:count]
            assert (ids[slots] == kit.tokens().mask_id).all()
            assert batch["segment_ids"][row][slots].tolist() == list(range(1, count + 1))
            subset, clip = rows.locate(batch["clip_index"][row][there])
            assert batch["label"][row][there].tolist() == [clips[c].label for c in clip]
            assert (batch["label"][row][~there] == -1).all()
            seen += list(zip(subset.tolist(), clip.tolist(), strict=True))
        assert not batch["overflow"].any()
    assert sorted(seen) == [(s, c) for s in range(len(subsets)) for c in range(24)]


@pytest.mark.parametrize("processes", [2, 4])
def test_hosts_share_the_rows_of_every_batch(processes):
    rows = Rows(kit.clips(40), ("TFS", "T"), kit.layout())
    parts = [list(rows.batches(4, p, processes)) for p in range(processes)]
    for number, whole in enumerate(rows.batches(4)):
        for name, array in whole.items():
            joined = np.concatenate([part[number][name] for part in parts])
            assert (joined == array).all(), name
