"""Sophos endpoint → OCSF Device Inventory Info: a table and the conversions it names.

Sources: the connector's specification (rows, enrichment) and the vendor's endpoint API v1 (types and odd values).
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from shared.interfaces import clean_ips, clean_mac, preferred_ip
from shared.mapping import ocsf
from shared.mapping.conversions import (
    Record,
    as_list,
    boolean,
    lower_case,
    name_and_uid_of,
    nested_object,
    objects_in,
    to_string,
    unless_placeholder,
)
from shared.mapping.table import Field, const, first_string, from_fields
from shared.times import epoch

_ADDRESSES = ("ipv4Addresses", "ipv6Addresses")
_TYPES = {"computer": "Desktop", "server": "Server"}
_ENCRYPTION = {"encrypted": "Enabled", "notencrypted": "Disabled"}
_PERSON = first_string("associatedPerson.name", "associatedPerson.viaLogin", convert=unless_placeholder)


def machine(endpoint: Record) -> ocsf.Coded:
    """computer → Desktop, server → Server, else Unknown."""
    return ocsf.device_type(_TYPES.get(lower_case(endpoint.get("type")), "Unknown"))


def system(endpoint: Record) -> ocsf.Coded:
    """windows, linux, macos or android, in any case; any other → unknown; missing → by the system's name, else unknown."""
    return ocsf.system_of((os := nested_object(endpoint, "os")).get("platform"), os.get("name"), other="unknown")


def address(endpoint: Record) -> str | None:
    """The first IPv4 address that is not link-local, else the first such IPv6 address, else the first of all."""
    return preferred_ip(endpoint.get("ipv4Addresses"), endpoint.get("ipv6Addresses"))


def interfaces(endpoint: Record) -> list[dict[str, Any]] | None:
    """eth0, eth1 …: the n-th IPv4 address with the n-th MAC, also if others are left out; IPv6 addresses; other
    MACs."""
    ipv4 = [ip for one in as_list(endpoint.get("ipv4Addresses")) for ip in clean_ips(one) or (None,)]
    macs = [clean_mac(one) for one in as_list(endpoint.get("macAddresses"))]
    ips = [*ipv4, *clean_ips(endpoint.get("ipv6Addresses"))]
    macs[len(ipv4) : len(ipv4)] = [None] * (len(ips) - len(ipv4))  # an IPv6 address has none
    found: list[dict[str, Any]] = []
    for ip, mac in zip_longest(ips, macs):
        if ip or mac:
            found.append(interface := {"name": f"eth{len(found)}"})
            if ip:
                interface["ip"] = ip
            if mac:
                interface["mac"] = mac
    if found and (hostname := to_string(endpoint.get("hostname"))):
        found[0]["hostname"] = hostname
    return found or None


def groups(group: Any) -> list[dict[str, str]] | None:
    """The group, or each of a list of them; one without a name is left out."""
    found = objects_in(group if isinstance(group, list) else [group])
    return [pair for one in found if to_string(one.get("name")) and (pair := name_and_uid_of(one))] or None


def compliant(overall: Any) -> bool | None:
    """good → true; bad and suspicious → false."""
    return {"good": True, "bad": False, "suspicious": False}.get(lower_case(overall))


def trusted(endpoint: Record) -> bool | None:
    """Isolated, bad or suspicious → false; good with tamper protection on → true; else absent."""
    healthy = compliant(nested_object(endpoint, "health").get("overall"))
    if lower_case(nested_object(endpoint, "isolation").get("status")) == "isolated" or healthy is False:
        return False
    return True if healthy and boolean(endpoint.get("tamperProtectionEnabled")) else None


def partitions(endpoint: Record) -> dict[str, str]:
    """Each volume that is encrypted (Enabled) or not (Disabled); any other status is left out."""
    found: dict[str, str] = {}
    for one in objects_in(nested_object(endpoint, "encryption").get("volumes")):
        if (volume := to_string(one.get("volumeId"))) and (status := _ENCRYPTION.get(lower_case(one.get("status")))):
            found[volume] = status
    return found


def enrichments(endpoint: Record) -> list[dict[str, Any]]:
    """compliance, hygiene: tamper protection as `Firewall_status`, encrypted volumes, the login of the associated user."""
    login = unless_placeholder(nested_object(endpoint, "associatedPerson").get("viaLogin"))
    return [ocsf.hygiene(ocsf.status(endpoint.get("tamperProtectionEnabled")), partitions(endpoint), user=login)]


ENDPOINT_TO_DEVICE = (
    *ocsf.DEVICE_INVENTORY,
    ocsf.event_time("lastSeenAt", "registeredAt"),
    *ocsf.product("Sophos EDR", const("N/A"), doc="The API does not report it"),
    Field("device.uid", "id", required=True, doc="The endpoint's id"),
    Field("device.hostname", first_string("hostname", "id"), required=True, doc="Else the endpoint's id"),
    Field("device.name", "hostname", doc="Same as the hostname"),
    Field("device.desc", _PERSON, doc="Name of the associated user, else the login"),
    *ocsf.coded("device.type", from_fields("type"), machine),
    Field("device.os.name", "os.name", unless_placeholder, doc="Name of the system, such as Windows 10 Pro"),
    *ocsf.coded("device.os.type", from_fields("os.platform", "os.name"), system),
    Field("device.ip", from_fields(*_ADDRESSES), address),
    Field("device.network_interfaces", from_fields(*_ADDRESSES, "macAddresses", "hostname"), interfaces),
    Field("device.groups", "group", groups),
    Field("device.org", "tenant", name_and_uid_of, doc="The tenant; its id if the name is unknown"),
    Field("device.region", "cloud.provider", unless_placeholder, doc="Cloud provider: aws, azure, gcp …"),
    Field("device.first_seen_time", "registeredAt", epoch, doc="Registration"),
    Field("device.created_time", "registeredAt", epoch, doc="Registration"),
    Field("device.last_seen_time", "lastSeenAt", epoch, doc="Last check-in"),
    Field("device.is_managed", const(True), doc="It is enrolled in Sophos Central"),
    Field("device.is_compliant", "health.overall", compliant),
    Field("device.is_trusted", from_fields("health.overall", "isolation.status", "tamperProtectionEnabled"), trusted),
    Field("enrichments", from_fields("tamperProtectionEnabled", "encryption.volumes", _PERSON.paths[1]), enrichments),
)
