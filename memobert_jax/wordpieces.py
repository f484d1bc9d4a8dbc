"""WordPiece: the vocabulary of a BERT, cutting texts into the same pieces as BERT's tokenizer.

For whole-word masking a word is one of `split_words`, as with any tokenizer, or one of BERT where
that is longer: "isn't" is one word of three pieces.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memobert_jax.words import SPECIAL, WORD, Encoded

CONFIG = "tokenizer_config.json"
_UNUSED = re.compile(r"\[[^\[\]]+\]|<[^<>]+>")
"""Pieces that no text gives, such as [MASK] and [unused7]."""


class WordPieces:
    """A vocabulary and how texts are normalised for it.

    Attributes:
      model: what `tokenizer.json` holds of it, equal for equal tokenizers; bytes.
      special: ids of SPECIAL.
      size: number of pieces.
      random_ids: the longest half-open range of ids without special and unused pieces; [999, 30522)
        of bert-base-uncased.
      settings: `lowercase`, `strip_accents` and `handle_chinese_chars` of BERT's normaliser.

    Raises:
      ValueError: if the bytes are no tokenizer.json of a BERT, or lack a special piece.
    """

    kind = "WordPiece"

    def __init__(self, model: bytes):
        import tokenizers

        vocab, self.settings = _parse(model)
        missing = [piece for piece in SPECIAL if piece not in vocab]
        if missing:
            raise ValueError(
                f"the vocabulary of {len(vocab)} pieces lacks {', '.join(missing)}; expected that "
                f"of a BERT, with {', '.join(SPECIAL)}"
            )
        self.model = _canonical(vocab, self.settings)
        self.special = tuple(vocab[piece] for piece in SPECIAL)
        self.size = max(vocab.values()) + 1
        self.random_ids = _ordinary(vocab, self.size)
        self._names = {i: piece for piece, i in vocab.items()}
        self._pieces = tokenizers.Tokenizer(
            tokenizers.models.WordPiece(vocab, unk_token=SPECIAL[1], max_input_chars_per_word=100)
        )
        # Special pieces are never added to it, so that it does not look for them in texts.
        self._pieces.normalizer = tokenizers.normalizers.BertNormalizer(**self.settings)
        self._pieces.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()

    def encode(self, text: str) -> Encoded:
        """Pieces of a text; a group starts where both BERT and `split_words` have a new word."""
        found = self._pieces.encode(text, add_special_tokens=False)
        words = [match.start() for match in WORD.finditer(text)]
        own = np.searchsorted(words, [start for start, _ in found.offsets], side="right")
        new = (np.diff(own) != 0) & (np.diff(np.array(found.word_ids, np.int64)) != 0)
        groups = np.cumsum([False, *new], dtype=np.int32)[: len(found.ids)]
        return Encoded(np.array(found.ids, np.int32), groups)

    def name(self, piece: int) -> str:
        return self._names[piece]

    def decode(self, ids: Sequence[int]) -> str:
        silent = set(self.special) - {self.special[1]}
        return " ".join(self.name(i) for i in ids if i not in silent).replace(" ##", "")

    def lines(self) -> list[str]:
        """The vocabulary in the order of ids, as vocab.txt holds it."""
        return [self._names.get(i, f"[unused {i}]") for i in range(self.size)]


def _ordinary(vocab: Mapping[str, int], size: int) -> tuple[int, int]:
    unused = sorted(i for piece, i in vocab.items() if _UNUSED.fullmatch(piece))
    ranges = zip([-1, *unused], [*unused, size], strict=True)
    return max(((low + 1, high) for low, high in ranges), key=lambda r: r[1] - r[0])


def _canonical(vocab: Mapping[str, int], settings: Mapping[str, Any]) -> bytes:
    content = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, **settings},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {
            "type": "WordPiece",
            "unk_token": SPECIAL[1],
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": dict(sorted(vocab.items(), key=lambda item: item[1])),
        },
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


_PARTS = {
    "model": "WordPiece",
    "normalizer": "BertNormalizer",
    "pre_tokenizer": "BertPreTokenizer",
}


def _parse(model: bytes) -> tuple[dict[str, int], dict[str, Any]]:
    """(vocabulary, settings) of a tokenizer.json."""
    try:
        content = json.loads(model)
        types = {key: content[key]["type"] for key in _PARTS}
        if types != _PARTS:
            raise ValueError(f"its parts are {types}; expected {_PARTS}")
        vocab, normal = content["model"]["vocab"], content["normalizer"]
        added = {token["content"]: token["id"] for token in content["added_tokens"]}
        return dict(vocab) | added, _settings(
            normal["lowercase"], normal["strip_accents"], normal["handle_chinese_chars"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"no tokenizer.json of a BERT ({type(error).__name__}: {error})"
        ) from error


def _settings(lowercase: bool, strip_accents: bool | None, chinese: bool) -> dict[str, Any]:
    if {type(lowercase), type(chinese)} != {bool} or strip_accents not in (None, False, True):
        raise ValueError(
            f"lower-casing {lowercase!r}, strip_accents {strip_accents!r}, Chinese characters "
            f"{chinese!r}; expected true or false"
        )
    # None means "as lowercase": said outright, so that equal tokenizers are equal bytes.
    accents = lowercase if strip_accents is None else strip_accents
    return {
        "lowercase": lowercase,
        "strip_accents": accents,
        "handle_chinese_chars": chinese,
    }


def read(path: Path) -> bytes:
    """The `model` of a vocab.txt or tokenizer.json.

    How texts are normalised for a vocab.txt stands in the tokenizer_config.json beside it; without
    that file, texts are lower-cased unless the vocabulary has capital letters.

    Raises:
      ValueError: if the file is no vocabulary of a BERT.
    """
    if path.suffix == ".json":
        return WordPieces(path.read_bytes()).model
    lines = path.read_text("utf-8").removesuffix("\n").split("\n")
    vocab = {piece: i for i, piece in enumerate(lines)}
    capital = any(piece != piece.lower() for piece in vocab if not _UNUSED.fullmatch(piece))
    given = {"do_lower_case": not capital, "strip_accents": None, "tokenize_chinese_chars": True}
    beside = path.with_name(CONFIG)
    try:
        if beside.is_file():
            found = json.loads(beside.read_text("utf-8"))
            if not isinstance(found, dict):
                raise TypeError(f"{found!r} is no object")
            given |= {key: found[key] for key in given if key in found}
        settings = _settings(*given.values())
    except (ValueError, TypeError) as error:
        raise ValueError(f"{beside}: {error}; expected what a BERT's tokenizer saves") from error
    return WordPieces(_canonical(vocab, settings)).model
