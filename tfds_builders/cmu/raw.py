"""The videos of CMU-MOSI and CMU-MOSEI with their transcripts and labels -> what to cut.

    [Raw/]Videos/Full/[Combined/]ID.mp4            whole videos, cut at the times of the labels
    [Raw/]Videos/Segmented/[Combined/]ID_N.mp4     or clips; N stands in the transcript
    [Raw/]Transcript/Segmented/[Combined/]ID.txt   lines ID___N___START___END___TEXT (CMU-MOSEI)

In CMU-MOSI the folder is `Video`, and its transcripts have no times: texts come from a file of
words there, and clips cannot be told apart, so only whole videos are read.
"""

import contextlib
import dataclasses
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memobert_jax.config import ExtractConfig
from memobert_jax.media import video as media
from memobert_jax.media.subtitles import Utterance
from tfds_builders import manual, tables
from tfds_builders.cmu import words
from tfds_builders.cmu.labels import TOLERANCE_S, Label, Labels
from tfds_builders.extraction import Source
from tfds_builders.listing import Listing, Omission, Tally

EVERY_CLIP = ExtractConfig(require=(), min_utterance_s=0.1, max_utterance_s=600.0)
"""A labelled segment is kept also where it is short, long, or lacks a modality."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a transcript: raw clip `number` of a video."""

    number: str
    start_s: float
    end_s: float
    text: str


def folder_of(manual_dir: Path, names: tuple[str, ...], instructions: str) -> Path:
    """The first folder of `names` that is there, with or without `Raw`, in `Combined` if it has it.

    Raises:
      FileNotFoundError: if there is none.
    """
    for name in names:
        for place in (manual_dir / "Raw" / name, manual_dir / name):
            if place.is_dir():
                return place / "Combined" if (place / "Combined").is_dir() else place
    return manual.need(manual_dir, f"Raw/{names[0]}", instructions)


def read_transcripts(folder: Path) -> dict[str, list[Line]]:
    """Video -> its lines, of the transcripts of CMU-MOSEI.

    Raises:
      FileNotFoundError: if the folder has none.
      ValueError: for a line of another form, with its file and number.
    """
    files = sorted(path for path in folder.glob("*.txt") if not path.name.startswith("."))
    if not files:
        raise FileNotFoundError(f"no transcript (*.txt) in {folder}")
    found = {}
    for path in files:
        lines = tables.decode(path.read_bytes()).splitlines()
        found[path.stem] = [
            _line(line, f"{path} line {number}")
            for number, line in enumerate(lines, 1)
            if line.strip()
        ]
    return found


def _line(line: str, where: str) -> Line:
    parts = line.strip().split("___", 4)
    if len(parts) != 5:
        raise ValueError(f"{where}: {line[:60]!r}; expected ID___N___START___END___TEXT")
    _, number, start, end, text = parts
    times = (tables.number(time, where) for time in (start, end))
    return Line(number, *times, " ".join(text.split()))


def match(lines: list[Line], label: Label) -> Line | None:
    """The line with the times of a label, within TOLERANCE_S; the nearest of several."""

    def distance(line: Line) -> float:
        return max(abs(line.start_s - label.start_s), abs(line.end_s - label.end_s))

    best = min(lines, key=distance, default=None)
    return best if best is not None and distance(best) <= TOLERANCE_S else None


def media_in(folder: Path) -> dict[str, Path]:
    """Stem -> file, of the videos in a folder.

    Raises:
      ValueError: if two files have one stem.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in media.SUFFIXES and not path.name.startswith("."):
            if path.stem in found:
                raise ValueError(f"{found[path.stem]} and {path} are of one video; remove one")
            found[path.stem] = path
    return found


@dataclasses.dataclass(frozen=True)
class Corpus:
    """What there is of a corpus.

    Attributes:
      root: the folder that names of files are relative to.
      labels: its segments.
      folds: video -> split.
      media: stem -> file, of whole videos or of clips.
      whole: which of the two.
      transcripts: video -> lines; None where the transcripts have no times.
      words_file: a file of words with their times, for segments without a line; None if not there.
    """

    root: Path
    labels: Labels
    folds: Mapping[str, str]
    media: Mapping[str, Path]
    whole: bool
    transcripts: Mapping[str, list[Line]] | None = None
    words_file: Path | None = None


def listing(corpus: Corpus) -> Listing:
    """The segments to cut: every label row is an item, and every file that belongs to none."""
    tally, sources, used = Tally(), [], set()
    opened = words.opened(corpus.words_file) if corpus.words_file else contextlib.nullcontext()
    with opened as say:
        for name in corpus.labels.rows:
            wanted = corpus.labels.list_video(name, tally)
            lines = _lines(corpus, name, wanted, tally)
            stems = [name if corpus.whole else f"{name}_{x.number}" if x else "" for x in lines]
            used |= {name, *stems} if corpus.whole else set(stems)
            if name not in corpus.folds:
                tally.note("segments of videos in none of the folds, left out", len(wanted))
                for label in wanted:
                    tally.omit(Omission.OTHER_SETTING, label.key)
                continue
            cuts = defaultdict(list)
            for label, line, stem in zip(wanted, lines, stems, strict=True):
                if stem not in corpus.media:
                    tally.omit(Omission.NO_MEDIA, label.key)
                    continue
                said = say(name, label.start_s, label.end_s) if say and line is None else {}
                text = line.text if line else said.get("text", "")
                tally.note("segments without a text", not text)
                cuts[stem].append(_utterance(label, text, corpus.whole, tally))
            sources += [_source(corpus, name, stem, found) for stem, found in cuts.items()]
    for stem, path in corpus.media.items():
        if stem not in used:
            tally.listed += 1
            tally.omit(Omission.NO_ANNOTATION, path.relative_to(corpus.root).as_posix())
    corpus.labels.oddities.note(tally)
    return Listing(sorted(sources, key=lambda source: source.video_id), tally)


def _lines(corpus: Corpus, name: str, wanted: list[Label], tally: Tally) -> list[Line | None]:
    """The line of each segment of a video."""
    lines = (corpus.transcripts or {}).get(name, [])
    found = [match(lines, label) for label in wanted]
    tally.note(
        "lines of transcripts without a label", len(lines) - len({id(x) for x in found if x})
    )
    if corpus.transcripts is not None:
        tally.note("segments without a line in the transcripts", found.count(None))
    return found


def _utterance(label: Label, text: str, whole: bool, tally: Tally) -> Utterance:
    fields: dict[str, Any] = {
        "id": label.key, "sentiment": label.sentiment, "emotions": label.emotions
    }  # fmt: skip
    if not whole:
        return Utterance(0.0, math.inf, text, fields)
    tally.note("segments that start before zero, cut from 0", label.start_s < 0)
    return Utterance(max(label.start_s, 0.0), label.end_s, text, fields)


def _source(corpus: Corpus, name: str, stem: str, found: list[Utterance]) -> Source:
    path = corpus.media[stem]
    return Source(
        video_id=path.relative_to(corpus.root).as_posix(),
        path=str(path),
        split=corpus.folds[name],
        utterances=tuple(found),
        labels={"video_id": name},
    )
