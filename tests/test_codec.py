"""The codec stores records exactly as TFDS does, and reads only what is wanted."""

import re

import numpy as np
import pytest
from clip_samples import clip
from google.protobuf.message import DecodeError
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


TRAINING = ("text", "face", "face_emotion", "speech")


@pytest.mark.parametrize(("stage", "item", "widths"), CASES)
def test_what_training_reads_is_cut_out_of_the_bytes_with_the_values_of_a_whole_parse(
    stage, item, widths
):
    data = codec.serialize(item, stage)
    names = [name for name, field in record.fields(stage).items() if field.kind in codec._ONE_VALUE]
    assert set(names) >= ({"id", "speech"} if stage == "clips" else set(TRAINING))
    assert codec._cut_out(data, stage, names) is not None, "else it is parsed, which is slow"
    whole = codec.parse(data, stage, widths)
    for name, value in codec.parse(data, stage, widths, names).items():
        np.testing.assert_array_equal(value, whole[name], err_msg=name)
        assert type(value) is type(whole[name]), name
        assert getattr(value, "dtype", None) == getattr(whole[name], "dtype", None), name
        assert getattr(value, "shape", None) == getattr(whole[name], "shape", None), name


def message(tag: int, content: bytes) -> bytes:
    size, rest = b"", len(content)
    while rest > 127:
        size, rest = size + bytes([rest & 127 | 128]), rest >> 7
    return bytes([tag]) + size + bytes([rest]) + content


def laid_out(features: dict[str, bytes]) -> bytes:
    """An example with the entries in this order."""
    entries = [message(10, message(10, k.encode()) + message(18, v)) for k, v in features.items()]
    return message(10, b"".join(entries))


def in_another_layout(plain: bytes) -> list[bytes]:
    """Examples that are equal to `plain` for protobuf, but not in their bytes."""
    example = tf_example_pb2.Example.FromString(plain)
    features = {k: v.SerializeToString() for k, v in example.features.feature.items()}
    order = re.findall(b"|".join(sorted(map(str.encode, features), key=len, reverse=True)), plain)
    order = list(dict.fromkeys(name.decode() for name in order))
    assert laid_out({name: features[name] for name in order}) == plain
    swapped = [{"face": "text", "text": "face"}.get(name, name) for name in order]
    twice = tf_example_pb2.Example.FromString(plain)
    twice.features.feature["speech"].bytes_list.value.append(b"not read")
    orders = sorted(features), sorted(features, reverse=True), swapped
    found = [laid_out({name: features[name] for name in names}) for names in orders]
    return [*found, twice.SerializeToString(deterministic=True)]


@pytest.mark.parametrize("number", range(4))
def test_an_example_that_another_program_laid_out_is_read_alike(number):
    """Also where two fields of equally long names have changed places."""
    item = features_clip(0, np.random.default_rng(0))
    data = in_another_layout(codec.serialize(item, "features"))[number]
    assert codec._cut_out(data, "features", list(TRAINING)) is None
    found = codec.parse(data, "features", WIDTHS, TRAINING)
    for name in TRAINING:
        np.testing.assert_array_equal(found[name], item[name])


def test_changed_bytes_never_give_a_value_of_another_place():
    """They are refused, or read as protobuf reads them; array_record's checksums come before."""
    data = codec.serialize(features_clip(0, np.random.default_rng(0)), "features")
    whole = values_of(data)
    rng = np.random.default_rng(0)
    for place in rng.integers(len(data), size=300).tolist():
        changed = data[:place] + bytes([data[place] ^ 0x81]) + data[place + 1 :]
        for damaged in (data[:place], changed):
            try:
                found = codec.parse(damaged, "features", WIDTHS, TRAINING[1:])
            except (ValueError, IndexError):
                continue
            expected = values_of(damaged) or whole  # what it did not look at may be damaged
            for name, value in found.items():
                assert value.tobytes() == expected[name]


def values_of(data: bytes) -> dict[str, bytes] | None:
    try:
        values = tf_example_pb2.Example.FromString(data).features.feature
    except DecodeError:
        return None
    return {name: values[name].bytes_list.value[0] for name in TRAINING[1:]}


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
