"""Groups: read anew in each round, and known from the last time when they cannot be.

A device carries its group's id only. Without the group's name its event would be another one, and the whole fleet would
be sent again each time the groups cannot be read.
"""

from __future__ import annotations

import itertools
import json
import logging
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from lab.commands.preview import read_devices
from lab.consoles.eset import SimulatedEset
from lab.modules import MODULES
from lab.platform.faults import Html, Made, RateLimited, Status, WrongShape
from lab.platform.local import LocalPlatform
from shared.errors import ActionNeeded, TryAgain
from tests.hostile import WORST_MIB, Body, Streams
from tests.rig import Rig
from tests.test_hostile_console import Scene

UNREADABLE = [Status(403), Status(404), Status(501), Status(503), Html(), WrongShape({"deviceGroups": None})]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]


def groups_of(rig: Rig) -> dict[str, Any]:
    return {uid: event["device"].get("groups") for uid, event in rig.platform.devices.items()}


def one_in_a_group(rig: Rig) -> tuple[str, str]:
    """A device's uuid and its group's."""
    known = {group["uuid"] for group in rig.console.groups}
    records = map(rig.console.record, rig.console.ids)
    return next((r["uuid"], r["parentGroupUuid"]) for r in records if r.get("parentGroupUuid") in known)


def test_a_device_brings_its_group_and_one_in_an_unknown_group_none(rig: Rig) -> None:
    device, group = one_in_a_group(rig)
    other = next(identity for identity in rig.console.ids if identity != device)
    rig.console.change(other, parentGroupUuid="not-visible-to-the-user")
    rig.cycle()
    name = next(entry["displayName"] for entry in rig.console.groups if entry["uuid"] == group)
    assert groups_of(rig)[device] == [{"name": name, "uid": group}]
    assert groups_of(rig)[other] is None


@pytest.mark.parametrize("fault", UNREADABLE, ids=repr)
@pytest.mark.parametrize("restarted", [False, True])
def test_when_groups_cannot_be_read_no_device_looks_changed(
    rig: Rig, fault: Any, restarted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    connector = rig.cycle()
    before = groups_of(rig)
    assert any(before.values())
    caplog.clear()
    rig.console.fault(fault, match="groups", times=None)
    counts = rig.cycle(None if restarted else connector).counts
    assert (counts.read, counts.sent) == (35, 0)
    assert len(warnings(caplog)) == 1
    assert "device groups could not be read" in warnings(caplog)[0]


def test_when_groups_cannot_be_read_a_changed_device_keeps_its_group(rig: Rig) -> None:
    rig.cycle()
    device, _ = one_in_a_group(rig)
    before = groups_of(rig)[device]
    rig.console.change(device, description="changed")
    rig.console.fault(Status(503), match="groups", times=None)
    assert rig.cycle().counts.sent == 1
    assert before is not None
    assert groups_of(rig)[device] == before


def test_groups_of_which_only_a_part_could_be_read_are_not_taken(rig: Rig) -> None:
    """The second page failed, and every device of a group on it would have lost its group."""
    rig.cycle()
    more = [{"uuid": f"more-{number:04}", "displayName": "More"} for number in range(1500)]
    rig.console.has_groups([*rig.console.groups, *more])
    rig.console.fault(Status(503), match="groups", skip=1, times=None)
    assert rig.cycle().counts.sent == 0


def test_a_renamed_group_sends_its_devices_again_and_no_others(rig: Rig) -> None:
    rig.cycle()
    device, group = one_in_a_group(rig)
    rig.console.has_groups(
        [{**entry, "displayName": "Renamed"} if entry["uuid"] == group else entry for entry in rig.console.groups]
    )
    members = sum(rig.console.record(identity).get("parentGroupUuid") == group for identity in rig.console.ids)
    assert rig.cycle().counts.sent == members
    assert groups_of(rig)[device] == [{"name": "Renamed", "uid": group}]


def test_groups_that_were_never_read_come_with_the_first_round_that_reads_them(rig: Rig) -> None:
    rig.console.fault(Status(403), match="groups", times=1)
    rig.cycle()
    assert not any(groups_of(rig).values())
    assert rig.cycle().counts.sent > 20
    assert any(groups_of(rig).values())


@pytest.mark.parametrize("none", [{"deviceGroups": []}, {}, {"nextPageToken": ""}])
def test_a_user_who_sees_no_group_is_no_failure(rig: Rig, none: Any, caplog: pytest.LogCaptureFixture) -> None:
    rig.console.fault(WrongShape(none), match="groups")
    rig.cycle()
    assert len(rig.platform.devices) == 35
    assert not warnings(caplog)


def test_a_refused_user_is_reported_once_and_the_password_sent_once(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """The groups' failure was taken for one of the groups, and the devices tried the password again."""
    rig.console.integrations = False
    with pytest.raises(ActionNeeded, match=r"403.*Integrations"):
        rig.cycle()
    assert len(rig.console.calls_to("token")) == 1
    assert not warnings(caplog)


def test_too_many_calls_for_the_groups_are_too_many_for_the_devices(rig: Rig) -> None:
    rig.console.fault(RateLimited(120), match="groups")
    with pytest.raises(TryAgain) as caught:
        rig.cycle()
    assert caught.value.retry_after == 120
    assert not rig.console.calls_to("devices")


def test_the_file_of_the_groups_is_its_owners_and_holds_names_only(rig: Rig) -> None:
    rig.cycle()
    path = rig.data / "groups.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text()) == {group["uuid"]: group["displayName"] for group in rig.console.groups}


def test_a_group_whose_name_is_no_text_costs_only_itself(rig: Rig) -> None:
    """Half of a surrogate pair can neither be stored nor sent; each round ended with an internal error."""
    device, broken = one_in_a_group(rig)
    groups = [{**one, "displayName": "half \ud800"} if one["uuid"] == broken else one for one in rig.console.groups]
    rig.console.has_groups(groups)
    assert rig.cycle().counts.sent == 35
    assert groups_of(rig)[device] is None
    assert any(groups_of(rig).values())


def test_a_damaged_file_of_the_groups_stops_nothing(rig: Rig) -> None:
    rig.cycle()
    (rig.data / "groups.json").write_bytes(b'{"half')
    assert rig.cycle().counts.sent == 0


def test_reading_without_sending_leaves_no_file(rig: Rig) -> None:
    found = read_devices(rig.module, rig.module.configured(rig.settings), 5)
    assert any(event["device"].get("groups") for event in found.events)
    assets = list(rig.start().get_assets())
    assert any(asset.device.groups for asset in assets)
    assert not (rig.data / "groups.json").exists()


@pytest.mark.parametrize("new", [True, False], ids=["new groups", "the same group"])
def test_groups_without_an_end_are_given_up_and_the_known_ones_stand_in(
    rig: Rig, new: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They filled the memory: 2.5 GiB at page 18."""
    connector = rig.cycle()
    if new:
        monkeypatch.setattr("shared.http.pages.MAX_COLLECTED", 100_000)
    numbers = itertools.count()

    def page() -> dict[str, Any]:
        number = next(numbers)
        groups = [{"uuid": f"{number if new else 0}-{row}", "displayName": "group"} for row in range(50)]
        return {"deviceGroups": groups, "nextPageToken": f"page-{number}"}

    rig.console.forget_calls()
    rig.console.fault(Made(lambda: WrongShape(page())), match="groups", times=None)
    counts = rig.cycle(connector).counts
    assert (counts.read, counts.sent) == (35, 0)
    assert len(rig.console.calls_to("groups")) <= 10
    assert ("MiB of memory" if new else "without anything new") in warnings(caplog)[-1]


@pytest.mark.slow
def test_groups_without_end_are_given_up_before_they_fill_the_memory(tmp_path: Path) -> None:
    """At page 18 they filled 2.5 GiB: the bound was looked at once all were collected. The devices arrive without them."""
    numbers = count()

    def page(number: int) -> Body:
        groups = [b'{"uuid":"%032d","displayName":"%b"}' % (next(numbers), b"x" * 30_000) for _ in range(1_000)]
        return Body(iter([b'{"deviceGroups":[', b",".join(groups), b'],"nextPageToken":"t%d"}' % number]))

    with SimulatedEset() as console, LocalPlatform(strict=False) as platform:
        console.has(3)
        console.fault(Streams(map(page, count())), match="groups", times=None)
        scene = Scene(MODULES["ESET"], console, platform, tmp_path)
        with scene.process:
            scene.until_the_fleet_arrived()
            assert scene.peak_mib < WORST_MIB
    assert "sent a list that fills more than 256 MiB of memory" in scene.output
