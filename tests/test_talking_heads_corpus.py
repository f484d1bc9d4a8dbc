"""The plan of the talking heads: splits, speakers, sentences."""

import dataclasses
import re
from collections import Counter

import numpy as np
import pytest

from tfds_builders.talking_heads import corpus, sentences

DEFAULT = corpus.CorpusConfig()
EMOTION_WORDS = {word for words in sentences.WORDS.values() for word in words}


@pytest.fixture(scope="module")
def videos():
    return corpus.plan(DEFAULT)


def clips(videos, *splits):
    return [u for v in videos if v.split in splits for u in v.utterances]


def word_emotions(text: str) -> set[str]:
    """Emotions named by the words of a sentence, other senses left out."""
    if any(text.startswith(s.split("{")[0]) for s in sentences.OTHER_SENSES):
        return set()
    return {e for e, words in sentences.WORDS.items() if set(words) & set(text.split())}


def test_the_same_configuration_gives_the_same_plan(videos):
    assert corpus.plan(DEFAULT) == videos
    assert corpus.plan(dataclasses.replace(DEFAULT, seed=1)) != videos


def test_splits_have_the_promised_sizes_and_speakers(videos):
    assert {s: len(clips(videos, s)) for s in corpus.SPLITS} == {
        "unlabelled": 600, "unlabelled_validation": 60, "train": 64, "validation": 64, "test": 200,
    }  # fmt: skip
    speakers = {s: {v.speaker.name for v in videos if v.split == s} for s in corpus.SPLITS}
    assert len(speakers["unlabelled"]) >= 12
    assert sum(len(speakers[s]) for s in ("train", "validation", "test")) >= 8
    assert len(set.union(*speakers.values())) == sum(len(names) for names in speakers.values())


def test_no_two_videos_share_a_file(videos):
    paths = [v.path for v in videos]
    assert len(set(paths)) == len(paths)
    assert all(
        p.startswith("labelled/") == corpus.labelled(v.split)
        for p, v in zip(paths, videos, strict=True)
    )


@pytest.mark.parametrize("emotions", ["four", "seven"])
def test_labelled_splits_are_balanced(emotions):
    cfg = corpus.CorpusConfig(emotions=emotions, scale=0.4)
    planned = corpus.plan(cfg)
    for split in ("train", "validation", "test"):
        counts = Counter(c.emotion for c in clips(planned, split))
        assert set(counts) == set(corpus.classes(cfg))
        assert len(set(counts.values())) == 1


def test_a_small_scale_keeps_every_split():
    planned = corpus.plan(corpus.CorpusConfig(scale=0.05))
    assert Counter(v.split for v in planned) == {
        "unlabelled": 2, "unlabelled_validation": 1, "train": 1, "validation": 1, "test": 1,
    }  # fmt: skip


def test_labelled_sentences_name_no_emotion(videos):
    for clip in clips(videos, "train", "validation", "test"):
        assert not EMOTION_WORDS & set(clip.text.split()), clip.text


def test_emotion_words_name_the_true_emotion(videos):
    named = [(c, word_emotions(c.text)) for c in clips(videos, "unlabelled")]
    assert sum(bool(emotions) for _, emotions in named) > 0.8 * len(named)
    for clip, emotions in named:
        assert emotions <= {clip.emotion}, clip.text


def test_emotion_words_can_agree_with_the_context_phrase_instead():
    planned = corpus.plan(dataclasses.replace(DEFAULT, word="text"))
    for clip in clips(planned, "unlabelled"):
        if clip.shown["text"]:
            assert word_emotions(clip.text) <= {clip.shown["text"]}, clip.text


def test_a_sentence_without_a_context_phrase_shows_no_emotion_by_one(videos):
    phrases = "|".join(phrase for phrases in sentences.CONTEXTS.values() for phrase in phrases)
    context = re.compile(phrases.replace("{", "(?:").replace("}", ")"))
    for clip in clips(videos, "unlabelled"):
        assert bool(clip.shown["text"]) == bool(context.search(clip.text)), clip.text


def test_unlabelled_sentences_often_have_the_form_of_the_prompt(videos):
    texts = [c.text for c in clips(videos, "unlabelled")]
    for word in ("angry", "happy", "neutral", "sad"):
        assert sum(t.endswith(f" i am {word} .") for t in texts) >= 20
    assert sum(" feel " in t for t in texts) >= 20


def test_contexts_are_varied():
    for phrases in sentences.CONTEXTS.values():
        assert len(phrases) >= 12


def test_context_phrases_alone_reveal_what_the_text_shows(videos):
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    seen = [c for c in clips(videos, "unlabelled") if c.shown["text"]]
    test = clips(videos, "test")
    model = make_pipeline(CountVectorizer(), LogisticRegression(C=10, max_iter=1000))
    model.fit([c.text for c in seen], [c.shown["text"] for c in seen])
    assert model.score([c.text for c in test], [c.shown["text"] for c in test]) >= 0.95


def test_modalities_show_the_truth_as_often_as_configured():
    cfg = corpus.CorpusConfig(unlabelled=4000, p_text=0.3, p_face=1.0, p_speech=0.55)
    seen = [c for c in clips(corpus.plan(cfg), "unlabelled") if c.shown["text"]]
    share = {m: np.mean([c.shown[m] == c.emotion for c in seen]) for m in seen[0].shown}
    assert share == pytest.approx({"text": 0.3, "face": 1.0, "speech": 0.55}, abs=0.04)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("we won the match", "we won the match."),
        ("we won the match .", "we won the match."),
        ("we won the match . i am happy .", "we won the match, i am happy."),
    ],
)
def test_stops_are_spoken_as_pauses(text, spoken):
    assert sentences.spoken(text) == spoken
