"""Small labelled features datasets with groups, for the tests of protocols."""

from pathlib import Path

import numpy as np
import samples

from memobert_jax import features, record
from memobert_jax.corpus import Corpus

NO_TIMES = np.zeros(0, np.float32)
NO_FACE = {
    "face": np.zeros((0, samples.WIDTHS["face"]), np.float16),
    "face_time_s": NO_TIMES,
    "face_score": NO_TIMES,
}
NOTHING = NO_FACE | {
    "speech": np.zeros((0, samples.WIDTHS["speech"]), np.float16),
    "text": "",
    "words_text": [],
    "words_start_s": NO_TIMES,
    "words_end_s": NO_TIMES,
}
"""Fields of a clip without faces, and of one without any modality."""


def write(folder: Path, *, name: str = "corpus", metadata=None, **splits) -> Path:
    """A dataset of splits, each a list of (clip number, fields)."""
    rng = np.random.default_rng(0)
    made = {
        split: [samples.clip(number, rng, **fields) for number, fields in clips]
        for split, clips in splits.items()
    }
    base = {"encoders": samples.ENCODERS, "normalisation": {}, "extract": {}}
    return features.write(
        folder, made, widths=samples.WIDTHS, name=name, metadata=base | (metadata or {})
    )


def corpus(folder: Path, *, name: str = "corpus", metadata=None, **splits) -> Corpus:
    return Corpus(write(folder, name=name, metadata=metadata, **splits))


def plain(first: int, count: int, **fields) -> list:
    return [(number, fields) for number in range(first, first + count)]


def acted(speakers, classes, **fields) -> list:
    """A clip of each class for each speaker; `fields` may be functions of the speaker."""
    clips = []
    for number, (speaker, emotion) in enumerate((s, e) for s in speakers for e in classes):
        given = {k: v(speaker) if callable(v) else v for k, v in fields.items()}
        given |= {"speaker": speaker, "emotion": record.EMOTIONS.index(emotion)}
        clips.append((number, {"video_id": f"{speaker}_{emotion}"} | given))
    return clips


def iemocap(classes) -> list:
    """Five sessions, a woman and a man in each, one dialogue a session."""
    speakers = [f"Ses0{session}{gender}" for session in range(1, 6) for gender in "FM"]
    return acted(
        speakers,
        classes,
        session=lambda s: s[:5],
        dialogue=lambda s: f"{s[:5]}_impro01",
        video_id=lambda s: f"{s[:5]}_impro01.avi",
    )
