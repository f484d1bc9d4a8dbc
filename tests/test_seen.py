"""What was seen before it is scored: normalisation, pre-training, an earlier fit."""

import base64

import corpora
import pytest
import samples
from corpora import plain

from memobert_jax import folds, protocols, seen, tokenizer
from memobert_jax.corpus import Corpus

TOKENS = tokenizer.train(samples.PHRASES, 80)
PRETRAINED = {
    "kind": "pretrain",
    "data": [],
    "config": None,
    "tokenizer": {"model": base64.b64encode(TOKENS.model).decode()},
}


def dataset(folder, *, name="corpus", metadata=None, **splits):
    splits = splits or {
        "train": plain(0, 8), "validation": plain(32, 8), "test": plain(64, 8)
    }  # fmt: skip
    return corpora.write(folder, name=name, metadata=metadata, **splits)


def protocol_of(corpus, splits=("train", "validation", "test")):
    definition = folds.by_split(dict(zip(folds.PARTS, splits, strict=True)), ())
    return protocols.make(corpus, definition, samples.CLASSES)


def look(path, metadata=PRETRAINED, part="test", **changes):
    corpus = Corpus(path)
    protocol = changes.pop("protocol", None) or protocol_of(corpus)
    return seen.look(corpus, protocol, metadata, part, 0, **changes)


def source(path, split, fingerprint=None):
    fingerprint = fingerprint or Corpus(path).fingerprints[split]
    return {"path": str(path), "split": split, "weight": 1.0, "fingerprint": fingerprint}


def trained_on(*sources, **changes):
    return PRETRAINED | {"data": list(sources)} | changes


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("data"))


STATISTICS = {"normalisation": {"speech": {"mean": [0.0], "std": [1.0]}}}


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"normalised_on": {"clips": "ab", "split": "test"}, "clips_fingerprint": "ab"}, 8),
        ({"normalised_on": {"clips": "ab", "split": "train"}, "clips_fingerprint": "ab"}, 0),
        ({"normalised_on": {"clips": "cd", "split": "test"}, "clips_fingerprint": "ab"}, 0),
        ({"request": {"normalise_on": "test"}}, 8),
        ({"settings": {"normalise_on": "test"}}, 8),
        ({"settings": {"normalise_on": ""}}, None),
        ({}, None),
    ],
)
def test_a_normalisation_that_saw_the_test_part_is_found(tmp_path, metadata, found):
    path = dataset(tmp_path, metadata=STATISTICS | metadata)
    findings = look(path)
    assert [(s.by, len(s.ids)) for s in findings.found] == [("normalisation", found)] * bool(found)
    assert any("normalised on" in line for line in findings.unchecked) is (found is None)


def test_features_that_were_not_normalised_saw_nothing(path):
    assert look(path).found == []
    assert not any("normalised" in line for line in look(path).unchecked)


def test_pre_training_on_the_split_that_is_scored_is_found(path):
    metadata = trained_on(source(path, "train"), source(path, "test"))
    (found,) = look(path, metadata).found
    assert found.by == "pre-training"
    assert found.ids == tuple(f"clip{n}" for n in range(64, 72))
    (line,) = seen.sentences({0: [found], 3: [found]}, "test")
    assert line.startswith("fold 0, 3: pre-training saw 16 clips of test ('clip64', ")
    assert [s.by for s in look(path, metadata, "train").found] == ["pre-training"]
    assert look(path, metadata, "validation").found == []


def test_parameters_of_the_checkpoint_that_are_not_used_have_seen_nothing(path):
    assert look(path, trained_on(source(path, "test")), pretrained=False).found == []


def test_clips_that_were_held_out_of_the_pre_training_were_not_seen(path):
    left = {"held_out": [f"clip{n}" for n in range(64, 70)]}
    (found,) = look(path, trained_on(source(path, "test") | left)).found
    assert found.ids == ("clip70", "clip71")
    everything = {"held_out": [f"clip{n}" for n in range(64, 72)]}
    assert look(path, trained_on(source(path, "test") | everything)).found == []


def test_clips_that_lie_in_another_features_dataset_are_found_by_their_ids(path, tmp_path):
    other = dataset(tmp_path / "some", all=[*plain(0, 8), *plain(70, 2)])
    (found,) = look(path, trained_on(source(other, "all"))).found
    assert found.ids == ("clip70", "clip71")
    stranger = dataset(tmp_path / "stranger", name="other", all=plain(70, 2))
    assert look(path, trained_on(source(stranger, "all"))).found == []


def test_a_tokenizer_that_saw_the_test_part_is_found(path, tmp_path):
    model = tmp_path / "words.model"
    metadata = trained_on(config={"tokenizer": str(model)})
    tokenizer.save_sources(TOKENS, model, [source(path, "train"), source(path, "test")])
    findings = look(path, metadata, pretrained=False)
    assert [(s.by, len(s.ids)) for s in findings.found] == [("tokenizer", 8)]
    assert findings.unchecked == []


@pytest.mark.parametrize("of", ["another tokenizer", "nothing"])
def test_a_tokenizer_whose_texts_are_not_recorded_is_said_to_be_unchecked(path, tmp_path, of):
    model = tmp_path / "words.model"
    if of == "another tokenizer":
        other = tokenizer.train(["quite other words"], 80)
        tokenizer.save_sources(other, model, [source(path, "test")])
    findings = look(path, trained_on(config={"tokenizer": str(model)}))
    assert findings.found == []
    assert findings.unchecked == ["the texts of the tokenizer are not recorded"]


def test_data_that_are_gone_are_said_to_be_unchecked(path, tmp_path):
    findings = look(path, trained_on(source(tmp_path / "gone", "train", "ab")))
    assert findings.found == []
    assert any("gone) are not there" in line for line in findings.unchecked)


def test_what_a_network_began_with_counts_as_well(path, tmp_path, monkeypatch):
    start = trained_on(source(path, "test"))
    monkeypatch.setattr(seen.checkpoint, "resolve", lambda path: path)
    monkeypatch.setattr(seen.checkpoint, "metadata", {"start": start}.__getitem__)
    (found,) = look(path, trained_on(config={"init_from": "start"})).found
    assert (found.by, len(found.ids)) == ("pre-training", 8)
    corpus = Corpus(path)
    start |= fitted(protocol_of(corpus, ("test", "validation", "train")))
    found = look(path, trained_on(config={"init_from": "start"})).found
    assert [one.by for one in found] == ["fit"]
    monkeypatch.undo()
    lost = trained_on(config={"init_from": str(tmp_path / "none")})
    assert any("began with" in line for line in look(path, lost).unchecked)


def fitted(protocol, fold=0):
    fit = {"protocol": protocol.describe(), "fold": fold}
    return PRETRAINED | {"kind": "prompt", "fit": fit}


def test_a_fitted_network_is_scored_on_its_own_test_part_alone(path):
    corpus = Corpus(path)
    own = protocol_of(corpus)
    other = protocol_of(corpus, ("test", "validation", "train"))
    assert look(path, fitted(own), protocol=own).found == []
    (found,) = look(path, fitted(other), protocol=own).found
    assert found.by == "fit"
    assert len(found.ids) == 8


def test_a_fitted_network_may_be_scored_on_another_dataset(path, tmp_path):
    elsewhere = dataset(tmp_path, name="other")
    metadata = fitted(protocol_of(Corpus(elsewhere), ("test", "validation", "train")))
    assert look(path, metadata).found == []


def test_a_fitted_network_that_does_not_tell_its_clips_is_unchecked(path):
    old = PRETRAINED | {"kind": "prompt", "fit": {"protocol": {"name": "by_split"}}}
    assert any("fitted on are not recorded" in line for line in look(path, old).unchecked)


def test_a_refusal_names_the_clips_and_the_two_ways_out():
    lines = [f"fold {n}: normalisation saw 3 clips" for n in range(7)]
    with pytest.raises(ValueError, match=r"(?s)fold 0: norm.*and 2 more.*--like.*=seen_test"):
        seen.refuse(lines)
