"""The record: one utterance clip, declared once for builders, featurize, training and predict.

Two stages share the table. A *clips* record holds encoded media (JPEG face crops, FLAC speech); a
*features* record holds what the frozen encoders made of them. What is absent is a declared value
(`''`, -1, NaN, zero frames), never a missing key.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

EMOTIONS = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "neutral",
    "sadness",
    "surprise",
    "excitement",
    "frustration",
    "calm",
    "contempt",
    "other",
)
"""Canonical label names. They are not label words: a prompt maps `happiness` to "happy"."""

FACE_FPS = 10.0
"""Face frames per second in a clip."""

FACE_SIZE = 112
"""Side of an aligned face crop, pixels."""

SAMPLE_RATE = 16_000
"""Speech samples per second, mono."""

SPEECH_ROW_S = 0.06
"""Duration of one row of speech features, seconds."""

JPEG_QUALITY = 90

_BOTH = frozenset({"clips", "features"})
_CLIPS = frozenset({"clips"})
_FEATURES = frozenset({"features"})


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of the record.

    kind: `text`, `scalar` (f32), `emotion` (class id), `bytes`, `texts`, `images` (list of bytes),
    `vector` (f32 [n]), `intensities` (f32 [len(EMOTIONS)]), `frames` (f16 [n, width]).
    """

    name: str
    kind: str
    stages: frozenset[str]
    doc: str


FIELDS = (
    Field("id", "text", _BOTH, "unique in the dataset"),
    Field("video_id", "text", _BOTH, "source video; the unit of splits"),
    Field("speaker", "text", _BOTH, "group key"),
    Field("session", "text", _BOTH, "group key"),
    Field("dialogue", "text", _BOTH, "group key"),
    Field("gender", "text", _BOTH, "group key: 'female', 'male' or ''"),
    Field("start_s", "scalar", _BOTH, "start in the source video, seconds"),
    Field("end_s", "scalar", _BOTH, "end in the source video, seconds"),
    Field("text", "text", _BOTH, "utterance as spoken"),
    Field("words/text", "texts", _BOTH, "whitespace words of `text`"),
    Field("words/start_s", "vector", _BOTH, "word starts from the clip's start, seconds"),
    Field("words/end_s", "vector", _BOTH, "word ends from the clip's start, seconds"),
    Field(
        "words_aligned", "scalar", _BOTH, "1 where word times are measured, 0 where spread evenly"
    ),
    Field(
        "faces", "images", _CLIPS, "JPEG, RGB 112x112, aligned crops of the active speaker, 10 fps"
    ),
    Field("face_time_s", "vector", _BOTH, "time of each face frame from the clip's start, seconds"),
    Field("face_score", "vector", _BOTH, "detector score of each face frame"),
    Field("speech", "bytes", _CLIPS, "FLAC, 16 kHz mono"),
    Field("face", "frames", _FEATURES, "face features, one row per face frame"),
    Field("face_emotion", "frames", _FEATURES, "expression posterior of the face encoder"),
    Field("speech", "frames", _FEATURES, "speech features, one row per 60 ms"),
    Field("text_features", "frames", _FEATURES, "for corpora that ship text only as vectors"),
    Field("emotion", "emotion", _BOTH, "class id in EMOTIONS, or -1"),
    Field("emotions", "intensities", _BOTH, "multi-label intensities in EMOTIONS order, or NaN"),
    Field("labels", "text", _BOTH, "the corpus' own label names, separated by commas"),
    Field("sentiment", "scalar", _BOTH, "NaN where absent"),
    Field("valence", "scalar", _BOTH, "NaN where absent"),
    Field("arousal", "scalar", _BOTH, "NaN where absent"),
    Field("dominance", "scalar", _BOTH, "NaN where absent"),
)

_TEXT_NAMES = frozenset(field.name for field in FIELDS if field.kind == "text")
_NAN_SCALARS = frozenset({"sentiment", "valence", "arousal", "dominance"})


def fields(stage: str) -> dict[str, Field]:
    """Fields of one stage, in table order.

    Raises:
      ValueError: if `stage` is neither 'clips' nor 'features'.
    """
    if stage not in _BOTH:
        raise ValueError(f"stage is {stage!r}; expected 'clips' or 'features'")
    return {field.name: field for field in FIELDS if stage in field.stages}


def fingerprint(stage: str) -> str:
    """12 hex digits of the fields of a stage and the label names: the shape of its records."""
    shape = [[field.name, field.kind] for field in fields(stage).values()]
    return hashlib.sha256(json.dumps([shape, EMOTIONS]).encode()).hexdigest()[:12]


def quantised(storage: str) -> tuple[str, ...]:
    """Fields of a features-record that a storage of FeaturesConfig holds as int8."""
    return ("face", "speech") if storage == "int8" else ()


def blank(stage: str, widths: Mapping[str, int] | None = None) -> dict[str, Any]:
    """A record of `stage` (flat, keys as in FIELDS) in which everything is absent.

    `widths` are the columns of the `frames` fields that the dataset has; the others have 1.
    """
    widths = widths or {}
    return {name: _absent(field, widths) for name, field in fields(stage).items()}


def _absent(field: Field, widths: Mapping[str, int]) -> Any:
    match field.kind:
        case "text":
            return ""
        case "scalar":
            return np.float32("nan" if field.name in _NAN_SCALARS else 0)
        case "emotion":
            return -1
        case "bytes":
            return b""
        case "texts" | "images":
            return []
        case "vector":
            return np.zeros(0, np.float32)
        case "intensities":
            return np.full(len(EMOTIONS), np.nan, np.float32)
        case "frames":
            return np.zeros((0, widths.get(field.name, 1)), np.float16)


def make(stage: str, widths: Mapping[str, int] | None = None, **values: Any) -> dict[str, Any]:
    """A record of `stage` from `values` (`words/text` is spelt `words_text=`, and so on).

    Raises:
      ValueError: for a name that is not a field of the stage, or parts that disagree in length.
    """
    record = blank(stage, widths)
    alias = {name.replace("/", "_"): name for name in record}
    for key, value in values.items():
        if key not in alias:
            raise ValueError(f"{key!r} is not a field of a {stage} record; fields: {sorted(alias)}")
        record[alias[key]] = value
    check(record, stage)
    return record


def check(record: Mapping[str, Any], stage: str) -> None:
    """Raises ValueError for a missing or unknown field, or parts that disagree in length."""
    expected, given = set(fields(stage)), set(record)
    if expected != given:
        raise ValueError(
            f"record {record.get('id')!r}: missing fields {sorted(expected - given)}, "
            f"unknown fields {sorted(given - expected)}"
        )
    frames = "faces" if stage == "clips" else "face"
    groups = [("words/text", "words/start_s", "words/end_s"), (frames, "face_time_s", "face_score")]
    for group in groups:
        lengths = {name: len(record[name]) for name in group}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"record {record['id']!r}: lengths differ: {lengths}")


def even_words(text: str, duration_s: float) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Words that share the clip evenly: (words, starts [n] f32, ends [n] f32), in seconds."""
    words = text.split()
    edges = np.linspace(0.0, duration_s, len(words) + 1, dtype=np.float32)
    return words, edges[:-1], edges[1:]


def nest(record: Mapping[str, Any]) -> dict[str, Any]:
    """The TFDS form of a flat record: 'a/b' keys become nested dicts."""
    nested: dict[str, Any] = {}
    for name, value in record.items():
        *parents, leaf = name.split("/")
        functools.reduce(lambda tree, key: tree.setdefault(key, {}), parents, nested)[leaf] = value
    return nested


def flatten(example: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `nest`, with bytes of text fields decoded to str (as TFDS returns them)."""
    flat = {}
    for name, value in example.items():
        if isinstance(value, Mapping):
            flat.update({f"{name}/{key}": item for key, item in value.items()})
        else:
            flat[name] = value
    for name, value in flat.items():
        if name in _TEXT_NAMES and isinstance(value, bytes):
            flat[name] = value.decode("utf-8")
        elif name == "words/text":
            flat[name] = [v.decode("utf-8") if isinstance(v, bytes) else v for v in value]
    return flat


def tfds_features(
    stage: str, widths: Mapping[str, int] | None = None, quantised: Collection[str] = ()
):
    """The `tfds.features.FeaturesDict` of a stage.

    Args:
      stage: 'clips' or 'features'.
      widths: columns of the `frames` fields that the dataset has; a field without a width is
        stored as [0, 1].
      quantised: fields that are stored as int8, with their scales in the first rows
        (`quantise.py`).
    """
    import tensorflow_datasets as tfds

    widths = widths or {}
    unknown = set(widths) - {field.name for field in FIELDS if field.kind == "frames"}
    if unknown:
        raise ValueError(f"widths given for {sorted(unknown)}, which are not frame fields")
    feature = tfds.features

    def tensor(shape, dtype):
        return feature.Tensor(shape=shape, dtype=dtype, encoding="bytes")

    def one(field):
        match field.kind:
            case "text":
                return feature.Text()
            case "scalar":
                return feature.Scalar(np.float32)
            case "emotion":
                return feature.ClassLabel(names=EMOTIONS)
            case "bytes":
                return feature.Scalar(np.object_)
            case "texts":
                return feature.Sequence(feature.Text())
            case "images":
                return feature.Sequence(feature.Scalar(np.object_))
            case "vector":
                return tensor((None,), np.float32)
            case "intensities":
                return tensor((len(EMOTIONS),), np.float32)
            case "frames":
                dtype = np.int8 if field.name in quantised else np.float16
                return tensor((None, widths.get(field.name, 1)), dtype)

    return feature.FeaturesDict(nest({name: one(field) for name, field in fields(stage).items()}))
