"""The protocols that have a name, and where each comes from.

Where the published protocol has no validation part, one is taken from its training groups by the
rule that stands here, never from test. Nothing here looks at labels or features.
"""

import difflib
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from memobert_jax import folds
from memobert_jax.config import SENTIMENTS
from memobert_jax.folds import Definition, Fold, Reference

Column = Callable[[str], np.ndarray]

_FOUR = ("anger", "happiness", "neutral", "sadness")
_SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
_SPLITS = {part: (part,) for part in folds.PARTS}


def _official(column: Column) -> list[Fold]:
    return [_SPLITS]


def _pairs(column: Column) -> list[Fold]:
    """A fold a speaker: the speaker tests, the other of the session validates, the rest trains."""
    speakers = {
        session: sorted(set(column("speaker")[column("session") == session].tolist()))
        for session in sorted(set(column("session").tolist()))
    }
    odd = {session: found for session, found in speakers.items() if len(found) != 2 or not session}
    if odd:
        raise ValueError(f"expected two speakers in each session; the dataset has {odd}")
    return [
        {
            "train": tuple(s for other in speakers if other != session for s in speakers[other]),
            "validation": tuple(s for s in pair if s != test),
            "test": (test,),
        }
        for session, pair in speakers.items()
        for test in pair
    ]


def _in_turn(groups: Sequence[Sequence[str]]) -> list[Fold]:
    """A fold a group: the group tests, the next one validates, the rest trains."""
    count = len(groups)
    return [
        {
            "train": tuple(itertools.chain(*(groups[(i + k) % count] for k in range(2, count)))),
            "validation": tuple(groups[(i + 1) % count]),
            "test": tuple(groups[i]),
        }
        for i in range(count)
    ]


def _sessions(column: Column) -> list[Fold]:
    return _in_turn([(session,) for session in sorted(set(column("session").tolist()))])


_SVM = "plain baseline on these folds"
_RAVDESS = (
    (2, 5, 14, 15, 16),
    (3, 6, 7, 13, 18),
    (10, 11, 12, 19, 20),
    (8, 17, 21, 23, 24),
    (1, 4, 9, 22),
)
"""Test actors of Luna-Jimenez et al. 2021."""


def _ravdess(column: Column) -> list[Fold]:
    return _in_turn([[f"{actor:02d}" for actor in group] for group in _RAVDESS])


_RAVDESS_FIGURES = (
    ("RBF-SVM, clip-mean action units + MFCC", _SVM, "FS", 0.674),
    ("RBF-SVM, MFCC statistics", _SVM, "S", 0.468),
    ("RBF-SVM, clip-mean action units", _SVM, "F", 0.562),
    ("fine-tuned xlsr-wav2vec2 + action units over time", "Luna-Jimenez et al. 2021", "FS", 0.8008),
)
_GOEMOTIONS_FIGURES = (
    ("fine-tuned BERT-base", "Demszky et al. 2020", 28, 0.46),
    ("fine-tuned BERT-base", "monologg/GoEmotions-pytorch", 28, 0.503),
    ("fine-tuned BERT-base", "monologg/GoEmotions-pytorch", 7, 0.624),
)


def _crema_d(column: Column) -> list[Fold]:
    return _in_turn([[str(actor) for actor in range(1001 + i, 1092, 5)] for i in range(5)])


PUBLISHED = {
    definition.name: definition
    for definition in (
        Definition(
            name="iemocap_4_10fold",
            version=1,
            by="speaker",
            folds=_pairs,
            disjoint=("speaker",),
            unseen=("session", "dialogue", "video_id"),
            dataset="iemocap",
            dataset_version="1",
            targets=("emotion",),
            classes=_FOUR,
            closed=True,
            rule="each session held out, one of its speakers validates and the other tests "
            "(MEmoBERT §6.1); each speaker tests once",
        ),
        Definition(
            name="iemocap_4_5fold_session",
            version=1,
            by="session",
            folds=_sessions,
            disjoint=("speaker", "session", "dialogue", "video_id"),
            dataset="iemocap",
            dataset_version="1",
            targets=("emotion",),
            classes=_FOUR,
            closed=True,
            rule="each session tests once; the next one validates, after the last the first",
        ),
        Definition(
            name="msp_improv_12fold",
            version=1,
            by="speaker",
            folds=_pairs,
            disjoint=("speaker",),
            unseen=("session", "dialogue", "video_id"),
            dataset="msp_improv",
            dataset_version="1",
            targets=("emotion",),
            classes=_FOUR,
            needs=("face",),
            ids=r"^MSP-IMPROV-[^-]*-[^-]*-S-",
            rule="each pair held out, one of its speakers validates and the other tests; clips "
            "of the letter S that have a face (MEmoBERT §6.1)",
        ),
        Definition(
            name="meld_official",
            version=1,
            by="split",
            folds=_official,
            disjoint=("dialogue", "video_id"),
            dataset="meld",
            dataset_version="1",
            targets=("emotion",),
            classes=("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
            rule="the official splits; the characters of the series are in all of them",
        ),
        Definition(
            name="cmu_mosei_official",
            version=1,
            by="split",
            folds=_official,
            disjoint=("video_id",),
            dataset="cmu_mosei",
            dataset_version="1",
            targets=("emotions", *SENTIMENTS, "sentiment"),
            classes=_SIX,
            rule="the standard folds of the CMU-MultimodalSDK, or those of the processed files",
        ),
        Definition(
            name="ravdess_5fold_actor",
            version=1,
            by="speaker",
            folds=_ravdess,
            disjoint=("speaker",),
            dataset="ravdess",
            dataset_version="1",
            targets=("emotion",),
            classes=(
                *("anger", "calm", "disgust", "fear"),
                *("happiness", "neutral", "sadness", "surprise"),
            ),
            rule="the actors of Luna-Jimenez et al. 2021 test; those of the next fold, which train "
            "there, validate",
            references=tuple(
                Reference(name, source, "accuracy", subset, value, "emotion", 8)
                for name, source, subset, value in _RAVDESS_FIGURES
            ),
        ),
        Definition(
            name="crema_d_5fold_actor",
            version=1,
            by="speaker",
            folds=_crema_d,
            disjoint=("speaker",),
            dataset="crema_d",
            dataset_version="1",
            targets=("emotion",),
            classes=("anger", "disgust", "fear", "happiness", "neutral", "sadness"),
            rule="actors 1001 to 1091, every fifth one tests; those of the next fold validate. The "
            "corpus has no folds of its own",
        ),
        Definition(
            name="goemotions_official",
            version=1,
            by="split",
            folds=_official,
            disjoint=(),
            dataset="goemotions",
            dataset_version="1",
            targets=("emotion", "emotions", "labels"),
            rule="the official splits (Demszky et al. 2020), which are random: the writers of the "
            "comments are not told",
            references=tuple(
                Reference(name, source, "f1_binary", "T", value, "labels", classes)
                for name, source, classes, value in _GOEMOTIONS_FIGURES
            ),
        ),
    )
}


def find(name: str) -> Definition:
    """A published protocol by its name, or a user's own by the path of its file.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: for an unknown name, with the nearest one, or a file that is none.
    """
    if name in PUBLISHED:
        return PUBLISHED[name]
    if not name.endswith(".json"):
        known = ("by_split", *PUBLISHED)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"there is no protocol {name!r}; {hint}Choose from {', '.join(known)}, or give a .json "
            "file"
        )
    found = folds.from_file(name)
    if found.name in (*PUBLISHED, "by_split"):
        raise ValueError(f"{name}: the name {found.name!r} is taken: give it another")
    return found
