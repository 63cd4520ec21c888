"""The machines of the fleet, without anything of a vendor."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from lab.fleet.names import DOMAIN, FIRST, LAST, PLAIN, SITE_CODES, SITES, TEAMS


@dataclass(frozen=True, slots=True)
class Platform:
    """A kind of machine, and how many of a thousand are of it."""

    weight: int
    family: str  # windows, linux, macos, android, ios
    kind: str  # desktop, laptop, server, virtual, container, storage, mobile
    system: str  # "Windows 11 Pro", "Ubuntu"
    version: str  # "22H2", "22.04.4 LTS"
    build: str  # "22631", "5.15.0-101-generic"
    maker: str
    model: str
    code: str  # in the host's name


@dataclass(frozen=True, slots=True)
class Person:
    """`login` is ASCII, `name` is not always."""

    name: str
    login: str
    email: str


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Interface:
    """`mac` is six lower-case octets with colons; addresses have no prefix length."""

    name: str
    mac: str
    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]
    gateway: str | None


@dataclass(frozen=True, slots=True)
class Host:
    """One machine. Times are aware, UTC, with microseconds; `ahead`: the host's clock runs before ours."""

    index: int
    uuid: uuid.UUID
    name: str
    platform: Platform
    person: Person
    site: Group
    team: Group
    domain: str | None
    serial: str | None
    interfaces: tuple[Interface, ...]
    public_ip: str
    cores: int
    memory_mb: int
    created: datetime
    updated: datetime
    seen: datetime
    booted: datetime
    ahead: bool

    @property
    def virtual(self) -> bool:
        return self.platform.kind in ("virtual", "container")


ENDPOINTS = (
    Platform(260, "windows", "laptop", "Windows 11 Pro", "23H2", "22631", "Dell Inc.", "Latitude 5440", "LT"),
    Platform(170, "windows", "laptop", "Windows 10 Pro", "22H2", "19045", "LENOVO", "21F8002DFR", "LT"),
    Platform(160, "windows", "desktop", "Windows 10 Enterprise", "22H2", "19045", "HP", "EliteDesk 800 G6", "WS"),
    Platform(90, "windows", "server", "Windows Server 2019 Standard", "1809", "17763", "VMware, Inc.", "VMware20,1", "SRV"),
    Platform(40, "windows", "server", "Windows Server 2022 Datacenter", "21H2", "20348", "HPE", "ProLiant DL360 Gen10", "SRV"),
    Platform(10, "windows", "desktop", "Windows 7 Professional", "SP1", "7601", "Dell Inc.", "OptiPlex 7010", "OLD"),
    Platform(100, "macos", "laptop", "macOS", "14.4.1", "23E224", "Apple Inc.", "MacBookPro18,3", "MBP"),
    Platform(20, "macos", "desktop", "macOS", "12.5", "21G72", "Apple Inc.", "Macmini9,1", "MAC"),
    Platform(70, "linux", "server", "Ubuntu", "22.04.4 LTS", "5.15.0-101-generic", "Amazon EC2", "t3.medium", "LNX"),
    Platform(35, "linux", "server", "Red Hat Enterprise Linux", "8.9 (Ootpa)", "4.18.0-513.el8.x86_64", "QEMU", "Standard PC", "LNX"),
    Platform(15, "linux", "virtual", "Debian GNU/Linux", "12 (bookworm)", "6.1.0-18-amd64", "VMware, Inc.", "VMware7,1", "VM"),
    Platform(18, "linux", "container", "Ubuntu", "20.04.6 LTS", "5.4.0-173-generic", "Google", "Google Compute Engine", "K8S"),
    Platform(12, "linux", "storage", "ONTAP", "9.13.1", "9.13.1P4", "NetApp", "AFF-A250", "NAS"),
)  # fmt: skip
WITH_MOBILES = (
    *ENDPOINTS,
    Platform(60, "android", "mobile", "Android", "14", "UP1A.231005.007", "Samsung", "SM-S911B", "AND"),
    Platform(80, "ios", "mobile", "iOS", "17.4.1", "21E236", "Apple Inc.", "iPhone15,2", "IOS"),
)
_CLOCK_AHEAD = 0.01
_MISSED = 2.2  # of an exponential distribution: one host in nine is above
_SAME_WRITE = 0.03  # hosts that one write of the console touched together: they share `updated` to the microsecond


def iso(moment: datetime, timespec: str = "microseconds") -> str:
    """UTC with a Z, in the form of most vendors' times; `timespec` as of `datetime.isoformat`."""
    return moment.astimezone(UTC).isoformat(timespec=timespec)[:-6] + "Z"


def hosts(
    count: int, seed: int = 7, now: datetime | None = None, platforms: Sequence[Platform] = ENDPOINTS
) -> Iterator[Host]:
    """The first `count` hosts; those of a larger fleet from the same seed begin with the same ones."""
    now = now or datetime.now(UTC)
    return (host(index, seed, now, platforms) for index in range(count))


def host(index: int, seed: int, now: datetime, platforms: Sequence[Platform] = ENDPOINTS) -> Host:
    """The host of that number, the same for the same arguments."""
    dice = random.Random(f"host:{seed}:{index}")
    platform = dice.choices(platforms, cum_weights=_cumulated(platforms))[0]
    site, team = dice.randrange(len(SITES)), dice.randrange(len(TEAMS))
    person = _person(dice)
    ahead = dice.random() < _CLOCK_AHEAD
    created = now - timedelta(seconds=dice.uniform(2e6, 6e7))
    updated = _last_write(dice, now, created)
    seen = now + timedelta(seconds=dice.uniform(600, 86_400)) if ahead else now - _silence(dice)
    joined = platform.family == "windows" or dice.random() < 0.2
    return Host(
        index=index,
        uuid=uuid.UUID(int=dice.getrandbits(128), version=4),
        name=_name(dice, platform, site, index, person),
        platform=platform,
        person=person,
        site=Group(SITES[site], site),
        team=Group(TEAMS[team], team),
        domain=DOMAIN if joined else None,
        serial=None if platform.maker in ("VMware, Inc.", "QEMU") else f"{dice.getrandbits(36):09X}",
        interfaces=_interfaces(dice, platform, index),
        public_ip=f"203.0.113.{dice.randrange(1, 255)}",
        cores=dice.choice((2, 4, 8, 8, 12, 16)),
        memory_mb=dice.choice((8, 16, 16, 32, 64)) * 1024 - dice.randrange(500),
        created=created,
        updated=max(updated, seen) if ahead else updated,
        seen=max(seen, created),
        booted=min(now, seen) - timedelta(seconds=dice.uniform(3_600, 2e6)),
        ahead=ahead,
    )


def _cumulated(platforms: Sequence[Platform]) -> list[int]:
    return list(accumulate(platform.weight for platform in platforms))


def _silence(dice: random.Random) -> timedelta:
    """Since a host was last seen: hours for nine in ten; the others were on holiday, in a drawer, or lost for months."""
    rarity = dice.expovariate(1.0)
    if rarity < _MISSED:
        return timedelta(seconds=20_000 * rarity)
    return min(timedelta(seconds=20_000 * _MISSED * 4.5 ** (rarity - _MISSED)), timedelta(days=300))


def _last_write(dice: random.Random, now: datetime, created: datetime) -> datetime:
    if dice.random() < _SAME_WRITE:
        return max(
            now.replace(minute=0, second=0, microsecond=125_000) - timedelta(hours=dice.randrange(1, 48)), created
        )
    return max(now - timedelta(seconds=dice.expovariate(1 / 300_000) + 60), created)


def _person(dice: random.Random) -> Person:
    first, last = dice.choice(FIRST), dice.choice(LAST)
    login = f"{first[0]}.{last}".translate(PLAIN).replace(" ", "").lower()
    return Person(f"{first} {last}", login, f"{login}@example.com")


def _name(dice: random.Random, platform: Platform, site: int, index: int, person: Person) -> str:
    if platform.family in ("macos", "ios") and dice.random() < 0.4:
        thing = {"laptop": "MacBook Pro", "desktop": "Mac mini"}.get(platform.kind, "iPhone")
        return f"{thing} de {person.name.split()[0]}" if dice.random() < 0.5 else f"{person.name.split()[0]}’s {thing}"
    name = f"{SITE_CODES[site]}-{platform.code}-{index:06}"
    return f"{name.lower()}.{DOMAIN}" if platform.family == "linux" else name


def _interfaces(dice: random.Random, platform: Platform, index: int) -> tuple[Interface, ...]:
    first, second = _card_names(platform)
    net = f"10.{index >> 16 & 255}.{index >> 8 & 255}"
    cards = [
        Interface(
            first,
            _mac(dice),
            (f"{net}.{index & 255 or 254}",),
            (
                f"fe80::{dice.getrandbits(16):x}:{dice.getrandbits(16):x}",
                f"2001:db8:{index >> 16:x}:{index & 65535:x}::1",
            ),
            f"{net}.1",
        )
    ]
    if platform.kind == "laptop" or dice.random() < 0.25:
        cards.append(
            Interface(second, _mac(dice), (f"192.168.{dice.randrange(255)}.{dice.randrange(2, 255)}",), (), None)
        )
    return tuple(cards)


def _card_names(platform: Platform) -> tuple[str, str]:
    if platform.family == "windows":
        return "Ethernet", "Wi-Fi"
    if platform.family in ("macos", "ios"):
        return "en0", "utun3"
    return ("wlan0", "rmnet0") if platform.kind == "mobile" else ("ens160", "docker0")


def _mac(dice: random.Random) -> str:
    """From the range kept for documentation (RFC 7042), or a random one with the locally administered bit."""
    if dice.random() < 0.1:
        return f"00:00:5e:00:53:{dice.randrange(256):02x}"
    return ":".join(f"{octet:02x}" for octet in (0x02, *dice.randbytes(5)))
