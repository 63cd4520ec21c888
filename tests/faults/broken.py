"""Deliberately broken copies of both rounds, and the SDK's own loop, which the fault matrix must catch.

Each replaces a part of a round (its walk, delivery, memory or intake) through its public name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from inspect import signature
from threading import Event
from typing import Any

import pytest
from sekoia_automation.asset_connector import AssetConnector
from sekoia_automation_models.ocsf.device import DeviceOCSFModel

from lab.modules import device_modules
from shared.alerts.intake import Intake
from shared.alerts.position import Position
from shared.alerts.windows import Reading, VendorClock
from shared.devices import polling
from shared.devices.absence import Gone, presence
from shared.devices.account import Account
from shared.devices.batch import Batch, Entry
from shared.devices.inventory import DeviceConnector
from shared.devices.polling import DevicePolling
from shared.devices.round import Round
from shared.devices.walks import Walk
from shared.errors import ConnectorError, TryAgain
from shared.state.fingerprints import GONE, SILENT, Fingerprints
from shared.state.storage import JsonFile
from shared.times import iso
from tests.suites import OF_ALERTS, OF_DEVICES, SUITES


class BrokenDelivery:
    """The real delivery; a subclass breaks a part of it."""

    def __init__(self, delivery: Any, memory: Fingerprints, part: dict[str, Any], cursor_key: str) -> None:
        self.delivery, self.memory, self.part, self.cursor_key = delivery, memory, part, cursor_key

    def __getattr__(self, name: str) -> Any:
        return getattr(self.delivery, name)


class MovesTheCursorFirst(BrokenDelivery):
    ahead: float | None = None

    def send(self, batch: Batch) -> None:
        self.ahead = batch.cursor
        self._move()
        self.delivery.send(batch)

    def confirmed(self, *, all_of_them: bool = False) -> Iterator[Batch]:
        try:
            yield from self.delivery.confirmed(all_of_them=all_of_them)
        finally:
            self._move()  # the round moved it to where the last confirmed batch ended

    def _move(self) -> None:
        if self.ahead is not None:
            self.part[self.cursor_key] = iso(self.ahead)


class RemembersFirst(BrokenDelivery):
    def send(self, batch: Batch) -> None:
        entries = ((entry.key, entry.content) for entry in batch.entries)
        self.memory.deliver(entries, self.memory.began, self.memory.began)
        self.delivery.send(batch)


class IgnoresRefusals(BrokenDelivery):
    """Every batch counts as delivered, with any answer of the platform."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.sent: list[Batch] = []

    def send(self, batch: Batch) -> None:
        self.sent.append(batch)
        self.delivery.send(batch)

    def confirmed(self, *, all_of_them: bool = False) -> Iterator[Batch]:
        with suppress(ConnectorError):
            list(self.delivery.confirmed(all_of_them=all_of_them))
        while self.sent:
            batch = self.sent.pop(0)
            batch.refused = {}
            yield batch


def _rounds_with(
    monkeypatch: pytest.MonkeyPatch,
    *,
    delivery: type[BrokenDelivery] | None = None,
    walk: Callable[[Walk], Walk] | None = None,
    **options: Any,
) -> None:
    """From now on each round of devices has this delivery, this walk or these options, where it uses them."""
    real = Round.__init__

    def broken(self: Any, *arguments: Any, **named: Any) -> None:
        made_of = signature(real).bind(self, *arguments, **named).arguments
        if delivery:
            parts = (made_of[name] for name in ("delivery", "memory", "part"))
            made_of["delivery"] = delivery(*parts, made_of["service"].cursor_key)
        if walk:
            opened = made_of["walk"]
            made_of["walk"] = lambda: walk(opened())
        real(**made_of | {name: value for name, value in options.items() if made_of[name] is not None})

    monkeypatch.setattr(Round, "__init__", broken)


def cursor_moved_before_the_push(monkeypatch: pytest.MonkeyPatch) -> None:
    _rounds_with(monkeypatch, delivery=MovesTheCursorFirst)


def fingerprint_stored_before_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not doubted after a failure, which would mend it unless the process is killed."""
    monkeypatch.setattr(Fingerprints, "doubt", lambda *_: None)
    _rounds_with(monkeypatch, delivery=RemembersFirst)


def refused_batch_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    _rounds_with(monkeypatch, delivery=IgnoresRefusals)


def failure_of_a_page_taken_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(pages: Any) -> Iterator[Any]:
        with suppress(ConnectorError):
            yield from pages

    _rounds_with(monkeypatch, walk=lambda walk: replace(walk, pages=ended(walk.pages)))


def refresh_taken_from_the_end_of_the_last_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each full walk sends everything, also recently delivered devices."""
    _rounds_with(monkeypatch, refresh_after=0)


def changes_asked_for_without_an_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "OVERLAP", 0.0)


def device_known_by_its_uid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DevicePolling, "record_names", ())


def learning_remembered_by_the_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stored state of a scope always says that its devices are learned."""
    write = JsonFile.write

    def broken(self: JsonFile, content: dict[str, Any]) -> None:
        write(self, {**content, "learned": True} if "learned" in content else content)

    monkeypatch.setattr(JsonFile, "write", broken)


def gone_after_one_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Fingerprints.absent_after_complete_walk

    def broken(self: Fingerprints, began: int, **options: Any) -> list[int]:
        self.complete_walks = [began]
        return absent(self, began, **options)

    monkeypatch.setattr(Fingerprints, "absent_after_complete_walk", broken)


def gone_from_a_list_that_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Account, "end_reading", lambda self: setattr(self, "complete", True))


def gone_before_it_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    events = Gone.events

    def broken(self: Gone, *arguments: Any) -> Iterator[Any]:
        for event, entry in events(self, *arguments):
            self.memory.set_presence(entry.key, entry.presence)
            yield event, entry

    monkeypatch.setattr(Gone, "events", broken)


def gone_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    _without_presence(monkeypatch, GONE)


def silent_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    _without_presence(monkeypatch, SILENT)


def _without_presence(monkeypatch: pytest.MonkeyPatch, forgotten: str) -> None:
    set_presence = Fingerprints.set_presence

    def broken(self: Fingerprints, key: int, presence: str) -> None:
        if presence != forgotten:
            set_presence(self, key, presence)

    monkeypatch.setattr(Fingerprints, "set_presence", broken)


def back_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.devices.round.presence", lambda was, *arguments: was or presence(was, *arguments))


def back_only_of_those_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that was silent when it was learned is not remembered as silent."""
    remembered = Entry.__new__

    def broken(cls: type[Entry], key: int, content: int, *more: Any) -> Entry:
        return remembered(cls, key, content, *more[:2], more[2] if more[2:] == (GONE,) else "")

    monkeypatch.setattr(Entry, "__new__", broken)


def the_sdks_own_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's own loop over the same client and table; the checkpoint is the walk's time, as SDK connectors do it."""
    seen: list[float] = []

    def assets(self: Any) -> Iterator[Any]:
        settings = self.module.configuration
        client = self.connect(settings, stop=Event(), patience=self.patience, page_size=self.page_size)
        mapper, walk = self.mapper(), self.walk(client, None, self.scopes(client)[0])
        for page in walk.pages:
            for record in page.records:
                seen.append(walk.cursor_of(record))
                yield DeviceOCSFModel.model_validate(mapper(record))

    def checkpoint(self: Any) -> None:
        file = JsonFile(self.state_file("context.json"))
        at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seen[-1] + 1))
        file.write({**file.read(), self.cursor_key: at})

    def fetch(self: Any) -> None:
        self.data_path.mkdir(parents=True, exist_ok=True)  # as the platform does
        AssetConnector.asset_fetch_cycle(self)

    monkeypatch.setattr(DeviceConnector, "get_assets", assets)
    monkeypatch.setattr(DeviceConnector, "update_checkpoint", checkpoint)
    monkeypatch.setattr(DeviceConnector, "asset_fetch_cycle", fetch)
    key = property(lambda self: {"Authorization": f"Bearer {self.configuration.sekoia_api_key.get_secret_value()}"})
    monkeypatch.setattr(AssetConnector, "_http_header", key)


def _before_each_push(monkeypatch: pytest.MonkeyPatch, act: Callable[[Position, list[Any]], None]) -> None:
    """Call `act` with the stored position and the alerts of each batch before the batch is pushed."""
    positions: list[Position] = []
    made, batches = Position.__init__, Intake.batches

    def watched(self: Position, *arguments: Any) -> None:
        made(self, *arguments)
        positions.append(self)

    def broken(self: Intake, *arguments: Any) -> Iterator[Any]:
        for batch in batches(self, *arguments):
            act(positions[-1], [alert for alert, _ in batch])
            yield batch

    monkeypatch.setattr(Position, "__init__", watched)
    monkeypatch.setattr(Intake, "batches", broken)


def position_moved_before_the_push(monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(position: Position, alerts: list[Any]) -> None:
        position.cursor = max(int(alert.at) for alert in alerts)
        position.store()

    _before_each_push(monkeypatch, moved)


def event_known_before_it_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    def known(position: Position, alerts: list[Any]) -> None:
        position.done({alert.key: alert.at for alert in alerts})
        position.store()

    _before_each_push(monkeypatch, known)


def position_past_an_aside_that_was_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Position.store

    def broken(self: Position) -> None:
        aside, self.facts.aside = self.facts.aside, {}
        store(self)
        self.facts.aside = aside

    monkeypatch.setattr(Position, "store", broken)


def no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.alerts.connector.LOOK_INTERVAL", float("inf"))


def short_window_taken_for_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reading, "missing", 0)


def our_clock_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VendorClock, "now", lambda _: time.time())


def _sends_suppressing(monkeypatch: pytest.MonkeyPatch, ignored: Callable[[ConnectorError], bool]) -> None:
    """Batches of events count as accepted if their push raises an error that `ignored` accepts."""
    send = Intake.send

    def broken(self: Intake, texts: Any, **options: Any) -> list[str]:
        try:
            return send(self, texts, **options)
        except ConnectorError as error:
            if not ignored(error):
                raise
            return []

    monkeypatch.setattr(Intake, "send", broken)


def refused_events_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    _sends_suppressing(monkeypatch, lambda error: True)


def unconfirmed_events_taken_for_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    _sends_suppressing(monkeypatch, lambda error: isinstance(error, TryAgain) and "confirmed" in str(error))


def failure_of_a_page_taken_for_the_end_of_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    connector = SUITES[OF_ALERTS].lab_module.connector
    pages = connector.pages

    def broken(client: Any, since: int, until: int) -> Iterator[Any]:
        with suppress(ConnectorError):
            yield from pages(client, since, until)

    monkeypatch.setattr(connector, "pages", staticmethod(broken))


BROKEN: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], ...]] = {
    OF_DEVICES: (
        cursor_moved_before_the_push,
        fingerprint_stored_before_delivery,
        refused_batch_ignored,
        failure_of_a_page_taken_for_the_end,
        the_sdks_own_loop,
    ),
    OF_ALERTS: (
        position_moved_before_the_push,
        event_known_before_it_is_accepted,
        position_past_an_aside_that_was_not_stored,
        no_second_look,
        short_window_taken_for_complete,
        our_clock_believed,
        refused_events_ignored,
        unconfirmed_events_taken_for_accepted,
        failure_of_a_page_taken_for_the_end_of_a_window,
    ),
}
_WITHOUT_TOTAL = next(module.name for module in device_modules() if not module.reports_total)
KEPT: tuple[tuple[str, Callable[[pytest.MonkeyPatch], None], str], ...] = (
    (
        OF_DEVICES,
        refresh_taken_from_the_end_of_the_last_walk,
        "test_what_was_sent_since_the_last_full_walk_is_not_refreshed_by_the_next",
    ),
    (
        OF_DEVICES,
        changes_asked_for_without_an_overlap,
        "test_a_row_that_becomes_visible_late_is_delivered_by_the_next_round",
    ),
    (OF_DEVICES, device_known_by_its_uid, "test_clones_with_one_uid_are_each_known"),
    (
        f"{OF_DEVICES} changes",
        learning_remembered_by_the_process_alone,
        "test_learning_again_that_is_interrupted_goes_on_in_silence",
    ),
    (
        f"{OF_DEVICES} changes",
        gone_after_one_walk,
        "test_a_device_that_is_gone_starts_a_playbook_once_after_two_complete_walks",
    ),
    (
        f"{OF_DEVICES} changes",
        gone_repeated,
        "test_a_device_that_is_gone_starts_a_playbook_once_after_two_complete_walks",
    ),
    (
        f"{OF_DEVICES} changes",
        gone_from_a_list_that_is_short,
        "test_a_row_that_the_console_counts_and_does_not_list_is_not_gone",
    ),
    (
        f"{_WITHOUT_TOTAL} changes",
        failure_of_a_page_taken_for_the_end,
        "test_a_walk_that_is_not_complete_finds_no_device_gone",
    ),
    (
        f"{OF_DEVICES} changes",
        gone_before_it_is_confirmed,
        "test_absences_without_a_confirmation_are_reported_by_the_next_round",
    ),
    (f"{OF_DEVICES} changes", silent_repeated, "test_a_device_that_is_silent_starts_a_playbook_once"),
    (
        f"{OF_DEVICES} changes",
        back_not_reported,
        "test_a_device_that_was_silent_at_first_starts_nothing_until_it_is_back",
    ),
    (
        f"{OF_DEVICES} changes",
        back_only_of_those_reported,
        "test_a_device_that_was_silent_at_first_starts_nothing_until_it_is_back",
    ),
)
"""Promises that no fault of the matrix touches: the suite, the broken copy, and the test that must catch it."""
