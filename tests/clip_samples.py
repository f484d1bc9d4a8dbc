"""Small clips for tests: real JPEG crops and FLAC speech, of chosen lengths."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from memobert_jax import datasets, record
from memobert_jax.media import audio


def crop(rng: np.random.Generator) -> bytes:
    """A smooth random 112x112 image as JPEG."""
    image = cv2.resize(rng.integers(0, 255, (8, 8, 3), np.uint8), (record.FACE_SIZE,) * 2)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, record.JPEG_QUALITY])[1].tobytes()


def clip(index: int, crops: int = 5, seconds: float = 0.5, **fields) -> dict[str, Any]:
    """A clips-record; without crops or seconds that modality is absent."""
    rng = np.random.default_rng(index)
    time = np.arange(round(seconds * record.SAMPLE_RATE)) / record.SAMPLE_RATE
    tone = 0.2 * np.sin(2 * np.pi * rng.uniform(200, 2000) * time)
    samples = (tone + 0.02 * rng.standard_normal(len(time))).astype(np.float32)
    text = f"this is clip {index}"
    words, starts, ends = record.even_words(text, seconds)
    values = {
        "id": f"clip{index}",
        "video_id": f"video{index // 4}",
        "speaker": f"speaker{index // 8}",
        "end_s": np.float32(seconds),
        "text": text,
        "words_text": words,
        "words_start_s": starts,
        "words_end_s": ends,
        "faces": [crop(rng) for _ in range(crops)],
        "face_time_s": np.arange(crops, dtype=np.float32) / np.float32(record.FACE_FPS),
        "face_score": np.full(crops, 0.9, np.float32),
        "speech": audio.encode_flac(samples) if len(samples) else b"",
        "emotion": index % 4,
    }
    return record.make("clips", **(values | fields))


def dataset(folder: Path, sizes: dict[str, int], num_shards: int = 1, **lengths) -> Path:
    """Writes a clips dataset with `sizes` clips a split."""
    splits, first = {}, 0
    for split, size in sizes.items():
        splits[split] = [clip(i, **lengths) for i in range(first, first + size)]
        first += size
    metadata = {"extract": {"min_utterance_s": 1.0}, "ledger": {"kept_s": 12.5, "clips": first}}
    return datasets.write(folder, "clips", splits, metadata=metadata, num_shards=num_shards)
