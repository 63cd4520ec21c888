"""The matrix catches what it is there for: deliberately broken copies of both cycles, and the SDK's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from sekoia_automation.asset_connector import AssetConnector

from lab.platform import LocalPlatform
from shared.alerts.connector import EventConnector
from shared.alerts.intake import Intake
from shared.devices import polling
from shared.devices import round as cycle
from shared.devices.delivery import AssetDelivery
from shared.devices.inventory import DeviceConnector
from shared.devices.playbooks import DeviceChanges
from shared.errors import ConnectorError
from tests.conformance_base import ConnectorConformance
from tests.faults.cases import Case
from tests.faults.matrix import run
from tests.rig import Clock, signal_handlers_kept
from tests.suites import CHANGES, SUITES

CASES = [
    Case("push", "reset", True),
    Case("push", "401", True),
    Case("push", "500", True),
    Case("push", "empty 200", True),
    Case("push", "wrong JSON shape", True),
    Case("middle page", "503", True),
    Case("state write", "disk full", True),
]


def cursor_moved_before_the_push(monkeypatch: pytest.MonkeyPatch) -> None:
    send = cycle.Round._send

    def broken(self: Any) -> None:
        if (at := self._cursor.place) is not None:
            self._around.move_cursor(at)
        send(self)

    monkeypatch.setattr(cycle.Round, "_send", broken)


def fingerprint_stored_before_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    send = cycle.Round._send

    def broken(self: Any) -> None:
        entries = [(entry.key, entry.content) for entry in self._batch.entries]
        self._memory.deliver(entries, self._began, self._began)
        send(self)

    monkeypatch.setattr(cycle.Round, "_send", broken)


def refused_batch_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    push = AssetDelivery._post

    def broken(self: Any, *told: Any, **more: Any) -> None:
        with suppress(ConnectorError):
            push(self, *told, **more)

    monkeypatch.setattr(AssetDelivery, "_post", broken)


def failure_of_a_page_taken_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    walk = SUITES["SentinelOne"].lab_module.connector.walk

    def reading(pages: Any) -> Iterator[Any]:
        with suppress(ConnectorError):
            for page in pages:
                yield replace(page, total=None)

    def broken(*told: Any) -> Any:
        found = walk(*told)
        return replace(found, pages=reading(found.pages))

    monkeypatch.setattr(SUITES["SentinelOne"].lab_module.connector, "walk", staticmethod(broken))


def the_sdks_own_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stock round over the same client and table; the checkpoint is the time of the walk, as connectors do it."""

    def assets(self: Any) -> Iterator[Any]:
        from sekoia_automation.asset_connector.models.ocsf.device import DeviceOCSFModel

        self._state.recall()
        mapper, client = self.mapper(), self._connected()
        for page in self.walk(client, None, self.scopes(client)[0]).pages:
            for record in page.records:
                self._seen = self.walk(client, None, self.scopes(client)[0]).cursor_of(record)
                yield DeviceOCSFModel.model_validate(mapper(record))

    def checkpoint(self: Any) -> None:
        self._state.context[self.cursor_key] = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(self._seen + 1))
        self._state.store()

    monkeypatch.setattr(DeviceConnector, "get_assets", assets)
    monkeypatch.setattr(DeviceConnector, "update_checkpoint", checkpoint)
    monkeypatch.setattr(DeviceConnector, "asset_fetch_cycle", AssetConnector.asset_fetch_cycle)
    monkeypatch.setattr(AssetConnector, "_http_header", {"Authorization": "Bearer local-api-key"})


def position_moved_before_the_push(monkeypatch: pytest.MonkeyPatch) -> None:
    deliver = EventConnector._deliver

    def broken(self: Any, rows: list[Any], window: Any) -> None:
        self._position.move(max((int(at) for _, at, _ in rows), default=self._position.cursor))
        deliver(self, rows, window)

    monkeypatch.setattr(EventConnector, "_deliver", broken)


def event_known_before_it_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    deliver = EventConnector._deliver

    def broken(self: Any, rows: list[Any], window: Any) -> None:
        self._position.known.add({key: at for key, at, _ in rows})
        self._position.store()
        deliver(self, rows, window)

    monkeypatch.setattr(EventConnector, "_deliver", broken)


def refused_events_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    send = Intake.send

    def broken(self: Any, texts: Any) -> list[str]:
        try:
            return send(self, texts)
        except ConnectorError:
            return []

    monkeypatch.setattr(Intake, "send", broken)


def unconfirmed_events_taken_for_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, texts: Any) -> list[str]:
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
    for number, case in enumerate(CASES):
        try:
            _run(name, case, tmp_path / str(number), monkeypatch)
        except AssertionError as promise:
            caught.append((case, promise))
    assert caught


def refresh_taken_from_the_end_of_the_last_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was delivered since the last full walk is fresh, and nothing else."""

    def broken(self: Any, content: int, before: Any) -> bool:
        return before[0] == content and (self._terms.refresh_after is None or before[1] == self._began)

    monkeypatch.setattr(cycle.Round, "_is_delivered", broken)


def changes_asked_for_without_an_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "OVERLAP", 0.0)


def device_known_by_its_uid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycle.Round, "_identity", lambda self, record: None)


def learning_remembered_by_the_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    recall = DeviceChanges.recall

    def broken(self: Any, part: dict[str, Any], memory: Any) -> None:
        recall(self, part, memory)
        learned = part["learned"]
        part["learned"] = part["learned"] or "full_walk_began" not in part
        self._state.store()
        part["learned"] = learned

    monkeypatch.setattr(DeviceChanges, "recall", broken)


PROMISES: list[tuple[Callable[[pytest.MonkeyPatch], None], type[ConnectorConformance], str]] = [
    (
        refresh_taken_from_the_end_of_the_last_walk,
        SUITES["SentinelOne"],
        "test_what_was_sent_since_the_last_full_walk_is_not_refreshed_by_the_next",
    ),
    (
        changes_asked_for_without_an_overlap,
        SUITES["SentinelOne"],
        "test_a_row_that_becomes_visible_late_is_delivered_by_the_next_round",
    ),
    (device_known_by_its_uid, SUITES["SentinelOne"], "test_clones_with_one_uid_are_each_known"),
    (
        learning_remembered_by_the_process_alone,
        CHANGES["SentinelOne changes"],
        "test_learning_again_that_is_interrupted_goes_on_in_silence",
    ),
]


@pytest.mark.parametrize("intact", [True, False])
@pytest.mark.parametrize(("broken", "suite", "promise"), PROMISES, ids=[broken.__name__ for broken, _, _ in PROMISES])
def test_a_broken_promise_is_caught_by_its_test(
    broken: Callable[[pytest.MonkeyPatch], None],
    suite: type[Any],
    promise: str,
    intact: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not intact:
        broken(monkeypatch)
    test = getattr(suite(), promise)
    with signal_handlers_kept(), LocalPlatform() as platform, suite.lab_module.simulated(35) as console:
        needed = {"rig": suite.rigged(console, platform, tmp_path, monkeypatch), "clock": Clock(monkeypatch)}
        given = {name: needed[name] for name in signature(test).parameters}
        with nullcontext() if intact else pytest.raises(AssertionError):
            test(**given)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("name", ["SentinelOne", "CheckpointHarmony"])
def test_the_cycle_as_it_is_passes_the_same_cases(
    name: str, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(name, case, tmp_path, monkeypatch)


def _run(name: str, case: Case, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = SUITES[name]()
    with signal_handlers_kept(), LocalPlatform() as platform, suite.lab_module.simulated(35) as console:
        run(case, suite, suite.rigged(console, platform, data, monkeypatch), monkeypatch, settle=1.1)
