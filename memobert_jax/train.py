"""Masked pre-training: `python -m memobert_jax.train --config=configs/X.py --workdir=DIR`.

Running the same command again resumes the run; the data position is the step, so a resumed run
takes the same batches, masks and dropout as one that was never interrupted.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import app, flags, logging

from memobert_jax import command


def fill_model(cfg: Any, tokenizer: Any, widths: Any) -> Any:
    """The model config with vocabulary and feature sizes set from tokenizer and data.

    Raises:
      ValueError: if a size was given and differs.
    """
    found = {
        "vocab_size": tokenizer.vocab_size,
        "face_dim": widths.face,
        "face_emotion_dim": widths.face_emotion,
        "speech_dim": widths.speech,
    }
    for name, size in found.items():
        if getattr(cfg.model, name) not in (0, size):
            raise ValueError(
                f"model.{name} = {getattr(cfg.model, name)}, but tokenizer and data give {size}; "
                "leave it 0"
            )
    return dataclasses.replace(cfg.model, **found)


def train(cfg: Any, workdir: str | Path) -> Any:
    """Pre-trains `cfg` (a PretrainConfig) in `workdir`, resuming what is there.

    Returns:
      The last TrainState.

    Raises:
      ValueError: for a configuration, data or checkpoint that does not fit.
      FloatingPointError: after more than `max_skipped` non-finite steps in a row, with a checkpoint
        of the parameters from before; the message names the steps.
    """
    import jax

    from memobert_jax import optim, runtime, sharding, step
    from memobert_jax import state as state_lib
    from memobert_jax.checkpoint import Checkpoints
    from memobert_jax.progress import Progress

    mesh = sharding.make_mesh(cfg.mesh)
    sharding.check_rows(mesh, cfg.data.batch_rows, cfg.optim.accumulate)
    cfg, data = _open_data(cfg)
    net, tx = state_lib.memobert(cfg.model), optim.make_optimizer(cfg.optim)
    shardings = state_lib.state_shardings(net, tx, mesh)
    saved = Checkpoints(workdir, cfg.checkpoint_every, cfg.keep_checkpoints, _describe(cfg, data))
    with jax.set_mesh(mesh), saved as checkpoints:
        state = first_state(cfg, net, tx, shardings, checkpoints)
        if runtime.is_lead():
            (Path(workdir) / "parameters.txt").write_text(_overview(state.params), "utf-8")
        start, hosts = int(state.step), (jax.process_index(), jax.process_count())
        rate = optim.learning_rate(cfg.optim, cfg.steps)
        train_step = step.make_train_step(net, tx, rate, data.shares, cfg, shardings, mesh)
        evaluate, trivial = _heldout(cfg, data, net, shardings.params, mesh, hosts)
        batches = data.batches(start, *hosts, place=lambda b: sharding.to_global(mesh, b))
        with Progress(cfg, data, workdir, start, evaluate) as progress:
            progress.begin(state.params, trivial)
            for k in range(start + 1, cfg.steps + 1):
                with progress.clock.input():
                    batch = next(batches)
                with jax.transfer_guard("disallow"):
                    state, scalars = train_step(state, batch)
                stop = runtime.preempted(k)
                last = stop or k == cfg.steps
                failure = progress.add(k, scalars, last=last)
                with progress.clock.paused():
                    checkpoints.save(k, state, force=last or failure is not None)
                if failure:
                    raise failure
                if stop:
                    logging.warning("asked to stop: saved step %d; run again to resume", k)
                    break
                progress.measure(k, state.params)
    return state


def _open_data(cfg: Any) -> tuple[Any, Any]:
    """(the configuration with the sizes that tokenizer and data give, the training rows)."""
    from memobert_jax import tokenizer
    from memobert_jax.data import TrainData

    tokens = tokenizer.load(cfg.tokenizer)
    data = TrainData(cfg, tokens)
    logging.info("%s", data.describe())
    if "mfc" not in data.shares and cfg.objectives.mfc:
        logging.warning(
            "objective mfc is off: the features have no face_emotion; its weight goes to the others"
        )
    idle = data.idle()
    if idle:
        logging.warning(
            "objectives %s will never have a target, because no clip has their modality: give them "
            "the weight 0, as --config.objectives.%s=0",
            ", ".join(idle),
            idle[0],
        )
    model = fill_model(cfg, tokens, data.layout.widths)
    return dataclasses.replace(cfg, model=model), data


def _overview(params: Any) -> str:
    """A table of the parameters with shapes and shardings."""
    from clu import parameter_overview

    return parameter_overview.get_parameter_overview(params, include_stats="sharding") + "\n"


def _describe(cfg: Any, data: Any) -> dict[str, Any]:
    from memobert_jax import checkpoint, holdout, runtime
    from memobert_jax import sources as sources_lib

    datasets = [source.dataset for source in data.sources]
    sources = [
        {
            "path": str(dataset.path),
            "split": dataset.split,
            "weight": weight,
            "fingerprint": dataset.fingerprint,
            "held_out": holdout.ids(dataset, cfg.data.hold_out),
            "rows": source.plan.fingerprint,
        }
        for source, dataset, (_, weight) in zip(
            data.sources, datasets, cfg.data.sources, strict=True
        )
    ]
    runtime.check_agree([source["rows"] for source in sources], "rows of clips")
    return checkpoint.describe(
        cfg.model,
        data.tokenizer,
        sources_lib.shared(datasets),
        sources,
        cfg,
        kind="pretrain",
        git=runtime.git_revision(),
        hardware=runtime.hardware(),
    )


def first_state(cfg: Any, net: Any, tx: Any, shardings: Any, checkpoints: Any) -> Any:
    """The newest checkpoint of the run, or a fresh state, from `init_from` where it is given.

    Raises:
      ValueError: if the run or `init_from` is of another network, tokenizer or encoder.
    """
    import jax

    from memobert_jax import checkpoint
    from memobert_jax import state as state_lib

    shapes = jax.eval_shape(lambda: state_lib.init_state(cfg, tx, shardings))
    state = checkpoints.restore(shapes, shardings)
    if state is not None:
        logging.info("resuming at step %d", int(state.step))
        return state
    if not cfg.init_from:
        return state_lib.init_state(cfg, tx, shardings)
    path = checkpoint.resolve(cfg.init_from)
    here = {
        k: checkpoints.description[k] for k in ("model", "tokenizer", "encoders", "normalisation")
    }
    checkpoint.check_same(checkpoint.metadata(path), here, f"init_from = {cfg.init_from!r}")
    state = state_lib.init_state(cfg, tx, shardings)
    return state._replace(params=checkpoint.load_params(path, net.shapes, shardings.params))


def _heldout(cfg, data, net, params_shardings, mesh, hosts) -> tuple[Callable, dict[str, float]]:
    """(params -> held-out loss per objective, losses of the trivial predictors)."""
    import jax

    from memobert_jax import heldout, metrics, sharding, step

    layout, passes = heldout.heldout(cfg, data.tokenizer)
    batches = [
        (names, sharding.to_global(mesh, batch))
        for names, batch in heldout.batches(cfg, layout, passes, *hosts)
    ]
    texts = [source.dataset.texts() for source in data.sources]
    trivial = heldout.trivial_losses(passes, heldout.piece_counts(texts, data.tokenizer))
    steps = {
        names: step.make_eval_step(net, names, params_shardings, mesh) for names in dict(batches)
    }

    def evaluate(params: Any) -> dict[str, float]:
        sums: dict[str, list] = {}
        for names, batch in batches:
            for name, loss in steps[names](params, batch).items():
                sums.setdefault(name, []).append(loss)
        totals = jax.device_get(sums)
        return {
            f"{metrics.HELDOUT}{name}": float(
                sum(t for t, _ in parts) / max(sum(n for _, n in parts), 1)
            )
            for name, parts in totals.items()
        }

    return evaluate, trivial


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    from memobert_jax import config, runtime

    cfg = config.from_config_dict(config.PretrainConfig, flags.FLAGS.config)
    runtime.quiet_libraries()
    runtime.cache_compilations()
    runtime.start()
    train(cfg, flags.FLAGS.workdir)


def run() -> None:
    """Defines the flags and starts `main`."""
    from ml_collections import config_flags

    config_flags.DEFINE_config_file("config", None, "configuration file", lock_config=True)
    flags.DEFINE_string("workdir", None, "folder of checkpoints and metrics")
    flags.mark_flags_as_required(["config", "workdir"])
    command.run(main)


if __name__ == "__main__":
    run()
