"""The named protocols: the folds of the papers, for the dataset that they are made for."""

import itertools
import json

import corpora
import numpy as np
import pytest
from corpora import acted, plain

from configs import evaluate_protocol
from memobert_jax import config, fewshot, folds, protocols, published, record
from memobert_jax.config import SENTIMENTS, TARGETS
from memobert_jax.folds import GROUPS, PARTS
from memobert_jax.published import PUBLISHED

FOUR = ("anger", "happiness", "neutral", "sadness")


def made(corpus, name, **changes):
    definition = published.find(name)
    return protocols.make(corpus, definition, changes.pop("classes", definition.classes), **changes)


def values(corpus, protocol, column, part):
    """The values of a column in a part of each fold."""
    return [sorted(set(corpus.column(column)[fold.parts[part]])) for fold in protocol.folds]


@pytest.fixture(scope="module")
def iemocap(tmp_path_factory):
    folder = tmp_path_factory.mktemp("iemocap")
    return corpora.corpus(folder, name="iemocap", everything=corpora.iemocap(FOUR))


def test_iemocap_10_fold_holds_a_session_out_and_tests_each_speaker_once(iemocap):
    found = made(iemocap, "iemocap_4_10fold")
    assert len(found.folds) == 10
    tested = values(iemocap, found, "speaker", "test")
    assert sorted(tested) == [[s] for s in sorted(set(iemocap.column("speaker")))]
    for (test,), (validation,), train in zip(
        tested,
        values(iemocap, found, "speaker", "validation"),
        values(iemocap, found, "session", "train"),
        strict=True,
    ):
        assert validation[:5] == test[:5]
        assert validation != test
        assert len(train) == 4
        assert test[:5] not in train


def test_iemocap_5_fold_validates_on_the_next_session(iemocap):
    found = made(iemocap, "iemocap_4_5fold_session")
    sessions = [[f"Ses0{n}"] for n in range(1, 6)]
    assert values(iemocap, found, "session", "test") == sessions
    assert values(iemocap, found, "session", "validation") == [*sessions[1:], sessions[0]]
    assert [len(train) for train in values(iemocap, found, "session", "train")] == [3] * 5


def test_an_iemocap_of_other_classes_is_refused(tmp_path):
    corpus = corpora.corpus(
        tmp_path, name="iemocap", everything=corpora.iemocap((*FOUR, "excitement"))
    )
    with pytest.raises(ValueError, match="has excitement too: the same names mean other clips"):
        made(corpus, "iemocap_4_10fold")


def test_a_session_that_lacks_a_speaker_is_refused(tmp_path):
    clips = [clip for clip in corpora.iemocap(FOUR) if clip[1]["speaker"] != "Ses03M"]
    corpus = corpora.corpus(tmp_path, name="iemocap", everything=clips)
    with pytest.raises(ValueError, match=r"two speakers in each session.*'Ses03': \['Ses03F'\]"):
        made(corpus, "iemocap_4_10fold")


def test_msp_improv_takes_improvised_clips_with_a_face(tmp_path):
    clips = acted([f"{g}0{n}" for n in range(1, 7) for g in "FM"], FOUR, session=lambda s: s[1:])
    named = []
    for number, (_, fields) in enumerate(clips):
        setting = "R" if fields["speaker"] == "F01" and fields["emotion"] == 0 else "S"
        name = f"MSP-IMPROV-S{number:02d}A-{fields['speaker']}-{setting}-FM01"
        fields["dialogue"] = f"{fields['session']}_{number}"
        named.append((number, fields | {"id": name}))
    # M01 has a further clip of anger without a face; the R clip of F01 is its only one of anger
    named.append((99, dict(named[4][1]) | {"id": "MSP-IMPROV-S99A-M01-S-FM01"} | corpora.NO_FACE))
    named.append((98, dict(named[0][1]) | {"id": "MSP-IMPROV-S98A-F01-S-FM01"}))
    corpus = corpora.corpus(tmp_path, name="msp_improv", everything=named)
    found = made(corpus, "msp_improv_12fold")
    assert len(found.folds) == 12
    tested = [fold.parts["test"] for fold in found.folds]
    assert sorted(np.concatenate(tested).tolist()) == [n for n in range(50) if n not in (0, 48)]
    excluded = {why for fold in found.folds for why in fold.excluded["test"].items()}
    ids = PUBLISHED["msp_improv_12fold"].ids
    assert excluded == {(f"id does not match {ids}", 1), ("no face", 1)}


@pytest.mark.parametrize(
    ("name", "dataset", "speakers"),
    [
        ("ravdess_5fold_actor", "ravdess", [f"{n:02d}" for n in range(1, 25)]),
        ("crema_d_5fold_actor", "crema_d", [str(n) for n in range(1001, 1092)]),
    ],
)
def test_five_folds_of_actors_test_each_once_and_validate_on_the_next(
    tmp_path, name, dataset, speakers
):
    corpus = corpora.corpus(tmp_path, name=dataset, train=acted(speakers, PUBLISHED[name].classes))
    found = made(corpus, name)
    tested = values(corpus, found, "speaker", "test")
    assert sorted(itertools.chain(*tested)) == speakers
    assert values(corpus, found, "speaker", "validation") == [*tested[1:], tested[0]]
    train = values(corpus, found, "speaker", "train")
    assert [
        len(t) + len(v) + len(s)
        for t, v, s in zip(train, [*tested[1:], tested[0]], tested, strict=True)
    ] == [len(speakers)] * 5
    if name.startswith("ravdess"):
        assert tested[0] == ["02", "05", "14", "15", "16"]
        assert tested[4] == ["01", "04", "09", "22"]


def official(folder, name, **fields):
    classes = PUBLISHED[name].classes or FOUR
    parts = {}
    for n, part in enumerate(PARTS):
        clips = [(number + 100 * n, given) for number, (_, given) in
                 enumerate(acted([part], classes, dialogue=lambda s: s, **fields))]  # fmt: skip
        parts[part] = [(number, given | {"speaker": "Joey"}) for number, given in clips]
    dataset = PUBLISHED[name].dataset
    return corpora.corpus(folder, name=dataset, **parts)


@pytest.mark.parametrize("name", ["meld_official", "goemotions_official"])
def test_official_splits_are_the_parts_and_characters_may_return(tmp_path, name):
    corpus = official(tmp_path, name)
    found = made(corpus, name, classes=PUBLISHED[name].classes or FOUR)
    assert [values(corpus, found, "split", part) for part in PARTS] == [[[part]] for part in PARTS]


def test_mosei_has_six_emotions_at_once_or_the_sentiment(tmp_path):
    def intensities(speaker):
        return np.full(len(record.EMOTIONS), 1, np.float32)

    corpus = official(tmp_path, "cmu_mosei_official", emotions=intensities, sentiment=np.float32(1))
    found = made(corpus, "cmu_mosei_official", target="emotions")
    assert found.counts("test") == dict.fromkeys(PUBLISHED["cmu_mosei_official"].classes, 6)
    assert len(fewshot.few_shot(found, fewshot.Size(2), 0)) in range(2, 7)
    with pytest.raises(ValueError, match="has no target 'emotion'; it has emotions, sentiment_2"):
        made(corpus, "cmu_mosei_official")
    with pytest.raises(ValueError, match="no clip of negative"):
        made(corpus, "cmu_mosei_official", target="sentiment_2", classes=SENTIMENTS["sentiment_2"])


def test_a_protocol_for_another_dataset_or_version_is_refused(tmp_path, iemocap):
    with pytest.raises(
        ValueError, match=r"is for the dataset msp_improv 1, but .* is iemocap 1.0.0"
    ):
        made(iemocap, "msp_improv_12fold")
    for version, passes in (("1.3.0", True), ("", True), ("2.0.0", False), ("10.0.0", False)):
        metadata = {"dataset": {"name": "iemocap", "config": "4class", "version": version}}
        corpus = corpora.corpus(
            tmp_path / (version or "none"),
            name="iemocap",
            metadata=metadata,
            everything=corpora.iemocap(FOUR),
        )
        if passes:
            assert made(corpus, "iemocap_4_10fold")
        else:
            with pytest.raises(ValueError, match=f"dataset iemocap 1, but .* is iemocap {version}"):
                made(corpus, "iemocap_4_10fold")


def test_other_classes_are_refused_with_what_to_type(iemocap):
    with pytest.raises(ValueError, match=r"label_words=\"\('angry', 'happy', 'neutral', 'sad'\)\""):
        made(iemocap, "iemocap_4_10fold", classes=("anger", "happiness"))


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="'ravdess_5fold'; did you mean 'ravdess_5fold_actor'"):
        published.find("ravdess_5fold")


@pytest.mark.parametrize("definition", PUBLISHED.values(), ids=list(PUBLISHED))
def test_a_published_protocol_is_declared_with_known_names(definition):
    assert definition.by in (*GROUPS, "split")
    assert {*definition.disjoint, *definition.unseen} <= set(GROUPS)
    assert set(definition.targets) <= set(TARGETS)
    assert definition.rule


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_protocol_has_a_configuration(name):
    cfg = config.from_config_dict(config.EvaluateConfig, evaluate_protocol.get_config(name))
    assert (cfg.protocol, cfg.target) == (name, PUBLISHED[name].targets[0])
    if PUBLISHED[name].classes:
        folds.check_classes(PUBLISHED[name], cfg.target, cfg.prompt.classes)


OWN = {
    "name": "mine",
    "version": 3,
    "by": "speaker",
    "disjoint": ["speaker"],
    "folds": [{"train": ["a", "b"], "validation": ["c"], "test": ["d"]}],
}


def write(folder, **changes):
    given = {k: v for k, v in (OWN | changes).items() if v is not None}
    path = folder / "mine.json"
    path.write_text(json.dumps(given))
    return str(path)


def test_a_protocol_of_ones_own_comes_from_a_file(tmp_path):
    corpus = corpora.corpus(tmp_path, everything=acted("abcd", FOUR))
    found = made(corpus, write(tmp_path), classes=FOUR)
    assert (found.name, found.definition.version) == ("mine", 3)
    assert values(corpus, found, "speaker", "test") == [["d"]]
    assert found.describe()["disjoint"] == ["speaker"]


def test_a_leak_in_the_file_of_a_protocol_is_refused(tmp_path):
    corpus = corpora.corpus(tmp_path, everything=acted("abcd", FOUR))
    leaky = [{"train": ["a", "d"], "validation": ["c"], "test": ["d"]}]
    with pytest.raises(ValueError, match="protocol mine leaks: the parts train and test share 4"):
        made(corpus, write(tmp_path, folds=leaky), classes=FOUR)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fold": []}, "unknown key 'fold'; did you mean 'folds'"),
        ({"disjoint": None}, "missing disjoint"),
        ({"version": "3"}, "version is '3'; expected int"),
        ({"by": "speakers"}, "names 'speakers'; did you mean 'speaker'"),
        ({"disjoint": "speaker"}, "disjoint is 'speaker'; expected a list"),
        ({"unseen": ["emotion"]}, "unseen names 'emotion'"),
        ({"folds": []}, "folds is empty"),
        ({"folds": [{"train": ["a"]}]}, "fold 0 is .*; expected an object with train, validation"),
        ({"folds": [dict.fromkeys(PARTS, "a")]}, "fold 0: train is 'a'; expected a list of"),
        ({"name": "meld_official"}, "the name 'meld_official' is taken"),
        ({"dataset": "ravdess"}, None),
    ],
)
def test_a_file_that_is_no_protocol_is_refused_with_its_place(tmp_path, changes, message):
    path = write(tmp_path, **changes)
    if message is None:
        assert published.find(path).dataset == "ravdess"
    else:
        with pytest.raises(ValueError, match=message):
            published.find(path)


def test_a_file_that_is_not_there_or_not_json_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no protocol file"):
        published.find(str(tmp_path / "none.json"))
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ValueError, match=r"broken.json is not JSON"):
        folds.from_file(tmp_path / "broken.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ValueError, match="expected an object with name, version"):
        folds.from_file(tmp_path / "list.json")


def test_plain_splits_are_a_protocol_of_one_fold(tmp_path):
    corpus = corpora.corpus(tmp_path, test=plain(0, 4))
    definition = folds.by_split({"test": "test"}, ())
    found = protocols.make(corpus, definition, FOUR, needed=("test",))
    assert found.describe()["name"] == "by_split"
    assert len(found.folds) == 1
