"""The plan of the talking-heads corpus: speakers, videos, utterances, and what each modality shows.

A clip has a true emotion. Its context phrase, face and voice show it independently of each other,
each with its own probability, and otherwise an emotion drawn from the rest. An unlabelled sentence
may also name an emotion, by default the true one, with or without a context phrase. Everything is
a pure function of the configuration: nothing here draws or speaks.
"""

import dataclasses
import math

import numpy as np

from memobert_jax.config import NOT_NEGATIVE, POSITIVE, SHARE, Check, field, one_of
from tfds_builders.talking_heads import sentences

AFFECT = {
    "anger": (-0.5, 0.85),
    "disgust": (-0.75, -0.15),
    "fear": (-0.95, 0.45),
    "happiness": (0.95, 0.15),
    "neutral": (0.0, 0.0),
    "sadness": (-0.7, -0.85),
    "surprise": (0.6, 0.95),
}
"""Valence and arousal of each emotion, -1 to 1. Face and voice depend on an emotion through these
two numbers alone, and linearly, so the look and sound of an unseen emotion follow from the rest."""

EMOTIONS = {
    "four": ("anger", "happiness", "neutral", "sadness"),
    "seven": tuple(AFFECT),
}

SPLITS = ("unlabelled", "unlabelled_validation", "train", "validation", "test")

_NAMES = {
    "female": (
        "ada", "alma", "beth", "clara", "dora", "edith", "emma", "flora", "greta", "hanna",
        "ida", "june", "kate", "lena", "maya", "nora", "olga", "petra", "rosa", "tina",
    ),
    "male": (
        "adam", "bruno", "carl", "david", "emil", "felix", "george", "hugo", "ivan", "jonas",
        "karim", "leo", "marc", "noah", "oscar", "paul", "ravi", "simon", "tom", "victor",
    ),
}  # fmt: skip


_EVEN = Check("an even number of at least 64", lambda v: v >= 64 and v % 2 == 0)


@dataclasses.dataclass(frozen=True)
class CorpusConfig:
    """A rendered corpus. The same values give the same files."""

    seed: int = field(0, "seed of speakers, emotions, sentences and motion", NOT_NEGATIVE)
    emotions: str = field("four", "four emotions, or seven", one_of("four", "seven"))
    scale: float = field(1.0, "factor on the number of clips of every split", POSITIVE)
    unlabelled: int = field(600, "clips without labels", POSITIVE, "clips")
    unlabelled_validation: int = field(60, "clips without labels, held out", POSITIVE, "clips")
    train: int = field(64, "labelled clips to fit on", POSITIVE, "clips")
    validation: int = field(64, "labelled clips to select on", POSITIVE, "clips")
    test: int = field(200, "labelled clips to score", POSITIVE, "clips")
    clips_per_video: int = field(20, "most utterances of a video", POSITIVE, "clips")
    p_text: float = field(0.7, "probability that the context phrase shows the true emotion", SHARE)
    p_face: float = field(0.8, "probability that the face shows the true emotion", SHARE)
    p_speech: float = field(0.8, "probability that the voice shows the true emotion", SHARE)
    word: str = field(
        "true",
        "which emotion the emotion word of an unlabelled sentence names: the true one (true), or "
        "the one that its context phrase shows (text)",
        one_of("true", "text"),
    )
    size: int = field(256, "width and height of the picture", _EVEN, "px")
    fps: int = field(20, "frames per second", POSITIVE)


@dataclasses.dataclass(frozen=True)
class Speaker:
    """A person. `seed` fixes the look, the voice and the habits."""

    name: str
    gender: str
    seed: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Planned:
    """One utterance before it has a place in time.

    `shown` is keyed by modality; '' where a sentence has no context phrase.
    """

    text: str
    emotion: str
    shown: dict[str, str]
    pause_s: float


@dataclasses.dataclass(frozen=True)
class Video:
    """One video of one speaker. `path` is relative to the corpus."""

    path: str
    split: str
    speaker: Speaker
    utterances: tuple[Planned, ...]
    seed: tuple[int, ...]


def classes(cfg: CorpusConfig) -> tuple[str, ...]:
    """The emotions of a corpus, in canonical order."""
    return EMOTIONS[cfg.emotions]


def clips_of(cfg: CorpusConfig, split: str) -> int:
    """Clips of a split: scaled, and of equal number for each class where they are labelled."""
    wanted = max(1, round(getattr(cfg, split) * cfg.scale))
    if not labelled(split):
        return wanted
    return math.ceil(wanted / len(classes(cfg))) * len(classes(cfg))


def labelled(split: str) -> bool:
    return not split.startswith("unlabelled")


def plan(cfg: CorpusConfig) -> list[Video]:
    """Every video of the corpus, split by split.

    No speaker is in two splits. A labelled speaker has one video, an unlabelled one up to two.
    """
    videos: list[Video] = []
    speakers = 0
    for split_id, split in enumerate(SPLITS):
        rng = np.random.default_rng((cfg.seed, split_id))
        clips = _clips(cfg, split, rng)
        count = math.ceil(len(clips) / cfg.clips_per_video)
        per_speaker = 1 if labelled(split) else 2
        folder = "labelled" if labelled(split) else "unlabelled"
        for i, part in enumerate(np.array_split(np.arange(len(clips)), count)):
            speaker = _speaker(cfg.seed, speakers + i // per_speaker)
            videos.append(
                Video(
                    path=f"{folder}/{speaker.name}_{i % per_speaker + 1}.mp4",
                    split=split,
                    speaker=speaker,
                    utterances=tuple(clips[j] for j in part),
                    seed=(cfg.seed, split_id, i),
                )
            )
        speakers += math.ceil(count / per_speaker)
    return videos


def _clips(cfg: CorpusConfig, split: str, rng: np.random.Generator) -> list[Planned]:
    count = clips_of(cfg, split)
    names = classes(cfg)
    truths = rng.permutation(np.resize(np.arange(len(names)), count))
    return [_clip(cfg, split, names[truth], rng) for truth in truths]


def _clip(cfg: CorpusConfig, split: str, emotion: str, rng: np.random.Generator) -> Planned:
    others = [name for name in classes(cfg) if name != emotion]
    shown = {
        modality: emotion if rng.random() < p else str(rng.choice(others))
        for modality, p in (("text", cfg.p_text), ("face", cfg.p_face), ("speech", cfg.p_speech))
    }
    if labelled(split):
        text = sentences.labelled_sentence(rng, shown["text"])
    else:
        word_emotion = shown["text"] if cfg.word == "text" else emotion
        text, has_context = sentences.unlabelled_sentence(rng, shown["text"], word_emotion)
        if not has_context:
            shown["text"] = ""
    return Planned(text, emotion, shown, pause_s=float(rng.uniform(0.26, 0.42)))


def _speaker(seed: int, number: int) -> Speaker:
    gender = ("female", "male")[number % 2]
    turn, place = divmod(number // 2, len(_NAMES[gender]))
    name = _NAMES[gender][place] + (f"_{turn + 1}" if turn else "")
    return Speaker(name, gender, (seed, number))
