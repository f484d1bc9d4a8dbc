"""Small features datasets for tests: clips whose modalities carry a common class."""

from pathlib import Path

import numpy as np

from memobert_jax import features, record

WIDTHS = {"face": 24, "speech": 20}
ENCODERS = {
    "face": {"name": "pixels", "version": 1, "weights_sha256": "", "width": 24, "rate_hz": 10.0},
    "speech": {"name": "logmel", "version": 1, "weights_sha256": "", "width": 20, "rate_hz": 16.7},
}
CLASSES = ("anger", "happiness", "neutral", "sadness")
WORDS = ("angry", "happy", "neutral", "sad")
PHRASES = ("you broke it again", "we won the match", "the bus is blue", "my dog is gone")


def clip(
    index: int, rng: np.random.Generator, *, widths=None, emotional: bool = True, **fields
) -> dict:
    """A features record of class index % 4: each frame is the class's pattern plus noise."""
    widths = widths or WIDTHS
    label = index % 4
    faces, rows = int(rng.integers(3, 20)), int(rng.integers(10, 40))
    pattern = np.random.default_rng(7).normal(size=(4, 64))
    frames = {
        name: (pattern[label, : widths[name]] + 0.3 * rng.normal(size=(n, widths[name])))
        for name, n in (("face", faces), ("speech", rows))
    }
    text = PHRASES[label] + (f" , i am {WORDS[label]} ." if emotional else "")
    words, starts, ends = record.even_words(text, rows * 0.06)
    extra = {}
    if "face_emotion" in widths:
        posterior = np.full((faces, widths["face_emotion"]), 0.1)
        posterior[:, label] = 1.0
        extra["face_emotion"] = (posterior / posterior.sum(1, keepdims=True)).astype(np.float16)
    values = {
        "id": f"clip{index}",
        "video_id": f"video{index // 4}",
        "speaker": f"speaker{index // 8}",
        "end_s": np.float32(rows * 0.06),
        "text": text,
        "words_text": words,
        "words_start_s": starts,
        "words_end_s": ends,
        "face_time_s": np.arange(faces, dtype=np.float32) / 10,
        "face_score": np.ones(faces, np.float32),
        "face": frames["face"].astype(np.float16),
        "speech": frames["speech"].astype(np.float16),
        "emotion": record.EMOTIONS.index(CLASSES[label]),
    }
    return record.make("features", widths, **(values | extra | fields))


def dataset(
    folder: Path,
    sizes: dict[str, int] | None = None,
    *,
    widths=None,
    metadata=None,
    first: int = 0,
    **fields,
) -> Path:
    """Writes a features dataset with `sizes` clips a split (default: train 48, validation 16).

    Clips are numbered from `first`.
    """
    rng = np.random.default_rng(0)
    sizes = sizes or {"train": 48, "validation": 16}
    splits = {}
    for split, size in sizes.items():
        splits[split] = [clip(i, rng, widths=widths, **fields) for i in range(first, first + size)]
        first += size
    base = {"encoders": ENCODERS, "normalisation": {}, "extract": {}}
    return features.write(folder, splits, metadata=base | (metadata or {}), widths=widths or WIDTHS)
