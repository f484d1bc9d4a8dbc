"""The held-out set: the same rows and masks whatever the run does, and honest trivial rivals."""

import dataclasses

import numpy as np
import pytest
import runs
import samples

from memobert_jax import features, heldout
from memobert_jax.batch import View
from memobert_jax.heldout import HeldOut
from memobert_jax.masking import nothing_masked


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return samples.dataset(tmp_path_factory.mktemp("data"), widths=runs.WITH_EMOTION)


@pytest.fixture(scope="module")
def tokens():
    return runs.tokens()


def arrays(cfg, tokens, process=0, processes=1):
    layout, passes = heldout.heldout(cfg, tokens)
    return list(heldout.batches(cfg, layout, passes, process, processes))


def assert_same(one, other):
    for (names, a), (others, b) in zip(one, other, strict=True):
        assert names == others
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.parametrize(
    "changes",
    [
        {"objectives": {"schedule": "per_step"}},
        {"objectives": {"schedule": "per_clip", "mlm": 5.0}},
        {"masking": {"mode": "head", "fewer": 0.5, "text_ratio": 0.4, "span": 2}},
        {"steps": 77, "eval_every": 3},
        {"optim": {"accumulate": 2}, "model": {"dropout": 0.5}},
    ],
)
def test_rows_and_masks_do_not_depend_on_how_the_run_trains(corpus, tokens, changes):
    assert_same(arrays(runs.config(corpus), tokens), arrays(runs.config(corpus, **changes), tokens))


def test_one_modality_is_masked_at_a_time(corpus, tokens):
    _, passes = heldout.heldout(runs.config(corpus), tokens)
    assert [names for names, _ in passes] == [("mlm",), ("mfr", "mfc"), ("msr",)]
    for names, rows in passes:
        views = [view for row in rows for view in row]
        assert views
        for view in views:
            assert set(view.targets) <= set(names)
            assert view.face_mask.targets.any() == ("mfr" in names)
            assert view.speech_mask.targets.any() == ("msr" in names)


def test_masking_is_the_papers(corpus, tokens):
    """Some texts have no target, which the default mode never lets happen."""
    _, passes = heldout.heldout(runs.config(corpus, eval_rows=100), tokens)
    targets = [len(view.targets["mlm"]) for row in passes[0].rows for view in row]
    assert 0 in targets
    assert max(targets) > 0


def test_the_hosts_together_measure_the_rows_of_one_host(corpus, tokens):
    cfg = runs.config(corpus, eval_rows=5)
    whole = arrays(cfg, tokens)
    parts = [arrays(cfg, tokens, host, 2) for host in range(2)]
    together = [
        (names, {name: np.concatenate([a[name], b[name]]) for name in a})
        for (names, a), (_, b) in zip(*parts, strict=True)
    ]
    assert_same(whole, together)
    assert whole[0][1]["clip_valid"].any(1).tolist() == [True] * 5 + [False] * 3, (
        "the last batch ends in empty rows"
    )


def test_at_most_the_configured_rows_are_measured_shared_out_by_weight(corpus, tokens, tmp_path):
    other = samples.dataset(tmp_path, {"train": 8, "validation": 40}, widths=runs.WITH_EMOTION)
    cfg = runs.config((corpus, 1.0), (other, 3.0), eval_rows=4)
    _, passes = heldout.heldout(cfg, tokens)
    assert [len(rows) for _, rows in passes] == [4, 4, 4]


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (5.0, 1.0, 1.0), (1.0, 2.0, 4.0)])
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8])
def test_rounding_shares_never_exceeds_the_configured_rows(rows, weights):
    parts = heldout._shared_out(rows, weights)
    assert sum(parts) == rows
    exact = rows * np.array(weights) / sum(weights)
    assert (np.abs(parts - exact) < 1).all()


def test_clips_dropped_from_the_held_out_split_are_reported(tokens, tmp_path, caplog):
    rng = np.random.default_rng(0)
    clips = [samples.clip(i, rng) for i in range(6)]
    clips[2]["text"] = "sad " * 40
    metadata = {"encoders": samples.ENCODERS}
    splits = {"train": clips[:1], "validation": clips}
    features.write(tmp_path, splits, metadata=metadata, widths=samples.WIDTHS)
    with caplog.at_level("INFO", logger="absl"):
        heldout.heldout(runs.config(tmp_path), tokens)
    assert "held out validation of" in caplog.text
    assert "1 dropped: text longer than 32 tokens" in caplog.text


@pytest.mark.parametrize("name", ["face", "face_emotion", "speech"])
def test_held_out_clips_whose_features_are_not_finite_are_named(tokens, tmp_path, caplog, name):
    rng = np.random.default_rng(0)
    clips = [samples.clip(i, rng, widths=runs.WITH_EMOTION) for i in range(6)]
    clips[2][name] = np.full_like(clips[2][name], np.nan)
    metadata = {"encoders": samples.ENCODERS}
    splits = {"train": clips[:1], "validation": clips}
    features.write(tmp_path, splits, metadata=metadata, widths=runs.WITH_EMOTION)
    heldout.heldout(runs.config(tmp_path), tokens)
    assert "the features of 1 held-out clips are not: clip2" in caplog.text


def test_without_expression_posteriors_their_loss_is_not_measured(tokens, tmp_path):
    _, passes = heldout.heldout(runs.config(samples.dataset(tmp_path)), tokens)
    assert [names for names, _ in passes] == [("mlm",), ("mfr",), ("msr",)]


def test_a_missing_split_is_named_with_those_there_are(corpus, tokens):
    with pytest.raises(ValueError, match=r"no split 'nothing'; it has \['train', 'validation'\]"):
        heldout.heldout(runs.config(corpus, data={"eval_split": "nothing"}), tokens)


def view(**changes) -> View:
    frames = np.array([[0.0, 8.0], [1.0, 6.0], [2.0, 4.0], [9.0, 9.0]], np.float16)
    plain = View(
        ids=np.array([2, 7, 8, 3]),
        labels=np.array([2, 7, 8, 3]),
        face=frames,
        face_emotion=np.zeros((4, 0)),
        speech=frames,
        face_mask=nothing_masked(4),
        speech_mask=nothing_masked(4),
        targets={},
    )
    return dataclasses.replace(plain, **changes)


def test_the_unigram_loss_is_the_cross_entropy_of_the_smoothed_frequencies():
    passes = [HeldOut(("mlm",), [[view(targets={"mlm": np.array([1, 2])})]])]
    counts = np.array([0, 0, 0, 0, 0, 0, 0, 9, 1])
    p = (counts + 1) / (counts + 1).sum()
    expected = -(np.log(p[7]) + np.log(p[8])) / 2
    assert heldout.trivial_losses(passes, counts) == {"mlm/unigram": pytest.approx(expected)}


def test_the_mean_and_the_line_use_the_frames_that_are_not_predicted():
    passes = [HeldOut(("mfr",), [[view(targets={"mfr": np.array([1])})]])]
    losses = heldout.trivial_losses(passes, np.zeros(9))
    # Frame 1 lies on the line between 0 and 2; the mean of the others is (11/3, 7).
    assert losses["mfr/line"] == pytest.approx(0.0)
    assert losses["mfr/mean"] == pytest.approx(((11 / 3 - 1) ** 2 + (7 - 6) ** 2) / 2)


def test_at_the_ends_the_line_is_the_nearest_frame():
    passes = [HeldOut(("msr",), [[view(targets={"msr": np.array([0, 1])})]])]
    losses = heldout.trivial_losses(passes, np.zeros(9))
    expected = np.mean([((2 - 0) ** 2 + (4 - 8) ** 2) / 2, ((2 - 1) ** 2 + (4 - 6) ** 2) / 2])
    assert losses["msr/line"] == pytest.approx(expected)


def test_a_clip_of_which_every_frame_is_predicted_is_predicted_as_zero():
    passes = [HeldOut(("msr",), [[view(targets={"msr": np.arange(4)})]])]
    losses = heldout.trivial_losses(passes, np.zeros(9))
    expected = np.square(view().speech.astype(float)).mean()
    assert losses["msr/mean"] == losses["msr/line"] == pytest.approx(expected)


def test_pieces_are_counted_over_the_texts(tokens):
    counts = heldout.piece_counts([["sad happy sad", ""], ["sad"]], tokens)
    assert counts[tokens.label_id("sad")] == 3
    assert counts[tokens.label_id("happy")] == 1
    assert counts.sum() == 4
    assert len(counts) == tokens.vocab_size
