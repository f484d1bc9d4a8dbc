"""Processed files of CMU-MOSI, CMU-MOSEI, IEMOCAP: padding off, labels in place, faults named."""

import cmu_files
import cmu_processed_files as made
import numpy as np
import pytest

from memobert_jax import record
from tfds_builders.cmu import beside, ids, mmsa, mult, padding, processed, seq20
from tfds_builders.cmu.processed import Id, Source
from tfds_builders.listing import Tally

FIFTY = {"text": 10, "audio": 10, "vision": 10}
UNALIGNED = {"text": 10, "audio": 40, "vision": 30}


def read(tables, aligned=True, scores=True, **more):
    """(split -> records, tally, widths) of tables."""
    found = processed.records(Source(["x.pkl"], tables, aligned, scores, **more))
    tally, out = Tally(), {}
    for split, item in found.read(tally):
        record.check(item, "features")
        out.setdefault(split, []).append(item)
    return out, tally, found


def assert_same(found, truth, first=0):
    """The records are the segments, unpadded, from column `first` of the face."""
    assert {split: len(items) for split, items in found.items()} == {
        made.HERE[split]: len(segments) for split, segments in truth.items()
    }
    for split, segments in truth.items():
        for item, segment in zip(found[made.HERE[split]], segments, strict=True):
            np.testing.assert_array_equal(item["text_features"], segment["text"])
            np.testing.assert_array_equal(item["speech"], segment["audio"])
            np.testing.assert_array_equal(item["face"], segment["vision"][:, first:])


@pytest.mark.parametrize("right", [False, True])
def test_an_aligned_pickle_gives_its_segments_whichever_side_is_padded(right, tmp_path):
    truth = made.truth()
    splits = {split: made.mult(s, FIFTY, right) for split, s in truth.items()}
    found, tally, records = read(mult.read(made.dump(tmp_path / "x.pkl", splits)))
    assert_same(found, truth)
    assert records.widths == {"text_features": 300, "speech": 74, "face": 35}
    side = "right" if right else "left"
    padded = f"text_features, speech, face: segments padded on the {side}"
    assert tally.notes[padded] == tally.totals(13)["kept"] == 13
    first = found["train"][0]
    assert first["id"] == "train0_0.000_2.500"
    assert (first["video_id"], first["start_s"], first["end_s"]) == ("train0", 0.0, 2.5)
    assert first["sentiment"] == pytest.approx(truth["train"][0]["sentiment"])
    assert np.isnan(first["emotions"]).all()
    assert first["emotion"] == -1
    assert np.isnan(first["face_time_s"]).all()


def test_emotion_scores_of_facet_are_left_out_and_it_is_said(tmp_path):
    truth = made.truth()
    splits = {split: made.mult(s, FIFTY) for split, s in truth.items()}
    path = made.dump(tmp_path / "x.pkl", splits)
    found, _, records = read(mult.read(path), scores=False)
    assert_same(found, truth, first=10)
    assert records.widths["face"] == 25
    assert "FACET 4.2 without emotion scores" in records.encoders["face"]["name"]
    assert records.encoders["face"]["rate_hz"] == 0
    assert "FACET 4.2 with emotion scores" in read(mult.read(path))[2].encoders["face"]["name"]


@pytest.mark.parametrize(("vision", "kept", "name"), [(47, 47, "47 columns"), (713, 713, "OpenF")])
def test_widths_are_those_of_the_arrays(vision, kept, name, tmp_path):
    truth = made.truth(widths={"text": 768, "audio": 5, "vision": vision})
    splits = {split: made.mult(s, FIFTY) for split, s in truth.items()}
    found, _, records = read(mult.read(made.dump(tmp_path / "x.pkl", splits)), scores=False)
    assert_same(found, truth)
    assert records.widths == {"text_features": 768, "speech": 5, "face": kept}
    assert name in records.encoders["face"]["name"]
    assert "5 columns of COVAREP" in records.encoders["speech"]["name"]


def test_modalities_of_an_unaligned_pickle_keep_their_own_lengths(tmp_path):
    truth = made.truth(steps=UNALIGNED)
    splits = {split: made.mult(s, UNALIGNED, clips=True) for split, s in truth.items()}
    path = made.dump(tmp_path / "x.pkl", splits)
    found, tally, _ = read(mult.read(path), aligned=False)
    assert_same(found, truth)
    assert found["train"][3]["id"] == "train1_3"
    assert found["train"][3]["video_id"] == "train1"
    assert (found["train"][3]["start_s"], found["train"][3]["end_s"]) == (0, 0)
    assert sum("padded on the left" in note for note in tally.notes) == 3
    with pytest.raises(ValueError, match=r"modalities have .* steps.*Is it the unaligned one"):
        read(mult.read(path), aligned=True)


def test_what_is_no_number_becomes_zero_and_is_counted(tmp_path):
    truth = made.truth()
    splits = {split: made.mult(s, FIFTY) for split, s in truth.items()}
    splits["train"]["audio"][0, -1, 3] = -np.inf
    splits["test"]["vision"][1, -1, 7] = np.nan
    splits["test"]["audio"][1, -1, 5] = 1e6
    splits["valid"]["audio"][0, 0] = -np.inf  # before the segment: still padding
    found, tally, _ = read(mult.read(made.dump(tmp_path / "x.pkl", splits)))
    assert found["train"][0]["speech"][-1, 3] == 0
    assert found["test"][1]["face"][-1, 7] == 0
    assert found["test"][1]["speech"][-1, 5] == 65504
    assert len(found["validation"][0]["speech"]) == len(truth["valid"][0]["audio"])
    assert tally.notes["text_features, speech, face: segments padded on the left"] == 13
    assert tally.notes["face: values that are NaN, set to 0 (columns 7)"] == 1
    assert sum("speech: values that are infinite" in note for note in tally.notes) == 1
    assert tally.notes["speech: values beyond half precision, cut to ±65504 (columns 5)"] == 1


def test_segments_without_a_label_a_row_or_an_id_of_their_own_are_left_out(tmp_path):
    splits = {split: made.mult(s, FIFTY) for split, s in made.truth().items()}
    splits["train"]["labels"][1] = np.nan
    splits["train"]["labels"][2] = 3.5
    splits["train"]["id"][4] = splits["train"]["id"][3]
    for name in ("text", "audio", "vision"):
        splits["test"][name][0] = 0
    splits["test"]["id"][3, 0] = "valid0"
    _, tally, _ = read(mult.read(made.dump(tmp_path / "x.pkl", splits)))
    omitted = tally.totals(9)["omitted"]
    assert {reason: entry["count"] for reason, entry in omitted.items()} == {
        "no_label": 1,
        "label_not_in_set": 1,
        "duplicate_id": 1,
        "no_features": 1,
    }
    assert tally.notes["videos that are in more than one split"] == 1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: s.pop("valid"), r"x\.pkl holds \['test', 'train'\]; expected the splits"),
        (lambda s: s["train"].pop("audio"), "train: no audio"),
        (lambda s: s["test"].pop("id"), "test: no id"),
        (lambda s: s["train"].update(text=s["train"]["text"][1:]), "counts of segments differ"),
        (lambda s: s["train"].update(id=s["train"]["id"][1:]), "counts of segments differ"),
        (lambda s: s["train"].update(labels=s["train"]["labels"][1:]), "counts of segments differ"),
        (lambda s: s["train"].update(text=s["train"]["text"][0]), "expected .segments, steps"),
        (lambda s: s["train"].update(text="words"), "text is no array of numbers"),
        (lambda s: s["train"].update(labels=np.zeros((6, 1, 7))), "labels have the shape"),
        (lambda s: s["train"].update(id=np.array([["v", "start", "1"]] * 6)), "times in seconds"),
        (lambda s: s["train"].update(id=np.array([["v", "1"]] * 6)), "ids have the shape"),
        (lambda s: s["test"].update(text=s["test"]["text"][..., 1:]), "expected the same columns"),
        (lambda s: s["train"].update(labels=1.5), r"x\.pkl, train: labels is no array of numbers"),
        (lambda s: s["train"].update(labels=[[1.0], []]), r"x\.pkl, train: labels is no array"),
        (lambda s: s["train"].update(id=[["a", "1"], ["b"]]), r"x\.pkl, train: ids of several"),
        (lambda s: s["train"].update(id=[]), "counts of segments differ"),
    ],
)
def test_a_pickle_whose_parts_do_not_fit_together_is_refused(spoil, message, tmp_path):
    splits = {split: made.mult(s, FIFTY) for split, s in made.truth().items()}
    spoil(splits)
    with pytest.raises(ValueError, match=message):
        read(mult.read(made.dump(tmp_path / "x.pkl", splits)))


def test_padding_on_no_clear_side_is_refused(tmp_path):
    truth = made.truth()
    for segments in truth.values():
        del segments[2:]
    splits = {split: made.mult(s, FIFTY) for split, s in truth.items()}
    for part, segments in zip(splits.values(), truth.values(), strict=True):
        for name in made.WIDTHS:
            part[name][1:] = made.padded(segments, name, 10, right=True)[1:]
    with pytest.raises(ValueError, match="3 segments have zeros before them and as many after"):
        read(mult.read(made.dump(tmp_path / "x.pkl", splits)))


def test_without_padding_all_steps_are_kept():
    arrays = [np.ones((4, 5, 2))]
    arrays[0][0, -1] = 0
    assert padding.side(padding.votes([np.ones((4, 5, 2))])) == "none"
    assert padding.span([arrays[0][0]], "none") == slice(0, 5)
    assert padding.span([arrays[0][0]], "right") == slice(0, 4)
    assert padding.span([np.zeros((5, 2))], "left") == slice(0, 0)


@pytest.mark.parametrize("steps", [None, {"audio": 40, "vision": 30}])
def test_mmsa_gives_its_segments_by_mask_and_lengths_with_their_text(steps, tmp_path):
    own = {"text": 9, **steps} if steps else None
    truth = made.truth(widths={"text": 768, "audio": 74, "vision": 35}, steps=own)
    splits = {split: made.mmsa(s, steps) for split, s in truth.items()}
    path = made.dump(tmp_path / "x.pkl", splits)
    found, _, _ = read(mmsa.read(path), aligned=not steps)
    assert_same(found, truth)
    item = found["train"][2]
    assert (item["id"], item["video_id"], item["text"]) == ("train1$_$2", "train1", "some words 2")
    assert item["words/text"] == ["some", "words", "2"]
    assert item["sentiment"] == pytest.approx(truth["train"][2]["sentiment"])


def test_mmsa_without_a_mask_and_of_other_widths_is_read(tmp_path):
    truth = made.truth(widths={"text": 300, "audio": 33, "vision": 709})
    splits = {split: made.mmsa(s, None) for split, s in truth.items()}
    for split, part in splits.items():
        del part["text_bert"]
        part["text"] = made.padded(truth[split], "text", 12, right=True)
    found, _, records = read(mmsa.read(made.dump(tmp_path / "x.pkl", splits)))
    assert_same(found, truth)
    assert records.widths == {"text_features": 300, "speech": 33, "face": 709}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p.update(text_bert=p["text_bert"][:, :, 1:]), "text_bert has the shape"),
        (lambda p: p["text_bert"].__setitem__((0, 1, 0), 0), "does not begin with its ones"),
        (lambda p: p.update(raw_text=p["raw_text"][1:]), "5 texts for 6 labels"),
        (lambda p: p.update(audio_lengths=[99] * 6), "are up to 99; expected whole"),
        (lambda p: p.update(vision_lengths=[1] * 5), "counts of segments differ"),
        (lambda p: p.update(vision=p["vision"][1:]), "counts of segments differ"),
        (lambda p: p.update(vision=np.tile(p["vision"], (2, 1, 1))), "counts of segments differ"),
        (lambda p: p.update(audio_lengths=[1.5] * 6), "expected whole numbers from 0 to 40"),
        (lambda p: p.update(audio_lengths=[np.nan] * 6), "expected whole numbers from 0 to 40"),
        (lambda p: p.update(audio_lengths=None), "train: audio_lengths is no array of numbers"),
        (lambda p: p.update(text=p["text"][0, 0]), "expected .segments, steps, columns"),
        (lambda p: p.update(regression_labels={"a": 1}), "regression_labels is no array of num"),
        (lambda p: p.update(raw_text=[None] * 6), "train: raw_text is no array of texts"),
        (lambda p: p.update(raw_text=6), "train: raw_text is no array of texts"),
    ],
)
def test_mmsa_whose_parts_do_not_fit_together_is_refused(spoil, message, tmp_path):
    steps = {"audio": 40, "vision": 30}
    truth = made.truth(steps={"text": 9, **steps})
    splits = {split: made.mmsa(s, steps) for split, s in truth.items()}
    spoil(splits["train"])
    with pytest.raises(ValueError, match=message):
        read(mmsa.read(made.dump(tmp_path / "x.pkl", splits)), aligned=False)


def test_the_files_of_20_steps_have_six_emotions_in_their_order(tmp_path):
    truth = made.truth()
    tables = seq20.read_mosei(made.write_h5(tmp_path, truth))
    found, _, _ = read(tables)
    assert_same(found, truth)
    names = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
    order = [record.EMOTIONS.index(name) for name in names]
    given = made.intensities(truth["valid"])
    for item, row in zip(found["validation"], given, strict=True):
        np.testing.assert_array_equal(item["emotions"][order], row)
        assert np.isnan(item["emotions"]).sum() == len(record.EMOTIONS) - 6
    assert found["test"][1]["id"] == "test_00001"


def test_a_missing_or_foreign_file_of_20_steps_is_named(tmp_path):
    made.write_h5(tmp_path, made.truth())
    (tmp_path / "ey_valid.h5").rename(tmp_path / "kept.h5")
    with pytest.raises(FileNotFoundError, match=r"no file .*ey_valid\.h5"):
        seq20.read_mosei(tmp_path)
    (tmp_path / "y_test.h5").rename(tmp_path / "ey_valid.h5")
    with pytest.raises(ValueError, match=r"valid: ey is \(4, 1\) and y \(3, 1\)"):
        seq20.read_mosei(tmp_path)
    (tmp_path / "kept.h5").write_bytes((tmp_path / "text_train_emb.h5").read_bytes())
    (tmp_path / "kept.h5").rename(tmp_path / "ey_valid.h5")
    with pytest.raises(ValueError, match=r"ey_valid\.h5: d1 has the shape .* expected 2 dim"):
        seq20.read_mosei(tmp_path)


def test_four_emotions_of_iemocap_come_from_pairs(tmp_path):
    truth = made.truth()
    splits = {split: made.iemocap_4(s, 9) for split, s in truth.items()}
    splits["train"]["labels"][5] = [[0, 1]] * 4
    found, tally, _ = read(mult.read_iemocap(made.dump(tmp_path / "x.pkl", splits)))
    names = [record.EMOTIONS[item["emotion"]] for item in found["train"]]
    assert names == ["neutral", "happiness", "sadness", "anger", "neutral"]
    assert tally.totals(12)["omitted"]["label_not_in_set"]["count"] == 1
    splits["train"]["labels"] = splits["train"]["labels"][:, :3]
    with pytest.raises(ValueError, match=r"labels have the shape \(6, 3, 2\)"):
        mult.read_iemocap(made.dump(tmp_path / "x.pkl", splits))


def test_nine_emotions_of_iemocap_come_from_pickles_of_python_2(tmp_path):
    truth = made.truth()
    truth["train"] *= 2
    tables = seq20.read_iemocap(made.write_iemocap_9(tmp_path, truth))
    found, tally, _ = read(tables)
    names = [record.EMOTIONS[item["emotion"]] for item in found["train"]]
    assert names == [
        "anger", "excitement", "fear", "sadness", "surprise", "frustration", "happiness", "neutral",
        "disgust",
    ]  # fmt: skip
    assert tally.totals(0 + sum(map(len, found.values())))["omitted"]["label_not_in_set"][
        "examples"
    ] == ["train_00000", "train_00010", "train_00011", "validation_00000", "test_00000"]
    np.testing.assert_array_equal(found["train"][0]["speech"], truth["train"][1]["audio"])
    (tmp_path / "y_test.p").write_bytes(made.python_2(np.zeros((4, 9))))
    with pytest.raises(ValueError, match=r"test: y has the shape \(4, 9\)"):
        seq20.read_iemocap(tmp_path)


def test_emotions_and_words_come_from_the_segment_of_the_same_times(tmp_path):
    truth = made.truth()
    rows = {s["id"][0]: [] for part in truth.values() for s in part}
    for part in truth.values():
        for segment in part:
            rows[segment["id"][0]].append(segment)
    labels = {}
    for video, segments in rows.items():
        values = [[s["sentiment"], 0, 0, 1, 0, 0, n + 1] for n, s in enumerate(segments)]
        times = [[s["id"][1] - 0.004, s["id"][2] + 0.009] for s in segments]
        labels[video] = np.array(values, "f4"), np.array(times)
    labels["train1"][1][0] += 1  # another time
    labels["test0"][0][1, 0] -= 2 / 3  # another sentiment
    cmu_files.write_csd(tmp_path / "labels.csd", "All Labels", labels)
    texts = np.array([[b"sp"], [b"hello"], [b"there"]], "S12")
    times = np.array([[0, 0.5], [0.5, 1.0], [2.0, 3.0]])
    cmu_files.write_csd(tmp_path / "words.csd", "words", {"train0": (texts, times)})
    splits = {split: made.mult(s, FIFTY) for split, s in truth.items()}
    found, tally, _ = read(
        mult.read(made.dump(tmp_path / "x.pkl", splits)),
        beside=lambda: beside.opened(tmp_path / "labels.csd", tmp_path / "words.csd"),
    )
    first = dict(zip(record.EMOTIONS, found["train"][0]["emotions"], strict=True))
    assert (first["anger"], first["fear"], first["happiness"]) == (1, 1, 0)
    assert np.isnan(found["train"][2]["emotions"]).all()
    assert (
        tally.notes["segments whose times are in no row of the label file: without emotions"] == 1
    )
    assert tally.notes["segments found in the label file by their times, within 0.01 s"] == 12
    differ = "of these, segments whose sentiment is not that of the label file"
    assert tally.notes[differ] == 1
    assert found["train"][0]["text"] == "hello there"
    np.testing.assert_allclose(found["train"][0]["words/start_s"], [0.5, 2.0])
    np.testing.assert_allclose(found["train"][0]["words/end_s"], [1.0, 2.5])
    assert found["train"][0]["words_aligned"] == 1
    assert found["test"][0]["text"] == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a-b_7"], Id("a-b_7", "a-b")),
        ([b"_x_y_12"], Id("_x_y_12", "_x_y")),
        (["v$_$3"], Id("v$_$3", "v")),
        (["v[3]"], Id("v[3]", "v")),
        (["noclip"], Id("noclip", "noclip")),
        ([["v", b"1.5", 2.0]], Id("v_1.5_2.0", "v", 1.5, 2.0)),
    ],
)
def test_ids_of_all_forms_name_their_video(given, expected):
    array = np.array(given, object) if isinstance(given[0], list) else given
    found = ids.parse_all(array, "x.pkl")[0]
    assert (found.key, found.video) == (expected.key, expected.video)
    np.testing.assert_array_equal([found.start_s, found.end_s], [expected.start_s, expected.end_s])
