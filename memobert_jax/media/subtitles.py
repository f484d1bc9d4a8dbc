"""Subtitle files and streams -> cues -> utterances (MEmoBERT §1.2, steps 1 and 2)."""

import codecs
import dataclasses
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import pysubs2

from memobert_jax.config import ExtractConfig
from memobert_jax.media import container
from memobert_jax.media.cues import Cue, edges, in_order, turns
from memobert_jax.media.ledger import Reason

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
_SIBLINGS = ("srt", "subtitles", "subs")
REGIONS = ("", "left", "right")
"""Parts of the picture in which a speaker may be said to be: anywhere, or one half."""

_NEGATIVE_TIME = re.compile(r"^.*(?<!\d)-\d+:\d\d.*-->.*$|^.*-->\s*-\d.*$", re.MULTILINE)
_WORD_TIME = re.compile(r"<\d+:\d\d(?::\d\d)?[.,]\d{3}>")


@dataclasses.dataclass(frozen=True)
class Utterance:
    """A stretch of a video in which somebody says something.

    Attributes:
      start_s, end_s: place in the video, seconds from its start; `end_s` may be `math.inf`, the
        end of the file.
      text: what is said, or ''.
      fields: values of further fields of the clips record, such as `id`, `speaker`, `emotion`.
      region: where in the picture the speaker is, one of REGIONS; faces elsewhere are not taken.
    """

    start_s: float
    end_s: float
    text: str = ""
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    region: str = ""

    def __post_init__(self):
        if self.region not in REGIONS:
            raise ValueError(f"region is {self.region!r}; expected one of {REGIONS}")


@dataclasses.dataclass
class Cut:
    """Utterances in order of time; (reason, start_s, end_s) of what was dropped; notes."""

    utterances: list[Utterance] = dataclasses.field(default_factory=list)
    drops: list[tuple[Reason, float, float]] = dataclasses.field(default_factory=list)
    notes: Counter[Reason] = dataclasses.field(default_factory=Counter)


def find_sidecar(path: str | Path) -> Path | None:
    """The subtitle file of a video, or None.

    `talk.mp4` has `talk.srt` (`.vtt`, `.ass`, `.ssa`), else the first by name of `talk.en*.srt`,
    else of `talk.*.srt`; beside the video, or in a folder `srt`, `subtitles` or `subs` that lies
    beside the video or beside its folder.
    """
    path = Path(path)
    folders = [path.parent]
    folders += [path.parent / name for name in _SIBLINGS]
    folders += [path.parent.parent / name for name in _SIBLINGS]
    for folder in folders:
        for suffix in SUFFIXES:
            exact = folder / (path.stem + suffix)
            if exact.is_file():
                return exact
    for folder in folders:
        if folder.is_dir():
            names = sorted(n for n in os.listdir(folder) if n.startswith(f"{path.stem}."))
            named = [
                name
                for name in names
                if name.count(".") == path.stem.count(".") + 2 and _suffix(name) in SUFFIXES
            ]
            english = [name for name in named if name[len(path.stem) + 1 :].startswith("en")]
            for name in (*english, *named):
                return folder / name
    return None


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def decode(data: bytes) -> tuple[str, bool]:
    """(text, whether the encoding was guessed).

    UTF-8 and UTF-16 (by its mark, or by its zero bytes) are recognised; anything else is read as
    cp1252, and what that lacks as U+FFFD.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace"), False
    zeros = data[:400].count(0), data[:400:2].count(0)
    if zeros[0] > len(data[:400]) // 4:
        order = "utf-16-be" if zeros[1] > zeros[0] / 2 else "utf-16-le"
        return data.decode(order, errors="replace"), False
    try:
        return data.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), True


def parse(source: bytes | str | Path, suffix: str = "") -> list[Cue]:
    """The cues of a subtitle file, in the file's order; [] if it has none.

    Cues with impossible times stay in the list, for `utterances` to count.

    Args:
      source: path, or bytes together with `suffix`.
      suffix: '.srt', '.vtt', '.ass' or '.ssa'; by default the path's.

    Raises:
      ValueError: for another suffix.
    """
    if not isinstance(source, bytes):
        suffix = suffix or Path(source).suffix
        source = Path(source).read_bytes()
    suffix = suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"subtitles end in {suffix!r}; expected one of {', '.join(SUFFIXES)}")
    text, _ = decode(source)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    rolling = _WORD_TIME.search(text) is not None
    text = _NEGATIVE_TIME.sub("00:00:00.000 --> 00:00:00.000", _WORD_TIME.sub("", text))
    try:
        events = pysubs2.SSAFile.from_string(text, format_=suffix[1:]).events
    except (pysubs2.Pysubs2Error, ValueError):
        return []
    cues = [
        Cue(event.start / 1000, event.end / 1000, event.plaintext)
        for event in events
        if not event.is_comment and not event.is_drawing
    ]
    return _unrolled(cues) if rolling else cues


def _unrolled(cues: Sequence[Cue]) -> list[Cue]:
    """Rolling captions show each line twice, as the new and as the upper line: keep the new one."""
    out, before = [], []
    for cue in cues:
        lines = [line.strip() for line in cue.text.split("\n") if line.strip()]
        fresh = [line for line in lines if line not in before]
        before = lines
        if fresh:
            out.append(dataclasses.replace(cue, text="\n".join(fresh)))
    return out


def embedded(path: str | Path) -> list[Cue]:
    """The cues of the subtitle stream with the most text, English ones first; [] without one.

    Raises:
      FileNotFoundError, DamagedMedia: as `container.open_media`.
    """
    best: tuple[tuple[bool, int], list[Cue]] = ((False, 0), [])
    with container.open_media(path) as media:
        zero = container.origin(media)
        streams = [s for s in media.streams.subtitles if s.codec_context is not None]
        found: dict[int, list[Cue]] = {stream.index: [] for stream in streams}
        for packet in container.packets(media, streams) if streams else ():
            found[packet.stream.index] += _packet_cues(packet, zero)
        for stream in streams:
            cues = found[stream.index]
            english = (stream.language or "").lower() in ("en", "eng")
            rank = (english and bool(cues), sum(len(cue.text) for cue in cues))
            best = max(best, (rank, cues), key=lambda entry: entry[0])
    return best[1]


def _packet_cues(packet: "av.Packet", zero: float) -> list[Cue]:
    if packet.pts is None or not packet.duration:
        return []
    try:
        subtitles = packet.decode()
    except av.error.FFmpegError:
        return []
    start_s = float(packet.pts * packet.time_base) - zero
    end_s = start_s + float(packet.duration * packet.time_base)
    texts = [
        subtitle.dialogue.decode("utf-8", errors="replace")
        for subtitle in subtitles
        if subtitle.type == b"ass"
    ]
    return [Cue(start_s, end_s, re.sub(r"\\[Nn]", "\n", text)) for text in texts if text]


def utterances(cues: Sequence[Cue], config: ExtractConfig, duration_s: float) -> Cut:
    """Utterances of clean, ordered cues that do not overlap and fit the limits of `config`.

    A cue ends at the latest where the next one starts; cues that start together become one. A cue
    of several speakers is divided by their letters. An utterance below `min_utterance_s` merges
    with a neighbour at most `merge_gap_s` away, unless that would exceed `max_utterance_s` or mix
    the speakers of one cue.

    Args:
      cues: of a file, in any order.
      duration_s: length of the media; cues are cut there.
    """
    cut = Cut()
    pieces: list[tuple[Utterance, bool]] = []
    for cue in in_order(cues, duration_s, cut.notes):
        spoken = turns(cue.text)
        if not spoken:
            cut.drops.append((Reason.CUE_WITHOUT_WORDS, cue.start_s, cue.end_s))
            continue
        cut.notes[Reason.CUE_SPLIT_SPEAKERS] += len(spoken) > 1
        times = edges(cue, spoken)
        pieces += [
            (Utterance(*times[i : i + 2], text), len(spoken) == 1) for i, text in enumerate(spoken)
        ]
    for utterance in _merged(pieces, config, cut.notes):
        limit(utterance, config, cut)
    cut.notes = +cut.notes
    return cut


def limit(utterance: Utterance, config: ExtractConfig, cut: Cut) -> None:
    """Adds the utterance to `cut`, or drops it there as too short or too long."""
    seconds = utterance.end_s - utterance.start_s
    if seconds < config.min_utterance_s - 1e-6:
        cut.drops.append((Reason.TOO_SHORT, utterance.start_s, utterance.end_s))
    elif seconds > config.max_utterance_s + 1e-6:
        cut.drops.append((Reason.TOO_LONG, utterance.start_s, utterance.end_s))
    else:
        cut.utterances.append(utterance)


def _merged(
    pieces: Sequence[tuple[Utterance, bool]], config: ExtractConfig, notes: Counter[Reason]
) -> list[Utterance]:
    """Utterances of (utterance, may merge) pieces, short ones merged with a near neighbour."""
    out: list[tuple[Utterance, bool]] = []
    for piece, free in pieces:
        last, last_free = out[-1] if out else (None, False)
        if free and last_free and _may_merge(last, piece, config):
            notes[Reason.CUES_MERGED] += 1
            out[-1] = (Utterance(last.start_s, piece.end_s, f"{last.text} {piece.text}"), True)
        else:
            out.append((piece, free))
    return [utterance for utterance, _ in out]


def _may_merge(first: Utterance, second: Utterance, config: ExtractConfig) -> bool:
    shortest = min(first.end_s - first.start_s, second.end_s - second.start_s)
    return (
        shortest < config.min_utterance_s
        and second.start_s - first.end_s <= config.merge_gap_s
        and second.end_s - first.start_s <= config.max_utterance_s
    )
