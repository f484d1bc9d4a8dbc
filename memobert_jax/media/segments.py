"""Where a file's utterances are: given, from subtitles, or cut by voice activity."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memobert_jax.config import ExtractConfig
from memobert_jax.media import audio, container, subtitles, video
from memobert_jax.media.ledger import Reason
from memobert_jax.media.subtitles import Cut, Utterance

_PAUSE_S = 0.4


def segment(
    path: Path,
    config: ExtractConfig,
    info: video.VideoInfo,
    sound: np.ndarray,
    given: Sequence[Utterance] | None = None,
) -> Cut:
    """The utterances of a file.

    They are, in this order: the given ones; those of the sidecar; those of the subtitle stream;
    and if text is not required, stretches of voice, or for want of sound even pieces, of at most
    `config.max_utterance_s`.

    Raises:
      DamagedMedia: NO_SUBTITLES or SUBTITLE_NO_CUES, if text is required.
    """
    if given is not None:
        return _given(given, config, info.duration_s)
    cut = Cut()
    sidecar = subtitles.find_sidecar(path)
    if sidecar is not None:
        data = sidecar.read_bytes()
        cut.notes[Reason.SUBTITLE_ENCODING_GUESSED] += subtitles.decode(data)[1]
        cues = subtitles.parse(data, sidecar.suffix)
    else:
        cues = subtitles.embedded(path) if info.has_subtitles else []
    if cues:
        notes = cut.notes
        cut = subtitles.utterances(cues, config, info.duration_s)
        cut.notes += notes
        return cut
    if "text" in config.require:
        if sidecar is None and not info.has_subtitles:
            raise container.DamagedMedia(Reason.NO_SUBTITLES, f"{path} has no subtitles")
        raise container.DamagedMedia(
            Reason.SUBTITLE_NO_CUES, f"{sidecar or path} has no subtitle cue that can be read"
        )
    return _without_text(config, info.duration_s, sound)


def _given(given: Sequence[Utterance], config: ExtractConfig, duration_s: float) -> Cut:
    cut = Cut()
    for utterance in given:
        end_s = min(utterance.end_s, duration_s)
        if utterance.start_s < 0 or utterance.end_s <= utterance.start_s:
            cut.notes[Reason.CUE_BAD_TIMES] += 1
        elif utterance.start_s >= duration_s:
            cut.notes[Reason.CUE_BEYOND_END] += 1
        else:
            cut.notes[Reason.CUE_CLIPPED] += duration_s < utterance.end_s < math.inf
            subtitles.limit(dataclasses.replace(utterance, end_s=end_s), config, cut)
    cut.notes = +cut.notes
    return cut


def _without_text(config: ExtractConfig, duration_s: float, sound: np.ndarray) -> Cut:
    cut = Cut()
    if audio.is_silent(sound):
        spans, note = [(0.0, duration_s)], Reason.CUT_EVENLY
    else:
        spans, note = audio.voiced_spans(audio.voice_activity(sound), _PAUSE_S), Reason.CUT_BY_VOICE
    for start_s, end_s in spans:
        end_s = min(end_s, duration_s)
        if start_s >= end_s:
            continue
        pieces = max(1, math.ceil((end_s - start_s) / config.max_utterance_s - 1e-9))
        edges = np.linspace(start_s, end_s, pieces + 1).tolist()
        for edge in itertools.pairwise(edges):
            subtitles.limit(Utterance(*edge), config, cut)
    cut.notes[note] += len(cut.utterances)
    cut.notes = +cut.notes
    return cut
