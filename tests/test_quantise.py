"""Features in eight bits: small errors, exact scales, the same through files, commands and TFDS."""

import json

import clip_samples
import numpy as np
import pytest
import samples
import tensorflow_datasets as tfds

from memobert_jax import features, featurize, record
from memobert_jax.config import FeaturesConfig
from memobert_jax.features import FeaturesDataset
from memobert_jax.quantise import SCALE_ROWS, quantise, restore


def rows(n: int = 40, width: int = 32) -> np.ndarray:
    """Columns of very different sizes, one of them all zero and one beyond 60,000."""
    values = np.random.default_rng(n).normal(size=(n, width)) * np.logspace(-6, 3, width)
    values[:, 3], values[0, 5] = 0, 65504
    return values.astype(np.float16)


@pytest.mark.parametrize("n", [1, 2, 40])
def test_no_value_is_further_away_than_half_a_scale_and_a_rounding_of_float16(n):
    values = rows(n)
    found = restore(quantise(values))
    assert (found.dtype, found.shape) == (np.float16, values.shape)
    largest = np.abs(values.astype(np.float64)).max(0)
    error = np.abs(found.astype(np.float64) - values)
    assert (error <= largest / 127 / 2 * 1.001 + largest * 2**-11 + 2**-24).all()
    assert n < 40 or error[:, -1].max() > largest[-1] / 127 / 4, "else nothing was rounded"


def test_the_largest_of_a_column_comes_back_exactly_and_so_do_the_scales():
    values, stored = rows(), quantise(rows())
    scale = stored[:SCALE_ROWS].reshape(-1).view(np.float32)
    np.testing.assert_array_equal(scale, np.abs(values.astype(np.float32)).max(0) / 127)
    assert np.abs(stored[SCALE_ROWS:].astype(int)).max() == 127
    at = np.abs(values).argmax(0), np.arange(values.shape[1])
    np.testing.assert_array_equal(restore(stored)[at], values[at])


def test_every_clip_and_column_has_a_scale_of_its_own():
    values, other = rows(), rows() * np.float16(0.01)
    largest = np.abs(other.astype(np.float32)).max(0)
    error = np.abs(restore(quantise(other)).astype(np.float32) - other)
    assert (error[:, 20:] <= largest[20:] / 250).all()
    assert restore(quantise(values))[:, 3].tolist() == [0] * 40


def test_no_rows_have_no_scale():
    empty = quantise(np.zeros((0, 7), np.float16))
    assert (empty.shape, empty.dtype) == ((0, 7), np.int8)
    assert restore(empty).shape == (0, 7)
    assert restore(empty).dtype == np.float16


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused(value):
    values = rows()
    values[1, 1] = value
    with pytest.raises(ValueError, match="not finite cannot be stored as int8"):
        quantise(values)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same clips stored either way."""
    folder, rng = tmp_path_factory.mktemp("both"), np.random.default_rng(0)
    widths = samples.WIDTHS | {"face_emotion": 4}
    clips = [samples.clip(i, rng, widths=widths) for i in range(6)]
    clips[2] |= {"speech": np.zeros((0, 20), np.float16)}
    return [
        FeaturesDataset(
            features.write(folder / s, {"train": clips}, widths=widths, storage=s), "train"
        )
        for s in ("float16", "int8")
    ]


def test_a_dataset_in_eight_bits_is_read_as_any_other(both):
    plain, small = both
    for one, other in zip(plain, small, strict=True):
        assert one.keys() == other.keys()
        for name in ("face", "speech"):
            assert other[name].dtype == np.float16
            assert other[name].shape == one[name].shape
            np.testing.assert_allclose(other[name], one[name], atol=np.abs(one["face"]).max() / 200)
        np.testing.assert_array_equal(other["face_emotion"], one["face_emotion"])
    assert small.widths == plain.widths
    assert small.read(0, ("speech",))["speech"].tobytes() == small[0]["speech"].tobytes()
    np.testing.assert_array_equal(small.lengths["speech"], plain.lengths["speech"])
    assert not np.array_equal(small[0]["speech"], plain[0]["speech"])


def test_a_dataset_in_eight_bits_is_other_data(both):
    """A run is not continued on it."""
    plain, small = both
    assert small.fingerprint != plain.fingerprint
    assert (plain.metadata["storage"], small.metadata["storage"]) == ("float16", "int8")


def test_tfds_opens_it_and_shows_the_scales_in_the_first_rows(both):
    builder = tfds.builder_from_directory(str(both[1].path))
    stored = builder.as_data_source("train")[1]["speech"]
    assert stored.dtype == np.int8
    np.testing.assert_array_equal(restore(stored), both[1][1]["speech"])
    assert len(stored) == len(both[1][1]["speech"]) + SCALE_ROWS


def test_featurize_stores_what_it_is_told_and_does_not_mix(tmp_path):
    clips = clip_samples.dataset(tmp_path / "clips", {"train": 3})
    made = {}
    for storage in ("float16", "int8"):
        made_of = featurize.request(clips, storage=FeaturesConfig(storage))
        featurize.featurize(clips, tmp_path / storage, made_of)
        made[storage] = FeaturesDataset(tmp_path / storage, "train")
    plain, small = (made[s] for s in ("float16", "int8"))
    assert "storage" not in featurize.request(clips, storage=FeaturesConfig())
    for one, other in zip(plain, small, strict=True):
        for name in ("face", "speech"):
            np.testing.assert_array_equal(other[name], restore(quantise(one[name])))
    assert small.metadata["encoders"] == plain.metadata["encoders"]
    assert json.loads((tmp_path / "int8" / "metadata.json").read_text())["storage"] == "int8"
    with pytest.raises(ValueError, match="what differs: storage"):
        featurize.featurize(clips, tmp_path / "int8", featurize.request(clips))


def test_features_of_either_storage_are_made_like_the_other(tmp_path):
    clips = clip_samples.dataset(tmp_path / "clips", {"train": 2})
    featurize.featurize(clips, tmp_path / "plain", featurize.request(clips))
    made_of = featurize.request(clips, like=tmp_path / "plain", storage=FeaturesConfig("int8"))
    featurize.featurize(clips, tmp_path / "small", made_of)
    plain, small = (FeaturesDataset(tmp_path / name, "train") for name in ("plain", "small"))
    assert small.metadata["normalisation"] == plain.metadata["normalisation"]
    np.testing.assert_array_equal(small[1]["face"], restore(quantise(plain[1]["face"])))


def test_only_face_and_speech_are_stored_in_eight_bits():
    assert record.quantised("int8") == ("face", "speech")
    assert record.quantised("float16") == ()
