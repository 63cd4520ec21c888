"""Odd values that were seen in live SentinelOne tenants."""

from __future__ import annotations

import random
from typing import Any

from lab.fleet.hosts import Host, iso
from lab.fleet.real_hosts import make_odd_rarely

Agent = dict[str, Any]

_NULL = "None"  # the text, not null: seen where a script wrote the record


def make_odd(agent: Agent, machine: Host, dice: random.Random) -> None:
    """Add oddities that were seen in live tenants, each rarely; the record is still a device."""
    if machine.platform.family == "macos" and dice.random() < 0.3:
        for name in ("machineType", "domain", "tags", "serialNumber"):
            agent.pop(name, None)
    make_odd_rarely(agent, _ODDITIES, 0.005, dice)
    if dice.random() < 0.005:
        agent["networkInterfaces"] = [{"inet": list(machine.interfaces[0].ipv4)}]  # neither id, name nor MAC
    if dice.random() < 0.005:
        agent["updatedAt"] = iso(machine.updated, "seconds")
    if dice.random() < 0.005:
        agent["createdAt"] = iso(machine.created, "milliseconds")


_ODDITIES: tuple[Agent, ...] = (
    {"firewallEnabled": "True", "isUpToDate": "True"},
    {"osStartTime": _NULL, "osUsername": _NULL, "scanStartedAt": _NULL},
    {"osStartTime": None, "externalIp": None, "lastIpToMgmt": None},
    {"externalIp": ""},
    {"networkInterfaces": []},
    {"networkInterfaces": None},
    {"locations": None, "cloudProviders": None, "tags": []},
    {"machineType": "ecs task"},
    {"machineType": "kubernetes pod"},
    {"machineType": "unknown", "modelName": None},
    {"machineType": "thin client"},  # a value that is not in today's list
    {"coreCount": "1", "isUpToDate": "2021-11-11"},
    {"activeDirectory": {"computerMemberOf": None, "lastUserMemberOf": None}},
    {"proxyStates": {"console": True, "deepVisibility": True, "pacFileUsage": False, "proxyMethod": "Auto",
                     "consoleProxyAddress": "proxy.example.com:3128", "deepVisibilityProxyAddress": ""}},
    {"proxyStates": None},
    {"scanStatus": "in_progress"},
    {"computerName": "工作站-北京"},
)  # fmt: skip
