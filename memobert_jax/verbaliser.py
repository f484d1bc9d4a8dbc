"""Label words: which pieces of the vocabulary stand for which class, and how they are scored.

A class may have several words, 'happy|glad': it is as probable as they are together. A word that
the tokenizer cuts into several pieces is stood for by the first of them, the probability that the
word at [MASK] begins so; therefore no two classes may share one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from memobert_jax.config import PromptConfig
from memobert_jax.tokenizer import Tokenizer

SYNONYMS = "|"
"""What stands between the words of a class."""

OTHER = "another word"
"""What the last class is called where classes are scored against the whole vocabulary."""

_NOTHING = -1e30
"""Stands for the logarithm of 0."""


class Verbaliser(NamedTuple):
    """ids: i32 [pieces]; of: i32 [pieces], the class of each; classes: how many there are."""

    ids: np.ndarray
    of: np.ndarray
    classes: int


def make(cfg: PromptConfig, tokenizer: Tokenizer) -> Verbaliser:
    """The pieces of the label words of a prompt.

    Raises:
      ValueError: for a word that the tokenizer does not know, for a word or class that is there
        twice, and for words of two classes that begin with the same piece.
    """
    if len(set(cfg.classes)) < len(cfg.classes):
        raise ValueError(f"prompt.classes = {cfg.classes}: one of them is there twice")
    words = [(word.strip(), c) for c, several in enumerate(cfg.label_words)
             for word in several.split(SYNONYMS)]  # fmt: skip
    given = [word for word, _ in words]
    if twice := sorted({word for word in given if given.count(word) > 1}):
        raise ValueError(f"prompt.label_words = {cfg.label_words}: {', '.join(twice)} twice")
    found: dict[int, tuple[str, int]] = {}
    for word, c in words:
        piece = tokenizer.label_id(word)
        if len(pieces := tokenizer.encode(word).ids) > 1:
            names = [tokenizer.pieces.name(int(i)) for i in pieces]
            logging.warning("label word %r is %s: its first piece stands for it", word, names)
        other, at = found.setdefault(piece, (word, c))
        if at != c:
            raise ValueError(
                f"prompt.label_words: {other!r} of {cfg.classes[at]} and {word!r} of "
                f"{cfg.classes[c]} begin with the same piece {tokenizer.pieces.name(piece)!r}, "
                "which stands for both: choose another word, or train the tokenizer with them "
                "among --label_words"
            )
    ids, of = np.array(list(found)), np.array([c for _, c in found.values()])
    return Verbaliser(ids.astype(np.int32), of.astype(np.int32), len(cfg.classes))


def log_probs(verbaliser: Verbaliser, logits: jax.Array, *, against_others: bool) -> jax.Array:
    """Log-probabilities of the classes in the whole vocabulary.

    Args:
      verbaliser: the label words.
      logits: f32 [..., vocabulary], at [MASK].
      against_others: add a class, the last: the most probable of all pieces that stand for none.

    Returns:
      f32 [..., classes]; they sum to less than 1.
    """
    logits = jax.nn.log_softmax(logits)
    member = verbaliser.of == np.arange(verbaliser.classes)[:, None]
    words = jnp.where(member, logits[..., None, verbaliser.ids], _NOTHING)
    classes = jax.nn.logsumexp(words, axis=-1)
    if not against_others:
        return classes
    others = logits.at[..., verbaliser.ids].set(_NOTHING).max(-1, keepdims=True)
    return jnp.concatenate([classes, others], axis=-1)
