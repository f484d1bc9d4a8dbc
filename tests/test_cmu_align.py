"""Alignment of the SDK by binary search: equal to its rules, restated with loops in sdk_rules."""

import cmu_files
import numpy as np
import pytest
import sdk_rules

from tfds_builders.cmu import cut
from tfds_builders.cmu.align import Pieces, align, align_all, impute, overlaps, pad
from tfds_builders.cmu.csd import Sequence
from tfds_builders.cmu.tidy import Oddities

NUMBERS = ("text_features", "face", "speech")


def mean(intervals, features):
    return features.mean(0)


def generated(seed, names=NUMBERS):
    """Sequence -> {video: (features, intervals)} without NaN and minus infinity."""
    found = cmu_files.sequences(seed=seed)
    return {
        name: {v: (np.nan_to_num(f, posinf=0, neginf=0), i) for v, (f, i) in found[name].items()}
        for name in names
    }


def of_video(data, video):
    return {name: Sequence(*videos[video]) for name, videos in data.items()}


def keyed(pieces: dict[str, Pieces], video):
    """As sdk_rules has it: name -> {video[number]: (features, intervals)}."""
    out = {}
    for name, found in pieces.items():
        parts = {number: found.of(number) for number in np.unique(found.reference)}
        out[name] = {f"{video}[{n}]": (p.features, p.intervals) for n, p in parts.items()}
    return out


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for key, (features, intervals) in expected.items():
        np.testing.assert_array_equal(found[key][1], intervals, err_msg=key)
        np.testing.assert_allclose(found[key][0], features, atol=2e-6, err_msg=key)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("collapse", [False, True])
def test_rows_of_words_are_those_of_the_sdk(collapse, seed):
    data = generated(seed)
    expected = sdk_rules.align(data, "text_features", mean if collapse else None)
    for video in cmu_files.VIDEOS:
        found = keyed(align_all("text_features", of_video(data, video), collapse), video)
        for name in NUMBERS:
            own = {k: v for k, v in expected[name].items() if k.startswith(f"{video}[")}
            assert_equal(found[name], own)


def test_a_word_of_no_length_is_skipped_and_no_row_lands_in_it():
    data = generated(0)
    _, times = data["text_features"]["vidB"]
    empty = int(np.flatnonzero(times[:, 0] == times[:, 1])[0])
    found = align_all("text_features", of_video(data, "vidB"))
    assert all(empty not in pieces.reference for pieces in found.values())


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("right", [False, True])
def test_segments_are_those_of_the_whole_recipe_of_the_sdk(seed, right):
    data = generated(seed, (*NUMBERS, "labels"))
    labels = data.pop("labels")
    expected = sdk_rules.align(data, "text_features", mean)
    sdk_rules.impute(expected, "text_features")
    expected["labels"] = labels
    expected = sdk_rules.align(expected, "labels")
    arrays, keys = sdk_rules.tensors(expected, 9, cmu_files.VIDEOS, ("labels",), right)
    assert len(keys) == 12
    for place, key in enumerate(keys):
        video, number = key[:-1].split("[")
        made = cut.by_words(of_video(data, video), labels[video][1])
        for name in NUMBERS:
            rows = pad(made.pieces[name].of(int(number)).features, 9, right)
            np.testing.assert_allclose(rows, arrays[name][place], atol=2e-6, err_msg=key)


def test_a_word_that_straddles_a_border_is_in_both_segments():
    data, labels = generated(0), cmu_files.sequences(seed=0)["labels"]
    segments = labels["vidA"][1]
    found = align(segments, Sequence(*data["text_features"]["vidA"]))
    rows = [found.of(number) for number in (1, 2, 0)]
    np.testing.assert_array_equal(rows[0].features[-1], rows[1].features[0])
    assert rows[0].intervals[-1, 1] == segments[1, 1]
    assert rows[1].intervals[0, 0] == segments[2, 0]


@pytest.mark.parametrize("seed", range(40))
def test_any_times_give_the_rows_of_the_sdk(seed):
    """Coarse random times: rows that touch, repeat, nest, have no length, or lie outside."""
    rng = np.random.default_rng(seed)

    def times(count):
        starts = rng.integers(-2, 12, count) / 2
        wiggle = rng.choice([0, 0, 1e-6, -1e-6, 3e-5, -3e-5], count)
        return np.stack([starts, starts + rng.integers(0, 5, count) / 2 + wiggle], 1)

    rows = {"a": times(rng.integers(1, 6)), "b": times(rng.integers(1, 25))}
    rows = {name: i[i[:, 1] >= i[:, 0]] for name, i in rows.items()}
    data = {name: {"v": (rng.normal(size=(len(i), 2)), i)} for name, i in rows.items()}
    for collapse in (False, True):
        expected = sdk_rules.align(data, "a", mean if collapse else None)
        found = align_all("a", of_video(data, "v"), collapse)
        assert_equal(keyed(found, "v")["b"], expected["b"])
        assert_equal(keyed(found, "v")["a"], expected["a"])
        if expected["b"]:
            sdk_rules.impute(expected, "a")
            filled, count = impute(found["b"], rows["a"])
            assert count == len(expected["a"]) - len(np.unique(found["b"].reference))
            assert_equal(keyed({"b": filled}, "v")["b"], expected["b"])


def test_no_rows_and_no_reference_give_nothing():
    nothing = Sequence(np.zeros((0, 3), np.float32), np.zeros((0, 2)))
    some = Sequence(np.ones((2, 3), np.float32), np.array([[0.0, 1], [1, 2]]))
    for collapse in (False, True):
        assert not len(align(some.intervals, nothing, collapse).features)
        assert not len(align(nothing.intervals, some, collapse).features)
    assert [len(part) for part in overlaps(nothing.intervals, some.intervals)] == [0, 0, 0]
    filled, count = impute(align(some.intervals, nothing, True), some.intervals)
    assert (count, filled.features.tolist()) == (2, [[0, 0, 0]] * 2)


def test_of_several_texts_in_a_word_the_longest_stands():
    texts = Sequence(
        np.array(["sp", "long", "short"]), np.array([[0.0, 0.2], [0.2, 0.9], [0.9, 1.4]])
    )
    found = align(np.array([[0.0, 1.0], [1.0, 1.5], [3.0, 4.0]]), texts, collapse=True)
    assert found.features.tolist() == ["long", "short"]
    assert found.reference.tolist() == [0, 1]
    np.testing.assert_allclose(found.intervals, [[0.0, 1.0], [1.0, 1.4]])


def test_frames_are_means_of_steps_from_the_start_of_the_segment():
    starts = np.arange(100) / 100
    speech = Sequence(starts[:, None].astype("f4"), np.stack([starts, starts + 0.01], 1))
    face = speech[(starts < 0.3) | (starts >= 0.4)]
    words = Sequence(np.array(["a"]), np.array([[0.3, 0.6]]))
    vectors = Sequence(np.ones((1, 4), "f4"), words.intervals)
    data = {"speech": speech, "face": face, "words": words, "text_features": vectors}
    segments = np.array([[0.5, 0.77], [0.1, 0.55], [-0.2, 0.1]])
    made = cut.by_frames(data, segments)
    first = made.pieces["speech"].of(0)
    np.testing.assert_allclose(first.features[:, 0], [0.525, 0.585, 0.645, 0.705, 0.75], atol=1e-5)
    np.testing.assert_allclose(first.intervals[-1], [0.74, 0.77], atol=1e-9)
    faces = made.pieces["face"].of(1)  # none from 0.3 to 0.4
    np.testing.assert_allclose(faces.intervals[:, 0], [0.1, 0.2, 0.4, 0.5], atol=1e-9)
    before = made.pieces["speech"].of(2).features[:, 0]
    assert before[:3].tolist() == [0, 0, 0]
    assert made.imputed == {"speech": 3}
    assert [len(made.pieces["words"].of(n)) for n in range(3)] == [1, 1, 0]


def test_oddities_are_counted_with_their_columns():
    oddities = Oddities()
    features = np.zeros((6, 3), np.float64)
    features[0, 1], features[1, 1], features[2, 2], features[3, 0] = np.nan, np.inf, -np.inf, 1e300
    times = [(0.0, 1.0), (-1.0, 0.5), (0.0, 1.0), (2.0, 1.0), (np.nan, 1.0), (5.0, 6.0)]
    found = oddities.sequence("speech", Sequence(features, np.array(times)))
    assert len(found) == 4
    assert np.isfinite(found.features).all()
    assert dict(oddities.counts["speech"]) == {
        "bad_times": 2,
        "negative_start": 1,
        "unsorted": 1,
        "overlapping": 2,
        "repeated": 1,
        "nan": 1,
        "infinite": 2,
    }
    assert oddities.columns["speech", "nan"] == {1}
    assert oddities.columns["speech", "infinite"] == {1, 2}
    cut_to = oddities.halves("speech", np.array([[7e4, -7e4, 1.0]], np.float32))
    assert cut_to.tolist() == [[65504.0, -65504.0, 1.0]]
    assert oddities.counts["speech"]["too_large"] == 2
