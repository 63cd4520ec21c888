"""Network interfaces: the type by an adapter's name, MAC and IP addresses in one form, and which of them are nobody's.

Types and ids are those of OCSF's `network_interface` object (1.5.0): 0 Unknown, 1 Wired, 2 Wireless, 3 Mobile, 4 Tunnel.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Any, NamedTuple

from shared.times import PADDING


class InterfaceType(NamedTuple):
    """OCSF caption and id."""

    type: str
    type_id: int


UNKNOWN = InterfaceType("Unknown", 0)
WIRED = InterfaceType("Wired", 1)
WIRELESS = InterfaceType("Wireless", 2)
MOBILE = InterfaceType("Mobile", 3)
TUNNEL = InterfaceType("Tunnel", 4)

# Words, not letters: "Neptune" and "Fortune" hold "tun", "Tapestry" holds "tap". The first line that has a word of the name
# decides: a VPN's adapter is named before the medium it runs over ("Wireless VPN" is a tunnel), mobile broadband before
# "Ethernet" and "Wireless" ("Wireless WAN"), and Wi-Fi before a mere generation ("5G Wireless USB Adapter").
_WORDS = (
    (
        TUNNEL,
        "tun tap utun vti gre gretap sit ipsec ppp pptp l2tp sstp ikev2 teredo isatap 6to4 ip6tnl tunl tunnel tunneling "
        "vpn openvpn wireguard wintun wg tailscale zerotier zt nordlynx protonvpn anyconnect globalprotect pangp "
        "fortissl fortinet forticlient zscaler",
    ),
    (MOBILE, "wwan wwp lte umts gsm cdma cellular mobile rmnet pdp modem broadband"),
    (WIRELESS, "wifi wlan wlp wlx wl wlo ath ra wireless airport 802.11 wlanext"),
    (MOBILE, "3g 4g 5g"),
    (
        WIRED,
        "eth ethernet em eno ens enp enx lan gigabit gbe nic vmxnet e1000 e1000e realtek 10gbe 2.5gbe 802.3",
    ),
)
_RANKS: dict[str | tuple[str, str], int] = {
    word: rank for rank, (_, words) in enumerate(_WORDS) for word in words.split()
} | {("mobile", "broadband"): 1, ("wireless", "wan"): 1, ("wi", "fi"): 2, ("local", "area"): 4}
_MAX_NAME = 128  # characters: an endpoint names its adapters as it likes, and only the beginning is looked at
# Each digit is consumed by one alternative or another, so that a name of digits is read once, not once a digit.
_WORD = re.compile(r"(802\.\d{1,2}|[a-z]+(?:\d+[a-z]+)?\d*|\d+(?:\.\d+)?[a-z]+\d*)|\d+")
_DIGITS = "0123456789"
_MAC_GROUPS = re.compile(r"[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}")
_MAC_DOTTED = re.compile(r"[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}")
_MAC_BARE = re.compile(r"[0-9a-f]{12}")
_MAX_MAC = 100  # characters
# What nearly all MACs are: one look instead of four. Written out: a repeated group takes twice as long.
_is_usual_mac = re.compile("|".join(sep.join(["[0-9A-Fa-f][0-9A-Fa-f]"] * 6) for sep in ":-")).fullmatch
_NOBODYS_MACS = {
    "00:00:00:00:00:00",
    "FF:FF:FF:FF:FF:FF",
    "02:00:00:00:00:00",  # what mobile systems show in place of the real one
    "20:41:53:59:4E:FF",  # Windows' dial-up adapter, the same on every host
}
_MAX_ADDRESSES = 1000  # characters of a text that lists addresses
_MAX_ENTRIES = 10_000  # of a list of addresses
_BETWEEN = re.compile(rf"[,;{re.escape(PADDING)}]+")
_AROUND = re.compile(rf"[,;/%{re.escape(PADDING)}]")  # without any of it, nobody reads what the C library does not
_LINK_LOCAL = ("169.254.", "fe8", "fe9", "fea", "feb")
_is_usual_link_local = re.compile(r"fe80::[0-9a-f:]{1,34}").fullmatch
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
_NOBODYS_OCTETS = frozenset((0, 127, 255))  # an address that is nobody's begins with one of these


def classify(name: str | None) -> InterfaceType:
    """The medium by an adapter's name: `tun0`, "OpenVPN TAP", "Wi-Fi 2", "wlan0", "eth0" …; else UNKNOWN."""
    return _classified(name[:_MAX_NAME]) if name else UNKNOWN


@lru_cache(maxsize=4096)
def _classified(name: str) -> InterfaceType:
    words = [word for word in _WORD.findall(name.lower()) if word]
    stems = [word.rstrip(_DIGITS) for word in words]
    forms: chain[str | tuple[str, str]] = chain(words, stems, map(_predictable, words), pairwise(stems))
    rank = min((_RANKS[form] for form in forms if form in _RANKS), default=None)
    return UNKNOWN if rank is None else _WORDS[rank][0]


def typed(interface: dict[str, Any], default: InterfaceType | None = None) -> dict[str, Any]:
    """The same interface, with OCSF's `type` and `type_id`: by its name, else the default, else none."""
    name = interface.get("name")
    kind = _classified(name[:_MAX_NAME]) if name else UNKNOWN
    if kind is not UNKNOWN:
        interface["type"], interface["type_id"] = kind
    elif default:
        interface["type"], interface["type_id"] = default
    return interface


def interfaces_of(
    adapters: Sequence[tuple[dict[str, Any], Sequence[str]]],
    others: Iterable[str] = (),
    default: InterfaceType | None = None,
) -> list[dict[str, Any]] | None:
    """Adapters with their addresses → interfaces: each adapter, with its first address if it has any.

    Behind them each further address (not link-local) as one more interface of its adapter, and each of the `others` that
    no adapter has, typed by default. None without any.
    """
    found: list[dict[str, Any]] = []
    further: list[dict[str, Any]] = []
    for adapter, ips in adapters:
        if len(ips) > 1:
            more = (ip for ip in dict.fromkeys(ips[1:]) if ip != ips[0] and not is_link_local(ip))
            further += [{**adapter, "ip": ip} for ip in more]
        if ips:
            adapter["ip"] = ips[0]
        if adapter:
            found.append(adapter)
    for ip in others:
        if not any(ip in ips for _, ips in adapters):
            further.append(typed({"ip": ip}, default))
    return found + further or None


def _predictable(word: str) -> str:
    """`enp3s0`, `wlp2s0f1`, `enx001122334455`: systemd's predictable names → `enp`, `wlp`, `enx`."""
    found = re.match(r"(en|wl|ww)([opsx])(?=\d|[0-9a-f]{12})", word)
    return found.group(0) if found else word


def clean_mac(value: Any) -> str | None:
    """A MAC of six octets with `:`, `-`, dots or nothing between → upper case with colons; else None.

    None too for what agents report in place of one: zeros, ones, and two that many hosts have alike. OCSF's `mac_t` has
    six octets; an EUI-64 is None.
    """
    if not isinstance(value, str) or len(value) > _MAX_MAC:
        return None
    mac = value.upper().replace("-", ":") if _is_usual_mac(value) else _unusual_mac(value.strip(PADDING).lower())
    return None if mac in _NOBODYS_MACS else mac


def _unusual_mac(text: str) -> str | None:
    if not (_MAC_GROUPS.fullmatch(text) or _MAC_DOTTED.fullmatch(text) or _MAC_BARE.fullmatch(text)):
        return None
    digits = re.sub(r"[:.-]", "", text).upper()
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def clean_ip(value: Any) -> str | None:
    """An address of a host in canonical form; of several in one text the first; None without any. See `clean_ips`."""
    found = clean_ips(value)
    return found[0] if found else None


def clean_ips(value: Any) -> tuple[str, ...]:
    """The addresses in a string (separated by comma, semicolon or space), or in a list of strings, in their order.

    In canonical form, without prefix length or zone (`fe80::1%eth0/64`); IPv4 inside IPv6 (`::ffff:203.0.113.9`) is IPv4.
    What is nobody's address is left out: unspecified, broadcast, loopback. A list is read to 10,000 entries.
    """
    if type(value) is list and len(value) == 1 and type(value[0]) is str:  # as nearly all are
        value = value[0]
    if type(value) is str:
        return () if len(value) > _MAX_ADDRESSES else _ips(value)
    if not value or not isinstance(value, list):
        return ()
    found: list[str] = []  # a tuple would be copied for each entry
    for one in value if len(value) < _MAX_ENTRIES else value[:_MAX_ENTRIES]:
        if type(one) is str and len(one) <= _MAX_ADDRESSES:
            found += _ips(one)
    return tuple(found)


def routable_ips(value: Any) -> tuple[str, ...]:
    """As `clean_ips`, without link-local addresses; their usual form, of which each adapter has one, is not parsed."""
    if isinstance(value, list):
        value = [one for one in value[:_MAX_ENTRIES] if type(one) is str and not _is_usual_link_local(one)]
    found = clean_ips(value)
    return tuple([ip for ip in found if not is_link_local(ip)]) if found else ()


def _ips(value: str) -> tuple[str, ...]:
    """The C library reads the usual forms ten times as fast as `ipaddress`, and where both read one they agree, but for
    IPv4 inside of IPv6.
    """
    try:
        if ":" not in value:
            return (value,) if inet_pton(AF_INET, value)[0] not in _NOBODYS_OCTETS else _unusual_ips(value)
        found = inet_ntop(AF_INET6, inet_pton(AF_INET6, value))
    except (OSError, ValueError):
        return _unusual_ips(value) if _AROUND.search(value) else ()
    return _unusual_ips(value) if "." in found or len(found) < 4 else (found,)


def preferred_ip(*lists: Any) -> str | None:
    """The first address of the lists that is not link-local, else the first there is."""
    first: str | None = None
    for addresses in lists:
        for ip in clean_ips(addresses):
            if not is_link_local(ip):
                return ip
            first = first or ip
    return first


def clean_mask(value: Any) -> str | None:
    """A subnet mask (255.255.255.0) or a network with its prefix, as it is; of several the first; anything else is None."""
    return _mask(value) if type(value) is str and len(value) <= _MAX_ADDRESSES else None


@lru_cache(maxsize=256)  # a fleet has few masks
def _mask(value: str) -> str | None:
    return next((one for one in _BETWEEN.split(value) if one == str(_BROADCAST) or clean_ips(one)), None)


def is_link_local(address: str) -> bool:
    """Whether an address (in canonical form) is one that a host gave itself: 169.254.0.0/16, fe80::/10."""
    return address.startswith(_LINK_LOCAL) and address[3] != ":"  # fe8::1 is 0fe8::1


def _unusual_ips(value: str) -> tuple[str, ...]:
    return tuple(filter(None, map(_canonical, _BETWEEN.split(value))))


def _canonical(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text.partition("/")[0].partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    nobodys = address.is_unspecified or address.is_loopback or address == _BROADCAST
    return None if nobodys else str(address)
