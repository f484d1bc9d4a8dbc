"""Training DenseFace: it learns what the crops show, and its weights serve as the front end."""

import json

import clip_samples
import cv2
import numpy as np
import pytest

from memobert_jax import crops, datasets, record, train_denseface
from memobert_jax.config import DenseFaceConfig
from memobert_jax.encoders import denseface, encoder

TINY = denseface.Architecture(stem=4, growth=4, blocks=(1, 1))
EMOTIONS = ("neutral", "happiness", "surprise", "sadness")
ONE = np.zeros(1, np.float32)


def clip(index: int, rng: np.random.Generator, **fields):
    """A crop with stripes whose direction and width are the class, in noise."""
    place = np.arange(112) + rng.integers(112)
    stripes = np.sin(2 * np.pi * place / (28, 28, 10, 10)[index % 4])[:, None]
    image = rng.normal(110, 15, (112, 112)) + 60 * (stripes if index % 2 else stripes.T)
    jpeg = cv2.imencode(".jpg", np.clip(image, 0, 255).astype(np.uint8))[1].tobytes()
    shares = np.zeros(len(record.EMOTIONS), np.float32)
    shares[record.EMOTIONS.index(EMOTIONS[index % 4])] = 1
    values = {"faces": [jpeg], "face_time_s": ONE, "face_score": ONE}
    values |= {"emotion": record.EMOTIONS.index(EMOTIONS[index % 4]), "emotions": shares}
    return record.make("clips", id=f"c{index}", **(values | fields))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    rng = np.random.default_rng(0)
    sizes = {"train": range(64), "validation": range(100, 116), "test": range(200, 216)}
    splits = {split: [clip(i, rng) for i in numbers] for split, numbers in sizes.items()}
    return datasets.write(tmp_path_factory.mktemp("crops"), "clips", splits)


def config(source, **changes):
    values = {"source": str(source), "epochs": 12, "batch": 16, "lr": 1e-2, "shift": 1}
    return DenseFaceConfig(**(values | changes))


@pytest.fixture(scope="module")
def trained(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("trained") / "denseface.safetensors"
    return train_denseface.train(config(source), path, TINY), path


def test_the_loss_falls_far_below_chance_and_unseen_crops_are_told_apart(trained):
    results, _ = trained
    assert results["epochs"][-1]["loss"] < 0.5 * np.log(4)
    assert results["test"]["accuracy"] > 0.9
    assert results["crops"] == {"train": 64, "validation": 16, "test": 16}


def test_the_weights_serve_as_the_front_end(trained, source):
    results, path = trained
    one = denseface.load(path, TINY)
    rng = np.random.default_rng(5)
    prepared = [one.prepare(clip(i, rng)["faces"]) for i in range(16)]
    statistics = {"mean": [results["mean"]], "std": [results["std"]]}
    rows = encoder.encode(one, encoder.compiled(one), prepared, statistics)
    posterior = np.concatenate(rows)[:, one.width :]
    expected = [denseface.CLASSES.index(EMOTIONS[i % 4]) for i in range(16)]
    assert (posterior.argmax(1) == expected).mean() > 0.9


def test_the_results_stand_beside_the_weights(trained):
    results, path = trained
    written = json.loads(path.with_name(f"{path.name}.json").read_text())
    assert written == json.loads(json.dumps(results))
    best = max(epoch["validation"] for epoch in results["epochs"])
    assert results["validation"]["accuracy"] == best


@pytest.mark.parametrize("soft", [False, True])
def test_the_loss_is_that_of_the_majority_or_of_the_votes(tmp_path, soft, monkeypatch):
    rng = np.random.default_rng(0)
    votes = np.zeros(len(record.EMOTIONS), np.float32)
    votes[[record.EMOTIONS.index(name) for name in ("neutral", "sadness")]] = 0.7, 0.3
    clips = [clip(4 * n, rng, emotions=votes) for n in range(4)]
    folder = datasets.write(tmp_path, "clips", {"train": clips})
    made, seen = train_denseface.make_step, []

    def watched(*args):
        step = made(*args)
        return lambda p, o, images, targets: seen.append(targets) or step(p, o, images, targets)

    monkeypatch.setattr(train_denseface, "make_step", watched)
    cfg = config(folder, batch=4, epochs=1, soft_labels=soft)
    read = crops.read(folder, "train", soft=soft)
    list(train_denseface.epochs_of(cfg, TINY, read, 110.0, 15.0))
    expected = np.zeros(len(denseface.CLASSES), np.float32)
    shares = (0.7, 0.3) if soft else (1.0, 0.0)
    for name, share in zip(("neutral", "sadness"), shares, strict=True):
        expected[denseface.CLASSES.index(name)] = share
    np.testing.assert_allclose(seen[0], np.tile(expected, (4, 1)), atol=1e-6)


def test_crops_without_a_label_are_counted_and_serve_with_soft_labels_only(tmp_path):
    rng = np.random.default_rng(0)
    nothing = np.full(len(record.EMOTIONS), np.nan, np.float32)
    clips = [
        clip(0, rng),
        clip(1, rng, emotion=-1),
        clip(2, rng, emotion=-1, emotions=nothing),
        clip(3, rng, faces=[], face_time_s=ONE[:0], face_score=ONE[:0]),
        clip(4, rng, emotion=record.EMOTIONS.index("calm")),
    ]
    folder = datasets.write(tmp_path, "clips", {"train": clips})
    hard = crops.read(folder, "train", soft=False)
    assert len(hard.images) == 1
    assert hard.left_out == {"no_face": 1, "no_label": 2, "label_of_no_class": 1}
    soft = crops.read(folder, "train", soft=True)
    assert soft.classes.tolist() == [0, -1]
    np.testing.assert_array_equal(soft.shares, np.eye(8)[[0, 1]])


def test_a_split_without_labels_is_refused(tmp_path):
    folder = clip_samples.dataset(tmp_path, {"train": 1}, crops=0)
    with pytest.raises(ValueError, match=r"has no labelled face crop; left out: .*'no_face': 1"):
        crops.read(folder, "train", soft=False)


def test_a_loss_that_is_not_finite_ends_the_training_without_weights(source, tmp_path, monkeypatch):
    path = tmp_path / "out.safetensors"
    lost = lambda *_: lambda params, opt_state, *_: (params, opt_state, np.nan)  # noqa: E731
    monkeypatch.setattr(train_denseface, "make_step", lost)
    with pytest.raises(FloatingPointError, match="the loss of epoch 0 is nan: lower lr"):
        train_denseface.train(config(source), path, TINY)
    assert not path.exists()


@pytest.fixture(params=["stem", "classes.bias"])
def lost_after_one(request, monkeypatch):
    """A training one of whose parameters is no number from the second epoch on."""

    def epochs(cfg, arch, *_):
        params = train_denseface.initial(arch.shapes(), cfg.seed)
        yield 1.0, params
        yield 1.0, params | {request.param: params[request.param] * np.nan}

    monkeypatch.setattr(train_denseface, "epochs_of", epochs)


def test_parameters_that_are_no_numbers_end_the_training_and_the_best_weights_stay(
    source, tmp_path, lost_after_one
):
    path = tmp_path / "out.safetensors"
    beside = path.with_name("out.safetensors.json")
    beside.write_text("of an earlier run")
    with pytest.raises(FloatingPointError, match=r"1 of \d+ parameters, .* are no numbers"):
        train_denseface.train(config(source), path, TINY)
    expected = train_denseface.initial(TINY.shapes(), config(source).seed)
    found = denseface.load(path, TINY).params
    np.testing.assert_array_equal(found["stem"], expected["stem"])
    assert not beside.exists()


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "file").touch()
    nowhere = config(tmp_path / "nowhere")
    with pytest.raises(OSError, match=r"file/out\.safetensors cannot be written .* give another"):
        train_denseface.train(nowhere, tmp_path / "file" / "out.safetensors", TINY)
    with pytest.raises(IsADirectoryError, match="is a folder; give the file to write"):
        train_denseface.train(nowhere, tmp_path, TINY)
    train_denseface.check_writable(tmp_path / "new" / "folder" / "out.safetensors")
    assert (tmp_path / "new" / "folder").is_dir()


def test_augmentation_moves_and_mirrors_but_keeps_the_picture():
    images = np.zeros((200, 64, 64), np.uint8)
    images[:, 30, 10] = 255
    moved = crops.augmented(images, 2, np.random.default_rng(0))
    places = {tuple(np.argwhere(image)[0].tolist()) for image in moved}
    assert {row for row, _ in places} == {28, 29, 30, 31, 32}
    assert {column for _, column in places} == {*range(8, 13), *range(51, 56)}
    same = crops.augmented(images, 0, np.random.default_rng(0))
    assert all((a == images[0]).all() or (a == images[0][:, ::-1]).all() for a in same)
