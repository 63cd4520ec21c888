"""A pool of desktops: an agent leaves during each reading of the list, so that no reading is ever complete. With offsets
each one that leaves hides another agent from that reading.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.consoles.harfanglab import SimulatedHarfangLab
from lab.modules import MODULES
from lab.platform.local import LocalPlatform
from shared.times import epoch, iso
from tests.rig import Clock, Rig, signal_handlers_kept

MODULE = MODULES["HarfangLab"]
AGENTS, PAGE, READINGS = 48, 10, 20
BETWEEN = 6 * 3600  # seconds from one round to the next: four rounds in each full synchronisation interval
HALF_A_MONTH = 15.5 * 86_400


class Pool:
    """The agents by first contact. In each reading the oldest leaves behind the reader; one joins before each round."""

    def __init__(self, console: SimulatedHarfangLab, clock: Clock) -> None:
        self.console, self.clock = console, clock
        self.template = console.record(console.ids[0])
        self.joined = 0
        console.before_call = self.leave

    def leave(self, request: Any) -> None:
        if request.endpoint == "agents" and request.args.get("offset") == str(PAGE):
            self.console.remove(self.by_first_contact()[0])

    def by_first_contact(self) -> list[str]:
        def first_contact(agent: str) -> float:
            return epoch(self.console.record(agent).get("firstseen")) or math.inf

        return sorted(self.console.ids, key=first_contact)

    def join(self) -> str:
        self.joined += 1
        name = f"joined-{self.joined}"
        seen = iso(time.time() + self.clock.ahead)
        self.console.add(
            {**self.template, "id": name, "hostname": name, "firstseen": seen, "lastseen": iso(time.time())}
        )
        return name


@pytest.fixture
def console() -> Iterator[SimulatedHarfangLab]:
    with SimulatedHarfangLab() as console:
        console.has(AGENTS)
        yield console


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def pool(console: SimulatedHarfangLab, clock: Clock) -> Pool:
    return Pool(console, clock)


def begun(pool: Pool, data: Path, monkeypatch: pytest.MonkeyPatch, platform: LocalPlatform, *, changes: bool) -> Rig:
    rig = Rig(MODULE, pool.console, platform, data, monkeypatch, changes=changes)
    rig.page_size = PAGE
    return rig


def one_round(rig: Rig) -> Any:
    rig.console.forget_calls()
    connector = rig.cycle()
    readings = sum(call.query["offset"] == "0" for call in rig.console.calls_to("agents"))
    assert 1 <= readings <= 2, f"{readings} readings in one round"
    return connector


def assert_the_gone_are_forgotten(rig: Rig, clock: Clock) -> None:
    """A round after a month, in three rounds in each of which an agent leaves; these are not forgotten yet."""
    for _ in range(3):
        clock.ahead += HALF_A_MONTH
        connector = one_round(rig)
    assert len(connector.state.memory("")) == len(rig.console.ids) + 3


def test_changes_are_delivered_all_are_refreshed_and_the_gone_are_forgotten(
    pool: Pool, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No walk counted as complete: nothing was refreshed, and 59 fingerprints were kept for 48 agents."""
    with LocalPlatform() as platform, signal_handlers_kept():
        rig = begun(pool, tmp_path, monkeypatch, platform, changes=False)
        seen: list[Counter[str]] = []
        for number in range(READINGS):
            pool.join()
            changed = pool.by_first_contact()[-2]
            pool.console.change(changed, hostname=f"renamed-{number}")
            one_round(rig)
            assert platform.devices[changed]["device"]["hostname"] == f"renamed-{number}"
            seen.append(platform.deliveries)
            clock.ahead += BETWEEN
        stayed = set(seen[0]).intersection(pool.console.ids)
        assert len(stayed) > 20
        for agent in stayed:
            for first, later in zip(
                seen, seen[5:], strict=False
            ):  # an interval, and a round more for one that was hidden
                assert later[agent] > first[agent], f"{agent} was not refreshed in an interval"

        assert_the_gone_are_forgotten(rig, clock)


def test_a_trigger_learns_once_and_reports_each_change_and_each_new_agent_once(
    pool: Pool, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It learned for ever, and reported nothing."""
    with LocalPlatform() as platform, signal_handlers_kept():
        rig = begun(pool, tmp_path, monkeypatch, platform, changes=True)
        rig.arguments |= {"on": ["new", "changed", "gone"], "full_sync_interval": BETWEEN}
        one_round(rig)
        assert not platform.playbook_runs, "the first round learns"
        expected = []
        for number in range(READINGS - 1):
            clock.ahead += BETWEEN
            new, changed = pool.join(), pool.by_first_contact()[-3]
            pool.console.change(changed, hostname=f"renamed-{number}")
            one_round(rig)
            expected += [(changed, "changed"), (new, "new")]
        runs = [(run.event["device"]["uid"], run.event["change"]["kind"]) for run in platform.playbook_runs]
        assert sorted(runs) == sorted(expected), "no walk was complete, so that none is gone"

        assert_the_gone_are_forgotten(rig, clock)
