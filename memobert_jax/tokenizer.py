"""One tokenizer for all: SentencePiece trained on the corpus, or the WordPiece of a BERT.

Special tokens exist by id only: no text can produce them ("[MASK]" in a subtitle is ordinary
pieces). `python -m memobert_jax.tokenizer --input=DIR --output=FILE` trains a SentencePiece model
on features datasets.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from memobert_jax import command, sentencepieces, wordpieces
from memobert_jax.config import LABEL_WORDS
from memobert_jax.words import Encoded


class Tokenizer:
    """Texts to pieces, whichever way. Pickles as its bytes.

    Attributes:
      model: bytes that make it again: of a SentencePiece model, or of a BERT's tokenizer.json.
      pieces: the SentencePieces or WordPieces.
      pad_id, unk_id, cls_id, sep_id, mask_id: ids of the special pieces.

    Raises:
      ValueError: if the bytes are neither, damaged, or lack a special piece.
    """

    def __init__(self, model: bytes):
        way = wordpieces.WordPieces if model[:1] == b"{" else sentencepieces.SentencePieces
        self.pieces = way(model)
        self.model = self.pieces.model
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = self.pieces.special

    def __reduce__(self):
        return Tokenizer, (self.model,)

    def __repr__(self) -> str:
        return f"{self.pieces.kind} of {self.vocab_size} pieces, fingerprint {self.fingerprint}"

    @property
    def of_bert(self) -> bool:
        """Whether it is the WordPiece of a BERT, not trained here."""
        return isinstance(self.pieces, wordpieces.WordPieces)

    @property
    def vocab_size(self) -> int:
        return self.pieces.size

    @property
    def random_ids(self) -> tuple[int, int]:
        """Half-open range of ordinary pieces, for random replacement."""
        return self.pieces.random_ids

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of the sha256 of the model."""
        return hashlib.sha256(self.model).hexdigest()[:16]

    def encode(self, text: str) -> Encoded:
        """Pieces of a text, without special tokens."""
        return self.pieces.encode(text)

    def label_id(self, word: str) -> int:
        """The piece that stands for a label word: its only one, or the first of several.

        Raises:
          ValueError: if the word is unknown, in whole or in part, or its first piece has no letter.
        """
        ids = self.encode(word).ids.tolist()
        names = [self.pieces.name(i) for i in ids]
        if not ids or self.unk_id in ids or not any(map(str.isalnum, names[0])):
            raise ValueError(
                f"label word {word!r} is not known to the tokenizer (it gives {names}): choose "
                "another word, or train the tokenizer with it among --label_words"
            )
        return ids[0]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some pieces; special ones but [UNK] have none."""
        return self.pieces.decode([int(i) for i in ids])


FILES = ("tokenizer.json", "vocab.txt", "tokenizer.model")
"""Names of a tokenizer in a folder, the first that is there is taken."""


def load(path: str | Path) -> Tokenizer:
    """Reads a .model file, the vocab.txt or tokenizer.json of a BERT, or one of FILES in a folder.

    Raises:
      FileNotFoundError: if there is none.
      ValueError: if it is damaged or of another program; the message names it.
    """
    named, path = bool(str(path)), Path(path)
    if named and path.is_dir():
        found = [path / name for name in FILES if (path / name).is_file()]
        if not found:
            raise FileNotFoundError(f"no tokenizer in {path}: expected one of {', '.join(FILES)}")
        path = found[0]
    if not path.is_file():
        where = f"no tokenizer at {str(path)!r}" if named else "no tokenizer is named"
        raise FileNotFoundError(
            f"{where}: train one with `python -m memobert_jax.tokenizer "
            "--input=FEATURES_DIR --output=FILE.model`, or give the vocab.txt of a BERT"
        )
    try:
        of_bert = path.suffix in (".txt", ".json")
        return Tokenizer(wordpieces.read(path) if of_bert else path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def train(
    texts: Iterable[str], vocab_size: int, label_words: Sequence[str] = tuple(LABEL_WORDS.values())
) -> Tokenizer:
    """Trains a SentencePiece model on texts; a small corpus gives fewer pieces than asked.

    Raises:
      ValueError: if there is no text, if the vocabulary is too small for its characters, or for a
        label word that is not one word.
    """
    return Tokenizer(sentencepieces.train(texts, vocab_size, label_words))


def save(tokenizer: Tokenizer, path: str | Path) -> None:
    """Writes a .model (SentencePiece) or .json (WordPiece) file, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(tokenizer.model)
    partial.replace(path)


def save_sources(tokenizer: Tokenizer, path: str | Path, found: list[dict[str, str]]) -> None:
    """Writes beside a tokenizer what it was trained on: path, split, fingerprint and ids of the
    clips held out of each."""
    said = {"tokenizer": tokenizer.fingerprint, "sources": found}
    _beside(path).write_text(json.dumps(said, indent=1) + "\n", "utf-8")


def sources(path: str | Path, fingerprint: str) -> list[dict[str, str]] | None:
    """What the tokenizer of that fingerprint was trained on; None if that is not recorded."""
    try:
        said = json.loads(_beside(path).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return said["sources"] if said["tokenizer"] == fingerprint else None


def _beside(path: str | Path) -> Path:
    return Path(f"{path}.sources.json")


def main() -> None:
    """Command line."""
    parser = command.parser(__doc__)
    parser.add_argument(
        "--input", action="append", required=True, help="features dataset folder, or FOLDER:SPLIT"
    )
    parser.add_argument("--split", default="train", help="split whose texts are used")
    parser.add_argument("--output", required=True, help="the .model file to write")
    parser.add_argument("--vocab_size", type=int, default=8000, help="word pieces, at most")
    parser.add_argument(
        "--label_words", nargs="*", default=list(LABEL_WORDS.values()), help="words kept whole"
    )
    parser.add_argument(
        "--hold_out",
        nargs="*",
        default=[],
        help="protocols and folds whose test clips are left out, as ravdess_5fold_actor:0",
    )
    args = parser.parse_args()

    from memobert_jax import holdout, reader
    from memobert_jax.features import FeaturesDataset

    texts, found = [], []
    for given in args.input:
        dataset = FeaturesDataset(*reader.split_of(given, args.split)[:2])
        held = holdout.ids(dataset, args.hold_out)
        kept = ~np.isin(dataset.column("id"), held)
        texts += np.array(dataset.texts(), object)[kept].tolist()
        found.append(
            {
                "path": str(dataset.path.absolute()),
                "split": dataset.split,
                "fingerprint": dataset.fingerprint,
                "held_out": held,
            }
        )
    tokenizer = train(texts, args.vocab_size, args.label_words)
    save(tokenizer, args.output)
    save_sources(tokenizer, args.output, found)
    print(f"{tokenizer.vocab_size} pieces from {len(texts)} texts -> {args.output}")


if __name__ == "__main__":
    sys.exit(command.reported(main)())
