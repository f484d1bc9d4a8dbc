"""CPU time goes to the innermost open stage, once."""

import time

import pytest

from memobert_jax.media.clock import Clock


@pytest.fixture
def ticks(monkeypatch):
    """A process clock that advances by what is put into `now`."""
    now = [0.0]
    monkeypatch.setattr(time, "process_time", lambda: now[0])
    return now


def test_an_inner_stage_is_not_counted_outside(ticks):
    clock = Clock()
    with clock("outer"):
        ticks[0] += 1
        with clock("inner"):
            ticks[0] += 10
        ticks[0] += 2
    ticks[0] += 100
    assert clock.seconds == {"outer": 3, "inner": 10}


def test_seconds_are_added_to_a_given_dict(ticks):
    seconds = {"stage": 5.0}
    with Clock(seconds)("stage"):
        ticks[0] += 1
    assert seconds == {"stage": 6.0}


def test_making_items_is_counted_and_using_them_is_not(ticks):
    def items():
        for item in range(3):
            ticks[0] += 1
            yield item

    clock = Clock()
    with clock("use"):
        for _ in clock.each("make", items()):
            ticks[0] += 10
    assert clock.seconds == {"make": 3, "use": 30}


def test_a_stage_ends_with_its_exception(ticks):
    clock = Clock()
    with pytest.raises(KeyError), clock("a"):
        raise KeyError
    with clock("b"):
        ticks[0] += 1
    assert clock.seconds == {"a": 0, "b": 1}
