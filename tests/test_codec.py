"""The codec stores records exactly as TFDS does, and reads only what is wanted."""

import numpy as np
import pytest
from clip_samples import clip
from samples import WIDTHS
from samples import clip as features_clip
from tensorflow_datasets.proto import tf_example_pb2

from memobert_jax import codec, record

CASES = [
    ("clips", clip(0), {}),
    ("clips", clip(1, crops=0, seconds=0), {}),
    ("clips", record.blank("clips"), {}),
    ("features", features_clip(0, np.random.default_rng(0)), WIDTHS),
    ("features", record.blank("features", WIDTHS), WIDTHS),
]


@pytest.mark.parametrize(("stage", "item", "widths"), CASES)
def test_tfds_reads_what_the_codec_writes(stage, item, widths):
    features = record.tfds_features(stage, widths)
    back = record.flatten(features.deserialize_example_np(codec.serialize(item, stage)))
    for name, value in item.items():
        np.testing.assert_array_equal(back[name], value, err_msg=name)


@pytest.mark.parametrize(("stage", "item", "widths"), CASES)
def test_the_codec_writes_the_same_example_as_tfds(stage, item, widths):
    stored = record.tfds_features(stage, widths).serialize_example(record.nest(item))
    theirs = tf_example_pb2.Example.FromString(stored)
    assert tf_example_pb2.Example.FromString(codec.serialize(item, stage)) == theirs


@pytest.mark.parametrize(("stage", "item", "widths"), CASES)
def test_the_codec_reads_the_same_values_as_tfds(stage, item, widths):
    features = record.tfds_features(stage, widths)
    stored = features.serialize_example(record.nest(item))
    ours = codec.parse(stored, stage, widths)
    theirs = record.flatten(features.deserialize_example_np(stored))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)
        assert type(ours[name]) is type(value), name
        assert getattr(ours[name], "dtype", None) == getattr(value, "dtype", None), name


def test_only_the_wanted_fields_are_decoded():
    item = clip(0)
    found = codec.parse(codec.serialize(item, "clips"), "clips", names=("id", "speech"))
    assert found == {"id": item["id"], "speech": item["speech"]}


def test_equal_records_give_equal_bytes_whatever_the_order_of_their_fields():
    item = clip(0)
    turned = dict(reversed(item.items()))
    assert codec.serialize(item, "clips") == codec.serialize(turned, "clips")


def test_an_array_of_another_dtype_is_refused():
    item = features_clip(0, np.random.default_rng(0))
    item["face"] = item["face"].astype(np.float32)
    with pytest.raises(ValueError, match="'face' has dtype float32; expected float16"):
        codec.serialize(item, "features")


def test_bytes_that_are_no_example_are_refused():
    with pytest.raises(ValueError, match="5 bytes are not a clips record"):
        codec.parse(b"\xff\xff\xff\xff\xff", "clips")


def test_a_record_of_the_other_stage_is_refused():
    with pytest.raises(ValueError, match=r"not a features record .*'face'.* differ"):
        codec.parse(codec.serialize(clip(0), "clips"), "features")
