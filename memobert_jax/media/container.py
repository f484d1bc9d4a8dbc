"""Opening media files: what can be read, what is damaged, and how far it goes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import av

from memobert_jax.media.ledger import Reason

# A text file named .mp4 can be a playlist; it may not reach for other files or the network.
_OPEN_OPTIONS = {"protocol_whitelist": "file"}


class DamagedMedia(Exception):  # noqa: N818 (it names the file's state)
    """The file cannot be read as media; `reason` is its code in the ledger."""

    def __init__(self, reason: Reason, message: str):
        super().__init__(message)
        self.reason = reason


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


def packets(container, stream) -> Iterator["av.Packet"]:
    """The packets of a stream up to the end, or to where the file breaks off."""
    demuxed = container.demux(stream)
    while True:
        try:
            packet = next(demuxed, None)
        except (av.error.FFmpegError, IndexError):  # IndexError: a stream that appeared on the way
            return
        if packet is None:
            return
        yield packet


def reach(path: str | Path) -> float:
    """How far the video and audio packets of a file really go, seconds; decodes nothing."""
    with open_media(path) as container:
        streams = [s for s in (stream_of(container, k) for k in ("video", "audio")) if s]
        return last_end(container, streams)


def last_end(container, streams) -> float:
    ends = [
        float((packet.pts + (packet.duration or 0)) * packet.time_base)
        for packet in packets(container, streams)
        if packet.pts is not None
    ]
    return max(ends) - origin(container) if ends else 0.0
