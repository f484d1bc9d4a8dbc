"""Subtitle cues: their words, and their order in time."""

import dataclasses
import html
import itertools
import re
from collections import Counter
from collections.abc import Sequence

from memobert_jax.media.ledger import Reason

_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>|\{[^{}]*\}")
_SOUND = re.compile(
    r"\[[^\[\]]*\]|\([^()]*\)|\u3010[^\u3011]*\u3011|\uff08[^\uff09]*\uff09"
    r"|(?<!\S)\*[^*\n]+\*(?!\S)"
)
_MUSIC_LINE = re.compile(r"^.*[\u2669-\u266c].*$|^\s*#\s.*$|^.*\s#\s*$", re.MULTILINE)
_HYPHENS = "-\u2010\u2011\u2013"
_TURN = re.compile(rf"^\s*(?:[{_HYPHENS}](?![{_HYPHENS}])|>>+)\s*(?=\S)")
_LEADING_DASHES = f" {_HYPHENS}\u2014"
_NAME = re.compile(r"^([^:\n]{1,30}):(?=\s|$)")
_UNSPOKEN = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060\ufeff\x00-\x08\x0b-\x1f\x7f]")


@dataclasses.dataclass(frozen=True)
class Cue:
    """One subtitle: seconds and its lines as written (without ASS overrides)."""

    start_s: float
    end_s: float
    text: str


def turns(text: str) -> list[str]:
    """What each speaker of a cue says, in order; [] for a cue without words.

    Markup, music, descriptions in brackets (also a literal "[MASK]"), and speaker names
    ("MAN 1:") are removed. A line that begins with a dash or ">>" begins a speaker's turn.
    """
    text = _MUSIC_LINE.sub("", _SOUND.sub(" ", html.unescape(_MARKUP.sub("", text))))
    spoken: list[list[str]] = []
    for line in _UNSPOKEN.sub("", text).split("\n"):
        said = _TURN.sub("", line)
        name = _NAME.match(said)
        named = name is not None and name.group(1).isupper()
        if named or said != line or not spoken:
            spoken.append([])
        spoken[-1] += (said[name.end() :] if named else said).lstrip(_LEADING_DASHES).split()
    joined = [" ".join(words) for words in spoken]
    return [turn for turn in joined if any(letter.isalnum() for letter in turn)]


def in_order(cues: Sequence[Cue], duration_s: float, notes: Counter[Reason]) -> list[Cue]:
    """Cues of the file in order of time, none overlapping the next."""
    out: list[Cue] = []
    for cue in sorted(cues, key=lambda cue: (cue.start_s, cue.end_s)):
        if cue.start_s < 0 or cue.end_s <= cue.start_s:
            notes[Reason.CUE_BAD_TIMES] += 1
            continue
        if cue.start_s >= duration_s:
            notes[Reason.CUE_BEYOND_END] += 1
            continue
        if cue.end_s > duration_s:
            notes[Reason.CUE_CLIPPED] += 1
            cue = dataclasses.replace(cue, end_s=duration_s)
        if out and cue.start_s == out[-1].start_s:
            out[-1] = _joined(out[-1], cue, notes)
            continue
        if out and cue.start_s < out[-1].end_s:
            notes[Reason.CUE_OVERLAP_CUT] += 1
            out[-1] = dataclasses.replace(out[-1], end_s=cue.start_s)
        out.append(cue)
    return out


def _joined(first: Cue, second: Cue, notes: Counter[Reason]) -> Cue:
    """One cue of two that start together."""
    repeated = second.text in first.text
    notes[Reason.CUE_REPEATED if repeated else Reason.CUES_MERGED] += 1
    text = first.text if repeated else f"{first.text}\n{second.text}"
    return Cue(first.start_s, second.end_s, text)


def edges(cue: Cue, spoken: Sequence[str]) -> list[float]:
    """Times at which the turns of a cue begin, and its end: shares of time as of letters."""
    letters = list(itertools.accumulate((len(turn) for turn in spoken), initial=0))
    seconds = cue.end_s - cue.start_s
    times = [cue.start_s + seconds * count / letters[-1] for count in letters]
    return [*times[:-1], cue.end_s]
