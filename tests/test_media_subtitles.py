"""Subtitles in any file and encoding become clean utterances; what is lost is counted."""

import media_samples as samples
import pytest

from memobert_jax.config import ExtractConfig
from memobert_jax.media import subtitles
from memobert_jax.media.cues import Cue, turns
from memobert_jax.media.ledger import Reason

SRT = samples.srt((0.5, 2.0, "Où es-tu ?"), (2.5, 4.0, "“Right here.”"))


def cut(*cues, duration_s=100.0, **config):
    rows = [Cue(*cue) for cue in cues]
    return subtitles.utterances(rows, ExtractConfig(**config), duration_s)


def spans(found):
    return [(round(u.start_s, 3), round(u.end_s, 3), u.text) for u in found.utterances]


@pytest.mark.parametrize(
    ("encoding", "guessed"),
    [
        ("utf-8", False),
        ("utf-8-sig", False),
        ("utf-16", False),
        ("utf-16-le", False),
        ("utf-16-be", False),
        ("cp1252", True),
    ],
)
def test_every_usual_encoding_gives_the_same_words(encoding, guessed):
    data = SRT.encode(encoding)
    assert subtitles.decode(data) == (SRT, guessed)
    cues = subtitles.parse(data, ".srt")
    assert [cue.text for cue in cues] == ["Où es-tu ?", "“Right here.”"]
    assert (cues[0].start_s, cues[0].end_s) == (0.5, 2.0)


def test_bytes_that_no_encoding_has_do_not_raise():
    assert subtitles.parse(SRT.encode("cp1252") + b"\x81\x8d", ".srt")


def test_vtt_and_ass_are_read(tmp_path):
    path = tmp_path / "a.vtt"
    path.write_text(
        "WEBVTT\n\nNOTE x\n\n1\n00:01.000 --> 00:02.500 align:start\n<v Bob>hello &amp; bye</v>\n"
    )
    assert subtitles.parse(path) == [Cue(1.0, 2.5, "hello &amp; bye")]
    events = (
        "[Script Info]\nScriptType: v4.00+\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Comment: 0,0:00:00.00,0:00:01.00,D,,0,0,0,,note\n"
        "Dialogue: 0,0:00:01.00,0:00:02.00,D,,0,0,0,,{\\i1}one{\\i0},\\Ntwo\n"
        "Dialogue: 0,0:00:03.00,0:00:04.00,D,,0,0,0,,{\\p1}m 0 0 l 9 9{\\p0}\n"
    )
    assert subtitles.parse(events.encode(), ".ass") == [Cue(1.0, 2.0, "one,\ntwo")]


def test_rolling_captions_say_each_line_once():
    text = (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n \nhello<00:00:00.400><c> there</c>\n\n"
        "00:00:01.500 --> 00:00:01.510\nhello there\n \n\n"
        "00:00:01.510 --> 00:00:03.000\nhello there\nhow<00:00:02.000><c> are</c>\n"
    )
    assert [cue.text for cue in subtitles.parse(text.encode(), ".vtt")] == [
        "hello there",
        "how are",
    ]


@pytest.mark.parametrize("data", [b"", b"no cue in here", b"\x00\x01\xff" * 50, b"WEBVTT\n"])
@pytest.mark.parametrize("suffix", [".srt", ".vtt", ".ass"])
def test_a_file_without_cues_gives_none(data, suffix):
    assert subtitles.parse(data, suffix) == []


def test_another_suffix_is_refused_with_those_that_work():
    with pytest.raises(ValueError, match=r"'\.txt'.*\.srt, \.vtt"):
        subtitles.parse(b"", ".txt")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<i>so</i> {\\an8}happy [laughs]", ["so happy"]),
        ("i am [MASK] today", ["i am today"]),
        ("(door\nslams)", []),
        ("♪ la la la ♪", []),
        ("# la la la #\nhello", ["hello"]),
        ("#1 is here", ["#1 is here"]),
        ("MAN 1: what?\nno idea", ["what? no idea"]),
        ("Remember: be nice", ["Remember: be nice"]),
        ("at 12:30", ["at 12:30"]),
        ("- Hi there.\n- Hello!", ["Hi there.", "Hello!"]),
        ("- Hi\nthere.", ["Hi there."]),
        (">> Hi.\n>> Oh.", ["Hi.", "Oh."]),
        ("--and then", ["and then"]),
        ("well—\n—I mean", ["well— I mean"]),
        ("ANN:\n- hi", ["hi"]),
        ("f**k you *sighs*", ["f**k you"]),
        ("5 < 6 &amp; 7 > 4", ["5 < 6 & 7 > 4"]),
        ("zero\u200bwidth\ufeff", ["zerowidth"]),
        ("...", []),
        ("", []),
    ],
)
def test_only_what_is_said_is_kept(text, expected):
    assert turns(text) == expected


def test_overlapping_cues_are_cut_where_the_next_starts():
    found = cut((0, 3, "first"), (2, 5, "second"))
    assert spans(found) == [(0, 2, "first"), (2, 5, "second")]
    assert found.notes == {Reason.CUE_OVERLAP_CUT: 1}


def test_reversed_negative_and_late_cues_are_counted_not_cut():
    found = cut((5, 4, "a"), (3, 3, "b"), (-2, -1, "c"), (20, 22, "d"), (8, 12, "e"), duration_s=10)
    assert spans(found) == [(8, 10, "e")]
    assert found.notes == {
        Reason.CUE_BAD_TIMES: 3,
        Reason.CUE_BEYOND_END: 1,
        Reason.CUE_CLIPPED: 1,
    }


def test_times_below_zero_in_a_file_are_not_read_as_positive():
    text = "1\n-00:00:03,000 --> 00:00:05,000\na\n\n2\n00:00:06,000 --> 00:00:08,000\nb\n"
    found = subtitles.utterances(subtitles.parse(text.encode(), ".srt"), ExtractConfig(), 10)
    assert spans(found) == [(6, 8, "b")]
    assert found.notes == {Reason.CUE_BAD_TIMES: 1}


def test_cues_that_start_together_become_one():
    found = cut((1, 3, "up"), (1, 4, "down"), (6, 8, "same"), (6, 8, "same"))
    assert spans(found) == [(1, 4, "up down"), (6, 8, "same")]
    assert found.notes == {Reason.CUES_MERGED: 1, Reason.CUE_REPEATED: 1}


def test_short_neighbours_merge_only_when_near():
    found = cut((0, 0.6, "oh"), (0.7, 2, "my"), (5, 5.5, "far"))
    assert spans(found) == [(0, 2, "oh my")]
    assert found.drops == [(Reason.TOO_SHORT, 5, 5.5)]
    assert found.notes == {Reason.CUES_MERGED: 1}


def test_merging_never_makes_an_utterance_too_long():
    found = cut((0, 14.8, "long"), (14.9, 15.6, "tail"))
    assert spans(found) == [(0, 14.8, "long")]
    assert found.drops == [(Reason.TOO_SHORT, 14.9, 15.6)]


def test_utterances_beyond_the_limits_are_dropped_with_their_seconds():
    found = cut((0, 0.5, "a"), (2, 30, "b"), (40, 41, "c"))
    assert spans(found) == [(40, 41, "c")]
    assert found.drops == [(Reason.TOO_SHORT, 0, 0.5), (Reason.TOO_LONG, 2, 30)]


def test_a_cue_of_sounds_is_dropped_with_its_seconds():
    found = cut((0, 2, "[thunder]"), (2, 4, "hey"))
    assert spans(found) == [(2, 4, "hey")]
    assert found.drops == [(Reason.CUE_WITHOUT_WORDS, 0, 2)]


def test_two_speakers_of_a_cue_share_its_time_and_do_not_merge_again():
    found = cut((10, 14, "- abc\n- defghijkl"))
    assert spans(found) == [(10, 11, "abc"), (11, 14, "defghijkl")]
    found = cut((10, 11.5, "- abc\n- def"))
    assert spans(found) == []
    assert [drop[0] for drop in found.drops] == [Reason.TOO_SHORT] * 2
    assert found.notes == {Reason.CUE_SPLIT_SPEAKERS: 1}


def test_sidecars_are_found_beside_the_video_and_in_sibling_folders(tmp_path):
    def put(name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        return path

    film = put("mp4/film.one.mp4")
    assert subtitles.find_sidecar(film) is None
    put("mp4/film.one.commentary.two.srt")
    put("mp4/film.srt")
    put("mp4/film.one.txt")
    assert subtitles.find_sidecar(film) is None
    ranked = [
        put("mp4/film.one.de.srt"),
        put("mp4/film.one.en-US.srt"),
        put("subs/film.one.vtt"),
        put("srt/film.one.srt"),
        put("mp4/srt/film.one.srt"),
        put("mp4/film.one.srt"),
    ]
    for path in reversed(ranked):
        assert subtitles.find_sidecar(film) == path
        path.unlink()


def test_subtitles_inside_a_video_are_read(tmp_path):
    cues = [(0.2, 1.4, "<i>hello</i> there\nyou"), (1.5, 1.9, "oh")]
    path = tmp_path / "a.mkv"
    samples.write_media(path, samples.talking(2, size=(64, 48), faces=()), cues=cues)
    found = subtitles.embedded(path)
    assert [(cue.start_s, cue.end_s) for cue in found] == [
        pytest.approx((0.2, 1.4)),
        pytest.approx((1.5, 1.9)),
    ]
    assert turns(found[0].text) == ["hello there you"]
    plain = samples.write_media(tmp_path / "b.mkv", samples.talking(0.4, size=(64, 48), faces=()))
    assert subtitles.embedded(plain) == []
