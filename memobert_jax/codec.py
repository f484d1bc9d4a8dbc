"""Flat records to and from the bytes that TFDS stores, a `tf.train.Example` each.

What `record.tfds_features(...)` of TFDS does with `serialize_example` and
`deserialize_example_np`, one field at a time: four to seven times as fast, equal records give
equal bytes, and a reader decodes only the fields that it wants.
"""

import functools
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from memobert_jax import quantise, record

_TABLES = {stage: record.fields(stage) for stage in ("clips", "features")}
_DTYPE = {
    "vector": np.dtype(np.float32),
    "intensities": np.dtype(np.float32),
    "frames": np.dtype(np.float16),
}
_ONE_VALUE = frozenset({"text", "bytes", *_DTYPE})
"""Kinds that are stored as one string of bytes."""

_FIRST, _SECOND = 0x0A, 0x12
"""Tags of fields 1 and 2 of a protocol buffer, where they are messages, text or bytes."""


def serialize(item: Mapping[str, Any], stage: str, quantised: Collection[str] = ()) -> bytes:
    """The bytes of a flat record of `stage` (`record.make`), the fields `quantised` as int8.

    Raises:
      ValueError: if an array has not the dtype of its field; KeyError for a missing field.
    """
    from tensorflow_datasets.proto import tf_example_pb2

    example = tf_example_pb2.Example()
    values = example.features.feature
    for name, field in _TABLES[stage].items():
        _encode(field, item[name], values[name], name in quantised)
    return example.SerializeToString(deterministic=True)


def _encode(field: record.Field, value: Any, target, quantised: bool) -> None:
    match field.kind:
        case "text":
            target.bytes_list.value.append(value.encode("utf-8"))
        case "bytes":
            target.bytes_list.value.append(value)
        case "texts":
            target.bytes_list.SetInParent()
            target.bytes_list.value.extend(word.encode("utf-8") for word in value)
        case "images":
            target.bytes_list.SetInParent()
            target.bytes_list.value.extend(value)
        case "scalar":
            target.float_list.value.append(value)
        case "emotion":
            target.int64_list.value.append(value)
        case "vector" | "intensities" | "frames":
            if value.dtype != _DTYPE[field.kind]:
                raise ValueError(
                    f"field {field.name!r} has dtype {value.dtype}; expected {_DTYPE[field.kind]}"
                )
            value = quantise.quantise(value) if quantised else value
            target.bytes_list.value.append(np.ascontiguousarray(value).tobytes())


def parse(
    data: bytes,
    stage: str,
    widths: Mapping[str, int] | None = None,
    names: Iterable[str] | None = None,
    quantised: Collection[str] = (),
) -> dict[str, Any]:
    """The flat record in `data`, or only its fields `names`; arrays are read-only views.

    Args:
      data: one serialized example.
      stage: 'clips' or 'features'.
      widths: columns of the `frames` fields, as for `record.tfds_features`.
      names: fields to decode; all of the stage by default.
      quantised: fields that are stored as int8; they come back as float16.

    Raises:
      ValueError: if `data` is not a record of `stage`.
      KeyError: for a name that is not a field of the stage.
    """
    table, widths = _TABLES[stage], widths or {}
    names = list(table if names is None else names)
    found = _cut_out(data, stage, names)
    if found is None:
        values = _features(data, stage)
        return {name: _decode(table[name], values[name], widths, quantised) for name in names}
    return {
        name: _value(table[name], data, *place, widths, name in quantised)
        for name, place in zip(names, found, strict=True)
    }


def _features(data: bytes, stage: str) -> Mapping[str, Any]:
    from google.protobuf.message import DecodeError
    from tensorflow_datasets.proto import tf_example_pb2

    try:
        values = tf_example_pb2.Example.FromString(data).features.feature
    except DecodeError as error:
        raise ValueError(f"{len(data)} bytes are not a {stage} record: {error}") from error
    if len(values) != len(_TABLES[stage]):
        difference = sorted(set(_TABLES[stage]) ^ set(values))
        raise ValueError(f"not a {stage} record of this version: {difference} differ")
    return values


def _cut_out(data: bytes, stage: str, names: list[str]) -> list[tuple[int, int]] | None:
    """Where the values of fields lie in a serialized example, without parsing it: (start, end).

    None where it is laid out in another way than `serialize` does, or where a field is not stored
    as one string of bytes; then protobuf must parse it, which copies every field twice.
    """
    entries = _entries(stage)
    if not all(name in entries for name in names):
        return None
    try:
        size, at = _varint(data, 1)
        if data[0] != _FIRST or at + size != len(data):
            return None
        edges = [at]
        for _ in _TABLES[stage]:
            size, at = data[at + 1], at + 2
            if size > 127:
                size, at = _varint(data, at - 1)
            at += size
            edges.append(at)
        if at != len(data):
            return None
        found = []
        for number, head in [entries[name] for name in names]:
            (_, at), end = _varint(data, edges[number] + 1), edges[number + 1]
            if not data.startswith(head, at):
                return None
            at += len(head) - 1
            for tag in (_SECOND, _FIRST, _FIRST):  # Feature, BytesList, the only value of that
                if at >= end or data[at] != tag:
                    return None
                size, at = _varint(data, at + 1)
                if at + size != end:
                    return None
            found.append((at, end))
    except IndexError:
        return None
    return found


@functools.cache
def _entries(stage: str) -> dict[str, tuple[int, bytes]]:
    """Fields that are one string of bytes: number and beginning of their entry in an example."""
    data = serialize(record.blank(stage), stage)
    _, at = _varint(data, 1)
    found = {}
    for number in range(len(_TABLES[stage])):
        size, at = _varint(data, at + 1)
        name = data[at + 2 : at + 2 + data[at + 1]]
        if _TABLES[stage][name.decode()].kind in _ONE_VALUE:
            found[name.decode()] = number, data[at : at + 3 + len(name)]
        at += size
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at a place of a protocol buffer, and the place behind it."""
    value = shift = 0
    while data[at] > 127:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
    return value | data[at] << shift, at + 1


def _decode(field: record.Field, value, widths, quantised: Collection[str]) -> Any:
    match field.kind:
        case "texts":
            return [word.decode("utf-8") for word in value.bytes_list.value]
        case "images":
            return list(value.bytes_list.value)
        case "scalar":
            return value.float_list.value[0]
        case "emotion":
            return value.int64_list.value[0]
    data = value.bytes_list.value[0]
    return _value(field, data, 0, len(data), widths, field.name in quantised)


def _value(field: record.Field, data: bytes, start: int, end: int, widths, quantised: bool) -> Any:
    """The value that data[start:end] are the bytes of."""
    match field.kind:
        case "text":
            return data[start:end].decode("utf-8")
        case "bytes":
            return data[start:end]
    dtype = np.dtype(np.int8) if quantised else _DTYPE[field.kind]
    count = (end - start) // dtype.itemsize
    rows = np.frombuffer(data, dtype, count, start) if count else np.zeros(0, dtype)
    if field.kind == "frames":
        rows = rows.reshape(-1, widths.get(field.name, 1))
    return quantise.restore(rows) if quantised else rows
