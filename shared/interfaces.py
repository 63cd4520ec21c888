"""Network interfaces: the type an adapter's name tells, MAC and IP addresses in one form.

Types and ids are those of OCSF's `network_interface` object (1.5.0): 0 Unknown, 1 Wired, 2 Wireless, 3 Mobile, 4 Tunnel.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple


class InterfaceType(NamedTuple):
    """OCSF caption and id."""

    type: str
    type_id: int


UNKNOWN = InterfaceType("Unknown", 0)
WIRED = InterfaceType("Wired", 1)
WIRELESS = InterfaceType("Wireless", 2)
MOBILE = InterfaceType("Mobile", 3)
TUNNEL = InterfaceType("Tunnel", 4)

# Words, not letters: "Neptune" and "Fortune" hold "tun", "Tapestry" holds "tap". A VPN's adapter is named before the
# medium it runs over ("Wireless VPN" is a tunnel), mobile broadband before "Ethernet" and "Wireless" ("Wireless WAN").
_WORDS = {
    TUNNEL: "tun tap utun vti gre gretap sit ipsec ppp pptp l2tp sstp ikev2 teredo isatap 6to4 ip6tnl tunl tunnel "
    "tunneling vpn openvpn wireguard wintun wg tailscale zerotier zt nordlynx protonvpn anyconnect globalprotect pangp "
    "fortissl fortinet forticlient zscaler",
    MOBILE: "wwan wwp lte umts gsm cdma 3g 4g 5g cellular mobile rmnet pdp modem broadband",
    WIRELESS: "wifi wlan wlp wlx wl wlo ath ra wireless airport 802.11 wlanext",
    WIRED: "eth ethernet em eno ens enp enx lan gigabit gbe nic vmxnet vmxnet3 e1000 e1000e realtek 10gbe 2.5gbe 802.3",
}
_KINDS = {word: kind for kind, words in reversed(_WORDS.items()) for word in words.split()}
_PAIRS = {
    ("wi", "fi"): WIRELESS,
    ("local", "area"): WIRED,
    ("mobile", "broadband"): MOBILE,
    ("wireless", "wan"): MOBILE,
}
_WORD = re.compile(r"802\.\d+|[a-z]+\d+[a-z]+\d*|\d+(?:\.\d+)?[a-z]+|[a-z]+")
_MAC_GROUPS = re.compile(r"[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}(?:(?:\1[0-9a-f]{2}){2})?")
_MAC_DOTTED = re.compile(r"[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}")
_MAC_BARE = re.compile(r"[0-9a-f]{12}")
_MAC_USUAL = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")  # what nearly all are: one look instead of five


@lru_cache(maxsize=4096)
def classify(name: str | None) -> InterfaceType:
    """What an adapter's name says of its medium: `tun0`, "OpenVPN TAP", "Wi-Fi 2", "wlan0", "eth0" …; else UNKNOWN."""
    if not name:
        return UNKNOWN
    words = _WORD.findall(name.lower())
    pairs = set(pairwise(words))
    found = {kind for pair, kind in _PAIRS.items() if pair in pairs}
    for word in words:
        found.update(_KINDS[form] for form in (word, word.rstrip("0123456789"), _predictable(word)) if form in _KINDS)
    return next((kind for kind in _WORDS if kind in found), UNKNOWN)


def typed(interface: dict[str, Any], kind: InterfaceType) -> dict[str, Any]:
    """The same interface, with OCSF's `type` and `type_id`."""
    interface["type"], interface["type_id"] = kind
    return interface


def _predictable(word: str) -> str:
    """`enp3s0`, `wlp2s0f1`, `enx001122334455`: systemd's predictable names → `enp`, `wlp`, `enx`."""
    found = re.match(r"(en|wl|ww)([opsx])(?=\d|[0-9a-f]{12})", word)
    return found.group(0) if found else word


def clean_mac(value: Any) -> str | None:
    """A MAC (EUI-48, or EUI-64) with `:`, `-`, dots or nothing between → upper case with colons; else None.

    00:00:00:00:00:00 is what agents give for an interface that has none, so it is None.
    """
    if not isinstance(value, str):
        return None
    if _MAC_USUAL.fullmatch(value):
        return None if value == "00:00:00:00:00:00" else value.upper()
    text = value.strip().lower()
    if not (_MAC_GROUPS.fullmatch(text) or _MAC_DOTTED.fullmatch(text) or _MAC_BARE.fullmatch(text)):
        return None
    digits = re.sub(r"[:.-]", "", text).upper()
    if not digits.strip("0"):
        return None
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def clean_ip(value: Any) -> str | None:
    """An IPv4 or IPv6 address in canonical form, without a prefix length or zone (`fe80::1%eth0/64`); else None.

    The C library reads the usual forms ten times as fast as `ipaddress`, and where both read one they agree, but for
    IPv4 inside of IPv6.
    """
    if not isinstance(value, str) or len(value) > 100:
        return None
    try:
        if ":" not in value:
            socket.inet_pton(socket.AF_INET, value)
            return value
        found = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, value))
    except (OSError, ValueError):
        return _unusual_ip(value)
    return _unusual_ip(value) if "." in found else found


@lru_cache(maxsize=1024)
def _unusual_ip(value: str) -> str | None:
    try:
        return str(ipaddress.ip_address(value.strip().split("/", 1)[0].split("%", 1)[0]))
    except ValueError:
        return None
