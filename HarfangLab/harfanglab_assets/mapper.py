"""HarfangLab agent → OCSF Device Inventory Info: a table and the conversions it names.

Sources: the connector's specification (rows, enrichment) and the manager's API, 2.15 to 24.12 (types and odd values).
"""

from __future__ import annotations

from typing import Any

from shared.interfaces import UNKNOWN, WIRED, classify, clean_ip, typed
from shared.mapping.conversions import MOST_ENTRIES, Record, boolean, count, part, text
from shared.mapping.ocsf import (
    DEVICE_INVENTORY,
    Coded,
    coded,
    device_type,
    enabled,
    enrichment,
    event_time,
    os_named,
    os_type,
)
from shared.mapping.table import Field, const, first, first_time, record
from shared.times import epoch

_SERVERS = ("server", "dc", "domain controller", "domain_controller", "domaincontroller")
_FIREWALL = "windows_self_protection_feature_firewall"
_POLICY = ("id", "name", _FIREWALL)  # of its 167 keys


def machine(agent: Record) -> Coded:
    """server or a domain controller → Server; all else is Desktop."""
    return device_type("Server" if (text(agent.get("producttype")) or "").lower() in _SERVERS else "Desktop")


def system(agent: Record) -> Coded:
    """windows, linux or macos, in any case; else other; not told → unknown."""
    kind = text(agent.get("ostype"))
    return os_named(kind) or os_type("other" if kind else "unknown")


def mask(value: Any) -> str | None:
    """A subnet mask (255.255.255.0) or a network with its prefix; what is neither is not told."""
    return text(value) if clean_ip(value) else None


def managed(agent: Record) -> bool | None:
    """Whether a policy is assigned: null is none; not told without the key, or by an object that tells nothing of it."""
    policy = agent.get("policy", {})
    assigned = any(name in policy for name in _POLICY) if isinstance(policy, dict) else text(policy)
    return True if assigned else False if policy is None else None


def interfaces(agent: Record) -> list[dict[str, Any]] | None:
    """One, where there is an address or a subnet: with the subnet's id and name, and the type its name tells, else Wired."""
    subnet = part(agent, "subnet")
    parts = {"ip": clean_ip(agent.get("ipaddress")), "uid": text(subnet.get("id")), "name": text(subnet.get("name"))}
    found: dict[str, Any] = {key: value for key, value in parts.items() if value}
    if not found:
        return None
    kind = classify(found.get("name"))
    if hostname := text(agent.get("hostname")):
        found["hostname"] = hostname
    return [typed(found, WIRED if kind is UNKNOWN else kind)]


def enrichments(agent: Record) -> list[dict[str, Any]] | None:
    """Compliance: the firewall's status by the policy, and which disks are encrypted; each only where it is told."""
    data: dict[str, Any] = {}
    firewall = boolean(part(agent, "policy").get(_FIREWALL))
    if firewall is not None:
        data["Firewall_status"] = enabled(firewall)
    if disks := partitions(agent):
        data["Storage_encryption"] = {"partitions": disks}
    return [enrichment("compliance", "hygiene", **data)] if data else None


def partitions(agent: Record) -> dict[str, str]:
    """`disk_0` … Enabled for as many as are encrypted, the rest Disabled; nothing unless both numbers are told."""
    disks, encrypted = count(agent.get("disk_count")), count(agent.get("encrypted_disk_count"))
    if disks is None or encrypted is None or disks > MOST_ENTRIES:
        return {}
    return {f"disk_{number}": enabled(number < encrypted) for number in range(disks)}


AGENT_TO_DEVICE = (
    *DEVICE_INVENTORY,
    event_time("firstseen", "lastseen"),
    Field("metadata.version", const("1.6.0"), doc="OCSF version"),
    Field("metadata.product.name", const("HarfangLab EDR")),
    Field("metadata.product.vendor_name", const("HarfangLab")),
    Field("metadata.product.version", "version", doc="Version of the agent"),
    Field("device.uid", "id", required=True, doc="Identifier of the agent; a new installation has another"),
    Field("device.hostname", first("hostname", "id"), required=True, doc="Else the identifier"),
    *coded("device.type", record("producttype"), machine),
    Field("device.os.name", "osproducttype", doc="Product name of the system"),
    *coded("device.os.type", record("ostype"), system),
    Field("device.domain", "domainname", doc="Domain or workgroup"),
    Field("device.ip", "ipaddress", clean_ip, doc="Primary address"),
    Field("device.subnet", "ipmask", mask),
    Field("device.network_interfaces", record("ipaddress", "subnet.id", "subnet.name", "hostname"), interfaces),
    Field("device.model", "producttype", doc="workstation, server …"),
    Field("device.vendor_name", const("HarfangLab")),
    Field("device.desc", "description", doc="Description"),
    Field("device.boot_time", first_time("machine_boottime", "boottime"), doc="Start of the system"),
    Field("device.created_time", "installdate", epoch, doc="Installation of the system"),
    Field("device.first_seen_time", "firstseen", epoch, doc="First contact of the agent"),
    Field("device.last_seen_time", "lastseen", epoch, doc="Last contact of the agent"),
    Field("device.is_managed", record(*(f"policy.{name}" for name in _POLICY)), managed),
    Field("device.is_trusted", "has_valid_password", boolean, doc="The agent's password is valid"),
    Field("enrichments", record(f"policy.{_FIREWALL}", "encrypted_disk_count", "disk_count"), enrichments),
)
