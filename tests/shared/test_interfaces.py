"""Network interfaces: what a name tells, and one form for each address."""

from __future__ import annotations

import ipaddress
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.interfaces import (
    MOBILE,
    TUNNEL,
    UNKNOWN,
    WIRED,
    WIRELESS,
    InterfaceType,
    classify,
    clean_ip,
    clean_ips,
    clean_mac,
    interfaces_of,
    is_link_local,
    routable_ips,
    typed,
)

NAMES = {
    TUNNEL: [
        *("tun0", "tap1", "utun3", "wg0", "ppp0", "ipsec0", "tailscale0", "OpenVPN", "OpenVPN TAP-Windows6"),
        *("WireGuard Tunnel", "Wireless VPN", "Cisco AnyConnect", "Microsoft Teredo Tunneling Adapter"),
        *("PANGP Virtual Ethernet Adapter", "Fortinet SSL VPN Virtual Ethernet Adapter"),
        *("WAN Miniport (IKEv2)", "ikev2", "Microsoft 6to4 Adapter", "6to4", "Wireless VPN 5G"),
    ],
    MOBILE: [
        *("WWAN", "LTE", "wwan0", "wwp0s20f0u3i12", "rmnet0", "5G Modem", "Cellular"),
        *("Mobile Broadband", "Wireless WAN", "Mobile Broadband Ethernet", "5G USB Adapter", "4G LTE Wireless Modem"),
    ],
    WIRELESS: [
        *("Wi-Fi", "Wi-Fi 2", "WiFi", "wlan0", "802.11", "wlp2s0", "wlp2s0f1", "wlx001122334455", "ath0"),
        *("TP-Link 5G Wireless USB Adapter", "Wi-Fi 5G", "Intel(R) Wi-Fi 6 AX201", "wifi6"),
        *("Wireless LAN", "Intel(R) Dual Band Wireless-AC 8265", "Broadcom 802.11ac Network Adapter"),
    ],
    WIRED: [
        *("eth0", "eth10", "em1", "eno1", "ens33", "enp3s0", "enx001122334455", "Ethernet", "Ethernet 2"),
        *("Local Area Connection", "vmxnet3 Ethernet Adapter", "Intel(R) 82574L Gigabit Network Connection"),
        *("Realtek PCIe GbE Family Controller", "LAN", "Intel e1000", "e1000e", "vmxnet3", "Realtek 2.5GbE", "802.3"),
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


@pytest.mark.parametrize(
    "written", ["02:42:ac:11:00:02", "02:00:00:00:00:01", "20:41:53:59:4e:fe", "00:00:00:00:00:01"]
)
def test_a_mac_that_resembles_a_placeholder_is_sent(written: str) -> None:
    """Docker's, and neighbours of the placeholders."""
    assert clean_mac(written) == written.upper()


@pytest.mark.parametrize(
    "value",
    [
        *("", "n/a", "00:00:00:00:00:00", "000000000000", "00:11:22:33:44", "00:11:22:33:44:5g", "00:11-22:33:44:55"),
        *("00-11-22-33-44-55-66-77", "00:00:5E:FF:FE:00:53:01"),  # EUI-64: OCSF's type has six octets
        *("ff:ff:ff:ff:ff:ff", "FFFF.FFFF.FFFF", "02:00:00:00:00:00", "020000000000", "20-41-53-59-4e-ff", "\0" * 17),
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
    nobodys = {"000000000000", "ffffffffffff", "020000000000", "204153594eff"}
    assert clean == (octets.hex(":").upper() if octets.hex() not in nobodys else None)
    assert clean is None or clean_mac(clean) == clean


anything = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text()), st.binary())


@given(anything | st.text(alphabet="0123456789abcdefABCDEF:-. "))
def test_nothing_makes_cleaning_a_mac_fail(value: object) -> None:
    clean = clean_mac(value)
    assert clean is None or re.fullmatch(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}", clean)


@pytest.mark.parametrize(
    ("written", "clean"),
    [
        ("10.0.0.1", "10.0.0.1"),
        (" 10.0.0.1/24 ", "10.0.0.1"),
        ("FE80:0:0:0:0:0:0:1%eth0", "fe80::1"),
        ("fe80::1%eth0/64", "fe80::1"),
        ("2001:DB8::A/64", "2001:db8::a"),
        ("10.0.0.1\0\0", "10.0.0.1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::FFFF:203.0.113.9%eth0/128", "203.0.113.9"),
        ("2001:4860:4860::8888", "2001:4860:4860::8888"),
        ("0.0.0.1", "0.0.0.1"),
        ("255.255.255.254", "255.255.255.254"),
        ("::2", "::2"),
    ],
)
def test_an_address_is_sent_in_canonical_form_without_prefix_or_zone(written: str, clean: str) -> None:
    assert clean_ip(written) == clean


@pytest.mark.parametrize(
    "value",
    [
        *("", "n/a", "10.0.0", "10.0.0.256", "010.0.0.1", "fe80", "host.example", "1" * 200, "10.0.0.1 " * 200),
        *(
            "0.0.0.0",
            "0.0.0.0/0",
            "127.0.0.1",
            "127.8.9.10",
            "255.255.255.255",
            "::",
            "::1",
            "::1%lo0/128",
            "0:0:0:0:0:0:0:1",
        ),
        *("::ffff:127.0.0.1", "::ffff:0.0.0.0", "\0\0", " , ; "),
        *("١٠.0.0.1", None, 167772161, True, [], {}, b"\n\x00\x00\x01"),
    ],
)
def test_what_is_no_address_is_absent(value: object) -> None:
    """A number is read as an IPv4 address by `ipaddress`: a count must not become one."""
    assert clean_ip(value) is None
    assert clean_ips(value) == ()


@given(st.ip_addresses())
def test_an_address_has_one_canonical_form_and_keeps_it(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    meant = getattr(address, "ipv4_mapped", None) or address
    nobodys = meant.is_unspecified or meant.is_loopback or str(meant) == "255.255.255.255"
    assert clean_ip(address.exploded) == clean_ip(str(address)) == (None if nobodys else str(meant))


@given(anything | st.text(alphabet="0123456789abcdef:.%/"))
def test_nothing_makes_cleaning_an_address_fail(value: object) -> None:
    clean = clean_ip(value)
    assert clean is None or clean_ip(clean) == clean


@pytest.mark.parametrize(
    ("written", "addresses"),
    [
        ("192.0.2.7, 192.0.2.8", ("192.0.2.7", "192.0.2.8")),
        ("192.0.2.7;2001:DB8::5  192.0.2.8/24", ("192.0.2.7", "2001:db8::5", "192.0.2.8")),
        ("127.0.0.1,192.0.2.7", ("192.0.2.7",)),
        ("0.0.0.0 n/a ::1", ()),
        (["192.0.2.7", None, 5, "192.0.2.8,192.0.2.9", ["192.0.2.10"]], ("192.0.2.7", "192.0.2.8", "192.0.2.9")),
        ([], ()),
        ({"0": "192.0.2.7"}, ()),
    ],
)
def test_several_addresses_in_one_string_or_list_are_each_one(written: object, addresses: tuple[str, ...]) -> None:
    assert clean_ips(written) == addresses
    if isinstance(written, str):
        assert clean_ip(written) == (addresses[0] if addresses else None)


@pytest.mark.parametrize(
    ("address", "link_local"),
    [
        *((one, True) for one in ("169.254.10.20", "fe80::1", "febf:ffff::1", "fe9a::")),
        *((one, False) for one in ("169.253.0.1", "192.168.1.5", "fec0::1", "fe7f::1", "fe8::1", "2001:db8::5")),
    ],
)
def test_a_link_local_address_is_one_the_host_gave_itself(address: str, link_local: bool) -> None:
    assert is_link_local(address) is ipaddress.ip_address(address).is_link_local is link_local


def test_routable_addresses_are_those_that_are_not_link_local() -> None:
    found = routable_ips(
        ["fe80::1", "FE80::2%eth0", "2001:DB8::5", "fe80::3, 2001:db8::6", "169.254.1.1", "fe80::zz", "::1", None]
    )
    assert found == ("2001:db8::5", "2001:db8::6")
    assert routable_ips("fe80::1 2001:db8::5") == ("2001:db8::5",)
    assert routable_ips(None) == ()


def test_an_interface_is_typed_by_its_name_else_by_the_default_else_not_at_all() -> None:
    assert typed({"name": "wlan0"}, WIRED) == {"name": "wlan0", "type": "Wireless", "type_id": 2}
    assert typed({"name": "port 7"}, WIRED) == {"name": "port 7", "type": "Wired", "type_id": 1}
    assert typed({}, UNKNOWN) == {"type": "Unknown", "type_id": 0}
    assert typed({"name": "port 7"}) == {"name": "port 7"}


def test_further_addresses_of_an_adapter_follow_behind_all_adapters() -> None:
    one, two = {"name": "one", "mac": "02:00:5E:00:00:01"}, {"name": "two"}
    found = interfaces_of(
        [(one, ("192.0.2.1", "192.0.2.2", "192.0.2.2", "fe80::1", "192.0.2.1")), (two, ()), ({}, ())],
        ["192.0.2.3", "fe80::1"],
    )
    assert found == [
        {"name": "one", "mac": "02:00:5E:00:00:01", "ip": "192.0.2.1"},
        {"name": "two"},
        {"name": "one", "mac": "02:00:5E:00:00:01", "ip": "192.0.2.2"},
        {"ip": "192.0.2.3"},
    ]
    assert interfaces_of([({}, ())]) is None


@pytest.mark.parametrize("piece", ["1", "1.", "a1", "1a", "802.", "a", "é", ":"])
def test_a_name_of_any_length_costs_what_a_short_one_costs(piece: str) -> None:
    """20,000 digits took 8 s in one regular expression, four times as long as half of them: an endpoint names its adapters."""

    def cost(length: int) -> float:
        names = [f"{length}-{number}-{piece * length}" for number in range(20)]  # each once: a known name is remembered
        started = time.process_time()
        for name in names:
            classify(name)
        return time.process_time() - started

    assert min(cost(20_000 + n) for n in range(3)) < 30 * min(cost(150 + n) for n in range(3))


def test_the_beginning_of_a_long_name_decides() -> None:
    assert classify("wlan0 " + "1" * 20_000) == WIRELESS
    assert classify("1" * 20_000 + " wlan0") == UNKNOWN


@given(st.text("0123456789abcdefABCDEF:.xg", max_size=45) | st.ip_addresses().map(str))
def test_what_the_c_library_does_not_read_without_separators_is_no_address(text: str) -> None:
    """So that such a text is not parsed twice: 10,000 of them in a list took 80 ms."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        assert clean_ips(text) == ()
    else:
        mapped = getattr(address, "ipv4_mapped", None) or address
        assert clean_ips(text) in ((), (str(mapped),))
        assert clean_ips(f" {text}") == clean_ips(text)


def test_a_list_of_addresses_is_read_to_its_bound_whatever_is_looked_at_first() -> None:
    assert len(routable_ips(["fe80::1"] * 10_000 + ["192.0.2.7"])) == 0
    assert len(clean_ips(["192.0.2.7"] * 20_000)) == 10_000
