"""One media file -> its utterance clips and its yield ledger (MEmoBERT §1.2)."""

import dataclasses
import hashlib
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from memobert_jax import record
from memobert_jax.config import ExtractConfig
from memobert_jax.media import audio, container, ledger, speakers, subtitles, video
from memobert_jax.media.clock import Clock
from memobert_jax.media.ledger import Reason
from memobert_jax.media.segments import segment
from memobert_jax.media.subtitles import Utterance
from memobert_jax.media.tracks import Tracker

VERSION = 1
"""Part of `identity`: raised whenever the same input gives other clips."""

_MISSING = {
    "text": (Reason.NO_TEXT, Reason.MISSING_TEXT),
    "face": (Reason.NO_FACE, Reason.MISSING_FACE),
    "speech": (Reason.NO_SPEECH, Reason.MISSING_SPEECH),
}
_END_TOLERANCE_S = 0.2


@dataclasses.dataclass(frozen=True)
class Extraction:
    """What came out of one file: flat clips records in order of time, and the video's ledger."""

    clips: list[dict[str, Any]]
    ledger: dict[str, Any]


def identity(
    path: str | Path,
    utterances: Sequence[Utterance] | None = None,
    labels: Mapping[str, Any] | None = None,
) -> str:
    """sha256 of all that decides the clips of `path`, except names and configuration.

    It covers the bytes of the media, the bytes of the subtitle sidecar that `extract` would read,
    the explicit `utterances`, the `labels` and VERSION: together with
    `config.fingerprint(ExtractConfig)` it keys the extraction store.

    Raises:
      OSError: if a file cannot be read.
    """
    path = Path(path)
    parts = [str(VERSION), sha256(path)]
    sidecar = subtitles.find_sidecar(path) if utterances is None else None
    parts.append(sha256(sidecar) + sidecar.suffix.lower() if sidecar else "")
    rows = [dataclasses.astuple(row) for row in utterances] if utterances is not None else None
    parts.append(json.dumps([rows, labels and dict(labels)], sort_keys=True, default=_plain))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else dict(value)


def sha256(path: str | Path) -> str:
    """sha256 of a file's bytes, hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def extract(
    path: str | Path,
    config: ExtractConfig,
    *,
    video_id: str | None = None,
    utterances: Sequence[Utterance] | None = None,
    labels: Mapping[str, Any] | None = None,
    timings: dict[str, float] | None = None,
) -> Extraction:
    """The clips of one video or sound file; the same bytes give the same records.

    Bad media never raise: they give no clips and a ledger with the reason.

    Args:
      path: media file. Its subtitles are a sidecar (`subtitles.find_sidecar`) or a stream in it.
      config: what to keep, and which modalities a clip must have (`require`).
      video_id: name of the video in records and ledger; by default the file's stem.
      utterances: segments to cut instead of subtitles, each with its own record fields; they may
        overlap: each is a clip, and seconds that two of them share count once in the ledger. Both
        length limits of `config` hold for them too.
      labels: record fields that hold for the whole video, such as `speaker` or `gender`.
      timings: CPU seconds of each stage are added here: `decode` (with conversion to RGB),
        `detect`, `mesh`, `crop`, `encode`, `audio`, `other`.

    Returns:
      Extraction(clips, ledger). A clip's `id` is `<video_id>_<number of the utterance>` unless the
      utterance has one; face times are seconds from the clip's start.

    Raises:
      ValueError: for an utterance or label field that a clips record does not have.
      FileNotFoundError: if the face models are not installed.
    """
    path = Path(path)
    name = path.stem if video_id is None else video_id
    labels = _record_fields(labels or {})
    for utterance in utterances or ():
        _record_fields(utterance.fields)
    clock = Clock(timings)
    with clock("other"):
        if not path.is_file():
            return Extraction([], ledger.failed(name, str(path), "", Reason.MISSING_FILE))
        timeline = ledger.Timeline(name, str(path), sha256(path), 0.0)
        try:
            clips = _clips(path, config, timeline, utterances, labels, clock)
        except container.DamagedMedia as damage:
            timeline.drop(damage.reason, 0.0, timeline.duration_s)
            clips = []
        return Extraction(clips, timeline.ledger())


def _record_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as `record.make` spells them."""
    known = {name.replace("/", "_") for name in record.fields("clips")}
    spelt = {name.replace("/", "_"): value for name, value in given.items()}
    if unknown := set(spelt) - known:
        raise ValueError(
            f"{sorted(unknown)} are not fields of a clips record; fields: {sorted(known)}"
        )
    return spelt


def _clips(path, config, timeline, utterances, labels, clock) -> list[dict[str, Any]]:
    info = video.probe(path)
    timeline.duration_s = info.duration_s
    for modality, present, reason in (
        ("face", info.has_video, Reason.NO_VIDEO),
        ("speech", info.has_audio, Reason.NO_AUDIO),
    ):
        if modality in config.require and not present:
            raise container.DamagedMedia(reason, f"{path} has no stream for {modality}")
    with clock("audio"):
        sound = audio.read_pcm16(path) if info.has_audio else np.zeros(0, np.int16)
    cut = segment(path, config, info, sound, utterances)
    for reason, count in cut.notes.items():
        timeline.note(reason, count)
    for drop in cut.drops:
        timeline.drop(*drop)
    end_s = info.duration_s
    if len(sound) / record.SAMPLE_RATE < end_s - _END_TOLERANCE_S:
        end_s = min(end_s, container.reach(path))
    if end_s < info.duration_s - _END_TOLERANCE_S:
        timeline.drop(Reason.DAMAGED, end_s, info.duration_s)
    whole = [u for u in cut.utterances if u.end_s <= end_s + _END_TOLERANCE_S]
    for utterance in cut.utterances:
        if utterance.end_s > end_s + _END_TOLERANCE_S:
            timeline.drop(Reason.DAMAGED, utterance.start_s, utterance.end_s)
    looks = _watch(path, whole, config, clock) if info.has_video else enumerate([[]] * len(whole))
    clips = {}
    for number, seen in looks:
        values = _clip(whole[number], seen, sound, config, timeline, clock)
        if values is not None:
            own = _record_fields(whole[number].fields)
            values |= {"video_id": timeline.video_id, "id": f"{timeline.video_id}_{number:05d}"}
            clips[number] = record.make("clips", **{**values, **labels, **own})
    return [clips[number] for number in sorted(clips)]


def _watch(path, utterances, config, clock) -> Iterator[tuple[int, list[speakers.Look]]]:
    """(number of the utterance, what is seen during it), each as soon as it is over."""
    tracker = Tracker(config, clock)
    waiting = deque(sorted(range(len(utterances)), key=lambda i: utterances[i].start_s))
    running: dict[int, list[speakers.Look]] = {}
    spans = [(u.start_s, u.end_s) for u in utterances]
    for time_s, picture in clock.each("decode", video.frames(path, record.FACE_FPS, spans)):
        while waiting and utterances[waiting[0]].start_s <= time_s:
            running[waiting.popleft()] = []
        for number in [i for i in running if utterances[i].end_s <= time_s]:
            yield number, running.pop(number)
        look = (time_s, tracker.see(time_s, picture))
        for looks in running.values():
            looks.append(look)
    yield from running.items()
    yield from ((number, []) for number in waiting)


def _clip(utterance, seen, sound, config, timeline, clock) -> dict[str, Any] | None:
    """Record values of an utterance, or None if it is dropped; both go into the timeline."""
    start_s, end_s = utterance.start_s, utterance.end_s
    first, last = (round(t * record.SAMPLE_RATE) for t in (start_s, end_s))
    speech = sound[first:last]
    heard = not audio.is_silent(speech)
    about = (start_s, end_s, sound if heard else None, config)
    face, reason = speakers.speaking_face(speakers.within(seen, utterance.region), *about)
    present = {"text": bool(utterance.text.strip()), "face": bool(face), "speech": heard}
    notes = []
    for modality, (absent, note) in _MISSING.items():
        if not present[modality]:
            if modality in config.require:
                timeline.drop(reason if modality == "face" else absent, start_s, end_s)
                return None
            notes.append(note)
    if not any(present.values()):
        timeline.drop(Reason.NOTHING, start_s, end_s)
        return None
    if face and reason is not None:
        notes.append(reason)
    if utterance.region and config.active_speaker:
        anywhere, unsure = speakers.speaking_face(seen, *about)
        if anywhere and not unsure and not speakers.is_in(anywhere[0][1], utterance.region):
            notes.append(Reason.SPEAKS_ELSEWHERE)
    timeline.keep(start_s, end_s)
    for note in notes:
        timeline.note(note)
    words, word_start, word_end = record.even_words(utterance.text, end_s - start_s)
    with clock("encode"):
        return {
            "start_s": np.float32(start_s),
            "end_s": np.float32(end_s),
            "text": utterance.text,
            "words_text": words,
            "words_start_s": word_start,
            "words_end_s": word_end,
            "faces": [_jpeg(sighting.crop) for _, sighting in face],
            "face_time_s": np.array([time_s - start_s for time_s, _ in face], np.float32),
            "face_score": np.array([sighting.score for _, sighting in face], np.float32),
            "speech": audio.encode_flac(speech) if heard else b"",
        }


def _jpeg(crop: np.ndarray) -> bytes:
    quality = [cv2.IMWRITE_JPEG_QUALITY, record.JPEG_QUALITY]
    return cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), quality)[1].tobytes()
