"""Partner and organization credentials: every tenant is collected, each with its own position, none for another."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from lab.commands.preview import read_devices
from lab.consoles.sophos import SimulatedSophos
from lab.modules import MODULES
from lab.platform.faults import RateLimited, Status
from lab.platform.local import LocalPlatform
from shared.devices.polling import OVERLAP
from shared.errors import ActionNeeded, TryAgain
from shared.runtime.service import HUNG
from shared.times import epoch, iso
from tests.clock import Clock
from tests.hostile import WORST_MIB, Body, Streams
from tests.rig import Clock as WallClock
from tests.rig import Rig, signal_handlers_kept
from tests.test_hostile_console import Scene

MODULE = MODULES["Sophos"]
NORTH, SOUTH, EAST = (f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
TENANTS = {NORTH: "North Ltd", SOUTH: "South GmbH", EAST: "East SA"}


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform() as platform:
        yield platform


@pytest.fixture(params=["partner", "organization"])
def console(request: pytest.FixtureRequest) -> Iterator[SimulatedSophos]:
    with SimulatedSophos(request.param, dict(TENANTS)) as console:
        console.has(36)
        yield console


@pytest.fixture
def rig(
    console: SimulatedSophos, platform: LocalPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rig]:
    with signal_handlers_kept():
        yield Rig(MODULE, console, platform, tmp_path / "data", monkeypatch)


def of(console: SimulatedSophos, tenant: str) -> list[str]:
    return [one for one in console.ids if console.record(one)["tenant"]["id"] == tenant]


def places(rig: Rig) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((rig.data / "context.json").read_text())["scopes"]
    return found


def match_tenant(tenant: str) -> Any:
    return lambda request: request.headers.get("X-Tenant-ID") == tenant


def asked_for(rig: Rig) -> list[str]:
    return [call.headers["X-Tenant-Id"] for call in rig.console.calls_to("endpoints")]


def test_every_tenant_is_collected_under_its_own_name(rig: Rig, console: SimulatedSophos) -> None:
    rig.cycle()
    assert set(rig.platform.devices) == set(console.ids)
    assert set(rig.platform.deliveries.values()) == {1}
    for uid, event in rig.platform.devices.items():
        tenant = console.record(uid)["tenant"]["id"]
        assert event["device"]["org"] == {"uid": tenant, "name": TENANTS[tenant]}


def test_each_tenant_has_a_position_a_full_walk_and_fingerprints_of_its_own(rig: Rig) -> None:
    rig.cycle()
    assert set(places(rig)) == set(TENANTS)
    assert all({"last_seen_cursor", "full_walk_began"} <= set(place) for place in places(rig).values())
    assert {path.name for path in rig.data.glob("fingerprints*")} == {f"fingerprints-{one}.bin" for one in TENANTS}
    assert "last_seen_cursor" not in json.loads((rig.data / "context.json").read_text())


def test_a_second_round_asks_for_changes_and_sends_nothing(rig: Rig) -> None:
    rig.cycle()
    rig.console.forget_calls()
    assert rig.cycle().counts.sent == 0
    assert {call.query.get("lastSeenAfter") for call in rig.console.calls_to("endpoints")} == {
        iso(epoch(place["last_seen_cursor"]) - OVERLAP) for place in places(rig).values()
    }


def test_a_change_in_one_tenant_is_sent_alone(rig: Rig, console: SimulatedSophos) -> None:
    rig.cycle()
    changed = of(console, SOUTH)[4]
    console.change(changed, hostname="renamed")
    assert rig.cycle().counts.sent == 1
    assert rig.platform.deliveries[changed] == 2


@pytest.mark.parametrize("fault", [Status(401), Status(500), Status(451)], ids=repr)
def test_a_tenant_that_fails_is_named_and_the_others_go_on(
    rig: Rig, console: SimulatedSophos, caplog: pytest.LogCaptureFixture, fault: Status
) -> None:
    console.fault(fault, match=match_tenant(SOUTH), times=None)
    with pytest.raises(TryAgain, match="Not collected: South GmbH"):
        rig.cycle()
    assert set(rig.platform.devices) == set(of(console, NORTH)) | set(of(console, EAST))
    assert set(places(rig)) >= {NORTH, EAST}
    assert "last_seen_cursor" not in places(rig).get(SOUTH, {})
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert errors[0].startswith("South GmbH: Sophos ")
    console.clear_faults()
    rig.cycle()
    assert set(rig.platform.devices) == set(console.ids)


def test_the_tries_after_a_failure_are_for_the_failed_tenant_alone(rig: Rig, console: SimulatedSophos) -> None:
    """One tenant that kept failing had all the others read again every quarter of an hour."""
    console.fault(Status(500), match=match_tenant(SOUTH), times=None)
    connector = rig.start()
    for _ in range(3):
        with pytest.raises(TryAgain, match="South GmbH"):
            rig.cycle(connector)
    assert (asked_for(rig).count(NORTH), asked_for(rig).count(EAST), asked_for(rig).count(SOUTH)) == (2, 2, 9)
    console.clear_faults()
    console.change(of(console, NORTH)[0], hostname="renamed")
    rig.cycle(connector)
    assert set(rig.platform.devices) == set(console.ids)
    assert max(rig.platform.deliveries.values()) == 1
    rig.cycle(connector)
    assert max(rig.platform.deliveries.values()) == 2


def test_the_others_are_read_again_when_their_time_has_come(rig: Rig, console: SimulatedSophos) -> None:
    console.fault(Status(500), match=match_tenant(SOUTH), times=None)
    connector = rig.start(frequency=1)
    for _ in range(2):
        with pytest.raises(TryAgain):
            rig.cycle(connector)
        time.sleep(1.05)
    assert asked_for(rig).count(NORTH) == 2 + 1


def test_a_tenant_that_answers_403_is_passed_over_with_one_warning_a_day(
    rig: Rig, console: SimulatedSophos, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each round failed, so that the last success lay ever further back, and the healthy tenants came late."""
    clock = WallClock(monkeypatch)
    console.forbidden = {SOUTH}
    for warnings, ahead in ((1, 0), (1, 80_000), (2, 86_400)):
        clock.ahead = ahead
        rig.cycle()
        said = [record.message for record in caplog.records if record.levelno == logging.WARNING]
        assert len(said) == warnings
        assert said[-1].startswith("South GmbH is skipped: Sophos forbids")
    assert set(rig.platform.devices) == set(of(console, NORTH)) | set(of(console, EAST))
    console.forbidden = set()
    rig.cycle()
    assert set(rig.platform.devices) == set(console.ids)


def test_when_every_tenant_answers_403_the_round_fails(rig: Rig, console: SimulatedSophos) -> None:
    console.forbidden = set(TENANTS)
    with pytest.raises(ActionNeeded, match=r"None of the 3 tenants can be read.*Partner Assistance"):
        rig.cycle()


def test_the_tenants_that_worked_last_come_first_after_a_restart_too(rig: Rig, console: SimulatedSophos) -> None:
    """Tenants of a dead region took so long that the container was restarted before the healthy ones came."""
    console.fault(Status(500), match=match_tenant(NORTH), times=3)
    with pytest.raises(TryAgain, match="Not collected: North Ltd"):
        rig.cycle()
    rig.console.forget_calls()
    rig.cycle()
    assert [*dict.fromkeys(asked_for(rig))] == [SOUTH, EAST, NORTH]


def test_a_tenant_that_left_keeps_its_position_for_thirty_days(
    rig: Rig, console: SimulatedSophos, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = WallClock(monkeypatch)
    rig.cycle()
    del console.tenants[EAST]
    for days, left in ((29, 3), (32, 2)):
        clock.ahead = days * 86_400
        rig.cycle()
        assert len(places(rig)) == len(list(rig.data.glob("fingerprints*.bin"))) == left


def test_a_tenant_that_left_is_counted_nowhere(rig: Rig, console: SimulatedSophos) -> None:
    """Its position aged for 30 days and raised the alert on the cursor's age; its devices stayed in the fleet's gauge."""
    connector = rig.start()
    rig.cycle(connector)
    listed, position = connector.fleet()["listed"], connector.cursor()
    [oldest] = [tenant for tenant, place in places(rig).items() if epoch(place["last_seen_cursor"]) == position]
    leaving = len(of(console, oldest))
    del console.tenants[oldest]
    rig.cycle(connector)
    assert connector.fleet()["listed"] == listed - leaving
    assert connector.cursor() > position
    assert oldest in places(rig), "it may come back"


def test_a_tenant_that_closes_takes_no_device_with_it(
    rig: Rig, console: SimulatedSophos, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = WallClock(monkeypatch)

    def full_round() -> Any:
        clock.ahead += 90_000
        caplog.clear()
        with caplog.at_level(logging.INFO):
            return rig.cycle()

    rig.cycle()
    full_round()
    leaving = of(console, SOUTH)[0]
    console.remove(leaving)
    console.forbidden = {SOUTH}
    for _ in range(3):
        assert full_round().counts.gone == 0
    console.forbidden, console.unprovisioned = set(), {SOUTH}
    for _ in range(3):
        assert full_round().counts.gone == 0
    console.unprovisioned = set()
    assert full_round().counts.gone == 0
    connector = full_round()
    assert connector.counts.gone == connector.fleet()["gone"] == 1
    assert sum(record.message.startswith("Gone from the list") for record in caplog.records) == 1
    assert rig.platform.deliveries[leaving] == 2


def test_a_device_that_sekoia_refuses_in_one_tenant_holds_no_other_back(rig: Rig, console: SimulatedSophos) -> None:
    """One device alone cannot be told from a platform that is down: the round went no further."""
    rig.cycle()
    for tenant in TENANTS:
        console.change(of(console, tenant)[0], hostname="renamed")
    poisoned = of(console, NORTH)[0]
    rig.platform.fault(
        Status(403),
        match=lambda call: call.endpoint == "push" and poisoned.encode() in call.get_data(),
        times=None,
    )
    with pytest.raises(TryAgain, match="Not collected: North Ltd"):
        rig.cycle()
    assert rig.platform.deliveries[of(console, SOUTH)[0]] == 2
    assert rig.platform.deliveries[of(console, EAST)[0]] == 2


def test_an_event_that_sekoia_refuses_in_one_tenant_holds_no_other_back(
    console: SimulatedSophos, platform: LocalPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eleven other tenants started no playbook."""
    with signal_handlers_kept():
        rig = Rig(MODULE, console, platform, tmp_path / "data", monkeypatch, changes=True)
        rig.cycle()
        for tenant in TENANTS:
            console.change(of(console, tenant)[0], hostname="renamed")
        poisoned = of(console, NORTH)[0]
        platform.fault(
            Status(500),
            match=lambda call: call.endpoint == "callback" and poisoned.encode() in call.get_data(),
            times=None,
        )
        with pytest.raises(TryAgain, match="Not collected: North Ltd"):
            rig.cycle()
        assert set(platform.deliveries) == {of(console, tenant)[0] for tenant in (SOUTH, EAST)}


def test_a_tenant_that_joins_after_the_existing_devices_were_asked_for_is_learned(
    console: SimulatedSophos, platform: LocalPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting was off by then, and each device of the tenant started a playbook."""
    with signal_handlers_kept():
        rig = Rig(MODULE, console, platform, tmp_path / "data", monkeypatch, changes=True)
        del console.tenants[EAST]
        rig.cycle(include_existing=True)
        assert set(platform.deliveries) == {*of(console, NORTH), *of(console, SOUTH)}
        console.tenants[EAST] = TENANTS[EAST]
        rig.cycle(include_existing=False)
        assert not set(platform.deliveries) & {*of(console, EAST)}


def test_a_rate_that_is_exceeded_is_the_credentials_and_ends_the_round(rig: Rig, console: SimulatedSophos) -> None:
    console.fault(RateLimited(120), match=match_tenant(SOUTH))
    with pytest.raises(TryAgain) as caught:
        rig.cycle()
    assert caught.value.retry_after == 120
    assert EAST not in asked_for(rig)


def test_a_platform_that_takes_nothing_ends_the_round(rig: Rig) -> None:
    """Every tenant was walked to be refused: hours of calls for nothing."""
    connector = rig.start()
    rig.platform.api_key = "another"
    with pytest.raises(ActionNeeded, match=r"Sekoia\.io"):
        rig.cycle(connector)
    assert set(asked_for(rig)) == {NORTH}


def test_a_tenant_that_is_not_provisioned_is_skipped_and_logged(
    rig: Rig, console: SimulatedSophos, caplog: pytest.LogCaptureFixture
) -> None:
    console.unprovisioned = {NORTH}
    rig.cycle()
    assert set(rig.platform.devices) == set(of(console, SOUTH)) | set(of(console, EAST))
    [said] = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert said.startswith("North Ltd is skipped")
    console.unprovisioned = set()
    rig.cycle()
    assert set(rig.platform.devices) == set(console.ids)


def test_a_tenant_whose_region_lies_elsewhere_gets_no_token_and_the_others_go_on(
    rig: Rig, console: SimulatedSophos
) -> None:
    console.regions = {SOUTH: "https://api-eu01.central.sophos.com"}
    with pytest.raises(TryAgain, match="South GmbH"):
        rig.cycle()
    assert set(rig.platform.devices) == set(of(console, NORTH)) | set(of(console, EAST))


def test_tenants_live_in_regions_of_their_own(rig: Rig, console: SimulatedSophos) -> None:
    with SimulatedSophos(console.kind, dict(TENANTS)) as region:
        region.tokens = console.tokens
        region.has([console.record(one) for one in of(console, SOUTH)])
        console.regions = {SOUTH: region.url}
        rig.cycle()
        assert {call.headers["X-Tenant-Id"] for call in region.calls} == {SOUTH}
    assert set(rig.platform.devices) == set(console.ids)
    assert len(console.calls_to("token")) == 1


def test_a_credential_without_tenants_says_what_to_change(rig: Rig, console: SimulatedSophos) -> None:
    for console.tenants, console.unprovisioned in (({}, set()), (dict(TENANTS), set(TENANTS))):
        with pytest.raises(ActionNeeded, match=r"no provisioned tenant.*create the credential in the tenant"):
            rig.cycle()
        assert not MODULE.validator(MODULE.configured(rig.settings)).validate()


def test_all_pages_of_tenants_are_read(rig: Rig, console: SimulatedSophos) -> None:
    console.tenants = {f"00000000-0000-4000-8000-{n:012}": f"Tenant {n}" for n in range(120)}
    console.has(0)
    client = MODULE.connector.connect(
        MODULE.configured(rig.settings).configuration, stop=Event(), patience=rig.patience
    )
    scopes = MODULE.connector.scopes(client)
    assert {scope.key: scope.name for scope in scopes} == console.tenants
    assert [call.query["page"] for call in console.calls_to(f"{console.kind}_tenants")] == ["1", "2", "3"]


def test_a_tenant_that_was_renamed_keeps_its_position(rig: Rig, console: SimulatedSophos) -> None:
    connector = rig.cycle()
    console.tenants[SOUTH] = "South AG"
    console.heartbeat(of(console, SOUTH)[0])
    rig.console.forget_calls()
    rig.cycle(connector)
    assert all("lastSeenAfter" in call.query for call in console.calls_to("endpoints"))
    assert len(list(rig.data.glob("fingerprints*.bin"))) == 3
    event = rig.platform.devices[of(console, SOUTH)[0]]
    assert event["device"]["org"]["name"] == "South AG"


def test_a_full_walk_is_due_tenant_by_tenant(rig: Rig, console: SimulatedSophos) -> None:
    console.forbidden = {SOUTH}
    rig.cycle()
    console.forbidden = set()
    console.forget_calls()
    rig.cycle()
    full = {call.headers["X-Tenant-Id"] for call in console.calls_to("endpoints") if "lastSeenAfter" not in call.query}
    assert full == {SOUTH}


def test_a_round_says_which_tenant_it_reads_and_what_it_did(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        rig.cycle()
    said = [record.message for record in caplog.records if record.levelno == logging.INFO]
    assert said[:3] == [f"Reading all devices of {name}" for name in TENANTS.values()]
    assert said[3].startswith("listed 36 by the console · delivered 36 · ")


def test_preview_shows_the_devices_of_all_tenants_but_the_closed(rig: Rig, console: SimulatedSophos) -> None:
    console.unprovisioned = {NORTH}
    found = read_devices(MODULE, MODULE.configured(rig.settings), 100)
    assert {event["device"]["org"]["name"] for event in found.events} == {"South GmbH", "East SA"}


def test_preview_names_a_tenant_that_fails_and_shows_the_others(rig: Rig, console: SimulatedSophos) -> None:
    console.forbidden, console.unprovisioned = {NORTH}, {SOUTH}
    found = read_devices(MODULE, MODULE.configured(rig.settings), 5)
    assert {event["device"]["org"]["name"] for event in found.events} == {"East SA"}
    assert len(found.events) == 5
    assert [said.partition(":")[0] for said in found.closed] == ["North Ltd", "South GmbH"]
    console.forbidden = {NORTH, EAST}
    with pytest.raises(ActionNeeded, match="Partner Assistance"):
        read_devices(MODULE, MODULE.configured(rig.settings), 5)


def test_the_connection_test_reads_one_device_of_the_first_tenant_that_can_be_read(
    rig: Rig, console: SimulatedSophos
) -> None:
    console.forbidden = {NORTH}
    assert MODULE.validator(MODULE.configured(rig.settings)).validate()
    assert asked_for(rig) == [NORTH, SOUTH]


def test_the_connection_test_fails_when_no_tenant_can_be_read(rig: Rig, console: SimulatedSophos) -> None:
    console.forbidden = set(TENANTS)
    validator = MODULE.validator(MODULE.configured(rig.settings))
    assert not validator.validate()
    assert "Partner Assistance" in str(validator._error)


def test_the_accounts_name_is_in_the_logs_and_nowhere_else(
    rig: Rig, console: SimulatedSophos, caplog: pytest.LogCaptureFixture
) -> None:
    rig.settings["account_name"] = "ACME-Account"
    console.fault(Status(500), match=match_tenant(SOUTH), times=None)
    with caplog.at_level(logging.INFO), pytest.raises(TryAgain) as caught:
        rig.cycle()
    assert all(record.message.startswith("ACME-Account: ") for record in caplog.records if record.name != "werkzeug")
    everything = [str(caught.value), str([(call.path, call.query, call.headers, call.body) for call in console.calls])]
    everything += [str(call.headers) for call in rig.platform.calls] + [str(list(rig.platform.devices.values()))]
    everything += [path.read_bytes().decode("latin-1") for path in rig.data.rglob("*") if path.is_file()]
    assert not [place for place in everything if "ACME-Account" in place]


def test_an_endpoint_changed_without_a_check_in_arrives_with_the_full_walk(
    tmp_path: Path, platform: LocalPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    with signal_handlers_kept(), SimulatedSophos() as console:
        console.has(35)
        rig = Rig(MODULE, console, platform, tmp_path / "data", monkeypatch)
        rig.cycle()
        moved = console.ids[3]
        console.change_silently(moved, group={"id": "g-2", "name": "Moved in Central"})
        rig.cycle()
        assert platform.devices[moved]["device"].get("groups") != [{"uid": "g-2", "name": "Moved in Central"}]
        time.sleep(1.05)
        rig.cycle(full_sync_interval=1)
        assert platform.devices[moved]["device"]["groups"] == [{"uid": "g-2", "name": "Moved in Central"}]


def test_an_endpoint_that_was_never_seen_arrives_with_the_full_walk_only(
    tmp_path: Path, platform: LocalPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    with signal_handlers_kept(), SimulatedSophos() as console:
        console.has(12)
        rig = Rig(MODULE, console, platform, tmp_path / "data", monkeypatch)
        rig.cycle()
        console.add({"id": "new", "type": "computer", "hostname": "new"})
        assert rig.cycle().counts.sent == 0
        time.sleep(1.05)
        rig.cycle(full_sync_interval=1)
        assert "new" in platform.devices


def test_a_tenants_own_credential_keeps_its_position_at_the_root(
    tmp_path: Path, platform: LocalPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    with signal_handlers_kept(), SimulatedSophos() as console:
        times = ["2024-01-07T06:26:08.668Z", "2023-06-26T10:28:08.836Z", "2024-01-07T06:26:08.6Z"]
        console.has([{"id": str(n), "hostname": "h", "lastSeenAt": seen} for n, seen in enumerate(times)])
        rig = Rig(MODULE, console, platform, tmp_path / "data", monkeypatch)
        rig.cycle()
        context = json.loads((rig.data / "context.json").read_text())
        assert context["last_seen_cursor"] == "2024-01-07T06:26:08.668Z"
        assert "scopes" not in context


def test_a_round_over_tenants_that_all_fail_slowly_is_alive(
    rig: Rig, console: SimulatedSophos, monkeypatch: pytest.MonkeyPatch
) -> None:
    """60 tenants of a region that was down, two minutes each: `/health` had the container restarted, and it began anew."""
    clock, alive = Clock(monkeypatch), []
    connector = rig.start()

    def take_long(request: Any) -> None:
        if request.endpoint == "endpoints":
            alive.append(connector.is_alive())
            clock.now += HUNG * 0.6

    console.before_call = take_long
    console.fault(Status(451), match="endpoints", times=None)
    connector.moving()  # as the loop does at the begin of a round
    with pytest.raises(TryAgain, match="Not collected"):
        connector.cycle()
    assert alive == [True] * len(TENANTS)


@pytest.mark.slow
def test_tenants_without_end_are_given_up_before_they_fill_the_memory(tmp_path: Path) -> None:
    numbers = count()

    def page(number: int) -> Body:
        api = b"https://api-eu.central.sophos.com"
        tenants = [
            b'{"id":"%032d","name":"%b","apiHost":"%b"}' % (next(numbers), b"x" * 300_000, api) for _ in range(100)
        ]
        return Body(iter([b'{"items":[', b",".join(tenants), b'],"pages":{"current":%d,"total":1000000}}' % number]))

    with SimulatedSophos("partner") as console, LocalPlatform(strict=False) as platform:
        console.fault(Streams(map(page, count())), match="partner_tenants", times=None)
        scene = Scene(MODULES["Sophos"], console, platform, tmp_path)
        with scene.process as process:
            assert "fills more than 256 MiB of memory" in process.wait_for_rounds(1, timeout=120)["last_error"]
            assert scene.peak_mib < WORST_MIB
