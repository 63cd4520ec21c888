"""HarfangLab agents as managers 2.15 and 24.12 list them, with the odd values real ones hold.

Keys, types and odd values are those of samples that the vendor's integrations publish; every value is made here.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.fleet.hosts import Host, host, iso
from lab.fleet.real_hosts import ZERO, as_real_hosts_are, make_odd_rarely

Agent = dict[str, Any]

_NAMES = {"Windows Server 2019 Standard": "WindowsServer2019Standard"}  # some products come in one word
_DISTRIBUTIONS = {"Ubuntu": "ubuntu", "Debian GNU/Linux": "debian", "Red Hat Enterprise Linux": "generic-linux"}
_SWITCHES = 140  # a real policy has some 160 keys, most of them switches: these stand in for their weight


def harfanglab_agents(
    count: int, seed: int = 7, now: datetime | None = None, *, odd: bool = True, broken: float = 0.0
) -> Iterator[Agent]:
    """Agents, one at a time. `odd` lets some differ as live ones do, all still a device; `broken` is the share that
    cannot be one, for want of an `id`.
    """
    now = now or datetime.now(UTC)
    return (harfanglab_agent(index, seed, now, odd=odd, broken=broken) for index in range(count))


def harfanglab_agent(index: int, seed: int, now: datetime, *, odd: bool = True, broken: float = 0.0) -> Agent:
    """The agent of that number: the same for the same arguments, and with the same `id` for any `now`."""
    machine = host(index, seed, now)
    dice = random.Random(f"harfanglab:{seed}:{index}")
    agent = {
        **_identity(machine, dice),
        **_system(machine, dice),
        **_times(machine),
        **_network(machine),
        **_state(machine, dice),
        "policy": _policy(machine, dice),
    }
    if dice.random() < 0.2:
        _make_old(agent, machine)
    if odd:
        _make_odd(agent, dice)
        as_real_hosts_are(agent, "harfanglab", ODDITIES, seed, index)
    if dice.random() < broken:
        agent["id"] = None
    return agent


def _identity(machine: Host, dice: random.Random) -> Agent:
    group = {"id": str(uuid.UUID(int=machine.team.number + 1, version=4)), "name": machine.team.name}
    directory = machine.domain.partition(".")[0].upper() if machine.domain else None
    return {
        "id": str(machine.uuid),
        "hostname": machine.name.partition(".")[0],
        "domainname": (directory or "WORKGROUP") if machine.platform.family == "windows" else directory,
        "dnsdomainname": machine.domain,
        "domain": None,
        "description": dice.choice((None, None, None, f"{machine.person.name}, {machine.site.name}")),
        "groups": [group],
        "group_count": 1,
        "tenant": None,
        "origin_stack": {
            "id": "a1c5b5a8-53dc-4b8f-9d0c-2f4f6f0c1d11",
            "name": "Lab stack",
            "is_current": True,
            "is_supervisor": False,
            "is_tenant": True,
        },
        "additional_info": {f"additional_info{number}": None for number in range(1, 5)},
        "machine_serial": machine.serial or "0",
    }


def _system(machine: Host, dice: random.Random) -> Agent:
    platform = machine.platform
    numbers = [int(part) for part in platform.version.split(" ")[0].split(".") if part.isdecimal()]
    windows = platform.family == "windows"
    return {
        "ostype": platform.family,
        "osproducttype": _NAMES.get(platform.system, platform.system)
        if windows
        else f"{platform.system} {platform.version}",
        "producttype": "server" if platform.kind in ("server", "storage", "container", "virtual") else "workstation",
        "distroid": _DISTRIBUTIONS.get(platform.system),
        "osversion": f"10.0.{platform.build}" if windows else platform.build,
        "osmajor": 10 if windows else next(iter(numbers), None),
        "osminor": 0 if windows else None,
        "osbuild": int(platform.build) if windows else None,
        "osid": f"00330-{dice.randrange(10**5):05}-{dice.randrange(10**5):05}-AA{dice.randrange(1000):03}"
        if windows
        else None,
        "servicepack": None,
        "bitness": "x64",
        "version": dice.choice(("24.12.11-4e5f6a7b8c9d-lab", "24.12.11", "24.9.6-post0")),
        "driver_version": "24.12.3" if windows else None,
        "cpu_count": machine.cores,
        "cpu_frequency": dice.choice((2_400, 2_400, 2_400.5)),
        "total_memory": machine.memory_mb * 1_048_576,
    }


def _times(machine: Host) -> Agent:
    """`installdate` is the system's, by the host's clock; after `lastseen_*` the manager counts the host as missing."""
    return {
        "firstseen": iso(machine.created),
        "lastseen": iso(machine.seen),
        "lastseen_warning": iso(machine.seen + timedelta(seconds=132)),
        "lastseen_error": iso(machine.seen + timedelta(seconds=330)),
        "starttime": iso(machine.booted + timedelta(seconds=40)),
        "machine_boottime": iso(machine.booted, "seconds"),
        "installdate": (machine.created - timedelta(days=3)).isoformat(" ", timespec="seconds"),
        "telemetry": None,
        "telemetry_last_update": None,
        "boot_loop_protection_end_date": None,
        "antivirus_last_update_date": iso(machine.seen - timedelta(hours=5)),
        "antivirus_rules_last_update_date": iso(machine.seen - timedelta(hours=2)),
        "quarantine_last_update": None,
        "windows_groups_last_update": None,
        "windows_users_last_update": None,
    }


def _network(machine: Host) -> Agent:
    """One address and its subnet; the subnet has its gateway, but the host has no MAC."""
    card = machine.interfaces[0]
    subnet = None
    if card.gateway:
        name = f"{machine.site.name} LAN" if machine.index % 3 == 0 else None
        subnet = {
            "id": str(uuid.UUID(int=machine.index // 200 + 1, version=4)),
            "name": name,
            "gateway_ipaddress": card.gateway,
            "gateway_macaddress": "00-00-5E-00-53-01",
            "gateway_oui": None,
        }
    return {
        "ipaddress": card.ipv4[0],
        "ipmask": "255.255.255.0",
        "external_ipaddress": machine.public_ip,
        "subnet": subnet,
    }


def _state(machine: Host, dice: random.Random) -> Agent:
    windows = machine.platform.family == "windows"
    disks = dice.choice((1, 1, 1, 2, 3))
    return {
        "status": "online" if dice.random() < 0.8 else "offline",
        "disk_count": disks,
        "encrypted_disk_count": dice.randint(0, disks),
        "has_valid_password": dice.choice((True, True, False, None)),
        "isolation_state": False,
        "isolation_policy": False,
        "driver_enabled": windows,
        "driver_policy": windows,
        "is_ppl_antimalware": windows and dice.random() < 0.5,
        "antivirus_name": "Lab AV" if windows else None,
        "antivirus_version": "4.18.24090.11" if windows else None,
        "antivirus_rules_version": "108237" if windows else None,
        **{name: round(dice.random(), 3) for name in ("avg_cpu", "avg_system_cpu", "avg_av_cpu")},
        **{name: dice.randrange(10**8) for name in ("avg_memory", "avg_system_memory", "avg_av_memory")},
        **dict.fromkeys(("uninstall_status", "update_status"), 0),
        **dict.fromkeys(("task_statuses", "refresh_properties_status", "refresh_quarantine_status")),
        **dict.fromkeys(("rollback_version", "pinned_version", "boot_loop_protection_boot_count")),
        **{f"effective_{name}_revision": dice.randrange(50) for name in ("sigma", "yara", "ioc", "whitelist")},
    }


def _policy(machine: Host, dice: random.Random) -> Agent:
    number = machine.team.number
    return {
        "id": str(uuid.UUID(int=1000 + number, version=4)),
        "name": f"{machine.team.name} policy",
        "description": dice.choice(("", None)),
        "revision": 12 + number,
        "tenant": None,
        "sleeptime": 60,
        "sleepjitter": 10,
        "windows_self_protection_feature_firewall": number % 3 != 0,
        **{f"{name}_ruleset": str(uuid.UUID(int=2000 + number, version=4)) for name in ("sigma", "yara", "ioc")},
        **{f"telemetry_{name}_state": "on_alert" if number % 2 else "live" for name in ("process", "network", "dns")},
        "windows_self_protection": True,
        "use_process_block": number % 2 == 0,
        **{f"lab_switch_{place:03}": (number + place) % 4 != 0 for place in range(_SWITCHES)},
    }


def _make_old(agent: Agent, machine: Host) -> None:
    """Make it an agent of release 2.15: no subnet or disks, another form of `installdate`, numbers as ids of
    rulesets."""
    for name in ("subnet", "disk_count", "encrypted_disk_count", "has_valid_password", "driver_version"):
        agent.pop(name)
    agent |= {
        "version": "2.15.0",
        "installdate": (machine.created - timedelta(days=3)).strftime("%Y/%m/%d %H:%M:%S"),
        "effective_policy_id": agent["policy"]["id"],
        "effective_policy_revision": agent["policy"]["revision"],
        "update_experimental": False,
    }
    agent["policy"] |= {"sigma_ruleset": 1, "yara_ruleset": None, "ioc_ruleset": 1, "telemetry_process": True}


def _make_odd(agent: Agent, dice: random.Random) -> None:
    """Add oddities that were seen in live managers, each rarely; the record is still a device."""
    make_odd_rarely(agent, _ODDITIES, 0.006, dice)
    if dice.random() < 0.005:  # an agent that never completed its first contact
        for name in [name for name in agent if name not in ("id", "hostname", "ostype", "status", "version")]:
            del agent[name]


_ODDITIES: tuple[Agent, ...] = (
    {"policy": None},
    {"subnet": None},
    {"disk_count": None, "encrypted_disk_count": None},
    {"disk_count": 1, "encrypted_disk_count": 2},
    {"disk_count": 0, "encrypted_disk_count": 0},
    {"groups": None, "group_count": None},
    {"groups": [], "group_count": None},
    {"ostype": None, "osproducttype": None},
    {"ostype": "Windows"},
    {"ipaddress": "<REDACTED>", "ipmask": "<REDACTED>"},
    {"ipaddress": None, "ipmask": None, "subnet": None},
    {"producttype": None},
    {"producttype": "test-type"},
    {"hostname": None},
    {"hostname": ""},
    {"additional_info": {}},
    {"additional_info": None},
    {"machine_boottime": None, "starttime": "2026-01-05T07:12:44.000000Z"},
    {"installdate": ""},
    {"origin_stack": "lab", "tenant": "6f1e"},
    {"hostname": "工作站-北京"},
)

ODDITIES: tuple[dict[str, Any], ...] = (
    {"producttype": None, "osproducttype": "Windows Server 2019 Datacenter", "ostype": "windows"},
    {"producttype": None, "osproducttype": "WindowsServer2016Standard", "ostype": None},
    {"ostype": None, "osproducttype": "Windows 10 Pro"},
    {"ostype": "linux", "osproducttype": "Ubuntu 22.04.4 LTS", "distroid": "ubuntu"},  # under a Windows policy
    {"ipaddress": "0.0.0.0"},
    {"ipaddress": "127.0.0.1"},
    {"ipaddress": "192.0.2.7, 192.0.2.8"},
    {"ipmask": "255.255.255.255"},
    {"domainname": "N/A", "producttype": "unknown", "description": "-"},
    {"hostname": "UNKNOWN-7\0\0", "domainname": "none.example.org"},
    {"lastseen": ZERO},
    {"groups": [{"id": "2b1f", "name": None}, {"id": "2b20", "name": "unknown"}]},
    {"tenant": {"id": "6f1e", "name": "Example Corp"}},
    {"hostname": "srv-7.corp.example.com", "dnsdomainname": "corp.example.com"},
)  # fmt: skip
"""Of real hosts, that the vendor's documentation does not name."""
