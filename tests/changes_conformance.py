"""The suite that every vendor's trigger on changes inherits, with the tests that it shares with the asset connector.

In the shared tests the first round reports the existing devices: each of them starts a playbook, as each is sent to the
inventory.
"""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import pytest

from lab.commands.preview import read_devices
from lab.paths import with_values
from lab.platform.faults import RateLimited, Reset, Status
from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.state.storage import JsonFile
from shared.times import iso
from tests.conformance import DeviceConformance
from tests.endless import endless
from tests.rig import Clock, Rig


class DeviceChangesConformance(DeviceConformance):
    """Inherit together with the vendor's facts."""

    of_changes = True
    delivered_by = "callback"
    pushes = 35  # each device on its own
    taken = ("empty 200", "wrong JSON shape")  # only the status counts: the callback says nothing else
    state_files = {"changes-context.json", "changes-fingerprints.bin"}
    arguments = {"include_existing": True}

    def learned(self, rig: Rig) -> None:
        """The first round as it is by default."""
        rig.arguments["include_existing"] = False
        rig.cycle()

    def runs(self, rig: Rig) -> list[tuple[str, str, list[str]]]:
        """Uid, kind and changed fields of each playbook run, in order."""
        return [
            (run.event["device"]["uid"], run.event["change"]["kind"], run.event["change"]["fields"])
            for run in rig.platform.playbook_runs
        ]

    # --- which changes are reported

    def test_the_first_round_learns_the_fleet_and_starts_nothing(self, rig: Rig) -> None:
        self.learned(rig)
        assert rig.cycle().counts.unchanged or self.lab_module.cursor
        assert not rig.platform.playbook_runs

    def test_a_first_round_that_was_interrupted_goes_on_learning(self, rig: Rig) -> None:
        rig.console.fault(Status(503), match=self.lab_module.list_route, skip=2, times=3)
        with pytest.raises(TryAgain):
            self.learned(rig)
        rig.cycle()
        assert not rig.platform.playbook_runs

    def test_with_existing_devices_each_starts_a_playbook_once(self, rig: Rig) -> None:
        rig.cycle()
        rig.cycle()
        assert sorted(uid for uid, kind, fields in self.runs(rig) if (kind, fields) == ("new", [])) == sorted(
            self.records(rig.console)
        )

    def test_a_change_is_reported_once_with_its_fields(self, rig: Rig) -> None:
        self.learned(rig)
        identity = rig.console.ids[17]
        rig.console.change(identity, **self.lab_module.change)
        rig.cycle()
        rig.cycle()
        [run] = rig.platform.playbook_runs
        record = rig.console.record(identity)
        assert run.event["device"]["uid"] == self.uid(record)
        assert run.event["change"]["kind"] == "changed"
        assert "device.hostname" in run.event["change"]["fields"]
        assert run.name == f"renamed: changed {', '.join(run.event['change']['fields'])}"

    def test_a_hostname_of_any_length_forges_no_name_of_an_event(self, rig: Rig) -> None:
        """An endpoint chooses its own, with line breaks, and 300,000 characters."""
        hostile = "pc\n\x1b[2J\u202e" + "x" * 300_000
        self.learned(rig)
        rig.console.change(rig.console.ids[17], **dict.fromkeys(self.lab_module.change, hostile))
        rig.cycle()
        [run] = rig.platform.playbook_runs
        hostname, _, what = run.name.partition(": ")
        assert hostname == r"pc \x1b[2J\u202e" + "x" * (100 - 8)
        assert what.startswith("changed ")
        assert "device.hostname" in what

    def test_a_new_device_is_reported_once(self, rig: Rig) -> None:
        self.learned(rig)
        known = set(self.records(rig.console))
        self.join(rig)
        rig.cycle()
        rig.cycle()
        [run] = rig.platform.playbook_runs
        [uid] = set(self.records(rig.console)) - known
        assert run.event["device"]["uid"] == uid
        assert run.name == f"{run.event['device']['hostname']}: new device"

    def join(self, rig: Rig) -> None:
        """One device more in the console, changed just now."""
        before = [rig.console.record(identity) for identity in rig.console.ids]
        with self.lab_module.simulated(36) as other:
            joined = other.record(other.ids[35])
        rig.console.has([*before, joined])
        now = iso(time.time() + 1)
        joining = {self.lab_module.first_seen: now} if self.lab_module.first_seen else {}  # the list may miss rows
        rig.console.change(rig.console.ids[-1], **self.lab_module.change, **joining)

    def test_a_heartbeat_starts_nothing(self, rig: Rig) -> None:
        rig.arguments["silent_after"] = 1_000_000  # none of the fleet is, so that none is back
        self.learned(rig)
        for identity in rig.console.ids:
            rig.console.heartbeat(identity)
        time.sleep(1.05)
        assert rig.cycle(full_sync_interval=1).counts.read >= 35
        assert not rig.platform.playbook_runs

    def test_only_changes_of_the_chosen_fields_count(self, rig: Rig) -> None:
        rig.arguments["on"] = ["new", "changed"]
        self.learned(rig)
        rig.arguments["fields"] = ["device.ip"]
        rig.cycle()
        self.change_all(rig)
        rig.cycle()
        assert not rig.platform.playbook_runs

    def test_a_parent_of_fields_stands_for_them(self, rig: Rig) -> None:
        rig.arguments["fields"] = ["device"]
        self.learned(rig)
        rig.console.change(rig.console.ids[3], **self.lab_module.change)
        rig.cycle()
        assert len(rig.platform.playbook_runs) == 1

    @pytest.mark.parametrize("unknown", ["device.shoe_size", "hostname", "time", "device.last_seen_time"])
    def test_an_unknown_field_is_refused_with_the_known_ones(self, rig: Rig, unknown: str) -> None:
        with pytest.raises(ActionNeeded, match=rf"{unknown}.*It fills .*device\.hostname"):
            rig.cycle(fields=["device.hostname", unknown])
        assert not rig.console.calls

    def test_the_results_describe_every_event(self, rig: Rig) -> None:
        rig.cycle()
        self.change_all(rig)
        rig.cycle()
        schema = self.lab_module.changes_manifest["results"]
        from jsonschema import Draft7Validator  # here, as its import takes a second

        validator = Draft7Validator(_closed(schema))
        assert len(rig.platform.playbook_runs) == 70
        for run in rig.platform.playbook_runs:
            validator.validate(run.event)

    # --- reported once, in order

    def test_after_a_failed_start_the_rest_follows_in_order_and_nothing_twice(self, rig: Rig) -> None:
        rig.platform.fault(Reset(), match="callback", skip=4, times=3)
        with pytest.raises(TryAgain):
            rig.cycle()
        assert len(rig.platform.playbook_runs) == 4
        rig.cycle()
        reported = [uid for uid, _, _ in self.runs(rig)]
        listed = read_devices(self.lab_module, self.lab_module.configured(rig.settings), 35).events
        assert reported == [event["device"]["uid"] for event in listed]
        assert len(rig.platform.calls_to("callback")) == 35 + 3

    @pytest.mark.parametrize("fault", [Status(401), RateLimited(120)], ids=repr)
    def test_a_refused_start_says_what_to_do_and_is_not_forgotten(self, rig: Rig, fault: Any) -> None:
        self.learned(rig)
        self.change_all(rig)
        rig.platform.fault(fault, match="callback")
        with pytest.raises(ConnectorError, match=r"Sekoia\.io"):
            rig.cycle()
        rig.cycle()
        assert len({uid for uid, _, _ in self.runs(rig)}) == 35
        assert set(rig.platform.deliveries.values()) == {1}

    @pytest.mark.parametrize("status", [400, 403, 500])
    def test_an_event_that_the_platform_refuses_holds_back_no_other(
        self, rig: Rig, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is retried in three rounds, and then only when the device changes or the interval has passed."""
        self.learned(rig)
        self.change_all(rig)
        uid = self.uid(rig.console.record(rig.console.ids[0]))
        rig.platform.fault(
            Status(status),
            match=lambda call: call.endpoint == "callback" and uid.encode() in call.get_data(),
            times=None,
        )
        for _ in range(3):
            assert rig.cycle().counts.refused == 1
            assert {one for one, _, _ in self.runs(rig)} == set(self.records(rig.console)) - {uid}
        assert set(rig.platform.deliveries.values()) == {1}
        assert sum(f"Skipped a device (id {uid})" in record.message for record in caplog.records) == 3
        calls = len(rig.platform.calls_to("callback"))
        assert rig.cycle().counts.refused == 1
        assert len(rig.platform.calls_to("callback")) == calls
        rig.platform.clear_faults()
        rig.console.change(rig.console.ids[0], **self.another("other"))
        rig.cycle()
        assert [one for one, _, _ in self.runs(rig)].count(uid) == 1

    def test_a_platform_that_goes_down_between_two_events_refused_none_of_them(self, rig: Rig) -> None:
        """The first one that failed was blamed in three rounds, because one before it had been accepted, and then held back."""
        self.learned(rig)
        self.change_all(rig)
        rig.platform.fault(Status(503), match="callback", skip=4, times=None)
        for _ in range(3):
            with pytest.raises(TryAgain, match="HTTP 503"):
                rig.cycle()
        rig.platform.clear_faults()
        rig.cycle()
        assert set(rig.platform.deliveries) == set(self.records(rig.console))
        assert set(rig.platform.deliveries.values()) == {1}

    def test_one_event_alone_that_is_refused_is_an_error_that_says_so(self, rig: Rig) -> None:
        self.learned(rig)
        rig.console.change(rig.console.ids[0], **self.lab_module.change)
        rig.platform.fault(Status(400), match="callback", times=None)
        with pytest.raises(TryAgain, match="Too few devices were sent to tell whether others are accepted"):
            rig.cycle()
        rig.platform.clear_faults()
        rig.cycle()
        assert len(self.runs(rig)) == 1

    def test_a_start_whose_answer_was_lost_is_retried(self, rig: Rig) -> None:
        self.learned(rig)
        rig.console.change(rig.console.ids[0], **self.lab_module.change)
        rig.platform.fault(Reset(), match="callback", times=3, after=True)
        with pytest.raises(TryAgain):
            rig.cycle()
        rig.cycle()
        assert len(rig.platform.playbook_runs) == 4
        assert len({run.request_id for run in rig.platform.playbook_runs[:3]}) == 1

    def test_many_waiting_changes_are_logged_and_started_at_a_bounded_rate(
        self, rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.devices.starts.WORTH_SAYING", 20)
        rig.rate = 10
        self.learned(rig)
        self.change_all(rig)
        with caplog.at_level(logging.INFO):
            rig.cycle()
        assert [record.message for record in caplog.records if "are waiting" in record.message] == [
            "35 changes are waiting; at most 10 a second start playbooks."
        ]
        calls = [call.at for call in rig.platform.calls_to("callback")]
        assert calls[-1] - calls[0] > 2, (
            "35 at 10 a second; tests/shared/http/test_pace.py counts them by a clock of its own"
        )

    # --- what is remembered

    def test_the_state_is_apart_from_that_of_the_asset_connector(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assets = Rig(self.lab_module, rig.console, rig.platform, rig.data, monkeypatch)
        assets.cycle()
        self.learned(rig)
        assert not rig.platform.playbook_runs
        self.change_all(rig)
        rig.cycle()
        counts = assets.cycle().counts
        assert len(rig.platform.playbook_runs) == 35
        assert counts.sent == 35
        assert assets.cycle().counts.sent == 0

    def test_an_update_of_the_mapping_learns_silently(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.learned(rig)
        rows = [row for row in rig.connector.fields if row.path != "device.hostname"]
        hostname = next(row for row in rig.connector.fields if row.path == "device.hostname")
        monkeypatch.setattr(
            rig.connector,
            "fields",
            [*rows, type(hostname)("device.hostname", hostname.source, lambda name: f"{name}!")],
        )
        module = rig.module.manifest
        monkeypatch.setitem(module, "version", "99.0.0")
        rig.cycle()
        assert not rig.platform.playbook_runs
        rig.console.change(rig.console.ids[0], **self.lab_module.change)
        rig.cycle()
        assert len(rig.platform.playbook_runs) == 1

    @pytest.mark.parametrize("damage", ["gone", "damaged"])
    def test_devices_are_learned_again_without_playbooks_after_state_loss(
        self, rig: Rig, damage: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A lost memory made every device of the fleet a new one."""
        self.learned(rig)
        path = rig.state("fingerprints.bin")
        if damage == "gone":
            path.unlink()
        else:
            content = bytearray(path.read_bytes())
            content[40] ^= 0xFF
            path.write_bytes(content)
        rig.cycle()
        assert not rig.platform.playbook_runs
        assert any("learned again" in record.message for record in caplog.records)
        rig.console.change(rig.console.ids[0], **self.lab_module.change)
        rig.cycle()
        assert len(rig.platform.playbook_runs) == 1

    def test_a_lost_memory_starts_nothing_where_the_existing_devices_were_asked_for(self, rig: Rig) -> None:
        """The flag was still set: each device of the fleet was new once more."""
        rig.cycle()
        for path in rig.data.glob("*fingerprints*"):
            path.unlink()
        rig.cycle()
        assert len(rig.platform.playbook_runs) == 35

    def test_learning_again_that_is_interrupted_goes_on_in_silence(self, rig: Rig) -> None:
        """The relearning was remembered by the process alone, which a failed round or a restart ended."""
        self.learned(rig)
        for path in rig.data.glob("*fingerprints*"):
            path.unlink()
        rig.console.fault(Status(503), match=self.lab_module.list_route, skip=2, times=3)
        with pytest.raises(TryAgain):
            rig.cycle()
        rig.cycle()
        assert not rig.platform.playbook_runs
        rig.console.change(rig.console.ids[0], **self.lab_module.change)
        rig.cycle()
        assert len(rig.platform.playbook_runs) == 1

    def test_a_kill_while_a_loss_is_written_down_reports_nothing(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between the two files of the state: the empty memory was stored, and not that the devices are to be learned."""
        self.learned(rig)
        rig.state("fingerprints.bin").write_bytes(b"damaged")

        def killed(*_: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(JsonFile, "write", killed)
            rig.cycle()
        rig.cycle()
        assert not rig.platform.playbook_runs

    def test_a_second_trigger_on_the_same_storage_is_found_out(self, rig: Rig) -> None:
        """Each undid what the other had learned: changes were lost, or reported twice."""
        self.learned(rig)
        self.change_all(rig)
        first, second = rig.start(), rig.start()
        with pytest.raises(TryAgain, match="Only one connector may use this storage"):
            rig.overtake(first, second)
        assert set(rig.platform.deliveries) == set(self.records(rig.console))
        before = len(rig.platform.playbook_runs)
        assert before == 35 + 1, "the first stops at once"
        first.cycle()
        assert len(rig.platform.playbook_runs) == before, "what the second reported is known to the first"
        rig.console.change(rig.console.ids[3], **self.another("other"))
        first.cycle()
        assert len(rig.platform.playbook_runs) == before + 1

    def test_a_list_without_end_is_learned_as_far_as_it_was_read(self, rig: Rig) -> None:
        if not self.lab_module.names_next_page:
            return  # each page is asked for by its offset, and an empty one is the last
        rig.arguments["on"] = ["new", "changed"]
        rig.console.fault(endless(self.lab_module), match=self.lab_module.list_route, skip=2, times=6)
        with pytest.raises(UnexpectedReply, match="pages in a row"):
            self.learned(rig)
        rig.console.clear_faults()
        assert not rig.platform.playbook_runs
        self.change_all(rig)
        counts = rig.cycle().counts
        assert [kind for _, kind, _ in self.runs(rig)] == ["changed"] * 20, "two pages of ten were read and learned"
        assert counts.learned == 15

    def test_what_was_learned_is_a_column_of_its_own(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
        rig.arguments["include_existing"] = False
        with caplog.at_level(logging.INFO):
            connector = rig.cycle()
        account = connector.liveness_context()["devices"]
        assert {state: count for state, count in account.items() if count} == {"listed": 35, "learned": 35}
        assert " · learned 35 · " in caplog.records[-1].message

    def test_an_older_copy_of_the_memory_is_learned_again(self, rig: Rig) -> None:
        self.learned(rig)
        older = rig.state("fingerprints.bin").read_bytes()
        self.change_all(rig)
        rig.cycle()
        rig.state("fingerprints.bin").write_bytes(older)
        rig.cycle()
        assert set(rig.platform.deliveries.values()) == {1}

    def test_a_device_that_cannot_be_mapped_for_two_walks_is_not_new_afterwards(self, rig: Rig, clock: Clock) -> None:
        self.learned(rig)
        records = [rig.console.record(identity) for identity in rig.console.ids]
        broken = [with_values(records[0], {self.lab_module.names[0]: math.nan}), *records[1:]]
        for listed in (broken, broken, records):
            rig.console.has(listed)
            clock.ahead += 90_000
            rig.cycle()
        assert not rig.platform.playbook_runs

    def test_a_damaged_position_learns_and_starts_nothing(self, rig: Rig) -> None:
        rig.cycle()
        rig.state("context.json").write_bytes(b"{")
        rig.state("context.json.bak").write_bytes(b"{")
        rig.cycle()
        assert len(rig.platform.playbook_runs) == 35

    def test_a_device_a_walk_left_out_once_is_not_new(self, rig: Rig) -> None:
        self.learned(rig)
        records = [rig.console.record(identity) for identity in rig.console.ids]
        for listed in (records[:30], records):
            rig.console.has(listed)
            time.sleep(1.05)
            rig.cycle(full_sync_interval=1)
        assert not rig.platform.playbook_runs

    def test_the_states_files_are_its_owners_only(self, rig: Rig) -> None:
        rig.cycle()
        files = [path for path in rig.data.rglob("*") if path.is_file()]
        assert {path.name for path in files} >= self.state_files
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def _closed(schema: Any) -> Any:
    """The schema, satisfied by nothing it does not name."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return {**closed, "additionalProperties": False} if isinstance(schema.get("properties"), dict) else closed
