"""Corpora: one numbering for the clips of all splits, and the dataset that they are of."""

import corpora
import pytest
from corpora import plain

from memobert_jax.corpus import Corpus


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    return corpora.write(
        folder, name="ravdess", train=plain(0, 32), validation=plain(32, 8), test=plain(40, 18)
    )


def test_the_clips_of_the_splits_are_numbered_end_to_end(path):
    corpus = Corpus(path, ("train", "validation", "test"))
    assert len(corpus) == 58
    assert corpus.clips_of("validation").tolist() == list(range(32, 40))
    for number in (0, 31, 32, 39, 40, 57):
        assert corpus.read(number, ("id",))["id"] == corpus.column("id")[number]
    assert corpus.column("id")[40] == "clip40"
    assert corpus.column("split")[[31, 32, 40]].tolist() == ["train", "validation", "test"]


def test_without_names_all_splits_are_opened(path):
    assert sorted(Corpus(path).splits) == ["test", "train", "validation"]


def test_what_a_clip_has_is_told_by_its_lengths(tmp_path):
    corpus = corpora.corpus(tmp_path, train=[(0, {}), (1, corpora.NO_FACE), (2, corpora.NOTHING)])
    assert corpus.has("face").tolist() == [True, False, False]
    assert corpus.has("speech").tolist() == [True, True, False]
    assert corpus.empty.tolist() == [False, False, True]


def test_the_dataset_is_the_one_that_a_builder_made(path, tmp_path):
    assert Corpus(path).dataset == {"name": "ravdess", "config": "", "version": "1.0.0"}
    made = {"name": "iemocap", "config": "4class", "version": "1.2.0"}
    featurized = {"clips_fingerprint": "abc", "dataset": made}
    new = corpora.corpus(tmp_path / "new", name="iemocap", metadata=featurized, train=plain(0, 4))
    assert new.dataset == made
    old = {"clips_fingerprint": "abc"}
    old = corpora.corpus(tmp_path / "old", name="iemocap", metadata=old, train=plain(0, 4))
    assert old.dataset == {"name": "iemocap", "config": "", "version": ""}
