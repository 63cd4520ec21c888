"""Where a token may go beside the configured host: nowhere it was not meant for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests import Request

from shared.errors import UnexpectedReply
from shared.http.urls import origin, sibling

HOME = "https://api.central.example.com"


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://api-eu.central.example.com", "https://api-eu.central.example.com"),
        ("https://api-eu.central.example.com/", "https://api-eu.central.example.com"),
        ("https://a.b.central.example.com/base/", "https://a.b.central.example.com/base"),
        ("http://api-eu.central.example.com/", "https://api-eu.central.example.com"),
        (" HTTP://api-eu.central.example.com", "https://api-eu.central.example.com"),
        ("https://api-eu.central.example.com:443", "https://api-eu.central.example.com:443"),
        ("https://API-EU.Central.Example.COM", "https://API-EU.Central.Example.COM"),
        (HOME, HOME),
        ("http://api.central.example.com", HOME),
    ],
)
def test_a_host_of_the_same_domain_is_taken_over_https(link: str, url: str) -> None:
    assert sibling("Vendor", link, HOME) == url


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example",
        "https://central.example.com",
        "https://example.com",
        "https://api.other.example.com",
        "https://evilcentral.example.com",
        "https://api.central.example.com.evil.example",
        "https://api-eu.central.example.com:8443",
        "http://api-eu.central.example.com:80",
        "https://api-eu.central.example.com@evil.example",
        "https://user:secret@api-eu.central.example.com",
        "https://evil.example\\.central.example.com",
        "https://x%2f.central.example.com",
        "https://x%00.central.example.com",
        "https://a..central.example.com",
        "https://evil.example/.central.example.com",
        "https://evil.example?.central.example.com",
        "https://evil.example#.central.example.com",
        "https://evil.example\n.central.example.com",
        "https://evil.example%2f.central.example.com",
        "https://x%2F.central.example.com",
        "https://evil.example%00.central.example.com",
        "https://a..central.example.com",
        "https://127.0.0.1",
        "http://localhost:8080",
        "ftp://api-eu.central.example.com",
        "//api-eu.central.example.com",
        "api-eu.central.example.com",
        "",
        "https://",
        "https://[",
        "https://api-eu.central.example.com:port",
    ],
)
def test_any_other_host_is_refused(link: str) -> None:
    with pytest.raises(UnexpectedReply, match="nothing was sent there"):
        sibling("Vendor", link, HOME)


@pytest.mark.parametrize(
    ("home", "link"),
    [
        ("https://example.com", "https://evil.com"),
        ("https://intranet", "https://elsewhere"),
        ("https://10.0.0.5", "https://66.0.0.5"),
        ("https://10.0.0.5", "https://evil.0.0.5"),
        ("https://[2001:db8::5]", "https://[2001:db8::6]"),
        ("https://api.localhost", "https://evil.localhost.example"),
    ],
)
def test_a_home_without_a_domain_of_its_own_has_no_siblings(home: str, link: str) -> None:
    with pytest.raises(UnexpectedReply):
        sibling("Vendor", link, home)
    assert sibling("Vendor", home, home) == home


def test_a_home_with_a_port_is_a_place_to_go_to_itself() -> None:
    home = "https://proxy.example.com:8443"
    assert sibling("Vendor", home, home) == home
    with pytest.raises(UnexpectedReply):
        sibling("Vendor", "https://proxy.example.com:8444", home)


@pytest.mark.parametrize("home", ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"])
def test_this_very_machine_may_name_any_of_its_ports(home: str) -> None:
    other = home.replace("8000", "9000")
    assert sibling("Vendor", f"{other}/", home) == other
    for elsewhere in ("https://evil.example", "http://evil.example:8000", "https://127.0.0.2:8000", "https://1.0.0.1"):
        with pytest.raises(UnexpectedReply):
            sibling("Vendor", elsewhere, home)


pieces = st.lists(
    st.sampled_from(
        [
            "https://",
            "http://",
            "central.example.com",
            "api",
            ".",
            "evil.example",
            "@",
            "\\",
            "/",
            "#",
            "?",
            ":",
            "443",
            "%2e",
        ]
    )
    | st.text(max_size=3),
    max_size=8,
).map("".join)


@given(pieces)
def test_whatever_is_taken_leads_requests_to_the_domain_over_https(link: str) -> None:
    try:
        url = sibling("Vendor", link, HOME)
    except UnexpectedReply:
        return
    scheme, host, port = origin(str(Request("GET", f"{url}/path").prepare().url))
    assert (scheme, port) == ("https", 443)
    assert host.endswith(".central.example.com")
