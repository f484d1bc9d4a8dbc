"""Computational sequences, label rows and folds: read as they are, refused by name."""

import os

import cmu_files
import h5py
import numpy as np
import pytest

from memobert_jax import record
from tfds_builders.cmu.csd import CsdFile
from tfds_builders.cmu.labels import Labels, read_folds
from tfds_builders.listing import Omission, Tally

TIMES = np.array([[0.0, 1.0], [1.0, 2.5]])


def numbers(rows=2, width=3):
    return np.arange(rows * width, dtype="f4").reshape(rows, width)


@pytest.mark.parametrize("json_metadata", [True, False])
def test_a_sequence_is_read_whatever_its_file_is_called(json_metadata, tmp_path):
    videos = {"b": (numbers(), TIMES), "a": (numbers(1), TIMES[:1])}
    path = cmu_files.write_csd(tmp_path / "any name.csd", "FACET 4.2", videos, json_metadata)
    with CsdFile(path) as file:
        assert (file.root, file.width) == ("FACET 4.2", 3)
        assert file.metadata["root name"] == "FACET 4.2"
        assert file.metadata["creator"] == "generated"
        assert sorted(file.videos) == ["a", "b"]
        assert "b" in file
        assert "c" not in file
        found = dict(file)
        with pytest.raises(KeyError, match="has no video 'c'"):
            file.read("c")
    np.testing.assert_array_equal(found["b"].features, numbers())
    np.testing.assert_array_equal(found["b"].intervals, TIMES)
    assert len(found["a"]) == 1


def test_metadata_may_lack_keys_or_be_absent(tmp_path):
    videos = {"a": (numbers(), TIMES)}
    path = cmu_files.write_csd(tmp_path / "x.csd", "COVAREP", videos, without=("dimension names",))
    with CsdFile(path) as file:
        assert "dimension names" not in file.metadata
    with h5py.File(path, "a") as file:
        del file["COVAREP/metadata"]
    with CsdFile(path) as file:
        assert file.metadata == {}


@pytest.mark.parametrize("kind", ["S12", "S32", h5py.string_dtype()])
@pytest.mark.parametrize("shape", [(2, 1), (2,)])
def test_words_are_texts(kind, shape, tmp_path):
    with h5py.File(tmp_path / "w.csd", "w") as file:
        entry = file.create_group("words/data/a")
        entry.create_dataset(
            "features", data=np.array([b"sp", b"caf\xc3\xa9"], "S12").reshape(shape).astype(kind)
        )
        entry.create_dataset("intervals", data=TIMES)
    with CsdFile(tmp_path / "w.csd") as file:
        assert file.width == 0
        assert file.read("a").features.tolist() == ["sp", "café"]


def test_a_file_that_is_no_sequence_is_named(tmp_path):
    (tmp_path / "text.csd").write_text("<html>")
    with pytest.raises(ValueError, match=r"text\.csd is no HDF5 file"):
        CsdFile(tmp_path / "text.csd")
    with pytest.raises(FileNotFoundError, match=r"no file .*nothing\.csd"):
        CsdFile(tmp_path / "nothing.csd")
    h5py.File(tmp_path / "empty.csd", "w").close()
    with pytest.raises(ValueError, match=r"empty\.csd is empty"):
        CsdFile(tmp_path / "empty.csd")
    with h5py.File(tmp_path / "other.csd", "w") as file:
        file["COVAREP/video"] = numbers()
    with pytest.raises(ValueError, match=r"COVAREP/data is nothing; expected data"):
        CsdFile(tmp_path / "other.csd")
    with h5py.File(tmp_path / "flat.csd", "w") as file:
        file["COVAREP/data"] = numbers()
    with pytest.raises(ValueError, match=r"COVAREP/data is not a group"):
        CsdFile(tmp_path / "flat.csd")


def test_a_truncated_file_is_said_to_be_damaged(tmp_path):
    videos = {"a": (numbers(4000, 74), np.tile(TIMES, (2000, 1)))}
    path = cmu_files.write_csd(tmp_path / "x.csd", "COVAREP", videos)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ValueError, match=r"x\.csd is no HDF5 file, or not whole"):
        CsdFile(path)


@pytest.mark.parametrize(
    ("features", "intervals"),
    [
        (numbers(3), TIMES),
        (numbers(), TIMES[:, :1]),
        (numbers().ravel()[:2], TIMES),
        (np.array([[b"two", b"words"]] * 2), TIMES),
    ],
)
def test_features_and_intervals_that_do_not_fit_are_refused(features, intervals, tmp_path):
    path = cmu_files.write_csd(tmp_path / "x.csd", "COVAREP", {"a": (features, intervals)})
    with CsdFile(path) as file, pytest.raises(ValueError, match=r"video 'a' has features \("):
        file.read("a")


def test_a_video_of_other_columns_or_with_texts_for_times_is_named(tmp_path):
    texts = np.array([["0", "later"]] * len(TIMES), "S8")
    videos = {"a": (numbers(), TIMES), "b": (numbers()[:, :1], TIMES), "c": (numbers(), texts)}
    with CsdFile(cmu_files.write_csd(tmp_path / "x.csd", "COVAREP", videos)) as file:
        with pytest.raises(ValueError, match=r"x\.csd: video 'b' has 1 columns of numbers"):
            file.read("b")
        with pytest.raises(ValueError, match=r"x\.csd: video 'c' is damaged: could not convert"):
            file.read("c")


@pytest.mark.parametrize("kind", ["external", "soft", "raw", "virtual"])
def test_data_that_lie_in_another_file_are_refused(kind, tmp_path):
    path = cmu_files.write_csd(tmp_path / "x.csd", "COVAREP", {"a": (numbers(), TIMES)})
    cmu_files.write_csd(tmp_path / "secret.csd", "S", {"a": (numbers(), TIMES)})
    (tmp_path / "secret").write_bytes(bytes(24))
    with h5py.File(path, "a") as file:
        entry = file["COVAREP/data/a"]
        del entry["features"]
        if kind == "external":
            entry["features"] = h5py.ExternalLink("secret.csd", "S/data/a/features")
        elif kind == "soft":
            entry["features"] = h5py.SoftLink("/COVAREP/data/a/intervals")
        elif kind == "raw":
            where = [(os.fspath(tmp_path / "secret"), 0, 24)]
            entry.create_dataset("features", (2, 3), "f4", external=where)
        else:
            layout = h5py.VirtualLayout((2, 3), "f4")
            layout[:] = h5py.VirtualSource("secret.csd", "S/data/a/features", (2, 3))
            entry.create_virtual_dataset("features", layout)
    with CsdFile(path) as file, pytest.raises(ValueError, match=r"Link; expected|in another file"):
        file.read("a")


def write_labels(folder, values, times):
    values, times = np.array(values, "f4"), np.array(times)
    return cmu_files.write_csd(folder / "labels.csd", "All Labels", {"v": (values, times)})


def test_labels_keep_the_number_of_their_row_and_the_order_of_their_columns(tmp_path):
    values = [[1, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2], [-3, 0, 0, 0, 0, 0, 10 / 3]]
    labels = Labels(write_labels(tmp_path, values, [[56.852, 60.0], [-0.5, 29.764]]))
    first, second = labels.rows["v"]
    assert (first.key, second.key, second.start_s) == ("v[0]", "v[1]", -0.5)
    found = dict(zip(record.EMOTIONS, first.emotions.tolist(), strict=True))
    assert found["happiness"] == pytest.approx(1 / 3)
    assert found["sadness"] == pytest.approx(2 / 3)
    assert found["anger"] == pytest.approx(1)
    assert found["surprise"] == pytest.approx(4 / 3)
    assert found["disgust"] == pytest.approx(5 / 3)
    assert found["fear"] == pytest.approx(2)
    assert np.isnan(found["neutral"])
    tally = Tally()
    assert labels.list_video("v", tally) == [first, second]
    assert tally.notes["segments with an intensity above 3, kept"] == 1
    assert labels.oddities.counts["labels"]["negative_start"] == 1
    assert labels.oddities.counts["labels"]["unsorted"] == 1


def test_a_row_that_cannot_be_used_has_its_reason_and_moves_no_number(tmp_path):
    zeros = [0] * 6
    values = [
        [0, *zeros], [4, *zeros], [np.nan, *zeros], [1, -1, 0, 0, 0, 0, 0],
        [1, 4, 0, 0, 0, 0, 0], [1, *zeros], [1, *zeros], [2, *zeros], [2, *zeros],
    ]  # fmt: skip
    times = [[0, 1]] * 5 + [[2, 1], [1, np.inf], [3, 4], [3000, 94_000]]
    labels = Labels(write_labels(tmp_path, values, times))
    assert [label.key for label in labels.rows["v"]] == ["v[0]", "v[7]"]
    assert labels.unusable["v"] == [
        ("v[1]", Omission.LABEL_NOT_IN_SET),
        ("v[2]", Omission.NO_LABEL),
        ("v[3]", Omission.LABEL_NOT_IN_SET),
        ("v[4]", Omission.LABEL_NOT_IN_SET),
        ("v[5]", Omission.BAD_TIMES),
        ("v[6]", Omission.BAD_TIMES),
        ("v[8]", Omission.BAD_TIMES),  # in milliseconds: it would take a day's memory
    ]
    tally = Tally()
    labels.list_video("v", tally)
    assert tally.totals(2)["omitted"]["label_not_in_set"]["count"] == 3
    assert labels.oddities.counts["labels"]["repeated"] == 4


def test_a_segment_is_found_by_its_times_within_a_hundredth_of_a_second(tmp_path):
    times = [[0, 1], [0.004, 1.004], [5, 6]]
    labels = Labels(write_labels(tmp_path, [[k, 0, 0, 0, 0, 0, 0] for k in range(3)], times))
    assert labels.find("v", 0.003, 1.003).number == 1
    assert labels.find("v", 5.009, 5.991).number == 2
    assert labels.find("v", 5.011, 6) is None
    assert labels.find("v", 5, 6.011) is None
    assert labels.find("w", 5, 6) is None
    assert labels.find("v", np.nan, 6) is None


def test_labels_of_sentiment_alone_have_no_emotions(tmp_path):
    labels = Labels(write_labels(tmp_path, [[1.5]], [[0, 1]]))
    assert labels.rows["v"][0].sentiment == 1.5
    assert np.isnan(labels.rows["v"][0].emotions).all()
    with pytest.raises(ValueError, match=r"labels\.csd has 3 columns; expected a label file"):
        Labels(write_labels(tmp_path, [[0, 0, 0]], [[0, 1]]))


FOLDS = "# folds\nstandard_train_fold = ['a', 'b']\nstandard_valid_fold=['c']\nother = open\n"


def test_the_folds_of_the_sdk_are_read_and_not_run(tmp_path):
    path = tmp_path / "cmu_mosei_std_folds.py"
    mark = tmp_path / "it ran"
    path.write_text(FOLDS + f"standard_test_fold = ['d']\nopen({str(mark)!r}, 'w')\n")
    expected = {"a": "train", "b": "train", "c": "validation", "d": "test"}
    assert read_folds(path) == expected
    assert not mark.exists()
    rows = "".join(f"{video},{split}\n" for video, split in expected.items())
    (tmp_path / "folds.csv").write_text("video,split\n" + rows, "utf-16")
    assert read_folds(tmp_path / "folds.csv") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FOLDS, "no list of texts called standard_test_fold"),
        (FOLDS + "standard_test_fold = open('x')", "no list of texts called standard_test_fold"),
        (FOLDS + "standard_test_fold = [1]", "no list of texts called standard_test_fold"),
        (FOLDS + "standard_test_fold = ['a']", "video 'a' is in train and in test"),
        (FOLDS + "standard_test_fold = {[]: 1}", "no list of texts called standard_test_fold"),
        (FOLDS + "standard_test_fold = " + "1+" * 20_000 + "1", "is no Python file|no list of"),
        (FOLDS + "standard_test_fold = " + "-" * 20_000 + "1", "is no Python file|no list of"),
        ("<html>", "is no Python file"),
    ],
)
def test_folds_that_cannot_be_meant_are_refused(text, message, tmp_path):
    path = tmp_path / "folds.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_folds(path)


def test_an_unknown_split_and_a_missing_file_of_folds_are_named(tmp_path):
    (tmp_path / "folds.csv").write_text("video,split\na,practice\n")
    with pytest.raises(ValueError, match="split 'practice'; expected one of train"):
        read_folds(tmp_path / "folds.csv")
    with pytest.raises(FileNotFoundError, match=r"no file .*gone\.csv"):
        read_folds(tmp_path / "gone.csv")
