"""SentinelOne agent → OCSF Device Inventory Info: a table and the conversions it names.

Sources: the connector's specification (rows, enrichments) and the Management API 2.1 (types and odd values).
"""

from __future__ import annotations

from typing import Any

from shared.interfaces import clean_ip, clean_ips, clean_mac, interfaces_of, routable_ips, typed
from shared.mapping import ocsf
from shared.mapping.conversions import (
    Record,
    boolean,
    lower_case,
    name_and_uid,
    non_negative_int,
    objects_in,
    to_string,
    unless_placeholder,
)
from shared.mapping.table import Field, const, first_string, from_fields
from shared.times import epoch

_OTHER = ocsf.device_type("Other")
_MACHINE_TYPES = {
    "desktop": ocsf.device_type("Desktop"),
    "laptop": ocsf.device_type("Laptop", "Desktop"),
    **dict.fromkeys(("server", "kubernetes node", "storage"), ocsf.device_type("Server")),
    **dict.fromkeys(("kubernetes pod", "ecs task"), ocsf.device_type("Virtual")),
    **dict.fromkeys(("unknown", ""), ocsf.device_type("Unknown")),
}
_NOWHERE = {"fallback", "not applicable", "not_applicable", "not supported", "not_supported"}

_Enrichments = dict[bool | None, dict[str, Any]]  # the reported value → its enrichment, shared by all agents
_FIREWALL: _Enrichments = {
    on: ocsf.enrichment("Firewall", ocsf.enabled(on), Firewall_status=ocsf.enabled(on)) for on in (True, False)
}
_UPDATE: _Enrichments = {
    True: ocsf.enrichment("Update Status", "Up to Date"),
    False: ocsf.enrichment("Update Status", "Update Required"),
}
_INFECTION: _Enrichments = {
    True: ocsf.enrichment("Infection Status", "Infected"),
    False: ocsf.enrichment("Infection Status", "Clean"),
}


def machine(agent: Record) -> ocsf.Coded:
    """kubernetes node and storage → Server, kubernetes pod and ecs task → Virtual, else Other; missing → Unknown."""
    return _MACHINE_TYPES.get(lower_case(agent.get("machineType")), _OTHER)


def system(agent: Record) -> ocsf.Coded:
    """windows and windows_legacy → windows, linux, macos, else other; missing → by the system's name, else unknown."""
    kind = unless_placeholder(agent.get("osType"))
    return ocsf.system_of(kind, None if kind else os_name(agent))


def os_name(agent: Record) -> str | None:
    """Name and revision in one: `Windows 10 Pro 19044`, `Linux Ubuntu 22.04.4 LTS 5.15.0-101-generic`."""
    name, revision = unless_placeholder(agent.get("osName")), unless_placeholder(agent.get("osRevision"))
    return f"{name} {revision}" if name and revision else name or revision


def address(agent: Record) -> str | None:
    """`externalIp`, else `lastIpToMgmt`, the address from which the agent calls the console."""
    return clean_ip(agent.get("externalIp")) or clean_ip(agent.get("lastIpToMgmt"))


def interfaces(agent: Record) -> list[dict[str, Any]] | None:
    """Each adapter: name, MAC, id, the first address of `inet`, else of `inet6`, and the type by its name.

    Then each further address as another interface of its adapter, and `lastIpToMgmt` if no adapter has it.
    """
    adapters = [
        (_adapter(entry), clean_ips(entry.get("inet")) + routable_ips(entry.get("inet6")))
        for entry in objects_in(agent.get("networkInterfaces"))
    ]
    return interfaces_of(adapters, clean_ips(agent.get("lastIpToMgmt")))


def _adapter(entry: Record) -> dict[str, Any]:
    interface: dict[str, Any] = {}
    if name := to_string(entry.get("name")):
        interface["name"] = name
    if mac := clean_mac(entry.get("physical")):
        interface["mac"] = mac
    if uid := to_string(entry.get("id")):
        interface["uid"] = uid
    return typed(interface)


def second_id(agent: Record) -> str | None:
    """The agent's id, if `uuid` is the primary identifier."""
    return to_string(agent.get("id")) if to_string(agent.get("uuid")) else None


def groups(agent: Record) -> list[dict[str, str]] | None:
    """The agent's group; its id if it has no name."""
    group = name_and_uid(agent.get("groupName"), agent.get("groupId"))
    return [group] if group else None


def organization(agent: Record) -> dict[str, str] | None:
    """The account; its id if it has no name."""
    return name_and_uid(agent.get("accountName"), agent.get("accountId"))


def city(agent: Record) -> str | None:
    """The first location: a network that the customer named. Absent if it says that no location applies."""
    places = agent.get("locations")
    name = (
        unless_placeholder(places[0].get("name"))
        if places and isinstance(places, list) and isinstance(places[0], dict)
        else None
    )
    nowhere = name is None or name.lower() in _NOWHERE or lower_case(agent.get("locationType")) in _NOWHERE
    return None if nowhere else name


def managed(agent: Record) -> bool:
    """True unless the agent is decommissioned or uninstalled."""
    return not (boolean(agent.get("isDecommissioned")) or boolean(agent.get("isUninstalled")))


def risk(agent: Record) -> ocsf.Coded | None:
    """infected → Critical; active threats → High; Info if both fields are present and report neither."""
    infected, threats = boolean(agent.get("infected")), non_negative_int(agent.get("activeThreats"))
    if infected:
        return ocsf.risk_level("Critical")
    if threats:
        return ocsf.risk_level("High")
    return ocsf.risk_level("Info") if infected is False and threats == 0 else None


def enrichments(agent: Record) -> list[dict[str, Any]] | None:
    """Firewall, Users, Update Status, Active Threats, Infection Status; each only if it is present."""
    names = (unless_placeholder(agent.get("lastLoggedInUserName")), unless_placeholder(agent.get("osUsername")))
    users = [name for name in dict.fromkeys(names) if name]
    threats = non_negative_int(agent.get("activeThreats"))
    found = (
        _FIREWALL.get(boolean(agent.get("firewallEnabled"))),
        ocsf.enrichment("Users", ", ".join(users), Users=users) if users else None,
        _UPDATE.get(boolean(agent.get("isUpToDate"))),
        None if threats is None else ocsf.enrichment("Active Threats", str(threats)),
        _INFECTION.get(boolean(agent.get("infected"))),
    )
    return [one for one in found if one] or None


AGENT_TO_DEVICE = (
    *ocsf.DEVICE_INVENTORY,
    ocsf.event_time("createdAt", "lastActiveDate", "registeredAt"),
    *ocsf.product("SentinelOne", "agentVersion", vendor="SentinelOne", doc="Version of the agent"),
    Field("device.uid", first_string("uuid", "id"), required=True, doc="Primary identifier"),
    Field("device.uid_alt", from_fields("uuid", "id"), second_id),
    Field(
        "device.hostname", first_string("computerName", "uuid", "id"), required=True, doc="Else the primary identifier"
    ),
    Field("device.name", "computerName", doc="Computer name"),
    Field("device.eid", "externalId", doc="Identifier that the customer gave the agent"),
    *ocsf.coded("device.type", from_fields("machineType"), machine),
    Field("device.os.name", from_fields("osName", "osRevision"), os_name),
    *ocsf.coded("device.os.type", from_fields("osType", "osName", "osRevision"), system),
    Field("device.domain", "domain", unless_placeholder, doc="Directory or network domain"),
    Field("device.ip", from_fields("externalIp", "lastIpToMgmt"), address),
    Field("device.subnet", "groupIp", unless_placeholder, doc="Network of the external address, such as 31.155.5.x"),
    Field("device.network_interfaces", from_fields("networkInterfaces[]", "lastIpToMgmt"), interfaces),
    Field("device.model", "modelName", unless_placeholder, doc="Hardware model"),
    Field("device.vendor_name", const("SentinelOne")),
    Field("device.boot_time", "osStartTime", epoch, doc="Last start of the system"),
    Field("device.created_time", "createdAt", epoch, doc="Creation of the agent"),
    Field("device.first_seen_time", "registeredAt", epoch, doc="First registration"),
    Field("device.last_seen_time", "lastActiveDate", epoch, doc="Last activity"),
    Field("device.is_managed", from_fields("isDecommissioned", "isUninstalled"), managed),
    Field("device.is_compliant", "isUpToDate", boolean, doc="The agent is up to date"),
    Field("device.region", "siteName", unless_placeholder, doc="Name of the site"),
    Field("device.groups", from_fields("groupName", "groupId"), groups),
    Field("device.org", from_fields("accountName", "accountId"), organization),
    Field("device.location.city", from_fields("locations[0].name", "locationType"), city),
    *ocsf.coded("device.risk_level", from_fields("infected", "activeThreats"), risk),
    Field("device.risk_score", "activeThreats", non_negative_int, doc="Number of active threats"),
    Field(
        "enrichments",
        from_fields("firewallEnabled", "lastLoggedInUserName", "osUsername", "isUpToDate", "activeThreats", "infected"),
        enrichments,
    ),
)
