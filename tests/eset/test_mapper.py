"""The decisions behind the mapping of ESET devices, one by one, and any JSON at all."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from eset_assets.client import PARENT_GROUP, with_group
from eset_assets.mapper import ESET_TO_DEVICE
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sekoia_automation_models.ocsf.device import DeviceOCSFModel

from lab.fleet.eset import eset_devices, eset_groups
from shared.errors import SkipRecord
from shared.mapping.table import Mapper
from shared.state.fingerprints import fingerprint
from tests.json_values import scalars as json_scalars
from tests.ocsf import assert_is_ocsf

MAPPER = Mapper(ESET_TO_DEVICE)
NOTHING = ["", 0, None, {}, []]


def device(**fields: Any) -> dict[str, Any]:
    event: dict[str, Any] = MAPPER({"uuid": "1", **fields})
    return dict(event["device"])


def system(family: Any = None, name: Any = None, version: Any = None) -> tuple[str, int]:
    told = device(operatingSystem={"familyId": family, "displayName": name, "version": {"name": version}})["os"]
    return told["type"], told["type_id"]


def adapters(*profiles: list[tuple[Any, Any]], **fields: Any) -> list[dict[str, Any]]:
    listed = [{"networkAdapters": [{"caption": c, "macAddress": m} for c, m in profile]} for profile in profiles]
    return device(hardwareProfiles=listed, **fields).get("network_interfaces", [])


@pytest.mark.parametrize(
    ("family", "without", "behind_a_name"),
    [
        (1, "windows", "windows"),
        (2, "macos", "linux"),
        (3, "linux", "macos"),
        (4, "android", "android"),
        (5, "ios", "windows mobile"),
        (6, "other", "other"),
        (7, "other", "other"),
        ("3", "linux", "macos"),
        (0, "unknown", "unknown"),
        ("", "unknown", "unknown"),
        (None, "unknown", "unknown"),
    ],
)
def test_without_a_telling_name_the_family_decides_by_one_of_two_tables(
    family: Any, without: str, behind_a_name: str
) -> None:
    """The specification's table holds without a name, the vendor's own behind one that names no known system."""
    for name in (None, "", "unknown", "N/A", "10.0.19045", "14", "22H2", " 7 "):
        assert system(family, name)[0] == without, name
    for name in ("Example System 7", "Elementary 7.1", "統信 20"):
        assert system(family, name)[0] == behind_a_name, name


def test_an_apple_device_that_is_mobile_is_no_mac() -> None:
    told = device(operatingSystem={"familyId": 3, "displayName": "Example System"}, isMobile=True)["os"]
    assert told["type"] == "ios"


@pytest.mark.parametrize(
    ("family", "name", "expected"),
    [
        (2, "Ubuntu 22.04.4 LTS", "linux"),  # 2 is the vendor's Linux and the specification's macOS
        (2, "Debian GNU/Linux 12", "linux"),
        (2, "Red Hat Enterprise Linux 8.9", "linux"),
        (2, "SUSE Linux Enterprise Server 15", "linux"),
        (3, "macOS 14.4.1", "macos"),  # 3 is the vendor's Apple and the specification's Linux
        (3, "Mac OS X 10.11", "macos"),
        (3, "OS X El Capitan", "macos"),
        (3, "iOS 17.4.1", "ios"),
        (3, "iPadOS 17.4", "ipados"),
        (3, "Ubuntu", "linux"),
        (5, "Windows Phone 8.1", "windows"),  # 5 is the vendor's Windows Mobile and the specification's iOS
        (4, "Android 14", "android"),
        (1, "Microsoft Windows 11 Pro", "windows"),
        (7, "WINDOWS 7", "windows"),
        (2, "Zorin OS 17", "linux"),
        (7, "Oracle Solaris 11.4", "solaris"),
        (7, "IBM AIX 7.3", "aix"),
        (7, "FreeBSD 14.0", "other"),
        (2, "Kiosk 9", "linux"),  # holds "ios" as letters, not as a word
    ],
)
def test_a_name_that_names_a_system_decides(family: int, name: str, expected: str) -> None:
    """The specification's familyId table has Linux and macOS the other way round than the vendor's own."""
    assert system(family, name)[0] == expected


def test_a_system_is_named_by_its_version_where_it_has_no_name() -> None:
    told = device(operatingSystem={"displayName": "", "version": {"name": "Windows 10"}})["os"]
    assert told == {"name": "Windows 10", "type": "windows", "type_id": 100}


@pytest.mark.parametrize(
    ("kind", "mobile", "expected"),
    [
        ("DEVICE_TYPE_SERVER", True, ("Mobile", 5)),
        ("DEVICE_TYPE_SERVER", False, ("Server", 1)),
        ("DEVICE_TYPE_VIRTUAL_MACHINE", None, ("Virtual", 6)),
        ("virtual_server", "false", ("Server", 1)),
        ("DEVICE_TYPE_NOTEBOOK", False, ("Desktop", 2)),
        ("DEVICE_TYPE_DESKTOP", None, ("Desktop", 2)),
        ("DEVICE_TYPE_COMPUTER", None, ("Desktop", 2)),
        ("DEVICE_TYPE_SMARTPHONE", False, ("Mobile", 5)),
        ("DEVICE_TYPE_TABLET", None, ("Mobile", 5)),
        ("DEVICE_TYPE_ROUTER", False, ("Other", 99)),
        ("DEVICE_TYPE_PRINTER", False, ("Other", 99)),
        ("DEVICE_TYPE_SECURITY_CAMERA", False, ("Other", 99)),
        ("DEVICE_TYPE_HOLOGRAM", False, ("Other", 99)),
        ("DEVICE_TYPE_UNSPECIFIED", False, ("Desktop", 2)),
        (None, None, ("Desktop", 2)),
        (["SERVER"], None, ("Desktop", 2)),
    ],
)
def test_a_type_is_sent_as_reported_and_a_missing_one_is_a_desktop(kind: Any, mobile: Any, expected: Any) -> None:
    told = device(deviceType=kind, isMobile=mobile)
    assert (told["type"], told["type_id"]) == expected


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        (None, "Microsoft Windows Server 2019 Standard", "Server"),
        ("DEVICE_TYPE_UNSPECIFIED", "Windows Server 2022 Datacenter", "Server"),
        (None, "Windows 10 Pro", "Desktop"),
        ("DEVICE_TYPE_DESKTOP", "Windows Server 2019 Standard", "Desktop"),
    ],
)
def test_a_missing_type_is_a_server_by_the_systems_name(kind: Any, name: str, expected: str) -> None:
    assert device(deviceType=kind, operatingSystem={"displayName": name})["type"] == expected


@pytest.mark.parametrize(
    ("status", "managed"),
    [
        ("DEVICE_ENROLLMENT_STATUS_PENDING", False),
        ("DEVICE_ENROLLMENT_STATUS_FAILED", False),
        ("DEVICE_ENROLLMENT_STATUS_FINISHED", True),
        ("DEVICE_ENROLLMENT_STATUS_ENROLLED", True),
        ("DEVICE_ENROLLMENT_STATUS_UNSPECIFIED", True),
        (None, True),
        (["PENDING"], True),
    ],
)
def test_a_device_is_managed_unless_its_enrolment_is_pending_or_failed(status: Any, managed: bool) -> None:
    assert device(enrollmentStatus=status)["is_managed"] is managed


def test_the_hostname_falls_back_and_the_name_does_not() -> None:
    told = device(displayName="shown", originalDisplayName="own")
    assert (told["hostname"], told["name"]) == ("shown", "shown")
    told = device(displayName="", originalDisplayName="own")
    assert (told["hostname"], told.get("name")) == ("own", None)
    assert device(originalDisplayName=None)["hostname"] == "1"


def test_the_first_mac_is_the_local_addresss_and_each_other_one_comes_once() -> None:
    found = adapters(
        [("WAN Miniport", None), ("Ethernet", "02:00:5e:00:00:01"), ("Wi-Fi", "02:00:5e:00:00:02")],
        [("Ethernet", "02-00-5E-00-00-01"), ("Wi-Fi", "02:00:5E:00:00:02"), ("OpenVPN TAP", "02:00:5e:00:00:03")],
        primaryLocalIpAddress="10.0.0.1",
    )
    assert [(one.get("ip"), one.get("mac"), one.get("name"), one["type"]) for one in found] == [
        ("10.0.0.1", "02:00:5E:00:00:01", "Ethernet", "Wired"),
        (None, None, "WAN Miniport", "Unknown"),
        (None, "02:00:5E:00:00:02", "Wi-Fi", "Wireless"),
        (None, "02:00:5E:00:00:03", "OpenVPN TAP", "Tunnel"),
    ]
    assert [one.get("hostname") for one in found] == ["1", None, None, None]


def test_the_mac_of_another_hardware_profile_is_not_the_local_addresss() -> None:
    found = adapters([], [("Dock", "02:00:5e:00:00:09")], primaryLocalIpAddress="10.0.0.1")
    assert [(one.get("ip"), one.get("mac")) for one in found] == [("10.0.0.1", None), (None, "02:00:5E:00:00:09")]


def test_without_a_local_address_adapters_are_interfaces_all_the_same() -> None:
    found = adapters([("Ethernet", "02:00:5e:00:00:01")], publicIpAddress="203.0.113.1")
    assert found == [
        {"mac": "02:00:5E:00:00:01", "name": "Ethernet", "type": "Wired", "type_id": 1},
        {"ip": "203.0.113.1", "type": "Unknown", "type_id": 0},
    ]


def test_the_first_interface_is_typed_by_its_caption_else_wired() -> None:
    for caption, kind in (
        ("Intel(R) Wi-Fi 6 AX201", "Wireless"),
        ("wlan0", "Wireless"),
        ("Neptune", "Wired"),
        (None, "Wired"),
    ):
        found = adapters([(caption, "02:00:5e:00:00:01")], primaryLocalIpAddress="10.0.0.1")
        assert [one["type"] for one in found] == [kind], caption


def test_without_a_mac_the_first_adapter_with_a_caption_is_the_local_addresss() -> None:
    """02:00:00:00:00:00 is what mobile systems show in place of the MAC."""
    found = adapters([(None, None), ("wlan0", "02:00:00:00:00:00"), ("rmnet0", None)], primaryLocalIpAddress="10.0.0.1")
    assert [(one.get("ip"), one.get("mac"), one["name"], one["type"]) for one in found] == [
        ("10.0.0.1", None, "wlan0", "Wireless"),
        (None, None, "rmnet0", "Mobile"),
    ]


def test_an_adapter_is_not_taken_for_another_whose_type_has_its_name() -> None:
    found = adapters([("wlan0", "02:00:5e:00:00:01"), ("Wireless", None)], primaryLocalIpAddress="10.0.0.1")
    assert [one["name"] for one in found] == ["wlan0", "Wireless"]


def test_several_local_and_public_addresses_in_one_text_are_each_an_interface() -> None:
    found = adapters(
        [("Ethernet", "02:00:5e:00:00:01")],
        primaryLocalIpAddress="192.0.2.7, 192.0.2.8",
        publicIpAddress="192.0.2.8; ::ffff:203.0.113.9",
    )
    assert [(one["ip"], one.get("mac"), one.get("hostname")) for one in found] == [
        ("192.0.2.7", "02:00:5E:00:00:01", "1"),
        ("192.0.2.8", "02:00:5E:00:00:01", None),
        ("203.0.113.9", None, None),
    ]


def test_two_adapters_of_one_caption_are_two() -> None:
    assert len(adapters([("X540", "02:00:5e:00:00:01"), ("X540", "02:00:5e:00:00:02"), ("X540", None)])) == 2


def test_a_public_address_that_is_the_local_one_is_no_second_interface() -> None:
    assert len(adapters(primaryLocalIpAddress="203.0.113.1", publicIpAddress="203.0.113.1")) == 1


@pytest.mark.parametrize("name", [row.source for row in ESET_TO_DEVICE if isinstance(row.source, str)])
def test_zero_empty_null_and_missing_say_the_same(name: str) -> None:
    """It is proto3 JSON. (Of `uuid` they say that there is no device.)"""
    key = re.split(r"[.\[]", name, maxsplit=1)[0]
    told = [
        {k: v for k, v in _mapped({"uuid": "1", key: value}).items() if k != "time"} for value in ["", None, {}, []]
    ]
    assert told == [told[0]] * 4
    if key != "uuid":
        assert told[0] == {k: v for k, v in _mapped({"uuid": "1"}).items() if k != "time"}


def _mapped(record: dict[str, Any]) -> dict[str, Any]:
    try:
        return MAPPER(record)
    except SkipRecord as reason:
        return {"skipped": str(reason)}


def test_a_group_is_added_where_it_is_known_and_named_by_its_uuid_without_a_name() -> None:
    groups = {"g1": "Finance", "g2": ""}
    for uuid, expected in (
        ("g1", [{"name": "Finance", "uid": "g1"}]),
        ("g2", [{"name": "g2", "uid": "g2"}]),
        ("g3", None),
        ("", None),
        (None, None),
        ({"g1": 1}, None),
    ):
        assert MAPPER(with_group({"uuid": "1", "parentGroupUuid": uuid}, groups))["device"].get("groups") == expected


def test_the_version_of_the_product_is_the_specifications_constant() -> None:
    event = MAPPER({"uuid": "1", "deployedComponents": [{"version": {"name": "11.1"}}]})
    assert event["metadata"] == {"version": "1.5.0", "product": {"name": "ESET EDR", "version": "9.1.2500.0"}}


def test_all_events_of_the_fleet_are_valid_and_mostly_complete() -> None:
    groups = {group["uuid"]: group["displayName"] for group in eset_groups()}
    for record in eset_devices(500):
        event = MAPPER(with_group(record, groups))
        assert_is_ocsf(event)
        assert DeviceOCSFModel.model_validate(event).model_dump(exclude_none=True, mode="json") == event


words = st.sampled_from(["", " ", "0", "7", "true", "DEVICE_TYPE_SERVER", "Windows 10", "iOS", "02:00:5e:00:00:01"])
scalars = json_scalars | words | st.ip_addresses().map(str)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of the fields, each as it should be or as anything else."""
    return st.fixed_dictionaries({}, optional={name: right | anything for name, right in fields.items()})


records = objects(
    **dict.fromkeys(["uuid", "displayName", "originalDisplayName", "description", "managementDomain"], st.text()),
    **dict.fromkeys(["deviceType", "isMobile", "lastSyncTime", "primaryLocalIpAddress", "publicIpAddress"], words),
    operatingSystem=objects(displayName=words, familyId=st.integers(0, 9), version=objects(name=words)),
    hardwareProfiles=st.lists(
        objects(
            manufacturer=words,
            model=words,
            networkAdapters=st.lists(objects(caption=words, macAddress=words) | anything, max_size=3),
        )
        | anything,
        max_size=3,
    ),
    parentGroupUuid=st.sampled_from(["g1", "g2"]),
    **{PARENT_GROUP: st.lists(objects(id=words, name=words), max_size=2)},
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=300)
@given(anything | records)
@example({"uuid": "1", "hardwareProfiles": [{"networkAdapters": [[], 7, {"caption": ["x"], "macAddress": {}}]}]})
@example({"uuid": 2**64 - 1, "operatingSystem": [1], "parentGroupUuid": ["g1"], "isMobile": "TRUE"})
def test_any_json_is_mapped_and_valid_or_skipped(record: Any) -> None:
    try:
        event = MAPPER(with_group(record, {"g1": "One", "g2": ""}))
    except SkipRecord as reason:
        assert reason.field in ("uuid", "record")
        return
    assert DeviceOCSFModel.model_validate(event).model_dump(exclude_none=True, mode="json") == event
    assert orjson.loads(orjson.dumps(event)) == event
    assert fingerprint(event) == fingerprint(MAPPER(record))
    assert_is_ocsf(event)
