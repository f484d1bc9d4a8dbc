"""Trains the face front end `denseface` on labelled face crops.

    python -m memobert_jax.train_denseface --config=configs/train_denseface.py \
        --config.source=CLIPS_DIR --output=denseface.safetensors

The weights are written whenever the accuracy on the validation split is the best so far, and at the
end, beside them, `OUTPUT.json`: that split, the test split, every epoch, and what was left out. One
device is used.
"""

import dataclasses
import functools
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags, logging

from memobert_jax import command
from memobert_jax.crops import Crops, augmented, read


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
    """Accuracy, UAR and the like (`tasks.single`) on the crops that have a class.

    Raises:
      FloatingPointError: if a parameter or a score is not a number.
    """
    from memobert_jax import tasks

    broken = [name for name, values in params.items() if not np.isfinite(values).all()]
    labelled = crops.classes >= 0
    images, labels = crops.images[labelled], crops.classes[labelled]
    padded = np.concatenate([images, np.zeros((-len(images) % batch, *images.shape[1:]), np.uint8)])
    parts = [predict(params, padded[at : at + batch]) for at in range(0, len(padded), batch)]
    log_probs = np.concatenate([np.asarray(p) for p in parts])[: len(labels)]
    found = tasks.single(log_probs.shape[-1]).measure(log_probs, labels)
    if broken or found["scored"] < len(labels):
        raise FloatingPointError(
            f"{len(broken)} of {len(params)} parameters, and the scores of "
            f"{len(labels) - found['scored']} of {len(labels)} crops, are no numbers: the training "
            "diverged; lower lr"
        )
    return found


def epochs_of(
    cfg: Any, arch: Any, crops: Crops, mean: float, std: float
) -> Iterator[tuple[float, dict[str, Any]]]:
    """Trains on `crops`; after each epoch (mean loss, params), params to be used before the next.

    Raises:
      FloatingPointError: if the loss is not finite.
    """
    import optax
    from tqdm import tqdm

    from memobert_jax.encoders.denseface import CLASSES

    images, targets = crops.images, crops.shares
    if not cfg.soft_labels:
        targets = np.eye(len(CLASSES), dtype=np.float32)[crops.classes]
    params, tx = initial(arch.shapes(), cfg.seed), optax.adam(cfg.lr)
    opt_state, step = tx.init(trainable(params)[0]), make_step(arch, tx, mean, std)
    size = min(cfg.batch, len(images))
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
        yield mean_loss, params


def train(cfg: Any, output: str | Path, arch: Any = None) -> dict[str, Any]:
    """Trains by `cfg` (a DenseFaceConfig), writes the weights, returns the results.

    Raises:
      FileNotFoundError, ValueError: if the data are not there or unfit.
      FloatingPointError: if the loss or a score is not finite.
      OSError: if `output` cannot be written, before anything is trained.
    """
    import jax
    from safetensors import numpy as safetensors

    from memobert_jax import datasets, runtime
    from memobert_jax.encoders import denseface

    arch, output = arch or denseface.PAPER, Path(output)
    check_writable(output)
    beside = output.with_name(f"{output.name}.json")
    names = {part: getattr(cfg, f"{part}_split") for part in ("train", "validation", "test")}
    soft = {"train": cfg.soft_labels, "validation": False, "test": False}
    crops = {part: read(cfg.source, name, soft[part]) for part, name in names.items()}
    for part, found in crops.items():
        left_out = ", ".join(f"{n} {why}" for why, n in found.left_out.items() if n) or "none"
        logging.info("%s: %d crops; clips left out: %s", part, len(found.images), left_out)
    images = crops["train"].images
    mean, std = float(images.mean()), float(max(images.std(), 1.0))

    @jax.jit
    def predict(params, images):
        values = ((images.astype(np.float32) - mean) / std)[..., None]
        return jax.nn.log_softmax(denseface.network(arch, params, values, train=False)[1])

    epochs, best = [], None
    for epoch, (loss, params) in enumerate(epochs_of(cfg, arch, crops["train"], mean, std)):
        found = score(predict, params, crops["validation"], cfg.batch)
        epochs.append({"epoch": epoch, "loss": loss, "validation": found["accuracy"]})
        if best is None or found["accuracy"] > best[1]["accuracy"]:
            best = epoch, found, {name: np.array(values) for name, values in params.items()}
            beside.unlink(missing_ok=True)  # what an earlier run says is not of these weights
            datasets.write_atomically(output, functools.partial(safetensors.save_file, best[2]))
    epoch, validation, params = best
    results = {
        "epoch": epoch,
        "validation": validation,
        "test": score(predict, params, crops["test"], cfg.batch),
        "crops": {part: len(found.images) for part, found in crops.items()},
        "left_out": {part: dict(found.left_out) for part, found in crops.items()},
        "mean": mean,
        "std": std,
        "epochs": epochs,
        "config": dataclasses.asdict(cfg),
        "hardware": runtime.hardware(),
        "revision": runtime.git_revision(),
    }
    text = json.dumps(results, indent=1) + "\n"
    datasets.write_atomically(beside, lambda path: Path(path).write_text(text))
    return results


def check_writable(output: Path) -> None:
    """Makes the folder of a file to write.

    Raises:
      OSError: if nothing can be written there.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=output.parent).close()
    except OSError as error:
        raise OSError(f"{output} cannot be written ({error}); give another --output") from error
    if output.is_dir():
        raise IsADirectoryError(f"{output} is a folder; give the file to write as --output")


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
    command.run(main)


if __name__ == "__main__":
    run()
