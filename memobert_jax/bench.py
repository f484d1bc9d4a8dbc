"""How fast each stage runs here: one JSON with hardware and revision, and a table.

    python -m memobert_jax.bench --config=configs/pretrain_tiny.py --videos=DIR --clips=DIR \
        --config.tokenizer=FILE.model --config.data.sources="(('FEATURES_DIR', 1.0),)"

A stage is measured where its input is given: `media` (--videos: hours of video per core-hour, CPU
seconds by stage), `featurize` (--clips: clips/s), `input` and `train` (data.sources). Where nothing
is given, `input` and `train` run on random features of the paper's lengths and widths. Rates depend
on the machine and on what else runs there; compare figures of one call only.
"""

import dataclasses
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from absl import app, flags

from memobert_jax import command

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
    """Training as `train` runs it, without logging and checkpoints.

    MFU is `flops.model_flops` a second over the device's peak: `mfu_measured` over a matrix product
    in the model's dtype measured just before, `mfu_datasheet` where the device is known.
    """
    import jax
    import numpy as np

    from memobert_jax import flops, metrics, optim, sharding, step
    from memobert_jax import state as state_lib

    mesh = sharding.make_mesh(cfg.mesh)
    sharding.check_rows(mesh, cfg.data.batch_rows, cfg.optim.accumulate)
    net, tx = state_lib.memobert(cfg.model), optim.make_optimizer(cfg.optim)
    shardings = state_lib.state_shardings(net, tx, mesh)
    peak = flops.measured_flops(cfg.model.dtype)
    hosts = jax.process_index(), jax.process_count()
    with jax.set_mesh(mesh):
        state = state_lib.init_state(cfg, tx, shardings)
        schedule = optim.learning_rate(cfg.optim, cfg.steps)
        train_step = step.make_train_step(net, tx, schedule, data.shares, cfg, shardings, mesh)
        batches = data.batches(
            0,
            *hosts,
            place=lambda b: (sharding.to_global(mesh, b), flops.squares(b["segment_ids"])),
        )
        batch, _ = next(batches)
        start = time.perf_counter()
        compiled = train_step.lower(state, batch).compile()
        compile_s = time.perf_counter() - start
        state, _ = compiled(state, batch)
        for batch, _ in itertools.islice(batches, WARMUP_STEPS - 1):
            state, _ = compiled(state, batch)
        jax.block_until_ready(state)
        clock, window, squared = metrics.Clock(), [], 0
        for _ in range(steps):
            with clock.input():
                batch, found = next(batches)
            state, scalars = compiled(state, batch)
            window.append(scalars)
            squared += found * jax.process_count()
        jax.block_until_ready(state)
        seconds, waited = clock.seconds, clock.waited
    totals = {name: float(np.sum([float(s[name]) for s in window])) for name in ("clips", "tokens")}
    return {
        "steps": steps,
        "parameters": sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(net.shapes)),
        "ms_per_step": 1000 * seconds / steps,
        "clips_per_s": totals["clips"] / seconds,
        "tokens_per_s": totals["tokens"] / seconds,
        "real_slots": totals["tokens"] / (steps * cfg.data.batch_rows * cfg.data.row_width),
        "overflow": float(np.sum([float(s["overflow"]) for s in window])),
        **flops.utilisation(cfg.model, totals["tokens"], squared, seconds, peak),
        "input_wait": waited / seconds,
        "compile_s": compile_s,
        "peak_memory_gb": flops.peak_memory() / 1e9,
    }


def measure(
    cfg: Any, *, videos: str, clips: str, split: str, synthetic: int, steps: int, limit: int
) -> dict[str, Any]:
    """Every stage whose input is given; `input` and `train` on random features if nothing is."""
    from memobert_jax import runtime, tokenizer
    from memobert_jax import synthetic as synthetic_lib
    from memobert_jax.data import TrainData
    from memobert_jax.train import fill_model

    out: dict[str, Any] = {"hardware": runtime.hardware(), "git": runtime.git_revision()}
    out["config"] = config_line(cfg)
    if videos:
        out["media"] = media(videos, limit)
    if clips:
        out["featurize"] = featurize(clips, split, 10 * limit)
    random = not (videos or clips or cfg.data.sources)
    with tempfile.TemporaryDirectory() as folder:
        if random:
            written, words = synthetic_lib.write(folder, synthetic)
            sources = ((str(written), 1.0),)
            data_cfg = dataclasses.replace(cfg.data, sources=sources, split="train")
            cfg = dataclasses.replace(cfg, tokenizer=str(words), data=data_cfg)
        if cfg.data.sources:
            cfg = dataclasses.replace(cfg, steps=steps + WARMUP_STEPS)
            data = TrainData(cfg, tokenizer.load(cfg.tokenizer))
            model = fill_model(cfg, data.tokenizer, data.layout.widths)
            if random:
                size = -(-synthetic_lib.VOCABULARY // 64) * 64
                model = dataclasses.replace(model, vocab_size=size)
            cfg = dataclasses.replace(cfg, model=model)
            out["data"] = data.describe()
            out["input"] = host_input(data, steps)
            out["train"] = train_steps(cfg, data, steps)
    return out


def config_line(cfg: Any) -> str:
    """What of the configuration decides the speed, in words."""
    from memobert_jax.models import attention

    model, data = cfg.model, cfg.data
    kernel = attention.fastest(data.row_width, model.hidden // model.heads, model.dtype)
    kernel = (
        "dropout" if model.attention_dropout else kernel if model.attention == "auto" else "plain"
    )
    return (
        f"{model.layers} layers of {model.hidden}, {model.heads} heads, {model.dtype}, dropout "
        f"{model.dropout:g}, attention kernel {kernel}, remat {model.remat}; {data.batch_rows} "
        f"rows of {data.row_width} slots a step, schedule {cfg.objectives.schedule}"
    )


def table(results: dict[str, Any]) -> str:
    """The results as lines `stage  figure  value`."""
    lines = [f"{results['hardware']}; revision {results['git'] or 'unknown'}"]
    lines += [results[name] for name in ("config", "data") if name in results]
    for stage, figures in results.items():
        if isinstance(figures, dict):
            flat = itertools.chain.from_iterable(
                [(f"{k}.{n}", x) for n, x in v.items()] if isinstance(v, dict) else [(k, v)]
                for k, v in figures.items()
            )
            lines += [f"{stage:10} {name:24} {_number(value):>14}" for name, value in flat]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.3f}"


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    from memobert_jax import config, runtime

    runtime.quiet_libraries()
    values = flags.FLAGS
    cfg = config.from_config_dict(config.PretrainConfig, values.config)
    results = measure(
        cfg,
        videos=values.videos,
        clips=values.clips,
        split=values.clips_split,
        synthetic=values.synthetic,
        steps=values.steps,
        limit=values.limit,
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
    flags.DEFINE_integer("synthetic", 1000, "random clips where nothing is given", lower_bound=1)
    flags.DEFINE_integer("steps", 30, "measured steps", lower_bound=1)
    flags.DEFINE_integer("limit", 50, "videos at most; ten times as many clips", lower_bound=1)
    flags.DEFINE_string("output", "", "JSON file to write")
    flags.mark_flag_as_required("config")
    command.run(main)


if __name__ == "__main__":
    run()
