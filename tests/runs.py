"""Tiny pre-training runs for tests: two layers of width 32 on a few dozen clips."""

import contextlib
import dataclasses
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import samples
from jax.experimental.compilation_cache import compilation_cache

from memobert_jax import tokenizer
from memobert_jax.config import (
    DataConfig,
    MaskingConfig,
    MeshConfig,
    ModelConfig,
    ObjectivesConfig,
    OptimConfig,
    PretrainConfig,
)

TEXTS = [f"{phrase} , i am {word} ." for phrase in samples.PHRASES for word in samples.WORDS]
WITH_EMOTION = samples.WIDTHS | {"face_emotion": 4}

BASE = PretrainConfig(
    steps=8,
    log_every=2,
    eval_every=4,
    eval_rows=4,
    checkpoint_every=4,
    data=DataConfig(
        batch_rows=8,
        row_width=128,
        text_cap=48,
        face_cap=48,
        speech_cap=80,
        max_clips=4,
        max_text=32,
        max_face=20,
        max_speech=40,
    ),
    model=ModelConfig(hidden=32, layers=2, heads=4, mlp=64, max_positions=64),
    optim=OptimConfig(peak_lr=1e-3, warmup_steps=2),
    mesh=MeshConfig(),
    masking=MaskingConfig(),
    objectives=ObjectivesConfig(),
)


def quick_settings(cache: Path) -> dict[str, object]:
    """JAX settings: compile in half the time, to slower programs, and equal ones only once."""
    return {
        "jax_disable_most_optimizations": True,
        "jax_compilation_cache_dir": str(cache),
        "jax_persistent_cache_min_compile_time_secs": 0,
    }


@contextlib.contextmanager
def quick_compilation(cache: Path) -> Iterator[None]:
    """`quick_settings` for what is compiled in here."""
    _configure(quick_settings(cache))
    try:
        yield
    finally:
        defaults = False, None, 1.0
        _configure(dict(zip(quick_settings(cache), defaults, strict=True)))


def _configure(settings: dict[str, object]) -> None:
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # it reads its folder once


def on_two_hosts(code: str, *args: str, devices: int = 1, **env: str) -> list[tuple[int, str]]:
    """(exit status, output) of two processes that run `code`: arguments are host, address, `args`.

    Both are waited for, also where one fails.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    env = os.environ | env | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_CPU_COLLECTIVES_IMPLEMENTATION": "gloo",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }  # fmt: skip
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(host), address, *args],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for host in range(2)
    ]
    outputs = [job.communicate(timeout=300)[0] for job in jobs]
    return [(job.returncode, output) for job, output in zip(jobs, outputs, strict=True)]


def tokens() -> tokenizer.Tokenizer:
    return tokenizer.train(TEXTS, 100)


def saved_tokens(folder: Path) -> str:
    path = folder / "words.model"
    tokenizer.save(tokens(), path)
    return str(path)


def config(*sources, **changes) -> PretrainConfig:
    """BASE on `sources` (folders, or (folder, weight) pairs), with changes.

    A change of a section is a dict of its fields: `config(path, data={"batch_rows": 4})`.
    """
    pairs = [s if isinstance(s, tuple) else (s, 1.0) for s in sources]
    changes.setdefault("data", {})
    changes["data"] |= {"sources": tuple((str(path), float(weight)) for path, weight in pairs)}
    sections = {
        name: dataclasses.replace(getattr(BASE, name), **fields)
        for name, fields in changes.items()
        if isinstance(fields, dict)
    }
    return dataclasses.replace(BASE, **(changes | sections))
