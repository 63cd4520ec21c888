"""The decisions behind the mapping of SentinelOne agents, one by one."""

from __future__ import annotations

from typing import Any

import pytest
from sentinelone_assets.mapper import AGENT_TO_DEVICE

from shared.mapping.table import Mapper

MAPPER = Mapper(AGENT_TO_DEVICE)


def device(**fields: Any) -> dict[str, Any]:
    event: dict[str, Any] = MAPPER({"id": "1", **fields})
    return dict(event["device"])


def interfaces(*adapters: dict[str, Any], **fields: Any) -> list[tuple[Any, Any]]:
    found = device(networkInterfaces=list(adapters), **fields).get("network_interfaces", [])
    return [(one.get("name"), one.get("ip")) for one in found]


@pytest.mark.parametrize("kind", ["fallback", "Fallback", "not_applicable", "not supported", "NOT_SUPPORTED"])
def test_a_location_that_does_not_apply_is_absent_by_its_type_or_its_name(kind: str) -> None:
    """14 of 17 agents with locations were placed in a city called "Fallback"."""
    assert "location" not in device(locationType=kind, locations=[{"name": "Head office"}])
    assert "location" not in device(locationType="specific", locations=[{"name": kind}])


@pytest.mark.parametrize("kind", ["specific", None, "", ["fallback"]])
def test_a_location_with_a_name_is_sent(kind: Any) -> None:
    assert device(locationType=kind, locations=[{"name": "Fallback Valley"}])["location"] == {"city": "Fallback Valley"}


@pytest.mark.parametrize(
    "locations", [None, [], [None], "Paris", [{"name": "N/A"}], [{"name": ["Paris"]}], {"name": "x"}]
)
def test_a_location_without_a_name_is_absent(locations: Any) -> None:
    assert "location" not in device(locations=locations)


@pytest.mark.parametrize(
    ("fields", "managed"),
    [
        ({"isDecommissioned": True}, False),
        ({"isUninstalled": True}, False),
        ({"isUninstalled": "True"}, False),
        ({"isDecommissioned": False, "isUninstalled": None}, True),
        ({}, True),
    ],
)
def test_an_agent_is_managed_unless_it_is_decommissioned_or_uninstalled(fields: dict[str, Any], managed: bool) -> None:
    assert device(**fields)["is_managed"] is managed


@pytest.mark.parametrize(
    ("external", "to_console", "address"),
    [
        ("198.51.100.7", "192.0.2.1", "198.51.100.7"),
        (None, "192.0.2.1", "192.0.2.1"),
        ("0.0.0.0", "::ffff:192.0.2.1", "192.0.2.1"),
        ("", "127.0.0.1", None),
    ],
)
def test_the_address_is_the_external_one_else_the_one_the_agent_speaks_from(
    external: Any, to_console: Any, address: str | None
) -> None:
    assert device(externalIp=external, lastIpToMgmt=to_console).get("ip") == address


def test_the_first_address_is_of_inet_else_of_inet6_and_further_ones_follow_behind_all_adapters() -> None:
    """33 of 56 addresses of real hosts were lost."""
    assert interfaces(
        {
            "name": "one",
            "inet": ["127.0.0.1", "192.0.2.1", "192.0.2.2", "169.254.1.1"],
            "inet6": ["fe80::1", "2001:db8::1"],
        },
        {"name": "two", "inet": [], "inet6": ["fe80::2", "2001:DB8::2", "2001:db8::3"]},
        {"name": "three", "inet": ["169.254.3.3"], "inet6": ["fe80::3"]},
        {"name": "four", "inet6": ["fe80::4"]},
    ) == [
        ("one", "192.0.2.1"),
        ("two", "2001:db8::2"),
        ("three", "169.254.3.3"),
        ("four", None),
        ("one", "192.0.2.2"),
        ("one", "2001:db8::1"),
        ("two", "2001:db8::3"),
    ]


def test_a_further_address_has_the_mac_the_id_and_the_type_of_its_adapter() -> None:
    adapter = {"id": "7", "name": "wlan0", "physical": "02:42:ac:11:00:01", "inet": ["192.0.2.1", "192.0.2.2"]}
    first, second = device(networkInterfaces=[adapter])["network_interfaces"]
    assert (first.pop("ip"), second.pop("ip")) == ("192.0.2.1", "192.0.2.2")
    assert (
        first == second == {"uid": "7", "name": "wlan0", "mac": "02:42:AC:11:00:01", "type": "Wireless", "type_id": 2}
    )


def test_the_address_the_agent_speaks_from_is_an_interface_where_no_adapter_has_it() -> None:
    adapter = {"name": "one", "inet": ["192.0.2.1"], "inet6": ["2001:db8::1"]}
    assert interfaces(adapter, lastIpToMgmt="2001:DB8::1")[-1] == ("one", "2001:db8::1")
    assert interfaces(adapter, lastIpToMgmt="192.0.2.9")[-1] == (None, "192.0.2.9")
    assert interfaces(lastIpToMgmt="192.0.2.9") == [(None, "192.0.2.9")]
    assert interfaces(lastIpToMgmt="0.0.0.0") == []


def test_a_loopback_adapter_keeps_its_name() -> None:
    assert interfaces({"name": "lo", "physical": "00:00:00:00:00:00", "inet": ["127.0.0.1"], "inet6": ["::1"]}) == [
        ("lo", None)
    ]


def test_a_missing_system_is_known_by_its_name() -> None:
    assert device(osType=None, osName="Windows 10 Pro")["os"]["type"] == "windows"
    assert device(osType="unknown", osName="Linux", osRevision="Ubuntu 22.04")["os"]["type"] == "linux"
    assert device(osType="haiku", osName="Windows 10 Pro")["os"]["type"] == "other"
    assert device(osType="windows_legacy")["os"] == {"type": "windows", "type_id": 100}
    assert device(osName="N/A")["os"] == {"type": "unknown", "type_id": 0}


def test_a_placeholder_is_missing_and_a_name_is_not() -> None:
    found = device(
        **dict.fromkeys(("domain", "modelName", "siteName", "osName", "osRevision"), "To Be Filled By O.E.M."),
        **dict.fromkeys(("computerName", "groupName", "accountName"), "unknown"),
    )
    assert not found.keys() & {"domain", "model", "region"}
    assert "name" not in found["os"]
    assert (found["hostname"], found["groups"], found["org"]) == ("unknown", [{"name": "unknown"}], {"name": "unknown"})
