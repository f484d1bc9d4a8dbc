"""The batch: every slot of every clip is where its arrays say it is."""

import dataclasses

import numpy as np
import pytest
import samples

from memobert_jax import tokenizer
from memobert_jax.batch import Layout, View, Widths, empty_batch, special_ids
from memobert_jax.collate import assemble
from memobert_jax.masking import MaskedFrames, nothing_masked
from memobert_jax.packing import Limits

WIDTHS = Widths(face=3, face_emotion=2, speech=4)
LAYOUT = Layout(Limits(width=40, caps=(14, 12, 20), max_clips=3), WIDTHS, target_share=0.5)


def view(text: int, face: int, speech: int, index: int = 0, **changes) -> View:
    """A clip of the given lengths; every value in it is its own."""
    rng = np.random.default_rng([text, face, speech, index])
    fields = {
        "ids": rng.integers(10, 1000, text, dtype=np.int32),
        "labels": rng.integers(1000, 2000, text, dtype=np.int32),
        "face": rng.normal(size=(face, 3)).astype(np.float16),
        "face_emotion": rng.random((face, 2)).astype(np.float16),
        "speech": rng.normal(size=(speech, 4)).astype(np.float16),
        "face_mask": nothing_masked(face),
        "speech_mask": nothing_masked(speech),
        "targets": {},
        "index": index,
    }
    return View(**(fields | changes))


def masked(n: int) -> MaskedFrames:
    """The first frame zeroed, the others shown in reverse."""
    flags = np.arange(n) == 0
    return MaskedFrames(flags, np.arange(n, dtype=np.int32)[::-1], flags)


ROWS = [
    [
        view(5, 4, 7, 3, face_mask=masked(4), targets={"mlm": np.array([1, 3])}),
        view(3, 0, 9, 8, speech_mask=masked(9), targets={"msr": np.array([0, 8])}),
    ],
    [
        view(1, 2, 0, 5),
        view(6, 6, 6, 9, targets={"mfr": np.array([5]), "mfc": np.array([2, 5])}),
        view(2, 1, 1, 0, face_mask=masked(1), targets={"mfr": np.array([0])}),
    ],
]


@pytest.fixture(scope="module")
def batch():
    return assemble(ROWS, LAYOUT, 4)


def buffers(batch: dict, row: int, name: str) -> list:
    """Per slot of a row, what the buffers text, face, speech hold there."""
    parts = [batch[f"{modality}_{name}"][row] for modality in ("text", "face", "speech")]
    return np.concatenate(parts)[batch["slot_source"][row]].tolist()


def test_every_slot_of_every_clip_is_found_again(batch):
    caps = np.cumsum([0, *LAYOUT.limits.caps])
    for row, views in enumerate(ROWS):
        slot = 0
        for segment, clip in enumerate(views):
            for start, name, values in zip(
                caps[:3], ("text_ids", "face", "speech"), (clip.ids, clip.face, clip.speech),
                strict=True,
            ):  # fmt: skip
                where = slice(slot, slot + len(values))
                places = batch["slot_source"][row, where] - start
                np.testing.assert_array_equal(batch[name][row][places], values)
                assert (batch["segment_ids"][row, where] == segment + 1).all()
                slot += len(values)
        assert (batch["segment_ids"][row, slot:] == 0).all()


def test_positions_start_at_zero_in_every_modality_of_every_clip(batch):
    for row, views in enumerate(ROWS):
        expected = [i for clip in views for length in clip.lengths for i in range(length)]
        assert buffers(batch, row, "position")[: len(expected)] == expected


def test_frames_keep_their_values_and_say_how_they_are_shown(batch):
    first = ROWS[0][0]
    assert batch["face_masked"][0, :5].tolist() == [True, False, False, False, False]
    assert batch["face_source"][0, :5].tolist() == [3, 2, 1, 0, 4]
    np.testing.assert_array_equal(batch["face"][0, :4], first.face)
    np.testing.assert_array_equal(batch["face_emotion"][0, :4], first.face_emotion)
    # The second clip's speech starts at place 7 of the buffer; sources count within the row.
    assert batch["speech_source"][0, 7:16].tolist() == list(range(15, 6, -1))
    assert batch["speech_masked"][0].nonzero()[0].tolist() == [7]


def test_each_clip_is_found_by_its_cls_slot_and_index(batch):
    assert batch["clip_valid"][:2].tolist() == [[True, True, False], [True, True, True]]
    assert batch["clip_index"][:2].tolist() == [[3, 8, -1], [5, 9, 0]]
    for row, views in enumerate(ROWS):
        for segment, clip in enumerate(views):
            slot = batch["clip_slot"][row, segment]
            assert batch["text_ids"][row, batch["slot_source"][row, slot]] == clip.ids[0]
            assert batch["segment_ids"][row, slot] == segment + 1


def test_targets_point_at_the_slot_and_at_the_truth(batch):
    found = 0
    for row, views in enumerate(ROWS):
        at = dict.fromkeys(LAYOUT.objectives, 0)
        starts = np.cumsum([0] + [sum(clip.lengths) for clip in views])
        for clip, start in zip(views, starts, strict=False):
            offsets = np.cumsum([0, *clip.lengths])
            for objective, places in clip.targets.items():
                modality = {"mlm": 0, "msr": 2}.get(objective, 1)
                for place in places:
                    i = at[objective]
                    at[objective] += 1
                    assert batch[f"{objective}_valid"][row, i]
                    assert batch[f"{objective}_slot"][row, i] == start + offsets[modality] + place
                    if objective == "mlm":
                        assert batch["mlm_label"][row, i] == clip.labels[place]
                    else:
                        name = {"mfr": "face", "mfc": "face_emotion", "msr": "speech"}[objective]
                        truth = batch[name][row, batch[f"{objective}_index"][row, i]]
                        np.testing.assert_array_equal(truth, getattr(clip, name)[place])
                    found += 1
        assert all(batch[f"{o}_valid"][row].sum() == n for o, n in at.items())
    assert found == 8


def test_rows_beyond_the_given_ones_are_empty(batch):
    empty = empty_batch(2, LAYOUT)
    assert set(empty) == set(batch)
    for name, array in batch.items():
        assert array.dtype == empty[name].dtype
        np.testing.assert_array_equal(array[2:], empty[name], err_msg=name)
    assert not empty["clip_valid"].any()
    assert (empty["segment_ids"] == 0).all()


def test_a_row_without_clips_is_empty():
    batch = assemble([[], ROWS[0]], LAYOUT, 2)
    assert (batch["segment_ids"][0] == 0).all()
    assert batch["clip_valid"].sum() == 2


def test_targets_beyond_the_fixed_number_are_counted_not_predicted():
    places = LAYOUT.targets("mlm")
    assert places == 7
    clips = [
        view(6, 0, 0, targets={"mlm": np.arange(6)}),
        view(5, 0, 0, targets={"mlm": np.arange(5)}),
    ]
    batch = assemble([clips, [clips[0]]], LAYOUT, 2)
    assert batch["mlm_valid"].sum(1).tolist() == [7, 6]
    assert batch["overflow"].tolist() == [[4], [0]]
    np.testing.assert_array_equal(
        batch["mlm_label"][0], np.concatenate([clips[0].labels, clips[1].labels[:1]])
    )


def test_every_objective_has_room_for_at_least_one_target():
    tight = dataclasses.replace(LAYOUT, target_share=0.0)
    assert [tight.targets(name) for name in tight.objectives] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([view(15, 0, 0, 4)], r"clip 4 of lengths \(15, 0, 0\) does not fit .*text buffer 14"),
        ([view(1, 7, 1, 2), view(1, 6, 1, 6)], r"clip 6 .*face buffer 12"),
        ([view(10, 10, 20), view(1, 0, 0, 7)], r"clip 7 .*40 slots"),
        ([view(1, 0, 0)] * 4, "4 clips in a row of at most 3"),
    ],
)
def test_a_row_that_does_not_fit_names_the_clip_and_the_limit(clips, message):
    with pytest.raises(ValueError, match=message):
        assemble([clips], LAYOUT, 1)


def test_more_rows_than_the_batch_has_are_refused():
    with pytest.raises(ValueError, match="more rows than the 1 of the batch"):
        assemble(ROWS, LAYOUT, 1)


def test_without_expression_posteriors_there_is_neither_array_nor_objective():
    layout = dataclasses.replace(LAYOUT, widths=Widths(3, 0, 4))
    assert layout.objectives == ("mlm", "mfr", "msr")
    batch = assemble([[view(3, 2, 1)]], layout, 1)
    assert not [name for name in batch if name.startswith(("mfc", "face_emotion"))]


def test_text_is_framed_by_cls_and_sep_and_missing_text_is_cls_alone():
    tokens = tokenizer.train(samples.PHRASES, 60)
    pieces = tokens.encode("we won").ids
    framed = special_ids(pieces, tokens)
    assert framed.tolist() == [tokens.cls_id, *pieces.tolist(), tokens.sep_id]
    assert special_ids(tokens.encode("").ids, tokens).tolist() == [tokens.cls_id]
    assert framed.dtype == np.int32
