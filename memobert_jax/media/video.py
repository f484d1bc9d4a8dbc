"""Video files: what they hold, and their frames at a steady rate, cut exactly by time.

Times are seconds from the start of the container, as a player shows them and subtitles mean them.
"""

import bisect
import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from memobert_jax.media.container import (
    DamagedMedia,
    last_end,
    open_media,
    origin,
    packets,
    stream_of,
)
from memobert_jax.media.ledger import Reason

SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"}
    | {".ogv", ".ts", ".webm", ".wmv"}
)
"""Usual file name endings of videos; `probe` and `frames` open any."""

_TIE_S = 1e-6
_LONGEST_HOLD_S = 60.0
_WIDEST_PIXEL = 4


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
    return last_end(container, streams)


def frames(
    path: str | Path, fps: float = 10.0, spans: Sequence[tuple[float, float]] | None = None
) -> Iterator[tuple[float, np.ndarray]]:
    """The picture nearest to each time k / fps, decoded in one pass.

    Only pictures that are yielded are converted to RGB. Those that are not yielded and to which no
    other refers are not decoded, nor is anything between two spans up to the last key frame before
    the second. What is yielded does not depend on that.

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
    shown = _shown(path, fps, spans)
    with open_media(path) as container:
        stream = stream_of(container, "video")
        if stream is None:
            return
        stream.thread_type = "NONE"
        convert = VideoReformatter()
        before: tuple[float, av.VideoFrame] | None = None
        tick = 0
        for now, frame in _decoded(container, stream, spans, shown):
            if before is None or now - before[0] > _LONGEST_HOLD_S:
                tick = max(0, math.ceil(now * fps - 0.5))
                before = (now, frame)
            while tick / fps <= now:
                if _inside(tick / fps, spans):
                    nearest = before[1] if _is_nearer(tick / fps, before[0], now) else frame
                    if (picture := _rgb(nearest, stream, convert)) is not None:
                        yield tick / fps, picture
                tick += 1
            before = (now, frame)
        hold_s = 1 / float(stream.average_rate or fps)
        while before is not None and tick / fps < before[0] + hold_s:
            picture = _rgb(before[1], stream, convert) if _inside(tick / fps, spans) else None
            if picture is not None:
                yield tick / fps, picture
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


def _is_nearer(time_s, before_s, after_s):
    """Whether the picture before is (array-wise) to be shown, rather than the one after."""
    return time_s - before_s <= after_s - time_s + _TIE_S


def _shown(path: str | Path, fps: float, spans) -> frozenset[int] | None:
    """Time stamps of the packets that hold the pictures to be shown; None if packets lack them."""
    with open_media(path) as container:
        stream = stream_of(container, "video")
        if stream is None:
            return frozenset()
        stamps = [packet.pts for packet in packets(container, stream) if packet.size]
        if not stamps or None in stamps:
            return None
        stamps = np.unique(stamps)
        times = stamps * float(stream.time_base) - origin(container)
    chosen: set[int] = set()
    for start_s, end_s in spans:
        last = min(end_s, times[-1] + 1 / fps)
        ticks = np.arange(math.ceil(start_s * fps), math.ceil(last * fps)) / fps
        after = np.clip(np.searchsorted(times, ticks), 1, max(len(times) - 1, 1))
        after = np.minimum(after, len(times) - 1)
        before = np.maximum(after - 1, 0)
        nearer = _is_nearer(ticks, times[before], times[after])
        chosen.update(stamps[np.where(nearer, before, after)].tolist())
    return frozenset(chosen)


def _decoded(container, stream, spans, shown) -> Iterator[tuple[float, "av.VideoFrame"]]:
    """(time, frame) in order of time: at least those next to the grid times in a span.

    Between spans packets are held back; a key frame at or before the next span replaces those
    held before it, and the decoder forgets what it saw.
    """

    def seconds(stamp):
        return stamp * numerator / denominator - zero

    zero = origin(container)
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
        for frame in (frame for item in due for frame in _decode(item, shown)):
            now = seconds(frame.pts)
            yield now, frame
            while remaining and remaining[0][1] <= now:
                remaining.pop(0)
                wanted = False


def _decode(packet: "av.Packet", shown: frozenset[int] | None) -> list["av.VideoFrame"]:
    """Frames that a packet completes; none from a packet that cannot be decoded."""
    needed = shown is None or packet.pts is None or packet.pts in shown
    packet.stream.codec_context.skip_frame = "DEFAULT" if needed else "NONREF"
    try:
        return [frame for frame in packet.decode() if frame.pts is not None]
    except av.error.FFmpegError:
        return []


def _rgb(frame: "av.VideoFrame", stream, convert: VideoReformatter) -> np.ndarray | None:
    """u8 [height, width, 3], square pixels, turned upright; None for a picture that is damaged."""
    if frame.is_corrupt:
        return None
    aspect = stream.sample_aspect_ratio or 1
    believable = 1 / _WIDEST_PIXEL <= aspect <= _WIDEST_PIXEL
    width = round(frame.width * aspect) if believable else frame.width
    try:
        shown = convert.reformat(frame, width=width, height=frame.height, format="rgb24")
    except av.error.FFmpegError:
        return None
    turns = round(frame.rotation / 90) % 4
    picture = shown.to_ndarray()
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture
