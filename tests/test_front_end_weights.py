"""Weights of the front ends from featurize to predict: found again, checked, and never confused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import clip_samples
import evaluation_kit as kit
import numpy as np
import pytest
from safetensors import numpy as safetensors

from memobert_jax import checkpoint, datasets, features, featurizer, predict, predictor, record
from memobert_jax.config import EncodersConfig, from_mapping
from memobert_jax.featurize import featurize, request
from memobert_jax.featurizer import Featurizer

FOLDER = Path(__file__).parent / "fixtures" / "wav2vec2_tiny" / "base_style"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(clips, features by a wav2vec2 that was moved since, where it lies now)."""
    folder = tmp_path_factory.mktemp("made")
    clips = clip_samples.dataset(folder / "clips", {"train": 3, "validation": 1})
    old, new = folder / "old", folder / "new"
    shutil.copytree(FOLDER, old)
    cfg = EncodersConfig(speech="wav2vec2", speech_weights=str(old))
    featurize(clips, folder / "features", request(clips, cfg))
    old.rename(new)
    return clips, folder / "features", new


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A wav2vec2 of the same shapes with other weights."""
    folder = Path(shutil.copytree(FOLDER, tmp_path_factory.mktemp("other") / "wav2vec2"))
    tensors = safetensors.load_file(folder / "model.safetensors")
    tensors["encoder.layer_norm.bias"] += 1
    safetensors.save_file(tensors, folder / "model.safetensors")
    return folder


def test_features_remember_the_encoder_and_where_its_weights_were(made):
    dataset = features.FeaturesDataset(made[1], "train")
    identity = dataset.metadata["encoders"]["speech"]
    assert identity["name"] == "wav2vec2"
    assert identity["width"] == dataset.widths["speech"] == 32
    assert len(identity["weights_sha256"]) == 64
    assert Path(dataset.metadata["weights"]["speech"]).name == "old"
    assert [item["speech"].shape for item in dataset] == [(8, 32)] * 3


def test_weights_that_were_moved_are_asked_for_by_their_hash(made):
    metadata = features.FeaturesDataset(made[1], "train").metadata
    sha256 = metadata["encoders"]["speech"]["weights_sha256"]
    expected = rf"nothing at .*old: give --speech_weights=PATH of the weights with sha256 {sha256}"
    with pytest.raises(FileNotFoundError, match=expected):
        Featurizer(metadata["encoders"], metadata["normalisation"], metadata["weights"])


def test_like_finds_weights_that_were_moved_and_makes_the_same_features(made, tmp_path):
    clips, old, weights = made
    with pytest.raises(FileNotFoundError, match="give --speech_weights=PATH"):
        request(clips, like=old)
    featurize(clips, tmp_path / "out", request(clips, like=old, weights={"speech": str(weights)}))
    for ours, theirs in zip(
        features.FeaturesDataset(tmp_path / "out", "train"),
        features.FeaturesDataset(old, "train"),
        strict=True,
    ):
        assert ours["speech"].tobytes() == theirs["speech"].tobytes()


def test_like_takes_its_own_encoders_by_name_too(made):
    clips, old, weights = made
    moved = {"speech": str(weights)}
    found = request(clips, {"speech": "wav2vec2"}, like=old, weights=moved)
    assert found == request(clips, like=old, weights=moved)


def test_weights_for_an_encoder_of_a_dataset_or_checkpoint_that_has_none_are_refused(made):
    clips, old, weights = made
    expected = "face_weights = .*, but the face encoder 'pixels' has no weights: leave them out"
    with pytest.raises(ValueError, match=expected):
        request(clips, like=old, weights={"speech": str(weights), "face": str(weights)})
    metadata = features.FeaturesDataset(old, "train").metadata
    given = {"speech": str(weights), "face": str(weights)}
    with pytest.raises(ValueError, match=expected):
        Featurizer(metadata["encoders"], metadata["normalisation"], given)


def test_a_run_is_continued_with_weights_that_were_moved(made):
    clips, old, weights = made
    cfg = EncodersConfig(speech="wav2vec2", speech_weights=str(weights))
    assert "is whole already" in featurize(clips, old, request(clips, cfg))


def test_features_of_other_weights_are_not_continued(made, other):
    clips, old, _ = made
    cfg = EncodersConfig(speech="wav2vec2", speech_weights=str(other))
    with pytest.raises(ValueError, match="what differs: encoders"):
        featurize(clips, old, request(clips, cfg))


def test_predict_takes_the_weights_from_the_command_line_and_refuses_others(
    made, other, tmp_path, monkeypatch
):
    dataset = features.FeaturesDataset(made[1], "train")
    run = kit.save(tmp_path / "run", kit.params(0, dataset.widths), made[1])
    assert checkpoint.metadata(checkpoint.resolve(run))["weights"] == dataset.metadata["weights"]
    with pytest.raises(FileNotFoundError, match="give --speech_weights=PATH"):
        predictor.Predictor(run)
    with pytest.raises(ValueError, match=r"other weights than those the features were made with"):
        predictor.Predictor(run, weights={"speech": str(other)})
    found = predictor.Predictor(run, weights={"speech": str(made[2])})
    (line,) = found([clip_samples.clip(0)])
    assert line["missing"] == []
    (item,) = found.featurizer([clip_samples.clip(0)])
    assert item["speech"].tobytes() == dataset[0]["speech"].tobytes()
    args = predict.parse(["--checkpoint=x", "--speech_weights=y", "a.mp4"])
    assert (args.face_weights, args.speech_weights) == (None, "y")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"speech": "wav2vec2"}, "'wav2vec2' needs weights: give speech_weights"),
        ({"face": "denseface"}, "'denseface' needs weights: give face_weights"),
        ({"face_weights": "x"}, "the face encoder 'pixels' has no weights"),
    ],
)
def test_weights_are_given_exactly_where_they_are_used(values, message):
    with pytest.raises(ValueError, match=message):
        from_mapping(EncodersConfig, values)


def test_the_command_line_names_a_folder_that_is_not_there(made, tmp_path):
    command = [sys.executable, "-m", "memobert_jax.featurize", f"--input={made[0]}"]
    command += [f"--output={tmp_path / 'out'}", "--speech_encoder=wav2vec2"]
    command += [f"--speech_weights={tmp_path / 'nowhere'}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert "nowhere/config.json: expected a wav2vec 2.0 checkpoint folder" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_command_line_takes_the_encoder_of_like_by_its_name(made, tmp_path):
    command = [sys.executable, "-m", "memobert_jax.featurize", f"--input={made[0]}"]
    command += [f"--output={tmp_path / 'out'}", f"--like={made[1]}", "--speech_encoder=wav2vec2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "give --speech_weights=PATH of the weights with sha256" in done.stderr


@pytest.fixture
def loud(monkeypatch):
    """A front end that gives no number for clip 1."""
    call = Featurizer.__call__

    def patched(self, clips):
        made = call(self, clips)
        for item in made:
            if item["id"] == "clip1":
                item["speech"] = np.full_like(item["speech"], np.nan)
        return made

    monkeypatch.setattr(Featurizer, "__call__", patched)


def test_clips_without_finite_features_are_dropped_counted_and_named(loud, tmp_path):
    clips = clip_samples.dataset(tmp_path / "clips", {"train": 4, "validation": 2}, num_shards=2)
    report = featurize(clips, tmp_path / "out", request(clips))
    dataset = features.FeaturesDataset(tmp_path / "out", "train")
    assert [item["id"] for item in dataset] == ["clip0", "clip2", "clip3"]
    assert dataset.texts() == ["this is clip 0", "this is clip 2", "this is clip 3"]
    assert len(dataset.lengths["speech"]) == 3
    metadata = json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert metadata["dropped"] == {"not_finite": ["clip1"]}
    assert metadata["splits"] == {"train": 3, "validation": 2}
    assert metadata["ledger"]["clips"] == 5
    assert metadata["ledger"]["kept_s"] == pytest.approx(12.0)
    assert metadata["ledger"]["dropped"]["not_finite"] == {"seconds": 0.5, "count": 1}
    assert "dropped, not_finite: 1 clips (clip1; all in metadata.json)" in report


def test_sound_beyond_what_the_encoder_hears_is_counted(made, tmp_path):
    long = [clip_samples.clip(i, crops=1, seconds=s) for i, s in enumerate((10.05, 12.0, 11.5))]
    clips = datasets.write(tmp_path / "clips", "clips", {"train": long})
    weights = {"speech": str(made[2])}
    report = featurize(clips, tmp_path / "out", request(clips, like=made[1], weights=weights))
    metadata = json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert metadata["speech_cut"] == {"clips": 2, "seconds": pytest.approx(3.5)}
    assert "speech cut: 3.5 s at the end of 2 clips are beyond what the speech encoder" in report


def test_predict_reports_the_sound_that_the_encoder_does_not_hear(made, tmp_path):
    """It hears 10 s, of which the network sees the first rows."""
    dataset = features.FeaturesDataset(made[1], "train")
    run = kit.save(tmp_path / "run", kit.params(0, dataset.widths), made[1])
    found = predictor.Predictor(run, weights={"speech": str(made[2])})
    limit = found.longest.speech * record.SPEECH_ROW_S
    assert limit < 10
    lines = found([clip_samples.clip(i, crops=1, seconds=s) for i, s in enumerate((0.5, 9.5, 12))])
    assert lines[0]["speech_cut"] == 0
    assert lines[1]["speech_cut"] == pytest.approx(9.5 - limit, abs=record.SPEECH_ROW_S)
    assert lines[2]["speech_cut"] == pytest.approx(12 - limit, abs=2 * record.SPEECH_ROW_S)


def test_a_split_without_any_finite_features_is_an_error(loud, tmp_path):
    clips = datasets.write(tmp_path / "clips", "clips", {"train": [clip_samples.clip(1)]})
    with pytest.raises(ValueError, match="no clip of split 'train' has finite features"):
        featurize(clips, tmp_path / "out", request(clips))
    assert not (tmp_path / "out" / "dataset_info.json").exists()


def test_features_too_large_for_half_precision_count_as_not_finite():
    item = Featurizer(featurizer.identities(EncodersConfig()), _narrow())([clip_samples.clip(0)])[0]
    assert not featurizer.finite(item)


def _narrow():
    return {"speech": {"mean": [1000.0] * 80, "std": [0.01] * 80}}


def test_the_report_tells_the_speed_of_a_device(tmp_path):
    clips = clip_samples.dataset(tmp_path / "clips", {"train": 2})
    report = featurize(clips, tmp_path / "out", request(clips))
    assert "clips/s" in report
    assert "hours of speech per second and device on 8 devices" in report
