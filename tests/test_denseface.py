"""DenseFace: the network of the paper, its definition in plain NumPy, and clear refusals."""

import functools

import clip_samples
import cv2
import jax
import numpy as np
import pytest
from safetensors import numpy as safetensors

from memobert_jax import features, featurizer
from memobert_jax.config import EncodersConfig
from memobert_jax.encoders import denseface, encoder
from memobert_jax.featurize import featurize, request
from memobert_jax.featurizer import Featurizer

TINY = denseface.Architecture(stem=4, growth=2, blocks=(2, 1))


def tensors(arch=TINY, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: (rng.uniform(0.5, 1.5, s) if name.endswith("variance") else rng.normal(0, 0.4, s))
        .astype(np.float32)
        for name, s in arch.shapes().items()
    }  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "denseface.safetensors"
    safetensors.save_file(tensors(), file)
    return file


@pytest.fixture
def tiny(monkeypatch):
    """The product with a network that compiles in no time."""
    featurizer._loaded.cache_clear()
    monkeypatch.setattr(denseface, "load", functools.partial(denseface.load, arch=TINY))
    yield
    featurizer._loaded.cache_clear()


def test_the_paper_s_network_has_its_width_and_depth():
    shapes = denseface.PAPER.shapes()
    assert denseface.PAPER.width == 342
    assert shapes["classes.kernel"] == (342, 8)
    assert shapes["between1.conv"] == (1, 1, 216, 108)
    assert shapes["between2.conv"] == (1, 1, 300, 150)
    convolutions = [name for name, shape in shapes.items() if len(shape) == 4]
    assert len(convolutions) + 1 == 100


def test_the_network_agrees_with_its_definition_in_float64():
    p = {name: values.astype(np.float64) for name, values in tensors().items()}
    images = np.random.default_rng(1).normal(size=(1, 64, 64, 1))

    def conv(name, x, stride=1):
        kernel = p[name]
        size = kernel.shape[0]
        total = max((x.shape[1] // stride - 1) * stride + size - x.shape[1], 0)
        pad = (total // 2, total - total // 2)
        x = np.pad(x, ((0, 0), pad, pad, (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
        return np.tensordot(windows[:, ::stride, ::stride], kernel.transpose(2, 0, 1, 3), 3)

    def activated(name, x):
        scale, bias, mean, variance = (
            p[f"{name}.{part}"] for part in ("scale", "bias", "mean", "variance")
        )
        return np.maximum((x - mean) / np.sqrt(variance + 1e-5) * scale + bias, 0)

    def layer(name, x):
        inner = activated(f"{name}.norm2", conv(f"{name}.conv1", activated(f"{name}.norm1", x)))
        return np.concatenate([x, conv(f"{name}.conv2", inner)], -1)

    x = conv("stem", images, 2)
    x = layer("block0.layer1", layer("block0.layer0", x))
    x = conv("between1.conv", activated("between1.norm", x))
    x = (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
    pooled = activated("norm", layer("block1.layer0", x)).mean((1, 2))
    logits = pooled @ p["classes.kernel"] + p["classes.bias"]
    posterior = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)

    found = jax.jit(functools.partial(denseface.features, TINY))(
        tensors(), images.astype(np.float32)
    )
    np.testing.assert_allclose(found[0], pooled, atol=1e-4)
    np.testing.assert_allclose(found[1], posterior, atol=1e-4)


def test_rows_are_byte_equal_in_any_company_and_on_two_devices(path):
    one = denseface.load(path, TINY)
    rng = np.random.default_rng(0)
    prepared = [
        one.prepare([clip_samples.crop(rng) for _ in range(n)]) for n in [9, 0, 1, *[8] * 40]
    ]
    statistics = {"mean": [100.0], "std": [50.0]}
    alone = encoder.compiled(one, jax.local_devices()[:1])
    expected = [encoder.encode(one, alone, [clip], statistics)[0] for clip in prepared]
    assert [rows.shape for rows in expected[:3]] == [(9, 6 + 8), (0, 14), (1, 14)]
    both = encoder.compiled(one, jax.local_devices()[:2])
    for function in (alone, both):
        found = encoder.encode(one, function, prepared, statistics)
        assert [rows.tobytes() for rows in found] == [rows.tobytes() for rows in expected]


def test_chunks_side_by_side_as_on_an_accelerator_give_the_rows_of_each_alone(path):
    one, rng = denseface.load(path, TINY), np.random.default_rng(0)
    prepared = [one.prepare([clip_samples.crop(rng) for _ in range(n)]) for n in (9, 0, 1, 30)]
    statistics = {"mean": [100.0], "std": [50.0]}
    expected = encoder.encode(one, encoder.compiled(one), prepared, statistics)
    at_once = encoder.compiled(one, accelerated=True)
    found = encoder.encode(one, at_once, prepared, statistics)
    for rows, own in zip(found, expected, strict=True):
        np.testing.assert_allclose(rows, own, atol=1e-4)


def test_features_and_posteriors_reach_the_dataset_with_the_statistics_of_the_crops(
    tiny, path, tmp_path
):
    clips = clip_samples.dataset(tmp_path / "clips", {"train": 3, "test": 2})
    made_of = request(clips, EncodersConfig(face="denseface", face_weights=str(path)))
    featurize(clips, tmp_path / "out", made_of)
    dataset = features.FeaturesDataset(tmp_path / "out", "train")
    assert dataset.widths["face"] == TINY.width
    assert dataset.widths["face_emotion"] == 8
    for item in dataset:
        assert item["face"].shape == (5, TINY.width)
        np.testing.assert_allclose(item["face_emotion"].astype(np.float32).sum(1), 1, atol=2e-3)
    rng = [np.random.default_rng(i) for i in range(3)]
    _ = [r.uniform(200, 2000) for r in rng], [r.standard_normal(8000) for r in rng]
    crops = [denseface.grey(clip_samples.crop(r), 0) for r in rng for _ in range(5)]
    fitted = dataset.metadata["normalisation"]["face"]
    np.testing.assert_allclose(fitted["mean"], np.mean(crops), rtol=1e-6)
    np.testing.assert_allclose(fitted["std"], np.std(crops), rtol=1e-6)
    assert fitted["clips"] == 3


def test_clips_without_any_crop_to_fit_the_statistics_on_are_said(tiny, path, tmp_path, caplog):
    clips = clip_samples.dataset(tmp_path / "clips", {"train": 2}, crops=0)
    made_of = request(clips, EncodersConfig(face="denseface", face_weights=str(path)))
    featurize(clips, tmp_path / "out", made_of)
    assert "the normalisation is fitted on has any face: mean 0 and standard deviation 1" in (
        caplog.text
    )
    fitted = features.FeaturesDataset(tmp_path / "out", "train").metadata["normalisation"]["face"]
    assert fitted == {"mean": [0.0], "std": [1.0], "clips": 0, "frames": 0}


def test_brightness_of_the_corpus_is_removed_by_its_statistics(path):
    one = denseface.load(path, TINY)
    function = encoder.compiled(one)
    image = cv2.resize(np.random.default_rng(0).integers(20, 120, (4, 4), np.uint8), (112, 112))
    crops = [cv2.imencode(".png", picture)[1].tobytes() for picture in (image, image * 2)]
    (plain,) = encoder.encode(one, function, [one.prepare(crops[:1])], {"mean": [50], "std": [20]})
    (twice,) = encoder.encode(one, function, [one.prepare(crops[1:])], {"mean": [100], "std": [40]})
    np.testing.assert_allclose(plain, twice, atol=0.02)


def test_without_statistics_it_is_refused(path):
    one = denseface.load(path, TINY)
    crops = [clip_samples.crop(np.random.default_rng(0))]
    with pytest.raises(ValueError, match="'denseface' is normalised with the mean and std of 1"):
        encoder.encode(one, encoder.compiled(one), [one.prepare(crops)], {})


def test_a_damaged_crop_is_refused(path):
    with pytest.raises(ValueError, match=r"face crop 0 .* is no image; expected a JPEG of 112x112"):
        denseface.prepare([b"not a picture"])


def test_weights_of_another_network_are_refused(path):
    with pytest.raises(ValueError, match=r"lacks 455 of 497 tensors: block0\.layer2"):
        denseface.load(path)
    wider = denseface.Architecture(stem=6, growth=2, blocks=(2, 1))
    with pytest.raises(ValueError, match=r"stem \[3, 3, 1, 4\] instead of \[3, 3, 1, 6\]"):
        denseface.load(path, wider)


def test_tensors_that_the_network_has_not_are_named(path, tmp_path):
    other = tmp_path / "other.safetensors"
    tensors = safetensors.load_file(path) | {"block9.conv": np.zeros(3, np.float32)}
    safetensors.save_file(tensors, other)
    with pytest.raises(ValueError, match=r"1 tensors that are none .* \['block9\.conv'\]"):
        denseface.load(other, TINY)


def test_weights_that_are_not_whole_are_refused(path, tmp_path):
    short = tmp_path / "short.safetensors"
    short.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match="is no whole safetensors file"):
        denseface.load(short, TINY)
    with pytest.raises(FileNotFoundError, match=r"no weights at .*nowhere"):
        denseface.load(tmp_path / "nowhere", TINY)


def test_the_features_dataset_knows_the_weights(tiny, path):
    identity = featurizer.identities(EncodersConfig(face="denseface", face_weights=str(path)))
    assert identity["face"]["name"] == "denseface"
    assert len(identity["face"]["weights_sha256"]) == 64
    Featurizer(identity, {}, {"face": str(path)})
