"""Protocols: nothing that is scored may be fitted on, and no class may be absent."""

import dataclasses

import numpy as np
import pytest
import samples

from memobert_jax import features, protocols, record
from memobert_jax.protocols import Corpus, by_split, few_shot

CLASSES = samples.CLASSES
SPLITS = {"train": "train", "validation": "validation", "test": "test"}
DISJOINT = ("video_id", "speaker")


def write(folder, **splits):
    """A dataset of splits, each a list of (clip number, fields)."""
    rng = np.random.default_rng(0)
    made = {
        name: [samples.clip(number, rng, **fields) for number, fields in clips]
        for name, clips in splits.items()
    }
    return features.write(folder, made, widths=samples.WIDTHS)


def plain(first, count, **fields):
    return [(number, fields) for number in range(first, first + count)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    odd = [(104, {"emotion": -1}), (105, {"emotion": record.EMOTIONS.index("fear")})]
    return Corpus(
        write(folder, train=plain(0, 32), validation=plain(32, 8), test=plain(40, 16) + odd),
        SPLITS.values(),
    )


@pytest.fixture(scope="module")
def protocol(corpus):
    return by_split(corpus, SPLITS, CLASSES, DISJOINT)


def test_a_corpus_numbers_the_clips_of_its_splits_end_to_end(corpus):
    assert len(corpus) == 58
    assert corpus.clips_of("validation").tolist() == list(range(32, 40))
    for number in (0, 31, 32, 39, 40, 57):
        assert corpus.read(number, ("id",))["id"] == corpus.column("id")[number]
    assert corpus.column("id")[40] == "clip40"


def test_parts_hold_the_labelled_clips_and_the_others_are_counted(protocol):
    assert {part: len(clips) for part, clips in protocol.parts.items()} == {
        "train": 32,
        "validation": 8,
        "test": 16,
    }
    assert protocol.counts("test") == dict.fromkeys(CLASSES, 4)
    assert protocol.excluded["train"] == {}
    assert protocol.excluded["test"] == {
        "label fear is not among the classes": 1,
        "no label": 1,
    }


def test_labels_are_places_in_the_classes_whatever_their_order(corpus):
    turned = by_split(corpus, SPLITS, CLASSES[::-1], DISJOINT)
    assert turned.labels[:4].tolist() == [3, 2, 1, 0]
    assert turned.labels[-2:].tolist() == [-1, -1]


def test_a_class_that_is_no_label_name_is_refused(corpus):
    with pytest.raises(ValueError, match=r"names \['happy'\]; expected some of anger"):
        by_split(corpus, SPLITS, ("anger", "happy"), DISJOINT)


def test_a_speaker_on_two_sides_is_a_leak_and_is_named(tmp_path):
    clips = plain(0, 8), plain(8, 8), [(n, {"video_id": f"v{n}"}) for n in range(4, 12)]
    path = write(tmp_path, train=clips[0], validation=clips[1], test=clips[2][:4])
    with pytest.raises(ValueError, match="share 4 values of id"):
        by_split(Corpus(path, SPLITS.values()), SPLITS, CLASSES, DISJOINT)


@pytest.mark.parametrize(("column", "value"), [("speaker", "anna"), ("video_id", "talk1")])
def test_a_group_on_two_sides_is_a_leak_unless_it_is_asked_for(tmp_path, column, value):
    path = write(
        tmp_path,
        train=plain(0, 4, **{column: value}),
        validation=plain(32, 4),
        test=plain(64, 4, **{column: value}),
    )
    corpus = Corpus(path, SPLITS.values())
    with pytest.raises(ValueError, match=rf"train and test share 1 values of {column} \('{value}'"):
        by_split(corpus, SPLITS, CLASSES, DISJOINT)
    allowed = tuple(name for name in DISJOINT if name != column)
    assert len(by_split(corpus, SPLITS, CLASSES, allowed).parts["test"]) == 4


def test_an_unlabelled_clip_leaks_a_speaker_as_well(tmp_path):
    train = [*plain(0, 4), (200, {"speaker": "anna", "emotion": -1})]
    path = write(tmp_path, train=train, validation=plain(32, 4), test=plain(64, 4, speaker="anna"))
    with pytest.raises(ValueError, match="share 1 values of speaker"):
        by_split(Corpus(path, SPLITS.values()), SPLITS, CLASSES, DISJOINT)


def test_clips_without_a_speaker_name_share_nobody(tmp_path):
    parts = {part: plain(n * 32, 4, speaker="") for n, part in enumerate(SPLITS)}
    corpus = Corpus(write(tmp_path, **parts), SPLITS.values())
    assert len(by_split(corpus, SPLITS, CLASSES, DISJOINT).parts["train"]) == 4


def test_one_split_cannot_be_two_parts(corpus):
    with pytest.raises(ValueError, match=r"share 8 values of id .* three different splits"):
        by_split(corpus, {"validation": "validation", "test": "validation"}, CLASSES, DISJOINT)


def test_an_empty_part_is_refused_with_what_was_left_out(tmp_path):
    path = write(
        tmp_path, train=plain(0, 4), validation=plain(32, 4, emotion=-1), test=plain(64, 4)
    )
    with pytest.raises(ValueError, match=r"validation part is empty.*'no label': 4"):
        by_split(Corpus(path, SPLITS.values()), SPLITS, CLASSES, DISJOINT)


@pytest.mark.parametrize("part", SPLITS)
def test_a_part_without_a_class_is_refused(tmp_path, part):
    parts = {name: plain(n * 32, 4) for n, name in enumerate(SPLITS)}
    parts[part] = parts[part][:2]
    with pytest.raises(ValueError, match=f"the {part} part .* no clip of neutral, sadness"):
        by_split(Corpus(write(tmp_path, **parts), SPLITS.values()), SPLITS, CLASSES, DISJOINT)


@pytest.mark.parametrize("seed", [0, 1])
def test_few_shot_subsets_are_stratified_and_nested(protocol, seed):
    smaller: set = set()
    for per_class in range(1, 9):
        clips = few_shot(protocol, per_class, seed)
        assert np.bincount(protocol.labels[clips]).tolist() == [per_class] * 4
        assert smaller < set(clips.tolist())
        smaller = set(clips.tolist())
    assert smaller == set(few_shot(protocol, 0, seed).tolist())


def test_few_shot_subsets_depend_on_the_seed_alone(protocol):
    drawn = [few_shot(protocol, 2, seed).tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_more_clips_than_a_class_has_are_refused(protocol):
    with pytest.raises(ValueError, match=r"per_class = 9.*'anger': 8.*lower per_class"):
        few_shot(protocol, 9, 0)


def test_the_fingerprint_changes_with_whatever_decides_which_clip_is_where(protocol, corpus):
    again = by_split(corpus, SPLITS, CLASSES, DISJOINT)
    assert again.fingerprint == protocol.fingerprint
    parts = dict(protocol.parts) | {"test": protocol.parts["test"][1:]}
    changed = [
        by_split(corpus, SPLITS, CLASSES[::-1], DISJOINT),
        by_split(corpus, SPLITS, CLASSES, ("video_id",)),
        dataclasses.replace(protocol, parts=parts),
        dataclasses.replace(protocol, version=2),
    ]
    assert len({p.fingerprint for p in (protocol, *changed)}) == 5


def test_parts_that_are_not_needed_may_be_left_out(corpus):
    found = by_split(corpus, {"test": "test"}, CLASSES, DISJOINT)
    assert set(found.describe()["clips"]) == {"test"}


def test_every_part_has_a_name_in_the_configuration():
    from memobert_jax.config import EvaluateConfig

    assert all(hasattr(EvaluateConfig(), f"{part}_split") for part in protocols.PARTS)
