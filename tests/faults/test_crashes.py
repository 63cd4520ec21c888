"""Every connector and trigger killed (kill -9) at random points, started again, and compared with what the console holds.

One seed a module; FAULTS=all runs many (`make faults`).
"""

from __future__ import annotations

import os
import random
import re
import shutil
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lab.modules import MODULES
from lab.platform.local import LocalPlatform
from tests.rig import Rig, signal_handlers_kept
from tests.suites import CHANGES, OF_ALERTS, OF_DEVICES, SUITES, slow_but_for
from tests.waiting import HANGS

SEEDS = 50 if os.environ.get("FAULTS") == "all" else 1
LATENCY = 0.02  # seconds before each answer, so that a kill can strike what is under way
CRASHED = {**SUITES, **CHANGES}
KILLED_AT = 14  # of so many pushes
CALLS = range(2, 14)  # of a round, about: a token, four pages, four batches, their tasks, behind that for the secrets


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("name", slow_but_for(CRASHED, OF_DEVICES, OF_ALERTS))
def test_killed_anywhere_and_restarted_nothing_is_missing(
    name: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """State is written so that a kill at any moment, of a restart too, costs at most a second delivery."""
    suite, dice = CRASHED[name](), random.Random(f"{name} {seed}")
    with suite.lab_module.simulated(35) as console, LocalPlatform() as platform, signal_handlers_kept():
        rig = suite.rigged(console, platform, tmp_path / "data", monkeypatch)
        if seed % 2:
            suite.deliver_all(rig)
            suite.change_all(rig)
        for server in (console, platform):
            server.latency, server.before_call = LATENCY, _ask_for_ten
        before = suite.deliveries(rig)
        kills = dice.randint(1, 3)
        for _ in range(kills):
            _kill(rig, dice.choice(CALLS), dice.uniform(0, 2 * LATENCY))
            record_property("kill", "working" if suite.undelivered(rig) else "idle")
            suite.assert_cursor_not_ahead(rig)
        with rig.process() as process:
            assert process.wait_for_rounds(1)["last_error"] is None
        suite.assert_all_delivered(rig)
        arrived = suite.deliveries(rig) - before
        assert max(arrived.values()) <= 1 + kills
        assert arrived.total() - len(arrived) <= kills * suite.under_way


class MonotonicClock:
    """The clock by which the state is written, which a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        for module in ("shared.state.snapshot", "shared.alerts.position"):
            monkeypatch.setattr(f"{module}.time", self)

    def monotonic(self) -> float:
        return self.now

    def __getattr__(self, name: str) -> object:
        return getattr(time, name)


@pytest.mark.parametrize("name", slow_but_for(CRASHED, OF_DEVICES, f"{OF_DEVICES} changes", OF_ALERTS))
def test_a_kill_late_in_a_long_round_repeats_only_what_was_delivered_in_the_last_five_seconds(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state on the disk at each push is what a kill there would leave. A push takes a second."""
    monkeypatch.setattr("shared.alerts.intake.Intake.limit", 2_000)
    suite = CRASHED[name]()
    with suite.lab_module.simulated(35) as console, LocalPlatform() as platform, signal_handlers_kept():
        rig = suite.rigged(console, platform, tmp_path / "data", monkeypatch)
        clock, left = MonotonicClock(monkeypatch), tmp_path / "left"
        before: list[Counter[Any]] = []  # what was delivered before each push

        def push(request: Any) -> None:
            if request.endpoint != suite.delivered_by:
                return
            before.append(suite.deliveries(rig))
            time.sleep(0.15)  # so that the round has heard of the push before
            if len(before) == KILLED_AT:
                shutil.copytree(rig.data, left)
            clock.now += 1

        platform.before_call, platform.tasks = push, False
        rig.cycle(batch_size=2)
        assert len(before) > KILLED_AT
        platform.before_call = None
        at_the_kill = before[KILLED_AT - 1]
        rig.data = left
        delivered = suite.deliveries(rig)
        rig.cycle()
        suite.assert_all_delivered(rig)
        again = suite.deliveries(rig) - delivered
        # Six pushes: five seconds, and the batch after which the state is written; two more that are not yet confirmed.
        unwritten = at_the_kill - before[KILLED_AT - 1 - 8]
        assert not at_the_kill - unwritten & again, "what was delivered long before the kill is delivered again"


def test_every_module_is_crashed() -> None:
    assert set(SUITES) == set(MODULES)
    assert {suite.lab_module.name for suite in CHANGES.values()} == {name for name in MODULES if MODULES[name].changes}


def _kill(rig: Rig, number: int, seconds: float) -> None:
    """Run the module and kill it so long after the n-th call that a server sees of it; earlier where none comes."""
    seen = threading.Semaphore(0)

    def count(request: Any) -> None:
        _ask_for_ten(request)
        seen.release()

    for server in (rig.console, rig.platform):
        server.before_call = count
    process = rig.process().start()
    try:
        assert seen.acquire(timeout=HANGS)
        while number > 1 and seen.acquire(timeout=0.5):
            number -= 1
        time.sleep(seconds)
        assert process.exit_code is None
    finally:
        process.kill()
        for server in (rig.console, rig.platform):
            server.before_call = _ask_for_ten


def _ask_for_ten(request: Any) -> None:
    """Small pages: a process asks for as many rows as its vendor allows, and gets ten of them."""
    request.query_string = re.sub(rb"\b(limit|pageSize)=\d+", rb"\1=10", request.query_string)
