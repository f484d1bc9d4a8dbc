"""Sound lies at its time, survives storage, and voice is told from silence."""

import fractions

import av
import media_samples as samples
import numpy as np
import pytest

from memobert_jax.media import audio, video

RATE = samples.RATE


def click(seconds, at_s):
    sound = np.zeros(round(seconds * RATE), np.int16)
    sound[round(at_s * RATE) : round((at_s + 0.01) * RATE)] = 20_000
    return sound


@pytest.mark.parametrize("name", ["a.m4a", "a.mp4", "a.mkv"])
def test_a_click_is_found_at_its_time(tmp_path, name):
    pictures = samples.talking(2, size=(64, 48), faces=()) if name != "a.m4a" else None
    path = samples.write_media(tmp_path / name, pictures, click(2, 1.3))
    sound = audio.read(path)
    assert sound.dtype == np.float32
    assert len(sound) == pytest.approx(2 * RATE, abs=RATE // 10)
    assert np.abs(sound).argmax() / RATE == pytest.approx(1.305, abs=0.01)


def test_sound_that_starts_late_begins_with_silence(tmp_path):
    pictures = samples.talking(3, size=(64, 48), faces=())
    path = tmp_path / "late.mkv"
    samples.write_media(path, pictures, samples.babble(1, pauses=False), sound_start_s=1.5)
    sound = audio.read(path)
    assert np.abs(sound[: round(1.4 * RATE)]).max() == 0
    assert np.abs(sound[round(1.6 * RATE) : round(1.8 * RATE)]).max() > 0.05


@pytest.mark.parametrize(("late", "length"), [(0, 100), (300, 100), (2000, 2100), (-2000, 0)])
def test_gaps_are_filled_overlaps_cut_and_drift_ignored(late, length):
    assert len(audio._place(np.ones(100, np.int16), late)) == length


def frame(rate, layout, start_s, seconds=0.5, fmt="s16"):
    channels = av.AudioLayout(layout).nb_channels
    data = np.full((1, round(rate * seconds) * channels), 5000, np.int16)
    out = av.AudioFrame.from_ndarray(data, format=fmt, layout=layout)
    out.sample_rate, out.time_base = rate, fractions.Fraction(1, rate)
    out.pts = round(start_s * rate)
    return out


def test_sound_whose_format_changes_on_the_way_is_read_on():
    frames = [frame(48_000, "stereo", 0), frame(44_100, "mono", 0.5), frame(44_100, "mono", 1.0)]
    out = list(audio._resampled(frames))
    assert {(f.sample_rate, f.layout.name, f.format.name) for f in out} == {(RATE, "mono", "s16")}
    assert sum(f.samples for f in out) == pytest.approx(1.5 * RATE, abs=200)
    assert list(audio._resampled([])) == []


def test_a_time_stamp_far_beyond_the_end_is_not_believed(tmp_path, monkeypatch):
    path = samples.write_media(tmp_path / "a.mka", sound=samples.babble(1), audio_codec="flac")
    plain = audio._resampled

    def late(frames):
        for number, out in enumerate(plain(frames)):
            if number % 2:
                out.pts = 10**12
            yield out

    monkeypatch.setattr(audio, "_resampled", late)
    assert 0 < len(audio.read_pcm16(path)) <= 1.1 * RATE


def test_a_gap_in_the_middle_keeps_what_follows_at_its_time(tmp_path):
    path = tmp_path / "gap.mka"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("flac", rate=RATE, layout="mono")
        for start_s in (0.0, 2.0):
            out.mux(stream.encode(frame(RATE, "mono", start_s)))
        out.mux(stream.encode(None))
    sound = np.abs(audio.read(path))
    assert len(sound) == pytest.approx(2.5 * RATE, abs=RATE // 20)
    assert sound[round(0.6 * RATE) : round(1.9 * RATE)].max() < 0.01
    assert sound[round(2.05 * RATE) : round(2.45 * RATE)].min() > 0.1


def test_a_file_without_sound_has_no_samples(tmp_path):
    path = samples.write_media(tmp_path / "v.mp4", samples.talking(0.4, size=(64, 48), faces=()))
    assert audio.read_pcm16(path).shape == (0,)


def test_broken_sound_is_cut_short_not_raised(tmp_path):
    path = samples.write_media(tmp_path / "a.mp3", sound=samples.babble(3), audio_codec="mp3")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    path.write_bytes(data)
    assert 0 < len(audio.read_pcm16(path)) <= 3.2 * RATE
    path.write_bytes(b"")
    with pytest.raises(video.DamagedMedia):
        audio.read_pcm16(path)


def test_flac_keeps_every_sample():
    samples_in = samples.babble(0.5)
    data = audio.encode_flac(samples_in)
    assert data == audio.encode_flac(samples_in)
    np.testing.assert_array_equal(np.round(audio.decode_flac(data) * 32768), samples_in)
    assert audio.decode_flac(b"").shape == (0,)


def test_what_is_no_16_khz_flac_is_refused():
    import io

    import soundfile

    with pytest.raises(ValueError, match="no FLAC"):
        audio.decode_flac(b"fLaC but no more")
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((100, 2)), 8000, format="FLAC")
    with pytest.raises(ValueError, match="8000 Hz and 2 channels"):
        audio.decode_flac(buffer.getvalue())


def test_voice_is_told_from_pauses():
    active = audio.voice_activity(samples.babble(4)).reshape(4, 100)
    assert active[:, 5:65].mean() > 0.8
    assert active[:, 72:98].mean() < 0.05


def test_even_sound_is_voice_throughout_and_silence_never():
    tone = (8000 * np.sin(np.arange(RATE) * 0.2)).astype(np.int16)
    assert audio.voice_activity(tone).all()
    assert not audio.voice_activity(np.zeros(RATE, np.int16)).any()
    assert audio.voice_activity(tone.astype(np.float32) / 32768).all()
    assert audio.voice_activity(tone[:100]).shape == (0,)


def test_silence_is_silent_and_a_whisper_is_not():
    assert audio.is_silent(np.zeros(RATE, np.int16))
    assert audio.is_silent(np.zeros(0, np.int16))
    assert audio.is_silent(np.full(RATE, 3, np.int16))
    assert not audio.is_silent(np.full(RATE, 100, np.int16))


def test_short_pauses_do_not_end_a_stretch_of_voice():
    active = np.zeros(500, bool)
    active[100:150] = active[170:200] = active[300:320] = True
    spans = audio.voiced_spans(active, 0.4)
    np.testing.assert_allclose(spans, [(0.9, 2.1), (2.9, 3.3)])
    assert audio.voiced_spans(np.zeros(50, bool), 0.4) == []
    np.testing.assert_allclose(audio.voiced_spans(np.ones(50, bool), 0.4), [(0.0, 0.6)])
