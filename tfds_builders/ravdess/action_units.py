"""Speech files and one vector of facial action units a clip -> features-records."""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memobert_jax import features, reader, record
from memobert_jax.config import ExtractConfig
from memobert_jax.encoders import logmel
from memobert_jax.featurizer import Featurizer
from memobert_jax.media import clips as media
from tfds_builders import manual, named_files, streaming
from tfds_builders.listing import EVERYTHING, Omission, Tally
from tfds_builders.ravdess import names
from tfds_builders.streaming import Records

FILE = "face_action_units.npz"
ENCODER = "openface_action_units_mean"
_AT_ONCE = 32
_SHARED = [name for name in record.fields("clips") if name in record.fields("features")]


def open_records(
    manual_dir: Path, units_file: Path, extract: ExtractConfig, like: str = ""
) -> Records:
    """The speech files and the action units as records of features, all in one split.

    With `like` nothing is fitted on the clips themselves, which folds of actors would forbid: the
    statistics of the speech are those of another corpus, and the action units stay as OpenFace
    gives them (17 intensities from 0 to 5, 18 presences from 0 to 1).

    Args:
      manual_dir: searched for speech files.
      units_file: see `read`.
      extract: how clips are cut from the speech files.
      like: a features dataset with log-mel speech.

    Raises:
      ValueError: if the units are not as expected, or `like` has other speech.
    """
    files = [p for _, p in names.find(manual_dir, names.AUDIO, manual.SOUND_SUFFIXES, Tally())]
    units = read(units_file)
    width = next(iter(units.values())).shape[0] if units else 1
    widths = {"face": width, "speech": logmel.ENCODER.width}
    return Records(
        inputs=[units_file, *files],
        splits=[EVERYTHING],
        read=functools.partial(records, manual_dir, units, extract, widths),
        encoders={
            "face": streaming.encoder(ENCODER, width, 0.0),
            "speech": logmel.ENCODER.identity(),
        },
        widths=widths,
        bands={"speech": logmel.ENCODER.bands},
        **(_statistics_of(like) if like else {}),
    )


def _statistics_of(like: str) -> dict[str, Any]:
    """`normalisation` and `normalised_on` of Records, the speech of a features dataset."""
    metadata = dict(reader.open_builder(like, "features").info.metadata)
    name = metadata.get("dataset", {}).get("name") or reader.open_builder(like, "features").name
    if name == "ravdess":
        raise ValueError(
            f"--like={like} is RAVDESS itself, so its statistics know the actors that folds test: "
            "give features of another corpus"
        )
    found, wanted = metadata["encoders"]["speech"], logmel.ENCODER.identity()
    if found != wanted:
        raise ValueError(
            f"--like={like} has speech of the encoder {found}; expected {wanted}: give features "
            "that were made with --speech_encoder=logmel"
        )
    return {
        "normalisation": {"speech": metadata["normalisation"]["speech"]},
        "normalised_on": features.normalised_on(metadata),
    }


def read(path: Path) -> dict[str, np.ndarray]:
    """Action units of each audio-visual clip: id (`01-01-…`) -> f32 [units].

    Args:
      path: an npz file with `ids` [clips], text, and `action_units` [clips, units], numbers.

    Raises:
      ValueError: if it is another file, or an id is there twice.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            ids, units = arrays["ids"], arrays["action_units"]
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"{path} is not as expected ({error}); it needs the arrays ids and action_units, and "
            "nothing in it is unpickled"
        ) from error
    if ids.ndim != 1 or units.ndim != 2 or len(ids) != len(units) or units.dtype.kind != "f":
        raise ValueError(
            f"{path}: ids {ids.dtype} {ids.shape}, action_units {units.dtype} {units.shape}; "
            "expected text [clips] and floating-point numbers [clips, units]"
        )
    found = dict(zip(ids.astype(str).tolist(), units, strict=True))
    if len(found) < len(ids):
        raise ValueError(f"{path}: {len(ids) - len(found)} ids are there twice")
    return found


def records(
    manual_dir: Path,
    units: Mapping[str, np.ndarray],
    extract: ExtractConfig,
    widths: Mapping[str, int],
    tally: Tally,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(split, features-record) of each speech file: its log-mel rows, and one row of the face.

    The row of the face stands for the whole clip: its time is the middle. A clip without one is
    kept without a face, and noted; action units without a speech file are listed and left out.
    """
    files = names.find(manual_dir, names.AUDIO, manual.SOUND_SUFFIXES, tally)
    for unheard in sorted(set(units) - {_audio_visual(clip.id) for clip, _ in files}):
        tally.listed += 1
        tally.omit(Omission.NO_MEDIA, f"{unheard} of {FILE}")
    front_end = Featurizer({"speech": logmel.ENCODER.identity()}, {})
    for start in range(0, len(files), _AT_ONCE):
        clips = []
        for clip, path in files[start : start + _AT_ONCE]:
            cut = _cut(clip, path, extract)
            clips += cut
            if not cut:
                tally.omit(Omission.UNREADABLE, clip.id)
        for clip, rows in zip(clips, front_end.rows("speech", clips), strict=True):
            face = units.get(_audio_visual(clip["id"]))
            tally.note("clips without action units, kept without a face", int(face is None))
            yield EVERYTHING, _features(clip, rows, face, widths)


def _cut(clip: names.Clip, path: Path, extract: ExtractConfig) -> list[dict[str, Any]]:
    utterance = named_files.whole_file(clip.text, **clip.fields())
    return media.extract(path, extract, video_id=clip.id, utterances=[utterance]).clips


def _features(
    clip: Mapping[str, Any], rows: np.ndarray, face: np.ndarray | None, widths: Mapping[str, int]
) -> dict[str, Any]:
    shared = {name: clip[name] for name in _SHARED}
    if face is not None:
        middle = (clip["end_s"] - clip["start_s"]) / 2
        shared |= {
            "face": face[None],
            "face_time_s": np.array([middle], np.float32),
            "face_score": np.ones(1, np.float32),
        }
    return record.blank("features", widths) | shared | {"speech": rows}


def _audio_visual(name: str) -> str:
    """The id of the audio-visual clip of a sound."""
    return f"{names.AUDIO_VISUAL}{name[2:]}"
