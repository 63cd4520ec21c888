"""HarfangLab agent → OCSF Device Inventory Info: a table and the conversions it names.

Sources: the connector's specification (rows, enrichment) and the manager's API, 2.15 to 24.12 (types and odd values).
"""

from __future__ import annotations

from typing import Any

from shared.interfaces import WIRED, clean_ip, clean_mask, typed
from shared.mapping import ocsf
from shared.mapping.conversions import (
    MAX_ENTRIES,
    Record,
    boolean,
    groups_of,
    name_and_uid_of,
    nested_object,
    non_negative_int,
    to_string,
    unless_placeholder,
)
from shared.mapping.table import Field, const, first_string, first_time, from_fields
from shared.times import epoch

_SERVERS = ("server", "dc", "domain controller", "domain_controller", "domaincontroller")
_FIREWALL = "windows_self_protection_feature_firewall"
_DISKS = ("disk_count", "encrypted_disk_count")
_POLICY = ("id", "name", _FIREWALL)  # of its 167 keys


def machine(agent: Record) -> ocsf.Coded:
    """server or a domain controller → Server; without a type, Server if the system's name contains it; else Desktop."""
    kind = unless_placeholder(agent.get("producttype"))
    if kind is None:
        return ocsf.server_or_desktop(to_string(agent.get("osproducttype")))
    return ocsf.device_type("Server" if kind.lower() in _SERVERS else "Desktop")


def system(agent: Record) -> ocsf.Coded:
    """windows, linux or macos, in any case; any other → other; missing → by the system's name, else unknown."""
    return ocsf.system_of(agent.get("ostype"), agent.get("osproducttype"))


def managed(agent: Record) -> bool | None:
    """Whether a policy is assigned: null → false; absent if the key is missing or the object is not a policy."""
    policy = agent.get("policy", {})
    assigned = any(name in policy for name in _POLICY) if isinstance(policy, dict) else to_string(policy)
    return True if assigned else False if policy is None else None


def interfaces(agent: Record) -> list[dict[str, Any]] | None:
    """One, if there is an address or a subnet: with the subnet's id and name, typed by that name or Wired."""
    subnet = nested_object(agent, "subnet")
    parts = {
        "ip": clean_ip(agent.get("ipaddress")),
        "uid": to_string(subnet.get("id")),
        "name": to_string(subnet.get("name")),
    }
    found: dict[str, Any] = {key: value for key, value in parts.items() if value}
    if found and (hostname := to_string(agent.get("hostname"))):
        found["hostname"] = hostname
    return [typed(found, WIRED)] if found else None


def qualified_name(agent: Record) -> str | None:
    """`hostname.dnsdomainname`; if one of the two is the qualified name, that one; absent unless both are present."""
    hostname, domain = (
        to_string(agent.get("hostname")),
        (unless_placeholder(agent.get("dnsdomainname")) or "").strip("."),
    )
    if not hostname or not domain:
        return None
    if "." in hostname:
        return hostname.rstrip(".")
    return domain if domain.lower().startswith(f"{hostname.lower()}.") else f"{hostname}.{domain}"


def firewall(agent: Record) -> str | None:
    """The switch of the policy, which is for Windows: absent for an agent of another system."""
    found = ocsf.status(nested_object(agent, "policy").get(_FIREWALL))
    is_windows = agent.get("ostype") == "windows" or system(agent).caption in ("windows", "unknown")
    return found if found and is_windows else None


def partitions(agent: Record) -> dict[str, str]:
    """`disk_0` … Enabled for as many as are encrypted, the rest Disabled; nothing unless both numbers are present."""
    disks, encrypted = non_negative_int(agent.get("disk_count")), non_negative_int(agent.get("encrypted_disk_count"))
    if disks is None or encrypted is None or disks > MAX_ENTRIES:
        return {}
    return {f"disk_{number}": ocsf.enabled(number < encrypted) for number in range(disks)}


def enrichments(agent: Record) -> list[dict[str, Any]] | None:
    """Compliance: the firewall's status by the policy, the encrypted disks, the qualified name; each if present."""
    found = ocsf.hygiene(firewall(agent), partitions(agent), qualified_name=qualified_name(agent))
    return [found] if found["data"] else None


AGENT_TO_DEVICE = (
    *ocsf.DEVICE_INVENTORY,
    ocsf.event_time("firstseen", "lastseen"),
    *ocsf.product("HarfangLab EDR", "version", vendor="HarfangLab", doc="Version of the agent"),
    Field("device.uid", "id", required=True, doc="Identifier of the agent; a new installation has another"),
    Field("device.hostname", first_string("hostname", "id"), required=True, doc="Else the identifier"),
    *ocsf.coded("device.type", from_fields("producttype", "osproducttype"), machine),
    Field("device.os.name", "osproducttype", unless_placeholder, doc="Product name of the system"),
    *ocsf.coded("device.os.type", from_fields("ostype", "osproducttype"), system),
    Field("device.domain", "domainname", unless_placeholder, doc="Domain or workgroup"),
    Field("device.ip", "ipaddress", clean_ip, doc="Primary address"),
    Field("device.subnet", "ipmask", clean_mask),
    Field("device.network_interfaces", from_fields("ipaddress", "subnet.id", "subnet.name", "hostname"), interfaces),
    Field("device.model", "producttype", unless_placeholder, doc="workstation, server …"),
    Field("device.vendor_name", const("HarfangLab")),
    Field("device.desc", "description", unless_placeholder, doc="Description"),
    Field("device.boot_time", first_time("machine_boottime", "boottime"), doc="Start of the system"),
    Field("device.created_time", "installdate", epoch, doc="Installation of the system"),
    Field("device.first_seen_time", "firstseen", epoch, doc="First contact of the agent"),
    Field("device.last_seen_time", "lastseen", epoch, doc="Last contact of the agent"),
    Field("device.is_managed", from_fields(*(f"policy.{name}" for name in _POLICY)), managed),
    Field("device.is_trusted", "has_valid_password", boolean, doc="The agent's password is valid"),
    Field("device.groups", "groups", groups_of),
    Field("device.org", "tenant", name_and_uid_of, doc="The tenant; its id if it has no name"),
    Field(
        "enrichments",
        from_fields(f"policy.{_FIREWALL}", "ostype", "osproducttype", *_DISKS, "hostname", "dnsdomainname"),
        enrichments,
    ),
)
