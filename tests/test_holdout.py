"""Clips that a protocol tests on stay out of training, held-out losses and the tokenizer."""

import dataclasses
import json
import sys

import corpora
import numpy as np
import pytest
import runs

from memobert_jax import (
    checkpoint,
    features,
    holdout,
    published,
    reader,
    sources,
    tokenizer,
    train,
)
from memobert_jax.data import TrainData
from memobert_jax.features import FeaturesDataset

ACTORS = [f"{number:02d}" for number in range(1, 25)]
CLASSES = published.PUBLISHED["ravdess_5fold_actor"].classes
NAME = "ravdess_5fold_actor:1"
TESTED = ("03", "06", "07", "13", "18")


def acted(folder, *, name="ravdess", version="1.0.0"):
    metadata = {"dataset": {"name": name, "config": "", "version": version}}
    clips = corpora.acted(ACTORS, CLASSES[:2])
    return corpora.write(folder, name=name, metadata=metadata, everything=clips)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return acted(tmp_path_factory.mktemp("ravdess"))


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    clips = {"train": corpora.plain(100, 24), "validation": corpora.plain(200, 8)}
    return corpora.write(tmp_path_factory.mktemp("other"), **clips)


def of(dataset, hold_out):
    found = FeaturesDataset(dataset, "everything")
    speakers = dict(zip(found.column("id"), found.column("speaker"), strict=True))
    return sorted({speakers[name] for name in holdout.ids(found, hold_out)})


def test_the_clips_of_the_test_part_are_held_out(corpus, tmp_path):
    assert of(corpus, (NAME,)) == list(TESTED)
    assert of(corpus, ()) == []
    both = (NAME, "ravdess_5fold_actor:4")
    assert of(corpus, both) == sorted((*TESTED, "01", "04", "09", "22"))
    own = {
        "name": "mine",
        "version": 1,
        "by": "speaker",
        "disjoint": [],
        "folds": [{"test": ["05"]}],
    }
    own["folds"][0] |= {"train": ["01"], "validation": ["02"]}
    (tmp_path / "mine.json").write_text(json.dumps(own))
    assert of(corpus, (f"{tmp_path}/mine.json:0",)) == ["05"]


def test_a_protocol_of_another_dataset_holds_nothing_out(tmp_path):
    assert of(acted(tmp_path, name="crema_d"), (NAME,)) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("ravdess_5fold_actor", "expected a protocol and the number of a fold"),
        ("ravdess_5fold_actor:9", "has 5 folds, numbered from 0"),
        ("ravdess_5folds:0", "did you mean 'ravdess_5fold_actor'"),
    ],
)
def test_a_hold_out_that_there_is_not_is_refused(corpus, given, message):
    with pytest.raises(ValueError, match=message):
        of(corpus, (given,))


def test_another_version_of_the_dataset_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"is for the dataset ravdess 1, but .* 2\.0\.0"):
        of(acted(tmp_path, version="2.0.0"), (NAME,))


def test_training_and_its_description_leave_them_out(corpus, other):
    cfg = runs.config(f"{corpus}:everything", other, data={"hold_out": (NAME,)})
    data = TrainData(cfg, runs.tokens())
    speakers = FeaturesDataset(corpus, "everything").column("speaker")
    used = {speakers[clip] for clip in data.sources[0].clips}
    assert used == set(ACTORS) - set(TESTED)
    assert "10 dropped: held out (ravdess_5fold_actor:1)" in data.describe()
    model = train.fill_model(cfg, runs.tokens(), data.layout.widths)
    described = train._describe(dataclasses.replace(cfg, model=model), data)["data"]
    assert [len(one["held_out"]) for one in described] == [10, 0]
    assert [one["split"] for one in described] == ["everything", "train"]
    checkpoint.check_same({"data": described}, {"data": described}, "a run")
    older = [{k: v for k, v in one.items() if k != "held_out"} for one in described[1:]]
    checkpoint.check_same({"data": older}, {"data": described[1:]}, "a run of an older version")
    with pytest.raises(ValueError, match="its data differs"):
        checkpoint.check_same({"data": described}, {"data": older}, "a run")


def test_held_out_losses_come_from_sources_that_have_the_split(corpus, other):
    from memobert_jax import heldout

    cfg = runs.config(f"{corpus}:everything", other, data={"hold_out": (NAME,)})
    _, passes = heldout.heldout(cfg, runs.tokens())
    ids = FeaturesDataset(other, "validation").column("id")
    shown = {view.index for row in passes[0].rows for view in row}
    assert shown <= set(range(len(ids)))
    alone = runs.config(f"{corpus}:everything")
    with pytest.raises(ValueError, match="no source has a split 'validation'"):
        heldout.heldout(alone, runs.tokens())


def test_a_folder_with_a_colon_in_its_name_is_a_folder(tmp_path):
    (tmp_path / "a:b").mkdir()
    assert reader.split_of(f"{tmp_path}/a:b", "train") == (f"{tmp_path}/a:b", "train", False)
    assert reader.split_of(f"{tmp_path}/a:b:test", "train") == (f"{tmp_path}/a:b", "test", True)


def test_a_tokenizer_does_not_read_them(corpus, other, tmp_path, monkeypatch):
    path = tmp_path / "own.model"
    inputs = (f"--input={corpus}:everything", f"--input={other}")
    given = (*inputs, f"--output={path}", "--vocab_size=90", "--hold_out", NAME)
    monkeypatch.setattr(sys, "argv", ["tokenizer", *given])
    tokenizer.main()
    said = tokenizer.sources(path, tokenizer.load(path).fingerprint)
    assert [len(one["held_out"]) for one in said] == [10, 0]
    assert said[0]["split"] == "everything"


def test_sources_agree_on_the_modalities_that_both_have(corpus, tmp_path):
    encoders = {
        "face": {"name": "none", "version": 0, "weights_sha256": "", "width": 1, "rate_hz": 0.0},
        "speech": {"name": "logmel", "version": 1, "weights_sha256": "", "width": 20,
                   "rate_hz": 16.7},
    }  # fmt: skip
    rng, widths = np.random.default_rng(0), {"face": 1, "speech": 20}
    blind = corpora.NO_FACE | {"face": np.zeros((0, 1), np.float16)}
    made = [corpora.samples.clip(n, rng, widths=widths, **blind) for n in range(16)]
    folder = features.write(
        tmp_path, {"train": made}, widths=widths, metadata={"encoders": encoders, "extract": {}}
    )
    cfg = runs.config(f"{corpus}:everything", folder)
    data = TrainData(cfg, runs.tokens())
    shared = sources.shared([source.dataset for source in data.sources])
    assert shared["encoders"]["face"]["name"] == "pixels"
    assert sources.widths_of([source.dataset for source in data.sources]).face == 24
    seen = {data.locate(row)[0] for row in range(16)}
    assert seen == {0, 1}
    for step in range(2):
        assert data.batch(step)["face"].shape[-1] == 24
