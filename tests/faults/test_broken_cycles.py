"""The matrix catches what it is there for: deliberately broken copies of both cycles, and the SDK's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sekoia_automation.asset_connector import AssetConnector

from lab.platform import LocalPlatform
from shared.alerts.connector import EventConnector
from shared.alerts.intake import Intake
from shared.alerts.position import Position
from shared.alerts.windows import Reading, VendorClock
from shared.devices import round as cycle
from shared.devices.delivery import AssetDelivery, Batch
from shared.devices.inventory import DeviceConnector
from shared.errors import ConnectorError
from tests.faults.cases import CONSOLE_FAULTS, Case
from tests.faults.matrix import run
from tests.rig import signal_handlers_kept
from tests.suites import SUITES

CASES = [
    Case("push", "500", True),
    Case("push", "empty 200", True),
    Case("push", "wrong JSON shape", True),
    Case("middle page", "503", True),
    Case("state write", "disk full", True),
]
ALERT_CASES = [
    Case("push", "one refused with 403", True),
    *(Case("console", fault, True) for fault in CONSOLE_FAULTS),
]


def cursor_moved_before_the_push(monkeypatch: pytest.MonkeyPatch) -> None:
    send = cycle.Round._send

    def broken(self: Any) -> None:
        if (at := self._cursor()) is not None:
            self._move_cursor(at)
        send(self)

    monkeypatch.setattr(cycle.Round, "_send", broken)


def fingerprint_stored_before_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    send = cycle.Round._send

    def broken(self: Any) -> None:
        self._fingerprints.deliver(dict(self._batch.entries))
        send(self)

    monkeypatch.setattr(cycle.Round, "_send", broken)


def refused_batch_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    push = AssetDelivery._accepted

    def broken(self: Any, batch: Batch) -> str | None:
        try:
            return push(self, batch)
        except ConnectorError:
            return None

    monkeypatch.setattr(AssetDelivery, "_accepted", broken)


def failure_of_a_page_taken_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    run = cycle.Round.run

    def reading(pages: Any) -> Iterator[Any]:
        with suppress(ConnectorError):
            yield from pages

    def broken(self: Any) -> bool:
        self._walk = replace(self._walk, pages=reading(self._walk.pages))
        return run(self)

    monkeypatch.setattr(cycle.Round, "run", broken)


def the_sdks_own_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stock round over the same client and table; the checkpoint is the time of the walk, as connectors do it."""

    def assets(self: Any) -> Iterator[Any]:
        from sekoia_automation.asset_connector.models.ocsf.device import DeviceOCSFModel

        self._context = self._context_file.read()
        mapper, client = self.mapper(), self._connected()
        for page in self.walk(client, None, self.scopes(client)[0]).pages:
            for record in page.records:
                self._seen = self.walk(client, None, self.scopes(client)[0]).cursor_of(record)
                yield DeviceOCSFModel.model_validate(mapper(record))

    def checkpoint(self: Any) -> None:
        self._context[self.cursor_key] = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(self._seen + 1))
        self._context_file.write(self._context)

    monkeypatch.setattr(DeviceConnector, "get_assets", assets)
    monkeypatch.setattr(DeviceConnector, "update_checkpoint", checkpoint)
    monkeypatch.setattr(DeviceConnector, "asset_fetch_cycle", AssetConnector.asset_fetch_cycle)
    monkeypatch.setattr(AssetConnector, "_http_header", {"Authorization": "Bearer local-api-key"})


def position_moved_before_the_push(monkeypatch: pytest.MonkeyPatch) -> None:
    deliver = EventConnector._deliver

    def broken(self: Any, alerts: dict[str, Any]) -> None:
        self._position.cursor = max((int(alert.at) for alert in alerts.values()), default=self._position.cursor)
        self._position.store()
        deliver(self, alerts)

    monkeypatch.setattr(EventConnector, "_deliver", broken)


def event_known_before_it_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    deliver = EventConnector._deliver

    def broken(self: Any, alerts: dict[str, Any]) -> None:
        self._position.done({key: alert.at for key, alert in alerts.items()})
        deliver(self, alerts)

    monkeypatch.setattr(EventConnector, "_deliver", broken)


def position_past_an_aside_that_was_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Position.store

    def broken(self: Position) -> None:
        aside, self.facts.aside = self.facts.aside, {}
        store(self)
        self.facts.aside = aside

    monkeypatch.setattr(Position, "store", broken)


def no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.alerts.connector._LOOK_INTERVAL", float("inf"))


def short_window_taken_for_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reading, "missing", 0)


def our_clock_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VendorClock, "now", lambda _: time.time())


def refused_events_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    send = Intake.send

    def broken(self: Any, texts: Any, **options: Any) -> list[str]:
        try:
            return send(self, texts, **options)
        except ConnectorError:
            return []

    monkeypatch.setattr(Intake, "send", broken)


def unconfirmed_events_taken_for_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, texts: Any, **_: Any) -> list[str]:
        self._session.call("POST", "batch", data=self._head + b",".join(texts) + b"]}")
        return []

    monkeypatch.setattr(Intake, "send", broken)


def failure_of_a_page_taken_for_the_end_of_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    connector = SUITES["CheckpointHarmony"].lab_module.connector
    pages = connector.pages

    def broken(client: Any, since: int, until: int) -> Iterator[Any]:
        try:
            yield from pages(client, since, until)
        except ConnectorError:
            return

    monkeypatch.setattr(connector, "pages", staticmethod(broken))


BROKEN: list[tuple[str, Callable[[pytest.MonkeyPatch], None]]] = [
    ("SentinelOne", cursor_moved_before_the_push),
    ("SentinelOne", fingerprint_stored_before_delivery),
    ("SentinelOne", refused_batch_ignored),
    ("SentinelOne", failure_of_a_page_taken_for_the_end),
    ("SentinelOne", the_sdks_own_loop),
    ("CheckpointHarmony", position_moved_before_the_push),
    ("CheckpointHarmony", event_known_before_it_is_accepted),
    ("CheckpointHarmony", position_past_an_aside_that_was_not_stored),
    ("CheckpointHarmony", no_second_look),
    ("CheckpointHarmony", short_window_taken_for_complete),
    ("CheckpointHarmony", our_clock_believed),
    ("CheckpointHarmony", refused_events_ignored),
    ("CheckpointHarmony", unconfirmed_events_taken_for_accepted),
    ("CheckpointHarmony", failure_of_a_page_taken_for_the_end_of_a_window),
]


@pytest.mark.parametrize(("name", "broken"), BROKEN, ids=[broken.__name__ for _, broken in BROKEN])
def test_a_broken_cycle_is_caught(
    name: str, broken: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    caught = []
    for number, case in enumerate(CASES + (ALERT_CASES if name == "CheckpointHarmony" else [])):
        try:
            _run(name, case, tmp_path / str(number), monkeypatch)
        except AssertionError as promise:
            caught.append((case, promise))
    assert caught


@pytest.mark.parametrize(
    ("name", "case"),
    [
        *(("SentinelOne", case) for case in CASES),
        *(("CheckpointHarmony", case) for case in CASES + ALERT_CASES),
    ],
    ids=str,
)
def test_the_cycle_as_it_is_passes_the_same_cases(
    name: str, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(name, case, tmp_path, monkeypatch)


def _run(name: str, case: Case, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = SUITES[name]()
    with signal_handlers_kept(), LocalPlatform() as platform, suite.lab_module.simulated(35) as console:
        run(case, suite, suite.rigged(console, platform, data, monkeypatch), monkeypatch, settle=1.1)
