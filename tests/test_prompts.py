"""Prompts are put together by id: no text of a user can break them or be taken for them."""

import numpy as np
import pytest
import runs

from memobert_jax import config
from memobert_jax.config import PromptConfig
from memobert_jax.prompts import Template

LONG = "you broke it again and we won the match and the bus is blue and my dog is gone"


@pytest.fixture(scope="module")
def tokens():
    return runs.tokens()


@pytest.fixture(scope="module")
def prompt(tokens):
    return Template(PromptConfig().template, tokens)


def template(tokens, text):
    return Template(text, tokens)


def framed(tokens, *parts):
    """[CLS], the pieces of texts and the ids given, [SEP]."""
    ids = [tokens.encode(part).ids if isinstance(part, str) else [part] for part in parts]
    return np.concatenate([[tokens.cls_id], *ids, [tokens.sep_id]]).tolist()


def test_a_text_stands_before_the_template_and_the_mask_where_the_template_has_it(prompt, tokens):
    found = prompt.render("the bus is blue .", 64)
    assert found.ids.tolist() == framed(tokens, "the bus is blue . i am", tokens.mask_id, ".")
    assert found.ids[found.mask] == tokens.mask_id
    assert found.cut == 0


def test_each_piece_of_the_text_knows_its_word_and_the_prompt_has_none(prompt, tokens):
    found = prompt.render("the bus is blue", 64)
    words = tokens.encode("the bus is blue").groups
    assert found.groups[1 : 1 + len(words)].tolist() == words.tolist()
    assert (np.delete(found.groups, range(1, 1 + len(words))) == -1).all()
    assert len(found.groups) == len(found.ids)


def test_a_template_may_put_the_text_last(tokens):
    found = template(tokens, "i am [MASK] . {text}").render("the bus is blue .", 64)
    assert found.ids.tolist() == framed(tokens, "i am", tokens.mask_id, ". the bus is blue .")


@pytest.mark.parametrize("text", ["the [MASK] is blue .", "{text} [MASK] [SEP] [CLS] .", "[MASK]"])
def test_special_tokens_in_a_text_stay_letters(prompt, tokens, text):
    found = prompt.render(text, 64)
    assert np.flatnonzero(found.ids == tokens.mask_id).tolist() == [found.mask]
    assert found.mask == len(found.ids) - 2 - len(tokens.encode(".").ids)
    assert (found.ids == tokens.sep_id).sum() == 1
    assert (found.ids == tokens.cls_id).sum() == 1


@pytest.mark.parametrize("text", ["", "   "])
def test_without_text_the_template_stands_alone(prompt, tokens, text):
    found = prompt.render(text, 64)
    assert found.ids.tolist() == framed(tokens, "i am", tokens.mask_id, ".")
    assert len(found.ids) == prompt.fixed


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        ("the bus is blue", False),
        ("the bus is blue,", False),
        ("the bus is blue.", True),
        ("the bus is blue ?", True),
        ('we won the match !" ', True),
        ("(the bus is blue)", False),
    ],
)
def test_a_text_gets_a_full_stop_unless_it_has_an_end(prompt, tokens, text, ended):
    ids = prompt.render(text, 64).ids.tolist()
    words = [text] if ended else [text, "."]
    assert ids == framed(tokens, *words, "i am", tokens.mask_id, ".")


@pytest.mark.parametrize("longest", [12, 16, 20])
def test_a_long_text_loses_its_end_and_the_prompt_stays_whole(prompt, tokens, longest):
    pieces = tokens.encode(LONG).ids
    found = prompt.render(LONG, longest)
    kept = len(pieces) - found.cut
    assert found.cut > 0
    assert len(found.ids) == longest
    assert found.ids[1 : 1 + kept].tolist() == pieces[:kept].tolist()
    assert found.ids[1 + kept :].tolist() == framed(tokens, ". i am", tokens.mask_id, ".")[1:]


def test_a_text_that_just_fits_is_kept_whole(prompt, tokens):
    whole = prompt.render(LONG, 64)
    assert prompt.render(LONG, len(whole.ids)).ids.tolist() == whole.ids.tolist()
    assert prompt.render(LONG, len(whole.ids) - 1).cut > 0


def test_a_clip_without_room_for_text_shows_the_template_alone(prompt):
    found = prompt.render("the bus is blue", prompt.fixed)
    assert found.ids.tolist() == prompt.render("", prompt.fixed).ids.tolist()
    assert found.cut > 0


def test_a_template_longer_than_a_clip_may_be_is_refused(prompt):
    prompt.check_room(prompt.fixed)
    with pytest.raises(ValueError, match=f"has {prompt.fixed} pieces .* a clip may have"):
        prompt.check_room(prompt.fixed - 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{text} i am .", r"has 0 \[MASK\]"),
        ("{text} i am [mask] .", r"has 0 \[MASK\]"),
        ("{text} [MASK] or [MASK] .", r"has 2 \[MASK\]"),
        ("{text} {text} [MASK] .", r"1 \[MASK\] and 2 \{text\}"),
        ("{text} {speaker} is [MASK] .", r"the only placeholder is \{text\}"),
    ],
)
def test_a_template_without_one_mask_and_with_more_than_one_text_is_refused(tokens, text, message):
    with pytest.raises(ValueError, match=message):
        template(tokens, text)


def test_a_template_without_a_place_for_the_text_never_shows_it(tokens):
    found = template(tokens, "i am [MASK] .")
    assert not found.has_text
    assert found.render("the bus is blue", 64).ids.tolist() == found.render("", 64).ids.tolist()
    assert found.render("the bus is blue", 64).cut == 0


def test_a_misspelt_prompt_field_names_the_nearest_one():
    with pytest.raises(ValueError, match=r"'label_wrods'; did you mean prompt\.'label_words'"):
        config.from_mapping(config.EvaluateConfig, {"prompt": {"label_wrods": ("a",)}})


def test_a_template_of_pieces_never_seen_is_said(tokens, caplog):
    template(tokens, "{text} \u4f60 [MASK] .")
    assert "never saw" in caplog.text
