"""Pictures come at their times, whatever the file looks like."""

import fractions

import av
import media_samples as samples
import numpy as np
import pytest

from memobert_jax.media import container, video
from memobert_jax.media.ledger import Reason


def numbered(count):
    """Pictures u8 [80, 80, 3] with one white square, whose place tells the picture's number."""
    for number in range(count):
        picture = np.zeros((80, 80, 3), np.uint8)
        row, column = divmod(number, 10)
        picture[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 255
        yield picture


def numbers(frames):
    squares = {
        time_s: picture.reshape(10, 8, 10, 8, 3).mean((1, 3, 4)) for time_s, picture in frames
    }
    return {time_s: int(light.argmax()) for time_s, light in squares.items()}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Four seconds at 25 fps with B-frames and a key frame every 0.8 s."""
    path = tmp_path_factory.mktemp("video") / "graded.mp4"
    options = {"g": "20", "bf": "3", "crf": "5", "sc_threshold": "0"}
    return samples.write_media(path, numbered(100), video_options=options)


def test_each_tenth_of_a_second_gets_the_nearest_picture(graded):
    found = numbers(video.frames(graded))
    assert list(found) == [k / 10 for k in range(40)]
    for time_s, number in found.items():
        assert abs(number / 25 - time_s) <= 0.0201


def test_spans_give_the_same_pictures_as_the_whole_file(graded):
    whole = dict(video.frames(graded))
    for spans in ([(0.0, 0.3)], [(0.95, 1.2), (3.1, 3.35)], [(3.7, 9.0)], [(1.0, 2.0), (1.5, 2.5)]):
        part = dict(video.frames(graded, spans=spans))
        wanted = [t for t in whole if any(low <= t < high for low, high in spans)]
        assert list(part) == wanted
        assert all(np.array_equal(part[t], whole[t]) for t in wanted)


def test_pictures_outside_the_spans_are_not_decoded(graded, monkeypatch):
    decoded = []
    plain = video._decode
    monkeypatch.setattr(video, "_decode", lambda *args: decoded.append(args) or plain(*args))
    list(video.frames(graded, spans=[(3.3, 3.5)]))
    assert 0 < len(decoded) <= 25


def test_skipping_pictures_that_nothing_refers_to_changes_none(graded, monkeypatch):
    skipping = dict(video.frames(graded))
    monkeypatch.setattr(video, "_shown", lambda *args: None)
    plain = dict(video.frames(graded))
    assert list(skipping) == list(plain)
    assert all(np.array_equal(skipping[t], plain[t]) for t in plain)


def test_pictures_that_nothing_refers_to_are_skipped(graded, monkeypatch):
    def count():
        return sum(1 for _ in video._decoded(*arguments))

    with container.open_media(graded) as media:
        stream = container.stream_of(media, "video")
        shown = video._shown(graded, 10.0, [(0.0, 4.0)])
        arguments = (media, stream, [(0.0, 4.0)], shown)
        assert len(shown) == 40
        assert 40 <= count() < 95


def test_a_jump_of_the_clock_is_not_filled_with_a_million_pictures(graded, monkeypatch):
    plain = video._decoded

    def late(*args):
        for time_s, frame in plain(*args):
            yield time_s + (1e9 if time_s > 3 else 0), frame

    monkeypatch.setattr(video, "_decoded", late)
    assert 25 <= len(list(video.frames(graded, spans=[(0.0, 3.0), (3.0, 1e12)]))) < 50


def test_a_file_that_starts_late_counts_time_from_its_start(tmp_path):
    path = samples.write_media(tmp_path / "late.mkv", numbered(25), first_pts=250)
    assert list(numbers(video.frames(path)).items())[:2] == [(0.0, 0), (0.1, 2)]


def test_a_slow_video_shows_each_picture_until_the_next(tmp_path):
    path = samples.write_media(tmp_path / "slow.mp4", numbered(8), fps=4)
    found = numbers(video.frames(path))
    assert len(found) == 20
    assert found[0.1] == 0
    assert found[0.2] == 1
    assert found[1.9] == 7


def test_pictures_of_a_turned_video_are_upright(tmp_path):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :16] = 255
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        if not hasattr(stream, "set_display_rotation"):
            pytest.skip("this PyAV cannot write a rotation")
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(90)
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, fractions.Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    _, shown = next(video.frames(path))
    assert shown.shape == (64, 48, 3)
    assert shown[-8:].mean() > 200
    assert shown[:40].mean() < 50


def test_pictures_get_square_pixels(tmp_path):
    path = tmp_path / "wide.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 80, 80, "yuv420p"
        stream.codec_context.sample_aspect_ratio = fractions.Fraction(3, 2)
        for number, picture in enumerate(numbered(5)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, fractions.Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert next(video.frames(path))[1].shape == (80, 120, 3)


def test_probe_tells_streams_and_length(graded, tmp_path):
    info = video.probe(graded)
    assert (info.width, info.height, info.fps) == (80, 80, 25.0)
    assert info.duration_s == pytest.approx(4.0, abs=0.01)
    assert (info.has_video, info.has_audio, info.has_subtitles) == (True, False, False)
    sound = samples.write_media(tmp_path / "a.m4a", sound=samples.babble(1))
    info = video.probe(sound)
    assert (info.has_video, info.has_audio, info.width) == (False, True, 0)
    assert list(video.frames(sound)) == []


def test_the_length_of_a_stream_without_a_container_is_counted(tmp_path):
    path = samples.write_media(tmp_path / "raw.m4v", numbered(50), video_codec="mpeg4")
    path = path.rename(tmp_path / "raw.bin")
    assert video.probe(path).duration_s == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.EMPTY_FILE),
        (b"this is no film\n" * 200, Reason.NOT_MEDIA),
        (b"1\n00:00:01,000 --> 00:00:02,000\nhello\n", Reason.NOT_MEDIA),
        (b"#EXTM3U\n#EXTINF:10,\nhttp://localhost/x.ts\n", Reason.NOT_MEDIA),
    ],
)
def test_what_is_no_video_is_refused_with_its_reason(tmp_path, content, reason):
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(container.DamagedMedia, match=r"film\.mp4") as caught:
        video.probe(path)
    assert caught.value.reason == reason


def test_a_missing_file_is_not_taken_for_damage(tmp_path):
    with pytest.raises(FileNotFoundError):
        video.probe(tmp_path / "none.mp4")


def test_a_file_that_breaks_off_ends_early(tmp_path):
    path = tmp_path / "whole.mp4"
    options = {"movflags": "faststart"}
    samples.write_media(path, numbered(100), video_options={"crf": "1", "g": "10"}, options=options)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    assert video.probe(path).duration_s == pytest.approx(4.0, abs=0.01)
    reach = container.reach(path)
    assert 0.5 < reach < 3.6
    times = [time_s for time_s, _ in video.frames(path)]
    assert times[-1] == pytest.approx(reach, abs=0.2)


def test_flipped_bytes_never_raise(graded, tmp_path):
    rng = np.random.default_rng(0)
    data = np.frombuffer(graded.read_bytes(), np.uint8)
    path = tmp_path / "flipped.mp4"
    for _ in range(20):
        damaged = data.copy()
        damaged[rng.integers(0, len(data), 40)] = rng.integers(0, 256, 40)
        path.write_bytes(damaged.tobytes())
        try:
            for time_s, picture in video.frames(path):
                assert picture.dtype == np.uint8
                assert time_s >= 0
        except container.DamagedMedia:
            pass
