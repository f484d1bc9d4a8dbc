"""Trains the face front end `denseface` on labelled face crops.

    python -m memobert_jax.train_denseface --config=configs/train_denseface.py \
        --config.source=CLIPS_DIR --output=denseface.safetensors

The weights of the epoch with the best accuracy on the validation split are written, and beside them
`OUTPUT.json`: that split, the test split, every epoch, and what was left out. One device is used.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags


@dataclasses.dataclass(frozen=True)
class Crops:
    """Labelled crops: images u8 [n, 64, 64], classes i32 [n] (-1: none), shares f32 [n, 8]."""

    images: np.ndarray
    classes: np.ndarray
    shares: np.ndarray
    left_out: Mapping[str, int]


def read(source: str | Path, split: str, soft: bool) -> Crops:
    """The crops of a clips dataset with the label of their clip.

    Args:
      source: the dataset folder.
      split: name of the split.
      soft: also clips that have shares of votes, but no majority.

    Raises:
      FileNotFoundError, ValueError: if there is no such dataset or split, or no labelled crop.
    """
    from memobert_jax import reader, record
    from memobert_jax.encoders.denseface import CLASSES, grey

    records = reader.Split(source, split, "clips")
    places = [record.EMOTIONS.index(name) for name in CLASSES]
    images, classes, shares = [], [], []
    left_out = {"no_face": 0, "no_label": 0, "label_of_no_class": 0}
    for index in range(len(records)):
        clip = records.read(index, ("id", "faces", "emotion", "emotions"))
        label, given = int(clip["emotion"]), np.asarray(clip["emotions"])[places]
        votes = given / given.sum() if np.isfinite(given).all() and given.sum() > 0 else None
        if not len(clip["faces"]):
            left_out["no_face"] += 1
        elif label < 0 and not (soft and votes is not None):
            left_out["no_label"] += 1
        elif label >= 0 and label not in places:
            left_out["label_of_no_class"] += 1
        else:
            number = places.index(label) if label >= 0 else -1
            images += [grey(crop, i) for i, crop in enumerate(clip["faces"])]
            classes += [number] * len(clip["faces"])
            shares += [np.eye(len(CLASSES))[number] if votes is None else votes] * len(
                clip["faces"]
            )
    if not images:
        raise ValueError(
            f"split {split!r} of {source} has no labelled face crop; left out: {left_out}. Give a "
            "clips dataset with faces and emotions, such as that of tfds_builders fer_plus"
        )
    arrays = np.stack(images), np.array(classes, np.int32), np.stack(shares).astype(np.float32)
    return Crops(*arrays, left_out)


def augmented(images: np.ndarray, shift: int, rng: np.random.Generator) -> np.ndarray:
    """u8 [n, 64, 64]: each image mirrored or not, and moved, its border repeated."""
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift)), mode="edge")
    out = np.empty_like(images)
    side = images.shape[1]
    for i, (y, x, mirror) in enumerate(
        rng.integers(0, (2 * shift + 1, 2 * shift + 1, 2), (len(images), 3))
    ):
        moved = padded[i, y : y + side, x : x + side]
        out[i] = moved[:, ::-1] if mirror else moved
    return out


def initial(shapes: Mapping[str, Sequence[int]], seed: int) -> dict[str, np.ndarray]:
    """The tensors at the start: He-normal kernels, neutral norms."""
    rng, params = np.random.default_rng(seed), {}
    for name, shape in shapes.items():
        if len(shape) > 1:
            std = np.sqrt(2 / np.prod(shape[:-1]))
            params[name] = rng.normal(0, std, shape).astype(np.float32)
        else:
            neutral = 1 if name.endswith(("scale", "variance")) else 0
            params[name] = np.full(shape, neutral, np.float32)
    return params


def make_step(arch: Any, tx: Any, mean: float, std: float) -> Callable:
    """The jitted step (params, opt_state, images, targets) -> (params, opt_state, loss)."""
    import jax
    import optax

    from memobert_jax.encoders import denseface

    def loss(weights, moments, images, targets):
        values = ((images.astype(np.float32) - mean) / std)[..., None]
        _, logits, moments = denseface.network(arch, weights | moments, values, train=True)
        return optax.softmax_cross_entropy(logits, targets).mean(), moments

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, opt_state, images, targets):
        weights, moments = trainable(params)
        (value, moments), grads = jax.value_and_grad(loss, has_aux=True)(
            weights, moments, images, targets
        )
        updates, opt_state = tx.update(grads, opt_state, weights)
        return optax.apply_updates(weights, updates) | moments, opt_state, value

    return step


def trainable(params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what is trained, the running moments of the norms)."""
    moments = {name: v for name, v in params.items() if name.endswith((".mean", ".variance"))}
    return {name: v for name, v in params.items() if name not in moments}, moments


def score(predict: Callable, params: Any, crops: Crops, batch: int) -> dict[str, Any]:
    """Accuracy, UAR and the like (`scores.measure`) on the crops that have a class."""
    from memobert_jax import scores

    labelled = crops.classes >= 0
    images, labels = crops.images[labelled], crops.classes[labelled]
    padded = np.concatenate([images, np.zeros((-len(images) % batch, *images.shape[1:]), np.uint8)])
    parts = [predict(params, padded[at : at + batch]) for at in range(0, len(padded), batch)]
    return scores.measure(np.concatenate([np.asarray(p) for p in parts])[: len(labels)], labels)


def train(cfg: Any, output: str | Path, arch: Any = None) -> dict[str, Any]:
    """Trains by `cfg` (a DenseFaceConfig), writes the weights, returns the results.

    Raises:
      FileNotFoundError, ValueError: if the data are not there or unfit.
      FloatingPointError: if the loss is not finite.
    """
    import jax
    import optax
    from safetensors import numpy as safetensors
    from tqdm import tqdm

    from memobert_jax import datasets, runtime
    from memobert_jax.encoders import denseface

    arch, output = arch or denseface.PAPER, Path(output)
    names = {part: getattr(cfg, f"{part}_split") for part in ("train", "validation", "test")}
    soft = {"train": cfg.soft_labels, "validation": False, "test": False}
    crops = {part: read(cfg.source, name, soft[part]) for part, name in names.items()}
    images, shares = crops["train"].images, crops["train"].shares
    targets = shares if cfg.soft_labels else np.eye(8, dtype=np.float32)[crops["train"].classes]
    mean, std = float(images.mean()), float(max(images.std(), 1.0))
    params, tx = initial(arch.shapes(), cfg.seed), optax.adam(cfg.lr)
    opt_state, step = tx.init(trainable(params)[0]), make_step(arch, tx, mean, std)

    @jax.jit
    def predict(params, images):
        values = ((images.astype(np.float32) - mean) / std)[..., None]
        return jax.nn.log_softmax(denseface.network(arch, params, values, train=False)[1])

    size, epochs, best = min(cfg.batch, len(images)), [], None
    for epoch in tqdm(range(cfg.epochs), desc="train_denseface", unit="epoch"):
        rng = np.random.default_rng((cfg.seed, epoch))
        order, losses = rng.permutation(len(images)), []
        for at in range(0, len(order) - size + 1, size):
            chosen = order[at : at + size]
            batch = augmented(images[chosen], cfg.shift, rng)
            params, opt_state, loss = step(params, opt_state, batch, targets[chosen])
            losses.append(loss)
        mean_loss = float(np.mean([float(loss) for loss in losses]))
        if not np.isfinite(mean_loss):
            raise FloatingPointError(f"the loss of epoch {epoch} is {mean_loss}: lower lr")
        found = score(predict, params, crops["validation"], size)
        epochs.append({"epoch": epoch, "loss": mean_loss, "validation": found["accuracy"]})
        if best is None or found["accuracy"] > best[1]["accuracy"]:
            best = epoch, found, jax.device_get(params)
    epoch, validation, params = best
    results = {
        "epoch": epoch,
        "validation": validation,
        "test": score(predict, params, crops["test"], size),
        "crops": {part: len(found.images) for part, found in crops.items()},
        "left_out": {part: dict(found.left_out) for part, found in crops.items()},
        "mean": mean,
        "std": std,
        "epochs": epochs,
        "config": dataclasses.asdict(cfg),
        "hardware": runtime.hardware(),
        "revision": runtime.git_revision(),
    }
    params = {name: np.ascontiguousarray(values) for name, values in params.items()}
    datasets.write_atomically(output, lambda path: safetensors.save_file(params, path))
    text = json.dumps(results, indent=1) + "\n"
    datasets.write_atomically(
        output.with_name(f"{output.name}.json"), lambda path: Path(path).write_text(text)
    )
    return results


def main(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {list(argv[1:])}")
    from memobert_jax import config, runtime

    cfg = config.from_config_dict(config.DenseFaceConfig, flags.FLAGS.config)
    runtime.quiet_libraries()
    runtime.cache_compilations()
    results = train(cfg, flags.FLAGS.output)
    for part in ("validation", "test"):
        found = results[part]
        values = ", ".join(f"{k} {found[k]:.4f}" for k in ("accuracy", "uar", "weighted_f1"))
        print(f"{part}: {values} on {found['scored']} crops (epoch {results['epoch']})")
    print(f"weights: {flags.FLAGS.output}")


def run() -> None:
    """Defines the flags and starts `main`."""
    from ml_collections import config_flags

    config_flags.DEFINE_config_file("config", None, "configuration file", lock_config=True)
    flags.DEFINE_string("output", None, "the .safetensors file to write")
    flags.mark_flags_as_required(["config", "output"])
    app.run(main)


if __name__ == "__main__":
    run()
