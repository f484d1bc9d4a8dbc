"""The folders of the IEMOCAP release -> what there is to extract."""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from memobert_jax import record
from memobert_jax.media.subtitles import Utterance
from tfds_builders import manual
from tfds_builders.extraction import Source
from tfds_builders.iemocap import annotations
from tfds_builders.iemocap.annotations import Turn
from tfds_builders.listing import EVERYTHING, Listing, Omission, Tally

RELEASE = "IEMOCAP_full_release"
EVALUATIONS = "dialog/EmoEvaluation"
TRANSCRIPTS = "dialog/transcriptions"
FILMS = "dialog/avi/DivX"
SENTENCES = "sentences/wav"


@dataclasses.dataclass(frozen=True)
class Dialogue:
    """A dialogue of the release.

    Attributes:
      name: such as Ses01F_impro01.
      turns: names of all turns that are evaluated or transcribed.
      wanted: those with one of the labels; their times are those of the film.
    """

    name: str
    turns: frozenset[str]
    wanted: tuple[Utterance, ...]


def listing(folder: Path, labels: Mapping[str, str], films: bool, instructions: str) -> Listing:
    """The turns of the release that have one of the labels.

    Args:
      folder: the release, or the folder that holds it.
      labels: codes of the release that are wanted -> canonical name, '' for none.
      films: cut the turns from the films of the dialogues; otherwise take the sound file of each.
      instructions: what belongs into the folder; part of error messages.

    Raises:
      FileNotFoundError: without a session or its annotations, or without a single film.
      ValueError: for a label that IEMOCAP does not have.
    """
    root = folder / RELEASE if (folder / RELEASE).is_dir() else folder
    sessions = sorted(path for path in root.glob("Session[1-5]") if path.is_dir())
    if not sessions:
        manual.need(root, "Session1", instructions)
    if films and not any(_files(session / FILMS, ".avi") for session in sessions):
        raise FileNotFoundError(
            f"no film in {root}/Session*/{FILMS}. With the sound files only, choose a "
            f"configuration whose name ends in _speech. {instructions}"
        )
    tally = Tally()
    sources: list[Source] = []
    for session in sessions:
        evaluations = manual.need(root, f"{session.name}/{EVALUATIONS}", instructions)
        texts = evaluations, session / TRANSCRIPTS
        names = sorted({path.stem for folder in texts for path in _files(folder, ".txt")})
        dialogues = [
            _dialogue(name, *(folder / f"{name}.txt" for folder in texts), labels, tally)
            for name in filter(annotations.is_dialogue, names)
        ]
        sources += (_of_films if films else _of_sentences)(root, session, dialogues, tally)
    return Listing(sources, tally)


def _files(folder: Path, suffix: str) -> list[Path]:
    """Files of a folder by name, without what a Mac leaves beside them (._NAME)."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(p for p in found if p.suffix == suffix and not p.name.startswith("."))


def _dialogue(
    name: str, evaluation: Path, transcript: Path, labels: Mapping[str, str], tally: Tally
) -> Dialogue:
    turns, unreadable = annotations.read_turns(evaluation) if evaluation.is_file() else ([], [])
    said, left = annotations.read_transcript(transcript) if transcript.is_file() else ({}, 0)
    tally.note(
        "dialogues without an evaluation, whose turns are left out", not evaluation.is_file()
    )
    tally.note("dialogues without a transcript, whose turns have no text", not said)
    tally.note("lines of transcripts that name no turn", left)
    without = sorted(said.keys() - {turn.name for turn in turns})
    tally.listed += len(turns) + len(unreadable) + len(without)
    for place in unreadable:
        tally.omit(Omission.UNREADABLE, place)
    for turn in without:
        tally.omit(Omission.NO_LABEL, turn)
    wanted: dict[str, Utterance] = {}
    seen: set[str] = set()
    for turn in turns:
        reason = Omission.DUPLICATE_ID if turn.name in seen else _omission(turn, labels)
        seen.add(turn.name)
        if reason is None:
            wanted[turn.name] = _utterance(turn, said.get(turn.name, ""), labels[turn.code])
        else:
            tally.omit(reason, turn.name)
    return Dialogue(name, frozenset(seen | said.keys()), tuple(wanted.values()))


def _omission(turn: Turn, labels: Mapping[str, str]) -> Omission | None:
    if not 0 <= turn.start_s < turn.end_s:
        return Omission.BAD_TIMES
    if turn.code in labels:
        return None
    return Omission.NO_MAJORITY if turn.code == "xxx" else Omission.LABEL_NOT_IN_SET


def _utterance(turn: Turn, text: str, label: str) -> Utterance:
    fields = {
        "id": turn.name,
        "speaker": turn.speaker,
        "session": turn.session,
        "dialogue": turn.dialogue,
        "gender": turn.gender,
        "emotion": record.EMOTIONS.index(label) if label else -1,
        "labels": f"{turn.code},{turn.setting}",
        "valence": turn.valence,
        "arousal": turn.arousal,
        "dominance": turn.dominance,
    }
    return Utterance(turn.start_s, turn.end_s, text, fields, turn.half)


def _of_films(
    root: Path, session: Path, dialogues: Iterable[Dialogue], tally: Tally
) -> Iterator[Source]:
    """A source a dialogue: its film, of which the turns are cut."""
    films = {path.stem: path for path in _files(session / FILMS, ".avi")}
    for dialogue in dialogues:
        path = films.pop(dialogue.name, None)
        if path is None:
            _omit(Omission.NO_MEDIA, dialogue.wanted, tally)
        elif dialogue.wanted:
            yield _source(root, path, dialogue.wanted)
    _omit_files(root, films.values(), tally)


def _of_sentences(
    root: Path, session: Path, dialogues: Sequence[Dialogue], tally: Tally
) -> Iterator[Source]:
    """A source a turn: its sound file, whole."""
    for dialogue in dialogues:
        sounds = {p.stem: p for p in _files(session / SENTENCES / dialogue.name, ".wav")}
        for turn in dialogue.wanted:
            name = turn.fields["id"]
            if name in sounds:
                whole = dataclasses.replace(turn, start_s=0.0, end_s=math.inf, region="")
                yield _source(root, sounds[name], (whole,))
            else:
                _omit(Omission.NO_MEDIA, [turn], tally)
        _omit_files(root, [sounds[name] for name in sounds.keys() - dialogue.turns], tally)
    folders = sorted((session / SENTENCES).glob("*"))
    known = {dialogue.name for dialogue in dialogues}
    for folder in (folder for folder in folders if folder.name not in known):
        _omit_files(root, _files(folder, ".wav"), tally)


def _source(root: Path, path: Path, utterances: tuple[Utterance, ...]) -> Source:
    return Source(path.relative_to(root).as_posix(), str(path), EVERYTHING, utterances)


def _omit(reason: Omission, turns: Iterable[Utterance], tally: Tally) -> None:
    for turn in turns:
        tally.omit(reason, turn.fields["id"])


def _omit_files(root: Path, files: Iterable[Path], tally: Tally) -> None:
    """Lists and leaves out files that no annotation names."""
    for path in sorted(files):
        tally.listed += 1
        tally.omit(Omission.NO_ANNOTATION, path.relative_to(root).as_posix())
