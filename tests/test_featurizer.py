"""The one path from clips to features: same bytes in any company, fitted statistics, refusals."""

import threading

import clip_samples
import numpy as np
import pytest

from memobert_jax import codec, featurizer, record
from memobert_jax.config import EncodersConfig
from memobert_jax.featurizer import Featurizer

ENCODERS = featurizer.identities(EncodersConfig())
STATISTICS = {"speech": {"mean": [-8.0] * 80, "std": [2.0] * 80}}


@pytest.fixture(scope="module")
def clips():
    """Clips of many lengths, three of them without a modality."""
    lengths = [(5, 0.5), (0, 0.7), (7, 0.0), (0, 0.0), (1, 0.05), (8, 0.48), (13, 1.31)]
    return [clip_samples.clip(i, *both) for i, both in enumerate(lengths)]


def _bytes(items) -> list[bytes]:
    return [codec.serialize(item, "features") for item in items]


def test_features_are_byte_equal_one_at_a_time_and_together(clips):
    run = Featurizer(ENCODERS, STATISTICS)
    together = _bytes(run(clips))
    assert _bytes(item for clip in clips for item in run([clip])) == together
    assert _bytes(run(clips[::-1]))[::-1] == together
    assert _bytes(Featurizer(ENCODERS, STATISTICS)(clips)) == together


def test_rows_follow_the_crops_and_the_sound(clips):
    made = Featurizer(ENCODERS, STATISTICS)(clips)
    assert [len(item["face"]) for item in made] == [5, 0, 7, 0, 1, 8, 13]
    assert [len(item["speech"]) for item in made] == [8, 11, 0, 0, 0, 8, 21]
    for item in made:
        assert item["face"].shape[1:] == (1024,)
        assert item["speech"].shape[1:] == (480,)
        assert item["face_emotion"].shape == (0, 1)
        assert item["face"].dtype == item["speech"].dtype == np.float16


def test_what_the_encoders_do_not_make_is_handed_on(clips):
    item = Featurizer(ENCODERS, STATISTICS)(clips)[0]
    for name in set(record.fields("clips")) - {"faces", "speech"}:
        np.testing.assert_array_equal(item[name], clips[0][name], err_msg=name)


def test_no_clips_give_no_features():
    assert Featurizer(ENCODERS, STATISTICS)([]) == []


def test_a_damaged_crop_names_the_clip(clips):
    damaged = clips[0] | {"faces": [b"no jpeg"] * 5}
    with pytest.raises(ValueError, match=r"clip 'clip0': face crop 0 .* is no image"):
        Featurizer(ENCODERS, STATISTICS)([clips[1], damaged])


def test_damaged_speech_names_the_clip(clips):
    with pytest.raises(ValueError, match=r"clip 'clip1': .* no FLAC"):
        Featurizer(ENCODERS, STATISTICS)([clips[1] | {"speech": b"no flac"}])


def test_another_version_of_an_encoder_is_refused():
    other = ENCODERS | {"speech": ENCODERS["speech"] | {"version": 99}}
    with pytest.raises(ValueError, match=r"made with the speech encoder .*99.* but this code has"):
        Featurizer(other, STATISTICS)


def test_an_unknown_encoder_is_refused_with_the_known_ones():
    other = ENCODERS | {"face": ENCODERS["face"] | {"name": "densenet"}}
    with pytest.raises(
        ValueError, match=r"no face encoder 'densenet'; known: \['denseface', 'pixels'\]"
    ):
        Featurizer(other, STATISTICS)


def test_fitted_statistics_make_bands_of_mean_0_and_std_1(clips):
    fitted = featurizer.fit_normalisation(ENCODERS, lambda batch: batch, [clips])
    assert fitted.keys() == {"speech"}
    frames = np.concatenate([item["speech"] for item in Featurizer(ENCODERS, fitted)(clips)])
    frames = frames.astype(np.float64).reshape(-1, 80)
    np.testing.assert_allclose(frames.mean(0), 0, atol=2e-3)
    np.testing.assert_allclose(frames.std(0), 1, atol=2e-3)
    assert fitted["speech"]["clips"] == 4
    assert fitted["speech"]["frames"] == len(frames)


def test_fitted_statistics_do_not_depend_on_the_batches(clips):
    whole = featurizer.fit_normalisation(ENCODERS, lambda batch: batch, [clips])
    single = featurizer.fit_normalisation(ENCODERS, lambda batch: batch, [[c] for c in clips])
    assert whole == single


def test_without_speech_nothing_is_shifted_or_scaled_and_that_is_said(clips, caplog):
    featurizer.fit_normalisation(ENCODERS, lambda batch: batch, [clips])
    assert not caplog.messages
    fitted = featurizer.fit_normalisation(ENCODERS, lambda batch: batch, [clips[2:4]])
    assert "no clip that the normalisation is fitted on has any speech: mean 0" in caplog.text
    assert fitted["speech"] == {"mean": [0.0] * 80, "std": [1.0] * 80, "clips": 0, "frames": 0}


def test_silence_does_not_divide_by_zero():
    silent = clip_samples.clip(0, seconds=0)
    silent["speech"] = clip_samples.audio.encode_flac(np.zeros(16_000, np.float32))
    fitted = featurizer.fit_normalisation(ENCODERS, lambda batch: batch, [[silent]])
    (item,) = Featurizer(ENCODERS, fitted)([silent])
    np.testing.assert_allclose(item["speech"], 0, atol=1e-2)


def test_results_come_in_order_however_long_each_takes():
    last = threading.Event()

    def function(item: int) -> int:
        if item == 0:
            assert last.wait(10)
        last.set()
        return item * item

    threads = featurizer.os.cpu_count()
    if threads == 1:
        last.set()
    assert list(featurizer.in_order(function, range(20))) == [i * i for i in range(20)]


def test_an_error_in_a_thread_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(featurizer.in_order(lambda item: 1 // item, [1, 0, 1]))
