"""The sequences of one video -> the rows of its labelled segments.

`words`: everything is aligned to the word vectors, as in the SDK's recipe: a row of each modality
for each word, the mean of the frames in it; then all is cut along the segments, so that a word that
straddles a border is in both.
`frames`: face and speech are averaged in steps of this project's own lengths from the start of each
segment. A step without a face has no row, one without speech features a row of zeros.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from memobert_jax import record
from tfds_builders.cmu.align import Pieces, align, align_all, impute
from tfds_builders.cmu.csd import Sequence

TEXT, WORDS = "text_features", "words"
STEP_S = {"face": 1 / record.FACE_FPS, "speech": record.SPEECH_ROW_S}


@dataclasses.dataclass(frozen=True)
class Cut:
    """What was cut of a video.

    Attributes:
      pieces: sequence -> its rows, by segment.
      imputed: sequence -> rows of zeros, made up where it had none.
    """

    pieces: Mapping[str, Pieces]
    imputed: Mapping[str, int]


def by_words(sequences: Mapping[str, Sequence], segments: np.ndarray) -> Cut:
    """Rows by word.

    Args:
      sequences: `text_features`, `face`, `speech`, and `words` (texts).
      segments: f8 [n, 2] seconds.
    """
    reference = sequences[TEXT].intervals
    pieces, imputed = {}, {}
    for name, made in align_all(TEXT, sequences, collapse=True).items():
        whole, imputed[name] = impute(made, reference)
        pieces[name] = align(segments, whole.sequence())
    return Cut(pieces, imputed)


def by_frames(sequences: Mapping[str, Sequence], segments: np.ndarray) -> Cut:
    """Rows by step of STEP_S for face and speech, by word for the others; as `by_words`."""
    pieces = {name: align(segments, sequences[name]) for name in sequences if name not in STEP_S}
    imputed = {}
    for name, step in STEP_S.items():
        steps, segment = _steps(segments, step)
        made = align(steps, sequences[name], collapse=True)
        if name == "speech":
            made, imputed[name] = impute(made, steps)
        pieces[name] = Pieces(made.features, made.intervals, segment[made.reference])
    return Cut(pieces, imputed)


def _steps(segments: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """(f8 [steps, 2] seconds, i64 [steps] their segment); the last step of one may be shorter."""
    counts = np.ceil((segments[:, 1] - segments[:, 0]) / step - 1e-6).astype(int)
    segment = np.repeat(np.arange(len(segments)), counts)
    place = np.arange(len(segment)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = segments[segment, 0] + step * place
    ends = np.minimum(starts + step, segments[segment, 1])
    return np.stack([starts, ends], 1), segment
