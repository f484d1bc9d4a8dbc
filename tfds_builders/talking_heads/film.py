"""Writes mp4 (H.264 and AAC) with PyAV. The same frames and samples give the same bytes."""

from collections.abc import Iterable
from pathlib import Path

import av
import cv2
import numpy as np

_VIDEO = {"preset": "ultrafast", "crf": "23", "threads": "1", "flags": "+bitexact"}
_AUDIO = {"aac_coder": "fast", "flags": "+bitexact"}
_AUDIO_BITS = 64_000


def write(
    path: Path,
    frames: Iterable[np.ndarray],
    size: int,
    fps: int,
    samples: np.ndarray,
    rate_hz: int,
) -> None:
    """Writes a video file.

    Args:
      path: the file; its folder exists.
      frames: RGB u8 [size, size, 3].
      size: width and height, an even number.
      fps: frames per second.
      samples: f32 [n], -1 to 1, mono.
      rate_hz: samples per second.

    Raises:
      OSError: if the file cannot be written.
    """
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("libx264", rate=fps, options=_VIDEO)
        audio = container.add_stream("aac", rate=rate_hz, layout="mono", options=_AUDIO)
        video.width, video.height, video.pix_fmt = size, size, "yuv420p"
        audio.bit_rate = _AUDIO_BITS
        heard = 0
        for i, frame in enumerate(frames):
            planes = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            picture.pts = i
            container.mux(video.encode(picture))
            until = round((i + 1) * rate_hz / fps)
            container.mux(audio.encode(_sound(samples[heard:until], heard, rate_hz)))
            heard = until
        if heard < len(samples):
            container.mux(audio.encode(_sound(samples[heard:], heard, rate_hz)))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _sound(samples: np.ndarray, position: int, rate_hz: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples[None], np.float32), format="fltp", layout="mono"
    )
    frame.sample_rate, frame.pts = rate_hz, position
    return frame
