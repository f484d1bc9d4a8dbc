"""Templates of prompts: a clip's text, and words around one [MASK].

Everything is put together by id (MEmoBERT §6.3): the "[MASK]" of the template becomes the mask
piece, the same letters in a clip's text stay letters. The place of {text} decides whether the
prompt is its suffix ("{text} i am [MASK] .", as in the paper) or its prefix ("i am [MASK] .
{text}"); without {text} the words of a clip are never shown.
"""

import re
from typing import NamedTuple

import numpy as np
from absl import logging

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


class Template:
    """A template as pieces of one tokenizer.

    Attributes:
      text: as it was given.
      has_text: whether it has a place for the text of a clip.

    Raises:
      ValueError: for a template without exactly one [MASK], with more than one {text}, or with
        another placeholder.
    """

    def __init__(self, text: str, tokenizer: Tokenizer):
        self.text = text
        self._tokenizer = tokenizer
        self._parts = _parts(text, tokenizer)
        self.has_text = any(part is None for part in self._parts)
        self._stop = tokenizer.encode(".").ids

    @property
    def fixed(self) -> int:
        """Pieces of a prompt without text, with [CLS] and [SEP]."""
        return 2 + sum(len(part) for part in self._parts if part is not None)

    def check_room(self, longest: int) -> None:
        """Raises ValueError if a prompt without text has more than `longest` pieces."""
        if self.fixed > longest:
            raise ValueError(
                f"template {self.text!r} has {self.fixed} pieces with [CLS] and [SEP], "
                f"but a clip may have {longest}: shorten it or raise max_text"
            )

    def render(self, text: str, longest: int) -> Rendered:
        """The prompt with a clip's text, or the template alone where there is none to show.

        A text without end punctuation gets a full stop, as in the original. A text that is too
        long loses its end; the prompt stays whole.

        Args:
          text: of the clip.
          longest: most pieces of the result, with [CLS] and [SEP]; at least `fixed`.
        """
        tokens, shown = self._tokenizer, text if self.has_text else ""
        pieces, words, cut = self._fit(shown, longest - self.fixed)
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
    masks, texts = stretches.count(MASK), stretches.count(TEXT)
    if masks != 1 or texts > 1:
        raise ValueError(
            f"template {template!r} has {masks} {MASK} and {texts} {TEXT}; expected one {MASK} and "
            f'one {TEXT} or none, as in "{{text}} i am [MASK] ."'
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
