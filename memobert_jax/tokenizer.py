"""SentencePiece word pieces, grouped by word, behind a small interface.

Special tokens exist by id only: no text can produce them ("[MASK]" in a subtitle is four ordinary
pieces). A label word is one piece: the symbol `▁sad` is kept whole, `sad` inside "danger" is not.
`python -m memobert_jax.tokenizer --input=DIR --output=FILE` trains one on features datasets.
"""

import argparse
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from memobert_jax.config import LABEL_WORDS

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD_ID, UNK_ID, CLS_ID, SEP_ID, MASK_ID = range(len(SPECIAL))

_WORDS = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")


def split_words(text: str) -> list[str]:
    """Lower-cased words and punctuation marks; an apostrophe inside a word stays in it."""
    return _WORDS.findall(text.lower())


class Encoded(NamedTuple):
    """ids: i32 [n] pieces; groups: i32 [n], the word of each piece, from 0 without gaps."""

    ids: np.ndarray
    groups: np.ndarray


class Tokenizer:
    """A SentencePiece model. Pickles as its bytes.

    Raises:
      ValueError: if the bytes are no such model, or one trained by another program.
    """

    pad_id, unk_id, cls_id, sep_id, mask_id = PAD_ID, UNK_ID, CLS_ID, SEP_ID, MASK_ID

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

    def __reduce__(self):
        return Tokenizer, (self.model,)

    @property
    def vocab_size(self) -> int:
        return self._pieces.get_piece_size()

    @property
    def random_ids(self) -> tuple[int, int]:
        """Half-open range of ordinary pieces, for random replacement."""
        return len(SPECIAL), self.vocab_size

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of the sha256 of the model."""
        return hashlib.sha256(self.model).hexdigest()[:16]

    def encode(self, text: str) -> Encoded:
        """Pieces of a text, without special tokens."""
        pieces = [self._pieces.encode(word) for word in split_words(text)]
        pieces = [word for word in pieces if word]  # a zero-width space has none
        ids = np.fromiter((i for word in pieces for i in word), np.int32)
        groups = np.repeat(np.arange(len(pieces), dtype=np.int32), [len(word) for word in pieces])
        return Encoded(ids, groups)

    def label_id(self, word: str) -> int:
        """The piece that stands for a label word.

        Raises:
          ValueError: if the word is unknown or falls into several pieces.
        """
        ids = self.encode(word).ids
        if len(ids) != 1 or ids[0] == UNK_ID:
            pieces = [self._pieces.id_to_piece(int(i)) for i in ids]
            raise ValueError(
                f"label word {word!r} is not one piece of the vocabulary (it gives {pieces}): "
                "choose another word, or train the tokenizer with it among --label_words"
            )
        return int(ids[0])

    def decode(self, ids: Sequence[int]) -> str:
        return self._pieces.decode([int(i) for i in ids])


def load(path: str | Path) -> Tokenizer:
    """Reads a .model file.

    Raises:
      FileNotFoundError: if there is none.
      ValueError: if it is damaged or of another program; the message names it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no tokenizer at {str(path)!r}: train one with `python -m memobert_jax.tokenizer "
            "--input=FEATURES_DIR --output=FILE.model`"
        )
    try:
        return Tokenizer(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def train(
    texts: Iterable[str], vocab_size: int, label_words: Sequence[str] = tuple(LABEL_WORDS.values())
) -> Tokenizer:
    """Trains a unigram model on texts; a small corpus gives fewer pieces than asked.

    Raises:
      ValueError: if there is no text, or the vocabulary is too small for its characters.
    """
    import sentencepiece

    lines = [" ".join(split_words(text)) for text in texts]
    lines = [line for line in lines if line]
    if not lines:
        raise ValueError("no text to train a tokenizer on: every clip's text is empty")
    out = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
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
            control_symbols=[SPECIAL[MASK_ID]],
            user_defined_symbols=[f"▁{word}" for word in dict.fromkeys(label_words)],
        )
    except RuntimeError as error:
        raise ValueError(
            f"SentencePiece could not train {vocab_size} pieces on {len(lines)} texts: {error}"
        ) from error
    return Tokenizer(out.getvalue())


def save(tokenizer: Tokenizer, path: str | Path) -> None:
    """Writes a .model file, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(tokenizer.model)
    partial.replace(path)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", action="append", required=True, help="features dataset folder")
    parser.add_argument("--split", default="train", help="split whose texts are used")
    parser.add_argument("--output", required=True, help="the .model file to write")
    parser.add_argument("--vocab_size", type=int, default=8000, help="word pieces, at most")
    parser.add_argument(
        "--label_words", nargs="*", default=list(LABEL_WORDS.values()), help="words kept whole"
    )
    args = parser.parse_args()

    from memobert_jax.features import FeaturesDataset

    texts = [t for folder in args.input for t in FeaturesDataset(folder, args.split).texts()]
    tokenizer = train(texts, args.vocab_size, args.label_words)
    save(tokenizer, args.output)
    print(f"{tokenizer.vocab_size} pieces from {len(texts)} texts -> {args.output}")


if __name__ == "__main__":
    main()
