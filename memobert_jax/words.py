"""Words and punctuation marks of a text, and its pieces grouped by them."""

import re
from typing import NamedTuple

import numpy as np

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""Pieces that stand for no text. No text gives one but [UNK]: words are cut at brackets."""

CUTTING = 2
"""Changes when the same tokenizer cuts a text otherwise; cached token lengths are keyed by it."""

WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")
"""One word or punctuation mark; an apostrophe inside a word stays in it."""


def split_words(text: str) -> list[str]:
    """Lower-cased words and punctuation marks."""
    return WORD.findall(text.lower())


class Encoded(NamedTuple):
    """ids: i32 [n] pieces; groups: i32 [n], the word of each piece, from 0 without gaps."""

    ids: np.ndarray
    groups: np.ndarray
