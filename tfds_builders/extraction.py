"""The extraction store: the clips and the yield ledger of each video in one atomic file.

    <store>/<fingerprint of configuration and record>/<key of content and name>.array_record

Record 0 of a file is its header (JSON: the ledger and the number of clips), the others are
serialized clips records. A file appears whole or not at all, and damage is noticed when it is read
(every chunk carries a hash), so a run that was killed repeats at most the videos in flight.
Folders are reached by plain paths: on several machines the store must lie on a file system that
they all mount.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from array_record.python import array_record_module

from memobert_jax import codec, config, datasets, record
from memobert_jax.config import ExtractConfig
from memobert_jax.media import clips, ledger
from memobert_jax.media.ledger import Reason
from memobert_jax.media.subtitles import Utterance
from tfds_builders import progress

SUFFIX = ".array_record"


class DamagedStoreFile(ValueError):  # noqa: N818 (it names the file's state)
    """A store file is not whole."""


@dataclasses.dataclass(frozen=True)
class Source:
    """One unit of work: a media file, or the rows of one video id that have text only.

    Attributes:
      video_id: unique name; with a file, its path relative to the corpus folder.
      path: the media file; '' where there is text only.
      split: the split that the corpus assigns; '' where the builder chooses.
      utterances: segments to cut, with their record fields; None: by the subtitles.
      labels: record fields of the whole video.
    """

    video_id: str
    path: str = ""
    split: str = ""
    utterances: tuple[Utterance, ...] | None = None
    labels: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What is known of a source after extraction.

    Attributes:
      video_id: of the source.
      file: its store file; '' where the media could not be read at all.
      size: bytes of its clips.
      ledger: of the video; `path` in it is the video id, so that it does not tell where it ran.
    """

    video_id: str
    file: str
    size: int
    ledger: dict[str, Any]

    @property
    def clips(self) -> int:
        return self.ledger["clips"]


def fingerprint(extract: ExtractConfig) -> str:
    """12 hex digits of whatever changes all store files: configuration and shape of the record."""
    text = json.dumps([config.fingerprint(extract), record.fingerprint("clips")])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def key(source: Source) -> str:
    """24 hex digits of the source's content, name, utterances and labels.

    Raises:
      OSError: if the media file cannot be read.
    """
    if source.path:
        content = clips.identity(source.path, source.utterances, source.labels)
    else:
        content = repr((clips.VERSION, _plain(source.utterances), sorted(source.labels.items())))
    return hashlib.sha256(f"{content}\0{source.video_id}".encode()).hexdigest()[:24]


def _plain(utterances: tuple[Utterance, ...] | None) -> list[tuple]:
    return [(u.start_s, u.end_s, u.text, sorted(u.fields.items())) for u in utterances or ()]


def ensure(source: Source, extract: ExtractConfig, store: str | Path) -> Outcome:
    """The outcome of a source; its clips are extracted unless the store has them whole.

    Raises:
      OSError: if the store cannot be written, with what to do.
    """
    try:
        file = Path(store) / fingerprint(extract) / f"{key(source)}{SUFFIX}"
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        reason = Reason.MISSING_FILE if missing else Reason.UNREADABLE
        return _outcome(source, "", [], ledger.failed(source.video_id, "", "", reason))
    try:
        entry, records = read(file)
    except (FileNotFoundError, DamagedStoreFile):
        extraction = _extract(source, extract)
        entry = extraction.ledger
        records = [codec.serialize(clip, "clips") for clip in extraction.clips]
        write(file, entry, records)
    return _outcome(source, str(file), records, entry)


def extract_one(
    numbered: tuple[int, Source], extract: ExtractConfig, store: str, folder: str
) -> None:
    """`ensure` as a worker does it: the outcome of source n is left in `folder`/n.json."""
    cv2.setNumThreads(1)  # the videos are the parallel work
    number, source = numbered
    outcome = ensure(source, extract, store)
    progress.mark(folder, f"{number}.json", json.dumps(dataclasses.asdict(outcome)))


def _outcome(source: Source, file: str, records: Sequence[bytes], entry: dict[str, Any]) -> Outcome:
    return Outcome(
        video_id=source.video_id,
        file=file,
        size=sum(len(serialized) for serialized in records),
        ledger={**entry, "path": source.video_id if source.path else ""},
    )


def _extract(source: Source, extract: ExtractConfig) -> clips.Extraction:
    if not source.path:
        return _text_clips(source, extract)
    return clips.extract(
        source.path,
        extract,
        video_id=source.video_id,
        utterances=source.utterances,
        labels=source.labels,
    )


def _text_clips(source: Source, extract: ExtractConfig) -> clips.Extraction:
    """Clips of utterances without media; the ledger counts them, no second goes in."""
    timeline = ledger.Timeline(source.video_id, "", "", 0.0)
    kept = []
    for number, utterance in enumerate(source.utterances or ()):
        if reason := _missing(utterance, extract):
            timeline.drop(reason, 0.0, 0.0)
            continue
        timeline.keep(0.0, 0.0)
        timeline.note(Reason.MISSING_FACE)
        timeline.note(Reason.MISSING_SPEECH)
        kept.append(_text_clip(source, utterance, number))
    return clips.Extraction(kept, timeline.ledger())


def _missing(utterance: Utterance, extract: ExtractConfig) -> Reason | None:
    lacks = {"text": not utterance.text.split(), "face": True, "speech": True}
    reasons = {"text": Reason.NO_TEXT, "face": Reason.NO_FACE, "speech": Reason.NO_SPEECH}
    if lacks["text"]:
        return Reason.NO_TEXT
    return next((reasons[name] for name in extract.require if lacks[name]), None)


def _text_clip(source: Source, utterance: Utterance, number: int) -> dict[str, Any]:
    seconds = utterance.end_s - utterance.start_s
    seconds = seconds if np.isfinite(seconds) else 0.0
    words, starts, ends = record.even_words(utterance.text, seconds)
    values = {"id": f"{source.video_id}_{number:05d}", **source.labels, **utterance.fields}
    return record.make(
        "clips",
        video_id=source.video_id,
        start_s=utterance.start_s,
        end_s=utterance.start_s + seconds,
        text=utterance.text,
        words_text=words,
        words_start_s=starts,
        words_end_s=ends,
        **values,
    )


def write(file: Path, entry: Mapping[str, Any], records: Sequence[bytes]) -> None:
    """Writes a store file atomically.

    Raises:
      OSError: if it cannot be written (disk full, no permission); nothing is left half-written.
    """
    header = json.dumps({"ledger": entry, "records": len(records)}).encode()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        datasets.write_shard(file, [header, *records])
    except OSError as error:
        raise OSError(
            f"cannot write the extracted clips of {entry['video_id']!r} to {file.parent}: {error} "
            "Videos that are finished are not repeated."
        ) from error
    for left in file.parent.glob(f".{file.name}.*"):
        left.unlink(missing_ok=True)  # by a run that was killed


def read(file: str | Path) -> tuple[dict[str, Any], list[bytes]]:
    """(ledger, serialized clips records) of a store file.

    Raises:
      FileNotFoundError: without a file.
      DamagedStoreFile: if the file is not whole.
    """
    if not Path(file).is_file():
        raise FileNotFoundError(f"no store file {file}")
    try:
        reader = array_record_module.ArrayRecordReader(str(file))
        items = reader.read_all()
        reader.close()
        header = json.loads(items[0])
    except (RuntimeError, IndexError, ValueError) as error:
        raise DamagedStoreFile(f"{file} is damaged ({error}); run the build again") from error
    if header["records"] != len(items) - 1:
        raise DamagedStoreFile(
            f"{file} has {len(items) - 1} of {header['records']} clips; run the build again"
        )
    return header["ledger"], items[1:]
