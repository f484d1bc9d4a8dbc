"""Small media files for tests: drawn faces, tones, subtitles; all made here, none downloaded."""

import fractions
from collections.abc import Iterable
from pathlib import Path

import av
import cv2
import numpy as np

RATE = 16_000
SKIN, DARK, LIPS, WHITE = (224, 180, 150), (60, 40, 30), (170, 70, 80), (245, 245, 245)


def draw_face(
    picture: np.ndarray,
    centre: tuple[int, int],
    height: int,
    opening: float = 0.0,
    skin: tuple[int, int, int] | None = None,
) -> None:
    """Draws a face, `height` pixels tall, onto u8 [h, w, 3] RGB; `opening` of its mouth: 0 to 1."""
    x, y = centre
    skin = skin or SKIN
    unit = height / 100

    def place(dx, dy):
        return round(x + dx * unit), round(y + dy * unit)

    def size(a, b):
        return max(1, round(a * unit)), max(1, round(b * unit))

    cv2.ellipse(picture, place(0, -10), size(42, 55), 0, 0, 360, DARK, -1, cv2.LINE_AA)
    cv2.ellipse(picture, place(0, 0), size(36, 50), 0, 0, 360, skin, -1, cv2.LINE_AA)
    for side in (-1, 1):
        cv2.ellipse(picture, place(15 * side, -10), size(8, 4), 0, 0, 360, WHITE, -1, cv2.LINE_AA)
        cv2.circle(picture, place(15 * side, -10), size(3.5, 0)[0], DARK, -1, cv2.LINE_AA)
        cv2.ellipse(
            picture,
            place(15 * side, -17),
            size(10, 3),
            0,
            180,
            360,
            DARK,
            size(2, 0)[0],
            cv2.LINE_AA,
        )
    cv2.line(picture, place(0, -6), place(-2, 10), (200, 150, 120), size(2, 0)[0], cv2.LINE_AA)
    cv2.ellipse(picture, place(0, 11), size(6, 3), 0, 0, 180, (170, 110, 90), size(2, 0)[0])
    lips = size(14, 3 + 9 * opening)
    cv2.ellipse(picture, place(0, 26), lips, 0, 0, 360, LIPS, -1, cv2.LINE_AA)
    inner = size(11, 0.5 + 7 * opening)
    cv2.ellipse(picture, place(0, 26), inner, 0, 0, 360, DARK, -1, cv2.LINE_AA)


def talking(
    seconds: float,
    fps: int = 25,
    size: tuple[int, int] = (320, 240),
    faces: Iterable[tuple[tuple[int, int], int, bool]] = (((160, 125), 130, True),),
) -> Iterable[np.ndarray]:
    """Pictures of faces ((x, y), height, whether it talks) on a plain ground."""
    faces = list(faces)
    for i in range(round(seconds * fps)):
        picture = np.full((size[1], size[0], 3), (90, 140, 170), np.uint8)
        for centre, height, talks in faces:
            draw_face(picture, centre, height, abs(np.sin(i * 7 / fps)) if talks else 0.05)
        yield picture


def babble(seconds: float, pauses: bool = True, seed: int = 0) -> np.ndarray:
    """i16 [n], 16 kHz: loud noise with syllables, the second half of each second near silence."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * RATE)) / RATE
    loud = np.where((times % 1 < 0.7) | (not pauses), 0.3, 0.003)
    noise = rng.uniform(-1, 1, len(times)) * loud * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * times))
    return (noise * 32767).astype(np.int16)


def write_media(
    path: Path,
    pictures: Iterable[np.ndarray] | None = None,
    sound: np.ndarray | None = None,
    *,
    fps: int = 25,
    sound_start_s: float = 0.0,
    first_pts: int = 0,
    video_codec: str = "libx264",
    audio_codec: str = "aac",
    video_options: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    cues: Iterable[tuple[float, float, str]] = (),
) -> Path:
    """Writes pictures u8 [h, w, 3], sound i16 [n] at 16 kHz, and subrip cues (mkv) to a file."""
    pictures = list(pictures) if pictures is not None else []
    with av.open(str(path), "w", options=options or {}) as out:
        video = audio = text = None
        if pictures:
            video = out.add_stream(
                video_codec, rate=fps, options={"threads": "1", **(video_options or {})}
            )
            video.height, video.width = pictures[0].shape[:2]
            video.pix_fmt = "rgb24" if video_codec == "rawvideo" else "yuv420p"
        if sound is not None:
            audio = out.add_stream(audio_codec, rate=RATE)
            audio.layout = "mono"
        if cues:
            text = out.add_stream("subrip")
            text.codec_context.subtitle_header = b"[Script Info]\nScriptType: v4.00+\n"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number + first_pts, fractions.Fraction(1, fps)
            out.mux(video.encode(frame))
        if pictures:
            out.mux(video.encode(None))
        if sound is not None:
            frame = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
            frame.sample_rate, frame.time_base = RATE, fractions.Fraction(1, RATE)
            frame.pts = round(sound_start_s * RATE)
            out.mux(audio.encode(frame))
            out.mux(audio.encode(None))
        for start_s, end_s, words in cues:
            packet = av.Packet(words.encode())
            packet.stream, packet.time_base = text, fractions.Fraction(1, 1000)
            packet.pts = packet.dts = round(start_s * 1000)
            packet.duration = round((end_s - start_s) * 1000)
            out.mux(packet)
    return path


def srt(*cues: tuple[float, float, str]) -> str:
    """The text of an srt file with (start_s, end_s, text) cues."""

    def stamp(seconds):
        total = round(seconds * 1000)
        hours, rest = divmod(total, 3_600_000)
        minutes, rest = divmod(rest, 60_000)
        return f"{hours:02}:{minutes:02}:{rest // 1000:02},{rest % 1000:03}"

    blocks = [
        f"{number}\n{stamp(start)} --> {stamp(end)}\n{text}\n"
        for number, (start, end, text) in enumerate(cues, 1)
    ]
    return "\n".join(blocks)
