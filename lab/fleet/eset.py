"""ESET devices and device groups (`v1Device`, `v1DeviceGroup` of ESET Connect), with the odd values real tenants hold."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from lab.fleet.hosts import WITH_MOBILES, Host, host, iso
from lab.fleet.names import TEAMS
from lab.fleet.real_hosts import EMPTY_MACS, ZERO, as_real_hosts_are, make_odd_rarely

Device = dict[str, Any]

_TYPES = {
    "laptop": "NOTEBOOK",
    "desktop": "DESKTOP",
    "server": "SERVER",
    "virtual": "VIRTUAL_MACHINE",
    "container": "SERVER",
    "storage": "SERVER",
    "mobile": "SMARTPHONE",
}
_FAMILIES = {"windows": 1, "linux": 2, "macos": 3, "ios": 3, "android": 4}  # as the vendor numbers them
_CARDS = {
    "Ethernet": "Intel(R) Ethernet Connection (13) I219-LM",
    "Wi-Fi": "Intel(R) Wi-Fi 6E AX211 160MHz",
    "ens160": "VMware VMXNET3 Ethernet Controller",
}


def eset_devices(
    count: int, seed: int = 7, now: datetime | None = None, *, odd: bool = True, broken: float = 0.0
) -> Iterator[Device]:
    """Devices, one at a time. `odd` lets some differ from the documentation as live ones do, all still a device;
    `broken` is the share that cannot be one, for want of a `uuid`.
    """
    now = now or datetime.now(UTC)
    return (eset_device(index, seed, now, odd=odd, broken=broken) for index in range(count))


def eset_device(index: int, seed: int, now: datetime, *, odd: bool = True, broken: float = 0.0) -> Device:
    """The device of that number: the same for the same arguments, and with the same `uuid` for any `now`."""
    machine = host(index, seed, now, WITH_MOBILES)
    dice = random.Random(f"eset:{seed}:{index}")
    device = {
        "uuid": str(machine.uuid),
        "displayName": machine.name,
        "originalDisplayName": machine.name,
        "description": dice.choice(("", f"{machine.team.name}, {machine.site.name}")),
        "deviceType": f"DEVICE_TYPE_{_TYPES[machine.platform.kind]}",
        **_state(machine, dice),
        **_network(machine),
        "operatingSystem": _system(machine),
        "hardwareProfiles": [_profile(machine, dice)],
        **_products(machine, dice),
        "cloningConfiguration": {"cloneNamingPatterns": [], "securityGroupUuid": "", "securityGroupDisplayName": ""},
        "parentGroupUuid": _group_id(seed, machine.team.number),
        "tags": [machine.site.name],
        "etag": f'"{dice.getrandbits(64):016x}"',
    }
    if odd:
        _make_odd(device, dice)
        as_real_hosts_are(device, "eset", ODDITIES, seed, index)
    if dice.random() < broken:
        del device["uuid"]
    return device


def eset_groups(seed: int = 7) -> list[dict[str, Any]]:
    """The groups of the fleet: a root, Lost & found, one static group a team, and a dynamic one."""
    root = _group_id(seed, "all")
    rows = [("All", "all", True, ""), ("Lost & found", "lost", True, root), ("Laptops", "laptops", False, root)]
    rows += [(team, str(number), True, root) for number, team in enumerate(TEAMS)]
    return [
        {
            "uuid": _group_id(seed, key),
            "displayName": name,
            "isSecurityGroup": static,
            "linkedEntityType": "DEVICE_GROUP_ENTITY_TYPE_UNSPECIFIED",
            "parentGroupUuid": parent,
        }
        for name, key, static, parent in rows
    ]


def _group_id(seed: int, key: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"eset-group:{seed}:{key}"))


def _state(machine: Host, dice: random.Random) -> Device:
    return {
        "enrollmentStatus": "DEVICE_ENROLLMENT_STATUS_FINISHED",
        "functionalityStatus": f"DEVICE_FUNCTIONALITY_STATUS_{dice.choice(('OK', 'OK', 'ATTENTION_REQUIRED'))}",
        "functionalityProblemCount": dice.choice((0, 0, 0, 2)),
        "isMaster": False,
        "isMobile": machine.platform.kind == "mobile",
        "isMuted": False,
        "lastSyncTime": iso(machine.seen, "seconds"),
        "managementDomain": "example.com",
    }


def _network(machine: Host) -> Device:
    """iOS devices never have a local address."""
    local = "" if machine.platform.family == "ios" else machine.interfaces[0].ipv4[0]
    return {"primaryLocalIpAddress": local, "publicIpAddress": machine.public_ip}


def _system(machine: Host) -> Device:
    platform = machine.platform
    major = platform.version.partition(".")[0]
    digits = int(major) if major.isdecimal() else 10
    return {
        "bitness": 64,
        "displayName": platform.system if platform.family == "windows" else f"{platform.system} {platform.version}",
        "editionId": 1 if platform.kind == "server" else 3 if platform.kind == "mobile" else 2,
        "familyId": _FAMILIES[platform.family],
        "version": {"id": str(digits << 48), "major": digits, "minor": 0, "patch": None, "name": platform.build},
    }


def _profile(machine: Host, dice: random.Random) -> Device:
    drive = {
        "capacityBytes": str(dice.choice((256, 512, 1024)) * 10**9),
        "displayName": "NVMe",
        "driveType": "DRIVE_TYPE_INTERNAL",
        "hardwareEncryptionSupported": dice.random() < 0.5,
        "malformedData": None,
    }
    adapters = [
        {"caption": _CARDS.get(card.name, card.name), "macAddress": card.mac.upper(), "malformedData": None}
        for card in machine.interfaces
    ]
    return {
        "manufacturer": machine.platform.maker,
        "model": machine.platform.model,
        "bios": {"manufacturer": machine.platform.maker, "serialNumber": machine.serial or ""},
        "hardDrives": [drive],
        "networkAdapters": adapters,
        "processors": [{"architecture": "CPU_ARCHITECTURE_X64", "caption": "Example CPU", "malformedData": None}],
        "malformedData": None,
    }


def _products(machine: Host, dice: random.Random) -> Device:
    version = {"id": "2814751014117376", "major": 11, "minor": 1, "patch": 2039, "name": "11.1.2039.0"}
    bought = machine.created
    return {
        "deployedComponents": [{"id": 1, "name": "eea", "displayName": "ESET Endpoint Security", "version": version}],
        "activeProducts": [
            {
                "id": 10,
                "name": "ESET PROTECT Entry",
                "subscriptionUuid": str(uuid.UUID(int=dice.getrandbits(128), version=4)),
                "unitPoolUuid": "",
                "activateDate": {"year": bought.year, "month": bought.month, "day": bought.day},
                "validityDate": {"year": bought.year + 1, "month": bought.month},
            }
        ],
    }


def _make_odd(device: Device, dice: random.Random) -> None:
    """Add oddities of live tenants or of the API's contract, each rarely; the record is still a device."""
    if dice.random() < 0.02:  # docked and undocked: a second profile, which repeats the adapters
        dock = {"caption": "USB-C Dock Ethernet", "macAddress": f"02:00:5E:{dice.getrandbits(8):02X}:00:01"}
        first = device["hardwareProfiles"][0]
        device["hardwareProfiles"].append({**first, "networkAdapters": [*first["networkAdapters"], dock]})
    if dice.random() < 0.02:  # proto3 leaves out what is false or zero
        for name in ("isMaster", "isMobile", "isMuted", "functionalityProblemCount", "description"):
            if not device[name]:
                del device[name]
    if dice.random() < 0.02:
        fraction = dice.choice((".5Z", ".123Z", ".123456Z", ".123456789Z", "+02:00"))
        device["lastSyncTime"] = device["lastSyncTime"].removesuffix("Z") + fraction
    make_odd_rarely(device, _ODDITIES, 0.004, dice)
    if dice.random() < 0.01:
        for name in _UNKNOWN_WHILE_PENDING:
            device.pop(name, None)
        device["enrollmentStatus"] = "DEVICE_ENROLLMENT_STATUS_PENDING"


_UNKNOWN_WHILE_PENDING = ("lastSyncTime", "operatingSystem", "hardwareProfiles", "deviceType", "primaryLocalIpAddress")
_ODDITIES: tuple[Device, ...] = (
    {"primaryLocalIpAddress": "2001:db8:7::12"},
    {"deviceType": "DEVICE_TYPE_UNSPECIFIED"},
    {"deviceType": "DEVICE_TYPE_HOLOGRAM"},  # a value that is not in today's list
    {"operatingSystem": {}},
    {"operatingSystem": None, "hardwareProfiles": None},
    {"parentGroupUuid": ""},
    {"parentGroupUuid": "a-group-the-user-may-not-see"},
    {"tags": [{"name": "vip"}], "activeProducts": ["ESET PROTECT Entry"]},
    {"hardwareProfiles": []},
    {"hardwareProfiles": [{"networkAdapters": [{"caption": "WAN Miniport"}, {"macAddress": "02:00:5E:10:00:FF"}, {}]}]},
    {"publicIpAddress": None, "managementDomain": ""},
    {"displayName": "shared-name"},
    {"displayName": ""},
    {"functionalityStatus": "DEVICE_FUNCTIONALITY_STATUS_ATTENTION_RECOMMENDED", "isMuted": True},
)

ODDITIES: tuple[dict[str, Any], ...] = (
    {"deviceType": "", "operatingSystem": {"familyId": 1, "displayName": "Microsoft Windows Server 2019 Standard"}},
    {"deviceType": "DEVICE_TYPE_PRINTER", "isMobile": False},
    {"deviceType": "DEVICE_TYPE_ROUTER", "isMobile": False},
    {"deviceType": "DEVICE_TYPE_SMARTPHONE", "isMobile": False},
    {"enrollmentStatus": "DEVICE_ENROLLMENT_STATUS_PENDING"},
    {"enrollmentStatus": "DEVICE_ENROLLMENT_STATUS_FAILED"},
    {"operatingSystem": {"familyId": 2, "displayName": "Zorin OS 17"}},
    {"operatingSystem": {"familyId": 2, "displayName": "Elementary 7.1"}},
    {"operatingSystem": {"familyId": 7, "displayName": "Oracle Solaris 11.4"}},
    {"lastSyncTime": ZERO},
    {"managementDomain": "N/A", "description": "Default string"},
    {"displayName": "UNKNOWN-7\0\0"},
    {"primaryLocalIpAddress": "192.0.2.7, 192.0.2.8", "publicIpAddress": "::ffff:203.0.113.9"},
    *({"hardwareProfiles": [{"networkAdapters": [{"caption": "wlan0", "macAddress": mac}]}]} for mac in EMPTY_MACS),
    {
        "hardwareProfiles": [
            {
                "manufacturer": "System manufacturer",
                "model": "System Product Name",
                "networkAdapters": [{"caption": "Intel(R) Wi-Fi 6 AX201", "macAddress": "02:00:5E:00:53:07"}],
            }
        ]
    },
)  # fmt: skip
"""Of real hosts, that the vendor's documentation does not name."""
