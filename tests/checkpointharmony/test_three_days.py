"""Three days of alerts in one go, with everything going wrong on the way. Time is simulated through the data."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lab.consoles.checkpoint import SimulatedHarmonyMobile, moment, slashed
from lab.fleet.checkpoint import checkpoint_alerts
from lab.modules import MODULES
from lab.platform.faults import Status
from lab.platform.local import LocalPlatform
from shared.times import epoch
from tests.rig import Rig, signal_handlers_kept
from tests.waiting import until

pytestmark = pytest.mark.slow
ALERTS = 20_000
HOURS = 71.9
WRITE_INTERVAL = 6  # seconds: five, and the batch after which the state is written


class Meddler:
    """Touches alerts behind the walk and right in front of it, while windows are paged; logs the session out."""

    def __init__(self, console: SimulatedHarmonyMobile, now: datetime, seed: int) -> None:
        self.console, self.now = console, now
        self.dice = random.Random(seed)
        self.front = 0.0  # the end of the latest window: what is touched gets a time after it, as time goes on
        self.touched = 0
        self.logged_out = 0
        self.behind: list[str] = list(console.ids[:200])  # the oldest, delivered first

    def __call__(self, request: Any) -> None:
        if request.endpoint != "alerts" or request.args.get("offset") == "0":
            return
        start, end = (moment(request.args[f"backend_last_updated__{how}"]) or 0 for how in ("gte", "lte"))
        self.front = max(self.front, end)
        if end == self.front and self.dice.random() < 0.4:
            later = datetime.fromtimestamp(end, UTC) + timedelta(seconds=self.dice.randrange(60, 7200))
            if later < self.now - timedelta(minutes=20):  # what is younger settles
                inside = [name for name in self.console.ids if self._is_in(name, start, end)]
                self.console.change(self.dice.choice(inside), at=later)
                if start > self.now.timestamp() - 60 * 3600:
                    self.console.change(self.dice.choice(self.behind), at=later)
                self.touched += 1
        if self.logged_out < 3 and self.dice.random() < 0.1:
            self.logged_out += 1
            self.console.force_logout()

    def _is_in(self, name: str, start: float, end: float) -> bool:
        return start <= self.console._rows[name].updated <= end


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform() as platform:
        yield platform


def alerts_of_three_days(now: datetime) -> Iterator[dict[str, Any]]:
    """Every third is stamped with the full minute, so that many share a second, those on the hour a boundary too."""
    for number, alert in enumerate(checkpoint_alerts(ALERTS, 7, now, HOURS)):
        if number % 3 == 0:
            at = datetime.fromtimestamp(moment(alert["backend_last_updated"]) or 0, UTC).replace(second=0)
            alert["backend_last_updated"] = slashed(at)
        yield alert


def versions(texts: list[str]) -> list[tuple[int, float]]:
    found = [json.loads(text) for text in texts]
    return [(alert["id"], epoch(alert["backend_last_updated"]) or 0) for alert in found]


@pytest.mark.parametrize("seed", [1, 2])
def test_every_version_arrives_and_only_the_last_seconds_before_a_kill_are_sent_again(
    seed: int, platform: LocalPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes, as one is killed."""
    now = datetime.now(UTC)
    with SimulatedHarmonyMobile() as console, signal_handlers_kept():
        console.has(alerts_of_three_days(now))
        rig = Rig(MODULES["CheckpointHarmony"], console, platform, tmp_path / "data", monkeypatch)
        rig.arguments = {"hours_ago": 72, "chunk_size": 100, "ratelimit_per_minute": 100_000, "frequency": 1}
        console.before_call = meddler = Meddler(console, now, seed)
        platform.fault(Status(503), match="intake", skip=9, times=3)  # the tenth batch is refused in all its tries

        # The process dies with a batch in flight, and up to five seconds after it wrote its state.
        process = rig.process()
        in_flight: list[int] = []
        pushes: list[tuple[float, int]] = []  # when, and how many alerts were accepted before

        def kill_at_the_thirtieth(request: Any) -> None:
            if request.endpoint == "intake":
                pushes.append((time.monotonic(), len(platform.alerts)))
            if request.endpoint == "intake" and len(platform.calls_to("intake")) == 30:
                in_flight.append(len(platform.alerts))
                process.kill()

        platform.before_call = kill_at_the_thirtieth
        process.start()
        until(lambda: process.exit_code is not None)
        platform.before_call = None
        until(lambda: len(platform.alerts) > in_flight[0])
        recent = next(count for at, count in pushes if at > pushes[-1][0] - WRITE_INTERVAL)
        unheard = set(versions(platform.alerts[recent:]))

        with rig.process() as process:
            process.wait_for_rounds(1, timeout=300)
            until(lambda: not missing(console, platform), 300)

        arrived = versions(platform.alerts)
        assert meddler.touched > 20
        assert meddler.logged_out == 3
        assert len(console.calls_to("token")) <= 2 + 3
        assert not platform.refused
        assert not missing(console, platform)
        again = {version for version, times in Counter(arrived).items() if times > 1}
        assert again <= unheard
        firsts = list(dict.fromkeys(arrived))
        assert len(firsts) > ALERTS
        assert [at for _, at in firsts] == sorted(at for _, at in firsts)


def missing(console: SimulatedHarmonyMobile, platform: LocalPlatform) -> set[tuple[int, float]]:
    """Versions as the backend has them now that did not arrive."""
    now = {(row.alert["id"], row.updated) for row in console._rows.values()}
    return {(number, float(int(at))) for number, at in now} - set(versions(platform.alerts))
