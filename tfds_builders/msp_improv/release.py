"""The folders of MSP-IMPROV -> what there is to extract."""

import math
from collections.abc import Mapping
from pathlib import Path

from memobert_jax import record
from memobert_jax.media.subtitles import Utterance
from tfds_builders import manual, tables
from tfds_builders.extraction import Source
from tfds_builders.listing import EVERYTHING, Listing, Omission, Tally
from tfds_builders.msp_improv import evaluation
from tfds_builders.msp_improv.evaluation import Turn

EVALUATIONS = ("Evalution.txt", "Evaluation.txt")
"""Names of the evaluation file: as it was released first, and spelt right."""


def listing(
    folder: Path, labels: Mapping[str, str], settings: str, films: bool, instructions: str
) -> Listing:
    """The turns of some settings that have one of the labels.

    Media and transcripts are found by their names, wherever they lie below the folder.

    Args:
      folder: of the release.
      labels: codes of the release that are wanted -> canonical name, '' for none.
      settings: letters of those that are wanted.
      films: take the films; otherwise the sound files.
      instructions: what belongs into the folder; part of error messages.

    Raises:
      FileNotFoundError: without the evaluation file, or without a single film or sound file.
      ValueError: for a label that MSP-IMPROV does not have, or two files of one name.
    """
    present = [folder / name for name in EVALUATIONS if (folder / name).is_file()]
    path = present[0] if present else manual.need(folder, EVALUATIONS[0], instructions)
    turns, unreadable = evaluation.read(path)
    media = _by_name(folder, ".avi" if films else ".wav")
    if not media:
        other = (
            " With the sound files only, choose a configuration whose name ends in _speech."
            if films
            else ""
        )
        raise FileNotFoundError(
            f"no {'film (.avi)' if films else 'sound file (.wav)'} of a turn below {folder}."
            f"{other} {instructions}"
        )
    tally = Tally()
    tally.listed += len(turns) + len(unreadable)
    for place in unreadable:
        tally.omit(Omission.UNREADABLE, place)
    said, seen, sources = _by_name(folder, ".txt"), set(), []
    for turn in turns:
        reason = _omission(turn, labels, settings)
        if turn.name in seen:
            reason = Omission.DUPLICATE_ID
        elif reason is None and turn.name not in media:
            reason = Omission.NO_MEDIA
        seen.add(turn.name)
        if reason is None:
            text = _text(said[turn.name]) if turn.name in said else ""
            sources.append(_source(folder, media[turn.name], turn, text, labels[turn.code]))
        else:
            tally.omit(reason, turn.name)
    tally.note("transcripts of turns that are not evaluated", len(said.keys() - seen))
    for name in sorted(media.keys() - seen):
        tally.listed += 1
        tally.omit(Omission.NO_ANNOTATION, media[name].relative_to(folder).as_posix())
    return Listing(sorted(sources, key=lambda source: source.video_id), tally)


def _by_name(folder: Path, suffix: str) -> dict[str, Path]:
    """Files of turns below the folder, without what a Mac leaves beside them (._NAME)."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob(f"MSP-IMPROV-*{suffix}")):
        if not evaluation.is_turn(path.stem):
            continue
        if path.stem in found:
            raise ValueError(
                f"{path} and {found[path.stem]} have one name; leave one of them in {folder}"
            )
        found[path.stem] = path
    return found


def _omission(turn: Turn, labels: Mapping[str, str], settings: str) -> Omission | None:
    if turn.setting not in settings:
        return Omission.OTHER_SETTING
    if turn.code in labels:
        return None
    return Omission.NO_MAJORITY if turn.code == "X" else Omission.LABEL_NOT_IN_SET


def _text(path: Path) -> str:
    return " ".join(tables.decode(path.read_bytes()).split())


def _source(folder: Path, path: Path, turn: Turn, text: str, label: str) -> Source:
    fields = {
        "id": turn.name,
        "speaker": turn.speaker,
        "session": turn.session,
        "dialogue": f"{turn.session}_{turn.scene}",
        "gender": turn.gender,
        "emotion": record.EMOTIONS.index(label) if label else -1,
        "labels": f"{turn.code},{evaluation.SETTINGS[turn.setting]}",
        "valence": turn.valence,
        "arousal": turn.arousal,
        "dominance": turn.dominance,
    }
    whole = Utterance(0.0, math.inf, text, fields)
    return Source(path.relative_to(folder).as_posix(), str(path), EVERYTHING, (whole,))
