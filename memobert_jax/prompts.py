"""Prompts: a clip's text in a template with one [MASK], and the words that stand for the classes.

Everything is put together by id (MEmoBERT §6.3): the "[MASK]" of the template becomes the mask
piece, the same letters in a clip's text stay letters.
"""

import re
from typing import NamedTuple

import numpy as np
from absl import logging

from memobert_jax.config import PromptConfig
from memobert_jax.tokenizer import Tokenizer

TEXT, MASK = "{text}", "[MASK]"
_PLACES = re.compile(f"({re.escape(TEXT)}|{re.escape(MASK)})")
_ENDS = (".", "!", "?", "\u2026")
_CLOSING = "\"')]}\u201d\u2019\u00bb "


class Rendered(NamedTuple):
    """A prompt with a clip's text.

    ids: i32 [n], from [CLS] to [SEP]; groups: i32 [n], the word of the clip's text that a piece
    belongs to, -1 for the rest; mask: place of [MASK]; cut: pieces of the text left out.
    """

    ids: np.ndarray
    groups: np.ndarray
    mask: int
    cut: int


class Prompt:
    """A template and its label words, as pieces of one tokenizer.

    Attributes:
      config: template, classes and label words as they were given.
      label_ids: i32 [classes], the piece of each label word.

    Raises:
      ValueError: for a template without exactly one {text} and one [MASK], for a label word that
        is not one piece, for one word or class that is there twice.
    """

    def __init__(self, config: PromptConfig, tokenizer: Tokenizer):
        self.config = config
        self._tokenizer = tokenizer
        self._parts = _parts(config.template, tokenizer)
        self._stop = tokenizer.encode(".").ids
        for name in ("classes", "label_words"):
            values = getattr(config, name)
            if len(set(values)) < len(values):
                raise ValueError(f"prompt.{name} = {values}: one of them is there twice")
        ids = [tokenizer.label_id(word) for word in config.label_words]
        if len(set(ids)) < len(ids):
            raise ValueError(f"prompt.label_words = {config.label_words}: two are the same piece")
        self.label_ids = np.array(ids, np.int32)

    @property
    def fixed(self) -> int:
        """Pieces of a prompt without text, with [CLS] and [SEP]."""
        return 2 + sum(len(part) for part in self._parts if part is not None)

    def check_room(self, longest: int) -> None:
        """Raises ValueError if a prompt without text has more than `longest` pieces."""
        if self.fixed > longest:
            raise ValueError(
                f"template {self.config.template!r} has {self.fixed} pieces with [CLS] and [SEP], "
                f"but a clip may have {longest}: shorten it or raise max_text"
            )

    def render(self, text: str, longest: int) -> Rendered:
        """The prompt with a clip's text, or the template alone where `text` is empty.

        A text without end punctuation gets a full stop, as in the original. A text that is too
        long loses its end; the prompt stays whole.

        Args:
          text: of the clip.
          longest: most pieces of the result, with [CLS] and [SEP]; at least `fixed`.
        """
        tokens, (pieces, words, cut) = self._tokenizer, self._fit(text, longest - self.fixed)
        ids, groups = [[tokens.cls_id]], [[-1]]
        for part in self._parts:
            ids.append(pieces if part is None else part)
            groups.append(words if part is None else np.full(len(part), -1))
        ids = np.concatenate([*ids, [tokens.sep_id]]).astype(np.int32)
        groups = np.concatenate([*groups, [-1]]).astype(np.int32)
        return Rendered(ids, groups, int(np.flatnonzero(ids == tokens.mask_id)[0]), cut)

    def _fit(self, text: str, room: int) -> tuple[np.ndarray, np.ndarray, int]:
        """(at most `room` pieces of a text and its full stop, their words, pieces left out)."""
        pieces, words = self._tokenizer.encode(text)
        stop = self._stop[:0] if not len(pieces) or _ended(text) else self._stop
        kept = len(pieces)
        if kept + len(stop) > room:
            kept = max(room - len(self._stop), 0)
            stop = self._stop if kept else self._stop[:0]
        shown = np.concatenate([pieces[:kept], stop])
        words = np.concatenate([words[:kept], np.full(len(stop), -1)])
        return shown, words, len(pieces) - kept


def _ended(text: str) -> bool:
    return text.rstrip(_CLOSING).endswith(_ENDS)


def _parts(template: str, tokenizer: Tokenizer) -> list[np.ndarray | None]:
    """Pieces of each stretch of the template; None stands for the text."""
    stretches = _PLACES.split(template)
    for place in (TEXT, MASK):
        if stretches.count(place) != 1:
            raise ValueError(
                f"template {template!r} has {stretches.count(place)} {place}; expected one {TEXT} "
                f'and one {MASK}, as in "{{text}} i am [MASK] ."'
            )
    parts: list[np.ndarray | None] = []
    for stretch in stretches:
        if stretch == TEXT:
            parts.append(None)
        elif stretch == MASK:
            parts.append(np.array([tokenizer.mask_id], np.int32))
        else:
            if re.search(r"[{}]", stretch):
                raise ValueError(f"template {template!r}: the only placeholder is {TEXT}")
            parts.append(tokenizer.encode(stretch).ids)
            if (parts[-1] == tokenizer.unk_id).any():
                logging.warning("template %r has pieces that the tokenizer never saw", template)
    return parts
