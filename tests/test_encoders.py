"""The front ends: what a row is made of, and that company never changes it."""

import concurrent.futures
import contextlib
import dataclasses
import threading

import clip_samples
import cv2
import jax
import numpy as np
import pytest

from memobert_jax.encoders import encoder, logmel, pixels

_SPEECH, _FACE = encoder.compiled(logmel.ENCODER), encoder.compiled(pixels.ENCODER)


@pytest.fixture(scope="module", params=["logmel", "pixels"])
def case(request):
    """(encoder, its compiled function, the media of 40 clips of many lengths)."""
    rng = np.random.default_rng(0)
    if request.param == "logmel":
        lengths = [0, 959, 960, 961, *rng.integers(0, 60_000, 36)]
        media = [rng.normal(0, 0.1, n).astype(np.float32) for n in lengths]
        return logmel.ENCODER, _SPEECH, media
    media = [[clip_samples.crop(rng) for _ in range(n)] for n in [0, 1, 8, 9, *range(36)]]
    return pixels.ENCODER, _FACE, media


def _speech(samples: np.ndarray) -> np.ndarray:
    return encoder.encode(logmel.ENCODER, _SPEECH, [logmel.prepare(samples)])[0]


def _faces(crops: list[bytes]) -> np.ndarray:
    return encoder.encode(pixels.ENCODER, _FACE, [pixels.prepare(crops)])[0]


def test_rows_are_byte_equal_whatever_is_encoded_with_them(case):
    front, function, media = case
    prepared = [front.prepare(item) for item in media]
    together = encoder.encode(front, function, prepared)
    order = np.random.default_rng(1).permutation(len(media))
    shuffled = encoder.encode(front, function, [prepared[i] for i in order])
    for place, i in enumerate(order):
        alone = encoder.encode(front, function, [prepared[i]])[0]
        assert alone.tobytes() == together[i].tobytes() == shuffled[place].tobytes(), i


def test_chunks_side_by_side_as_on_an_accelerator_give_the_same_rows(case):
    front, function, media = case
    prepared = [front.prepare(item) for item in media]
    at_once = encoder.compiled(front, accelerated=True)
    expected = encoder.encode(front, function, prepared)
    for rows, own in zip(encoder.encode(front, at_once, prepared), expected, strict=True):
        np.testing.assert_allclose(rows, own, atol=1e-4)


@pytest.mark.parametrize(("accelerated", "calls"), [(False, 4), (True, 2), (None, 4)])
def test_an_accelerator_is_given_more_chunks_in_one_call(accelerated, calls, monkeypatch):
    """Seven chunks, two a call on a CPU, five on an accelerator; the tests run on CPUs."""
    one = dataclasses.replace(
        pixels.ENCODER, batch=2, side_by_side=5, compute=lambda params, chunk: chunk + 1.0
    )
    chunks, sizes, device_put = np.zeros((7, 2, 3), np.float32), [], jax.device_put

    def watched(values, place):
        sizes.extend([len(values)] if isinstance(values, np.ndarray) else [])
        return device_put(values, place)

    monkeypatch.setattr(jax, "device_put", watched)
    function = encoder.compiled(one, jax.local_devices()[:1], accelerated=accelerated)
    np.testing.assert_array_equal(function(chunks), chunks + 1)
    assert sizes == [5 if accelerated else 2] * calls


def test_all_rows_have_the_declared_width_and_are_finite(case):
    front, function, media = case
    for rows in encoder.encode(front, function, [front.prepare(item) for item in media]):
        assert rows.shape[1] == front.width
        assert rows.dtype == np.float32
        assert np.isfinite(rows).all()


def test_an_identity_is_json_able_and_tells_versions_apart(case):
    front = case[0]
    assert front.identity().keys() == {"name", "version", "weights_sha256", "width", "rate_hz"}
    assert front.identity()["width"] == front.width


@pytest.mark.parametrize(
    ("samples", "rows"), [(0, 0), (959, 0), (960, 1), (1919, 1), (7680, 8), (7681, 8), (32_000, 33)]
)
def test_logmel_has_one_row_per_full_60_ms(samples, rows):
    assert _speech(np.zeros(samples, np.float32)).shape == (rows, 480)


def test_logmel_agrees_with_its_definition_in_float64():
    samples = np.random.default_rng(0).normal(0, 0.1, 20_000).astype(np.float32)
    padded = np.pad(samples.astype(np.float64), (120, 2_000))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.stack([padded[160 * t : 160 * t + 400] * window for t in range(20 * 6)])
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    expected = np.log(power @ logmel.filters().astype(np.float64) + 1e-6).reshape(20, 480)
    np.testing.assert_allclose(_speech(samples), expected, atol=1e-4)


def test_a_logmel_row_depends_on_its_own_samples_only():
    samples = np.random.default_rng(0).normal(0, 0.1, 960 * 30).astype(np.float32)
    before = _speech(samples)
    for changed, rows in [(960 * 7 + 480, {7}), (960 * 9 + 100, {8, 9}), (960 * 16 - 1, {15, 16})]:
        other = samples.copy()
        other[changed] += 0.5
        assert set(np.flatnonzero((_speech(other) != before).any(axis=1))) == rows


@pytest.mark.parametrize("hz", [150.0, 440.0, 1000.0, 3000.0, 7000.0])
def test_a_tone_is_loudest_in_the_band_around_its_frequency(hz):
    time = np.arange(16_000) / 16_000
    bands = _speech(np.sin(2 * np.pi * hz * time).astype(np.float32))[3].reshape(6, 80)
    centres = (np.arange(257) * 31.25) @ logmel.filters() / logmel.filters().sum(0)
    assert abs(np.argmax(bands.mean(0)) - np.argmin(np.abs(centres - hz))) <= 1


def test_every_mel_filter_hears_something():
    assert (logmel.filters().sum(0) > 0).all()


def test_silence_is_the_floor():
    np.testing.assert_allclose(_speech(np.zeros(1920, np.float32)), np.log(1e-6), rtol=1e-5)


def test_pixels_removes_mean_and_variance_of_each_crop():
    rng = np.random.default_rng(0)
    rows = _faces([clip_samples.crop(rng) for _ in range(11)])
    assert rows.shape == (11, 1024)
    np.testing.assert_allclose(rows.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(rows.std(axis=1), 1, atol=0.01)


def test_brightness_and_contrast_of_a_crop_do_not_matter():
    picture = cv2.resize(np.random.default_rng(0).integers(20, 240, (4, 4), np.uint8), (112, 112))
    dark = (picture * 0.5).astype(np.uint8)
    rows = _faces([cv2.imencode(".png", image)[1].tobytes() for image in (picture, dark)])
    np.testing.assert_allclose(rows[0], rows[1], atol=0.05)


def test_a_flat_crop_is_zeros():
    flat = cv2.imencode(".png", np.full((112, 112, 3), 90, np.uint8))[1].tobytes()
    np.testing.assert_allclose(_faces([flat]), np.zeros((1, 1024)), atol=1e-4)


def test_pixels_keeps_the_layout_of_the_face():
    half = np.zeros((112, 112), np.uint8)
    half[:56] = 255
    row = _faces([cv2.imencode(".png", half)[1].tobytes()])[0].reshape(32, 32)
    assert (row[:16] > 0).all()
    assert (row[16:] < 0).all()


@pytest.mark.parametrize(
    ("crop", "found"),
    [
        (b"", "no image"),
        (b"not a picture", "no image"),
        (cv2.imencode(".jpg", np.zeros((64, 80, 3), np.uint8))[1].tobytes(), "80x64 pixels"),
    ],
)
def test_a_damaged_or_odd_crop_is_refused(crop, found):
    good = clip_samples.crop(np.random.default_rng(0))
    with pytest.raises(ValueError, match=f"face crop 1 .* is {found}; expected a JPEG of 112x112"):
        pixels.prepare([good, crop])


def test_normalise_removes_the_mean_and_spread_of_each_band():
    rows = np.random.default_rng(0).normal(5, 3, (4, 480)).astype(np.float32)
    mean, std = np.linspace(-1, 1, 80), np.linspace(1, 2, 80)
    out = encoder.normalise(logmel.ENCODER, rows, {"mean": mean.tolist(), "std": std.tolist()})
    expected = ((rows.reshape(4, 6, 80) - mean) / std).reshape(4, 480)
    assert out.dtype == np.float16
    np.testing.assert_allclose(out, expected, rtol=2e-3, atol=2e-3)


def test_an_encoder_without_bands_needs_no_statistics():
    rows = np.ones((2, 1024), np.float32)
    np.testing.assert_array_equal(encoder.normalise(pixels.ENCODER, rows, {}), rows)


@pytest.mark.parametrize("statistics", [{}, {"mean": [0.0] * 80}, {"mean": [0.0], "std": [1.0]}])
def test_missing_statistics_are_refused(statistics):
    with pytest.raises(ValueError, match="'logmel' is normalised with the mean and std of 80"):
        encoder.normalise(logmel.ENCODER, np.zeros((1, 480), np.float32), statistics)


def test_threads_that_start_together_put_the_weights_on_the_device_once(monkeypatch):
    weights, both, put = np.ones(3), threading.Barrier(2), []
    one = dataclasses.replace(
        pixels.ENCODER, params=weights, compute=lambda params, chunk: chunk * params.sum(), batch=1
    )
    device_put = jax.device_put

    def watched(values, place):
        if values is weights:
            put.append(place)
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(0.5)  # for the other thread, which must not come
        return device_put(values, place)

    monkeypatch.setattr(jax, "device_put", watched)
    function = encoder.compiled(one, jax.local_devices()[:1])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(function, [np.zeros((1, 2, 2), np.float32)] * 2))
    assert len(put) == 1
