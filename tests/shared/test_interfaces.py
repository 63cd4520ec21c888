"""Network interfaces: what a name tells, and one form for each address."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.interfaces import MOBILE, TUNNEL, UNKNOWN, WIRED, WIRELESS, InterfaceType, classify, clean_ip, clean_mac

NAMES = {
    TUNNEL: [
        *("tun0", "tap1", "utun3", "wg0", "ppp0", "ipsec0", "tailscale0", "OpenVPN", "OpenVPN TAP-Windows6"),
        *("WireGuard Tunnel", "Wireless VPN", "Cisco AnyConnect", "Microsoft Teredo Tunneling Adapter"),
        *("PANGP Virtual Ethernet Adapter", "Fortinet SSL VPN Virtual Ethernet Adapter"),
    ],
    MOBILE: [
        *("WWAN", "LTE", "wwan0", "wwp0s20f0u3i12", "rmnet0", "5G Modem", "Cellular"),
        *("Mobile Broadband", "Wireless WAN", "Mobile Broadband Ethernet"),
    ],
    WIRELESS: [
        *("Wi-Fi", "Wi-Fi 2", "WiFi", "wlan0", "802.11", "wlp2s0", "wlp2s0f1", "wlx001122334455", "ath0"),
        *("Wireless LAN", "Intel(R) Dual Band Wireless-AC 8265", "Broadcom 802.11ac Network Adapter"),
    ],
    WIRED: [
        *("eth0", "eth10", "em1", "eno1", "ens33", "enp3s0", "enx001122334455", "Ethernet", "Ethernet 2"),
        *("Local Area Connection", "vmxnet3 Ethernet Adapter", "Intel(R) 82574L Gigabit Network Connection"),
        *("Realtek PCIe GbE Family Controller", "LAN"),
    ],
    UNKNOWN: [
        *("Neptune", "Fortune", "Tapestry", "Tuna Network", "Catalan", "Sitting", "Methane", "Rapid", "Whale"),
        *("lo", "Loopback Pseudo-Interface 1", "docker0", "br-1234", "", " ", "0", "\ud800"),
    ],
}


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for kind, names in NAMES.items() for name in names])
def test_a_name_tells_its_type_by_words_not_letters(name: str, kind: InterfaceType) -> None:
    """`tun` inside Neptune and Fortune, and `tap` inside Tapestry, made tunnels of them."""
    assert classify(name) == kind


@pytest.mark.parametrize("name", [name for names in NAMES.values() for name in names])
def test_letter_case_and_space_around_a_name_tell_nothing(name: str) -> None:
    assert classify(f" {name.upper()} ") == classify(name)


def test_no_name_is_an_unknown_type() -> None:
    assert classify(None) == UNKNOWN


@given(st.text())
def test_any_name_has_one_of_the_five_types(name: str) -> None:
    assert classify(name) in (UNKNOWN, WIRED, WIRELESS, MOBILE, TUNNEL)


@pytest.mark.parametrize(
    "written",
    [
        *("00:1a:2B:3c:4d:5E", "00-1A-2B-3C-4D-5E", "001a.2b3c.4d5e", "001A2B3C4D5E", " 00:1a:2b:3c:4d:5e\n"),
    ],
)
def test_every_way_to_write_a_mac_becomes_one(written: str) -> None:
    assert clean_mac(written) == "00:1A:2B:3C:4D:5E"


def test_an_eight_byte_address_is_a_mac_too() -> None:
    assert clean_mac("00-11-22-33-44-55-66-77") == "00:11:22:33:44:55:66:77"


@pytest.mark.parametrize(
    "value",
    [
        *("", "n/a", "00:00:00:00:00:00", "000000000000", "00:11:22:33:44", "00:11:22:33:44:5g", "00:11-22:33:44:55"),
        *("0:1:2:3:4:5", "00:11:22:33:44:55:66", "001122334455667788", "10.0.0.1", "٠٠:١١:٢٢:٣٣:٤٤:٥٥"),
        *(None, 0, 1122334455, True, [], {}, b"00:11:22:33:44:55"),
    ],
)
def test_what_is_no_mac_is_absent(value: object) -> None:
    assert clean_mac(value) is None


@given(st.binary(min_size=6, max_size=6), st.sampled_from([":", "-", ""]), st.booleans())
def test_a_mac_has_one_canonical_form_and_keeps_it(octets: bytes, between: str, upper: bool) -> None:
    written = octets.hex(between) if between else octets.hex()
    clean = clean_mac(written.upper() if upper else written)
    assert clean == (octets.hex(":").upper() if any(octets) else None)
    assert clean is None or clean_mac(clean) == clean


anything = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text()), st.binary())


@given(anything | st.text(alphabet="0123456789abcdefABCDEF:-. "))
def test_nothing_makes_cleaning_a_mac_fail(value: object) -> None:
    clean = clean_mac(value)
    assert clean is None or re.fullmatch(r"[0-9A-F]{2}(:[0-9A-F]{2}){5,7}", clean)


@pytest.mark.parametrize(
    ("written", "clean"),
    [
        ("10.0.0.1", "10.0.0.1"),
        (" 10.0.0.1/24 ", "10.0.0.1"),
        ("FE80:0:0:0:0:0:0:1%eth0", "fe80::1"),
        ("fe80::1%eth0/64", "fe80::1"),
        ("2001:DB8::A/64", "2001:db8::a"),
        ("127.0.0.1", "127.0.0.1"),
        ("::", "::"),
    ],
)
def test_an_address_is_sent_in_canonical_form_without_prefix_or_zone(written: str, clean: str) -> None:
    assert clean_ip(written) == clean


@pytest.mark.parametrize(
    "value",
    [
        *("", "n/a", "10.0.0", "10.0.0.256", "010.0.0.1", "fe80", "host.example", "10.0.0.1, 10.0.0.2", "1" * 200),
        *("١٠.0.0.1", None, 167772161, True, [], {}, b"\n\x00\x00\x01"),
    ],
)
def test_what_is_no_address_is_absent(value: object) -> None:
    """A number is read as an IPv4 address by `ipaddress`: a count must not become one."""
    assert clean_ip(value) is None


@given(st.ip_addresses())
def test_an_address_has_one_canonical_form_and_keeps_it(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert clean_ip(address.exploded) == clean_ip(str(address)) == str(address)


@given(anything | st.text(alphabet="0123456789abcdef:.%/"))
def test_nothing_makes_cleaning_an_address_fail(value: object) -> None:
    clean = clean_ip(value)
    assert clean is None or clean_ip(clean) == clean
