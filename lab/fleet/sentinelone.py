"""SentinelOne agents (`AgentView` of the Management API 2.1), 4 to 5 KB each, with the odd values real tenants hold."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.fleet.hosts import Host, Interface, Platform, host, iso
from lab.fleet.names import ORGANIZATION
from lab.fleet.real_hosts import EMPTY_MACS, ZERO, as_real_hosts_are
from lab.fleet.sentinelone_oddities import make_odd

Agent = dict[str, Any]

_UNIT = "OU=Europe,DC=corp,DC=example,DC=com"
_MACHINE = {"virtual": "server", "container": "kubernetes node"}
_INSTALLERS = {"windows": ".msi", "linux": ".deb", "macos": ".pkg"}


def sentinelone_agents(
    count: int, seed: int = 7, now: datetime | None = None, *, odd: bool = True, broken: float = 0.0
) -> Iterator[Agent]:
    """Agents, one at a time. `odd` lets some differ from the documentation as live ones do, all still a device;
    `broken` is the share that cannot be one, for want of both `id` and `uuid`.
    """
    now = now or datetime.now(UTC)
    return (sentinelone_agent(index, seed, now, odd=odd, broken=broken) for index in range(count))


def sentinelone_agent(index: int, seed: int, now: datetime, *, odd: bool = True, broken: float = 0.0) -> Agent:
    """The agent of that number: the same for the same arguments, and with the same `id` for any `now`."""
    machine = host(index, seed, now)
    dice = random.Random(f"sentinelone:{seed}:{index}")
    agent = {
        **_identity(machine, seed),
        **_system(machine, dice),
        **_network(machine, dice),
        **_state(machine, dice),
        **_times(machine, dice),
        **_settings(machine, dice),
        **_surroundings(machine, dice),
    }
    if odd:
        make_odd(agent, machine, dice)
        as_real_hosts_are(agent, "sentinelone", ODDITIES, seed, index)
    if dice.random() < broken:
        agent["id"] = agent["uuid"] = None
    return agent


def _identity(machine: Host, seed: int) -> Agent:
    family = machine.platform.family
    form = machine.uuid.hex if family == "windows" else str(machine.uuid)
    return {
        "accountId": "617755838952421242",
        "accountName": ORGANIZATION,
        "siteId": f"10023456789012340{machine.site.number:02}",
        "siteName": machine.site.name,
        "groupId": f"10098765432109870{machine.team.number:02}",
        "groupName": machine.team.name,
        "id": f"{1_200_000_000_000_000_000 + seed * 10_000_000_000_000 + machine.index * 7919}",
        "uuid": form.upper() if family == "macos" else form,
        "computerName": machine.name,
        "serialNumber": machine.serial,
        "externalId": "",
        "licenseKey": f"lab-license-{machine.index % 5}",
        "machineSid": None,
    }


def _system(machine: Host, dice: random.Random) -> Agent:
    platform = machine.platform
    name, revision, family = _system_names(platform)
    return {
        "osType": family,
        "osName": name,
        "osRevision": revision,
        "osArch": "ARM64" if family == "macos" else "64 bit",
        "osUsername": "root" if family == "linux" else None,
        "osStartTime": iso(machine.booted, "seconds"),
        "machineType": _MACHINE.get(platform.kind, platform.kind),
        "modelName": platform.model if family == "macos" else f"{platform.maker} - {platform.model}",
        "cpuId": dice.choice(("Intel(R) Core(TM) i7-1365U", "AMD EPYC 7R13 Processor", "Apple M1 Pro")),
        "cpuCount": 1 if machine.cores < 8 else 2,
        "coreCount": machine.cores,
        "totalMemory": machine.memory_mb,
        "domain": (machine.domain or dice.choice(("WORKGROUP", "unknown"))) if family == "windows" else machine.domain,
        "lastLoggedInUserName": dice.choice(("", machine.person.login, machine.person.login)),
        "activeDirectory": _directory(machine),
    }


def _system_names(platform: Platform) -> tuple[str, str, str]:
    """Name, revision and type. Linux has its distribution in the revision; macOS 12 has its old name."""
    if platform.family == "linux":
        return "Linux", f"{platform.system} {platform.version} {platform.build}", "linux"
    if platform.family == "macos":
        return (
            "OS X" if platform.version.startswith("12") else "macOS",
            f"{platform.version} ({platform.build})",
            "macos",
        )
    return platform.system, platform.build, "windows_legacy" if platform.code == "OLD" else "windows"


def _directory(machine: Host) -> Agent:
    if machine.domain is None:
        nothing: Agent = dict.fromkeys(("computerDistinguishedName", "lastUserDistinguishedName", "mail"))
        return {**nothing, "userPrincipalName": None, "computerMemberOf": [], "lastUserMemberOf": []}
    computers = (
        "Workstations",
        "Disk Encryption",
        "Wi-Fi Certificates",
        f"Site {machine.site.name}",
        machine.team.name,
    )
    users = ("VPN", "Mail", "Intranet Readers", f"Site {machine.site.name}", f"{machine.team.name} Share")
    return {
        "computerDistinguishedName": f"CN={machine.name},OU={machine.site.name},OU=Computers,{_UNIT}",
        "computerMemberOf": [f"CN={name},OU=Groups,{_UNIT}" for name in computers],
        "lastUserDistinguishedName": f"CN={machine.person.name},OU=Users,{_UNIT}",
        "lastUserMemberOf": [f"CN={name},OU=Groups,{_UNIT}" for name in users],
        "mail": machine.person.email,
        "userPrincipalName": machine.person.email,
    }


def _network(machine: Host, dice: random.Random) -> Agent:
    cards = [_card(card, dice) for card in machine.interfaces]
    if dice.random() < 0.1:
        loopback = Interface("lo", "00:00:00:00:00:00", ("127.0.0.1",), ("::1",), None)
        cards.append(_card(loopback, dice))
    return {
        "externalIp": machine.public_ip,
        "groupIp": machine.public_ip.rsplit(".", 1)[0] + ".x",
        "lastIpToMgmt": machine.interfaces[0].ipv4[0],
        "networkInterfaces": cards,
    }


def _card(card: Interface, dice: random.Random) -> Agent:
    form = dice.random()
    mac = card.mac if form < 0.6 else card.mac.upper() if form < 0.8 else card.mac.upper().replace(":", "-")
    return {
        "gatewayIp": card.gateway,
        "gatewayMacAddress": "00:00:5e:00:53:01" if card.gateway else None,
        "id": f"{dice.randrange(10**18, 2 * 10**18)}",
        "inet": list(card.ipv4),
        "inet6": list(card.ipv6),
        "name": card.name,
        "physical": mac,
    }


def _state(machine: Host, dice: random.Random) -> Agent:
    infected = dice.random() < 0.02
    return {
        "activeThreats": dice.randrange(1, 5) if infected else 0,
        "infected": infected,
        "isActive": dice.random() < 0.9,
        "isDecommissioned": False,
        "isUninstalled": False,
        "isPendingUninstall": False,
        "isUpToDate": dice.random() < 0.85,
        "isAdConnector": False,
        "isHyperAutomate": dice.choice((False, None)),
        "agentVersion": dice.choice(("24.2.3.471", "24.1.5.277", "23.4.2.14")),
        "networkStatus": dice.choice(("connected",) * 9 + ("disconnected",)),
        "networkQuarantineEnabled": False,
        "encryptedApplications": dice.random() < 0.7,
        "firewallEnabled": dice.random() < 0.8,
        "inRemoteShellSession": False,
        "allowRemoteShell": dice.random() < 0.5,
        "threatRebootRequired": False,
        "showAlertIcon": False,
        "appsVulnerabilityStatus": dice.choice(("patch_required", "up_to_date", "not_applicable")),
        "scanStatus": dice.choice(("finished", "none", "aborted", "started")),
        "detectionState": dice.choice(("full_mode", None)),
        "userActionsNeeded": dice.choice(([], [], ["reboot_needed"], ["user-action-needed-bluetooth-per"])),
        "missingPermissions": [] if machine.platform.family != "macos" else ["user-action-needed-fda"],
    }


def _times(machine: Host, dice: random.Random) -> Agent:
    registered = machine.created - timedelta(microseconds=dice.randrange(1, 900_000))
    scan = min(machine.seen, machine.updated) - timedelta(hours=dice.randrange(1, 400))
    return {
        "createdAt": iso(machine.created),
        "registeredAt": iso(registered),
        "updatedAt": iso(machine.updated),
        "lastActiveDate": iso(machine.seen),
        "groupUpdatedAt": dice.choice((None, iso(machine.updated))),
        "policyUpdatedAt": dice.choice((None, iso(machine.updated))),
        "scanStartedAt": iso(scan),
        "scanFinishedAt": iso(scan + timedelta(minutes=42)),
        "scanAbortedAt": None,
        "lastSuccessfulScanDate": iso(scan + timedelta(minutes=42)),
        "fullDiskScanLastUpdatedAt": iso(scan + timedelta(minutes=43)),
        "firstFullModeTime": dice.choice((None, machine.created.isoformat(timespec="microseconds")[:-6])),  # no zone
        "operationalStateExpiration": None,
        "remoteProfilingStateExpiration": None,
    }


def _settings(machine: Host, dice: random.Random) -> Agent:
    return {
        "consoleMigrationStatus": "N/A",
        "installerType": _INSTALLERS.get(machine.platform.family, "unknown"),
        "mitigationMode": dice.choice(("protect", "protect", "detect")),
        "mitigationModeSuspicious": "detect",
        "operationalState": "na",
        "rangerStatus": dice.choice(("Enabled", "Disabled", "NotApplicable")),
        "rangerVersion": dice.choice((None, "23.2.0.4")),
        "remoteProfilingState": "disabled",
        "activeProtection": ["fullProtection"],
        "locationEnabled": machine.platform.family == "windows",
        "locationType": dice.choice(("fallback", "specific", "not_applicable")),
        "storageName": None,
        "storageType": None,
        "hasContainerizedWorkload": machine.platform.kind == "container",
    }


def _surroundings(machine: Host, dice: random.Random) -> Agent:
    places = [{"id": "629380164464502476", "name": dice.choice(("Fallback", "Head office")), "scope": "global"}]
    author = {"assignedBy": "Security Operations", "assignedById": "433241117337583618"}
    tags = [
        {"assignedAt": iso(machine.created), **author, "id": f"14{dice.getrandbits(55)}", "key": key, "value": value}
        for key, value in (("site", machine.site.name), ("owner", machine.person.email))
    ]
    return {
        "locations": places if machine.platform.family == "windows" else None,
        "cloudProviders": _cloud(machine),
        "containerizedWorkloadCounts": _workloads(machine),
        "proxyStates": {"console": False, "deepVisibility": dice.choice((False, None))},
        "tags": {"sentinelone": tags},
    }


def _cloud(machine: Host) -> Agent:
    if machine.platform.maker == "VMware, Inc.":
        return {"ESXI": {}}
    if machine.platform.maker == "Amazon EC2":
        place = {
            "cloudAccount": "123456789012",
            "cloudLocation": "eu-west-3",
            "cloudInstanceSize": machine.platform.model,
        }
        return {
            "AWS": {**place, "cloudInstanceId": f"i-{machine.uuid.hex[:17]}", "cloudTags": ["Env:lab"], "awsRole": None}
        }
    if machine.platform.maker == "Google":
        cluster = {"clusterName": "lab", "agentNamespace": "sentinelone", "agentPodName": f"s1-agent-{machine.index}"}
        return {
            "GCP": {
                "cloudAccount": "lab-project",
                "cloudLocation": "europe-west9-a",
                "kubernetesType": "gke",
                **cluster,
            }
        }
    return {}


def _workloads(machine: Host) -> Agent | None:
    return (
        {"podsCount": 12, "containersCount": 31, "tasksCount": None} if machine.platform.kind == "container" else None
    )


ODDITIES: tuple[dict[str, Any], ...] = (
    {"locationType": "fallback", "locations": [{"id": "9", "name": "Fallback", "scope": "global"}]},
    {"locationType": "not_applicable"},
    {"osType": None, "osName": "Windows 10 Pro", "osRevision": "19045"},
    {"externalIp": None, "lastIpToMgmt": "192.0.2.40", "networkInterfaces": []},
    {"lastIpToMgmt": "::ffff:192.0.2.41"},
    {"domain": "N/A", "modelName": "To Be Filled By O.E.M.", "siteName": "Not Specified"},
    {"computerName": "UNKNOWN-7\0", "domain": "none.example.org"},
    {"osStartTime": ZERO},
    *(
        {"networkInterfaces": [{"id": "1", "name": "Ethernet", "physical": mac, "inet": ["127.0.0.1", "192.0.2.9"]}]}
        for mac in EMPTY_MACS
    ),
    {
        "networkInterfaces": [
            {"id": "1", "name": "TP-Link 5G Wireless USB Adapter", "inet": [], "inet6": ["fe80::1", "2001:db8::5"]},
            {"id": "2", "name": "docker0", "physical": "02:42:ac:11:00:01", "inet": ["192.0.2.2", "192.0.2.3"]},
        ]
    },
)  # fmt: skip
"""Of real hosts, that the vendor's documentation does not name."""
