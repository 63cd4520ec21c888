"""The suite that every connector of alerts inherits, driven from outside by a console and the local platform.

A vendor's class inherits `EventConnectorConformance` and says what is particular to its console. What is the same for
connectors of devices is in `tests/conformance.py` under the same names. Every bug a user finds is added here.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from lab.platform.faults import Empty, Fault, Hang, Html, RateLimited, Reset, Status, WrongShape
from lab.platform.local import LocalPlatform
from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.runtime.service import HUNG
from shared.times import epoch
from tests.clock import Clock
from tests.conformance_base import ConnectionTestConformance
from tests.differences import differences
from tests.endless import endless, without_list
from tests.rig import Rig, assert_stops_in_time, signal_handlers_kept, until_signals_are_caught
from tests.waiting import HANGS, until

REFUSALS = [
    *(Status(500), RateLimited(0), Empty(200), Reset(), Status(400), Status(503), Html(200), Status(413), Empty(204)),
    *(WrongShape({"event_ids": []}), WrongShape({}), WrongShape([]), WrongShape(None), WrongShape({"event_ids": 35})),
]
POISONED = [
    *map(Status, (400, 403, 409, 413, 422, 500, 502, 504)),
    Html(200),
    WrongShape({"event_ids": []}),
    WrongShape({}),
]
Version = tuple[Any, float | None]


class EventConnectorConformance(ConnectionTestConformance):
    """Inherit, and fill in what the vendor's console calls things. Its 35 events lie in one window, of four pages."""

    delivered_by = "intake"
    state_files = {"context.json"}
    arguments: ClassVar[dict[str, Any]] = {"timedelta": 0, "hours_ago": 6}
    missing: Set[Version] = frozenset()  # of the console's lists, so that the cursor may pass them by

    @pytest.fixture
    def rig(
        self, console: Any, platform: LocalPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Rig]:
        monkeypatch.setattr(self.lab_module.connector, "longest_window", 6 * 3600)
        with signal_handlers_kept():
            yield self.rigged(console, platform, tmp_path / "data", monkeypatch)

    # --- what the tests compare with

    @property
    def text(self) -> str:
        """The field that makes an alert another one, which holds a text of any length."""
        return next(iter(self.lab_module.change))

    def version(self, record: dict[str, Any]) -> Version:
        return record.get("id"), epoch(record.get(self.lab_module.cursor))

    def versions(self, console: Any) -> set[Version]:
        return {self.version(console.record(identity)) for identity in console.ids}

    def arrived(self, platform: LocalPlatform) -> list[Version]:
        """In the order in which they were accepted."""
        return [self.version(json.loads(text)) for text in platform.alerts]

    @abstractmethod
    def as_sent(self, record: dict[str, Any]) -> dict[str, Any]:
        """The event that is sent of a record."""

    def undelivered(self, rig: Rig) -> dict[Version, str]:
        arrived = {self.version(event): event for event in map(json.loads, rig.platform.alerts)}
        held = {self.version(record): record for record in map(rig.console.record, rig.console.ids)}
        wrong = {
            version: differences(self.as_sent(record), arrived[version]) if version in arrived else "never arrived"
            for version, record in held.items()
        }
        return {version: reason for version, reason in wrong.items() if reason}

    def deliveries(self, rig: Rig) -> Counter[Version]:
        return Counter(self.arrived(rig.platform))

    def behind_cursor(self, rig: Rig) -> dict[Version, float]:
        """Alerts that are queued for retry in the state are sent from there."""
        if (cursor := epoch(rig.cursor)) is None:
            return {}
        come = self.missing | {self.version(event) for event in self.aside(rig)}
        undelivered = self.undelivered(rig).keys() - come
        return {version: version[1] for version in undelivered if version[1] is not None and version[1] < cursor}

    def aside(self, rig: Rig) -> list[dict[str, Any]]:
        """The events that the stored state holds for a retry."""
        stored = json.loads(rig.state("context.json").read_text())
        return [json.loads(one["text"]) for one in stored.get("aside", {}).values()]

    def deliver_all(self, rig: Rig) -> None:
        """Up to two hours ago: the windows in which `change_all` touches everything are not read yet."""
        self._touch_all(rig, timedelta(hours=5.5), timedelta(hours=2.5))
        rig.cycle(timedelta=120)

    def change_all(self, rig: Rig) -> None:
        self._touch_all(rig, timedelta(hours=1.9), timedelta(seconds=5), **{self.text: "changed"})

    def _touch_all(self, rig: Rig, first: timedelta, last: timedelta, **fields: Any) -> None:
        """One after the other, from so long ago to so long ago."""
        began, step = datetime.now(UTC) - first, (first - last) / len(rig.console.ids)
        for number, identity in enumerate(rig.console.ids):
            rig.console.change(identity, at=began + step * number, **fields)

    def assert_every_page_was_read_once(self, rig: Rig, records: int = 35) -> None:
        calls = rig.console.calls_to(self.lab_module.list_route)
        asked = "\n".join(f"{call.path} {call.query}" for call in calls)
        pages = 1 + math.ceil(records / rig.page_size)  # the first call is for the vendor's clock
        assert len(calls) == pages, f"{records} records and the clock are {pages} calls, but there were:\n{asked}"

    # --- reading

    def test_every_page_is_read_once_and_every_event_arrives_once_in_the_order_of_time(self, rig: Rig) -> None:
        counts = rig.cycle(timedelta=5).counts
        arrived = self.arrived(rig.platform)
        assert set(arrived) == self.versions(rig.console)
        assert len(arrived) == 35 == counts.read == counts.sent
        assert [at for _, at in arrived] == sorted(at for _, at in arrived if at is not None)
        self.assert_every_page_was_read_once(rig)
        assert not rig.platform.refused

    def test_a_repeated_page_token_stops_the_walk_with_an_error(self, rig: Rig) -> None:
        if not self.lab_module.names_next_page:
            return  # each page is asked for by its offset, and an empty one is the last
        rig.console.fault(endless(self.lab_module), match=self.lab_module.list_route, times=None)
        with pytest.raises(UnexpectedReply, match="5 pages in a row without anything new"):
            rig.cycle()
        assert len(rig.console.calls_to(self.lab_module.list_route)) <= 7
        self.assert_cursor_not_ahead(rig)

    def test_a_page_without_its_list_is_not_the_end_of_the_events(self, rig: Rig) -> None:
        """The window was taken for empty, its end stored, and its events were lost."""
        rig.console.fault(without_list(self.lab_module), match=self.lab_module.list_route, skip=1)
        with pytest.raises(UnexpectedReply):
            rig.cycle()
        self.assert_cursor_not_ahead(rig)
        rig.cycle()
        self.assert_all_delivered(rig)

    @pytest.mark.parametrize("page", [0, 1, 2, 4])
    def test_a_page_that_cannot_be_read_stops_the_walk_and_is_read_next_time(self, rig: Rig, page: int) -> None:
        rig.console.fault(Status(503), match=self.lab_module.list_route, skip=page, times=3)
        with pytest.raises(TryAgain):
            rig.cycle()
        self.assert_cursor_not_ahead(rig)
        rig.cycle()
        self.assert_all_delivered(rig)

    # --- sending

    @pytest.mark.parametrize("refusal", REFUSALS, ids=repr)
    def test_an_intake_that_refuses_everything_gets_eight_pushes_and_keeps_the_cursor(
        self, rig: Rig, refusal: Fault, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A chunk that failed was logged and passed over; a 2xx that named fewer ids counted as accepted."""
        rig.platform.fault(refusal, match="intake", times=None)
        connector = rig.start()
        for _ in range(3):
            rig.platform.forget_calls()
            with pytest.raises(ConnectorError):
                rig.cycle(connector)
            assert 1 <= len(rig.platform.calls_to("intake")) <= 8
            self.assert_cursor_not_ahead(rig)
        assert not rig.platform.alerts
        assert not re.search("Skipped|Put an", caplog.text)
        rig.platform.clear_faults()
        rig.cycle()
        assert sorted(map(repr, self.arrived(rig.platform))) == sorted(map(repr, self.versions(rig.console)))

    @pytest.mark.parametrize("refusal", POISONED, ids=repr)
    def test_a_refused_event_holds_back_no_other_and_is_skipped_or_put_aside_in_the_same_round(
        self, rig: Rig, refusal: Fault, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Its batch was sent without success round after round, and no event behind it ever arrived."""
        odd = rig.console.ids[17]
        rig.console.change(odd, at=datetime.now(UTC) - timedelta(minutes=30), **{self.text: "odd"})
        wanted = rig.console.record(odd)["id"]
        self._poison(rig, refusal)
        connector = rig.cycle()
        kept = refusal not in (Status(400), Status(413), Status(422))
        assert len(rig.platform.alerts) == 34
        rig.platform.forget_calls()
        rig.cycle(connector)
        [(missing, stamp)] = self.undelivered(rig)
        assert missing == wanted
        assert (epoch(rig.cursor) or 0) > (stamp or 0), "the position waits for the refused one"
        assert len(re.findall(rf"Skipped an \w+ \(id {wanted}\): refused by the platform", caplog.text)) == (not kept)
        assert len(re.findall(rf"Put an \w+ aside \(id {wanted}\)", caplog.text)) == kept
        assert len(rig.platform.calls_to("intake")) == kept, "once a round, alone"
        assert [event["id"] for event in self.aside(rig)] == [wanted] * kept
        assert set(self.deliveries(rig).values()) == {1}

    def test_an_event_put_aside_is_delivered_when_the_intake_accepts_it_also_after_a_restart(self, rig: Rig) -> None:
        odd = rig.console.ids[17]
        rig.console.change(odd, at=datetime.now(UTC) - timedelta(minutes=30), **{self.text: "odd"})
        self._poison(rig, Status(403))
        rig.cycle()
        assert len(self.undelivered(rig)) == 1
        rig.console.remove(odd)  # its content is in the state
        rig.cycle()
        assert len(rig.platform.alerts) == 34
        rig.platform.clear_faults()
        rig.cycle()
        assert json.loads(rig.platform.alerts[-1])[self.text] == "odd"
        rig.cycle()
        assert len(rig.platform.alerts) == 35
        assert not self.aside(rig)

    def test_an_event_put_aside_is_skipped_and_named_after_a_day(
        self, rig: Rig, caplog: pytest.LogCaptureFixture
    ) -> None:
        odd = rig.console.ids[17]
        rig.console.change(odd, at=datetime.now(UTC) - timedelta(minutes=30), **{self.text: "odd"})
        self._poison(rig, Status(500))
        rig.cycle()
        rig.console.clock_offset += timedelta(hours=23)
        rig.cycle()
        assert "Skipped" not in caplog.text
        rig.console.clock_offset += timedelta(hours=1, minutes=1)
        rig.cycle()
        assert re.search(rf"Skipped an \w+ \(id {rig.console.record(odd)['id']}\): refused .*HTTP 500", caplog.text)
        rig.platform.forget_calls()
        rig.cycle()
        assert not rig.platform.calls_to("intake")
        assert not self.aside(rig)

    def test_each_of_many_refused_events_is_put_aside_and_the_next_rounds_push_little(self, rig: Rig) -> None:
        for number, identity in enumerate(rig.console.ids):
            at = datetime.now(UTC) - timedelta(minutes=100 - number)
            rig.console.change(identity, at=at, **{self.text: "odd" if number % 2 else "even"})
        self._poison(rig, Status(409))
        connector = rig.cycle()
        assert len(rig.platform.alerts) == 18
        assert len(self.aside(rig)) == 17
        for _ in range(2):
            rig.platform.forget_calls()
            rig.cycle(connector)
            assert len(rig.platform.calls_to("intake")) <= 4
        rig.platform.clear_faults()
        rig.cycle(connector)
        self.assert_all_delivered(rig)
        assert set(self.deliveries(rig).values()) == {1}

    def test_a_round_that_pushes_again_and_again_is_alive(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        for number, identity in enumerate(rig.console.ids):
            at = datetime.now(UTC) - timedelta(minutes=100 - number)
            rig.console.change(identity, at=at, **{self.text: "odd" if 5 < number < 30 else "even"})
        self._poison(rig, Status(409))
        clock, alive = Clock(monkeypatch), []
        connector = rig.start()

        def take_long(request: Any) -> None:
            if request.endpoint == "intake":
                alive.append(connector.is_alive())
                clock.now += HUNG * 0.6

        rig.platform.before_call = take_long
        connector.moving()  # as the loop does at the begin of a round
        rig.cycle(connector)
        assert len(alive) > 24
        assert all(alive), f"push {alive.index(False) + 1} of {len(alive)} found the round taken for one that hangs"

    @pytest.mark.parametrize("status", [400, 403, 500])
    def test_one_event_refused_alone_does_not_stop_the_windows_behind_it_and_is_judged_when_others_are_accepted(
        self, rig: Rig, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With nothing to compare it with, whose fault it is cannot be known; the window was read again for ever."""
        start, (odd, *others) = datetime.now(UTC), rig.console.ids
        for identity in others[2:]:
            rig.console.remove(identity)
        rig.console.change(odd, at=start - timedelta(hours=9), **{self.text: "odd"})
        for identity in others[:2]:
            rig.console.change(identity, at=start - timedelta(hours=1))
        self._poison(rig, Status(status))
        with pytest.raises(ConnectorError, match=rf"{status}.*is put aside and retried each round"):
            rig.cycle(hours_ago=12)
        assert "Skipped" not in caplog.text
        self.assert_cursor_not_ahead(rig)
        rig.cycle()
        assert len(rig.platform.alerts) == 2
        assert ("Skipped" in caplog.text) is (status == 400)
        rig.cycle()
        rig.platform.clear_faults()
        rig.cycle()
        assert len(rig.platform.alerts) == (2 if status == 400 else 3)

    @pytest.mark.parametrize("status", [400, 403, 503])
    def test_an_intake_that_is_down_for_days_costs_no_event_also_where_each_comes_alone(
        self, rig: Rig, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        records = [rig.console.record(identity) for identity in rig.console.ids[:5]]
        rig.console.has([])
        rig.platform.fault(Status(status), match="intake", times=None)
        connector = rig.start(hours_ago=24)
        for record in records:
            rig.console.add(record)
            rig.console.change(rig.console.ids[-1])
            rig.console.clock_offset += timedelta(hours=15)
            rig.platform.forget_calls()
            with pytest.raises(ConnectorError, match=str(status)):
                rig.cycle(connector)
            assert len(rig.platform.calls_to("intake")) <= 8
        assert "Skipped" not in caplog.text
        rig.platform.clear_faults()
        rig.cycle(connector)
        rig.cycle(connector)
        self.assert_all_delivered(rig)

    def _poison(self, rig: Rig, refusal: Fault) -> None:
        """The intake, or a filter before it, refuses what holds the word "odd"."""

        def holds_the_word(call: Any) -> bool:
            return call.endpoint == "intake" and b"odd" in call.get_data()

        rig.platform.fault(refusal, match=holds_the_word, times=None)

    def test_a_proxy_that_lets_no_long_body_pass_gets_shorter_ones(self, rig: Rig) -> None:
        """It answers 413 to what the intake itself would take."""
        rig.platform.fault(
            Status(413), match=lambda call: call.endpoint == "intake" and len(call.get_data()) > 5_000, times=None
        )
        rig.cycle()
        self.assert_all_delivered(rig)
        assert set(self.deliveries(rig).values()) == {1}

    @pytest.mark.parametrize(("status", "pushes"), [(400, 4), (401, 1), (403, 4), (404, 4), (413, 4)])
    def test_a_client_error_of_the_intake_is_not_retried_in_the_round(self, rig: Rig, status: int, pushes: int) -> None:
        """Each status was retried for an hour. Three events of the batch are sent alone, where it may be its content."""
        rig.platform.fault(Status(status), match="intake", times=None)
        with pytest.raises(ConnectorError):
            rig.cycle()
        assert len(rig.platform.calls_to("intake")) == pushes

    def test_a_lost_answer_to_a_push_is_no_acceptance(self, rig: Rig) -> None:
        rig.platform.fault(Reset(), match="intake", times=3, after=True)
        with pytest.raises(TryAgain):
            rig.cycle()
        self.assert_cursor_not_ahead(rig)
        rig.cycle()
        self.assert_all_delivered(rig)

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_intake_key_says_what_to_do(self, rig: Rig, status: int) -> None:
        rig.platform.fault(Status(status), match="intake", times=None)
        with pytest.raises(ActionNeeded, match=r"Sekoia\.io.*intake key"):
            rig.cycle()

    def test_of_several_batches_only_those_not_accepted_are_sent_again(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.alerts.intake.Intake.limit", 4_000)
        rig.platform.fault(Status(503), match="intake", skip=2, times=None)
        with pytest.raises(TryAgain):
            rig.cycle()
        accepted = self.arrived(rig.platform)
        assert 0 < len(accepted) < 35
        rig.platform.clear_faults()
        rig.cycle()  # of a new process
        arrived = self.arrived(rig.platform)
        assert len(arrived) == len(set(arrived)) == 35
        assert [at for _, at in arrived] == sorted(at for _, at in arrived if at is not None)

    # --- changes

    def test_a_second_round_with_no_change_sends_nothing(self, rig: Rig) -> None:
        rig.cycle()
        counts = rig.cycle().counts
        assert counts.sent == 0
        assert len(rig.platform.alerts) == 35

    def test_an_event_that_was_touched_is_sent_again_and_no_other(self, rig: Rig) -> None:
        connector = rig.cycle()
        changed = rig.console.ids[3]
        time.sleep(1.1)  # another second
        rig.console.change(changed, **{self.text: "changed"})
        time.sleep(1.1)
        rig.cycle(connector)
        assert len(rig.platform.alerts) == 36
        assert json.loads(rig.platform.alerts[-1])[self.text] == "changed"
        self.assert_all_delivered(rig)

    def test_events_of_the_boundary_second_are_read_again_and_sent_once(self, rig: Rig) -> None:
        """A window began where the last one ended, and what was stamped in that second was sent twice, or missed."""
        for _ in range(4):
            for identity in rig.console.ids[:5]:
                rig.console.change(identity)
            rig.cycle()
        time.sleep(1.1)
        rig.cycle()
        self.assert_all_delivered(rig)
        arrived = self.arrived(rig.platform)
        assert len(arrived) == len(set(arrived))

    # --- odd records

    def test_null_missing_extra_and_unknown_values_never_stop_a_round(self, rig: Rig) -> None:
        whole = rig.console.record(rig.console.ids[0])
        records = []
        for number, name in enumerate(sorted(whole)):
            for odd, value in enumerate((None, "", "unheard of", [], {"a": 1}, -1, True)):
                record = {**whole, "id": number * 100 + odd, "extra": {"of": [1]}, name: value}
                records.append(record)
            records.append({key: value for key, value in {**whole, "id": number * 100 + 99}.items() if key != name})
        rig.console.has(records)
        rig.page_size = 1000
        counts = rig.cycle().counts
        assert counts.skipped == 0
        assert counts.sent == counts.read
        assert len(rig.platform.alerts) == counts.sent >= len(records) - 10  # some share an id and update

    def test_an_event_without_a_stamp_is_sent_all_the_same_and_once(self, rig: Rig) -> None:
        records = [rig.console.record(identity) for identity in rig.console.ids]
        for number, stamp in enumerate(("No data", None, "", "soon", 5)):
            records[number][self.lab_module.cursor] = stamp
        del records[5][self.lab_module.cursor]
        rig.console.has(records)
        rig.cycle()
        assert {json.loads(text)["id"] for text in rig.platform.alerts} == {record["id"] for record in records}
        rig.cycle()
        assert len(rig.platform.alerts) == 35

    def test_what_is_no_event_is_skipped_and_named_and_the_page_goes_on(
        self, rig: Rig, caplog: pytest.LogCaptureFixture
    ) -> None:
        records = [rig.console.record(identity) for identity in rig.console.ids]
        rig.console.has([*records, "no object", 42, None, []])
        counts = rig.cycle().counts
        assert (counts.skipped, counts.sent) == (4, 35)
        named = [record.message for record in caplog.records if record.levelno == logging.WARNING]
        assert len(named) == 4
        assert set(self.arrived(rig.platform)) == {self.version(record) for record in records}

    @pytest.mark.parametrize("broken", [math.nan, math.inf, "half \ud800 of a letter"], ids=["nan", "inf", "surrogate"])
    def test_a_record_that_is_no_json_does_not_cost_its_page(
        self, rig: Rig, broken: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        records = [rig.console.record(identity) for identity in rig.console.ids]
        records[3][self.text] = broken
        rig.console.has(records)
        counts = rig.cycle().counts
        assert (counts.skipped, counts.sent) == (1, 34)
        assert any(self.text in record.message for record in caplog.records)

    def test_an_event_longer_than_the_intake_accepts_is_shortened_and_logged(
        self, rig: Rig, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It was dropped with a line of information."""
        records = [rig.console.record(identity) for identity in rig.console.ids]
        records[3][self.text] = 'long "détail" ' * 30_000
        rig.console.has(records)
        rig.cycle()
        assert set(self.arrived(rig.platform)) == self.versions(rig.console)
        assert not rig.platform.refused
        assert max(map(len, rig.platform.alerts)) <= 250_000
        assert any(
            "Shortened" in record.message and str(records[3]["id"]) in record.message for record in caplog.records
        )
        [short] = [event for event in map(json.loads, rig.platform.alerts) if "shortened_fields" in event]
        assert short["shortened_fields"] == {self.text: len(records[3][self.text])}
        assert records[3][self.text].startswith(short[self.text])
        assert len(short[self.text]) > 150_000

    # --- stopping

    @pytest.mark.timing
    @pytest.mark.parametrize("phase", ["starting", "reading", "pushing", "between rounds", "failing", "pacing"])
    def test_sigterm_ends_the_process_within_two_seconds_in_any_phase(self, rig: Rig, phase: str) -> None:
        """The SDK's handler waited for the threads that were retrying a push for an hour."""
        if phase == "reading":
            rig.console.fault(Hang(30), match=self.lab_module.list_route, skip=1)
        elif phase == "pushing":
            rig.platform.fault(Hang(30), match="intake")
        elif phase == "failing":
            rig.console.fault(Status(401), match=self.lab_module.list_route, times=None)
        process = rig.process(ratelimit_per_minute=2 if phase == "pacing" else 1000).start()
        if phase == "between rounds":
            process.wait_for_rounds(1)
        elif phase == "starting":
            until_signals_are_caught(process)
        else:
            calls = rig.platform.calls_to if phase == "pushing" else rig.console.calls_to
            route = "secrets" if phase == "pushing" else self.lab_module.list_route
            until(lambda: calls(route))
            time.sleep(0.5)
        assert_stops_in_time(process)

    # --- what people see

    def test_the_log_of_a_round_says_what_it_did(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            connector = rig.cycle()
            rig.cycle(connector)
        log = [record.message for record in caplog.records if record.levelno >= logging.INFO]
        assert len([line for line in log if "are not collected (hours_ago is 6)" in line]) == 1
        assert re.fullmatch(r"Reading \w+ updated since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", log[1]), log
        assert re.fullmatch(r"read 35 · sent 35 · unchanged 0 · skipped 0 · \d+\.\d s · next \d\d:\d\d UTC", log[2]), (
            log
        )

    @pytest.mark.parametrize("event_format", ["raw", "ecs"])
    def test_no_configured_secret_is_written_anywhere(
        self, rig: Rig, capfd: pytest.CaptureFixture[str], event_format: str
    ) -> None:
        """By a process, with all that one writes: output, metrics, health and files."""
        rig.platform.intake_key = "a-Very-Secret-Intake-Key"
        secrets = [rig.settings[name] for name in self.lab_module.secrets] + [rig.platform.intake_key]
        rig.console.fault(Status(400, json.dumps({"message": secrets[:-1]})), match=self.lab_module.list_route)
        for status in (400, 401, 413):
            body = {"message": [f"intake_key={secrets[-1]}"], "error": f"key {secrets[-1]} is wrong"}
            rig.platform.fault(Status(status, json.dumps(body)), match="intake")
        process = rig.process(frequency=1, event_format=event_format)
        with process:
            process.wait_for_rounds(6)
            health = json.dumps(process.health())
            metrics = requests.get(f"http://127.0.0.1:{process.metrics_port}/metrics", timeout=HANGS).text
        assert 'symphony_module_common_forwarded_events_total{intake_key="' in metrics
        assert re.search(r"forwarded_events_total\{[^}]*\} 35\.0", metrics), "counted is what was accepted"
        places = {
            "health": health,
            "metrics": metrics,
            "logs": json.dumps([log.message for log in rig.platform.logs]),
            "output": "".join(capfd.readouterr()),
            "headers": str([call.headers for call in rig.platform.calls]),
            "user agents": str({call.headers.get("User-Agent") for call in rig.console.calls}),
            "urls": str([(call.path, call.query) for call in rig.console.calls + rig.platform.calls]),
            "events": str(rig.platform.alerts),
            **{str(path): path.read_bytes().decode("latin-1") for path in rig.data.rglob("*") if path.is_file()},
        }
        assert len(places["logs"]) > 10
        for secret in secrets:
            assert [place for place, content in places.items() if secret in content] == []

    def test_no_secret_is_sent_to_sentry(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        """The SDK hands the whole configuration to it."""
        contexts: list[Any] = []
        monkeypatch.setattr("sentry_sdk.set_context", lambda name, content: contexts.append((name, content)))
        connector = rig.start()
        assert connector.configuration
        assert "connector_configuration" in [name for name, _ in contexts]
        assert rig.platform.intake_key not in repr(contexts)
        assert not any(rig.settings[name] in repr(contexts) for name in self.lab_module.secrets)

    def test_the_connection_test_reads_an_event(self, rig: Rig) -> None:
        validator = self.lab_module.validator(self.lab_module.configured(rig.settings))
        assert validator.validate()
        assert len(rig.console.calls_to(self.lab_module.list_route)) == 1

    # --- the state

    def test_state_is_readable_by_its_owner_only(self, rig: Rig) -> None:
        rig.cycle()
        files = [path for path in rig.data.rglob("*") if path.is_file()]
        assert {path.name for path in files} == {"context.json", "context.json.bak"}
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}

    def test_a_damaged_position_is_logged_and_its_copy_used(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
        rig.cycle()
        (rig.data / "context.json").write_bytes(b'{"last_event_date":"2026-')
        rig.cycle()
        assert any("damaged" in record.message for record in caplog.records)
        self.assert_all_delivered(rig)
        assert len(rig.platform.alerts) == 35  # the copy knows what was accepted

    @pytest.mark.parametrize("content", [b"[]", b"", b'{"last_event_date":5,"known":[1]}', b'{"known":{"a":"b"}}'])
    def test_a_position_that_says_nothing_is_followed_by_the_first_run(self, rig: Rig, content: bytes) -> None:
        rig.data.mkdir()
        (rig.data / "context.json").write_bytes(content)
        rig.cycle()
        self.assert_all_delivered(rig)

    def test_the_first_run_keeps_its_beginning_while_it_fails(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hours of a wrong secret moved the beginning of the first run, and the events of those hours were lost."""
        rig.console.fault(Status(401), match=self.lab_module.list_route, times=None)
        with pytest.raises(ActionNeeded):
            rig.cycle()
        begun = rig.cursor
        assert begun
        real = time.time
        monkeypatch.setattr("shared.alerts.connector.time.time", lambda: real() + 5 * 3600)
        with pytest.raises(ActionNeeded):
            rig.cycle()
        assert rig.cursor == begun
