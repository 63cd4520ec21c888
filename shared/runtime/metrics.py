"""What a module's process counts, for Prometheus: names as its conventions have them, base units, no secret in a label.

The exporter is the SDK's (port 8020); what it counts itself of alert connectors stays beside this.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_COUNTED = {
    "pages": "Pages read from the vendor",
    "read": "Records read from the vendor",
    "sent": "Devices or alerts that Sekoia.io confirmed",
    "unchanged": "Records that were delivered before",
    "learned": "Devices a trigger took note of without starting a playbook",
    "skipped": "Records that could not be mapped",
}
STATES = ("listed", "delivered", "unchanged", "refused", "unmappable", "learned", "gone")
"""Of devices in a full walk: all but the first and the last add up to the first; the last are no longer listed."""


@dataclass
class Counts:
    """What a round did: pages, devices, batches, and the seconds it took.

    Of devices each is counted once, however often it is listed: `listed`, and in one of `delivered`, `unchanged`,
    `refused`, `unmappable`, `learned`; `read`, `sent` and `skipped` count rows.
    """

    pages: int = 0
    read: int = 0
    sent: int = 0
    unchanged: int = 0
    learned: int = 0  # remembered without being sent
    skipped: int = 0
    listed: int = 0
    delivered: int = 0
    refused: int = 0
    unmappable: int = 0
    gone: int = 0  # known, and absent from two complete full walks
    batches: int = 0
    seconds: float = 0.0


class Rounds(Collector):
    """The rounds of one connector, read when Prometheus asks. `counts` are those of the present or last round.

    `cursor` gives the oldest stored position (epoch seconds), None where the vendor has none.
    """

    def __init__(self, counts: Callable[[], Counts], cursor: Callable[[], float | None]) -> None:
        self._counts = counts
        self._cursor = cursor
        self.fleet: Callable[[], dict[str, int]] = dict  # devices by state, of the last full walk
        self._before: dict[str, int] = dict.fromkeys(_COUNTED, 0)  # of the rounds that ended
        self._counted: Counts | None = None
        self._ended: dict[str, int] = {"success": 0, "failure": 0}
        self._succeeded_at: float | None = None
        self._seconds: float | None = None

    def ended(self, *, well: bool, seconds: float) -> None:
        """A round ended just now."""
        counts = self._counts()
        if counts is not self._counted:
            self._before = {name: value + getattr(counts, name) for name, value in self._before.items()}
            self._counted = counts
        self._ended["success" if well else "failure"] += 1
        self._seconds = seconds
        if well:
            self._succeeded_at = time.time()

    def collect(self) -> Iterator[Metric]:
        counts, before, counted = self._counts(), self._before, self._counted
        for name, described in _COUNTED.items():
            going_on = 0 if counts is counted else getattr(counts, name)
            yield CounterMetricFamily(f"sekoia_connector_{name}", described, before[name] + going_on)
        rounds = CounterMetricFamily("sekoia_connector_rounds", "Rounds that ended", labels=["outcome"])
        for outcome, count in self._ended.items():
            rounds.add_metric([outcome], count)
        yield rounds
        yield from _gauge("last_round_duration_seconds", "How long the last round took", self._seconds)
        yield from _gauge(
            "last_success_timestamp_seconds", "When a round last ended well, Unix time", self._succeeded_at
        )
        if fleet := self.fleet():
            devices = GaugeMetricFamily("sekoia_connector_devices", "Devices of the last full walk", labels=["state"])
            for state, number in fleet.items():
                devices.add_metric([state], number)
            yield devices
        cursor = self._cursor()
        yield from _gauge(
            "cursor_age_seconds", "How far the stored position lies back", cursor and max(0.0, time.time() - cursor)
        )


def _gauge(name: str, described: str, value: Any) -> Iterator[Metric]:
    """Nothing where the value is not known."""
    if value is not None:
        yield GaugeMetricFamily(f"sekoia_connector_{name}", described, value)
