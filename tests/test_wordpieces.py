"""The vocabulary of a BERT: its pieces, our words, and no special token from text."""

import json
import pickle

import numpy as np
import pytest
import tokenizers

from memobert_jax import tokenizer
from memobert_jax.config import PromptConfig
from memobert_jax.prompts import Template
from memobert_jax.words import SPECIAL

ORDINARY = [*"!',.[]-€abc日本5#", *("##5", "##é", "##a", "##b", "##c", "##本", "##ness", "##ly")]
ORDINARY += ["isn", "t", "mask", "cafe", "caf", "sad", "mad", "happy", "angry", "neutral"]
ORDINARY += ["i", "am", "the", "bus", "is", "blue", "Sad"]
VOCAB = ["[PAD]", *(f"[unused{i}]" for i in range(4)), *SPECIAL[1:], "[unused4]", *ORDINARY]
FIRST = VOCAB.index("!")
TEXTS = [
    "isn't sadness [MASK] €5, CAFÉ!",
    "Cafe\u0301 日本 日本",
    "sad\u200bness madly-mad [unused1] [CLS]",
    "abcba abc\u00a0cab zebra \x00\x07",
    "İsad a😀sad " + "a" * 101,
    "",
]


def folder(path, vocab=VOCAB, **settings):
    """A folder with vocab.txt and, where there are settings, tokenizer_config.json."""
    path.mkdir(exist_ok=True)
    (path / "vocab.txt").write_text("\n".join(vocab) + "\n", "utf-8")
    if settings:
        (path / "tokenizer_config.json").write_text(json.dumps(settings))
    return path / "vocab.txt"


@pytest.fixture
def tokens(tmp_path):
    return tokenizer.load(folder(tmp_path, do_lower_case=True))


def reference(**settings) -> tokenizers.BertWordPieceTokenizer:
    """BERT's tokenizer as its library makes it."""
    return tokenizers.BertWordPieceTokenizer({p: i for i, p in enumerate(VOCAB)}, **settings)


@pytest.mark.parametrize("settings", [{"lowercase": True}, {"lowercase": False}])
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_cut_into_the_pieces_of_bert(tmp_path, text, settings):
    tokens = tokenizer.load(folder(tmp_path, do_lower_case=settings["lowercase"]))
    # The library looks for special tokens in texts; zero-width joiners break them up for it alone.
    broken = text.replace("[MASK]", "[\u200dMASK]").replace("[CLS]", "[\u200dCLS]")
    expected = reference(**settings).encode(broken, add_special_tokens=False)
    assert tokens.encode(text).ids.tolist() == expected.ids


def test_a_group_is_a_whole_word(tokens):
    encoded = tokens.encode("Isn't sadness, 'mask' €5 madly-sad")
    words = [
        tokens.decode(encoded.ids[encoded.groups == group])
        for group in range(encoded.groups.max() + 1)
    ]
    assert words == ["isn ' t", "sadness", ",", "'", "mask", "'", "€5", "madly", "-", "sad"]
    assert encoded.ids.dtype == encoded.groups.dtype == np.int32


def test_an_empty_text_gives_no_piece(tokens):
    for text in ("", "  ", "\u200b"):
        encoded = tokens.encode(text)
        assert len(encoded.ids) == len(encoded.groups) == 0
        assert encoded.ids.dtype == encoded.groups.dtype == np.int32


def test_special_pieces_in_a_text_are_letters(tokens):
    encoded = tokens.encode(" ".join([*SPECIAL, "[unused2]"]))
    assert encoded.ids.min() >= FIRST or set(encoded.ids[encoded.ids < FIRST]) == {tokens.unk_id}
    mask = tokens.encode("[MASK]")
    assert tokens.decode(mask.ids) == "[ mask ]"
    assert mask.groups.tolist() == [0, 1, 2]


def test_special_ids_are_where_the_vocabulary_has_them(tokens):
    found = [tokens.pad_id, tokens.unk_id, tokens.cls_id, tokens.sep_id, tokens.mask_id]
    assert found == [VOCAB.index(piece) for piece in SPECIAL]
    assert tokens.vocab_size == len(VOCAB)
    prompt = Template(PromptConfig().template, tokens).render("the bus is blue", 20)
    assert prompt.ids[prompt.mask] == tokens.mask_id
    assert (prompt.ids[0], prompt.ids[-1]) == (tokens.cls_id, tokens.sep_id)
    assert tokens.decode(prompt.ids) == "the bus is blue . i am ."


def test_random_replacements_are_ordinary_pieces_wherever_the_special_ones_are(tokens, tmp_path):
    assert tokens.random_ids == (FIRST, len(VOCAB))
    last = [*ORDINARY, *SPECIAL]
    assert tokenizer.load(folder(tmp_path, last)).random_ids == (0, len(ORDINARY))


def test_random_replacements_of_the_usual_vocabulary_begin_at_999(tmp_path):
    usual = ["[PAD]", *(f"[unused{i}]" for i in range(99)), *SPECIAL[1:]]
    usual += [f"[unused{i}]" for i in range(99, 994)] + ["!"]
    usual += [f"word{i}" for i in range(30522 - len(usual))]
    assert tokenizer.load(folder(tmp_path, usual)).random_ids == (999, 30522)


def test_a_label_word_is_its_first_piece_or_refused(tokens):
    assert VOCAB[tokens.label_id("SAD")] == "sad"
    assert VOCAB[tokens.label_id("sadness")] == "sad"
    with pytest.raises(ValueError, match="'zebra' is not known"):
        tokens.label_id("zebra")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"do_lower_case": True}, "cafe sad"),
        ({"do_lower_case": True, "strip_accents": False}, "café sad"),
        ({"do_lower_case": False}, "[UNK] Sad"),
        ({}, "[UNK] Sad"),
    ],
)
def test_capitals_and_accents_are_treated_as_the_folder_says(tmp_path, settings, text):
    tokens = tokenizer.load(folder(tmp_path, **settings))
    assert tokens.decode(tokens.encode("CAFÉ Sad").ids) == text


def test_a_vocabulary_without_capitals_and_settings_lower_cases(tmp_path):
    tokens = tokenizer.load(folder(tmp_path, VOCAB[:-1]))
    assert tokens.decode(tokens.encode("SAD").ids) == "sad"


def test_both_files_of_a_folder_are_one_tokenizer(tmp_path):
    plain = tokenizer.load(folder(tmp_path, do_lower_case=True))
    library = reference(lowercase=True)
    library.add_special_tokens(list(SPECIAL))
    library.save(str(tmp_path / "tokenizer.json"))
    same = tokenizer.load(tmp_path / "tokenizer.json")
    assert same.fingerprint == plain.fingerprint
    tokenizer.save(plain, tmp_path / "saved.json")
    assert tokenizer.load(tmp_path / "saved.json").fingerprint == plain.fingerprint
    cased = tokenizer.load(folder(tmp_path, do_lower_case=False))
    assert cased.fingerprint != plain.fingerprint


def test_pieces_added_in_tokenizer_json_are_counted(tmp_path, tokens):
    content = json.loads(tokens.model)
    content["added_tokens"] = [{"content": "<speaker>", "id": len(VOCAB)}]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    more = tokenizer.load(path)
    assert more.vocab_size == len(VOCAB) + 1
    assert more.random_ids == tokens.random_ids


def test_pickling_keeps_the_tokenizer(tokens):
    copy = pickle.loads(pickle.dumps(tokens))
    assert copy.fingerprint == tokens.fingerprint
    assert copy.encode(TEXTS[0]).ids.tolist() == tokens.encode(TEXTS[0]).ids.tolist()


def test_a_vocabulary_without_the_mask_piece_is_refused(tmp_path):
    path = folder(tmp_path, [piece for piece in VOCAB if piece != "[MASK]"])
    with pytest.raises(ValueError, match=r"vocab\.txt: the vocabulary .* lacks \[MASK\]"):
        tokenizer.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no tokenizer.json of a BERT"),
        ('{"model": {"type": "WordPiece"}}', "no tokenizer.json of a BERT .KeyError: 'normalizer'"),
        (
            '{"model": {"type": "BPE", "vocab": {}}, "normalizer": {"type": "NFC"}, '
            '"pre_tokenizer": {"type": "ByteLevel"}, "added_tokens": []}',
            "'model': 'BPE'.*expected .*'WordPiece'",
        ),
    ],
)
def test_a_tokenizer_json_of_another_kind_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"tokenizer\.json: .*{message}"):
        tokenizer.load(path)


@pytest.mark.parametrize("content", ["[]", "{", '{"do_lower_case": "yes"}'])
def test_settings_of_a_vocabulary_that_make_no_sense_are_refused_by_their_file(tmp_path, content):
    path = folder(tmp_path)
    path.with_name("tokenizer_config.json").write_text(content)
    with pytest.raises(ValueError, match=r"tokenizer_config\.json: .*expected what a BERT"):
        tokenizer.load(path)


def test_a_tokenizer_json_without_its_settings_is_refused(tmp_path, tokens):
    content = json.loads(tokens.model)
    del content["normalizer"]["lowercase"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"tokenizer\.json: .*KeyError: 'lowercase'"):
        tokenizer.load(tmp_path / "tokenizer.json")
