"""Features datasets: planning reads no features, fingerprints tell data apart."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import samples
import tensorflow_datasets as tfds

from memobert_jax import datasets, features, record


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return samples.dataset(tmp_path_factory.mktemp("features"), {"train": 9, "validation": 4})


@pytest.fixture
def train(folder):
    return features.FeaturesDataset(folder, "train")


def test_tfds_reads_the_records_of_a_features_dataset(folder, train):
    source = tfds.builder_from_directory(str(folder)).as_data_source("train")
    assert len(source) == len(train) == 9
    for name, value in train[5].items():
        np.testing.assert_array_equal(value, record.flatten(source[5])[name], err_msg=name)


def test_what_was_written_is_read(train):
    rng = np.random.default_rng(0)
    for i in range(9):
        for name, value in samples.clip(i, rng).items():
            np.testing.assert_array_equal(train[i][name], value, err_msg=name)


def test_a_dataset_is_a_sequence(train):
    assert [item["id"] for item in train] == [f"clip{i}" for i in range(9)]
    with pytest.raises(IndexError):
        train[9]


def test_single_fields_are_read(train):
    found = train.read(3, fields=("id", "speech"))
    assert found.keys() == {"id", "speech"}
    np.testing.assert_array_equal(found["speech"], train[3]["speech"])


def test_lengths_count_words_and_frames(train):
    for i, item in enumerate(train):
        assert train.lengths["words"][i] == len(item["words/text"])
        assert train.lengths["face"][i] == len(item["face"])
        assert train.lengths["speech"][i] == len(item["speech"])
    assert all(array.dtype == np.int32 for array in train.lengths.values())


def test_texts_columns_and_lengths_need_no_shard(tmp_path):
    folder = samples.dataset(tmp_path, {"train": 6})
    before = [item["text"] for item in features.FeaturesDataset(folder, "train")]
    datasets.shard_path(folder, "corpus", "train", 0, 1).unlink()
    dataset = features.FeaturesDataset(folder, "train")
    assert dataset.texts() == before
    assert dataset.column("speaker") == ["speaker0"] * 6
    assert dataset.column("emotion")[:2] == [record.EMOTIONS.index(c) for c in samples.CLASSES[:2]]
    assert all(np.isnan(dataset.column("valence")))
    assert len(dataset.lengths["face"]) == 6


def test_a_column_of_arrays_is_refused(train):
    with pytest.raises(ValueError, match=r"no column 'face'; columns: .*'text'"):
        train.column("face")


def test_widths_are_those_of_the_data(train):
    assert train.widths == {"face": 24, "speech": 20, "face_emotion": 1, "text_features": 1}


def test_a_pickled_dataset_reads_on_and_is_small(train):
    train[0], train.lengths, train.texts()
    copy = pickle.dumps(train)
    assert len(copy) < 5_000
    np.testing.assert_array_equal(pickle.loads(copy)[8]["face"], train[8]["face"])
    assert pickle.loads(copy).texts() == train.texts()


def test_metadata_is_that_of_the_writer(train):
    assert train.metadata["encoders"] == samples.ENCODERS
    assert train.metadata["splits"] == {"train": 9, "validation": 4}


def test_the_fingerprint_tells_splits_data_encoders_and_normalisation_apart(folder, tmp_path):
    def of(name, split="train", size=9, **kwargs):
        made = samples.dataset(tmp_path / name, {"train": size, "validation": 4}, **kwargs)
        return features.FeaturesDataset(made, split).fingerprint

    first = features.FeaturesDataset(folder, "train").fingerprint
    assert of("same") == first
    encoders = {**samples.ENCODERS, "face": samples.ENCODERS["face"] | {"version": 2}}
    others = [
        of("split", split="validation"),
        of("longer", size=10),
        of("other", gender="female"),
        of("encoders", metadata={"encoders": encoders}),
        of("normalisation", metadata={"normalisation": {"speech": {"mean": [1.0]}}}),
    ]
    assert len({first, *others}) == 6


def test_the_fingerprint_does_not_depend_on_the_shards(tmp_path):
    rng = np.random.default_rng(0)
    clips = [samples.clip(i, rng) for i in range(5)]
    found = set()
    for shards in (1, 3):
        made = features.write(
            tmp_path / str(shards), {"train": clips}, widths=samples.WIDTHS, num_shards=shards
        )
        found.add(features.FeaturesDataset(made, "train").fingerprint)
    assert len(found) == 1


def test_a_clips_dataset_is_refused_with_what_to_do(tmp_path):
    datasets.write(tmp_path, "clips", {"train": [record.make("clips", id="a")]})
    with pytest.raises(ValueError, match=r"run `python -m memobert_jax\.featurize --input="):
        features.FeaturesDataset(tmp_path, "train")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no features dataset in"):
        features.FeaturesDataset(tmp_path, "train")


@pytest.mark.parametrize("name", ["lengths-train.npz", "clips-train.jsonl"])
def test_a_missing_index_says_run_featurize_again(tmp_path, name):
    folder = samples.dataset(tmp_path, {"train": 2})
    (folder / name).unlink()
    dataset = features.FeaturesDataset(folder, "train")
    with pytest.raises(FileNotFoundError, match=f"{name} is missing; run featurize again"):
        dataset.lengths if name.startswith("lengths") else dataset.texts()


def test_an_index_of_another_size_is_refused(tmp_path):
    folder = samples.dataset(tmp_path, {"train": 3})
    clips = folder / "clips-train.jsonl"
    clips.write_text("".join(clips.read_text().splitlines(keepends=True)[:2]))
    np.savez(folder / "lengths-train.npz", **dict.fromkeys(features.LENGTHS, np.zeros(2, "i4")))
    with pytest.raises(ValueError, match="has 2 lines for 3 clips"):
        features.FeaturesDataset(folder, "train").texts()
    with pytest.raises(ValueError, match="has not 3 entries"):
        len(features.FeaturesDataset(folder, "train").lengths)


def test_a_text_of_many_lines_stays_one_clip(tmp_path):
    clips = [record.make("features", id=str(i), text="a\u2028b\nc\x85d") for i in range(2)]
    features.write(tmp_path, {"train": clips})
    assert features.FeaturesDataset(tmp_path, "train").texts() == ["a\u2028b\nc\x85d"] * 2


def test_reading_imports_neither_tensorflow_nor_jax(folder):
    program = (
        "import json, sys; from memobert_jax import features; "
        f"d = features.FeaturesDataset({str(folder)!r}, 'train'); d[0], d.texts(), d.lengths; "
        "print(json.dumps([m for m in ('tensorflow', 'jax') if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []
