"""A file's utterances come from what is given, else its subtitles, else its voice."""

import dataclasses
import math

import media_samples as samples
import numpy as np
import pytest

from memobert_jax.config import ExtractConfig
from memobert_jax.media import container, segments
from memobert_jax.media.ledger import Reason
from memobert_jax.media.subtitles import Utterance
from memobert_jax.media.video import VideoInfo

CONFIG = ExtractConfig()
NO_TEXT = dataclasses.replace(CONFIG, require=("face",))
INFO = VideoInfo(40.0, True, True, False)
SILENCE = np.zeros(40 * samples.RATE, np.int16)


def spans(cut):
    return [(round(u.start_s, 3), round(u.end_s, 3)) for u in cut.utterances]


def test_given_utterances_win_over_the_sidecar(tmp_path):
    path = tmp_path / "film.mp4"
    path.with_suffix(".srt").write_text(samples.srt((0, 2, "file")))
    given = [Utterance(5.0, math.inf, "x"), Utterance(3.0, 5.0, "y"), Utterance(39.0, 41.0, "z")]
    cut = segments.segment(
        path, dataclasses.replace(CONFIG, max_utterance_s=40), INFO, SILENCE, given
    )
    assert spans(cut) == [(5.0, 40.0), (3.0, 5.0), (39.0, 40.0)]
    assert cut.notes == {Reason.CUE_CLIPPED: 1}
    assert segments.segment(path, CONFIG, INFO, SILENCE, []).utterances == []
    assert [u.text for u in segments.segment(path, CONFIG, INFO, SILENCE).utterances] == ["file"]


def test_without_subtitles_text_decides(tmp_path):
    path = tmp_path / "film.mp4"
    with pytest.raises(container.DamagedMedia, match="no subtitles") as caught:
        segments.segment(path, CONFIG, INFO, SILENCE)
    assert caught.value.reason == Reason.NO_SUBTITLES
    assert spans(segments.segment(path, NO_TEXT, INFO, SILENCE))[0][0] == 0.0


def test_a_sidecar_without_cues_is_told_from_none(tmp_path):
    path = tmp_path / "film.mp4"
    path.with_suffix(".srt").write_bytes(b"\xff\xfe\x00garbage")
    with pytest.raises(container.DamagedMedia, match=r"film\.srt has no subtitle cue") as caught:
        segments.segment(path, CONFIG, INFO, SILENCE)
    assert caught.value.reason == Reason.SUBTITLE_NO_CUES


def test_long_voice_is_divided_and_short_voice_dropped(tmp_path):
    sound = SILENCE.copy()
    loud = samples.babble(40, pauses=False)
    for low, high in ((1, 33), (36, 36.3)):
        part = slice(round(low * samples.RATE), round(high * samples.RATE))
        sound[part] = loud[part]
    cut = segments.segment(tmp_path / "film.mp4", NO_TEXT, INFO, sound)
    edges = np.array(spans(cut))
    assert len(edges) == 3
    np.testing.assert_allclose(edges[1:, 0], edges[:-1, 1])
    assert (edges[:, 1] - edges[:, 0]).max() < 15
    np.testing.assert_allclose(edges[[0, -1], [0, 1]], [0.9, 33.1], atol=0.1)
    assert [drop[0] for drop in cut.drops] == [Reason.TOO_SHORT]
    assert cut.notes == {Reason.CUT_BY_VOICE: 3}
