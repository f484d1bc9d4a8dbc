"""Rows by linear programming: bounds that hold, and that are met where they can be."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from memobert_jax import columns, pricing
from memobert_jax.columns import relax
from memobert_jax.highs import Program


def fewest(clips: tuple[tuple[int, ...], ...], caps: tuple[int, ...]) -> int:
    """Rows that a handful of clips need, by trying every way to deal them out."""

    def place(left, rows):
        if not left:
            return len(rows)
        first, *others = left
        found = len(clips)
        for n, row in enumerate(rows):
            used = tuple(a + b for a, b in zip(row, first, strict=True))
            if all(a <= b for a, b in zip(used, caps, strict=True)):
                found = min(found, place(others, [*rows[:n], used, *rows[n + 1 :]]))
        return min(found, place(others, [*rows, first]))

    return place(sorted(clips, reverse=True), [])


@pytest.mark.parametrize(("states", "cells"), [(100_000, 4_000_000), (5, 4_000_000), (100_000, 60)])
@pytest.mark.parametrize("seed", range(8))
def test_the_bound_is_never_above_what_trying_everything_finds(seed, states, cells, monkeypatch):
    monkeypatch.setattr(pricing, "_STATES", states)
    monkeypatch.setattr(pricing, "_CELLS", cells)
    rng = np.random.default_rng(seed)
    own = rng.integers(1, 9, (7, 3))
    clips = np.column_stack([own.sum(1), own, np.ones(7, int)])
    caps = (20, 12, 12, 12, 3)
    kinds, counts = np.unique(clips, axis=0, return_counts=True)
    found = relax(kinds, counts, caps, [])
    best = fewest(tuple(map(tuple, clips.tolist())), caps)
    assert best - 1 < found.bound * (1 + pricing.SLACK) + 1e-6
    assert np.ceil(found.bound - 1e-6) <= best


@pytest.mark.parametrize("seed", range(3))
def test_rows_fit_hold_every_clip_and_none_is_worth_more_than_one(seed):
    rng = np.random.default_rng(seed)
    kinds = np.unique(rng.integers((20, 3, 3), (60, 20, 20), (40, 3)), axis=0)
    counts, caps = rng.integers(1, 50, len(kinds)), (128, 48, 40)
    found = relax(kinds, counts, caps, [])
    held = np.zeros(len(kinds))
    for column, times in zip(found.columns, found.times, strict=True):
        assert (kinds[list(column)].sum(0) <= caps).all()
        np.add.at(held, list(column), times)
    assert (held >= counts - 1e-6).all()
    assert found.bound == pytest.approx(counts @ found.prices)
    assert found.bound <= found.times.sum() + 1e-6
    assert found.bound >= found.times.sum() * (1 - columns._SMALL) - 1e-6
    worth = [
        found.prices[list(row)].sum()
        for size in (1, 2, 3)
        for row in itertools.combinations_with_replacement(range(len(kinds)), size)
        if (kinds[list(row)].sum(0) <= caps).all()
    ]
    assert 0.98 < max(worth) <= 1 + 1e-6


def test_clips_that_exclude_each_other_by_different_resources_are_counted():
    """No two of the long ones share a row, though each resource alone has room."""
    kinds = np.array([[33, 33, 0, 0, 1], [81, 32, 49, 0, 1], [3, 1, 1, 1, 1]])
    found = relax(kinds, np.array([100, 100, 100]), (256, 64, 96, 160, 8), [])
    assert np.ceil(found.bound - 1e-6) == pytest.approx(200, abs=1)


def test_of_one_resource_rows_are_those_of_cutting_stock():
    """35 + 35 + 30 twenty times, 40 + 30 + 30 fifteen, and 40 + 40 for the 15 that are left."""
    found = relax(np.array([[40], [35], [30]]), np.array([30, 40, 50]), (100,), [])
    assert found.times.sum() == pytest.approx(20 + 15 + 7.5)
    assert np.ceil(found.bound - 1e-6) == 43


def test_a_search_that_is_given_up_still_bounds(monkeypatch):
    rng = np.random.default_rng(0)
    kinds = np.unique(rng.integers((10, 1, 1), (30, 12, 12), (40, 3)), axis=0)
    counts, caps = np.full(len(kinds), 10), (120, 40, 40)
    whole = relax(kinds, counts, caps, [])
    monkeypatch.setattr(pricing, "_STATES", 5)
    cut = relax(kinds, counts, caps, [])
    assert whole.bound * 0.99 < cut.bound <= whole.times.sum() + 1e-6


def priced(seed: int) -> tuple[np.ndarray, np.ndarray, tuple[int, ...], np.ndarray]:
    """(kinds, counts, caps, prices), by which the best rows are worth more than 1."""
    rng = np.random.default_rng(seed)
    own = rng.integers((4, 0, 0), (20, 8, 8), (9, 3))
    kinds = np.unique(np.column_stack([own.sum(1), own, np.ones(9, int)]), axis=0)
    counts, caps = rng.integers(1, 4, len(kinds)), (60, 40, 14, 12, 5)
    return kinds, counts, caps, kinds[:, 0] / 50 * rng.uniform(0.8, 1.2, len(kinds))


def rows_of(kinds, counts, caps):
    for times in itertools.product(*(range(min(n, 5) + 1) for n in counts)):
        if (np.asarray(times) @ kinds <= caps).all():
            yield np.asarray(times)


@pytest.mark.parametrize("states", [100_000, 3])
@pytest.mark.parametrize("seed", range(6))
def test_the_row_of_most_worth_is_that_of_all_rows(seed, states, monkeypatch):
    monkeypatch.setattr(pricing, "_STATES", states)
    kinds, counts, caps, prices = priced(seed)
    expected = max(times @ prices for times in rows_of(kinds, counts, caps))
    assert expected > 1 + pricing.SLACK
    most, rows = pricing.worthiest(kinds, counts, caps, prices)
    best = max(prices[list(row)].sum() for row in rows)
    assert most >= best >= (1 - 2 * pricing.SLACK) * expected
    if states < 100:  # by branch and bound, which knows how many clips there are
        assert most == pytest.approx(expected, rel=1e-3)
    for row in rows:
        assert (kinds[list(row)].sum(0) <= caps).all()
        assert prices[list(row)].sum() > 1


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_rows_that_are_found_quickly_fit_and_are_worth_more_than_one(seed, share):
    kinds, _, caps, prices = priced(seed)
    rows = pricing.worthy(kinds, prices, caps, share)
    assert rows
    for row in rows:
        assert (kinds[list(row)].sum(0) <= caps).all()
        assert prices[list(row)].sum() > 1
    assert pricing.worthy(kinds, prices / 10, caps, share) == []


def test_a_search_without_a_proof_bounds_nothing(monkeypatch):
    monkeypatch.setattr(pricing, "_STATES", 3)
    kinds, counts, caps, prices = priced(0)
    proved, _ = pricing.worthiest(kinds, counts, caps, prices)
    monkeypatch.setattr(Program, "run", lambda self: False)
    assert pricing._branched(kinds, counts, caps, prices) == (np.inf, [])
    assert pricing.worthiest(kinds, counts, caps, prices)[0] >= proved


def test_a_failure_of_highs_is_no_bound_and_no_plan():
    """It fails, for one, in a process that has used it with more threads."""
    code = (
        "import highspy, numpy as np\n"
        "h = highspy.Highs()\n"
        "h.setOptionValue('output_flag', False)\n"
        "h.setOptionValue('threads', 2)\n"
        "h.addVar(0, 1)\n"
        "h.run()\n"
        "from memobert_jax.pricing import _branched\n"
        "_branched(np.array([[5, 1], [7, 1]]), np.array([3, 3]), (20, 4), np.array([0.3, 0.5]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "RuntimeError: HiGHS 1." in done.stderr


def test_a_program_goes_on_from_where_it_was_and_names_an_option_that_is_unknown():
    program = Program(np.array([3, 5]), np.array([np.inf, np.inf]))
    one = np.ones(1)
    for row in (0, 1):
        program.add(one, one * np.inf, np.zeros(1), np.array([row]), one)
    assert program.solve()[2] == pytest.approx(8)
    program.add(one, one * np.inf, np.zeros(1), np.array([0, 1]), np.ones(2))
    times, prices, cost = program.solve()
    assert cost == pytest.approx(5) == pytest.approx(prices @ [3, 5])
    np.testing.assert_allclose(times, [0, 2, 3])
    with pytest.raises(ValueError, match=r"no option speed = 'fast'"):
        Program(one, one, {"speed": "fast"})
