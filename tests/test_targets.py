"""Targets: which class a clip has, and why some clips have none."""

import corpora
import numpy as np
import pytest
import samples

from memobert_jax import record, targets
from memobert_jax.config import SENTIMENTS


class Columns:
    """A corpus that has nothing but columns."""

    def __init__(self, **columns):
        self.column = columns.__getitem__


def scores(*values):
    return Columns(sentiment=np.array(values, np.float32))


def test_labels_are_places_in_the_classes_whatever_their_order():
    names = [*samples.CLASSES, "fear"]
    emotions = np.array([*map(record.EMOTIONS.index, names), -1])
    found = targets.read(Columns(emotion=emotions), "emotion", samples.CLASSES[::-1])
    assert found.values.tolist() == [3, 2, 1, 0, -1, -1]
    assert found.why.tolist() == ["", "", "", "", "label fear is not among the classes", "no label"]


def test_two_classes_of_sentiment_leave_zero_out():
    found = targets.read(scores(-0.1, 0, 0.1, np.nan), "sentiment_2", SENTIMENTS["sentiment_2"])
    assert found.values.tolist() == [0, -1, 1, -1]
    assert found.why[1] == "sentiment 0 is neither negative nor positive"
    assert found.why[3] == "no sentiment"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("sentiment_5", ["-2", "-2", "0", "0", "1", "2", "2"]),
        ("sentiment_7", ["-3", "-2", "0", "0", "1", "2", "3"]),
    ],
)
def test_more_classes_of_sentiment_are_rounded(target, expected):
    given = (-3.0, -1.6, -0.5, 0.49, 1.0, 2.5, 2.6)
    found = targets.read(scores(*given), target, SENTIMENTS[target])
    assert [SENTIMENTS[target][i] for i in found.values] == expected


def test_other_names_than_those_of_the_sentiment_are_refused():
    with pytest.raises(ValueError, match=r"sentiment_2 has \('negative', 'positive'\)"):
        targets.read(scores(1.0), "sentiment_2", ("good", "bad"))


def test_a_clip_may_have_several_emotions_none_or_nothing_known(tmp_path):
    def intensities(**given):
        found = np.zeros(len(record.EMOTIONS), np.float32)
        for name, value in given.items():
            found[record.EMOTIONS.index(name)] = value
        return {"emotions": found}

    clips = [
        (0, intensities(anger=1 / 3, sadness=2)),
        (1, intensities()),
        (2, intensities(anger=np.nan)),
        (3, intensities(fear=np.nan)),
    ]
    corpus = corpora.corpus(tmp_path, train=clips)
    found = targets.read(corpus, "emotions", ("sadness", "anger", "surprise"))
    assert found.values.tolist() == [[1, 1, 0], [0, 0, 0], [-1, -1, -1], [0, 0, 0]]
    assert found.why.tolist() == ["", "", "no label", ""]


def test_the_names_of_the_corpus_are_a_target_too():
    corpus = Columns(labels=np.array(["joy,love", "", "grief"]))
    found = targets.read(corpus, "labels", ("joy", "grief", "love"))
    assert found.values.tolist() == [[1, 0, 1], [-1, -1, -1], [0, 1, 0]]
    with pytest.raises(ValueError, match=r"\['rage'\]; the clips have \['grief', 'joy', 'love'\]"):
        targets.read(corpus, "labels", ("joy", "rage"))
