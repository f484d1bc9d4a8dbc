"""A features dataset of random clips with the paper's lengths and widths, to measure speed on."""

from pathlib import Path

import numpy as np

from memobert_jax import features, record, tokenizer

WIDTHS = {"face": 342, "face_emotion": 8, "speech": 768}
"""Columns of DenseFace and wav2vec 2.0 features (MEmoBERT §1.3)."""
VOCABULARY = 30_522
"""Word pieces of BERT: the size of the paper's table. The words written here are fewer."""

_SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru")
_WORDS = tuple(a + b + c for a in _SYLLABLES for b in _SYLLABLES for c in _SYLLABLES[:2])


def lengths(count: int, seed: int = 0) -> np.ndarray:
    """i32 [count, 3] words, face frames and speech rows of clips of 2.2 s (median, lognormal).

    At least 1 s; 3.4 words and 10 frames a second with gaps, 16.7 rows a second, cut to 30, 36, 64.
    """
    rng = np.random.default_rng(seed)
    seconds = np.maximum(rng.lognormal(np.log(2.2), 0.6, count), 1.0)
    words = np.rint(seconds * 3.4 + rng.normal(0, 2, count)).clip(2, 30)
    face = np.rint(seconds * 10 * rng.uniform(0.5, 1, count)).clip(3, 36)
    speech = np.rint(seconds * 16.67).clip(10, 64)
    return np.stack([words, face, speech], 1).astype(np.int32)


def _clip(index: int, sizes: np.ndarray, rng: np.random.Generator) -> dict:
    words, faces, rows = sizes.tolist()
    text = " ".join(rng.choice(_WORDS, words))
    spoken, starts, ends = record.even_words(text, rows * record.SPEECH_ROW_S)
    posterior = rng.random((faces, WIDTHS["face_emotion"]), np.float32)
    values = {
        "id": f"clip{index}",
        "video_id": f"video{index // 100}",
        "end_s": np.float32(rows * record.SPEECH_ROW_S),
        "text": text,
        "words/text": spoken,
        "words/start_s": starts,
        "words/end_s": ends,
        "face_time_s": np.arange(faces, dtype=np.float32) / record.FACE_FPS,
        "face_score": np.ones(faces, np.float32),
        "face": rng.standard_normal((faces, WIDTHS["face"]), np.float32).astype(np.float16),
        "face_emotion": (posterior / posterior.sum(1, keepdims=True)).astype(np.float16),
        "speech": rng.standard_normal((rows, WIDTHS["speech"]), np.float32).astype(np.float16),
    }
    return record.blank("features", WIDTHS) | values


def clips(count: int, seed: int = 0) -> list[dict]:
    """Flat features-records, about 75 KB each."""
    rng = np.random.default_rng([seed, 1])
    return [_clip(i, sizes, rng) for i, sizes in enumerate(lengths(count, seed))]


def words() -> tokenizer.Tokenizer:
    """A tokenizer of one piece for each word of the clips."""
    # The training wants other text too.
    return tokenizer.train(["other text", *_WORDS], 500, label_words=_WORDS)


def write(folder: str | Path, count: int, seed: int = 0) -> tuple[Path, Path]:
    """Writes `clips` as split `train` of a dataset, and the tokenizer.

    Returns:
      (features dataset folder, tokenizer file).
    """
    tokenizer.save(words(), Path(folder) / "words.model")
    items = {"train": clips(count, seed)}
    written = features.write(Path(folder) / "features", items, widths=WIDTHS)
    return written, Path(folder) / "words.model"
