"""A budget of calls: never overdrawn as the server counts, and used up by a long walk."""

from __future__ import annotations

import random

import pytest
from pyrate_limiter import RequestRate

from shared.http.pace import Pace


class Clock:
    """Time that passes only where it is waited."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("pyrate_limiter.limiter.monotonic", lambda: self.now)

    def calls(self, pace: Pace, count: int, *, takes: float = 0.01) -> list[float]:
        """When each of so many calls in a row leaves."""
        left = []
        for _ in range(count):
            while wait := pace.claim():
                self.now += wait
            left.append(self.now)
            self.now += takes
        return left


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def most_within(times: list[float], seconds: float) -> int:
    return max(sum(begin <= at < begin + seconds for at in times) for begin in times)


@pytest.mark.parametrize(("limit", "seconds"), [(25, 1), (10, 1), (100, 60), (1000, 3600)])
def test_the_limit_is_kept_as_the_server_counts(clock: Clock, limit: int, seconds: int) -> None:
    """Calls that leave an interval apart may arrive within it: the ways differ by some milliseconds."""
    chance = random.Random(limit)
    arrived = sorted(
        at + chance.uniform(0, 0.005) for at in clock.calls(Pace([RequestRate(limit, seconds)]), 3 * limit)
    )
    assert most_within(arrived, seconds) <= limit


def test_a_short_walk_is_not_slowed(clock: Clock) -> None:
    left = clock.calls(Pace([RequestRate(100, 60), RequestRate(1000, 3600)]), 45)
    assert left[-1] - left[0] < 0.5


@pytest.mark.parametrize(("limit", "seconds"), [(100, 60), (1000, 3600)])
def test_a_long_walk_uses_the_budget(clock: Clock, limit: int, seconds: int) -> None:
    left = clock.calls(Pace([RequestRate(limit, seconds)]), 3 * limit)
    assert left[-1] - left[0] < 3.2 * seconds


def test_several_limits_are_all_kept(clock: Clock) -> None:
    left = clock.calls(Pace([RequestRate(10, 1), RequestRate(100, 60), RequestRate(1000, 3600)]), 1500)
    assert [most_within(left, seconds) for seconds in (1, 60, 3600)] <= [10, 100, 1000]
    assert most_within(left, 3600) > 900


@pytest.mark.parametrize("seed", range(20))
def test_a_clock_that_goes_on_while_it_is_looked_at_upsets_nothing(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """The limiter rounds to milliseconds. Within one of them a call too many was counted, and the round ended with a
    ZeroDivisionError."""
    chance, clock = random.Random(seed), Clock(monkeypatch)

    def look() -> float:
        clock.now += chance.choice([1e-6, 1e-5, 5e-5, 1e-4])
        return clock.now

    monkeypatch.setattr("pyrate_limiter.limiter.monotonic", look)
    pace, left = Pace([RequestRate(10, 1), RequestRate(100, 60)]), []
    for _ in range(80):
        while wait := pace.claim():
            clock.now += wait + chance.choice([0, 1e-4, 5e-4, 2e-3])
        left.append(clock.now)
        clock.now += chance.choice([1e-4, 1e-3, 3e-3])
    assert most_within(left, 1) <= 10


def test_without_rates_nothing_waits(clock: Clock) -> None:
    assert clock.calls(Pace([]), 1000, takes=0.0)[-1] == 1000.0
