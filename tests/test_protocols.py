"""Protocols: nothing that is scored may be fitted on, and no class may be absent."""

import dataclasses

import corpora
import numpy as np
import pytest
import samples
from corpora import plain

from memobert_jax import fewshot, folds, protocols, record
from memobert_jax.config import EvaluateConfig, FitConfig
from memobert_jax.corpus import Corpus
from memobert_jax.fewshot import Size, few_shot

CLASSES = samples.CLASSES
SPLITS = {"train": "train", "validation": "validation", "test": "test"}
DISJOINT = ("video_id", "speaker")


def by_split(corpus, splits=None, classes=CLASSES, disjoint=DISJOINT, **changes):
    splits = splits or SPLITS
    definition = folds.by_split(splits, disjoint)
    return protocols.make(corpus, definition, classes, needed=tuple(splits), **changes)


def own(given, by="speaker", disjoint=("speaker",), unseen=()):
    """A user's protocol of some folds."""
    return folds.Definition("own", 1, by, lambda column: given, disjoint, unseen)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    odd = [(104, {"emotion": -1}), (105, {"emotion": record.EMOTIONS.index("fear")})]
    path = corpora.write(
        folder, train=plain(0, 32), validation=plain(32, 8), test=plain(40, 16) + odd
    )
    return Corpus(path, SPLITS.values())


@pytest.fixture(scope="module")
def protocol(corpus):
    return by_split(corpus)


def test_parts_hold_the_labelled_clips_and_the_others_are_counted(protocol):
    (fold,) = protocol.folds
    assert {part: len(clips) for part, clips in fold.parts.items()} == {
        "train": 32,
        "validation": 8,
        "test": 16,
    }
    assert protocol.counts("test") == dict.fromkeys(CLASSES, 4)
    assert fold.excluded["train"] == {}
    assert fold.excluded["test"] == {"label fear is not among the classes": 1, "no label": 1}


def test_a_clip_without_any_modality_is_left_out_and_counted(tmp_path):
    test = [*plain(64, 4), (68, corpora.NOTHING)]
    found = by_split(
        corpora.corpus(tmp_path, train=plain(0, 4), validation=plain(32, 4), test=test)
    )
    assert len(found.folds[0].parts["test"]) == 4
    assert found.folds[0].excluded["test"] == {"no modality": 1}
    assert found.describe()["folds"][0]["excluded"]["test"] == {"no modality": 1}


def test_a_class_that_is_no_label_name_is_refused(corpus):
    with pytest.raises(ValueError, match=r"names \['happy'\]; expected some of anger"):
        by_split(corpus, classes=("anger", "happy"))


def test_a_clip_on_two_sides_is_a_leak_and_is_named(tmp_path):
    clips = plain(0, 8), plain(8, 8), [(n, {"video_id": f"v{n}"}) for n in range(4, 8)]
    corpus = corpora.corpus(tmp_path, train=clips[0], validation=clips[1], test=clips[2])
    with pytest.raises(ValueError, match=r"train and test share 4 values of id \('clip4', "):
        by_split(corpus)


@pytest.mark.parametrize(("column", "value"), [("speaker", "anna"), ("video_id", "talk1")])
def test_a_group_on_two_sides_is_a_leak_unless_it_is_asked_for(tmp_path, column, value):
    corpus = corpora.corpus(
        tmp_path,
        train=plain(0, 4, **{column: value}),
        validation=plain(32, 4),
        test=plain(64, 4, **{column: value}),
    )
    message = rf"train and test share 1 values of {column} \('{value}'; 4 clips of test: 'clip64', "
    with pytest.raises(ValueError, match=message):
        by_split(corpus)
    allowed = tuple(name for name in DISJOINT if name != column)
    assert len(by_split(corpus, disjoint=allowed).folds[0].parts["test"]) == 4


def test_an_unlabelled_clip_leaks_a_speaker_as_well(tmp_path):
    train = [*plain(0, 4), (200, {"speaker": "anna", "emotion": -1})]
    corpus = corpora.corpus(
        tmp_path, train=train, validation=plain(32, 4), test=plain(64, 4, speaker="anna")
    )
    with pytest.raises(ValueError, match="share 1 values of speaker"):
        by_split(corpus)


def test_clips_without_a_speaker_name_share_nobody_and_are_said_to_be_unchecked(tmp_path):
    parts = {part: plain(n * 32, 4, speaker="") for n, part in enumerate(SPLITS)}
    found = by_split(corpora.corpus(tmp_path, **parts))
    assert len(found.folds[0].parts["train"]) == 4
    assert found.unchecked == {"speaker": 12}


def test_selecting_on_test_is_refused_unless_it_is_asked_for_by_name(corpus):
    both = {"train": "train", "validation": "test", "test": "test"}
    with pytest.raises(ValueError, match=r"share 18 values of id .*--reproduce=test_oracle"):
        by_split(corpus, both)
    honest = by_split(corpus)
    found = by_split(corpus, test_oracle=True)
    parts = found.folds[0].parts
    assert parts["validation"].tolist() == parts["test"].tolist()
    assert parts["test"].tolist() == honest.folds[0].parts["test"].tolist()
    assert found.fingerprint != honest.fingerprint


def test_the_oracle_allows_no_other_leak(tmp_path):
    corpus = corpora.corpus(
        tmp_path, train=plain(0, 4, speaker="anna"), test=plain(64, 4, speaker="anna")
    )
    with pytest.raises(ValueError, match="train and validation share 1 values of speaker"):
        by_split(corpus, {"train": "train", "test": "test"}, test_oracle=True)


def test_an_empty_part_is_refused_with_what_was_left_out(tmp_path):
    corpus = corpora.corpus(
        tmp_path, train=plain(0, 4), validation=plain(32, 4, emotion=-1), test=plain(64, 4)
    )
    with pytest.raises(
        ValueError, match=r"validation part \(split 'validation'\) is empty.*'no label': 4"
    ):
        by_split(corpus)


@pytest.mark.parametrize("part", SPLITS)
def test_a_part_without_a_class_is_refused(tmp_path, part):
    parts = {name: plain(n * 32, 4) for n, name in enumerate(SPLITS)}
    parts[part] = parts[part][:2]
    corpus = corpora.corpus(tmp_path, **parts)
    with pytest.raises(ValueError, match=f"the {part} part .* no clip of neutral, sadness"):
        by_split(corpus)


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    """Six speakers of two sessions in one split, each with two clips of a class."""
    clips = corpora.acted("abcdef", CLASSES * 2, session=lambda s: "one" if s < "d" else "two")
    return corpora.corpus(tmp_path_factory.mktemp("groups"), everything=clips)


FOLDS = [
    {"train": ["a", "b"], "validation": ["c"], "test": ["d"]},
    {"train": ["a", "b"], "validation": ["d"], "test": ["c"]},
]


def test_a_protocol_of_ones_own_deals_clips_out_by_a_column(groups):
    found = protocols.make(groups, own(FOLDS), CLASSES)
    speakers = groups.column("speaker")
    for fold, given in zip(found.folds, FOLDS, strict=True):
        assert {part: sorted(set(speakers[clips])) for part, clips in fold.parts.items()} == given
        assert fold.excluded[protocols.NO_PART] == {"speaker in no part": 16}


def test_a_leak_in_a_protocol_of_ones_own_is_refused(groups):
    with pytest.raises(ValueError, match=r"own leaks: .* train and test share 16 values of id"):
        protocols.make(
            groups, own([FOLDS[0] | {"train": ["a", "b", "d", "e"], "test": ["d", "e"]}]), CLASSES
        )
    with pytest.raises(ValueError, match="train and validation share 1 values of session"):
        protocols.make(groups, own(FOLDS, disjoint=("speaker", "session")), CLASSES)


def test_validation_and_test_may_share_what_only_train_may_not_have(groups):
    held_out = [{"train": ["a", "b"], "validation": ["d"], "test": ["e"]}]
    assert protocols.make(groups, own(held_out, unseen=("session",)), CLASSES)
    with pytest.raises(ValueError, match=r"train and validation share 1 values of session \('one'"):
        protocols.make(groups, own(FOLDS[:1], unseen=("session",)), CLASSES)


def test_a_clip_that_is_tested_in_two_folds_is_refused(groups):
    twice = [FOLDS[0], {"train": ["a"], "validation": ["b"], "test": ["d"]}]
    with pytest.raises(ValueError, match=r"8 ids .* in the test part more than once"):
        protocols.make(groups, own(twice), CLASSES)


def test_a_group_that_no_clip_has_is_named(groups):
    with pytest.raises(ValueError, match="the test part names speaker 'z', of which"):
        protocols.make(groups, own([FOLDS[0] | {"test": ["d", "z"]}]), CLASSES)


def test_a_fold_without_a_class_is_refused_by_its_number(tmp_path):
    clips = corpora.acted("abcd", CLASSES)[:-1]
    with pytest.raises(
        ValueError, match=r"fold 0: the test part \(speaker 'd'\) has no clip of sad"
    ):
        protocols.make(corpora.corpus(tmp_path, everything=clips), own(FOLDS), CLASSES)


def test_an_empty_validation_part_of_a_fold_is_refused(groups):
    with pytest.raises(
        ValueError, match=r"the validation part \(speaker without a name\) is empty"
    ):
        protocols.make(groups, own([FOLDS[0] | {"validation": []}]), CLASSES)


@pytest.mark.parametrize("seed", [0, 1])
def test_few_shot_subsets_are_stratified_and_nested(protocol, seed):
    smaller: set = set()
    for per_class in range(1, 9):
        clips = few_shot(protocol, Size(per_class), seed)
        assert np.bincount(protocol.labels.values[clips]).tolist() == [per_class] * 4
        assert smaller < set(clips.tolist())
        smaller = set(clips.tolist())
    assert smaller == set(few_shot(protocol, Size(), seed).tolist())


def test_shares_are_of_every_class_and_nested_with_each_other_and_with_counts(protocol):
    drawn = [few_shot(protocol, Size(share=share), 0) for share in (0.01, 0.25, 0.4, 0.6)]
    counts = [np.bincount(protocol.labels.values[clips]).tolist() for clips in drawn]
    assert counts == [[1] * 4, [2] * 4, [3] * 4, [5] * 4]
    assert drawn[1].tolist() == few_shot(protocol, Size(2), 0).tolist()
    sets = [set(clips.tolist()) for clips in drawn]
    assert sets[0] < sets[1] < sets[2] < sets[3]


def test_few_shot_subsets_depend_on_the_seed_alone(protocol):
    drawn = [few_shot(protocol, Size(2), seed).tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_more_clips_than_a_class_has_are_refused(protocol):
    with pytest.raises(ValueError, match=r"per_class = 9.*'anger': 8.*lower per_class.*fewer"):
        few_shot(protocol, Size(9), 0)


def test_a_class_with_fewer_clips_gives_all_of_them_where_that_is_asked_for(tmp_path):
    clips = [*plain(0, 12), *plain(12, 4, emotion=0)]
    corpus = corpora.corpus(tmp_path, train=clips, validation=plain(32, 4), test=plain(64, 4))
    found = by_split(corpus)
    counts = list(found.counts("train").values())
    assert len(set(counts)) == 2
    least, most = min(counts), max(counts)
    drawn = few_shot(found, Size(most - 1), 0, fewer=True)
    assert np.bincount(found.labels.values[drawn]).tolist() == [
        min(count, most - 1) for count in counts
    ]
    assert list(fewshot.short(found, Size(most - 1), 0).values()) == [least] * 3


def test_the_sizes_of_a_configuration_have_labels_of_their_own():
    fit = FitConfig(per_class=(1, 8, 0), shares=(0.1, 0.6))
    assert [size.label for size in fewshot.sizes(fit)] == [1, 8, 0, "10%", "60%"]
    with pytest.raises(ValueError, match="both empty"):
        FitConfig(per_class=())


def test_the_fingerprint_changes_with_whatever_decides_which_clip_is_where(protocol, corpus):
    assert by_split(corpus).fingerprint == protocol.fingerprint
    (fold,) = protocol.folds
    fewer = fold._replace(parts={**fold.parts, "test": fold.parts["test"][1:]})
    labels = protocol.labels._replace(values=protocol.labels.values.copy())
    labels.values[0] = 3
    changed = [
        by_split(corpus, classes=CLASSES[::-1]),
        by_split(corpus, disjoint=("video_id",)),
        dataclasses.replace(protocol, folds=(fewer,)),
        dataclasses.replace(protocol, labels=labels),
        dataclasses.replace(
            protocol, definition=dataclasses.replace(protocol.definition, version=2)
        ),
    ]
    assert len({p.fingerprint for p in (protocol, *changed)}) == 6


def test_the_fingerprint_is_the_same_for_features_of_another_encoder(corpus, protocol, tmp_path):
    encoders = {**samples.ENCODERS, "face": {**samples.ENCODERS["face"], "version": 2}}
    parts = {"train": plain(0, 32), "validation": plain(32, 8), "test": plain(40, 16)}
    other = corpora.corpus(tmp_path, metadata={"encoders": encoders}, **parts)
    found = by_split(other)
    assert found.source["fingerprints"] != protocol.source["fingerprints"]
    assert found.fingerprint == protocol.fingerprint


def test_parts_that_are_not_needed_may_be_left_out(corpus):
    found = by_split(corpus, {"test": "test"})
    assert set(found.describe()["folds"][0]["clips"]) == {"test"}


def test_every_part_has_a_name_in_the_configuration():
    assert all(hasattr(EvaluateConfig(), f"{part}_split") for part in folds.PARTS)
