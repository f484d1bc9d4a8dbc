"""Video files: what they hold, and their frames at a steady rate, cut exactly by time.

Times are seconds from the start of the container, as a player shows them and subtitles mean them.
"""

import bisect
import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from memobert_jax.media.ledger import Reason

SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"}
    | {".ogv", ".ts", ".webm", ".wmv"}
)
"""Usual file name endings of videos; `probe` and `frames` open any."""

# A text file named .mp4 can be a playlist; it may not reach for other files or the network.
_OPEN_OPTIONS = {"protocol_whitelist": "file"}


_TIE_S = 1e-6


class DamagedMedia(Exception):  # noqa: N818 (it names the file's state)
    """The file cannot be read as media; `reason` is its code in the ledger."""

    def __init__(self, reason: Reason, message: str):
        super().__init__(message)
        self.reason = reason


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What a container declares.

    Attributes:
      duration_s: length, seconds; 0 where nothing tells.
      has_video, has_audio, has_subtitles: streams that can be decoded (cover art is no video).
      width, height, fps: of the video stream; 0 without one.
    """

    duration_s: float
    has_video: bool
    has_audio: bool
    has_subtitles: bool
    width: int = 0
    height: int = 0
    fps: float = 0.0


@contextlib.contextmanager
def open_media(path: str | Path) -> Iterator["av.container.InputContainer"]:
    """The opened container.

    Raises:
      FileNotFoundError: without a file.
      DamagedMedia: EMPTY_FILE, or NOT_MEDIA with FFmpeg's words.
    """
    path = Path(path)
    if path.stat().st_size == 0:
        raise DamagedMedia(Reason.EMPTY_FILE, f"{path} has no bytes; copy or download it again")
    try:
        container = av.open(str(path), metadata_errors="ignore", options=_OPEN_OPTIONS)
    except av.error.FFmpegError as error:
        raise DamagedMedia(
            Reason.NOT_MEDIA,
            f"{path} cannot be opened as media ({error}); copy or download it again",
        ) from error
    with container:
        yield container


def origin(container: "av.container.InputContainer") -> float:
    """The container's start time, seconds: zero of all times here."""
    return (container.start_time or 0) / av.time_base


def stream_of(container: "av.container.InputContainer", kind: str):
    """The first stream of a kind ('video', 'audio', 'subtitle') that can be decoded, or None."""
    for stream in container.streams:
        cover = av.stream.Disposition.attached_pic & stream.disposition
        if stream.type == kind and stream.codec_context is not None and not cover:
            return stream
    return None


def probe(path: str | Path) -> VideoInfo:
    """What the file declares; decodes nothing.

    Raises:
      FileNotFoundError: without a file.
      DamagedMedia: EMPTY_FILE, or NOT_MEDIA (also for a file with neither video nor audio).
    """
    with open_media(path) as container:
        video, audio = stream_of(container, "video"), stream_of(container, "audio")
        if video is None and audio is None:
            raise DamagedMedia(Reason.NOT_MEDIA, f"{path} has neither a video nor an audio stream")
        info = VideoInfo(
            duration_s=_duration(container, [s for s in (video, audio) if s is not None]),
            has_video=video is not None,
            has_audio=audio is not None,
            has_subtitles=stream_of(container, "subtitle") is not None,
        )
        if video is None:
            return info
        return dataclasses.replace(
            info, width=video.width, height=video.height, fps=float(video.average_rate or 0)
        )


def _duration(container, streams) -> float:
    if container.duration:
        return container.duration / av.time_base
    declared = [float(s.duration * s.time_base) for s in streams if s.duration]
    if declared:
        return max(declared)
    return _last_end(container, streams)


def reach(path: str | Path) -> float:
    """How far the video and audio packets of a file really go, seconds; decodes nothing."""
    with open_media(path) as container:
        streams = [s for s in (stream_of(container, k) for k in ("video", "audio")) if s]
        return _last_end(container, streams)


def _last_end(container, streams) -> float:
    ends = [
        float((packet.pts + (packet.duration or 0)) * packet.time_base)
        for packet in packets(container, streams)
        if packet.pts is not None
    ]
    return max(ends) - origin(container) if ends else 0.0


def frames(
    path: str | Path, fps: float = 10.0, spans: Sequence[tuple[float, float]] | None = None
) -> Iterator[tuple[float, np.ndarray]]:
    """The picture nearest to each time k / fps, decoded in one pass.

    Only pictures that are yielded are converted to RGB, and packets that lie outside `spans` are
    not even decoded where a key frame allows it. What is yielded does not depend on that.

    Args:
      path: media file.
      fps: rate of the grid of times, per second.
      spans: (start_s, end_s) in order of start; only grid times in start_s <= t < end_s are
        yielded. None: all.

    Yields:
      (k / fps, picture u8 [height, width, 3] RGB, upright, with square pixels).

    Raises:
      FileNotFoundError: without a file.
      DamagedMedia: if the file cannot be opened. A file that breaks off just ends early.
    """
    spans = _joined(spans if spans is not None else [(0.0, math.inf)])
    with open_media(path) as container:
        stream = stream_of(container, "video")
        if stream is None:
            return
        stream.thread_type = "NONE"
        zero = origin(container)
        convert = VideoReformatter()
        before: tuple[float, av.VideoFrame] | None = None
        tick = 0
        for now, frame in _decoded(container, stream, spans, zero):
            if before is None:
                tick = max(0, math.ceil(now * fps - 0.5))
                before = (now, frame)
            while tick / fps <= now:
                shown = _nearest(tick / fps, before, (now, frame))
                if _inside(tick / fps, spans) and not shown.is_corrupt:
                    yield tick / fps, _rgb(shown, stream, convert)
                tick += 1
            before = (now, frame)
        if before is None:
            return
        hold_s = 1 / float(stream.average_rate or fps)
        while tick / fps < before[0] + hold_s:
            if _inside(tick / fps, spans) and not before[1].is_corrupt:
                yield tick / fps, _rgb(before[1], stream, convert)
            tick += 1


def _joined(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Sorted spans without overlaps."""
    joined: list[tuple[float, float]] = []
    for start_s, end_s in sorted(spans):
        if joined and start_s <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end_s))
        else:
            joined.append((start_s, end_s))
    return joined


def _inside(time_s: float, spans: Sequence[tuple[float, float]]) -> bool:
    place = bisect.bisect_right(spans, time_s, key=lambda span: span[0])
    return place > 0 and time_s < spans[place - 1][1]


def _nearest(time_s, before, after):
    return before[1] if time_s - before[0] <= after[0] - time_s + _TIE_S else after[1]


def _decoded(container, stream, spans, zero) -> Iterator[tuple[float, "av.VideoFrame"]]:
    """(time, frame) in order of time: at least all that lie in or next to a span.

    Between spans packets are held back; a key frame at or before the next span replaces those
    held before it, and the decoder forgets what it saw.
    """

    def seconds(stamp):
        return stamp * numerator / denominator - zero

    numerator, denominator = stream.time_base.as_integer_ratio()
    remaining = list(spans)
    held: list[av.Packet] = []
    wanted, skipped = False, False
    for packet in packets(container, stream):
        if not remaining:
            return
        if not wanted:
            start_s = remaining[0][0]
            key = packet.is_keyframe and packet.pts is not None
            if key and held and seconds(packet.pts) <= start_s:
                held, skipped = [], True
            held.append(packet)
            if packet.dts is not None and seconds(packet.dts) < start_s:
                continue
            if skipped:
                stream.codec_context.flush_buffers()
            wanted, skipped = True, False
        due, held = (held, []) if held else ([packet], [])
        for frame in (frame for item in due for frame in _decode(item)):
            now = seconds(frame.pts)
            yield now, frame
            while remaining and remaining[0][1] <= now:
                remaining.pop(0)
                wanted = False


def packets(container, stream) -> Iterator["av.Packet"]:
    """The packets of a stream up to the end, or to where the file breaks off."""
    demuxed = container.demux(stream)
    while True:
        try:
            packet = next(demuxed, None)
        except av.error.FFmpegError:
            return
        if packet is None:
            return
        yield packet


def _decode(packet: "av.Packet") -> list["av.VideoFrame"]:
    """Frames that a packet completes; none from a packet that cannot be decoded."""
    try:
        return [frame for frame in packet.decode() if frame.pts is not None]
    except av.error.FFmpegError:
        return []


def _rgb(frame: "av.VideoFrame", stream, convert: VideoReformatter) -> np.ndarray:
    """u8 [height, width, 3], square pixels, turned upright by the stream's rotation."""
    aspect = stream.sample_aspect_ratio or 1
    width = frame.width if aspect == 1 else round(frame.width * aspect)
    picture = convert.reformat(frame, width=width, height=frame.height, format="rgb24").to_ndarray()
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture
