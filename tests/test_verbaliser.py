"""Label words: which pieces stand for a class, and that no two classes can be confused."""

import numpy as np
import pytest
import runs

from memobert_jax import verbaliser
from memobert_jax.config import PromptConfig

CLASSES = ("anger", "sadness")


@pytest.fixture(scope="module")
def tokens():
    return runs.tokens()


def made(tokens, *words, classes=CLASSES):
    return verbaliser.make(PromptConfig(classes=classes, label_words=words), tokens)


def test_each_label_word_is_its_whole_piece(tokens):
    found = made(tokens, "angry", "sad")
    assert [tokens.encode(word).ids.tolist() for word in ("angry", "sad")] == [
        [i] for i in found.ids
    ]
    assert found.of.tolist() == [0, 1]


def test_a_class_is_as_probable_as_its_words_together(tokens):
    logits = np.random.default_rng(0).normal(size=(3, tokens.vocab_size)).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    found = made(tokens, "angry", "sad | neutral|happy")
    assert found.of.tolist() == [0, 1, 1, 1]
    words = p[:, found.ids]
    wanted = np.stack([words[:, 0], words[:, 1:].sum(-1)], -1)
    scored = verbaliser.log_probs(found, logits, against_others=False)
    np.testing.assert_allclose(np.exp(scored), wanted, rtol=1e-5)


def test_the_last_class_of_the_whole_vocabulary_is_its_likeliest_other_piece(tokens):
    logits = np.random.default_rng(1).normal(size=(4, tokens.vocab_size)).astype(np.float32)
    found = made(tokens, "angry", "sad|happy")
    logits[0, found.ids[2]] = 9.0
    scored = np.asarray(verbaliser.log_probs(found, logits, against_others=True))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    others = np.delete(p, found.ids, axis=1)
    np.testing.assert_allclose(np.exp(scored[:, -1]), others.max(-1), rtol=1e-5)
    assert scored[0].argmax() == 1


def test_the_first_piece_stands_for_a_word_of_several_and_is_said(tokens, caplog):
    word = next(w for w in ("won", "bus", "blue", "match") if len(tokens.encode(w).ids) > 1)
    found = made(tokens, "angry", word)
    assert found.ids[1] == tokens.encode(word).ids[0]
    assert f"label word '{word}'" in caplog.text


def test_two_words_of_one_class_may_begin_alike(tokens):
    assert len(made(tokens, "angry", "sad|Sad").ids) == 2


@pytest.mark.parametrize(
    ("classes", "words", "message"),
    [
        (CLASSES, ("angry", "x\u00e6"), "'x\u00e6' is not known to the tokenizer"),
        (CLASSES, ("angry", "sad|"), "label word '' is not known"),
        (CLASSES, ("sad", "sad"), "label_words = .* sad twice"),
        (CLASSES, ("happy|sad", "neutral | sad"), "sad twice"),
        (("anger", "anger"), ("angry", "sad"), "classes = .* twice"),
        (CLASSES, ("sad", "Sad"), "'sad' of anger and 'Sad' of sadness begin with the same piece"),
    ],
)
def test_label_words_that_cannot_be_told_apart_are_refused(tokens, classes, words, message):
    with pytest.raises(ValueError, match=message):
        made(tokens, *words, classes=classes)
