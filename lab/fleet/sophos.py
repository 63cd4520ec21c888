"""Sophos Central endpoints (endpoint API v1, `view=full`), 2 to 3 KB each, with the odd values real tenants hold."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.fleet.hosts import Host, host, iso
from lab.fleet.real_hosts import EMPTY_MACS, ZERO, as_real_hosts_are, make_odd_rarely

Endpoint = dict[str, Any]

_PRODUCTS = ("coreAgent", "interceptX", "xdr", "endpointProtection", "deviceEncryption", "mtr")
_SERVICES = ("HitmanPro.Alert service", "Sophos Endpoint Defense", "Sophos Health Service", "Sophos System Protection")
_PLATFORMS = {"macos": "macOS"}
_PROVIDERS = {"Amazon EC2": "aws", "Google": "gcp"}


def sophos_endpoints(
    count: int,
    seed: int = 7,
    now: datetime | None = None,
    tenants: Sequence[str] = ("00000000-0000-4000-8000-000000000001",),
    *,
    odd: bool = True,
) -> Iterator[Endpoint]:
    """Endpoints, one at a time, of each tenant in turn. `odd` lets some differ as live ones do; all are devices."""
    now = now or datetime.now(UTC)
    return (sophos_endpoint(index, seed, now, tenants[index % len(tenants)], odd=odd) for index in range(count))


def sophos_endpoint(index: int, seed: int, now: datetime, tenant: str, *, odd: bool = True) -> Endpoint:
    """The endpoint of that number: the same for the same arguments, and with the same `id` for any `now`."""
    machine = host(index, seed, now)
    dice = random.Random(f"sophos:{seed}:{index}")
    endpoint = {
        "id": str(machine.uuid),
        "type": "server" if machine.platform.kind in ("server", "virtual", "container", "storage") else "computer",
        "tenant": {"id": tenant},
        "hostname": machine.name,
        **_health(dice),
        **_system(machine),
        **_network(machine),
        **_management(machine, dice),
        "lastSeenAt": iso(machine.seen, "milliseconds"),
        "registeredAt": iso(machine.created, "milliseconds"),
        "online": machine.seen > now - timedelta(minutes=15),
    }
    if odd:
        _make_odd(endpoint, dice)
        as_real_hosts_are(endpoint, "sophos", ODDITIES, seed, index)
    return endpoint


def _health(dice: random.Random) -> Endpoint:
    overall = dice.choices(("good", "suspicious", "bad", "unknown"), (85, 5, 8, 2))[0]
    services = [{"name": name, "status": dice.choice(("running",) * 19 + ("stopped",))} for name in _SERVICES]
    return {
        "health": {
            "overall": overall,
            "threats": {"status": "good" if overall == "suspicious" else overall},  # seen: worse than both children
            "services": {"status": "good", "serviceDetails": services},
        }
    }


def _system(machine: Host) -> Endpoint:
    platform = machine.platform
    system: Endpoint = {
        "isServer": platform.kind == "server",
        "platform": _PLATFORMS.get(platform.family, platform.family),
        "name": f"{platform.system} {platform.version}" if platform.family == "linux" else platform.system,
        "majorVersion": 10 if platform.family == "windows" else int(re.split(r"\D", platform.version)[0]),
        "minorVersion": 0,
    }
    if platform.build.isdecimal():
        system["build"] = int(platform.build)
    if platform.family == "macos":
        del system["name"]  # as a live one had it
    return {"os": system}


def _network(machine: Host) -> Endpoint:
    """Three lists, each sorted by itself: which address belongs to which MAC is lost."""
    return {
        "ipv4Addresses": sorted(ip for card in machine.interfaces for ip in card.ipv4),
        "ipv6Addresses": sorted(ip for card in machine.interfaces for ip in card.ipv6),
        "macAddresses": sorted(card.mac.upper() for card in machine.interfaces),
    }


def _management(machine: Host, dice: random.Random) -> Endpoint:
    protected = dice.random() < 0.95
    person = machine.person
    found: Endpoint = {
        "group": {"id": f"00000000-0000-4000-9000-{machine.team.number:012}", "name": machine.team.name},
        "associatedPerson": {
            "id": f"00000000-0000-4000-a000-{machine.index:012}",
            "name": person.name,
            "viaLogin": f"{machine.name.split('.')[0]}\\{person.login}",
        },
        "tamperProtectionSupported": protected,
        "tamperProtectionEnabled": protected,
        "assignedProducts": [
            {"code": code, "version": "2024.1.2.3", "status": dice.choice(("installed", "installed", "notInstalled"))}
            for code in _PRODUCTS
        ],
        "packages": {
            "protection": {"status": "assigned", "name": "Recommended"},
            "encryption": {"status": "unassigned"},
        },
        "lastOsUpdateAt": iso(machine.booted, "milliseconds"),
        "lastAgentUpdateAt": iso(machine.booted, "milliseconds"),
        "lockdown": {"status": "notInstalled", "updateStatus": "notInstalled"},
        "encryption": {
            "volumes": [{"volumeId": str(machine.uuid), "status": "encrypted"}],
            "overallStatus": "encrypted",
        },
        "isolation": {"status": "isolated" if dice.random() < 0.01 else "notIsolated", "adminIsolated": False},
        "tags": [],
        "cloned": False,
        "mdrManaged": False,
        "modules": [{"name": "Core Agent", "version": "2024.1.2.3"}],
    }
    if machine.platform.family == "macos" and machine.serial:
        found["serialNumber"] = machine.serial
    if provider := _PROVIDERS.get(machine.platform.maker):
        found["cloud"] = {"provider": provider, "instanceId": f"i-{machine.uuid.hex[:17]}"}
    return found


def _make_odd(endpoint: Endpoint, dice: random.Random) -> None:
    """Add oddities that were seen in live tenants, each rarely; the record is still a device."""
    for name in _ABSENT:
        if dice.random() < 0.01:
            endpoint.pop(name, None)
    make_odd_rarely(endpoint, _ODDITIES, 0.005, dice)
    if dice.random() < 0.02:
        endpoint["group"] = [endpoint.get("group") or {}]
    if dice.random() < 0.02:
        endpoint["macAddresses"] = [mac.lower() for mac in endpoint.get("macAddresses") or []]


_ABSENT = (
    "lastSeenAt", "registeredAt", "group", "associatedPerson", "health", "isolation", "encryption", "lockdown",
    "macAddresses", "ipv6Addresses", "ipv4Addresses", "tamperProtectionEnabled", "online", "mdrManaged",
)  # fmt: skip
_ODDITIES: tuple[Endpoint, ...] = (
    {"type": "securityVm"},
    {"associatedPerson": {}},
    {"associatedPerson": {"viaLogin": "NT AUTHORITY\\SYSTEM"}},
    {"group": {"id": "00000000-0000-4000-9000-000000000099"}},  # without a name
    {"tags": [{"key": "owner", "value": "laboratory"}]},
    {"lockdown": {"status": "available"}},
    {"tamperProtectionSupported": False, "tamperProtectionEnabled": True},
    {"tamperProtectionEnabled": "True"},
    {"macAddresses": [], "ipv4Addresses": []},
    {"os": {"isServer": False, "platform": "unheard-of", "name": ""}},
    {"health": {"overall": "unknown"}},
    {"lastSeenAt": "2024-01-07T06:26:08Z"},
    {"lastSeenAt": "2024-01-07T06:26:08.668123456Z"},
    {"cloned": True},
)


ODDITIES: tuple[dict[str, Any], ...] = (
    {"ipv4Addresses": ["169.254.10.20", "192.168.1.5"], "ipv6Addresses": ["fe80::1"]},
    {"ipv4Addresses": ["192.0.2.7"], "ipv6Addresses": ["fe80::1"],
     "macAddresses": ["02:11:22:33:44:55", "0A:00:27:00:00:0B"]},
    {"ipv4Addresses": ["127.0.0.1", "192.0.2.7"], "macAddresses": [*EMPTY_MACS, "02:42:AC:11:00:01"]},
    {"ipv6Addresses": ["::ffff:203.0.113.9", "::1"]},
    {"encryption": {"volumes": [{"volumeId": "C", "status": "notEncrypted"}, {"volumeId": "D", "status": "encrypting"}]}},
    {"associatedPerson": {"viaLogin": "CORP\\ann"}},
    {"associatedPerson": {"name": "N/A", "viaLogin": "CORP\\bob"}},
    {"os": {"platform": None, "name": "Windows 10 Pro"}},
    {"hostname": "UNKNOWN-7\0\0"},
    {"cloud": {"provider": "unknown"}},
    {"registeredAt": ZERO},
)  # fmt: skip
"""Of real hosts, that the vendor's documentation does not name."""
