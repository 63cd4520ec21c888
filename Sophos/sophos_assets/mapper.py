"""Sophos endpoint → OCSF Device Inventory Info: a table and the conversions it names.

Sources: the connector's specification (rows, enrichment) and the vendor's endpoint API v1 (types and odd values).
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from shared.interfaces import clean_ip, clean_mac
from shared.mapping.conversions import Record, boolean, entries, listed, lowered, named, part, text
from shared.mapping.ocsf import DEVICE_INVENTORY, Coded, coded, device_type, enabled, enrichment, event_time, os_type
from shared.mapping.table import Field, const, first, record
from shared.times import epoch

from .client import TENANT_NAME

_TYPES = {"computer": device_type("Desktop"), "server": device_type("Server")}
_SYSTEMS = {name: os_type(name) for name in ("windows", "linux", "macos", "android")}
_HEALTH = {"good": True, "bad": False, "suspicious": False}


def machine(endpoint: Record) -> Coded:
    """computer → Desktop, server → Server, else Unknown."""
    return _TYPES.get(lowered(endpoint.get("type")), device_type("Unknown"))


def system(endpoint: Record) -> Coded:
    """windows, linux, macos or android, in any case; else unknown."""
    return _SYSTEMS.get(lowered(part(endpoint, "os").get("platform")), os_type("unknown"))


def address(endpoint: Record) -> str | None:
    """The first IPv4 address, else the first IPv6 address."""
    return next((ip for ip in map(clean_ip, _addresses(endpoint)) if ip), None)


def interfaces(endpoint: Record) -> list[dict[str, Any]] | None:
    """One for each address, IPv4 first, the n-th with the n-th MAC; MACs beyond the last address on their own.

    Sophos tells addresses and MACs as two lists that do not belong together, and no names: eth0, eth1 … are made here.
    """
    found: list[dict[str, Any]] = []
    macs = map(clean_mac, listed(endpoint.get("macAddresses")))
    for ip, mac in zip_longest(map(clean_ip, _addresses(endpoint)), macs):
        if ip or mac:
            found.append({"name": f"eth{len(found)}", **({"ip": ip} if ip else {}), **({"mac": mac} if mac else {})})
    if found and (hostname := text(endpoint.get("hostname"))):
        found[0]["hostname"] = hostname
    return found or None


def groups(told: Any) -> list[dict[str, str]] | None:
    """The group, or each of a list of them; one without a name is left out."""
    all_told = entries(told if isinstance(told, list) else [told])
    return [pair for one in all_told if text(one.get("name")) and (pair := named(one["name"], one.get("id")))] or None


def organization(endpoint: Record) -> dict[str, str] | None:
    """The tenant; its name is only told to partners and organizations, else it is named by its id."""
    tenant = part(endpoint, "tenant")
    return named(text(endpoint.get(TENANT_NAME)) or tenant.get("name"), tenant.get("id"))


def compliant(overall: Any) -> bool | None:
    """good → true; bad and suspicious → false."""
    return _HEALTH.get(lowered(overall))


def trusted(endpoint: Record) -> bool | None:
    """Isolated, bad or suspicious → false; good with tamper protection on → true; else not told."""
    healthy = compliant(part(endpoint, "health").get("overall"))
    if lowered(part(endpoint, "isolation").get("status")) == "isolated" or healthy is False:
        return False
    return True if healthy and boolean(endpoint.get("tamperProtectionEnabled")) else None


def enrichments(endpoint: Record) -> list[dict[str, Any]]:
    """compliance, hygiene: tamper protection as `Firewall_status`, where it is told."""
    protected = boolean(endpoint.get("tamperProtectionEnabled"))
    data = {} if protected is None else {"Firewall_status": enabled(protected)}
    return [enrichment("compliance", "hygiene", **data)]


def _addresses(endpoint: Record) -> list[Any]:
    return listed(endpoint.get("ipv4Addresses")) + listed(endpoint.get("ipv6Addresses"))


ENDPOINT_TO_DEVICE = (
    *DEVICE_INVENTORY,
    event_time("lastSeenAt", "registeredAt"),
    Field("metadata.version", const("1.6.0"), doc="OCSF version"),
    Field("metadata.product.name", const("Sophos EDR")),
    Field("metadata.product.version", const("N/A"), doc="Not told by the API"),
    Field("device.uid", "id", required=True, doc="The endpoint's id"),
    Field("device.hostname", first("hostname", "id"), required=True, doc="Else the endpoint's id"),
    Field("device.name", "hostname", doc="Same as the hostname"),
    Field("device.desc", "associatedPerson.name", doc="Login of the associated user"),
    *coded("device.type", record("type"), machine),
    Field("device.os.name", "os.name", doc="Name of the system, such as Windows 10 Pro"),
    *coded("device.os.type", record("os.platform"), system),
    Field("device.ip", record("ipv4Addresses", "ipv6Addresses"), address),
    Field(
        "device.network_interfaces", record("ipv4Addresses", "ipv6Addresses", "macAddresses", "hostname"), interfaces
    ),
    Field("device.groups", "group", groups),
    Field("device.org", record(TENANT_NAME, "tenant.name", "tenant.id"), organization),
    Field("device.region", "cloud.provider", doc="Cloud provider: aws, azure, gcp …"),
    Field("device.first_seen_time", "registeredAt", epoch, doc="Registration"),
    Field("device.created_time", "registeredAt", epoch, doc="Registration"),
    Field("device.last_seen_time", "lastSeenAt", epoch, doc="Last check-in"),
    Field("device.is_managed", const(True), doc="It is enrolled in Sophos Central"),
    Field("device.is_compliant", "health.overall", compliant),
    Field("device.is_trusted", record("health.overall", "isolation.status", "tamperProtectionEnabled"), trusted),
    Field("enrichments", record("tamperProtectionEnabled"), enrichments),
)
