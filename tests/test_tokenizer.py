"""Word pieces: whole label words, no special token from text, clear errors."""

import io
import pickle
import sys

import numpy as np
import pytest
import samples
import sentencepiece

from memobert_jax import tokenizer
from memobert_jax.config import LABEL_WORDS
from memobert_jax.sentencepieces import CLS_ID, MASK_ID, PAD_ID, SEP_ID, UNK_ID
from memobert_jax.tokenizer import Tokenizer
from memobert_jax.words import SPECIAL, split_words

TEXTS = [
    "There is danger ahead, said the captain.",
    "You broke it again and again!",
    "We won the match, I am so happy today.",
    "The bus is blue [MASK] <laughs>",
    "My dog is gone; i'm sad.",
    "What do you mean, he isn't here?",
]


@pytest.fixture(scope="module")
def tokens():
    return tokenizer.train(TEXTS * 5, 200)


def pieces(tokens: Tokenizer, text: str) -> list[str]:
    return [tokens.decode([i]) for i in tokens.encode(text).ids]


def test_words_are_lower_case_and_punctuation_stands_alone():
    assert split_words("He isn't HERE, you know...") == [
        *("he", "isn't", "here", ",", "you", "know"),
        *(".", ".", "."),
    ]
    assert split_words("it\u2019s 'quoted' ") == ["it\u2019s", "'", "quoted", "'"]


def test_groups_give_the_word_of_each_piece(tokens):
    text = "he isn't here, sad danger."
    encoded = tokens.encode(text)
    assert encoded.ids.dtype == encoded.groups.dtype == np.int32
    assert len(encoded.ids) == len(encoded.groups)
    words = split_words(text)
    for group, word in enumerate(words):
        assert tokens.decode(encoded.ids[encoded.groups == group]) == word
    assert encoded.groups.tolist() == sorted(encoded.groups.tolist())


@pytest.mark.parametrize("nothing", ["\u200b", "\u2581"])
def test_characters_that_are_no_piece_leave_no_gap_between_words(tokens, nothing):
    encoded = tokens.encode(f"{nothing} sad {nothing} happy")
    assert encoded.groups.tolist() == [0, 1]
    assert encoded.ids.tolist() == [tokens.label_id("sad"), tokens.label_id("happy")]


def test_punctuation_is_a_piece_or_pieces_of_its_own(tokens):
    encoded = tokens.encode("again, again")
    (comma,) = (g for g, w in enumerate(split_words("again, again")) if w == ",")
    assert tokens.decode(encoded.ids[encoded.groups == comma]) == ","
    assert len(set(encoded.groups.tolist())) == 3


@pytest.mark.parametrize("text", ["[MASK]", "[CLS] [SEP] [PAD] [UNK]", "<s> </s> <unk> <pad>"])
def test_no_text_gives_a_special_token(tokens, text):
    forbidden = {PAD_ID, CLS_ID, SEP_ID, MASK_ID}
    assert forbidden.isdisjoint(tokens.encode(text).ids.tolist())


def test_mask_written_in_a_subtitle_is_ordinary_pieces(tokens):
    encoded = tokens.encode("say [MASK] now")
    assert len(set(encoded.groups.tolist())) == 5
    assert tokens.decode(encoded.ids[(encoded.groups > 0) & (encoded.groups < 4)]) == "[ mask ]"


@pytest.mark.parametrize("word", LABEL_WORDS.values())
def test_every_label_word_is_one_piece(tokens, word):
    label = tokens.label_id(word)
    assert label >= len(SPECIAL)
    assert tokens.encode(f"i am {word.upper()}.").ids.tolist().count(label) == 1


LONGER = ("sadness", "madly", "happyish", "danger", "ranger", "angered")


@pytest.mark.parametrize("label_words", [("sad", "mad", "happy", "anger", "ran"), ()])
def test_a_label_word_is_matched_as_a_whole_word_only(label_words):
    own = tokenizer.train([" ".join(LONGER), "sad mad happy anger ran"] * 20, 80, label_words)
    labels = {own.label_id(word) for word in label_words}
    assert labels == set(range(5, 5 + len(label_words)))
    for word in LONGER:
        ids = own.encode(word).ids
        assert labels.isdisjoint(ids.tolist())
        assert own.decode(ids) == word


def test_a_label_word_costs_the_words_that_begin_with_it_no_piece():
    texts = ["sadness is danger , the ranger said sad ."] * 20
    with_labels = tokenizer.train(texts, 60, ("sad", "anger"))
    for word in ("sadness", "danger", "ranger"):
        plain = tokenizer.train([text.replace(" sad .", " .") for text in texts], 60, ())
        names = [[t.pieces.name(int(i)) for i in t.encode(word).ids] for t in (with_labels, plain)]
        assert names[0] == names[1]


def test_a_label_that_is_no_single_word_is_refused():
    with pytest.raises(ValueError, match=r"label word 'so-so' is 3 words .*; expected one word"):
        tokenizer.train(TEXTS, 100, ("sad", "so-so"))


def test_the_first_piece_of_a_label_word_stands_for_it_if_it_has_letters(tokens):
    assert len(tokens.encode("won").ids) > 1
    assert tokens.label_id("won") == tokens.encode("won").ids[0]
    with pytest.raises(ValueError, match=r"'captains' is not known .*--label_words"):
        tokens.label_id("captains")


def test_a_label_word_of_unknown_letters_is_refused(tokens):
    with pytest.raises(ValueError, match="is not known"):
        tokens.label_id("ж")


def test_an_empty_text_gives_no_piece(tokens):
    for text in ("", "   ", "\n\t"):
        encoded = tokens.encode(text)
        assert len(encoded.ids) == len(encoded.groups) == 0
        assert encoded.ids.dtype == encoded.groups.dtype == np.int32


def test_random_replacements_are_ordinary_pieces(tokens):
    low, high = tokens.random_ids
    assert low == len(SPECIAL)
    assert high == tokens.vocab_size
    assert max(PAD_ID, UNK_ID, CLS_ID, SEP_ID, MASK_ID) < low


@pytest.mark.parametrize("texts", [[], [""], ["  ", "\n"]])
def test_training_without_any_text_is_refused(texts):
    with pytest.raises(ValueError, match="no text to train a tokenizer on"):
        tokenizer.train(texts, 100)


@pytest.mark.parametrize("texts", [["a"], ["!!!"], ["hello"], ["日本語 テスト"]])
def test_a_tiny_corpus_gives_fewer_pieces_than_asked_and_every_label_word(texts):
    tokens = tokenizer.train(texts, 8000)
    assert len(SPECIAL) + len(LABEL_WORDS) < tokens.vocab_size < 60
    assert UNK_ID not in tokens.encode(texts[0]).ids
    tokens.label_id("happy")


def test_a_vocabulary_too_small_for_its_characters_is_refused_with_the_sizes():
    with pytest.raises(ValueError, match="could not train 8 pieces on 6 texts"):
        tokenizer.train(TEXTS, 8)


def test_training_again_gives_the_same_tokenizer(tokens):
    assert tokenizer.train(TEXTS * 5, 200).fingerprint == tokens.fingerprint
    assert tokenizer.train(TEXTS * 4, 200).fingerprint != tokens.fingerprint


def test_saving_loading_and_pickling_keep_the_model(tokens, tmp_path):
    path = tmp_path / "new" / "words.model"
    tokenizer.save(tokens, path)
    assert sorted(p.name for p in path.parent.iterdir()) == ["words.model"]
    for copy in (tokenizer.load(path), pickle.loads(pickle.dumps(tokens))):
        assert copy.fingerprint == tokens.fingerprint
        assert copy.encode(TEXTS[0]).ids.tolist() == tokens.encode(TEXTS[0]).ids.tolist()


def test_a_missing_model_says_how_to_train_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.model.*-m memobert_jax\.tokenizer"):
        tokenizer.load(tmp_path / "none.model")


def test_a_model_of_another_program_is_refused(tmp_path):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_writer=out, vocab_size=60, minloglevel=2
    )
    path = tmp_path / "other.model"
    path.write_bytes(out.getvalue())
    with pytest.raises(
        ValueError, match=r"other.model: the first pieces .* '<s>'.*-m memobert_jax"
    ):
        tokenizer.load(path)


@pytest.mark.parametrize("content", [b"not a model", b""])
def test_a_file_that_is_no_model_is_refused_by_name(tmp_path, content):
    path = tmp_path / "words.model"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"words\.model"):
        tokenizer.load(path)


def test_the_command_trains_on_the_texts_of_features_datasets(tmp_path, monkeypatch, capsys):
    data = samples.dataset(tmp_path / "data", {"train": 8})
    output = tmp_path / "words.model"
    argv = ["tokenizer", f"--input={data}", f"--output={output}", "--vocab_size=80"]
    monkeypatch.setattr(sys, "argv", [*argv, "--label_words", "angry", "gloomy"])
    tokenizer.main()
    tokens = tokenizer.load(output)
    tokens.label_id("gloomy")
    (source,) = tokenizer.sources(output, tokens.fingerprint)
    assert (source["path"], source["split"]) == (str(data), "train")
    assert tokenizer.sources(output, "another") is None
    assert f"{tokens.vocab_size} pieces from 8 texts -> {output}" in capsys.readouterr().out
