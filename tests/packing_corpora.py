"""Made-up corpora of many sorts, and how near their bounds the plans of their rows come.

    python tests/packing_corpora.py FIRST LAST

packs the corpora of these seeds into rows of the limits that are proposed for them, and prints each
plan that is not within a point of its bound.
"""

import sys
import time

import numpy as np

from memobert_jax.packing import NEAR, pack, suggest


def seconds_of(rng: np.random.Generator, count: int) -> tuple[str, np.ndarray]:
    """(what they are like, f64 [count] lengths of clips)."""
    kind = rng.choice(["lognormal", "uniform", "equal", "acted", "bimodal", "long", "exponential"])
    if kind == "lognormal":
        found = np.maximum(
            rng.lognormal(np.log(rng.uniform(1, 5)), rng.uniform(0.1, 1), count), 0.5
        )
    elif kind == "uniform":
        found = rng.uniform(*sorted(rng.uniform(0.5, 8, 2)), count)
    elif kind == "equal":
        found = np.full(count, rng.uniform(0.5, 8))
    elif kind == "acted":
        sentences = rng.uniform(1, 6, rng.integers(1, 6))
        found = rng.choice(sentences, count) * rng.normal(1, rng.uniform(0, 0.1), count).clip(
            0.7, 1.4
        )
    elif kind == "bimodal":
        short = rng.random(count) < rng.uniform(0.2, 0.8)
        found = np.where(short, rng.uniform(0.5, 2), rng.uniform(3, 8)) * rng.uniform(
            0.9, 1.1, count
        )
    elif kind == "long":
        found = np.maximum(rng.lognormal(np.log(6), 0.7, count), 1)
    else:
        found = 0.5 + rng.exponential(rng.uniform(0.5, 3), count)
    return str(kind), np.minimum(found, 30)


def corpus(seed: int, sizes: tuple[int, ...] = (500, 1500, 3000, 10_000)) -> tuple[str, np.ndarray]:
    """(what it is like, i32 [clips, 3] pieces, faces and speech rows of its clips)."""
    rng = np.random.default_rng(seed)
    count = int(rng.choice(sizes))
    kind, seconds = seconds_of(rng, count)
    words = np.rint(seconds * rng.uniform(1.5, 5) + rng.normal(0, rng.uniform(0, 3), count))
    faces = np.rint(seconds * 10 * rng.uniform(rng.uniform(0.2, 1), 1, count))
    speech = np.rint(seconds * 16.67)
    lengths = np.stack([words, faces, speech], 1).clip(
        0, rng.integers((16, 24, 40), (128, 100, 200))
    )
    lengths[:, 0] += 2
    missing = rng.random()
    if missing < 0.3:
        lengths[rng.random(count) < rng.uniform(0.1, 0.9), 1 + (missing < 0.15)] = 0
    elif missing < 0.4:
        lengths[:, 1] = 0
    elif missing < 0.45:
        lengths[:, 1:] = 0
    return f"{kind}, {count} clips of {lengths.sum(1).mean():.0f} slots", lengths.astype(np.int32)


def main(first: int, last: int) -> None:
    plans = far = before = 0
    for seed in range(first, last):
        what, lengths = corpus(seed)
        for limits, _ in suggest(lengths):
            began = time.monotonic()
            plan = pack(lengths, limits)
            took, plans = time.monotonic() - began, plans + 1
            before += plan.most - pack(lengths, limits, quick=True).fill > NEAR
            if (gap := plan.most - plan.fill) > NEAR:
                far += 1
                rows = f"{len(plan)} rows of {limits.width} for {plan.bound.rows}"
                print(f"{seed}: {what}: {100 * gap:.1f} points, {rows}, {took:.0f} s", flush=True)
    print(f"{far} of {plans} plans are more than a point from their bound, {before} at first")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
