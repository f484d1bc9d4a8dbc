"""The record: its parts agree, absence is declared, and TFDS stores it without loss."""

import numpy as np
import pytest

from memobert_jax import record

WIDTHS = {"face": 6, "face_emotion": 3, "speech": 4}


def _clips() -> dict:
    words, starts, ends = record.even_words("é non MASK", 1.5)
    return record.make(
        "clips",
        id="video-0001",
        video_id="video",
        gender="female",
        start_s=np.float32(2.5),
        end_s=np.float32(4.0),
        text="é non MASK",
        words_text=words,
        words_start_s=starts,
        words_end_s=ends,
        faces=[b"\xff\xd8jpeg", b""],
        face_time_s=np.array([0.0, 0.1], np.float32),
        face_score=np.array([0.9, 0.8], np.float32),
        speech=b"fLaC\x00",
        emotion=record.EMOTIONS.index("sadness"),
        valence=np.float32(-0.5),
    )


def _features() -> dict:
    rng = np.random.default_rng(0)
    return record.make(
        "features",
        WIDTHS,
        id="a",
        face=rng.normal(size=(2, 6)).astype(np.float16),
        face_emotion=rng.uniform(size=(2, 3)).astype(np.float16),
        face_time_s=np.zeros(2, np.float32),
        face_score=np.ones(2, np.float32),
        speech=rng.normal(size=(5, 4)).astype(np.float16),
        emotions=np.arange(len(record.EMOTIONS), dtype=np.float32),
    )


@pytest.mark.parametrize(
    ("stage", "item", "widths"),
    [
        ("clips", _clips(), None),
        ("clips", record.blank("clips"), None),
        ("features", _features(), WIDTHS),
        ("features", record.blank("features", WIDTHS), WIDTHS),
    ],
)
def test_tfds_gives_back_every_value_and_dtype_of_a_record(stage, item, widths):
    features = record.tfds_features(stage, widths)
    stored = features.serialize_example(record.nest(item))
    back = record.flatten(features.deserialize_example_np(stored))
    assert back.keys() == item.keys()
    for name, value in item.items():
        np.testing.assert_array_equal(back[name], value, err_msg=name)
        if isinstance(value, np.ndarray):
            assert back[name].dtype == value.dtype, name
            assert back[name].shape == value.shape, name


def test_what_is_absent_has_its_declared_value():
    blank = record.blank("features", {"speech": 4})
    assert blank["id"] == ""
    assert blank["emotion"] == -1
    assert np.isnan(blank["valence"])
    assert np.isnan(blank["emotions"]).all()
    assert blank["start_s"] == 0
    assert blank["speech"].shape == (0, 4)
    assert blank["face"].shape == (0, 1)
    assert blank["face_time_s"].shape == (0,)
    assert record.blank("clips")["speech"] == b""
    assert record.blank("clips")["faces"] == []


def test_the_stages_share_all_fields_but_media_and_features():
    clips, features = set(record.fields("clips")), set(record.fields("features"))
    assert clips - features == {"faces"}
    assert features - clips == {"face", "face_emotion", "text_features"}
    assert record.fields("clips")["speech"].kind != record.fields("features")["speech"].kind


def test_an_unknown_stage_is_refused():
    with pytest.raises(ValueError, match="'raw'; expected 'clips' or 'features'"):
        record.fields("raw")


def test_an_unknown_field_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'facez' is not a field of a clips record; .*'faces'"):
        record.make("clips", facez=[])


def test_a_features_field_is_refused_in_a_clips_record():
    with pytest.raises(ValueError, match="'face' is not a field of a clips record"):
        record.make("clips", face=np.zeros((0, 1), np.float16))


@pytest.mark.parametrize(
    ("stage", "parts"),
    [
        ("clips", {"faces": [b"x"], "face_time_s": np.zeros(2, np.float32)}),
        ("features", {"face": np.zeros((3, 1), np.float16)}),
        ("features", {"words_text": ["a"], "words_start_s": np.zeros(1, np.float32)}),
    ],
)
def test_parts_of_different_length_are_refused(stage, parts):
    with pytest.raises(ValueError, match="record 'a': lengths differ"):
        record.make(stage, id="a", **parts)


def test_missing_and_unknown_fields_are_named():
    item = record.blank("clips")
    del item["gender"]
    item["colour"] = "red"
    with pytest.raises(ValueError, match=r"missing fields \['gender'\], unknown .*\['colour'\]"):
        record.check(item, "clips")


def test_a_width_of_a_field_without_frames_is_refused():
    with pytest.raises(ValueError, match=r"\['text'\], which are not frame fields"):
        record.tfds_features("features", {"text": 3})


def test_words_share_the_clip_evenly():
    words, starts, ends = record.even_words(" i am\tfine ", 3.0)
    assert words == ["i", "am", "fine"]
    np.testing.assert_allclose(starts, [0, 1, 2])
    np.testing.assert_allclose(ends, [1, 2, 3])
    assert starts.dtype == ends.dtype == np.float32


def test_a_text_without_words_has_no_word_times():
    words, starts, ends = record.even_words("  ", 3.0)
    assert (words, len(starts), len(ends)) == ([], 0, 0)


def test_flatten_undoes_nest():
    flat = {"a": 1, "words/text": ["x"], "words/start_s": 2}
    assert record.nest(flat) == {"a": 1, "words": {"text": ["x"], "start_s": 2}}
    assert record.flatten(record.nest(flat)) == flat
