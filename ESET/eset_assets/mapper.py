"""ESET device → OCSF Device Inventory Info: a table and the conversions it names.

Sources: the connector's specification (rows, sample) and ESET Connect's device-management API v1 (types, odd values).
Its JSON is proto3's: "", 0, null and a missing key all mean that the value is missing.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Any

from shared.interfaces import UNKNOWN, WIRED, clean_ip, clean_ips, clean_mac, interfaces_of, typed
from shared.mapping import ocsf
from shared.mapping.conversions import (
    Record,
    boolean,
    groups_of,
    nested_object,
    objects_in,
    to_string,
    unless_placeholder,
)
from shared.mapping.table import Field, const, first_string, from_fields
from shared.times import epoch

from .client import PARENT_GROUP

_TYPES = {  # a word of `deviceType` → OCSF's captions, of which the first that the models know is sent
    **{"SERVER": ("Server",), "VIRTUAL": ("Virtual",), "TABLET": ("Tablet", "Mobile")},
    **dict.fromkeys(("SMARTPHONE", "MOBILE"), ("Mobile",)) | dict.fromkeys(("DESKTOP", "COMPUTER"), ("Desktop",)),
    **dict.fromkeys(("NOTEBOOK", "LAPTOP"), ("Laptop", "Desktop")),
}
_FAMILIES = dict(zip("012345", ("unknown", "windows", "macos", "linux", "android", "ios"), strict=True))
_ADDRESSES = ("primaryLocalIpAddress", "publicIpAddress")
_HOSTNAME = first_string("displayName", "originalDisplayName", "uuid")
_OS_NAME = first_string("operatingSystem.displayName", "operatingSystem.version.name", convert=unless_placeholder)


def machine(device: Record) -> ocsf.Coded:
    """isMobile → Mobile; else by deviceType, an unknown one → Other; missing → Server by the system's name, else Desktop."""
    kind = (to_string(device.get("deviceType")) or "").upper().removeprefix("DEVICE_TYPE_")
    if boolean(device.get("isMobile")):
        return ocsf.device_type("Mobile")
    if kind in ("", "UNSPECIFIED", "UNKNOWN"):
        return ocsf.server_or_desktop(_OS_NAME.read(device))
    captions = _TYPES.get(kind) or next((found for word, found in _TYPES.items() if word in kind), ("Other",))
    return ocsf.device_type(*captions)


def system(device: Record) -> ocsf.Coded:
    """By the system's name; else by familyId: ESET's table for an unknown name, the specification's without a name."""
    if by_name := ocsf.os_named(_OS_NAME.read(device)):
        return by_name
    system_fields = nested_object(device, "operatingSystem")
    families, name = _FAMILIES, unless_placeholder(system_fields.get("displayName")) or ""
    if re.search(r"[^\W\d_]{2}", name[:100]):  # more than a version: "14", "22H2"
        apple = "ios" if boolean(device.get("isMobile")) else "macos"
        families = {**_FAMILIES, "2": "linux", "3": apple, "5": "windows mobile"}
    return ocsf.os_type(families.get(to_string(system_fields.get("familyId")) or "0", "other"))


def interfaces(device: Record) -> list[dict[str, Any]] | None:
    """The local address with the first adapter, typed by its caption or Wired; the other adapters; the other addresses.

    Adapters are those of all hardware profiles, each once; another than the first is typed by its caption or Unknown.
    """
    local, public = clean_ips(device.get(_ADDRESSES[0])), clean_ips(device.get(_ADDRESSES[1]))
    profiles = [
        [*map(_adapter, objects_in(one.get("networkAdapters")))] for one in objects_in(device.get("hardwareProfiles"))
    ]
    profile = profiles[0] if profiles else []
    main = next((one for one in profile if "mac" in one), None) or next(filter(None, profile), {})
    known = set(main.values())
    adapters = [(typed({**main}, WIRED), local)] if main or local else []
    for adapter in chain.from_iterable(profiles):
        if (key := adapter.get("mac") or adapter.get("name")) and key not in known:
            adapters.append((typed({**adapter}, UNKNOWN), ()))
        known.update(adapter.values())
    found = interfaces_of(adapters, public, UNKNOWN)
    if found and local:
        found[0]["hostname"] = _HOSTNAME.read(device)
    return found


def _adapter(adapter: Record) -> dict[str, Any]:
    mac, name = clean_mac(adapter.get("macAddress")), to_string(adapter.get("caption"))
    return ({"mac": mac} if mac else {}) | ({"name": name} if name else {})


def managed(device: Record) -> bool:
    """True, because ESET lists managed devices; false if the enrolment is pending or failed."""
    return not (to_string(device.get("enrollmentStatus")) or "").upper().endswith(("PENDING", "FAILED"))


ESET_TO_DEVICE = (
    *ocsf.DEVICE_INVENTORY,
    ocsf.event_time("lastSyncTime"),
    *ocsf.product("ESET EDR", const("9.1.2500.0"), schema="1.5.0", doc="A constant: the API does not report it"),
    Field("device.uid", "uuid", required=True, doc="ESET's identifier of the device"),
    Field("device.hostname", _HOSTNAME, required=True, doc="Display name, else the original one, else the identifier"),
    Field("device.name", "displayName", doc="Display name"),
    Field("device.desc", "description", unless_placeholder, doc="Description"),
    *ocsf.coded("device.type", from_fields("deviceType", "isMobile", *_OS_NAME.paths), machine),
    Field("device.os.name", _OS_NAME, doc="Name of the operating system, else of its version"),
    *ocsf.coded("device.os.type", from_fields(*_OS_NAME.paths, "operatingSystem.familyId", "isMobile"), system),
    Field("device.ip", "primaryLocalIpAddress", clean_ip, doc="Primary local address"),
    Field("device.network_interfaces", from_fields(*_ADDRESSES, "hardwareProfiles[].networkAdapters"), interfaces),
    Field("device.domain", "managementDomain", unless_placeholder, doc="Management domain"),
    Field("device.vendor_name", "hardwareProfiles[0].manufacturer", unless_placeholder, doc="Maker of the hardware"),
    Field("device.model", "hardwareProfiles[0].model", unless_placeholder, doc="Hardware model"),
    Field("device.last_seen_time", "lastSyncTime", epoch, doc="Last synchronisation"),
    Field("device.is_managed", from_fields("enrollmentStatus"), managed),
    Field("device.groups", PARENT_GROUP, groups_of, doc="The static group, looked up by parentGroupUuid"),
)
