"""How fast each stage runs here: one JSON with hardware and revision, and a table.

    python -m memobert_jax.bench --config=configs/pretrain_tiny.py --videos=DIR --clips=DIR \
        --config.tokenizer=FILE.model --config.data.sources="(('FEATURES_DIR', 1.0),)"

A stage is measured where its input is given: `media` (--videos: hours of video per core-hour, CPU
seconds by stage), `featurize` (--clips: clips/s), `input` and `train` (data.sources). Rates depend
on the machine and on what else runs there; compare figures of one call only.
"""

import dataclasses
import itertools
import json
import time
from pathlib import Path
from typing import Any

from absl import app, flags

WARMUP_STEPS = 5


def media(folder: str | Path, limit: int) -> dict[str, Any]:
    """Clips out of videos, one process: hours of video per CPU hour, and CPU time by stage."""
    from tqdm import tqdm

    from memobert_jax import config
    from memobert_jax.media import clips, video

    files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in video.SUFFIXES)
    if not files:
        raise FileNotFoundError(f"no video in {str(folder)!r}; suffixes: {sorted(video.SUFFIXES)}")
    stages: dict[str, float] = {}
    found = seconds = 0.0
    start = time.process_time()
    for path in tqdm(files[:limit], desc="media"):
        extraction = clips.extract(path, config.ExtractConfig(), timings=stages)
        found += len(extraction.clips)
        seconds += extraction.ledger["duration_s"]
    cpu = time.process_time() - start
    return {
        "videos": min(len(files), limit),
        "video_hours": seconds / 3600,
        "clips": found,
        "hours_per_core_hour": seconds / cpu,
        "cpu_share": {name: spent / cpu for name, spent in sorted(stages.items())},
    }


def featurize(clips_dir: str, split: str, limit: int) -> dict[str, Any]:
    """Frozen encoders over clips held in memory: clips/s, and hours of clips per second."""
    from memobert_jax import config, featurizer
    from memobert_jax.reader import Split

    clips = Split(clips_dir, split, "clips")
    items = clips.read_many(range(min(limit, len(clips))))
    encoders = featurizer.identities(config.EncodersConfig())
    encode = featurizer.Featurizer(encoders, featurizer.fit_normalisation(encoders, list, [items]))
    encode(items[:64])
    start = time.perf_counter()
    encode(items)
    seconds = time.perf_counter() - start
    hours = sum(float(item["end_s"]) - float(item["start_s"]) for item in items) / 3600
    return {
        "clips": len(items),
        "clips_per_s": len(items) / seconds,
        "hours_per_s": hours / seconds,
    }


def host_input(data: Any, steps: int) -> dict[str, Any]:
    """Assembling masked batches in one thread."""
    data.batch(0)
    start, cpu = time.perf_counter(), time.process_time()
    clips = sum(int(data.batch(step)["clip_valid"].sum()) for step in range(steps))
    return {
        "clips_per_s": clips / (time.perf_counter() - start),
        "clips_per_core_s": clips / (time.process_time() - cpu),
    }


def train_steps(cfg: Any, data: Any, steps: int) -> dict[str, Any]:
    """Training as `train` runs it, without logging and checkpoints."""
    import jax
    import numpy as np

    from memobert_jax import metrics, optim, sharding, step
    from memobert_jax import state as state_lib

    mesh = sharding.make_mesh(cfg.mesh)
    sharding.check_rows(mesh, cfg.data.batch_rows, cfg.optim.accumulate)
    net, tx = state_lib.memobert(cfg.model), optim.make_optimizer(cfg.optim)
    shardings = state_lib.state_shardings(net, tx, mesh)
    with jax.set_mesh(mesh):
        state = state_lib.init_state(cfg, tx, shardings)
        schedule = optim.learning_rate(cfg.optim, cfg.steps)
        train_step = step.make_train_step(net, tx, schedule, data.shares, cfg, shardings, mesh)
        batches = data.batches(0, jax.process_index(), jax.process_count())
        start, clock, window = time.perf_counter(), metrics.Clock(), []
        for k in range(WARMUP_STEPS + steps):
            if k in (1, WARMUP_STEPS):
                jax.block_until_ready(state)
            if k == 1:
                compile_s = time.perf_counter() - start
            if k == WARMUP_STEPS:
                clock.restart()
                window = []
            with clock.input():
                batch = sharding.to_global(mesh, next(batches))
            state, scalars = train_step(state, batch)
            window.append(scalars)
        jax.block_until_ready(state)
        seconds = clock.seconds
    totals = {name: float(np.sum([float(s[name]) for s in window])) for name in ("clips", "tokens")}
    slots = steps * cfg.data.batch_rows * cfg.data.row_width
    parameters = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(net.shapes))
    return {
        "steps": steps,
        "parameters": parameters,
        "clips_per_s": totals["clips"] / seconds,
        "tokens_per_s": totals["tokens"] / seconds,
        "real_slots": totals["tokens"] / slots,
        "input_wait": clock.waiting,
        "first_step_s": compile_s,
    }


def measure(
    cfg: Any, videos: str, clips: str, split: str, steps: int, limit: int
) -> dict[str, Any]:
    """Every stage whose input is given."""
    from memobert_jax import runtime, tokenizer
    from memobert_jax.data import TrainData
    from memobert_jax.train import fill_model

    out: dict[str, Any] = {"hardware": runtime.hardware(), "git": runtime.git_revision()}
    if videos:
        out["media"] = media(videos, limit)
    if clips:
        out["featurize"] = featurize(clips, split, 10 * limit)
    if cfg.data.sources:
        cfg = dataclasses.replace(cfg, steps=steps + WARMUP_STEPS)
        data = TrainData(cfg, tokenizer.load(cfg.tokenizer))
        cfg = dataclasses.replace(cfg, model=fill_model(cfg, data.tokenizer, data.layout.widths))
        out["input"] = host_input(data, steps)
        out["train"] = train_steps(cfg, data, steps)
    if len(out) == 2:
        raise ValueError("nothing to measure: give --videos, --clips or --config.data.sources")
    return out


def table(results: dict[str, Any]) -> str:
    """The results as lines `stage  figure  value`."""
    lines = [f"{results['hardware']}; revision {results['git'] or 'unknown'}"]
    for stage, figures in results.items():
        if isinstance(figures, dict):
            flat = itertools.chain.from_iterable(
                [(f"{k}.{n}", x) for n, x in v.items()] if isinstance(v, dict) else [(k, v)]
                for k, v in figures.items()
            )
            lines += [f"{stage:10} {name:24} {value:12,.3f}" for name, value in flat]
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    from memobert_jax import config, runtime

    runtime.quiet_libraries()
    values = flags.FLAGS
    cfg = config.from_config_dict(config.PretrainConfig, values.config)
    results = measure(
        cfg, values.videos, values.clips, values.clips_split, values.steps, values.limit
    )
    print(table(results))
    if values.output:
        Path(values.output).write_text(json.dumps(results, indent=2) + "\n")


def run() -> None:
    """Defines the flags and starts `main`."""
    from ml_collections import config_flags

    config_flags.DEFINE_config_file("config", None, "pre-training configuration file")
    flags.DEFINE_string("videos", "", "folder of videos for `media`")
    flags.DEFINE_string("clips", "", "clips dataset folder for `featurize`")
    flags.DEFINE_string("clips_split", "train", "split of --clips")
    flags.DEFINE_integer("steps", 30, "measured steps", lower_bound=1)
    flags.DEFINE_integer("limit", 50, "videos at most; ten times as many clips", lower_bound=1)
    flags.DEFINE_string("output", "", "JSON file to write")
    flags.mark_flag_as_required("config")
    app.run(main)


if __name__ == "__main__":
    run()
