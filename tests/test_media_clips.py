"""A file becomes clips, and every second that does not has its reason; bad files never raise."""

import dataclasses
import math
import shutil

import cv2
import media_samples as samples
import numpy as np
import pytest

from memobert_jax import record
from memobert_jax.config import ExtractConfig
from memobert_jax.media import audio, clips, ledger
from memobert_jax.media.ledger import Reason
from memobert_jax.media.subtitles import Utterance

CONFIG = ExtractConfig()
CUES = ((0.5, 1.7, "so happy today"), (2.0, 3.4, "and <i>you</i> ?"))
PALE, BROWN = (235, 195, 170), (150, 105, 75)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Four seconds each: a talking face, the same without sound, the sound alone, and more."""
    folder = tmp_path_factory.mktemp("films")
    sound = samples.babble(4)
    talking = list(samples.talking(4, fps=10))
    still = samples.talking(4, fps=10, faces=[((160, 125), 130, False)])
    empty = [np.full((240, 320, 3), (90, 140, 170), np.uint8)] * 40
    brief = [talking[0] if i % 20 in (10, 11) else empty[0] for i in range(40)]
    for name, pictures, heard in (
        ("talking", talking, sound),
        ("mute", talking, None),
        ("sound", None, sound),
        ("still", still, sound),
        ("empty", empty, sound),
        ("brief", brief, sound),
        ("silent", talking, np.zeros_like(sound)),
    ):
        samples.write_media(folder / f"{name}.mp4", pictures, heard, fps=10)
    return folder


@pytest.fixture
def film(films, tmp_path):
    """Puts a film, with the cues as its srt file, into a folder of its own."""

    def put(name, cues=CUES):
        path = tmp_path / "film.mp4"
        shutil.copy(films / f"{name}.mp4", path)
        if cues is not None:
            path.with_suffix(".srt").write_text(samples.srt(*cues))
        return path

    return put


def reasons(entry):
    return {reason: round(item["seconds"], 2) for reason, item in entry["dropped"].items()}


def extract(path, config=CONFIG, **kwargs):
    extraction = clips.extract(path, config, **kwargs)
    entry = extraction.ledger
    total = entry["kept_s"] + sum(item["seconds"] for item in entry["dropped"].values())
    assert total == pytest.approx(entry["duration_s"], abs=1e-6)
    assert entry["clips"] == len(extraction.clips)
    for clip in extraction.clips:
        record.check(clip, "clips")
    return extraction


def colour(clip):
    """Mean colour of the cheeks in all crops."""
    crops = [
        cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in clip["faces"]
    ]
    return np.mean([crop[66:74, 36:44, ::-1] for crop in crops], axis=(0, 1, 2))


def test_a_talking_face_gives_whole_clips(film):
    extraction = extract(film("talking"))
    first, second = extraction.clips
    assert [clip["text"] for clip in extraction.clips] == ["so happy today", "and you ?"]
    assert (first["id"], first["video_id"]) == ("film_00000", "film")
    assert (first["start_s"], first["end_s"]) == (np.float32(0.5), np.float32(1.7))
    assert first["words/text"] == ["so", "happy", "today"]
    np.testing.assert_allclose(first["words/end_s"], [0.4, 0.8, 1.2], atol=1e-6)
    assert first["words_aligned"] == 0
    np.testing.assert_allclose(first["face_time_s"], np.arange(12) / 10, atol=1e-6)
    np.testing.assert_allclose(second["face_time_s"], np.arange(14) / 10, atol=1e-6)
    assert (first["face_score"] > 0.7).all()
    speech = audio.decode_flac(first["speech"])
    assert len(speech) == round(1.2 * record.SAMPLE_RATE)
    sound = audio.read(film("talking"))
    np.testing.assert_array_equal(speech, sound[8000 : 8000 + len(speech)])
    assert extraction.ledger["kept_s"] == pytest.approx(2.6)
    assert reasons(extraction.ledger) == {"outside_cues": 1.4}
    assert np.abs(colour(first) - samples.SKIN).max() < 30


def test_the_same_bytes_give_the_same_records(film):
    path = film("talking")
    first, second = extract(path), extract(path)
    assert first.ledger == second.ledger
    for one, other in zip(first.clips, second.clips, strict=True):
        for name, value in one.items():
            np.testing.assert_array_equal(value, other[name], err_msg=name)


def test_of_two_faces_the_talking_one_is_taken(tmp_path, monkeypatch):
    for talker, skin in ((0, PALE), (1, BROWN)):
        pictures = []
        for i in range(20):
            picture = np.full((240, 320, 3), (90, 140, 170), np.uint8)
            for person, (x, own) in enumerate(((85, PALE), (235, BROWN))):
                monkeypatch.setattr(samples, "SKIN", own)
                opening = abs(np.sin(i * 0.7)) if person == talker else 0.05
                samples.draw_face(picture, (x, 125), 120, opening)
            pictures.append(picture)
        path = samples.write_media(tmp_path / f"{talker}.mp4", pictures, samples.babble(2), fps=10)
        path.with_suffix(".srt").write_text(samples.srt((0.2, 1.8, "it is me")))
        (clip,) = extract(path).clips
        assert np.abs(colour(clip) - skin).max() < 30


@pytest.fixture
def dialogue(tmp_path):
    """Two seconds of a pale face at the left, which talks, and a brown one at the right."""

    def film(right_talks, heard=True):
        pictures = []
        for i in range(20):
            picture = np.full((240, 320, 3), (90, 140, 170), np.uint8)
            for x, own, talks in ((85, PALE, True), (235, BROWN, right_talks)):
                opening = abs(np.sin(i * 0.7)) if talks else 0.05
                samples.draw_face(picture, (x, 125), 120, opening, own)
            pictures.append(picture)
        sound = samples.babble(2) if heard else None
        return samples.write_media(tmp_path / "d.mp4", pictures, sound, fps=10)

    return film


def test_two_speakers_at_once_each_get_the_face_of_their_half(dialogue):
    rows = [
        Utterance(0.2, 1.5, "one", {"speaker": "pale"}, region="left"),
        Utterance(0.4, 1.8, "two", {"speaker": "brown"}, region="right"),
    ]
    extraction = extract(dialogue(right_talks=True), utterances=rows)
    first, second = extraction.clips
    assert np.abs(colour(first) - PALE).max() < 30
    assert np.abs(colour(second) - BROWN).max() < 30
    assert extraction.ledger["clips"] == 2
    assert extraction.ledger["kept_s"] == pytest.approx(1.6)


def test_a_voice_that_fits_the_other_half_is_noted_and_its_face_not_taken(dialogue):
    path = dialogue(right_talks=False)
    config = dataclasses.replace(CONFIG, require=("text", "speech"))
    for region, faces, notes in (
        ("left", 16, {}),
        ("right", 0, {"modality_missing:face": 1, "speaks_elsewhere": 1}),
        ("", 16, {}),
    ):
        extraction = extract(path, config, utterances=[Utterance(0.2, 1.8, "one", region=region)])
        assert len(extraction.clips[0]["faces"]) == faces, region
        assert extraction.ledger["notes"] == notes, region
    still = dataclasses.replace(config, active_speaker=False)
    extraction = extract(path, still, utterances=[Utterance(0.2, 1.8, "one", region="right")])
    assert np.abs(colour(extraction.clips[0]) - BROWN).max() < 30
    assert extraction.ledger["notes"] == {}


def test_without_sound_no_half_of_the_picture_is_said_to_speak(dialogue):
    path = dialogue(right_talks=False, heard=False)
    config = dataclasses.replace(CONFIG, require=("face",))
    for region, skin in (("left", PALE), ("right", BROWN)):
        extraction = extract(path, config, utterances=[Utterance(0.2, 1.8, "one", region=region)])
        assert np.abs(colour(extraction.clips[0]) - skin).max() < 30
        assert "speaks_elsewhere" not in extraction.ledger["notes"]


def test_a_region_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"region is 'middle'; expected one of .*'left', 'right'"):
        Utterance(0.0, 1.0, region="middle")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("still", Reason.NO_ACTIVE_SPEAKER),
        ("empty", Reason.NO_FACE),
        ("brief", Reason.FACE_TOO_RARE),
        ("silent", Reason.NO_SPEECH),
    ],
)
def test_clips_without_a_speaking_face_are_dropped_under_their_reason(film, name, reason):
    path = film(name, cues=[(0.0, 1.95, "one"), (2.0, 3.95, "two")])
    every = 0.0 if name == "brief" else CONFIG.detect_every_s
    extraction = extract(path, dataclasses.replace(CONFIG, detect_every_s=every))
    assert extraction.clips == []
    assert reasons(extraction.ledger) == {reason: 3.9, "outside_cues": 0.1}


@pytest.mark.parametrize("name", ["still", "empty", "brief"])
def test_where_no_face_is_required_the_clip_stays_without_one(film, name):
    config = dataclasses.replace(CONFIG, require=("text", "speech"))
    extraction = extract(film(name, cues=[(0.0, 1.95, "one"), (2.0, 3.95, "two")]), config)
    assert [len(clip["faces"]) for clip in extraction.clips] == [0, 0]
    assert all(clip["speech"] for clip in extraction.clips)
    assert extraction.ledger["notes"] == {"modality_missing:face": 2}


def test_a_clip_of_nothing_is_dropped_even_where_nothing_is_required(films, tmp_path):
    pictures = [np.zeros((48, 64, 3), np.uint8)] * 20
    path = samples.write_media(tmp_path / "dark.mp4", pictures, fps=10)
    extraction = extract(path, dataclasses.replace(CONFIG, require=()))
    assert extraction.clips == []
    assert reasons(extraction.ledger) == {Reason.NOTHING: 2.0}


def test_without_the_active_speaker_rule_a_still_face_is_taken(film):
    extraction = extract(film("still"), dataclasses.replace(CONFIG, active_speaker=False))
    assert [len(clip["faces"]) for clip in extraction.clips] == [12, 14]
    assert extraction.ledger["notes"] == {}


@pytest.mark.parametrize(
    ("name", "reason"), [("mute", Reason.NO_AUDIO), ("sound", Reason.NO_VIDEO)]
)
def test_a_file_without_a_required_stream_is_dropped_whole(film, name, reason):
    extraction = extract(film(name))
    assert extraction.clips == []
    assert reasons(extraction.ledger) == {reason: pytest.approx(4.0, abs=0.1)}


def test_a_video_without_sound_keeps_its_faces_where_speech_is_not_required(film):
    extraction = extract(film("mute"), dataclasses.replace(CONFIG, require=("text", "face")))
    assert [len(clip["faces"]) for clip in extraction.clips] == [12, 14]
    assert [clip["speech"] for clip in extraction.clips] == [b"", b""]
    assert extraction.ledger["notes"] == {"modality_missing:speech": 2, "most_present_face": 2}


def test_sound_alone_keeps_its_speech_where_faces_are_not_required(film):
    extraction = extract(film("sound"), dataclasses.replace(CONFIG, require=("text", "speech")))
    assert [len(clip["faces"]) for clip in extraction.clips] == [0, 0]
    assert all(clip["speech"] for clip in extraction.clips)
    assert extraction.ledger["notes"] == {"modality_missing:face": 2}


@pytest.mark.parametrize(
    ("cues", "reason"), [(None, Reason.NO_SUBTITLES), ((), Reason.SUBTITLE_NO_CUES)]
)
def test_a_video_without_cues_is_dropped_whole_where_text_is_required(film, cues, reason):
    extraction = extract(film("talking", cues))
    assert extraction.clips == []
    assert reasons(extraction.ledger) == {reason: 4.0}


def test_without_cues_and_without_need_of_text_the_voice_is_cut(film):
    config = dataclasses.replace(CONFIG, require=("face", "speech"), min_utterance_s=0.5)
    extraction = extract(film("talking", cues=None), config)
    assert len(extraction.clips) >= 1
    assert {clip["text"] for clip in extraction.clips} == {""}
    notes = extraction.ledger["notes"]
    assert notes["modality_missing:text"] == notes["cut_by_voice"] == len(extraction.clips)


def test_without_cues_and_sound_the_video_is_cut_evenly(film):
    config = dataclasses.replace(CONFIG, require=("face",), max_utterance_s=1.5)
    extraction = extract(film("mute", cues=()), config)
    assert [round(float(clip["end_s"]), 3) for clip in extraction.clips] == [1.333, 2.667, 4.0]
    assert extraction.ledger["notes"]["cut_evenly"] == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, Reason.MISSING_FILE),
        (b"", Reason.EMPTY_FILE),
        (b"dear diary\n" * 99, Reason.NOT_MEDIA),
    ],
)
def test_what_is_no_media_has_its_reason(tmp_path, content, reason):
    path = tmp_path / "film.mp4"
    if content is not None:
        path.write_bytes(content)
    extraction = extract(path)
    assert extraction.clips == []
    assert extraction.ledger["duration_s"] == 0
    assert extraction.ledger["dropped"] == {reason: {"seconds": 0.0, "count": 1}}
    assert bool(extraction.ledger["sha256"]) == (content is not None)


def test_a_truncated_video_keeps_what_is_whole(tmp_path):
    path = tmp_path / "film.mp4"
    options = {"movflags": "faststart"}
    coding = {"g": "5", "crf": "18"}
    samples.write_media(
        path,
        samples.talking(4, fps=10),
        samples.babble(4),
        fps=10,
        options=options,
        video_options=coding,
    )
    path.with_suffix(".srt").write_text(samples.srt(*CUES))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    extraction = extract(path)
    assert [clip["text"] for clip in extraction.clips] == ["so happy today"]
    dropped = reasons(extraction.ledger)
    assert dropped["damaged"] > 1.4
    assert dropped["damaged"] + dropped["outside_cues"] == pytest.approx(2.8)


def test_a_video_whose_pictures_cannot_be_decoded_is_damaged(film, monkeypatch):
    monkeypatch.setattr(clips.video, "_decode", lambda *args: [])
    extraction = extract(film("talking"))
    assert reasons(extraction.ledger) == {"damaged": 2.6, "outside_cues": 1.4}


def test_mask_in_a_subtitle_is_a_description_not_a_token(film):
    extraction = extract(film("talking", cues=[(0.5, 1.7, "i am [MASK] .")]))
    assert [clip["text"] for clip in extraction.clips] == ["i am ."]


def test_bad_cues_and_encodings_are_noted(film):
    path = film("talking")
    text = samples.srt((0.5, 1.7, "déjà vu"), (3.0, 2.0, "back"), (1.6, 3.0, "over"), (8, 9, "out"))
    path.with_suffix(".srt").write_bytes(text.encode("cp1252"))
    extraction = extract(path)
    assert [clip["text"] for clip in extraction.clips] == ["déjà vu", "over"]
    assert extraction.ledger["notes"] == {
        "cue_bad_times": 1,
        "cue_beyond_end": 1,
        "cue_overlap_cut": 1,
        "subtitle_encoding_guessed": 1,
    }


def test_given_utterances_carry_their_fields_and_may_overlap(film):
    rows = [
        Utterance(2.0, math.inf, "to the end", {"emotion": 3, "id": "mine", "words_aligned": 1}),
        Utterance(0.5, 2.5, "i am [MASK] .", {"speaker": "own"}),
        Utterance(1.0, 1.2, "short"),
        Utterance(9.0, 10.0, "late"),
        Utterance(3.0, 2.0, "back"),
    ]
    extraction = extract(
        film("talking"),
        video_id="set/a",
        utterances=rows,
        labels={"speaker": "s1", "gender": "male"},
    )
    first, second = extraction.clips
    assert (first["id"], first["emotion"], first["speaker"]) == ("mine", 3, "s1")
    assert (second["id"], second["speaker"], second["gender"]) == ("set/a_00001", "own", "male")
    assert second["text"] == "i am [MASK] ."
    assert first["end_s"] == 4.0
    assert len(first["faces"]) == len(second["faces"]) == 20
    assert extraction.ledger["kept_s"] == pytest.approx(3.5)
    assert extraction.ledger["dropped"]["too_short"]["count"] == 1
    assert extraction.ledger["notes"] == {"cue_bad_times": 1, "cue_beyond_end": 1}


def test_an_unknown_field_is_refused_before_any_work(film):
    with pytest.raises(ValueError, match=r"'emotoin'.*are not fields"):
        clips.extract("none.mp4", CONFIG, labels={"emotoin": 3})
    with pytest.raises(ValueError, match=r"'mood'.*are not fields"):
        clips.extract("none.mp4", CONFIG, utterances=[Utterance(0, 1, "", {"mood": 3})])


def test_identity_follows_content_not_names(film):
    path = film("talking")
    first = clips.identity(path)
    other = path.rename(path.with_name("other.mp4"))
    shutil.copy(path.with_suffix(".srt"), other.with_suffix(".srt"))
    assert clips.identity(other) == first
    other.with_suffix(".srt").write_text(samples.srt((0, 1, "changed")))
    changed = {
        first,
        clips.identity(other),
        clips.identity(other, utterances=[]),
        clips.identity(other, utterances=[Utterance(0, math.inf, "", {"emotion": np.int32(3)})]),
        clips.identity(other, labels={"emotions": np.zeros(2)}),
        clips.identity(other, utterances=[Utterance(0, math.inf, region="left")]),
        clips.identity(other, utterances=[Utterance(0, math.inf, region="right")]),
    }
    assert len(changed) == 7
    with pytest.raises(FileNotFoundError):
        clips.identity(path)


def test_timings_tell_the_stages(film):
    timings = {}
    extract(film("talking"), timings=timings)
    once = sum(timings.values())
    assert set(timings) == {"other", "audio", "decode", "detect", "mesh", "crop", "encode"}
    assert min(timings.values()) >= 0
    extract(film("talking"), timings=timings)
    assert sum(timings.values()) > once > 0


def test_subtitles_inside_the_video_are_used(tmp_path):
    path = tmp_path / "film.mkv"
    pictures = samples.talking(2, fps=10)
    samples.write_media(path, pictures, samples.babble(2), fps=10, cues=[(0.5, 1.7, "inside")])
    assert [clip["text"] for clip in extract(path).clips] == ["inside"]


@pytest.mark.real_data
def test_real_talking_faces_pass(real_data_root):
    paths = sorted((real_data_root / "grid_s1" / "mp4").glob("*.mp4"))[::50]
    ledgers = []
    for path in paths:
        extraction = extract(path)
        ledgers.append(extraction.ledger)
        (clip,) = extraction.clips
        assert len(clip["faces"]) == pytest.approx(10 * (clip["end_s"] - clip["start_s"]), abs=1)
        assert len(clip["text"].split()) == 6
    totals = ledger.merge(ledgers)
    assert totals["clips"] == len(paths)
    assert totals["duration_s"] == pytest.approx(3.0 * len(paths), abs=0.04)


@pytest.mark.real_data
def test_a_real_acted_face_passes_as_a_whole_clip(real_data_root):
    path = sorted((real_data_root / "ravdess" / "actor01_mp4").glob("*.mp4"))[-1]
    text = "Dogs are sitting by the door."
    (clip,) = extract(path, utterances=[Utterance(0.0, math.inf, text)]).clips
    assert len(clip["faces"]) == 33
    assert (clip["face_score"] > 0.6).all()
