"""The decisions behind the mapping of Sophos endpoints, one by one, and any JSON at all."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sekoia_automation_models.ocsf.device import DeviceOCSFModel
from sophos_assets.mapper import ENDPOINT_TO_DEVICE

from lab.fleet.sophos import sophos_endpoints
from shared.errors import SkipRecord
from shared.mapping.table import Mapper
from shared.state.fingerprints import fingerprint
from tests.json_values import scalars as json_scalars
from tests.ocsf import assert_is_ocsf

MAPPER = Mapper(ENDPOINT_TO_DEVICE)


def device(**fields: Any) -> dict[str, Any]:
    event: dict[str, Any] = MAPPER({"id": "1", "hostname": "h", **fields})
    return dict(event["device"])


@pytest.mark.parametrize(
    ("overall", "isolation", "protected", "trusted"),
    [
        ("bad", "notIsolated", True, False),  # the specification's sample
        ("suspicious", "notIsolated", True, False),
        ("good", "isolated", True, False),
        (None, "isolated", None, False),
        ("unknown", "isolated", True, False),
        ("good", "notIsolated", True, True),
        ("good", None, True, True),
        ("good", None, "true", True),
        ("good", "notIsolated", False, None),
        ("good", "notIsolated", None, None),
        ("unknown", "notIsolated", True, None),
        (None, None, True, None),
        (None, None, None, None),
    ],
)
def test_a_device_is_trusted_when_good_and_protected_and_not_when_isolated_or_unwell(
    overall: Any, isolation: Any, protected: Any, trusted: bool | None
) -> None:
    told = device(health={"overall": overall}, isolation={"status": isolation}, tamperProtectionEnabled=protected)
    assert told.get("is_trusted") is trusted


@pytest.mark.parametrize(
    ("overall", "compliant"), [("good", True), ("bad", False), ("suspicious", False), ("unknown", None), ("", None)]
)
def test_health_is_compliance_and_unknown_is_absent(overall: str, compliant: bool | None) -> None:
    assert device(health={"overall": overall}).get("is_compliant") is compliant


@pytest.mark.parametrize(
    ("platform", "caption", "number"),
    [
        ("windows", "windows", 100),
        ("linux", "linux", 200),
        ("macOS", "macos", 300),
        ("macos", "macos", 300),
        ("Android", "android", 201),
        ("chromeOS", "unknown", 0),
        (None, "unknown", 0),
        (["linux"], "unknown", 0),
    ],
)
def test_a_platform_is_known_in_any_case(platform: Any, caption: str, number: int) -> None:
    """The vendor writes `macOS`; the specification's table `macos`."""
    assert device(os={"platform": platform})["os"] == {"type": caption, "type_id": number}


@pytest.mark.parametrize(
    ("kind", "caption", "number"),
    [("computer", "Desktop", 2), ("server", "Server", 1), ("securityVm", "Unknown", 0), (None, "Unknown", 0)],
)
def test_a_type_that_is_not_in_the_table_is_unknown(kind: Any, caption: str, number: int) -> None:
    told = device(type=kind)
    assert (told["type"], told["type_id"]) == (caption, number)


def test_the_first_ipv4_address_is_preferred_and_the_first_ipv6_address_stands_in() -> None:
    assert device(ipv4Addresses=["192.0.2.1", "192.0.2.2"], ipv6Addresses=["2001:db8::1"])["ip"] == "192.0.2.1"
    assert device(ipv4Addresses=[], ipv6Addresses=["2001:db8::1"])["ip"] == "2001:db8::1"
    assert "ip" not in device(ipv4Addresses=[], macAddresses=["00:00:5e:00:53:01"])


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "address"),
    [
        (["169.254.10.20", "192.168.1.5"], ["2001:db8::1"], "192.168.1.5"),
        (["169.254.10.20"], ["fe80::1", "2001:db8::1"], "2001:db8::1"),
        (["127.0.0.1", "169.254.10.20"], ["fe80::1"], "169.254.10.20"),
        ([], ["fe80::1"], "fe80::1"),
        (["0.0.0.0"], ["::", "::1"], None),
        ("192.0.2.7, 192.0.2.8", None, "192.0.2.7"),
    ],
)
def test_the_address_is_the_first_that_is_not_link_local_else_the_first_there_is(
    ipv4: Any, ipv6: Any, address: Any
) -> None:
    assert device(ipv4Addresses=ipv4, ipv6Addresses=ipv6).get("ip") == address


def test_ipv6_interfaces_follow_without_a_mac_and_further_macs_stand_alone() -> None:
    """The n-th MAC belongs to the n-th IPv4 address; the second MAC was sent with an IPv6 address that is not its own."""
    macs = [f"02:00:5E:00:53:0{number}" for number in range(3)]
    told = device(ipv4Addresses=["192.0.2.1"], ipv6Addresses=["2001:db8::1", "2001:db8::2"], macAddresses=macs)
    assert told["network_interfaces"] == [
        {"name": "eth0", "ip": "192.0.2.1", "mac": macs[0], "hostname": "h"},
        {"name": "eth1", "ip": "2001:db8::1"},
        {"name": "eth2", "ip": "2001:db8::2"},
        {"name": "eth3", "mac": macs[1]},
        {"name": "eth4", "mac": macs[2]},
    ]


def test_an_entry_that_is_left_out_keeps_its_place_in_the_pairing() -> None:
    told = device(
        ipv4Addresses=["127.0.0.1", "192.0.2.7", "192.0.2.8"],
        macAddresses=["02:00:00:00:00:00", "02:11:22:33:44:55"],
        ipv6Addresses=["::1", "2001:db8::7"],
    )
    assert [(one.get("ip"), one.get("mac")) for one in told["network_interfaces"]] == [
        ("192.0.2.7", "02:11:22:33:44:55"),
        ("192.0.2.8", None),
        ("2001:db8::7", None),
    ]


@pytest.mark.parametrize(
    ("person", "desc"),
    [
        ({"name": "HOST\\\\user"}, "HOST\\\\user"),
        ({"name": "Ann", "viaLogin": "HOST\\ann"}, "Ann"),
        ({"viaLogin": "HOST\\ann"}, "HOST\\ann"),
        ({"name": "N/A", "viaLogin": "HOST\\ann"}, "HOST\\ann"),
        ({"name": "unknown", "viaLogin": "-"}, None),
        ({}, None),
    ],
)
def test_the_description_is_the_associated_persons_name_unchanged_else_the_login(person: Any, desc: str | None) -> None:
    assert device(associatedPerson=person).get("desc") == desc


@pytest.mark.parametrize(
    ("volumes", "partitions"),
    [
        (
            [{"volumeId": "C", "status": "encrypted"}, {"volumeId": "D", "status": "notEncrypted"}],
            {"C": "Enabled", "D": "Disabled"},
        ),
        ([{"volumeId": "C", "status": "Encrypted"}, {"volumeId": "D", "status": "encrypting"}], {"C": "Enabled"}),
        ([{"volumeId": "C", "status": "suspended"}, {"status": "encrypted"}, None, "C"], None),
        ([], None),
        ("C", None),
    ],
)
def test_a_volume_is_encrypted_or_not_or_left_out(volumes: Any, partitions: Any) -> None:
    [enrichment] = MAPPER({"id": "1", "encryption": {"volumes": volumes}})["enrichments"]
    assert enrichment["data"] == ({"Storage_encryption": {"partitions": partitions}} if partitions else {})


def test_the_login_of_the_associated_person_is_a_user() -> None:
    [enrichment] = MAPPER({"id": "1", "associatedPerson": {"viaLogin": "HOST\\ann"}})["enrichments"]
    assert enrichment["data"] == {"Users": ["HOST\\ann"]}


def test_a_missing_platform_is_known_by_the_systems_name() -> None:
    assert device(os={"platform": None, "name": "Windows 10 Pro"})["os"]["type"] == "windows"
    assert device(os={"platform": "beos", "name": "Windows 10 Pro"})["os"]["type"] == "unknown"


@pytest.mark.parametrize("group", [None, [], {}, "Sales", {"id": "g"}, {"id": "g", "name": " "}, [{"id": "g"}, None]])
def test_a_group_without_a_name_is_left_out(group: Any) -> None:
    assert "groups" not in device(group=group)


def test_the_organization_is_named_by_its_id_if_it_has_no_name() -> None:
    assert device(tenant={"id": "t"})["org"] == {"name": "t", "uid": "t"}
    assert device(tenant={"id": "t", "name": "Example Corp"})["org"] == {"name": "Example Corp", "uid": "t"}


def test_the_enrichment_is_always_sent_and_its_status_only_if_reported() -> None:
    statuses = [MAPPER({"id": "1", "tamperProtectionEnabled": told})["enrichments"] for told in (True, False, None)]
    assert [one["data"] for [one] in statuses] == [{"Firewall_status": "Enabled"}, {"Firewall_status": "Disabled"}, {}]


def test_a_heartbeat_is_no_change() -> None:
    [before] = sophos_endpoints(1, odd=False)
    after = {**before, "lastSeenAt": "2030-01-01T00:00:00.000Z", "online": False}
    assert fingerprint(MAPPER(before)) == fingerprint(MAPPER(after))


def test_a_fleet_with_all_its_oddities_is_mapped_and_is_ocsf() -> None:
    for endpoint in sophos_endpoints(2_000):
        event = MAPPER(endpoint)
        assert DeviceOCSFModel.model_validate(event).model_dump(exclude_none=True, mode="json") == event
    for endpoint in sophos_endpoints(60, seed=8):
        assert_is_ocsf(MAPPER(endpoint))


words = ["good", "bad", "isolated", "macOS", "computer", "True", "2026-03-01T08:00:00.000Z", "fe80::1%eth0"]
scalars = json_scalars | st.sampled_from(words)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of the fields, each as it should be or as anything else."""
    return st.fixed_dictionaries({}, optional={name: right | anything for name, right in fields.items()})


words = st.sampled_from(["good", "bad", "suspicious", "isolated", "macOS", "windows", "server", "computer", ""])
lists = st.lists(st.ip_addresses().map(str) | st.just("00:11:22:aa:bb:cc") | anything, max_size=4)
group = objects(id=st.text(), name=st.text())
endpoints = objects(
    **dict.fromkeys(["id", "hostname"], st.text(min_size=1)),
    **dict.fromkeys(["lastSeenAt", "registeredAt"], st.just("2026-03-01T08:00:00.000Z")),
    **dict.fromkeys(["ipv4Addresses", "ipv6Addresses", "macAddresses"], lists),
    type=words,
    tenant=group,
    group=group | st.lists(group, max_size=3),
    associatedPerson=objects(name=st.text(), viaLogin=words),
    encryption=objects(volumes=st.lists(objects(volumeId=st.text(), status=words))),
    health=objects(overall=words),
    isolation=objects(status=words),
    os=objects(platform=words, name=st.text()),
    cloud=objects(provider=st.text()),
    tamperProtectionEnabled=st.booleans(),
)


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=300)
@given(endpoints | anything)
@example({"id": "1", "group": [[]], "tenant": [], "os": "windows", "health": None, "ipv4Addresses": {"0": "10.0.0.1"}})
@example({"id": 2**64 - 1, "hostname": 5, "macAddresses": [5, None], "associatedPerson": {"name": ["a"]}})
def test_any_json_is_mapped_and_valid_or_skipped(record: Any) -> None:
    before = orjson.dumps(record)
    try:
        event = MAPPER(record)
    except SkipRecord as reason:
        assert reason.field in ("id", "record", "hostname or id")
        return
    assert DeviceOCSFModel.model_validate(event).model_dump(exclude_none=True, mode="json") == event
    assert orjson.loads(orjson.dumps(event)) == event
    assert all(leaf is not None and leaf != "" for leaf in leaves(event))
    assert orjson.dumps(record) == before
