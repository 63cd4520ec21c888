"""Decisions of the HarfangLab table that are worth a name."""

from __future__ import annotations

from typing import Any

import pytest
from harfanglab_assets.mapper import AGENT_TO_DEVICE

from shared.errors import SkipRecord
from shared.mapping.table import Mapper, mapped_fields

MAPPER = Mapper(AGENT_TO_DEVICE)
ABSENT = object()


def event(**fields: Any) -> dict[str, Any]:
    return MAPPER({"id": "a-1", **{name: value for name, value in fields.items() if value is not ABSENT}})


def device(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = event(**fields)["device"]
    return found


def data(**fields: Any) -> dict[str, Any]:
    """The data of the one enrichment; {} without one."""
    [enrichment] = event(**fields).get("enrichments", [{"data": {}}])
    found: dict[str, Any] = enrichment["data"]
    return found


def test_the_header_is_valid_ocsf_instead_of_the_published_one() -> None:
    found = event()
    assert (found["activity_id"], found["class_uid"], found["type_uid"]) == (2, 5001, 500102)
    assert (found["category_name"], found["device"]["type"], found["device"]["type_id"]) == ("Discovery", "Desktop", 2)


@pytest.mark.parametrize(
    ("kind", "caption", "code"),
    [
        ("workstation", "Desktop", 2),
        ("server", "Server", 1),
        ("Server", "Server", 1),
        ("dc", "Server", 1),
        ("domain controller", "Server", 1),
        ("worktest", "Desktop", 2),
        (None, "Desktop", 2),
        (["server"], "Desktop", 2),
    ],
)
def test_servers_and_domain_controllers_are_servers_and_all_else_is_desktop(kind: Any, caption: str, code: int) -> None:
    found = device(producttype=kind)
    assert (found["type"], found["type_id"]) == (caption, code)


@pytest.mark.parametrize(
    ("told", "type_", "code"),
    [
        ("windows", "windows", 100),
        ("Windows", "windows", 100),
        ("linux", "linux", 200),
        ("macos", "macos", 300),
        ("MacOS", "macos", 300),
        ("haiku", "other", 99),
        (None, "unknown", 0),
        ("", "unknown", 0),
        (ABSENT, "unknown", 0),
    ],
)
def test_the_system_is_recognized_in_any_case(told: Any, type_: str, code: int) -> None:
    assert device(ostype=told)["os"] == {"type": type_, "type_id": code}


@pytest.mark.parametrize(
    ("policy", "managed"),
    [
        ({"id": "p", "name": "Default"}, True),
        (None, False),
        (ABSENT, None),
        ("5c1d", True),
        (12, True),
        ({}, None),
        ("", None),
        ([], None),
        (False, None),
    ],
)
def test_a_null_policy_is_not_managed_and_a_missing_policy_leaves_it_out(policy: Any, managed: bool | None) -> None:
    assert device(policy=policy).get("is_managed") is managed


@pytest.mark.parametrize(("told", "trusted"), [(True, True), (False, False), (None, None), (ABSENT, None), (1, None)])
def test_a_valid_password_is_trust(told: Any, trusted: bool | None) -> None:
    assert device(has_valid_password=told).get("is_trusted") is trusted


@pytest.mark.parametrize(
    ("disks", "encrypted", "partitions"),
    [
        (2, 1, {"disk_0": "Enabled", "disk_1": "Disabled"}),
        (2, 0, {"disk_0": "Disabled", "disk_1": "Disabled"}),
        (2, 2, {"disk_0": "Enabled", "disk_1": "Enabled"}),
        (1, 3, {"disk_0": "Enabled"}),  # never more disks than there are
        ("2", "1", {"disk_0": "Enabled", "disk_1": "Disabled"}),
        (0, 0, None),
        (0, 2, None),
        (None, 1, None),
        (ABSENT, 1, None),
        (2, None, None),  # not told is never Disabled
        (2, ABSENT, None),
        (-1, 1, None),
        (2, -1, None),
        (True, True, None),
        (1.5, 1, None),
        (10_001, 1, None),
        (2_000_000_000, 2_000_000_000, None),
    ],
)
def test_as_many_disks_are_enabled_as_are_encrypted(disks: Any, encrypted: Any, partitions: dict | None) -> None:
    found = data(disk_count=disks, encrypted_disk_count=encrypted)
    assert found == ({} if partitions is None else {"Storage_encryption": {"partitions": partitions}})


@pytest.mark.parametrize(("switch", "status"), [(True, "Enabled"), (False, "Disabled"), (None, None), ("on", None)])
def test_the_firewall_is_what_the_policy_says_whatever_the_disks_are(switch: Any, status: str | None) -> None:
    policy = {"windows_self_protection_feature_firewall": switch}
    expected = {} if status is None else {"Firewall_status": status}
    assert data(policy=policy, disk_count=None, encrypted_disk_count=1) == expected


def test_there_is_no_enrichment_if_all_its_fields_are_missing() -> None:
    assert "enrichments" not in event(policy=None, disk_count=None)


def test_the_enrichment_is_named_as_the_specification_names_it() -> None:
    [found] = event(disk_count=1, encrypted_disk_count=1)["enrichments"]
    assert (found["name"], found["value"]) == ("compliance", "hygiene")


@pytest.mark.parametrize(
    ("fields", "boot"),
    [
        ({"machine_boottime": "2025-11-18T06:00:31Z", "boottime": "2020-01-01T00:00:00Z"}, 1763445631.0),
        ({"boottime": "2025-11-18T06:00:31Z"}, 1763445631.0),
        ({"machine_boottime": None, "boottime": "2025-11-18T06:00:31.000000Z"}, 1763445631.0),
        ({"machine_boottime": "never", "boottime": "2025-11-18T06:00:31Z"}, 1763445631.0),
        ({"machine_boottime": "never"}, None),
    ],
)
def test_the_start_of_the_system_is_read_from_one_of_two_fields(fields: dict[str, Any], boot: float | None) -> None:
    assert device(**fields).get("boot_time") == boot


@pytest.mark.parametrize("told", ["2025-06-11 00:12:06+00:00", "2025/06/11 00:12:06", "2025-06-11 02:12:06+02:00"])
def test_the_installation_date_is_read_in_two_forms(told: str) -> None:
    assert device(installdate=told)["created_time"] == 1749600726.0


@pytest.mark.parametrize("told", ["", None, "11/2025", "0000-00-00 00:00:00", 7])
def test_a_date_that_is_none_loses_no_other(told: Any) -> None:
    found = device(installdate=told, firstseen="2025-06-11T08:30:15.250000Z", lastseen="2025-11-20T14:45:00Z")
    assert "created_time" not in found
    assert (found["first_seen_time"], found["last_seen_time"]) == (1749630615.25, 1763649900.0)


def test_the_time_is_the_first_contact_else_the_last_else_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 5.0)
    first, last = "2025-06-11T08:30:15.250000Z", "2025-11-20T14:45:00Z"
    assert event(firstseen=first, lastseen=last)["time"] == 1749630615.25
    assert event(lastseen=last)["time"] == 1763649900.0
    assert event()["time"] == 5.0


@pytest.mark.parametrize(
    ("fields", "interface"),
    [
        ({"ipaddress": "10.0.0.7"}, {"ip": "10.0.0.7", "type": "Wired", "type_id": 1}),
        ({"subnet": {"id": "s", "name": None}}, {"uid": "s", "type": "Wired", "type_id": 1}),
        ({"subnet": {"name": "Guest WLAN"}}, {"name": "Guest WLAN", "type": "Wireless", "type_id": 2}),
        ({"subnet": {"name": "Site VPN"}}, {"name": "Site VPN", "type": "Tunnel", "type_id": 4}),
        ({"subnet": {"name": "LTE routers"}}, {"name": "LTE routers", "type": "Mobile", "type_id": 3}),
        ({"subnet": {"name": "Fortune"}}, {"name": "Fortune", "type": "Wired", "type_id": 1}),
        (
            {"ipaddress": "10.0.0.7", "hostname": "pc", "subnet": {"id": "s", "name": "LAN"}},
            {"ip": "10.0.0.7", "hostname": "pc", "uid": "s", "name": "LAN", "type": "Wired", "type_id": 1},
        ),
        ({"ipaddress": "<REDACTED>", "subnet": {"id": 4}}, {"uid": "4", "type": "Wired", "type_id": 1}),
    ],
)
def test_there_is_one_interface_where_there_is_an_address_or_a_subnet(fields: dict[str, Any], interface: dict) -> None:
    assert device(**fields)["network_interfaces"] == [interface]


@pytest.mark.parametrize("subnet", [None, {}, [], "10.0.0.0/24", {"id": None, "name": ""}, ABSENT])
def test_there_is_no_interface_where_there_is_neither(subnet: Any) -> None:
    assert "network_interfaces" not in device(subnet=subnet, hostname="pc", ipaddress=None)


@pytest.mark.parametrize(
    ("told", "sent"),
    [
        ("255.255.255.0", "255.255.255.0"),
        ("10.1.0.0/16", "10.1.0.0/16"),
        ("255.255.255.255", "255.255.255.255"),  # a host alone in its subnet; as an address it would be nobody's
        ("0.0.0.0", None),
        ("<REDACTED>", None),
        ("", None),
        (None, None),
    ],
)
def test_only_a_valid_mask_is_sent_and_unchanged(told: Any, sent: str | None) -> None:
    assert device(ipmask=told).get("subnet") == sent


@pytest.mark.parametrize(
    ("fields", "caption"),
    [
        ({"producttype": None, "osproducttype": "Windows Server 2019 Datacenter"}, "Server"),
        ({"producttype": "unknown", "osproducttype": "WindowsServer2016Standard"}, "Server"),
        ({"osproducttype": "Windows 10 Pro"}, "Desktop"),
        ({"producttype": "workstation", "osproducttype": "Windows Server 2019 Datacenter"}, "Desktop"),
    ],
)
def test_a_missing_product_type_is_a_server_by_the_systems_name(fields: dict[str, Any], caption: str) -> None:
    """Ten Windows servers were desktops."""
    assert device(ostype="windows", **fields)["type"] == caption


@pytest.mark.parametrize(
    ("kind", "name", "caption"),
    [
        (None, "Windows 10 Pro", "windows"),
        ("unknown", "WindowsServer2016Standard", "windows"),
        (ABSENT, "Ubuntu 22.04.4 LTS", "linux"),
        ("haiku", "Windows 10 Pro", "other"),
    ],
)
def test_a_missing_system_is_known_by_its_name(kind: Any, name: str, caption: str) -> None:
    assert device(ostype=kind, osproducttype=name)["os"]["type"] == caption


@pytest.mark.parametrize(
    ("system", "name", "status"),
    [
        ("windows", None, "Enabled"),
        (None, None, "Enabled"),
        (None, "Ubuntu 22.04", None),
        ("linux", None, None),
        ("macos", None, None),
        ("haiku", None, None),
    ],
)
def test_the_switch_of_windows_firewall_is_sent_for_windows_alone(system: Any, name: Any, status: str | None) -> None:
    found = data(policy={"windows_self_protection_feature_firewall": True}, ostype=system, osproducttype=name)
    assert found.get("Firewall_status") == status


@pytest.mark.parametrize(
    ("hostname", "domain", "qualified"),
    [
        ("pc", "corp.example.com", "pc.corp.example.com"),
        ("pc", ".corp.example.com.", "pc.corp.example.com"),
        ("pc", "PC.corp.example.com", "PC.corp.example.com"),
        ("pc.corp.example.com", "corp.example.com", "pc.corp.example.com"),
        ("pc.other.example.com.", "corp.example.com", "pc.other.example.com"),
        ("pc", "pcs.example.com", "pc.pcs.example.com"),
        ("pc", None, None),
        ("pc", "N/A", None),
        ("pc", ".", None),
        (None, "corp.example.com", None),
    ],
)
def test_hostname_and_domain_are_joined_and_never_doubled(hostname: Any, domain: Any, qualified: str | None) -> None:
    assert data(hostname=hostname, dnsdomainname=domain).get("Full_qualified_domain_name") == qualified


@pytest.mark.parametrize(
    ("tenant", "org"),
    [
        ({"id": "t1", "name": "Example Corp"}, {"name": "Example Corp", "uid": "t1"}),
        ({"id": "t1", "name": None}, {"name": "t1", "uid": "t1"}),
        ("Example Corp", {"name": "Example Corp"}),
        (None, None),
        ({}, None),
    ],
)
def test_a_tenant_is_the_organization(tenant: Any, org: Any) -> None:
    assert device(tenant=tenant).get("org") == org


def test_groups_are_sent_and_one_without_a_name_is_named_by_its_id() -> None:
    groups = [{"id": "g1", "name": "Finance"}, {"id": "g2", "name": ""}, {}, None]
    assert device(groups=groups)["groups"] == [{"name": "Finance", "uid": "g1"}, {"name": "g2", "uid": "g2"}]
    assert "groups" not in device(groups=[])
    assert "groups" not in device(groups=None)


def test_the_first_of_several_addresses_is_the_one_interfaces() -> None:
    found = device(ipaddress="127.0.0.1, 192.0.2.7;192.0.2.8", ipmask="255.255.255.0, 255.255.0.0")
    assert (found["ip"], found["subnet"]) == ("192.0.2.7", "255.255.255.0")
    assert [one["ip"] for one in found["network_interfaces"]] == ["192.0.2.7"]


def test_an_agent_without_a_name_goes_under_its_id_and_one_without_an_id_is_skipped() -> None:
    assert device(hostname=None)["hostname"] == device(hostname=" ")["hostname"] == "a-1"
    with pytest.raises(SkipRecord, match="id: is missing"):
        MAPPER({"hostname": "pc"})


def test_every_source_field_of_the_specification_is_declared() -> None:
    named = " ".join(mapped_fields(AGENT_TO_DEVICE))
    for field in (
        *("id", "hostname", "domainname", "ipaddress", "ipmask", "firstseen", "lastseen", "boottime", "installdate"),
        *("ostype", "osproducttype", "producttype", "description", "policy", "has_valid_password", "subnet.id"),
        *("subnet.name", "encrypted_disk_count", "disk_count", "policy.windows_self_protection_feature_firewall"),
    ):
        assert field in named, field
