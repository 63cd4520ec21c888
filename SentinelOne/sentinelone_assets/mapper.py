"""SentinelOne agent → OCSF Device Inventory Info: a table and the conversions it names.

Sources: the connector's specification (rows, enrichments) and the Management API 2.1 (types and odd values).
"""

from __future__ import annotations

from typing import Any

from shared.interfaces import UNKNOWN, classify, clean_ip, clean_mac, typed
from shared.mapping.conversions import Record, boolean, count, entries, listed, lowered, named, text
from shared.mapping.ocsf import (
    DEVICE_INVENTORY,
    Coded,
    coded,
    device_type,
    enabled,
    enrichment,
    event_time,
    os_type,
    risk_level,
)
from shared.mapping.table import Field, const, first, record
from shared.times import epoch

_OTHER = device_type("Other")
_MACHINE_TYPES = {
    "desktop": device_type("Desktop"),
    "laptop": device_type("Laptop", "Desktop"),
    "server": device_type("Server"),
    "kubernetes node": device_type("Server"),
    "storage": device_type("Server"),
    "kubernetes pod": device_type("Virtual"),
    "ecs task": device_type("Virtual"),
    "unknown": device_type("Unknown"),
    "": device_type("Unknown"),
}
_OS_TYPES = {
    "windows": os_type("windows"),
    "windows_legacy": os_type("windows"),
    "linux": os_type("linux"),
    "macos": os_type("macos"),
    "unknown": os_type("unknown"),
    "": os_type("unknown"),
}

_Enrichments = dict[bool | None, dict[str, Any]]  # the same for every agent of which the same is told
_FIREWALL: _Enrichments = {on: enrichment("Firewall", enabled(on), Firewall_status=enabled(on)) for on in (True, False)}
_UPDATE: _Enrichments = {
    True: enrichment("Update Status", "Up to Date"),
    False: enrichment("Update Status", "Update Required"),
}
_INFECTION: _Enrichments = {
    True: enrichment("Infection Status", "Infected"),
    False: enrichment("Infection Status", "Clean"),
}


def told(value: Any) -> str | None:
    """A text; None where the agent wrote "unknown" or "None" for what it does not know."""
    value = text(value)
    return None if value is None or value.lower() in ("unknown", "none", "n/a") else value


def machine(agent: Record) -> Coded:
    """kubernetes node and storage → Server, kubernetes pod and ecs task → Virtual, else Other; not told → Unknown."""
    return _MACHINE_TYPES.get(lowered(agent.get("machineType")), _OTHER)


def system(agent: Record) -> Coded:
    """windows and windows_legacy → windows, linux, macos, else other; not told → unknown."""
    return _OS_TYPES.get(lowered(agent.get("osType")), os_type("other"))


def os_name(agent: Record) -> str | None:
    """Name and revision in one: `Windows 10 Pro 19044`, `Linux Ubuntu 22.04.4 LTS 5.15.0-101-generic`."""
    return " ".join(part for part in (told(agent.get("osName")), told(agent.get("osRevision"))) if part) or None


def interfaces(adapters: Any) -> list[dict[str, Any]] | None:
    """Each adapter with something told: name, MAC, first usable address of `inet`, id, and the type its name tells."""
    return [interface for entry in entries(adapters) if (interface := _interface(entry))] or None


def _interface(entry: Record) -> dict[str, Any]:
    interface: dict[str, Any] = {}
    if name := text(entry.get("name")):
        interface["name"] = name
    if mac := clean_mac(entry.get("physical")):
        interface["mac"] = mac
    if ip := next(filter(None, map(clean_ip, listed(entry.get("inet")))), None):
        interface["ip"] = ip
    if uid := text(entry.get("id")):
        interface["uid"] = uid
    if name and (kind := classify(name)) is not UNKNOWN:
        typed(interface, kind)
    return interface


def second_id(agent: Record) -> str | None:
    """The agent's id, where `uuid` is the primary identifier."""
    return text(agent.get("id")) if text(agent.get("uuid")) else None


def groups(agent: Record) -> list[dict[str, str]] | None:
    """The one group an agent is in; one without a name is named by its id."""
    group = named(agent.get("groupName"), agent.get("groupId"))
    return [group] if group else None


def organization(agent: Record) -> dict[str, str] | None:
    """The account; one without a name is named by its id."""
    return named(agent.get("accountName"), agent.get("accountId"))


def risk(agent: Record) -> Coded | None:
    """infected → Critical; active threats → High; Info when both are told and neither holds."""
    infected, threats = boolean(agent.get("infected")), count(agent.get("activeThreats"))
    if infected:
        return risk_level("Critical")
    if threats:
        return risk_level("High")
    return risk_level("Info") if infected is False and threats == 0 else None


def enrichments(agent: Record) -> list[dict[str, Any]] | None:
    """Firewall, Users, Update Status, Active Threats, Infection Status; each only where the agent tells it."""
    names = (told(agent.get("lastLoggedInUserName")), told(agent.get("osUsername")))
    users = list(dict.fromkeys(filter(None, names)))
    threats = count(agent.get("activeThreats"))
    found = (
        _FIREWALL.get(boolean(agent.get("firewallEnabled"))),
        enrichment("Users", ", ".join(users), Users=users) if users else None,
        _UPDATE.get(boolean(agent.get("isUpToDate"))),
        None if threats is None else enrichment("Active Threats", str(threats)),
        _INFECTION.get(boolean(agent.get("infected"))),
    )
    return [one for one in found if one] or None


AGENT_TO_DEVICE = (
    *DEVICE_INVENTORY,
    event_time("createdAt", "lastActiveDate", "registeredAt"),
    Field("metadata.version", const("1.6.0"), doc="OCSF version"),
    Field("metadata.product.name", const("SentinelOne")),
    Field("metadata.product.vendor_name", const("SentinelOne")),
    Field("metadata.product.version", "agentVersion", doc="Version of the agent"),
    Field("device.uid", first("uuid", "id"), required=True, doc="Primary identifier"),
    Field("device.uid_alt", record("uuid", "id"), second_id),
    Field("device.hostname", first("computerName", "uuid", "id"), required=True, doc="Else the primary identifier"),
    Field("device.name", "computerName", doc="Computer name"),
    Field("device.eid", "externalId", doc="Identifier the customer gave the agent"),
    *coded("device.type", record("machineType"), machine),
    Field("device.os.name", record("osName", "osRevision"), os_name),
    *coded("device.os.type", record("osType"), system),
    Field("device.domain", "domain", told, doc="Directory or network domain"),
    Field("device.ip", "externalIp", clean_ip, doc="Address the console sees"),
    Field("device.subnet", "groupIp", told, doc="Network of the external address, such as 31.155.5.x"),
    Field("device.network_interfaces", "networkInterfaces", interfaces),
    Field("device.model", "modelName", told, doc="Hardware model"),
    Field("device.vendor_name", const("SentinelOne")),
    Field("device.boot_time", "osStartTime", epoch, doc="Last start of the system"),
    Field("device.created_time", "createdAt", epoch, doc="Creation of the agent"),
    Field("device.first_seen_time", "registeredAt", epoch, doc="First registration"),
    Field("device.last_seen_time", "lastActiveDate", epoch, doc="Last activity"),
    Field("device.is_managed", const(True), doc="It has an agent"),
    Field("device.is_compliant", "isUpToDate", boolean, doc="The agent is up to date"),
    Field("device.region", "siteName", doc="Name of the site"),
    Field("device.groups", record("groupName", "groupId"), groups),
    Field("device.org", record("accountName", "accountId"), organization),
    Field("device.location.city", "locations[0].name", doc="First location"),
    *coded("device.risk_level", record("infected", "activeThreats"), risk),
    Field("device.risk_score", "activeThreats", count, doc="Number of active threats"),
    Field(
        "enrichments",
        record("firewallEnabled", "lastLoggedInUserName", "osUsername", "isUpToDate", "activeThreats", "infected"),
        enrichments,
    ),
)
