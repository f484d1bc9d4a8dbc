"""Computational sequences and labels -> features-records, one video in memory at a time."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memobert_jax import record
from tfds_builders.cmu import cut, words
from tfds_builders.cmu.columns import Face, speech_name
from tfds_builders.cmu.csd import CsdFile, Sequence
from tfds_builders.cmu.labels import Label, Labels
from tfds_builders.cmu.tidy import Oddities
from tfds_builders.listing import Omission, Tally
from tfds_builders.streaming import Records, encoder

SPLITS = ("train", "validation", "test")
_MODALITIES = (cut.TEXT, "face", "speech")


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of a corpus.

    Attributes:
      labels: its segments.
      sequences: `text_features` (word vectors), `face`, `speech` and `words` -> file.
      folds: video -> split.
      folds_file: where they stand.
    """

    labels: Path
    sequences: Mapping[str, Path]
    folds: Mapping[str, str]
    folds_file: Path


@dataclasses.dataclass(frozen=True)
class Rows:
    """How rows are made: `words` or `frames` (`cut`), and of which face columns."""

    kind: str
    emotion_scores: bool


def records(files: Files, rows: Rows) -> Records:
    """What the files hold, to be read video by video.

    Raises:
      FileNotFoundError, ValueError: if a file is missing, or is no such sequence.
    """
    found = {name: _width(path, name) for name, path in files.sequences.items()}
    face = Face.of(found["face"], rows.emotion_scores)
    widths = {name: found[name] for name in _MODALITIES} | {"face": face.width}

    def read(tally: Tally) -> Iterator[tuple[str, dict[str, Any]]]:
        labels, oddities = Labels(files.labels), Oddities()
        with contextlib.ExitStack() as stack:
            opened = {n: stack.enter_context(CsdFile(p)) for n, p in files.sequences.items()}
            for video in labels.rows:
                wanted = _listed(video, labels, opened, files.folds, tally)
                if not wanted:
                    continue
                sequences = {n: oddities.sequence(n, f.read(video)) for n, f in opened.items()}
                segments = np.array([(label.start_s, label.end_s) for label in wanted])
                made = {"words": cut.by_words, "frames": cut.by_frames}[rows.kind](
                    sequences, segments
                )
                for name in ("face", "speech"):
                    tally.note(f"{name}: rows without features, 0", made.imputed.get(name, 0))
                for number, label in enumerate(wanted):
                    parts = {n: pieces.of(number) for n, pieces in made.pieces.items()}
                    if reason := _missing(parts, rows.kind, tally):
                        tally.omit(reason, label.key)
                    else:
                        yield files.folds[video], _item(label, parts, face, widths, oddities)
            _note_others(labels, opened["speech"], files.folds, tally)
        labels.oddities.note(tally)
        oddities.note(tally)

    inputs = (files.labels, *files.sequences.values(), files.folds_file)
    return Records(inputs, SPLITS, read, _encoders(rows.kind, face, widths), widths)


def _width(path: Path, name: str) -> int:
    with CsdFile(path) as file:
        width = file.width
    if (name == cut.WORDS) != (width == 0):
        raise ValueError(f"{path} has {width} columns of numbers; expected the {name} of a corpus")
    return width


def _encoders(kind: str, face: Face, widths: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """What made the rows; a rate only where they have one."""
    out = {}
    for name, what in (("face", face.name), ("speech", speech_name(widths["speech"]))):
        step = cut.STEP_S[name]
        rate = 1 / step if kind == "frames" else 0.0
        mean = f"mean of {1000 * step:.0f} ms" if kind == "frames" else "mean over a word"
        out[name] = encoder(f"{what}, {mean}", widths[name], rate)
    return out


def _listed(
    video: str,
    labels: Labels,
    opened: Mapping[str, CsdFile],
    folds: Mapping[str, str],
    tally: Tally,
) -> list[Label]:
    """The segments of a video that is in a split and that all files know; others are left out."""
    wanted = labels.list_video(video, tally)
    if video not in folds:
        reason, why = Omission.OTHER_SETTING, "in none of the folds"
    elif lacking := [name for name, file in opened.items() if video not in file]:
        reason, why = Omission.MISALIGNED, f"without {', '.join(lacking)}"
    else:
        return wanted
    tally.note(f"segments of videos {why}, left out", len(wanted))
    for label in wanted:
        tally.omit(reason, label.key)
    return []


def _note_others(labels: Labels, speech: CsdFile, folds: Mapping[str, str], tally: Tally) -> None:
    """Counts the videos that only some of the lists know."""
    known = labels.rows.keys()
    tally.note("videos with features and without labels", len(set(speech.videos) - known))
    tally.note("videos of the folds without labels", len(folds.keys() - known))


def _missing(parts: Mapping[str, Sequence], kind: str, tally: Tally) -> Omission | None:
    """Why a segment is left out: nothing but zeros, or, by word, no row in one of the modalities
    (the SDK's `hard_unify`)."""
    if not any(parts[name].features.any() for name in _MODALITIES):
        return Omission.NO_FEATURES
    lengths = [len(parts[name]) for name in _MODALITIES]
    if kind == "frames":
        return None
    tally.note("segments whose modalities differ in rows at a border", len(set(lengths)) > 1)
    return None if all(lengths) else Omission.MISALIGNED


def _item(
    label: Label,
    parts: Mapping[str, Sequence],
    face: Face,
    widths: Mapping[str, int],
    oddities: Oddities,
) -> dict[str, Any]:
    """The record of a segment; times are from its start."""
    values = {name: oddities.halves(name, parts[name].features) for name in _MODALITIES}
    values["face"] = values["face"][:, face.first :]
    return record.make(
        "features",
        widths,
        id=label.key,
        video_id=label.video,
        start_s=label.start_s,
        end_s=label.end_s,
        face_time_s=(parts["face"].intervals[:, 0] - label.start_s).astype(np.float32),
        face_score=(values["face"] != 0).any(1).astype(np.float32),
        sentiment=label.sentiment,
        emotions=label.emotions,
        **words.fields(parts[cut.WORDS], label.start_s),
        **values,
    )
