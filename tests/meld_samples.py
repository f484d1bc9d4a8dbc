"""A small copy of MELD.Raw: its tree, its three CSV files with their encodings, its odd files."""

import fractions
from collections.abc import Iterable, Mapping
from pathlib import Path

import acted_samples
import av
import media_samples
import numpy as np

HEADER = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,"
    "StartTime,EndTime"
)
FOLDERS = {
    "train": "train/train_splits",
    "dev": "dev/dev_splits_complete",
    "test": "test/output_repeated_splits_test",
}
TABLES = {
    "train": "train/train_sent_emo.csv",
    "dev": "dev_sent_emo.csv",
    "test": "test_sent_emo.csv",
}
ROWS = {
    "train": (
        '1,"I told him, it\x92s over.",Ann,neutral,neutral,0,0,8,21,"00:16:16,059","00:16:17,060"',
        '2,Oh \x97 really?!,Bob,surprise,positive,0,1,8,21,"00:16:17,940","00:16:18,940"',
        '5,"No, no, don\x92t!",Bob,fear,negative,2,0,9,1,"0:01:02,000","0:01:03,000"',
        '6,I hate it.,Café owner,anger,negative,2,1,9,1,"00:01:04,000","00:01:05,000"',
    ),
    "dev": (
        '1,What a mess.,Ann,disgust,negative,0,0,4,7,"00:20:57,256","00:20:58,256"',
        '3,Did they say?,Bob,neutral,neutral,0,1,4,7,"00:20:59,000","00:21:00,000"',
    ),
    "test": (
        '1,We won!,Ann,joy,positive,0,0,3,19,"00:14:38,127","00:14:39,127"',
        '2,I miss you.,Bob,sadness,negative,0,1,3,19,"00:14:40,629","00:14:41,629"',
        '19,Well.,All,neutral,neutral,1,0,1,23,"0:10:44,769","0:10:45,769"',
    ),
}
"""Rows as they stand in the files."""

FILES = {
    "train": ("dia0_utt0", "dia0_utt1", "dia2_utt0", "dia2_utt1"),
    "dev": ("dia0_utt0", "dia0_utt1"),
    "test": ("dia0_utt0", "dia0_utt1", "dia1_utt0"),
}


def write_meld(folder: Path, rows: Mapping[str, Iterable[str]] = ROWS, media=None) -> Path:
    """The unpacked archive; `media(path, seed)` writes a clip, by default a real one.

    The file of train is UTF-8 of a misread Windows-1252, that of dev Windows-1252 itself.
    """
    for place, (split, lines) in enumerate(rows.items()):
        table = folder / TABLES[split]
        table.parent.mkdir(parents=True, exist_ok=True)
        text = "\n".join([HEADER, *lines]) + "\n"
        table.write_bytes(text.encode("utf-8" if split == "train" else "cp1252"))
        clips = folder / FOLDERS[split]
        clips.mkdir(parents=True)
        for seed, stem in enumerate(FILES[split]):
            (media or write_clip)(clips / f"{stem}.mp4", 10 * place + seed)
    return folder


def write_clip(path: Path, seed: int, seconds: float = 1.0, layout: str = "stereo") -> Path:
    """h264 with 24000/1001 pictures a second and AAC of 48 kHz, as the clips of MELD."""
    rate, pace = 48_000, fractions.Fraction(24_000, 1001)
    place = ((150 + seed, 125), 130, True)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=pace, options={"threads": "1"})
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        audio = out.add_stream("aac", rate=rate)
        audio.layout = layout
        for number, picture in enumerate(media_samples.talking(seconds, 24, faces=[place])):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, 1 / pace
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        samples = acted_samples.sound(seed, rate, seconds).astype(np.float32) / 32768
        planes = np.repeat(samples[None], audio.layout.nb_channels, axis=0)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, fractions.Fraction(1, rate)
        out.mux(audio.encode(frame))
        out.mux(audio.encode(None))
    return path
