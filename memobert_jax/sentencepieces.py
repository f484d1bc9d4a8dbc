"""SentencePiece: word pieces trained on the corpus, with label words as pieces of their own.

A label word has a control symbol that no text produces, and only the whole word stands for it:
"sad" is `[sad]`, "sadness" is ordinary pieces.
"""

import functools
import io
from collections.abc import Iterable, Sequence

import numpy as np

from memobert_jax.words import SPECIAL, Encoded, split_words

PAD_ID, UNK_ID, CLS_ID, SEP_ID, MASK_ID = range(len(SPECIAL))
_SPACE = "\u2581"
"""What a piece that begins a word starts with."""
_WORDS_KEPT = 1 << 16
"""Words whose pieces are remembered."""


class SentencePieces:
    """A SentencePiece model.

    Attributes:
      model: its bytes.
      special: ids of SPECIAL.
      size: number of pieces.
      random_ids: half-open range of ordinary pieces.

    Raises:
      ValueError: if the bytes are no such model, or one trained by another program.
    """

    kind = "SentencePiece"
    special = (PAD_ID, UNK_ID, CLS_ID, SEP_ID, MASK_ID)

    def __init__(self, model: bytes):
        import sentencepiece

        self.model = model
        self._pieces = sentencepiece.SentencePieceProcessor()
        try:
            self._pieces.LoadFromSerializedProto(model)
        except RuntimeError as error:
            raise ValueError(
                f"these {len(model)} bytes are no SentencePiece model, or a damaged one: {error}"
            ) from error
        names = tuple(self._pieces.id_to_piece(i) for i in range(len(SPECIAL)))
        if names != SPECIAL:
            raise ValueError(
                f"the first pieces of the SentencePiece model are {names}; expected {SPECIAL}: "
                "train it with `python -m memobert_jax.tokenizer`"
            )
        self.size = self._pieces.get_piece_size()
        self.random_ids = len(SPECIAL), self.size
        controls = [i for i in range(len(SPECIAL), self.size) if self._pieces.is_control(i)]
        self._labels = {self._pieces.id_to_piece(i)[1:-1]: i for i in controls}
        self._texts = {i: _SPACE + word for word, i in self._labels.items()}
        self._texts |= {i: "" for i in self.special if i != UNK_ID}
        self._word = functools.lru_cache(_WORDS_KEPT)(self._cut)

    def encode(self, text: str) -> Encoded:
        """Pieces of a text, word by word."""
        ids: list[int] = []
        groups: list[int] = []
        word_number = 0
        for word in split_words(text):
            pieces = self._word(word)
            ids += pieces
            groups += [word_number] * len(pieces)
            word_number += len(pieces) > 0  # a zero-width space has none
        return Encoded(np.array(ids, np.int32), np.array(groups, np.int32))

    def _cut(self, word: str) -> list[int]:
        return [self._labels[word]] if word in self._labels else self._pieces.encode(word)

    def name(self, piece: int) -> str:
        return self._pieces.id_to_piece(piece)

    def decode(self, ids: Sequence[int]) -> str:
        pieces = (self._texts[i] if i in self._texts else self.name(i) for i in ids)
        return "".join(pieces).replace(_SPACE, " ").strip()


def train(texts: Iterable[str], vocab_size: int, label_words: Sequence[str]) -> bytes:
    """A unigram model of texts; a small corpus gives fewer pieces than asked.

    Raises:
      ValueError: if there is no text, if the vocabulary is too small for its characters, or for a
        label word that is not one word.
    """
    import sentencepiece

    lines = [split_words(text) for text in texts]
    if not any(lines):
        raise ValueError("no text to train a tokenizer on: every clip's text is empty")
    labels = [_label(word) for word in dict.fromkeys(label_words)]
    # Label words are never cut into pieces, so the pieces need not know them.
    lines = [" ".join(word for word in line if word not in labels) for line in lines]
    out = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([line for line in lines if line]),
            model_writer=out,
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            model_type="unigram",
            normalization_rule_name="nmt_nfkc_cf",
            num_threads=1,
            minloglevel=2,
            pad_id=PAD_ID,
            unk_id=UNK_ID,
            bos_id=CLS_ID,
            eos_id=SEP_ID,
            pad_piece=SPECIAL[PAD_ID],
            unk_piece=SPECIAL[UNK_ID],
            bos_piece=SPECIAL[CLS_ID],
            eos_piece=SPECIAL[SEP_ID],
            control_symbols=[SPECIAL[MASK_ID], *(f"[{word}]" for word in labels)],
        )
    except RuntimeError as error:
        raise ValueError(
            f"SentencePiece could not train {vocab_size} pieces on {len(lines)} texts: {error}"
        ) from error
    return out.getvalue()


def _label(word: str) -> str:
    words = split_words(word)
    if len(words) != 1:
        raise ValueError(f"label word {word!r} is {len(words)} words {words}; expected one word")
    return words[0]
