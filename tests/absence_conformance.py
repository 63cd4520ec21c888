"""The suite on absent devices (gone, silent, back) that every vendor's trigger inherits.

A full walk is made in each round; ages are those of the vendor's clock, which stands still while ours is moved.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import Any

import pytest

from lab.consoles.collection import Collection, Page
from lab.platform.faults import Reset, Status
from shared.errors import TryAgain
from shared.times import iso
from tests.changes_conformance import DeviceChangesConformance
from tests.rig import Clock, Rig


class DeviceAbsenceConformance(DeviceChangesConformance):
    """Inherit together with the vendor's facts, in place of the suite on changes."""

    def only_run(self, rig: Rig) -> Any:
        assert len(rig.platform.playbook_runs) == 1, self.runs(rig)
        return rig.platform.playbook_runs[0]

    def full_round(self, rig: Rig, clock: Clock) -> Any:
        clock.ahead += rig.arguments["full_sync_interval"] + 1
        return rig.cycle()

    def lively(self, rig: Rig) -> list[str]:
        """The devices that were active within the hour, once they are."""
        for identity in rig.console.ids[:5]:
            rig.console.heartbeat(identity)
        return list(rig.console.ids[:5])

    def silence(self, rig: Rig, identity: str, hours: float) -> float:
        """Let the device be last active this many hours ago; → when, epoch seconds."""
        at = float(int(time.time() - hours * 3600))
        rig.console.change(identity, **{self.lab_module.last_seen: iso(at)})
        return at

    def test_a_device_that_is_gone_starts_a_playbook_once_after_two_complete_walks(
        self, rig: Rig, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        gone = self.lively(rig)[3]
        seen = self.silence(rig, gone, 3)
        self.learned(rig)
        event = rig.connector.mapper()(self.records(rig.console)[self.uid(rig.console.record(gone))])
        rig.console.remove(gone)
        self.full_round(rig, clock)
        assert not rig.platform.playbook_runs, "one walk without a device is not enough"
        with caplog.at_level(logging.INFO):
            counts = self.full_round(rig, clock).counts
        self.full_round(rig, clock)
        run = self.only_run(rig)
        device = {name: event["device"][name] for name in ("uid", "hostname", "type", "type_id")}
        assert run.event["device"] == {**device, "last_seen_time": seen}
        assert run.event["change"] == {"kind": "gone", "fields": [], "last_seen": seen}
        assert run.event["class_uid"] == 5001
        since = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seen))
        assert run.name == f"{device['hostname']}: gone, last seen {since}"
        assert counts.gone == 1
        assert any(
            f"Gone from the list, as two complete readings found: {device['hostname']}" in line.message
            for line in caplog.records
        )

    def test_a_device_that_left_while_nothing_was_read_for_a_month_is_gone(self, rig: Rig, clock: Clock) -> None:
        """A credential that had expired, a tenant that was closed: the first walk forgot the device."""
        gone = self.lively(rig)[3]
        self.learned(rig)
        rig.console.remove(gone)
        clock.ahead += 40 * 86_400
        for _ in range(3):
            self.full_round(rig, clock)
        assert [kind for _, kind, _ in self.runs(rig)] == ["gone"]

    def test_a_walk_that_is_not_complete_finds_no_device_gone(self, rig: Rig, clock: Clock) -> None:
        """A page that fails is not the end of the list; such a walk is not one of two in a row either."""
        self.learned(rig)
        rig.console.remove(rig.console.ids[-1])
        self.full_round(rig, clock)
        for page in (0, 1, 3):
            rig.console.fault(Status(503), match=self.lab_module.list_route, skip=page, times=3)
            with suppress(TryAgain):
                self.full_round(rig, clock)
            rig.console.clear_faults()
        assert not rig.platform.playbook_runs
        self.full_round(rig, clock)
        assert [kind for _, kind, _ in self.runs(rig)] == ["gone"]

    def test_a_row_that_the_console_counts_and_does_not_list_is_not_gone(
        self, rig: Rig, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        if not self.lab_module.reports_total:
            return
        hidden = rig.console.ids[20]
        self.learned(rig)
        page = Collection.page

        def without(self: Collection, *arguments: Any, **options: Any) -> Page:
            records, end = page(self, *arguments, **options)
            return Page([record for record in records if hidden.encode() not in record], end)

        monkeypatch.setattr(Collection, "page", without)
        for _ in range(4):
            self.full_round(rig, clock)
        assert not rig.platform.playbook_runs
        assert any("Those that are missing are read by the next full walk" in line.message for line in caplog.records)

    def test_a_device_that_leaves_one_walk_only_is_not_gone(self, rig: Rig, clock: Clock) -> None:
        self.learned(rig)
        records = [rig.console.record(identity) for identity in rig.console.ids]
        for listed in (records[:30], records, records[:30], records):
            rig.console.has(listed)
            self.full_round(rig, clock)
        assert not rig.platform.playbook_runs

    def test_a_device_that_is_silent_starts_a_playbook_once(self, rig: Rig, clock: Clock) -> None:
        """By the vendor's clock: ours is days ahead in the later rounds."""
        quiet, other, *_ = self.lively(rig)
        self.learned(rig)
        seen = self.silence(rig, quiet, 169)
        self.silence(rig, other, 167)
        for _ in range(3):
            self.full_round(rig, clock)
        run = self.only_run(rig)
        assert run.event["device"]["uid"] == self.uid(rig.console.record(quiet))
        assert run.event["change"]["kind"] == "silent"
        assert run.event["change"]["last_seen"] == run.event["device"]["last_seen_time"] == seen
        assert run.name.endswith(f": silent, last seen {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(seen))}")

    def test_hours_until_a_device_is_silent_can_be_chosen(self, rig: Rig, clock: Clock) -> None:
        rig.arguments["silent_after"] = 2
        quiet = self.lively(rig)[0]
        self.learned(rig)
        self.silence(rig, quiet, 3)
        self.full_round(rig, clock)
        assert [kind for _, kind, _ in self.runs(rig)] == ["silent"]

    def test_a_device_that_was_silent_at_first_starts_nothing_until_it_is_back(self, rig: Rig, clock: Clock) -> None:
        quiet = self.lively(rig)[0]
        self.silence(rig, quiet, 500)
        self.learned(rig)
        self.full_round(rig, clock)
        assert not rig.platform.playbook_runs
        rig.console.heartbeat(quiet)
        for _ in range(2):
            self.full_round(rig, clock)
        run = self.only_run(rig)
        assert run.event["change"]["kind"] == "back"
        assert run.event["change"]["fields"] == []
        assert run.name.endswith(": back")

    @pytest.mark.parametrize("away", ["silent", "gone"])
    def test_a_device_that_is_back_starts_a_playbook_with_what_changed(self, rig: Rig, clock: Clock, away: str) -> None:
        identity = self.lively(rig)[0]
        self.learned(rig)
        record = rig.console.record(identity)
        if away == "gone":
            rig.console.remove(identity)
        else:
            self.silence(rig, identity, 200)
        for _ in range(2):
            self.full_round(rig, clock)
        if away == "gone":
            rig.console.add(record)
        rig.console.change(identity, **self.lab_module.change)
        rig.console.heartbeat(identity)
        for _ in range(2):
            self.full_round(rig, clock)
        assert [kind for _, kind, _ in self.runs(rig)] == [away, "back"]
        run = rig.platform.playbook_runs[1]
        assert "device.hostname" in run.event["change"]["fields"]
        assert run.name == f"renamed: back, changed {', '.join(run.event['change']['fields'])}"

    def test_a_device_that_is_listed_again_and_not_active_is_silent(self, rig: Rig, clock: Clock) -> None:
        identity = self.lively(rig)[0]
        self.learned(rig)
        record = rig.console.record(identity)
        rig.console.remove(identity)
        for _ in range(2):
            self.full_round(rig, clock)
        rig.console.add(record)
        self.silence(rig, identity, 200)
        for _ in range(2):
            self.full_round(rig, clock)
        assert [kind for _, kind, _ in self.runs(rig)] == ["gone", "silent"]

    @pytest.mark.parametrize("on", [["new", "silent"], ["silent"]], ids=" and ".join)
    def test_a_device_that_joins_and_is_silent_is_reported_as_both(self, rig: Rig, clock: Clock, on: list[str]) -> None:
        rig.arguments["on"] = on
        self.learned(rig)
        self.full_round(rig, clock)
        self.join(rig)
        self.silence(rig, rig.console.ids[-1], 200)
        for _ in range(3):
            self.full_round(rig, clock)
        assert [kind for _, kind, _ in self.runs(rig)] == on

    def test_a_clock_that_was_ahead_hides_no_silence(self, rig: Rig, clock: Clock) -> None:
        clock.ahead = 10 * 86_400
        self.learned(rig)
        clock.ahead = 0
        self.join(rig)
        self.silence(rig, rig.console.ids[-1], 200)
        for _ in range(3):
            self.full_round(rig, clock)
        assert [kind for _, kind, _ in self.runs(rig)] == ["new", "silent"]

    def test_absences_without_a_confirmation_are_reported_by_the_next_round(self, rig: Rig, clock: Clock) -> None:
        first, second, quiet, *_ = self.lively(rig)
        self.learned(rig)
        expected = {self.uid(rig.console.record(identity)) for identity in (first, second, quiet)}
        for identity in (first, second):
            rig.console.remove(identity)
        self.full_round(rig, clock)
        self.silence(rig, quiet, 200)
        rig.platform.fault(Reset(), match="callback", skip=1, times=3)
        with pytest.raises(TryAgain):
            self.full_round(rig, clock)
        for _ in range(2):
            self.full_round(rig, clock)
        assert sorted(kind for _, kind, _ in self.runs(rig)) == ["gone", "gone", "silent"]
        assert {uid for uid, _, _ in self.runs(rig)} == expected

    def test_an_absence_that_the_platform_refuses_is_retried_in_three_rounds_and_then_skipped(
        self, rig: Rig, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        first, second, third, fourth, _ = self.lively(rig)
        self.learned(rig)
        refused = self.uid(rig.console.record(first))
        for identity in (first, second, third, fourth):
            rig.console.remove(identity)
        rig.platform.fault(
            Status(400),
            match=lambda call: call.endpoint == "callback" and refused.encode() in call.get_data(),
            times=None,
        )
        rig.arguments["full_sync_interval"] = 1_000_000
        for _ in range(6):
            clock.ahead += 1
            self.read_all_again(rig)
            rig.cycle()
        assert len(self.runs(rig)) == 3
        assert sum(f"Skipped a device (id {refused})" in line.message for line in caplog.records) == 3

    @pytest.mark.parametrize("on", ["new", "changed", "gone", "silent", "back"])
    def test_only_the_chosen_kinds_start_playbooks(self, rig: Rig, clock: Clock, on: str) -> None:
        rig.arguments["on"] = [on]
        *_, changed, leaving, quiet = self.lively(rig)
        self.learned(rig)
        self.join(rig)
        rig.console.change(changed, **self.lab_module.change)
        rig.console.remove(leaving)
        self.silence(rig, quiet, 200)
        for _ in range(2):
            self.full_round(rig, clock)
        rig.console.heartbeat(quiet)
        for _ in range(2):
            self.full_round(rig, clock)
        assert [kind for _, kind, _ in self.runs(rig)] == [on]
