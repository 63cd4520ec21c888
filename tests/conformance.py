"""What every vendor's connector holds, driven from outside: simulated console, real connector, local platform.

A vendor's class inherits `DeviceConnectorConformance` and says what is particular to its console. Every bug a user
finds in any of them is added here: the suite is the memory of past bugs.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from abc import abstractmethod
from collections import Counter
from threading import Event
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from lab.consoles.collection import Collection, Page
from lab.paths import value_at, with_values, without
from lab.platform.faults import Empty, Fault, Hang, Html, RateLimited, Redirect, Reset, Status, Truncated, WrongShape
from lab.platform.local import LocalPlatform
from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.mapping.table import paths_of
from shared.runtime.backoff import Backoff
from shared.runtime.service import HUNG
from shared.times import epoch, iso
from tests.clock import Clock as HangClock
from tests.conformance_base import ConnectionTestConformance, ConnectorConformance
from tests.differences import differences
from tests.endless import endless, without_list
from tests.rig import Clock, Elsewhere, Rig, assert_next_try_is_far, assert_stops_in_time, until_signals_are_caught
from tests.waiting import HANGS, until
from tests.watched import one_contains_other, watched

REFUSALS = [Status(500), RateLimited(0), Reset(), Status(400), Status(503), Html(200)]


class DeviceConformance(ConnectorConformance):
    """What the asset connectors and the triggers have in common: the same rounds, to two destinations."""

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        """The connector's clock, which a test moves."""
        return Clock(monkeypatch)

    # --- what the tests compare with

    def records(self, console: Any) -> dict[str, dict[str, Any]]:
        """The console's records by `device.uid`."""
        return {self.uid(record): record for record in map(console.record, console.ids)}

    def uid(self, record: dict[str, Any]) -> str:
        return str(next(filter(None, (value_at(record, path) for path in self.lab_module.ids))))

    def undelivered(self, rig: Rig) -> dict[str, str]:
        """By `device.uid`. What a heartbeat moves is not compared."""
        mapper, arrived = rig.connector.mapper(), rig.platform.devices
        wrong = {
            uid: differences(_stable(mapper(record)), _stable(arrived[uid])) if uid in arrived else "never arrived"
            for uid, record in self.records(rig.console).items()
        }
        return {uid: reason for uid, reason in wrong.items() if reason}

    def deliveries(self, rig: Rig) -> Counter[str]:
        return rig.platform.deliveries

    def behind_cursor(self, rig: Rig) -> dict[str, float]:
        cursor = epoch(rig.cursor)
        if cursor is None or self.lab_module.cursor is None:
            return {}
        records = self.records(rig.console)
        times = {uid: epoch(value_at(records[uid], self.lab_module.cursor)) for uid in self.undelivered(rig)}
        return {uid: at for uid, at in times.items() if at is not None and at < cursor}

    def deliver_all(self, rig: Rig) -> None:
        rig.cycle()

    def change_all(self, rig: Rig) -> None:
        for number, identity in enumerate(rig.console.ids):
            rig.console.change(identity, **self.another(number))

    def another(self, number: Any) -> dict[str, str]:
        """The fields that make a device another one, with values of their own for each number."""
        return {path: f"{value}-{number}" for path, value in self.lab_module.change.items()}

    # --- reading

    def test_every_page_is_read_once(self, rig: Rig) -> None:
        rig.cycle()
        self.assert_all_delivered(rig)
        assert set(rig.platform.devices) == set(self.records(rig.console))
        self.assert_every_page_was_read_once(rig)
        assert set(rig.platform.deliveries.values()) == {1}
        assert not rig.platform.refused

    def test_the_table_names_all_that_it_reads(self, rig: Rig) -> None:
        """What nothing names is not parsed: it would be missing in every event, and in no test of the mapper."""
        read: set[str] = set()
        for record in self.records(rig.console).values():
            rig.connector.mapper()(watched(record, read))
        named = {path.replace("[0]", "[]") for path in paths_of(rig.connector.fields)}
        assert {path for path in read if not any(one_contains_other(path, one) for one in named)} == set()

    def test_a_repeated_page_token_stops_the_walk_with_an_error(self, rig: Rig) -> None:
        """A console that names the same page again and again was read for hours; its devices counted as complete."""
        if not self.lab_module.names_next_page:
            return  # each page is asked for by its offset, and an empty one is the last
        rig.console.fault(endless(self.lab_module), match=self.lab_module.list_route, times=None)
        with pytest.raises(UnexpectedReply, match="pages in a row"):
            rig.cycle()
        assert rig.cursor is None
        assert len(rig.console.calls_to(self.lab_module.list_route)) <= 7  # five, and one that is prefetched

    def test_a_page_without_its_list_is_not_the_end_of_the_fleet(self, rig: Rig) -> None:
        """`data: null` was read as "no devices" and the cursor moved on."""
        rig.console.fault(without_list(self.lab_module), match=self.lab_module.list_route)
        with pytest.raises(UnexpectedReply):
            rig.cycle()
        assert rig.cursor is None

    @pytest.mark.parametrize("page", [0, 1, 3])
    def test_a_page_that_cannot_be_read_stops_the_walk_and_is_read_next_time(self, rig: Rig, page: int) -> None:
        """A 500 on page 7 became the end of the fleet."""
        rig.console.fault(Status(503), match=self.lab_module.list_route, skip=page, times=3)
        with pytest.raises(TryAgain):
            rig.cycle()
        assert rig.cursor is None
        rig.cycle()
        self.assert_all_delivered(rig)

    def test_a_refused_credential_says_what_to_do(self, rig: Rig) -> None:
        rig.console.fault(Status(401), match=self.lab_module.list_route, times=None)
        with pytest.raises(ActionNeeded, match=r"refused the credentials.*401.*(Check|Create)"):
            rig.cycle()
        assert len(rig.console.calls_to(self.lab_module.list_route)) <= 2

    def test_a_missing_right_says_which(self, rig: Rig) -> None:
        rig.console.fault(Status(403), match=self.lab_module.list_route)
        with pytest.raises(ActionNeeded, match=r"403.*(Give|Grant|right|role|permission)"):
            rig.cycle()

    # --- sending

    @pytest.mark.parametrize("refusal", REFUSALS, ids=repr)
    def test_a_refused_batch_keeps_the_cursor(self, rig: Rig, refusal: Fault) -> None:
        """The next good batch moved the checkpoint over the refused one."""
        rig.cycle()
        self.change_all(rig)
        rig.platform.fault(refusal, match=self.delivered_by, skip=1, times=None)
        with pytest.raises(ConnectorError):
            rig.cycle()
        self.assert_cursor_not_ahead(rig)
        rig.platform.clear_faults()
        rig.cycle()
        self.assert_all_delivered(rig)

    @pytest.mark.parametrize("refusal", REFUSALS, ids=repr)
    def test_a_batch_refused_in_the_first_walk_leaves_no_cursor(self, rig: Rig, refusal: Fault) -> None:
        rig.platform.fault(refusal, match=self.delivered_by, times=None)
        with pytest.raises(ConnectorError):
            rig.cycle()
        assert rig.cursor is None
        assert len(rig.platform.calls_to(self.delivered_by)) <= 8, "a platform that refuses everything is left alone"
        rig.platform.clear_faults()
        rig.cycle()
        self.assert_all_delivered(rig)

    def test_a_lost_answer_to_a_push_is_no_acceptance(self, rig: Rig) -> None:
        rig.platform.fault(Reset(), match=self.delivered_by, times=3, after=True)
        with pytest.raises(TryAgain):
            rig.cycle()
        assert rig.cursor is None
        rig.cycle()
        self.assert_all_delivered(rig)

    def test_a_failing_vendor_does_not_hold_back_what_was_read(self, rig: Rig) -> None:
        rig.console.fault(Status(503), match=self.lab_module.list_route, skip=2, times=3)
        with pytest.raises(TryAgain):
            rig.cycle()
        assert len(rig.platform.devices) == 20

    # --- changes

    def test_a_second_round_with_no_change_sends_nothing(self, rig: Rig) -> None:
        rig.cycle()
        before = len(rig.platform.calls_to(self.delivered_by))
        counts = rig.cycle().counts
        assert len(rig.platform.calls_to(self.delivered_by)) == before
        assert counts.sent == 0

    def test_a_changed_device_is_sent_again_and_alone(self, rig: Rig) -> None:
        rig.cycle()
        identity = rig.console.ids[17]
        rig.console.change(identity, **self.lab_module.change)
        rig.cycle()
        uid = self.uid(rig.console.record(identity))
        assert rig.platform.deliveries[uid] == 2
        assert sum(rig.platform.deliveries.values()) == 36
        self.assert_all_delivered(rig)

    def test_a_device_changed_while_it_is_read_is_not_missed(self, rig: Rig) -> None:
        changed: list[str] = []

        def change_behind_the_walk(request: Any) -> None:
            if (
                request.endpoint == self.lab_module.list_route
                and not changed
                and len(rig.console.calls_to(self.lab_module.list_route)) == 2
            ):
                changed.append(rig.console.ids[0])
                rig.console.change(changed[0], **self.lab_module.change)

        rig.console.before_call = change_behind_the_walk
        rig.cycle()
        rig.console.before_call = None
        rig.cycle()
        assert changed
        self.assert_all_delivered(rig)

    def test_clones_with_one_uid_are_each_known(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
        """Two machines with one agent uuid were each sent because of the other, in every full walk."""
        if len(self.lab_module.ids) == 1:
            return  # the identity is what is sent as `device.uid`
        records = [rig.console.record(identity) for identity in rig.console.ids]
        uid = self.lab_module.ids[0]
        records[1] = with_values(records[1], {uid: value_at(records[0], uid)})
        rig.console.has(records)
        assert rig.cycle().counts.sent == 35
        assert any("1 more devices share a device.uid" in record.message for record in caplog.records)
        for _ in range(2):
            self.read_all_again(rig)
            counts = rig.cycle().counts
            assert (counts.read, counts.sent) == (35, 0)

    def read_all_again(self, rig: Rig) -> None:
        """The next round is a full walk, though no refresh is due."""
        path = rig.state("context.json")
        path.write_text(json.dumps({**json.loads(path.read_text()), "full_walk_began": 0}))

    def test_a_full_walk_that_was_short_moves_no_cursor_and_stays_due(
        self, rig: Rig, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A page without the token of the next was taken for the end: 20 of 60 devices counted as all."""
        if not self.lab_module.reports_total:
            return
        rig.cycle()
        cursor = rig.cursor
        hidden = [identity.encode() for identity in rig.console.ids[:5]]
        page = Collection.page

        def without_some(self: Collection, *arguments: Any, **options: Any) -> Page:
            records, end = page(self, *arguments, **options)
            return Page([record for record in records if not any(one in record for one in hidden)], end)

        self.change_all(rig)
        clock.ahead += 90_000
        with monkeypatch.context() as patched, pytest.raises(TryAgain, match="has 35 devices and 30 were read"):
            patched.setattr(Collection, "page", without_some)
            rig.cycle()
        assert rig.cursor == cursor
        with caplog.at_level(logging.INFO):
            assert rig.cycle().counts.read == 35
        assert "Reading all devices" in caplog.messages
        self.assert_all_delivered(rig)

    def test_a_position_of_another_console_is_not_used(self, rig: Rig) -> None:
        """Pointed to another console, the connector asked it for changes since the first one's position."""
        rig.cycle()
        with self.lab_module.simulated(35) as other:
            rig.settings = self.lab_module.settings_for(other)
            assert rig.cycle().counts.read == 35

    # --- records

    def test_null_missing_extra_and_unknown_values_never_stop_the_round(self, rig: Rig) -> None:
        template = rig.console.record(rig.console.ids[0])
        odd = [
            *(
                {**template, name: value}
                for name in template
                for value in (None, "", "sideways", {}, [], [None], 7, -1, True)
            ),
            *({key: value for key, value in template.items() if key != name} for name in template),
            {**template, "a field of next year": {"deep": [1, {"er": None}]}},
        ]
        for number, record in enumerate(odd):
            for path in self.lab_module.ids:
                own = value_at(template, path)
                if own is not None and own == value_at(record, path):
                    odd[number] = with_values(odd[number], {path: f"{own}-{number}"})
        rig.console.has(odd)
        rig.page_size, rig.arguments["batch_size"] = 100, 100
        counts = rig.cycle().counts
        assert counts.read > len(odd) - 10  # a console may hide some, decommissioned ones for example
        assert not rig.platform.refused
        assert counts.sent + counts.skipped + counts.unchanged == counts.read
        assert counts.skipped <= 20 * len(self.lab_module.ids)

    def test_a_record_without_an_id_is_skipped_and_named_and_the_page_goes_on(
        self, rig: Rig, caplog: pytest.LogCaptureFixture
    ) -> None:
        records = [rig.console.record(identity) for identity in rig.console.ids]
        records[3] = without(records[3], self.lab_module.ids)
        rig.console.has([*records, "no object", 42, None, []])
        counts = rig.cycle().counts
        assert (counts.skipped, counts.sent) == (5, 34)
        named = [record.message for record in caplog.records if record.levelno == logging.WARNING]
        assert len(named) == 5
        assert all("number" in message for message in named)

    def test_a_device_without_a_name_is_sent_under_its_id(self, rig: Rig) -> None:
        record = rig.console.record(rig.console.ids[0])
        rig.console.has([without(record, self.lab_module.names)])
        rig.cycle()
        [(uid, event)] = rig.platform.devices.items()
        assert event["device"]["hostname"] == uid == self.uid(record)

    @pytest.mark.parametrize("broken", [math.nan, math.inf, "half \ud800 of a letter"], ids=["nan", "inf", "surrogate"])
    def test_a_record_that_is_no_json_does_not_cost_its_page(
        self, rig: Rig, broken: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        records = [rig.console.record(identity) for identity in rig.console.ids]
        records[3] = with_values(records[3], {self.lab_module.names[0]: broken})
        rig.console.has(records)
        counts = rig.cycle().counts
        assert (counts.skipped, counts.sent) == (1, 34)
        assert any(self.lab_module.names[0].split(".")[0] in record.message for record in caplog.records)

    # --- stopping

    def test_a_dead_credential_is_tried_slowly(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
        """A refused token was retried thousands of times a second."""
        rig.backoff = Backoff()
        rig.console.fault(Status(401), match=self.lab_module.list_route, times=None)
        with rig.running() as connector:
            until(lambda: connector.last_error)
        assert len(rig.console.calls_to(self.lab_module.list_route)) <= 2
        assert_next_try_is_far(caplog)

    @pytest.mark.timing
    @pytest.mark.parametrize("phase", ["starting", "reading", "pushing", "between rounds", "failing"])
    def test_sigterm_ends_the_process_within_two_seconds_in_any_phase(self, rig: Rig, phase: str) -> None:
        self.stopped_in(rig, phase)

    def stopped_in(self, rig: Rig, phase: str) -> None:
        """Bring a process into the phase, and stop it there. The seconds are those from the signal to the process's end."""
        if phase == "reading":
            rig.console.fault(Hang(30), match=self.lab_module.list_route, skip=1)
        elif phase == "pushing":
            rig.platform.fault(Hang(30), match=self.delivered_by)
        elif phase == "waiting for a task":
            rig.platform.hang_tasks(10)
        elif phase == "failing":
            rig.console.fault(Status(401), match=self.lab_module.list_route, times=None)
        process = rig.process().start()
        if phase == "between rounds":
            process.wait_for_rounds(1)
        elif phase == "starting":
            until_signals_are_caught(process)
        else:
            calls = rig.console.calls_to if phase in ("reading", "failing") else rig.platform.calls_to
            route = {"pushing": "secrets", "waiting for a task": "task"}.get(phase, self.lab_module.list_route)
            until(lambda: calls(route))
            time.sleep(0.3)
        assert_stops_in_time(process)

    # --- what people see

    def test_health_reports_a_round_that_hangs(self, rig: Rig) -> None:
        """It answered 200 for ever."""
        go_on = Event()
        rig.console.before_call = lambda _: (
            go_on.wait(HANGS) if rig.console.calls_to(self.lab_module.list_route) else None
        )
        with rig.running() as connector:
            until(lambda: rig.console.calls_to(self.lab_module.list_route))
            assert connector.is_alive()
            connector.hung_after = 0.0
            assert not connector.is_alive()
            go_on.set()
            until(lambda: connector.cycles == 1)
            assert connector.is_alive(), "a connector that waits for its next round does not hang"

    def test_metrics_count_what_the_rounds_did(self, rig: Rig) -> None:
        """Of a process, as its registry is one of the whole interpreter. The second round follows the back-off of the first."""
        rig.console.fault(Status(404), match=self.lab_module.list_route)
        with rig.process() as process:
            process.wait_for_rounds(2)
            text = requests.get(process.metrics_url, timeout=HANGS).text
            assert process.stop() == 0
        families = text_string_to_metric_families(text)
        samples = [sample for family in families for sample in family.samples]

        def value(name: str, **labels: str) -> float | None:
            name = f"sekoia_connector_{name}"
            return next((found.value for found in samples if (found.name, found.labels) == (name, labels)), None)

        assert value("sent_total") == 35
        assert value("read_total") == value("sent_total") + value("unchanged_total")
        assert value("rounds_total", outcome="success") == 1
        assert value("rounds_total", outcome="failure") == 1
        assert value("http_calls_total", to=rig.name, status="404") == 1
        assert value("http_calls_total", to=rig.name, status="200") == len(rig.console.calls) - 1
        assert value("http_calls_total", to="Sekoia.io", status="200") > 0
        assert 0 < value("last_round_duration_seconds") < HANGS
        assert abs(time.time() - value("last_success_timestamp_seconds")) < HANGS
        assert (value("cursor_age_seconds") is not None) == bool(self.lab_module.cursor)

    def test_the_log_of_a_round_says_what_it_did(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            rig.cycle()
        log = [record.message for record in caplog.records if record.levelno >= logging.INFO]
        assert log[0] == "Reading all devices"
        assert re.fullmatch(
            r"listed 35 by the console · delivered 35 · unchanged 0 · refused 0 · unmappable 0 · "
            r"\d+\.\d s · next \d\d:\d\d UTC",
            log[-1],
        ), log

    def test_no_configured_secret_is_written_anywhere(self, rig: Rig, capfd: pytest.CaptureFixture[str]) -> None:
        """By a process, with all that one writes: output, metrics, health and files."""
        entered = [rig.settings[name] for name in self.lab_module.secrets]
        secrets = [*entered, rig.platform.api_key, rig.platform.token]
        for fault in (
            Status(401, "Authorization: {secrets}"),
            Status(400, json.dumps({"message": entered})),
            Html(403),
        ):
            rig.console.fault(fault, match=self.lab_module.list_route)
        process = rig.process(frequency=1)
        with process:
            process.wait_for_rounds(4)
            health = json.dumps(process.health())
            metrics = requests.get(f"http://127.0.0.1:{process.metrics_port}/metrics", timeout=HANGS).text
        places = {
            "health": health,
            "metrics": metrics,
            "logs": json.dumps([log.message for log in rig.platform.logs]),
            "output": "".join(capfd.readouterr()),
            "user agents": str({call.headers.get("User-Agent") for call in rig.console.calls + rig.platform.calls}),
            "urls": str([(call.path, call.query) for call in rig.console.calls + rig.platform.calls]),
            **{str(path): path.read_bytes().decode("latin-1") for path in rig.data.rglob("*") if path.is_file()},
        }
        assert len(places["logs"]) > 10
        for secret in secrets:
            assert [place for place, content in places.items() if secret in content] == []

    def test_a_damaged_position_is_logged_and_followed_by_a_full_walk(
        self, rig: Rig, caplog: pytest.LogCaptureFixture
    ) -> None:
        rig.cycle()
        rig.state("context.json").write_bytes(b'{"cursor":"2026-')
        counts = rig.cycle().counts
        assert counts.read == 35
        assert any("damaged" in record.message for record in caplog.records)


class DeviceConnectorConformance(DeviceConformance, ConnectionTestConformance):
    """Inherit, and fill in what the vendor's console calls things."""

    delivered_by = "push"
    follows_tasks = True
    state_files = {"context.json", "fingerprints.bin", "asset_schema_fields.json"}

    def test_an_empty_200_is_no_acceptance(self, rig: Rig) -> None:
        """It counted as one, and the cursor moved."""
        rig.platform.fault(Empty(200), match="push", times=None)
        with pytest.raises(UnexpectedReply, match="empty"):
            rig.cycle()
        assert rig.cursor is None
        rig.platform.clear_faults()
        rig.cycle()
        self.assert_all_delivered(rig)

    @pytest.mark.parametrize("status", [400, 403, 409, 500, 502])
    def test_a_device_that_the_platform_refuses_is_skipped_and_logged_in_the_same_round(
        self, rig: Rig, caplog: pytest.LogCaptureFixture, status: int
    ) -> None:
        """A web filter answered 403 to one word in one device: its batch, and all behind it, waited for ever."""
        connector = rig.cycle()
        self.change_all(rig)
        uid = self.uid(rig.console.record(rig.console.ids[17]))
        rig.platform.fault(
            Status(status, json.dumps({"message": "hostname is too long"})),
            match=lambda call: call.endpoint == self.delivered_by and uid.encode() in call.get_data(),
            times=None,
        )
        counts = rig.cycle(connector).counts
        assert self.undelivered(rig).keys() == {uid}
        assert (counts.refused, counts.delivered) == (1, 34)
        skipped = [
            record.message for record in caplog.records if record.message.startswith(f"Skipped a device (id {uid})")
        ]
        assert len(skipped) == 1
        assert "refused by the platform: " in skipped[0]
        assert f"HTTP {status}" in skipped[0]

        pushes = len(rig.platform.calls_to(self.delivered_by))
        counts = rig.cycle().counts
        assert len(rig.platform.calls_to(self.delivered_by)) == pushes, "it is not sent again with the same content"
        assert counts.refused == counts.listed - counts.unchanged

        rig.platform.clear_faults()
        rig.console.change(rig.console.ids[17], **self.another("other"))
        rig.cycle()
        assert not self.undelivered(rig)

    def test_a_refused_device_is_sent_again_once_in_full_sync_interval(self, rig: Rig, clock: Clock) -> None:
        uid = self.uid(rig.console.record(rig.console.ids[17]))
        rig.platform.fault(
            Status(400),
            match=lambda call: call.endpoint == self.delivered_by and uid.encode() in call.get_data(),
            times=None,
        )
        rig.cycle()
        rig.platform.clear_faults()
        rig.cycle()
        assert self.undelivered(rig).keys() == {uid}
        clock.ahead += rig.arguments["full_sync_interval"]
        rig.cycle()
        assert not self.undelivered(rig)

    def test_a_batch_whose_ingestion_failed_is_sent_again_in_parts_in_the_same_round(self, rig: Rig) -> None:
        rig.cycle()
        self.change_all(rig)
        rig.platform.fail_tasks(1)
        rig.cycle()
        assert not self.undelivered(rig)
        assert sum(rig.platform.deliveries.values()) == 70

    def test_an_ingestion_that_fails_for_every_device_keeps_the_cursor(self, rig: Rig) -> None:
        rig.cycle()
        self.change_all(rig)
        rig.platform.fail_tasks(100)
        with pytest.raises(TryAgain, match="could not ingest"):
            rig.cycle()
        assert self.undelivered(rig)
        self.assert_cursor_not_ahead(rig)
        rig.platform.heal_tasks()
        rig.cycle()
        self.assert_all_delivered(rig)

    def test_a_round_that_pushes_again_and_again_is_alive(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        """To find a few refused devices took many slow pushes, in which the round was taken for one that hangs."""
        hung, alive = HangClock(monkeypatch), []
        connector = rig.start(batch_size=40)
        refused = [self.uid(rig.console.record(identity)).encode() for identity in rig.console.ids[::7]]

        def take_long(request: Any) -> None:
            if request.endpoint == self.delivered_by:
                alive.append(connector.is_alive())
                hung.now += HUNG * 0.6

        rig.platform.before_call = take_long
        rig.platform.fault(
            Status(400),
            match=lambda call: call.endpoint == self.delivered_by and any(uid in call.get_data() for uid in refused),
            times=None,
        )
        connector.moving()  # as the loop does at the begin of a round
        assert rig.cycle(connector).counts.refused == 5
        assert len(alive) > 10
        assert all(alive), f"push {alive.index(False) + 1} of {len(alive)} found the round taken for one that hangs"

    def test_a_task_that_stays_pending_is_followed_for_300_seconds(self, rig: Rig) -> None:
        """After the last push; tests/shared/devices/test_delivery.py has what happens then."""
        assert rig.start().task_poll_timeout == 300

    def test_one_task_without_an_answer_and_another_that_failed_are_not_mistaken_for_each_other(
        self, rig: Rig, clock: Clock
    ) -> None:
        """One 404 stopped the following of all tasks: a batch that failed counted as delivered for two days."""
        rig.platform.fault(Status(404), match="task", skip=1)
        rig.platform.fail_tasks(1)
        rig.cycle()
        assert not self.undelivered(rig)
        rig.cycle()
        again = sum(rig.platform.deliveries.values()) - 35
        assert again in ((0, 10, 5) if not self.lab_module.cursor else (0,)), (
            "a batch that was not followed is sent again"
        )
        clock.ahead += rig.arguments["full_sync_interval"] - 60
        rig.cycle()

    def test_a_task_api_that_does_not_answer_costs_one_warning_and_no_device(
        self, rig: Rig, caplog: pytest.LogCaptureFixture
    ) -> None:
        rig.platform.fault(Status(404), match="task", times=None)
        rig.cycle()
        self.assert_all_delivered(rig)
        assert len([record for record in caplog.records if "cannot be followed" in record.message]) == 1
        if self.lab_module.cursor:
            assert rig.cursor

    @pytest.mark.timing
    def test_sigterm_ends_the_wait_for_an_ingestion_task_within_two_seconds(self, rig: Rig) -> None:
        self.stopped_in(rig, "waiting for a task")

    def test_a_refused_api_key_of_the_platform_says_what_to_do(self, rig: Rig) -> None:
        connector = rig.start()
        rig.platform.api_key = "another"
        with pytest.raises(ActionNeeded, match=r"Sekoia\.io.*API key"):
            rig.cycle(connector)
        assert rig.cursor is None

    def test_a_heartbeat_alone_sends_nothing_until_the_refresh_is_due(self, rig: Rig) -> None:
        rig.cycle()
        for identity in rig.console.ids:
            rig.console.heartbeat(identity)
        rig.cycle()
        assert set(rig.platform.deliveries.values()) == {1}
        time.sleep(1.05)
        rig.cycle(full_sync_interval=1)
        assert set(rig.platform.deliveries.values()) == {2}

    def test_what_was_sent_since_the_last_full_walk_is_not_refreshed_by_the_next(self, rig: Rig, clock: Clock) -> None:
        rig.cycle()
        clock.ahead += 50_000
        changed = rig.console.ids[:5]
        for identity in changed:
            rig.console.change(identity, **self.lab_module.change)
        rig.cycle()
        clock.ahead += 40_000
        rig.cycle()
        twice = {self.uid(rig.console.record(identity)) for identity in rig.console.ids}
        assert {uid for uid, times in rig.platform.deliveries.items() if times == 2} == twice

    def test_a_row_that_becomes_visible_late_is_delivered_by_the_next_round(self, rig: Rig) -> None:
        """Its time lay before the cursor, which others had moved: it was missed until the full walk."""
        if self.lab_module.cursor is None:
            return  # each round reads all
        rig.cycle()
        first = rig.console.record(rig.console.ids[0])
        ids = {path: f"{value_at(first, path)}-late" for path in self.lab_module.ids}
        late = with_values(first, {**ids, self.lab_module.cursor: iso(epoch(rig.cursor) - 590)})
        rig.console.has([*map(rig.console.record, rig.console.ids), late])
        rig.cycle()
        assert not self.undelivered(rig)

    def test_another_platform_is_sent_everything(self, rig: Rig) -> None:
        """After a change of the region all was unchanged, and the new one held nothing."""
        rig.cycle()
        with LocalPlatform() as other:
            rig.platform = Elsewhere(other)
            assert rig.cycle().counts.delivered == 35
            assert len(other.devices) == 35

    def test_the_columns_add_up_and_are_in_health_and_metrics(self, rig: Rig) -> None:
        broken = with_values(rig.console.record(rig.console.ids[0]), {self.lab_module.names[0]: math.nan})
        uid = self.uid(rig.console.record(rig.console.ids[17]))
        rig.console.has([broken, *map(rig.console.record, rig.console.ids[1:])])
        rig.platform.fault(
            Status(400), match=lambda call: call.endpoint == "push" and uid.encode() in call.get_data(), times=None
        )
        connector = rig.cycle()
        expected = {
            "listed": 35,
            "delivered": 33,
            "unchanged": 0,
            "refused": 1,
            "unmappable": 1,
            "learned": 0,
            "gone": 0,
        }
        health = connector.liveness_context()
        assert health["devices"] == expected
        assert {name: health["round"][name] for name in expected} == expected
        samples = [sample for metric in connector.metrics.collect() for sample in metric.samples]
        assert {
            sample.labels["state"]: sample.value for sample in samples if sample.name == "sekoia_connector_devices"
        } == expected

    def test_devices_that_are_gone_are_counted_and_named_and_nothing_is_sent_for_them(
        self, rig: Rig, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        rig.cycle()
        rig.console.change(rig.console.ids[0], **{self.lab_module.last_seen: "2026-11-02T08:14:30Z"})
        clock.ahead += 90_000
        rig.cycle()
        names = [
            rig.platform.devices[self.uid(rig.console.record(one))]["device"]["hostname"] for one in rig.console.ids
        ]
        pushed = sum(rig.platform.deliveries.values())
        records = [rig.console.record(identity) for identity in rig.console.ids]
        rig.console.has(records[16:])
        for gone in (0, 16, 16):
            caplog.clear()
            clock.ahead += 50_000
            with caplog.at_level(logging.INFO):
                connector = rig.cycle(full_sync_interval=50_000)
            assert connector.counts.gone == connector.fleet()["gone"] == gone
            line = caplog.records[-1].message
            assert (f" · gone {gone} · " in line) == bool(gone)
        assert sum(rig.platform.deliveries.values()) == pushed + 3 * 19, "the others are refreshed"
        assert not [line for line in caplog.records if line.message.startswith("Gone from")], "each is named once"

        rig.console.has(records)
        clock.ahead += 50_000
        assert rig.cycle(full_sync_interval=50_000).counts.gone == 0
        rig.console.has(records[1:])
        for _ in range(2):
            caplog.clear()
            clock.ahead += 50_000
            with caplog.at_level(logging.INFO):
                rig.cycle(full_sync_interval=50_000)
        [gone] = [line.message for line in caplog.records if line.message.startswith("Gone from")]
        assert gone == f"Gone from the list, as two complete readings found: {names[0]}, last seen 2026-11-02 08:14 UTC"

    def test_a_mapping_change_leads_to_a_full_walk(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        rig.cycle()
        connector = rig.connector
        without_region = [
            row for row in connector.fields if row.path not in ("device.region", "device.domain", "device.desc")
        ]
        monkeypatch.setattr(connector, "fields", without_region)
        counts = rig.cycle().counts
        assert counts.read == 35, f"after a change of the table all 35 devices must be read again, not {counts.read}"

    def test_the_connection_test_reads_a_device(self, rig: Rig) -> None:
        validator = self.lab_module.validator(self.lab_module.configured(rig.settings))
        assert validator.validate()
        assert len(rig.console.calls_to(self.lab_module.list_route)) == 1

    def test_state_is_readable_by_its_owner_only(self, rig: Rig) -> None:
        rig.cycle()
        files = [path for path in rig.data.rglob("*") if path.is_file()]
        assert {path.name for path in files} >= self.state_files
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


class TokenConformance(DeviceConnectorConformance):
    """The suite for vendors whose token is fetched with a password or secret."""

    @abstractmethod
    def expire(self, console: Any) -> None:
        """From now on the console refuses every token it has handed out."""

    def test_one_token_serves_all_pages_and_rounds(self, rig: Rig) -> None:
        connector = rig.cycle()
        rig.cycle(connector)
        assert len(rig.console.calls_to(self.lab_module.token_route)) == 1

    @pytest.mark.parametrize("page", [0, 1, 3])
    def test_a_token_that_expires_in_mid_walk_is_refreshed_once(self, rig: Rig, page: int) -> None:
        expired: list[bool] = []

        def expire_behind_the_walk(request: Any) -> None:
            at = len(rig.console.calls_to(self.lab_module.list_route))
            if request.endpoint == self.lab_module.list_route and not expired and at == page:
                expired.append(True)
                self.expire(rig.console)

        rig.console.before_call = expire_behind_the_walk
        rig.cycle()
        assert expired
        self.assert_all_delivered(rig)
        assert len(rig.console.calls_to(self.lab_module.token_route)) == 2
        assert len(rig.console.calls_to(self.lab_module.list_route)) == math.ceil(35 / rig.page_size) + 1

    def test_a_token_that_expires_between_two_rounds_costs_one_new_one(self, rig: Rig) -> None:
        connector = rig.cycle()
        self.expire(rig.console)
        self.change_all(rig)
        rig.cycle(connector)
        self.assert_all_delivered(rig)
        assert len(rig.console.calls_to(self.lab_module.token_route)) == 2

    @pytest.mark.parametrize("status", [400, 401])
    def test_a_wrong_secret_says_what_to_do_and_is_sent_once(self, rig: Rig, status: int) -> None:
        rig.console.fault(Status(status), match=self.lab_module.token_route, times=None)
        with pytest.raises(ActionNeeded, match=rf"refused the credentials.*{status}.*(Check|Create)"):
            rig.cycle()
        assert len(rig.console.calls_to(self.lab_module.token_route)) == 1
        assert not rig.console.calls_to(self.lab_module.list_route)

    def test_a_dead_secret_is_tried_slowly(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
        rig.backoff = Backoff()
        rig.console.fault(Status(401), match=self.lab_module.token_route, times=None)
        with rig.running() as connector:
            until(lambda: connector.last_error)
        assert len(rig.console.calls_to(self.lab_module.token_route)) == 1
        assert_next_try_is_far(caplog)

    @pytest.mark.parametrize("fault", [Status(503), Reset(), Truncated(), RateLimited(0)], ids=repr)
    def test_transient_errors_of_the_token_server_are_retried(self, rig: Rig, fault: Fault) -> None:
        rig.console.fault(fault, match=self.lab_module.token_route, times=2)
        rig.cycle()
        self.assert_all_delivered(rig)

    def test_a_token_server_that_stays_down_is_given_up_after_three_tries(self, rig: Rig) -> None:
        rig.console.fault(Status(503), match=self.lab_module.token_route, times=None)
        with pytest.raises(TryAgain):
            rig.cycle()
        assert len(rig.console.calls_to(self.lab_module.token_route)) == 3

    @pytest.mark.parametrize(
        "fault",
        [
            *map(WrongShape, ({}, [], None, "token", {"access_token": None}, {"access_token": ["token"]})),
            *map(WrongShape, ({"access_token": ""}, {"access_token": "two lines\r\nX-Header: 1"})),
            Html(),
            Empty(),
        ],
        ids=repr,
    )
    def test_an_answer_without_a_usable_token_is_reported(self, rig: Rig, fault: Fault) -> None:
        rig.console.fault(fault, match=self.lab_module.token_route, times=None)
        with pytest.raises(UnexpectedReply):
            rig.cycle()
        assert not rig.console.calls_to(self.lab_module.list_route)

    def test_the_secret_follows_no_redirect(self, rig: Rig) -> None:
        with LocalPlatform() as elsewhere:
            rig.console.fault(Redirect(f"{elsewhere.url}/api"), match=self.lab_module.token_route)
            with pytest.raises(ConnectorError):
                rig.cycle()
            assert not elsewhere.calls

    def test_the_connection_test_says_that_the_secret_is_wrong(self, rig: Rig) -> None:
        rig.console.fault(Status(401), match=self.lab_module.token_route, times=None)
        validator = self.lab_module.validator(self.lab_module.configured(rig.settings))
        assert not validator.validate()
        assert validator._error
        assert re.search(r"refused the credentials.*Check", validator._error)

    def test_a_fetched_token_is_written_nowhere(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
        rig.console.fault(Status(400), match=self.lab_module.list_route, skip=1)
        with caplog.at_level(logging.DEBUG), pytest.raises(UnexpectedReply):
            rig.cycle()
        calls = rig.console.calls
        headers = {call.headers.get("Authorization", "") for call in rig.console.calls_to(self.lab_module.list_route)}
        [token] = {header.partition(" ")[2] for header in headers}
        assert token
        assert token not in str([(call.path, call.query) for call in calls]) + caplog.text
        assert token not in str([call.headers for call in rig.platform.calls])
        assert all(token.encode() not in path.read_bytes() for path in rig.data.rglob("*") if path.is_file())


def _stable(event: dict[str, Any]) -> dict[str, Any]:
    device = {key: value for key, value in event["device"].items() if key != "last_seen_time"}
    return {**event, "device": device, "time": None, "change": None}
