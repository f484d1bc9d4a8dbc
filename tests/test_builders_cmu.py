"""cmu_mosei, cmu_mosi and iemocap_features: from the files of the source to datasets."""

import builders_kit as kit
import cmu_files
import cmu_processed_files as made
import h5py
import numpy as np
import pytest
import runs

from memobert_jax import data, features, record


@pytest.fixture(scope="module")
def sequences():
    return cmu_files.sequences()


@pytest.fixture
def corpus(tmp_path, sequences):
    folder = cmu_files.write_corpus(tmp_path / "in", sequences)
    cmu_files.write_folds(folder)
    return folder


def dataset(data_dir, config, name="cmu_mosei"):
    return data_dir / name / config / "1.0.0"


def build(name, folder, data_dir, config):
    said = kit.run_build(name, folder, data_dir, config=config)
    return said, kit.read_dataset(dataset(data_dir, config, name))


def test_a_segment_has_a_row_a_word_in_every_modality(corpus, tmp_path, sequences):
    _, found = build("cmu_mosei", corpus, tmp_path / "data", "words")
    assert [item["id"] for item in found["validation"]] == ["vidB[0]", "vidB[1]", "vidB[2]"]
    item = found["validation"][0]
    values, times = sequences["labels"]["vidB"]
    assert item["video_id"] == "vidB"
    assert (item["start_s"], item["end_s"]) == pytest.approx(tuple(times[0]))
    assert item["sentiment"] == pytest.approx(values[0, 0])
    emotions = dict(zip(record.EMOTIONS, item["emotions"], strict=True))
    assert emotions["happiness"] == pytest.approx(values[0, 1])
    assert emotions["fear"] == pytest.approx(values[0, 6])
    rows = {len(item[name]) for name in ("text_features", "face", "speech", "face_time_s")}
    assert len(rows) == 1
    words = [w.decode() for w in sequences["words"]["vidB"][0][14:, 0] if w != b"sp"]
    assert item["words/text"] == item["text"].split() == words
    assert item["words_aligned"] == 1
    assert item["face"].shape[1] == 25
    spoken = item["text_features"].any(1)
    assert spoken.sum() == len(words)  # pauses have rows, and vectors of zeros
    np.testing.assert_allclose(item["face_time_s"][spoken], item["words/start_s"], atol=0.05)


def test_words_without_a_face_have_rows_of_zeros_and_no_score(corpus, tmp_path, sequences):
    said, found = build("cmu_mosei", corpus, tmp_path / "data", "words")
    (item,) = (item for item in found["train"] if item["id"] == "vidA[0]")
    lost = sequences["face"]["vidA"][1][-1, 1] - item["start_s"]
    assert (item["face_score"] == (item["face_time_s"] < lost)).all()
    assert not item["face"][item["face_score"] == 0].any()
    missing = sum((item["face_score"] == 0).sum() for item in found["train"])
    assert f"face: rows without features, 0: {missing}" in said


def test_the_report_says_what_was_odd(corpus, tmp_path):
    said, _ = build("cmu_mosei", corpus, tmp_path / "data", "words")
    assert "listed                                   12" in said
    assert "speech: values that are NaN, set to 0 (columns 1): 4" in said
    assert "speech: values that are infinite, set to 0 (columns 0): 4" in said
    assert "labels: rows that start before zero, kept: 4" in said
    assert "labels: rows that start before the row above them, put in order: 4" in said
    assert "*** split train, clips: built 6, published 16327 (-16321)" in said


def test_the_metadata_say_what_a_row_is_and_training_takes_the_dataset(corpus, tmp_path):
    build("cmu_mosei", corpus, tmp_path / "data", "words")
    folder = dataset(tmp_path / "data", "words")
    found = features.FeaturesDataset(folder, "train")
    encoders = found.metadata["encoders"]
    assert encoders["face"]["name"] == "FACET 4.2 without emotion scores, mean over a word"
    assert encoders["speech"]["name"] == "COVAREP, mean over a word"
    assert (encoders["face"]["rate_hz"], encoders["speech"]["width"]) == (0, 74)
    assert found.metadata["settings"]["emotion_scores"] is False
    assert found.widths["text_features"] == 300
    batch = data.TrainData(runs.config(folder), runs.tokens()).batch(0)
    assert batch["face"].shape[-1] == 25
    assert np.abs(batch["speech"]).sum() > 0


def test_emotion_scores_are_kept_where_they_are_asked_for(corpus, tmp_path, sequences):
    build("cmu_mosei", corpus, tmp_path / "data", "words")
    _, found = build("cmu_mosei", corpus, tmp_path / "data", "words_scores")
    plain = kit.read_dataset(dataset(tmp_path / "data", "words"))
    assert found["test"][0]["face"].shape[1] == 35
    np.testing.assert_array_equal(found["test"][0]["face"][:, 10:], plain["test"][0]["face"])
    name = kit.read_metadata(dataset(tmp_path / "data", "words_scores"))["encoders"]["face"]["name"]
    assert "with emotion scores" in name


def test_frames_have_the_rates_of_this_project(corpus, tmp_path):
    _, found = build("cmu_mosei", corpus, tmp_path / "data", "frames")
    encoders = kit.read_metadata(dataset(tmp_path / "data", "frames"))["encoders"]
    assert encoders["face"]["rate_hz"] == pytest.approx(record.FACE_FPS)
    assert encoders["speech"]["rate_hz"] == pytest.approx(1 / record.SPEECH_ROW_S)
    for item in found["test"]:
        seconds = item["end_s"] - item["start_s"]
        assert len(item["speech"]) == pytest.approx(seconds / record.SPEECH_ROW_S, abs=1)
        if item["start_s"] > 0:
            assert len(item["face"]) == pytest.approx(seconds * record.FACE_FPS, abs=1)
        steps = np.diff(item["face_time_s"])
        np.testing.assert_allclose(steps, 1 / record.FACE_FPS, atol=1e-4)


def test_openface_takes_the_place_of_facet(corpus, tmp_path, sequences):
    wide = {v: (np.tile(f, (1, 21))[:, :713], i) for v, (f, i) in sequences["face"].items()}
    cmu_files.write_csd(corpus / "visual" / "CMU_MOSEI_VisualOpenFace2.csd", "OpenFace_2", wide)
    (corpus / "CMU_MOSEI_VisualFacet42.csd").unlink()
    _, found = build("cmu_mosei", corpus, tmp_path / "data", "words_openface")
    assert found["test"][0]["face"].shape[1] == 713


def test_videos_that_a_file_or_the_folds_lack_are_left_out_and_counted(tmp_path, sequences):
    less = {name: dict(videos) for name, videos in sequences.items()}
    del less["speech"]["vidA"], less["labels"]["vidD"]
    less["labels"]["vidE"] = less["labels"]["vidB"]
    for name in ("text_features", "words"):  # nothing is said in the first segment by time
        late = less[name]["vidC"][1][:, 0] > 4
        less[name]["vidC"] = tuple(part[late] for part in less[name]["vidC"])
    folder = cmu_files.write_corpus(tmp_path / "in", less)
    cmu_files.write_folds(folder, train=["vidA", "vidB"], valid=["vidC"], test=["vidD"])
    with pytest.raises(ValueError, match="nothing of split test is left"):
        kit.run_build("cmu_mosei", folder, tmp_path / "data", config="words")
    cmu_files.write_folds(folder, train=["vidA", "vidB"], valid=["vidC"], test=["vidE", "vidF"])
    for name in ("speech", "face", "words", "text_features"):
        less[name]["vidE"] = less[name]["vidB"]
    cmu_files.write_corpus(tmp_path / "in", less)
    said, found = build("cmu_mosei", folder, tmp_path / "data", "words")
    listed = kit.read_metadata(dataset(tmp_path / "data", "words"))["listing"]
    assert (listed["listed"], listed["kept"]) == (12, 8)
    assert listed["omitted"] == {
        "misaligned": {"count": 3, "examples": ["vidA[0]", "vidA[1]", "vidA[2]"]},
        "no_features": {"count": 1, "examples": ["vidC[1]"]},
    }
    assert [item["id"] for item in found["validation"]] == ["vidC[0]", "vidC[2]"]
    assert "segments of videos without speech, left out: 3" in said
    assert "videos with features and without labels: 1" in said
    assert "videos of the folds without labels: 1" in said
    cmu_files.write_folds(folder, train=["vidB"], valid=["vidC"], test=["vidE"])
    said = kit.run_build("cmu_mosei", folder, tmp_path / "other", config="words")
    assert "segments of videos in none of the folds, left out: 3" in said


def test_a_segment_without_rows_of_one_modality_is_left_out_as_by_the_sdk(tmp_path, sequences):
    changed = {name: dict(videos) for name, videos in sequences.items()}
    start, end = changed["words"]["vidB"][1][7]
    late = start + 0.6 * (end - start)
    rows, times = changed["speech"]["vidB"]
    kept = (times[:, 1] < start + 0.3 * (end - start)) | (times[:, 0] > end)
    changed["speech"]["vidB"] = rows[kept], times[kept]
    values, times = changed["labels"]["vidB"]
    changed["labels"]["vidB"] = values, np.array([times[0], (late, end - 0.001), times[2]])
    folder = cmu_files.write_corpus(tmp_path / "in", changed)
    cmu_files.write_folds(folder)
    build("cmu_mosei", folder, tmp_path / "data", "words")
    omitted = kit.read_metadata(dataset(tmp_path / "data", "words"))["listing"]["omitted"]
    assert omitted == {"misaligned": {"count": 1, "examples": ["vidB[1]"]}}


def test_a_changed_input_is_noticed(corpus, tmp_path, sequences):
    build("cmu_mosei", corpus, tmp_path / "data", "words")
    assert "already whole" in kit.run_build("cmu_mosei", corpus, tmp_path / "data", config="words")
    with h5py.File(corpus / "CMU_MOSEI_Labels.csd", "a") as file:
        file["All Labels/data/vidA/features"][0, 0] = 0.125
    with pytest.raises(ValueError, match="other input or settings: fingerprint"):
        kit.run_build("cmu_mosei", corpus, tmp_path / "data", config="words")


@pytest.mark.parametrize(
    "name", [*(file for file, _ in cmu_files.FILES.values()), "cmu_mosei_std_folds.py"]
)
def test_a_missing_file_is_named_with_what_belongs_there(name, corpus, tmp_path):
    (corpus / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"no {name}.*manual_dir holds the files"):
        kit.run_build("cmu_mosei", corpus, tmp_path / "data", config="words")


def test_files_under_each_others_names_are_refused(corpus, tmp_path):
    vectors = corpus / "CMU_MOSEI_TimestampedWordVectors.csd"
    texts = corpus / "CMU_MOSEI_TimestampedWords.csd"
    kept = texts.read_bytes()
    texts.write_bytes(vectors.read_bytes())
    with pytest.raises(ValueError, match="has 300 columns of numbers; expected the words"):
        kit.run_build("cmu_mosei", corpus, tmp_path / "data", config="words")
    vectors.write_bytes(kept)
    with pytest.raises(ValueError, match="has 0 columns of numbers; expected the text_features"):
        kit.run_build("cmu_mosei", corpus, tmp_path / "data", config="words")


def test_pickles_of_mosei_get_emotions_and_words_from_the_other_files(tmp_path):
    truth = made.truth()
    labels = {}
    for segment in (s for part in truth.values() for s in part):
        video, *times = segment["id"]
        features_, intervals = labels.setdefault(video, ([], []))
        features_.append([segment["sentiment"], 1, 0, 0, 0, 0, 2])
        intervals.append(times)
    labels = {v: (np.array(f, "f4"), np.array(i)) for v, (f, i) in labels.items()}
    folder = tmp_path / "in"
    cmu_files.write_csd(folder / "CMU_MOSEI_Labels.csd", "All Labels", labels)
    steps = dict.fromkeys(made.WIDTHS, 10)
    splits = {split: made.mult(s, steps) for split, s in truth.items()}
    made.dump(folder / "mosei_senti_data.pkl", splits)
    said, found = build("cmu_mosei", folder, tmp_path / "data", "aligned_50")
    emotions = dict(zip(record.EMOTIONS, found["train"][0]["emotions"], strict=True))
    assert (emotions["happiness"], emotions["fear"]) == (1, 2)
    assert "segments found in the label file by their times, within 0.01 s: 13" in said
    assert found["train"][0]["face"].shape[1] == 25
    (folder / "CMU_MOSEI_Labels.csd").unlink()
    with pytest.raises(FileNotFoundError, match=r"no CMU_MOSEI_Labels\.csd"):
        kit.run_build("cmu_mosei", folder, tmp_path / "other", config="aligned_50")


@pytest.mark.parametrize("name", ["cmu_mosei", "cmu_mosi"])
def test_processed_files_of_mmsa_are_found_in_their_folder(name, tmp_path):
    steps = {"audio": 40, "vision": 30}
    truth = made.truth(steps={"text": 9, **steps})
    (tmp_path / "in" / "Processed").mkdir(parents=True)
    splits = {split: made.mmsa(s, steps) for split, s in truth.items()}
    made.dump(tmp_path / "in" / "Processed" / "unaligned_50.pkl", splits)
    _, found = build(name, tmp_path / "in", tmp_path / "data", "mmsa_unaligned")
    item, segment = found["test"][0], truth["test"][0]
    np.testing.assert_allclose(item["speech"], segment["audio"], atol=2e-3)
    assert item["text"] == "some words 0"


def test_files_of_20_steps_are_a_dataset(tmp_path):
    truth = made.truth()
    made.write_h5(tmp_path / "in" / "seq_length_20", truth)
    said, found = build("cmu_mosei", tmp_path / "in", tmp_path / "data", "seq_20")
    assert "built 6, published 15290" in said
    np.testing.assert_allclose(
        found["test"][0]["text_features"], truth["test"][0]["text"], atol=2e-3
    )


def test_mosi_has_sentiment_alone_and_faces_of_columns_that_are_not_known(tmp_path):
    given = cmu_files.sequences(columns=1)
    given["face"] = {v: (np.tile(f, (1, 2))[:, :47], i) for v, (f, i) in given["face"].items()}
    folder = tmp_path / "in"
    for name, file in {
        "words": "language/CMU_MOSI_ModifiedTimestampedWords.csd",
        "text_features": "language/CMU_MOSI_TimestampedWordVectors.csd",
        "speech": "acoustic/CMU_MOSI_COVAREP.csd",
        "face": "visual/CMU_MOSI_VisualFacet_4.1.csd",
        "labels": "labels/CMU_MOSI_Opinion_Labels.csd",
    }.items():
        cmu_files.write_csd(folder / file, "Opinion Segment Labels", given[name], False)
    cmu_files.write_folds(folder, "cmu_mosi_std_folds.py")
    said, found = build("cmu_mosi", folder, tmp_path / "data", "words")
    item = found["test"][0]
    assert item["face"].shape[1] == 47
    assert item["sentiment"] == pytest.approx(given["labels"]["vidC"][0][0, 0])
    assert np.isnan(item["emotions"]).all()
    encoders = kit.read_metadata(dataset(tmp_path / "data", "words", "cmu_mosi"))["encoders"]
    assert "which may hold emotion scores" in encoders["face"]["name"]
    assert "built 6, published 1284" in said
    truth = made.truth()
    splits = {
        split: made.mult(segments, dict.fromkeys(made.WIDTHS, 10), clips=True)
        for split, segments in truth.items()
    }
    made.dump(folder / "mosi_data.pkl", splits)
    _, found = build("cmu_mosi", folder, tmp_path / "data", "aligned_50")
    assert [item["video_id"] for item in found["test"]] == ["test0", "test0", "test1", "test1"]


def test_pickles_of_iemocap_are_datasets(tmp_path):
    truth = made.truth()
    (tmp_path / "in").mkdir()
    splits = {split: made.iemocap_4(s, 9) for split, s in truth.items()}
    made.dump(tmp_path / "in" / "iemocap_data.pkl", splits)
    said, found = build("iemocap_features", tmp_path / "in", tmp_path / "data", "four")
    assert "emotion/neutral: built 2, published 954" in said
    assert found["train"][1]["emotion"] == record.EMOTIONS.index("happiness")
    made.write_iemocap_9(tmp_path / "in", truth)
    _, found = build("iemocap_features", tmp_path / "in", tmp_path / "data", "nine")
    assert found["test"][0]["emotion"] == record.EMOTIONS.index("anger")


def test_a_pickle_that_would_run_something_is_refused_before_it_does(tmp_path):
    (tmp_path / "in").mkdir()
    mark = tmp_path / "it ran"
    code = f"open({str(mark)!r}, 'w')".encode()
    (tmp_path / "in" / "mosi_data.pkl").write_bytes(b"cbuiltins\nexec\n(V" + code + b"\ntR.")
    with pytest.raises(ValueError, match=r"mosi_data\.pkl, byte 0: .* asks for builtins\.exec"):
        kit.run_build("cmu_mosi", tmp_path / "in", tmp_path / "data", config="aligned_50")
    assert not mark.exists()
