"""The fleet that does not exist: always the same one, plausible, odd where live tenants are, and quick to make."""

from __future__ import annotations

import ipaddress
import time
from datetime import UTC, datetime
from importlib import import_module

import orjson
import pytest

from lab.fleet import WITH_MOBILES, hosts
from lab.fleet.real_hosts import as_real_hosts_are
from lab.fleet.sentinelone import sentinelone_agent, sentinelone_agents
from lab.modules import LabModule, device_modules

FLEETS = [(module, import_module(f"lab.fleet.{module.name.lower()}")) for module in device_modules()]
ODD = [(module, fleet.ODDITIES) for module, fleet in FLEETS if hasattr(fleet, "ODDITIES")]
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
PUBLIC = [ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
PRIVATE = [ipaddress.ip_network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8")]
SIX = [ipaddress.ip_network(net) for net in ("2001:db8::/32", "fe80::/10", "::1/128")]


def agents(count: int, **options) -> list[dict]:
    return list(sentinelone_agents(count, now=NOW, **options))


def test_the_same_seed_makes_the_same_fleet():
    assert agents(50) == agents(50)
    assert agents(50) != agents(50, seed=8)


def test_an_agent_is_made_from_its_number_alone():
    assert agents(200)[137] == sentinelone_agent(137, 7, NOW)


def test_a_later_run_meets_the_same_agents():
    later = NOW.replace(year=2027)
    assert [a["id"] for a in sentinelone_agents(20, now=later)] == [a["id"] for a in agents(20)]


def test_ids_and_uuids_of_agents_are_unique():
    fleet = agents(5_000)
    assert len({a["id"] for a in fleet}) == len({a["uuid"] for a in fleet}) == 5_000


def test_an_agent_weighs_what_a_live_one_weighs():
    sizes = [len(orjson.dumps(agent)) for agent in agents(1_000)]
    mean = sum(sizes) / len(sizes)
    assert 3_800 < mean < 5_000, (
        f"agents of real consoles are 3,800 to 5,000 bytes of JSON, these {mean:.0f} on average"
    )


def test_all_documented_fields_are_there_when_nothing_is_odd():
    names = {frozenset(agent) for agent in agents(300, odd=False)}
    assert len(names) == 1
    assert {
        "licenseKey",
        "externalId",
        "firstFullModeTime",
        "proxyStates",
        "tags",
        "containerizedWorkloadCounts",
    } <= next(iter(names))


def test_the_odd_values_of_live_tenants_are_met():
    fleet = agents(5_000)
    assert any("machineType" not in a for a in fleet)
    assert any(a["firewallEnabled"] == "True" for a in fleet)
    assert any(a["osStartTime"] == "None" for a in fleet)
    assert any(a["networkInterfaces"] is None for a in fleet)
    assert any(a["networkInterfaces"] and "physical" not in a["networkInterfaces"][0] for a in fleet)
    assert any(a["lastLoggedInUserName"] == "" for a in fleet)
    assert any(a["locations"] is None for a in fleet)
    assert any(not a["computerName"].isascii() for a in fleet)
    assert any((a["proxyStates"] or {}).get("proxyMethod") == "Auto" for a in fleet)
    assert any(a["cloudProviders"] == {"ESXI": {}} for a in fleet)
    assert {"kubernetes node", "storage", "ecs task"} <= {a.get("machineType") for a in fleet}
    assert {a["osType"] for a in fleet} == {"windows", "windows_legacy", "linux", "macos", None}
    assert all(a["groupIp"].endswith(".x") for a in fleet)


def test_about_one_clock_in_a_hundred_runs_ahead():
    ahead = sum(datetime.fromisoformat(a["lastActiveDate"]) > NOW for a in agents(5_000))
    assert 20 < ahead < 100


def test_some_agents_share_the_moment_of_their_last_write():
    moments = [a["updatedAt"] for a in agents(2_000)]
    assert len(set(moments)) < len(moments)


def test_no_record_is_broken_unless_asked_for():
    assert all(a["id"] and a["uuid"] for a in agents(3_000))
    broken = [a for a in agents(3_000, broken=0.1) if a["id"] is None and a["uuid"] is None]
    assert 200 < len(broken) < 400


def test_addresses_are_from_the_ranges_kept_for_documentation():
    for agent in agents(1_000, odd=False):
        assert any(ipaddress.ip_address(agent["externalIp"]) in net for net in PUBLIC)
        for card in agent["networkInterfaces"]:
            assert all(any(ipaddress.ip_address(ip) in net for net in PRIVATE) for ip in card["inet"])
            assert all(any(ipaddress.ip_address(ip) in net for net in SIX) for ip in card["inet6"])


def test_mac_addresses_belong_to_nobody():
    for machine in hosts(500, now=NOW):
        for card in machine.interfaces:
            octets = bytes.fromhex(card.mac.replace(":", ""))
            assert len(octets) == 6
            assert card.mac.startswith("00:00:5e:00:53:") or octets[0] & 0b11 == 0b10


def test_another_population_has_mobiles():
    families = {machine.platform.family for machine in hosts(500, now=NOW, platforms=WITH_MOBILES)}
    assert {"android", "ios", "windows"} <= families


def test_a_large_fleet_is_made_in_seconds():
    """100,000 agents have to be there within 15 s; a tenth of them in a tenth of that, with room for a busy machine."""
    started = time.process_time()
    agents(10_000)
    assert time.process_time() - started < 3


@pytest.mark.parametrize(("module", "oddities"), ODD, ids=[module.name for module, _ in ODD])
def test_one_host_in_twenty_is_odd_as_real_hosts_are(module: LabModule, oddities: tuple[dict, ...]) -> None:
    """Each kind is met in a fleet of 5,000."""
    console = module.simulated(5_000)
    records = [console.record(identity) for identity in console.ids]
    met = [sum(record.items() >= oddity.items() for record in records) for oddity in oddities]
    assert all(met), [oddity for oddity, count in zip(oddities, met, strict=True) if not count]
    empty: list[dict] = [{} for _ in range(5_000)]
    for index, record in enumerate(empty):
        as_real_hosts_are(record, module.name.lower(), oddities, 7, index)
    assert 200 < sum(map(bool, empty)) < 300


def test_a_fleet_without_oddities_has_none_of_real_hosts():
    assert not any("UNKNOWN-7" in str(agent) for agent in agents(1_000, odd=False))
