"""ESET device → OCSF Device Inventory Info: a table and the conversions it names.

Sources: the connector's specification (rows, sample) and ESET Connect's device-management API v1 (types, odd values).
Its JSON is proto3's: "", 0, null and a missing key say the same, that nothing is told.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from shared.interfaces import UNKNOWN, WIRED, classify, clean_ip, clean_mac, typed
from shared.mapping.conversions import Record, boolean, entries, named, part, text
from shared.mapping.ocsf import DEVICE_INVENTORY, Coded, coded, device_type, event_time, os_named, os_type
from shared.mapping.table import Field, const, first, record
from shared.times import epoch

from .client import PARENT_GROUP

_MOBILE, _SERVER, _VIRTUAL, _DESKTOP = map(device_type, ("Mobile", "Server", "Virtual", "Desktop"))
_FAMILIES = {  # the specification's; the vendor's own say 2 Linux, 3 Apple, 5 Windows Mobile
    "1": os_type("windows"),
    "2": os_type("macos"),
    "3": os_type("linux"),
    "4": os_type("android"),
    "5": os_type("ios"),
}
_HOSTNAME = first("displayName", "originalDisplayName", "uuid")
_OS_NAME = first("operatingSystem.displayName", "operatingSystem.version.name")


def machine(device: Record) -> Coded:
    """isMobile → Mobile; a deviceType with SERVER → Server, with VIRTUAL → Virtual; all else is Desktop."""
    kind = (text(device.get("deviceType")) or "").upper()
    if boolean(device.get("isMobile")):
        return _MOBILE
    if "SERVER" in kind:
        return _SERVER
    return _VIRTUAL if "VIRTUAL" in kind else _DESKTOP


def system(device: Record) -> Coded:
    """The system its name names (Ubuntu, macOS, iOS …), else by familyId: 1 windows, 2 macos, 3 linux, 4 android, 5 ios."""
    if named_one := os_named(_OS_NAME.read(device)):
        return named_one
    family = text(part(device, "operatingSystem").get("familyId"))
    return os_type("unknown") if family in (None, "0") else _FAMILIES.get(family, os_type("other"))


def interfaces(device: Record) -> list[dict[str, Any]] | None:
    """The local address with the first MAC, as Wired; each further adapter, typed by its caption; the public address."""
    local, public = clean_ip(device.get("primaryLocalIpAddress")), clean_ip(device.get("publicIpAddress"))
    profiles = [
        [_adapter(one) for one in entries(profile.get("networkAdapters"))]
        for profile in entries(device.get("hardwareProfiles"))
    ]
    found, known = [], set[str]()
    if local:
        main = next((adapter for adapter in profiles[0] if "mac" in adapter), {}) if profiles else {}
        known.update(main.values())
        found.append(typed({"ip": local, **main, "hostname": _HOSTNAME.read(device)}, WIRED))
    for adapter in chain.from_iterable(profiles):
        key = adapter.get("mac") or adapter.get("name")
        further = key and key not in known
        known.update(adapter.values())
        if further:
            found.append(typed(adapter, classify(adapter.get("name"))))
    if public and public != local:
        found.append(typed({"ip": public}, UNKNOWN))
    return found or None


def _adapter(told: Record) -> dict[str, str]:
    mac, name = clean_mac(told.get("macAddress")), text(told.get("caption"))
    return ({"mac": mac} if mac else {}) | ({"name": name} if name else {})


def groups(group: Any) -> list[dict[str, str]] | None:
    """The static group the device is in, looked up by parentGroupUuid; one without a name is named by its uuid."""
    pair = named(group.get("displayName"), group.get("uuid")) if isinstance(group, dict) else None
    return [pair] if pair else None


ESET_TO_DEVICE = (
    *DEVICE_INVENTORY,
    event_time("lastSyncTime"),
    Field("metadata.version", const("1.5.0"), doc="OCSF version"),
    Field("metadata.product.name", const("ESET EDR")),
    Field("metadata.product.version", const("9.1.2500.0"), doc="The specification's: the API does not tell a version"),
    Field("device.uid", "uuid", required=True, doc="ESET's identifier of the device"),
    Field("device.hostname", _HOSTNAME, required=True, doc="Display name, else the system's name, else the identifier"),
    Field("device.name", "displayName", doc="Display name"),
    Field("device.desc", "description", doc="Description"),
    *coded("device.type", record("deviceType", "isMobile"), machine),
    Field("device.os.name", _OS_NAME, doc="Name of the operating system, else of its version"),
    *coded("device.os.type", record("operatingSystem.displayName", "operatingSystem.familyId"), system),
    Field("device.ip", "primaryLocalIpAddress", clean_ip, doc="Primary local address"),
    Field(
        "device.network_interfaces",
        record("primaryLocalIpAddress", "publicIpAddress", "hardwareProfiles[].networkAdapters[]"),
        interfaces,
    ),
    Field("device.domain", "managementDomain", doc="Management domain"),
    Field("device.vendor_name", "hardwareProfiles[0].manufacturer", doc="Maker of the hardware"),
    Field("device.model", "hardwareProfiles[0].model", doc="Hardware model"),
    Field("device.last_seen_time", "lastSyncTime", epoch, doc="Last synchronisation"),
    Field("device.is_managed", const(True), doc="All devices ESET lists are managed"),
    Field("device.groups", PARENT_GROUP, groups),
)
