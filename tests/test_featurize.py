"""The featurize job: what it writes, what it continues after a stop, what it refuses."""

import concurrent.futures
import json
import subprocess
import sys

import clip_samples
import numpy as np
import pytest
import samples
import tensorflow_datasets as tfds

from memobert_jax import assembly, datasets, features, featurizer, reader
from memobert_jax.config import EncodersConfig
from memobert_jax.featurize import featurize, request
from memobert_jax.featurizer import Featurizer

SIZES = {"train": 9, "validation": 4}


@pytest.fixture(scope="module")
def clips_dir(tmp_path_factory):
    return clip_samples.dataset(tmp_path_factory.mktemp("clips"), SIZES, num_shards=3)


@pytest.fixture(scope="module")
def made(clips_dir, tmp_path_factory):
    """A features dataset made without a stop."""
    folder = tmp_path_factory.mktemp("features") / "made"
    featurize(clips_dir, folder, request(clips_dir))
    return folder


def _contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_tfds_and_the_reader_open_what_featurize_writes(made):
    builder = tfds.builder_from_directory(str(made))
    for split, size in SIZES.items():
        assert len(builder.as_data_source(split)) == size
        assert len(features.FeaturesDataset(made, split)) == size
    assert features.FeaturesDataset(made, "train").widths["face"] == 1024


def test_the_job_writes_what_the_featurizer_makes_of_single_clips(clips_dir, made):
    dataset = features.FeaturesDataset(made, "validation")
    run = Featurizer(dataset.metadata["encoders"], dataset.metadata["normalisation"])
    for clip, found in zip(_clips(clips_dir, "validation"), dataset, strict=True):
        (expected,) = run([clip])
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)


def _clips(folder, split):
    records = reader.Split(folder, split, "clips")
    return records.read_many(range(len(records)))


def test_order_and_shards_are_those_of_the_clips(clips_dir, made):
    for split in SIZES:
        ours, theirs = (
            reader.Split(made, split, "features"),
            reader.Split(clips_dir, split, "clips"),
        )
        assert [n for _, n in ours.shards] == [n for _, n in theirs.shards]
        ids = [clip["id"] for clip in _clips(clips_dir, split)]
        assert features.FeaturesDataset(made, split).column("id") == ids


def test_the_lengths_index_counts_the_records(made):
    dataset = features.FeaturesDataset(made, "train")
    for name, field in features.LENGTHS.items():
        assert dataset.lengths[name].tolist() == [len(item[field]) for item in dataset]


def test_the_metadata_says_how_the_features_came_about(clips_dir, made):
    metadata = features.FeaturesDataset(made, "train").metadata
    assert metadata["encoders"] == featurizer.identities(EncodersConfig())
    assert metadata["splits"] == SIZES
    assert metadata["extract"] == {"min_utterance_s": 1.0}
    assert metadata["ledger"] == {"kept_s": 12.5, "clips": 13}
    builder = reader.open_builder(clips_dir, "clips")
    assert metadata["clips_fingerprint"] == reader.fingerprint(builder)
    assert metadata["dataset"] == {"name": "corpus", "config": "", "version": "1.0.0"}
    normalised = {"clips": metadata["clips_fingerprint"], "split": "train"}
    assert features.normalised_on(metadata) == metadata["normalised_on"] == normalised


def test_normalisation_is_fitted_on_the_training_split_only(clips_dir, made):
    fitted = featurizer.fit_normalisation(
        featurizer.identities(EncodersConfig()), lambda batch: batch, [_clips(clips_dir, "train")]
    )
    assert features.FeaturesDataset(made, "train").metadata["normalisation"] == fitted


def test_normalisation_can_be_fitted_on_another_split(clips_dir, made, tmp_path):
    featurize(clips_dir, tmp_path / "out", request(clips_dir, normalise_on="validation"))
    own = features.FeaturesDataset(tmp_path / "out", "train").metadata["normalisation"]
    assert own["speech"]["clips"] == SIZES["validation"]
    assert own != features.FeaturesDataset(made, "train").metadata["normalisation"]


def test_normalisation_is_fitted_on_clips_spread_over_a_large_split(
    clips_dir, tmp_path, monkeypatch
):
    monkeypatch.setattr(featurizer, "FITTED_CLIPS", 3)
    featurize(clips_dir, tmp_path / "out", request(clips_dir))
    fitted = featurizer.fit_normalisation(
        featurizer.identities(EncodersConfig()),
        lambda batch: batch,
        [_clips(clips_dir, "train")[::3]],
    )
    metadata = features.FeaturesDataset(tmp_path / "out", "train").metadata
    assert metadata["normalisation"] == fitted


def test_like_takes_encoders_and_normalisation_of_another_dataset(made, tmp_path):
    other = clip_samples.dataset(tmp_path / "clips", {"test": 2}, seconds=0.8)
    featurize(other, tmp_path / "out", request(other, like=made))
    ours = features.FeaturesDataset(tmp_path / "out", "test").metadata
    theirs = features.FeaturesDataset(made, "train").metadata
    assert ours["normalisation"] == theirs["normalisation"]
    assert ours["encoders"] == theirs["encoders"]
    assert ours["clips_fingerprint"] != theirs["clips_fingerprint"]
    assert ours["normalised_on"] == theirs["normalised_on"]


def test_a_modality_that_is_left_out_is_in_no_clip(clips_dir, made, tmp_path):
    blindly = request(clips_dir, like=made, without=["face"])
    said = featurize(clips_dir, tmp_path / "blind", blindly)
    assert "left out of every clip: face" in said
    blind, whole = (features.FeaturesDataset(path, "train") for path in (tmp_path / "blind", made))
    assert blind.has == whole.has - {"face"}
    assert blind.metadata["encoders"]["face"]["name"] == "none"
    assert "face" not in blind.metadata["normalisation"]
    np.testing.assert_array_equal(blind.read(0)["speech"], whole.read(0)["speech"])
    assert blind.read(0)["face"].shape == (0, 1)
    featurize(clips_dir, tmp_path / "text", request(clips_dir, without=["face", "speech"]))
    assert features.FeaturesDataset(tmp_path / "text", "train").has == {"text"}


def test_like_with_other_encoders_is_refused(clips_dir, tmp_path):
    encoders = samples.ENCODERS | {"face": samples.ENCODERS["face"] | {"name": "densenet"}}
    like = samples.dataset(tmp_path, {"train": 1}, metadata={"encoders": encoders})
    with pytest.raises(ValueError, match=r"has the encoders .*densenet.* were named too"):
        request(clips_dir, {"face": "pixels"}, like=like)


def test_like_of_encoders_that_this_code_has_not_is_refused(clips_dir, tmp_path):
    like = samples.dataset(tmp_path, {"train": 1})
    with pytest.raises(ValueError, match="make the features again, or use the code that made them"):
        request(clips_dir, like=like)


def test_like_with_a_split_to_fit_on_is_refused(clips_dir, made):
    with pytest.raises(ValueError, match="brings its own normalisation"):
        request(clips_dir, like=made, normalise_on="train")


def test_a_split_that_is_not_there_is_refused_with_those_that_are(clips_dir):
    with pytest.raises(ValueError, match=r"no split 'training' .*\['train', 'validation'\]"):
        request(clips_dir, normalise_on="training")


def test_features_given_for_clips_are_refused(made):
    with pytest.raises(ValueError, match="is a features dataset, expected a clips dataset"):
        request(made)


class _StopError(Exception):
    """Stands for a kill."""


def _stop_after(shards: int, monkeypatch):
    """Lets `shards` shards be written, then fails in the middle of the next one."""
    write, written = assembly.Assembly.write, []

    def failing(items):
        yield next(items)
        raise _StopError

    def patched(self, shard, items, *rest):
        written.append(shard)
        return write(self, shard, items if len(written) <= shards else failing(items), *rest)

    monkeypatch.setattr(assembly.Assembly, "write", patched)


def test_a_run_continues_after_a_stop_with_the_missing_shards_only(
    clips_dir, made, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        _stop_after(4, patch)
        with pytest.raises(_StopError):
            featurize(clips_dir, out, request(clips_dir))
    with pytest.raises(FileNotFoundError, match=r"no features dataset .*run it again"):
        features.FeaturesDataset(out, "train")
    (out / ".corpus-train.array_record-00002-of-00003.1.tmp").write_bytes(b"of a killed writer")
    whole = {path: path.stat().st_mtime_ns for path in out.glob("corpus-*")}
    assert len(whole) == 4
    done = featurize(clips_dir, out, request(clips_dir))
    assert "4 shards were whole before" in done
    assert {path: path.stat().st_mtime_ns for path in whole} == whole
    assert _contents(out) == _contents(made)


def test_a_stop_before_the_end_of_the_index_is_repaired(clips_dir, made, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def fail(*args):
        raise _StopError

    with monkeypatch.context() as patch:
        patch.setattr(datasets, "write_info", fail)
        with pytest.raises(_StopError):
            featurize(clips_dir, out, request(clips_dir))
    featurize(clips_dir, out, request(clips_dir))
    assert _contents(out) == _contents(made)


def test_a_whole_dataset_is_not_made_again(clips_dir, made):
    before = {path: path.stat().st_mtime_ns for path in made.iterdir()}
    assert "is whole already" in featurize(clips_dir, made, request(clips_dir))
    assert {path: path.stat().st_mtime_ns for path in made.iterdir()} == before


def test_two_hosts_write_what_one_writes(clips_dir, made, tmp_path):
    out = tmp_path / "out"
    with concurrent.futures.ThreadPoolExecutor(2) as hosts:
        runs = [hosts.submit(featurize, clips_dir, out, request(clips_dir), i, 2) for i in (1, 0)]
        lines = [run.result(60) for run in runs]
    assert _contents(out) == _contents(made)
    clips = [int(line.split()[0]) for line in lines]
    assert sum(clips) == sum(SIZES.values())
    assert min(clips) > 0


def test_a_run_with_other_settings_is_not_continued(clips_dir, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        _stop_after(1, patch)
        with pytest.raises(_StopError):
            featurize(clips_dir, out, request(clips_dir))
    with pytest.raises(ValueError, match=r"what differs: normalise_on.*another output folder"):
        featurize(clips_dir, out, request(clips_dir, normalise_on="validation"))


def test_a_dataset_of_other_clips_is_not_overwritten(made, tmp_path):
    other = clip_samples.dataset(tmp_path / "clips", {"train": 2})
    before = _contents(made)
    with pytest.raises(ValueError, match="what differs: clips_fingerprint"):
        featurize(other, made, request(other))
    assert _contents(made) == before


def test_a_folder_with_other_files_is_refused(clips_dir, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"\['thesis.tex'\], which featurize did not write"):
        featurize(clips_dir, tmp_path, request(clips_dir))


def test_a_damaged_clip_ends_the_run_and_is_named(tmp_path):
    clips = [clip_samples.clip(0), clip_samples.clip(1) | {"speech": b"no flac"}]
    folder = datasets.write(tmp_path / "clips", "clips", {"train": clips})
    with pytest.raises(ValueError, match=r"clip 'clip1': .* no FLAC"):
        featurize(folder, tmp_path / "out", request(folder))
    assert not (tmp_path / "out" / "dataset_info.json").exists()


def test_the_command_line_makes_a_dataset_without_tensorflow(clips_dir, made, tmp_path):
    program = (
        "import atexit, sys; atexit.register(lambda: print('tensorflow' in sys.modules)); "
        f"sys.argv = ['featurize', '--input={clips_dir}', '--output={tmp_path / 'out'}']; "
        "from memobert_jax import featurize; featurize.run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    summary, tensorflow = done.stdout.splitlines()
    assert "13 clips in" in summary
    assert "hours of speech per second" in summary
    assert tensorflow == "False"
    assert _contents(tmp_path / "out") == _contents(made)


def test_an_unknown_encoder_on_the_command_line_is_refused(clips_dir, tmp_path):
    command = [sys.executable, "-m", "memobert_jax.featurize", f"--input={clips_dir}"]
    command += [f"--output={tmp_path / 'out'}", "--face_encoder=pixel"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert "face = 'pixel'; expected one of pixels" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_normalisation_in_the_metadata_is_plain_json(made):
    metadata = json.loads((made / "metadata.json").read_text())
    statistics = metadata["normalisation"]["speech"]
    assert len(statistics["mean"]) == len(statistics["std"]) == 80
    assert all(np.isfinite(statistics["mean"] + statistics["std"]))
