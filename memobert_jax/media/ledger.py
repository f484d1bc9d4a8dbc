"""The yield ledger: every second of input is kept, or dropped under a reason code.

A video's ledger is a JSON-able dict:

    {"video_id", "path", "sha256", "duration_s", "clips": n, "kept_s": x,
     "dropped": {reason: {"seconds": s, "count": n}}, "notes": {reason: n}}

`kept_s` and the dropped seconds add up to `duration_s`. `notes` count what cost no seconds.
"""

import enum
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any


class Reason(enum.StrEnum):
    """Why seconds were dropped, or what was noted. The values stand in every ledger."""

    # The whole file.
    MISSING_FILE = "missing_file"
    UNREADABLE = "unreadable"
    EMPTY_FILE = "empty_file"
    NOT_MEDIA = "not_media"
    NO_VIDEO = "no_video"
    NO_AUDIO = "no_audio"
    NO_SUBTITLES = "no_subtitles"
    SUBTITLE_NO_CUES = "subtitle_no_cues"
    COPY = "copy"
    LONGER_THAN_LISTED = "longer_than_listed"
    CRASHED = "crashed"
    # Part of a file.
    DAMAGED = "damaged"
    OUTSIDE_CUES = "outside_cues"
    CUE_WITHOUT_WORDS = "cue_without_words"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    NO_TEXT = "no_text"
    NO_SPEECH = "no_speech"
    NO_FACE = "no_face"
    FACE_TOO_RARE = "face_too_rare"
    NO_ACTIVE_SPEAKER = "no_active_speaker"
    NOTHING = "nothing"
    NOT_FINITE = "not_finite"
    # Notes, which cost no seconds.
    MISSING_TEXT = "modality_missing:text"
    MISSING_FACE = "modality_missing:face"
    MISSING_SPEECH = "modality_missing:speech"
    MOST_PRESENT_FACE = "most_present_face"
    SPEAKS_ELSEWHERE = "speaks_elsewhere"
    SUBTITLE_ENCODING_GUESSED = "subtitle_encoding_guessed"
    CUT_BY_VOICE = "cut_by_voice"
    CUT_EVENLY = "cut_evenly"
    CUE_OVERLAP_CUT = "cue_overlap_cut"
    CUE_BAD_TIMES = "cue_bad_times"
    CUE_BEYOND_END = "cue_beyond_end"
    CUE_CLIPPED = "cue_clipped"
    CUES_MERGED = "cues_merged"
    CUE_SPLIT_SPEAKERS = "cue_split_speakers"
    CUE_REPEATED = "cue_repeated"


EXPLANATIONS: dict[Reason, str] = {
    Reason.MISSING_FILE: "the file is not there",
    Reason.UNREADABLE: "the file cannot be read: look at its rights and its disk",
    Reason.EMPTY_FILE: "the file has no bytes",
    Reason.NOT_MEDIA: "no media container that can be opened: copy or download the file again",
    Reason.NO_VIDEO: "no video stream, and faces are required",
    Reason.NO_AUDIO: "no audio stream, and speech is required",
    Reason.NO_SUBTITLES: "no subtitle file and no subtitle stream, and text is required",
    Reason.SUBTITLE_NO_CUES: "the subtitles hold no cue that can be read",
    Reason.COPY: "the same file under another name",
    Reason.LONGER_THAN_LISTED: "the file goes on long after the times of its annotation",
    Reason.CRASHED: "reading it ended the process twice: damaged, or too large for the memory",
    Reason.DAMAGED: "the media cannot be decoded here",
    Reason.OUTSIDE_CUES: "no utterance here",
    Reason.CUE_WITHOUT_WORDS: "a cue of music or sound descriptions only",
    Reason.TOO_SHORT: "shorter than min_utterance_s",
    Reason.TOO_LONG: "longer than max_utterance_s",
    Reason.NO_TEXT: "an utterance without text, and text is required",
    Reason.NO_SPEECH: "no sound in the utterance, and speech is required",
    Reason.NO_FACE: "no face in the utterance, and faces are required",
    Reason.FACE_TOO_RARE: "the best face is on screen for less than min_presence",
    Reason.NO_ACTIVE_SPEAKER: "no face whose mouth moves with the voice",
    Reason.NOTHING: "neither text nor face nor sound",
    Reason.NOT_FINITE: "features that are not finite numbers: look at the media and the weights",
    Reason.MISSING_TEXT: "clips kept without text",
    Reason.MISSING_FACE: "clips kept without a face",
    Reason.MISSING_SPEECH: "clips kept without speech",
    Reason.MOST_PRESENT_FACE: "clips whose face was chosen by presence, not by speech",
    Reason.SPEAKS_ELSEWHERE: "clips whose voice fits a face outside their half of the picture best",
    Reason.SUBTITLE_ENCODING_GUESSED: "subtitles that are neither UTF-8 nor UTF-16, read as cp1252",
    Reason.CUT_BY_VOICE: "utterances cut by voice activity for want of subtitles",
    Reason.CUT_EVENLY: "utterances cut evenly for want of subtitles and sound",
    Reason.CUE_OVERLAP_CUT: "cues cut where the next one starts",
    Reason.CUE_BAD_TIMES: "cues that end before they start, or start before zero, ignored",
    Reason.CUE_BEYOND_END: "cues that start after the end of the file, ignored",
    Reason.CUE_CLIPPED: "cues cut at the end of the file",
    Reason.CUES_MERGED: "short cues merged with a neighbour",
    Reason.CUE_SPLIT_SPEAKERS: "cues of several speakers, split by their share of letters",
    Reason.CUE_REPEATED: "cues that repeat one of the same time, ignored",
}


class Timeline:
    """The seconds of one video, claimed once each: kept spans first, then drops in their order."""

    def __init__(self, video_id: str, path: str, sha256: str, duration_s: float):
        self.video_id, self.path, self.sha256 = video_id, path, sha256
        self.duration_s = duration_s
        self._kept: list[tuple[float, float]] = []
        self._dropped: list[tuple[Reason, float, float]] = []
        self._notes: Counter[Reason] = Counter()

    def keep(self, start_s: float, end_s: float) -> None:
        """A clip of [start_s, end_s] is kept."""
        self._kept.append((start_s, end_s))

    def drop(self, reason: Reason, start_s: float, end_s: float) -> None:
        """[start_s, end_s] is dropped, as far as no kept or earlier dropped span covers it."""
        self._dropped.append((reason, start_s, end_s))

    def note(self, reason: Reason, count: int = 1) -> None:
        """`reason` happened `count` more times, at no cost in seconds."""
        self._notes[reason] += count

    def ledger(self, rest: Reason = Reason.OUTSIDE_CUES) -> dict[str, Any]:
        """The ledger; seconds that nobody claimed are dropped under `rest`, counted in gaps."""
        free = [(0.0, self.duration_s)] if self.duration_s > 0 else []
        kept_s = 0.0
        for start_s, end_s in self._kept:
            seconds, free = _claim(free, start_s, end_s)
            kept_s += seconds
        dropped: dict[str, dict[str, float]] = {}
        for reason, start_s, end_s in self._dropped:
            seconds, free = _claim(free, start_s, end_s)
            _add(dropped, reason, seconds, 1)
        for start_s, end_s in free:
            _add(dropped, rest, end_s - start_s, 1)
        return {
            "video_id": self.video_id,
            "path": self.path,
            "sha256": self.sha256,
            "duration_s": self.duration_s,
            "clips": len(self._kept),
            "kept_s": kept_s,
            "dropped": dict(sorted(dropped.items())),
            "notes": {str(reason): count for reason, count in sorted(self._notes.items())},
        }


def _claim(free: list[tuple[float, float]], start_s: float, end_s: float):
    """(seconds of `free` inside the span, what stays free)."""
    seconds, left = 0.0, []
    for low, high in free:
        inner_low, inner_high = max(low, start_s), min(high, end_s)
        if inner_low >= inner_high:
            left.append((low, high))
            continue
        seconds += inner_high - inner_low
        left += [(a, b) for a, b in ((low, inner_low), (inner_high, high)) if a < b]
    return seconds, left


def _add(dropped: dict[str, dict[str, float]], reason: str, seconds: float, count: int) -> None:
    entry = dropped.setdefault(str(reason), {"seconds": 0.0, "count": 0})
    entry["seconds"] += seconds
    entry["count"] += count


def failed(
    video_id: str, path: str, sha256: str, reason: Reason, duration_s: float = 0.0
) -> dict[str, Any]:
    """The ledger of a file dropped whole; `duration_s` is 0 where it is unknown."""
    timeline = Timeline(video_id, path, sha256, duration_s)
    timeline.drop(reason, 0.0, duration_s)
    return timeline.ledger()


def less(
    ledger: Mapping[str, Any], dropped: Iterable[Mapping[str, Mapping[str, float]]]
) -> dict[str, Any]:
    """A ledger, or totals, of which some kept clips were dropped after all.

    Args:
      ledger: of a video, or merged.
      dropped: for each such clip, its reason -> {"seconds", "count"}.
    """
    found = {reason: dict(entry) for reason, entry in ledger.get("dropped", {}).items()}
    clips, kept_s = ledger["clips"], ledger["kept_s"]
    for clip in dropped:
        for reason, entry in clip.items():
            _add(found, reason, entry["seconds"], entry["count"])
            clips, kept_s = clips - entry["count"], kept_s - entry["seconds"]
    return {**ledger, "clips": clips, "kept_s": kept_s, "dropped": dict(sorted(found.items()))}


def merge(ledgers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Totals over videos: {"videos", "videos_with_clips", "duration_s", "clips", "kept_s",
    "dropped", "notes"}; `dropped` and `notes` as in a video's ledger."""
    totals = {"videos": 0, "videos_with_clips": 0, "duration_s": 0.0, "clips": 0, "kept_s": 0.0}
    dropped: dict[str, dict[str, float]] = {}
    notes: Counter[str] = Counter()
    for ledger in ledgers:
        totals["videos"] += 1
        totals["videos_with_clips"] += ledger["clips"] > 0
        for key in ("duration_s", "clips", "kept_s"):
            totals[key] += ledger[key]
        for reason, entry in ledger["dropped"].items():
            _add(dropped, reason, entry["seconds"], entry["count"])
        notes.update(ledger["notes"])
    return {
        **totals,
        "dropped": dict(sorted(dropped.items())),
        "notes": dict(sorted(notes.items())),
    }


def table(totals: Mapping[str, Any]) -> str:
    """The totals as a console table: seconds, share and count under each reason, then the notes."""
    duration_s = totals["duration_s"]

    def row(name, seconds, count, doc):
        share = 100 * seconds / duration_s if duration_s else 0.0
        return f"{name:<26} {seconds:>11.1f} s {share:>6.1f} % {count:>8}  {doc}"

    lines = [
        row("input", duration_s, totals["videos"], "videos"),
        row("kept", totals["kept_s"], totals["clips"], "clips"),
    ]
    by_seconds = sorted(totals["dropped"].items(), key=lambda item: -item[1]["seconds"])
    for reason, entry in by_seconds:
        lines.append(row(reason, entry["seconds"], entry["count"], _explain(reason)))
    for reason, count in totals["notes"].items():
        lines.append(f"{'note: ' + reason:<47} {count:>8}  {_explain(reason)}")
    return "\n".join(lines)


def _explain(reason: str) -> str:
    return EXPLANATIONS.get(Reason(reason), "")
