"""The best possible scores of the talking heads."""

import itertools

import numpy as np
import pytest

from tfds_builders.talking_heads import ceilings, corpus


def by_enumeration(classes: int, reliabilities: tuple[float, ...]) -> float:
    """The Bayes accuracy, by going through every combination of shown emotions."""
    total = 0.0
    for shown in itertools.product(range(classes), repeat=len(reliabilities)):
        likelihood = np.ones(classes)
        for p, seen in zip(reliabilities, shown, strict=True):
            likelihood *= np.where(np.arange(classes) == seen, p, (1 - p) / (classes - 1))
        total += likelihood.max() / classes
    return total


@pytest.mark.parametrize("classes", [2, 3, 4, 7])
@pytest.mark.parametrize(
    "reliabilities",
    [
        (),
        (0.7,),
        (0.1,),
        (0.7, 0.8),
        (0.7, 0.8, 0.8),
        (0.9, 0.3, 0.25),
        (0.05, 0.1, 0.0),
        (1.0, 0.5),
    ],
)
def test_the_formula_equals_enumeration(classes, reliabilities):
    expected = by_enumeration(classes, reliabilities)
    assert ceilings.best_accuracy(classes, reliabilities) == pytest.approx(expected, abs=1e-12)


def test_the_default_corpus_has_the_published_ceilings():
    best = ceilings.best_accuracies(4, 0.7, 0.8, 0.8)
    assert best == pytest.approx(
        {"T": 0.7, "F": 0.8, "S": 0.8, "TF": 0.8, "TS": 0.8, "FS": 0.8, "TFS": 0.896}
    )


def bayes_answer(classes, likelihoods: dict[str, float], shown: dict[str, str]) -> str:
    def score(emotion):
        return np.prod(
            [
                p if shown[m] == emotion else (1 - p) / (len(classes) - 1)
                for m, p in likelihoods.items()
            ]
        )

    return max(classes, key=score)


@pytest.mark.parametrize("emotions", ["four", "seven"])
def test_a_bayes_classifier_on_planned_clips_reaches_the_ceiling(emotions):
    cfg = corpus.CorpusConfig(emotions=emotions, test=3000, p_text=0.6, p_face=0.7, p_speech=0.75)
    p = {"text": cfg.p_text, "face": cfg.p_face, "speech": cfg.p_speech}
    clips = [u for v in corpus.plan(cfg) if v.split == "test" for u in v.utterances]
    names = corpus.classes(cfg)
    for subset in (("text",), ("text", "face"), ("text", "face", "speech")):
        likelihoods = {m: p[m] for m in subset}
        hits = [bayes_answer(names, likelihoods, c.shown) == c.emotion for c in clips]
        expected = ceilings.best_accuracy(len(names), list(likelihoods.values()))
        assert np.mean(hits) == pytest.approx(expected, abs=4 * np.sqrt(0.25 / len(clips)))


@pytest.mark.parametrize(
    ("classes", "reliabilities", "message"),
    [(1, (0.5,), "at least 2"), (4, (1.2,), "from 0 to 1"), (4, (0.5, -0.1), "from 0 to 1")],
)
def test_impossible_arguments_are_refused(classes, reliabilities, message):
    with pytest.raises(ValueError, match=message):
        ceilings.best_accuracy(classes, reliabilities)
