"""Every second of input stands in the ledger exactly once."""

import json

import numpy as np
import pytest

from memobert_jax.media import ledger
from memobert_jax.media.ledger import Reason, Timeline


def total(entry):
    return entry["kept_s"] + sum(item["seconds"] for item in entry["dropped"].values())


def test_kept_dropped_and_unclaimed_seconds_add_up():
    timeline = Timeline("v", "v.mp4", "00", 10.0)
    timeline.drop(Reason.TOO_SHORT, 1.0, 1.5)
    timeline.keep(2.0, 5.0)
    entry = timeline.ledger()
    assert entry["kept_s"] == 3.0
    assert entry["dropped"]["too_short"] == {"seconds": 0.5, "count": 1}
    assert entry["dropped"]["outside_cues"] == {"seconds": 6.5, "count": 3}
    assert total(entry) == pytest.approx(10.0)


def test_overlapping_spans_are_counted_once_and_kept_ones_win():
    timeline = Timeline("v", "v.mp4", "00", 10.0)
    timeline.drop(Reason.NO_FACE, 0.0, 6.0)
    timeline.drop(Reason.DAMAGED, 4.0, 12.0)
    timeline.keep(3.0, 5.0)
    timeline.keep(4.0, 5.5)
    entry = timeline.ledger()
    assert entry["kept_s"] == 2.5
    assert entry["dropped"]["no_face"]["seconds"] == 3.5
    assert entry["dropped"]["damaged"]["seconds"] == 4.0
    assert entry["clips"] == 2
    assert total(entry) == 10.0


def test_random_spans_always_add_up():
    rng = np.random.default_rng(0)
    for _ in range(50):
        timeline = Timeline("v", "v.mp4", "00", 20.0)
        for start_s, seconds in rng.uniform(-2, 12, (20, 2)).tolist():
            if seconds < 6:
                timeline.keep(start_s, start_s + seconds)
            else:
                timeline.drop(Reason.NO_FACE, start_s, start_s + seconds)
        assert total(timeline.ledger()) == pytest.approx(20.0)


def test_a_failed_file_of_unknown_length_is_counted():
    entry = ledger.failed("v", "v.mp4", "00", Reason.NOT_MEDIA)
    assert entry["dropped"] == {"not_media": {"seconds": 0.0, "count": 1}}
    assert ledger.failed("v", "v.mp4", "00", Reason.NO_VIDEO, 7.0)["dropped"] == {
        "no_video": {"seconds": 7.0, "count": 1}
    }


def test_a_ledger_survives_json():
    timeline = Timeline("v", "v.mp4", "00", 3.0)
    timeline.keep(0.0, 1.0)
    timeline.note(Reason.MISSING_FACE)
    timeline.drop(Reason.NO_FACE, 1.0, 2.0)
    assert json.loads(json.dumps(timeline.ledger())) == timeline.ledger()


def test_totals_add_up_over_videos():
    first = Timeline("a", "a.mp4", "00", 4.0)
    first.keep(0.0, 1.0)
    first.note(Reason.MISSING_FACE)
    second = Timeline("b", "b.mp4", "00", 6.0)
    second.drop(Reason.NO_FACE, 0.0, 2.0)
    second.note(Reason.MISSING_FACE, 2)
    totals = ledger.merge([first.ledger(), second.ledger()])
    assert totals["videos"] == 2
    assert totals["videos_with_clips"] == 1
    assert totals["duration_s"] == pytest.approx(total(totals)) == 10.0
    assert totals["dropped"]["outside_cues"] == {"seconds": 7.0, "count": 2}
    assert totals["notes"] == {"modality_missing:face": 3}


def test_the_table_names_every_reason_with_its_meaning():
    timeline = Timeline("v", "v.mp4", "00", 4.0)
    timeline.keep(0.0, 1.0)
    timeline.drop(Reason.NO_FACE, 1.0, 2.0)
    timeline.note(Reason.CUE_CLIPPED)
    text = ledger.table(ledger.merge([timeline.ledger()]))
    assert "25.0 %" in text
    for reason in (Reason.NO_FACE, Reason.OUTSIDE_CUES, Reason.CUE_CLIPPED):
        assert reason in text
        assert ledger.EXPLANATIONS[reason] in text
    assert "0.0 s" in ledger.table(ledger.merge([]))


def test_every_reason_is_explained():
    assert set(ledger.EXPLANATIONS) == set(Reason)
