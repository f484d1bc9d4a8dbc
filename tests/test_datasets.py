"""Dataset folders: TFDS opens them, nothing half-written is taken for whole, damage is named."""

import pickle
import subprocess
import sys
from pathlib import Path

import clip_samples
import numpy as np
import pytest
import samples
import tensorflow_datasets as tfds

from memobert_jax import codec, datasets, reader, record


@pytest.fixture(scope="module")
def clips_dir(tmp_path_factory):
    return clip_samples.dataset(
        tmp_path_factory.mktemp("clips"), {"train": 7, "validation": 2, "empty": 0}, num_shards=3
    )


@pytest.fixture
def own_dir(tmp_path):
    """A dataset to damage: three shards of two clips."""
    return clip_samples.dataset(tmp_path / "own", {"train": 6}, num_shards=3)


def test_tfds_opens_a_written_dataset_and_finds_each_record(clips_dir):
    source = tfds.builder_from_directory(str(clips_dir)).as_data_source("train")
    ours = reader.Split(clips_dir, "train", "clips")
    assert len(source) == len(ours) == 7
    for i in range(7):
        theirs = record.flatten(source[i])
        for name, value in ours.read(i).items():
            np.testing.assert_array_equal(value, theirs[name], err_msg=name)


def test_tfds_finds_the_metadata(clips_dir):
    metadata = tfds.builder_from_directory(str(clips_dir)).info.metadata
    assert metadata["ledger"] == {"kept_s": 12.5, "clips": 9}


def test_records_keep_their_order_over_shards(clips_dir):
    split = reader.Split(clips_dir, "train", "clips")
    assert [length for _, length in split.shards] == [2, 2, 3]
    assert [item["id"] for item in split.read_many(range(7))] == [f"clip{i}" for i in range(7)]


def test_an_empty_split_has_no_records(clips_dir):
    assert len(reader.Split(clips_dir, "empty", "clips")) == 0


@pytest.mark.parametrize("index", [-1, 7])
def test_an_index_outside_the_split_is_refused(clips_dir, index):
    with pytest.raises(IndexError, match="it has 7"):
        reader.Split(clips_dir, "train", "clips").read(index)


def test_a_pickled_split_reads_on(clips_dir):
    split = reader.Split(clips_dir, "train", "clips")
    split.read(0)
    assert pickle.loads(pickle.dumps(split)).read(6)["id"] == "clip6"


def test_no_dataset_in_the_folder_says_what_is_there(tmp_path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(FileNotFoundError, match=r"no clips dataset in .*a\.mp4.*run it again"):
        reader.open_builder(tmp_path, "clips")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no features dataset in .*missing"):
        reader.open_builder(tmp_path / "missing", "features")


def test_clips_where_features_are_expected_says_run_featurize(clips_dir):
    with pytest.raises(ValueError, match=r"is a clips dataset.*memobert_jax\.featurize --input="):
        reader.open_builder(clips_dir, "features")


def test_features_where_clips_are_expected_are_refused(tmp_path):
    folder = samples.dataset(tmp_path, {"train": 1})
    with pytest.raises(ValueError, match="is a features dataset, expected a clips dataset"):
        reader.open_builder(folder, "clips")


def test_a_dataset_of_another_program_is_refused(tmp_path):
    features = tfds.features.FeaturesDict({"image": tfds.features.Text()})
    datasets.write_shard(datasets.shard_path(tmp_path, "cats", "train", 0, 1), [b""])
    datasets.write_info(tmp_path, "cats", features, {"train": [1]}, {})
    with pytest.raises(ValueError, match=r"not of this program.*\['image'\]"):
        reader.open_builder(tmp_path, "clips")


def test_an_unknown_split_is_refused_with_the_known_ones(clips_dir):
    with pytest.raises(ValueError, match=r"no split 'test'; it has \['empty', 'train'"):
        reader.Split(clips_dir, "test", "clips")


def test_a_flipped_byte_names_shard_and_record(own_dir):
    split = reader.Split(own_dir, "train", "clips")
    path, _ = split.shards[1]
    data = bytearray(Path(path).read_bytes())
    at = data.find(split.read(3)["speech"][-50:])
    data[at] ^= 0xFF
    Path(path).write_bytes(data)
    split = reader.Split(own_dir, "train", "clips")
    message = r"00001-of-00003: record 1 \(number 3 of split 'train'\) is damaged: .*hash mismatch"
    with pytest.raises(ValueError, match=message):
        split.read(3)
    assert split.read(2)["id"] == "clip2"


def test_a_truncated_shard_is_named(own_dir):
    split = reader.Split(own_dir, "train", "clips")
    path, _ = split.shards[2]
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"00002-of-00003: record 0 .* is damaged"):
        split.read(4)
    assert split.read(0)["id"] == "clip0"


def test_a_deleted_shard_is_named(own_dir):
    split = reader.Split(own_dir, "train", "clips")
    datasets.shard_path(own_dir, "corpus", "train", 0, 3).unlink()
    with pytest.raises(ValueError, match="00000-of-00003: record 0"):
        split.read(0)


def test_a_write_that_fails_leaves_nothing(tmp_path):
    def examples():
        yield codec.serialize(clip_samples.clip(0), "clips")
        raise RuntimeError("the encoder broke")

    with pytest.raises(RuntimeError, match="the encoder broke"):
        datasets.write_shard(tmp_path / "shard", examples())
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_keeps_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write(name):
        Path(name).write_text("ne")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        datasets.write_atomically(path, write)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_an_error_and_leaves_no_shard(tmp_path):
    program = (
        "import os, resource; from memobert_jax import datasets; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)); "
        f"datasets.write_shard({str(tmp_path / 'shard')!r}, [os.urandom(50_000)] * 10)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode != 0
    assert "OSError" in done.stderr
    assert "cannot be written" in done.stderr
    assert "Free the disk" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_dataset_before_its_info_is_written(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(datasets, "write_info", fail)
    with pytest.raises(OSError, match="disk full"):
        clip_samples.dataset(tmp_path, {"train": 2})
    with pytest.raises(FileNotFoundError, match="no clips dataset"):
        reader.open_builder(tmp_path, "clips")


def test_an_id_that_occurs_twice_is_refused(tmp_path):
    item = clip_samples.clip(0)
    with pytest.raises(ValueError, match="split 'train': an id occurs twice"):
        datasets.write(tmp_path, "clips", {"train": [item, item]})


def test_a_record_of_the_other_stage_is_refused(tmp_path):
    with pytest.raises(ValueError, match="missing fields"):
        datasets.write(tmp_path, "features", {"train": [clip_samples.clip(0)]})


def test_the_fingerprint_changes_with_records_and_metadata_only(clips_dir, own_dir, tmp_path):
    def of(folder):
        return reader.fingerprint(reader.open_builder(folder, "clips"))

    again = clip_samples.dataset(tmp_path / "again", {"train": 6}, num_shards=3)
    longer = clip_samples.dataset(tmp_path / "longer", {"train": 6}, num_shards=3, seconds=0.6)
    assert of(own_dir) == of(again)
    assert of(own_dir) != of(longer)
    metadata = own_dir / "metadata.json"
    metadata.write_text(metadata.read_text().replace("12.5", "12.6"))
    assert of(own_dir) != of(again)
