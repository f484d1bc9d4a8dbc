"""Stand-ins and small media for the tests of the builders."""

import fractions
import hashlib
import json
import os
import signal
from pathlib import Path

import av
import numpy as np
import tensorflow_datasets as tfds

from memobert_jax import record
from memobert_jax.media import clips, ledger, subtitles
from memobert_jax.media.ledger import Reason
from tfds_builders import build
from tfds_builders.extraction import extract_one


def omitted(found):
    """Reason -> ids of what a listing leaves out."""
    reasons = {}
    for item, reason in found.tally.omitted:
        reasons.setdefault(str(reason), []).append(item)
    return reasons


def fake_identity(path, utterances=None, labels=None) -> str:
    sidecar = subtitles.find_sidecar(path) if utterances is None else None
    parts = [Path(path).read_bytes(), sidecar.read_bytes() if sidecar else b""]
    parts.append(repr((utterances, labels)).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def fake_extract(path, config, *, video_id=None, utterances=None, labels=None, timings=None):
    """Two clips of each ten seconds, or one an utterance; a file that says "bad" is not media."""
    with open(os.environ["EXTRACTED"], "a") as log:
        log.write(f"{video_id}\n")
    if not Path(path).is_file():
        return clips.Extraction([], ledger.failed(video_id, str(path), "", Reason.MISSING_FILE))
    data = Path(path).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if b"bad" in data:
        return clips.Extraction([], ledger.failed(video_id, str(path), digest, Reason.NOT_MEDIA))
    timeline = ledger.Timeline(video_id, str(path), digest, 10.0)
    spans = [(1.0, 3.0, "one", {}), (5.0, 7.5, "two", {})]
    if utterances is not None:
        spans = [(u.start_s, min(u.end_s, 10.0), u.text, u.fields) for u in utterances]
    out = []
    for number, (start_s, end_s, text, fields) in enumerate(spans):
        timeline.keep(start_s, end_s)
        values = {"id": f"{video_id}_{number}", **(labels or {}), **fields}
        times = np.arange(3, dtype=np.float32) / 10
        out.append(
            record.make(
                "clips",
                video_id=video_id,
                start_s=start_s,
                end_s=end_s,
                text=text,
                faces=[data] * 3,
                face_time_s=times,
                face_score=times,
                speech=data * 9,
                **values,
            )
        )
    return clips.Extraction(out, timeline.ledger())


def extract_or_die(numbered, config, store, folder) -> None:
    """`extraction.extract_one` with `fake_extract`; a file that says "deadly" kills the process."""
    clips.extract, clips.identity = fake_extract, fake_identity
    if "deadly" in Path(numbered[1].path).read_text():
        os.kill(os.getpid(), signal.SIGKILL)
    extract_one(numbered, config, store, folder)


def extracted() -> list[str]:
    """The videos that `fake_extract` was called with, in order."""
    log = Path(os.environ["EXTRACTED"])
    return log.read_text().split("\n")[:-1] if log.exists() else []


def make_corpus(folder: Path, count: int) -> Path:
    """A folder of `count` files that only `fake_extract` takes for videos."""
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"v{number}.mp4").write_text(f"video {number}")
    return folder


def run_build(name: str, manual_dir: Path, data_dir: Path, extract=None, **changes) -> str:
    """`build.build` inside this process."""
    request = build.Request(
        manual_dir=str(manual_dir), data_dir=str(data_dir), **{"workers": 1, **changes}
    )
    return build.build(name, request, extract)


def read_dataset(folder: Path) -> dict[str, list[dict]]:
    """Flat records of each split, read as anybody would, without the builder."""
    builder = tfds.builder_from_directory(folder)
    source = builder.as_data_source()
    return {
        name: [record.flatten(source[name][i]) for i in range(len(source[name]))]
        for name in builder.info.splits
    }


def read_ledgers(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]


def read_metadata(folder: Path) -> dict:
    return json.loads((folder / "metadata.json").read_text())


def make_media(path: Path, seconds: float = 2.0, video: bool = True, sound: bool = True) -> Path:
    """A small mp4: a moving gradient and a tone."""
    with av.open(str(path), "w") as out:
        picture = out.add_stream("h264", rate=10) if video else None
        voice = out.add_stream("aac", rate=16000, layout="mono") if sound else None
        if picture:
            picture.width, picture.height, picture.pix_fmt = 96, 64, "yuv420p"
            for number in range(int(seconds * 10)):
                row = (np.arange(96) * 2 + number * 5) % 256
                image = np.broadcast_to(row[None, :, None], (64, 96, 3)).astype(np.uint8)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                out.mux(picture.encode(frame))
            out.mux(picture.encode())
        if voice:
            times = np.arange(int(seconds * 16000)) / 16000
            wave = 0.3 * np.sin(2 * np.pi * 220 * times) * (1 + np.sin(9 * times))
            for start in range(0, len(wave), 1024):
                samples = wave[None, start : start + 1024].astype(np.float32)
                frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 16000, start
                frame.time_base = fractions.Fraction(1, 16000)
                out.mux(voice.encode(frame))
            out.mux(voice.encode())
    return path


def write_srt(path: Path, *cues: tuple[str, str, str]) -> Path:
    """A subtitle file of (start, end, text) cues."""
    blocks = [f"{n}\n{a} --> {b}\n{text}\n" for n, (a, b, text) in enumerate(cues, 1)]
    path.write_text("\n".join(blocks))
    return path
