"""A private authority's certificate: read however a form has mangled it, and trusted instead of all others."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from requests.auth import AuthBase

from lab.platform.server import LocalServer, answer_json
from shared.errors import ActionNeeded
from shared.http.session import ApiSession, Patience
from shared.http.tokens import Anonymous
from shared.http.trust import authority
from tests.certificates import Authority

ONCE = Patience(connect=2.0, read=2.0, attempts=1)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture
def server(ours: Authority) -> Iterator[LocalServer]:
    site = LocalServer()
    site.tls = ours.server()
    site.route("GET", "/things", "things", lambda: answer_json([1, 2]))
    with site:
        yield site


def session(server: LocalServer, verify: bool | str | ssl.SSLContext, auth: AuthBase | None = None) -> ApiSession:
    return ApiSession("Vendor", server.url, auth or Anonymous(), verify=verify, patience=ONCE)


def test_a_server_of_the_authority_is_trusted(server: LocalServer, ours: Authority) -> None:
    assert session(server, authority(ours.pem)).call("GET", "/things").json == [1, 2]


def test_without_it_the_server_is_not_trusted(server: LocalServer) -> None:
    with pytest.raises(ActionNeeded, match="authority is not known here"):
        session(server, True).call("GET", "/things")


def test_another_authority_of_the_same_name_is_not_enough(server: LocalServer, tmp_path: Path) -> None:
    with pytest.raises(ActionNeeded, match="No trusted TLS connection"):
        session(server, authority(Authority(tmp_path / "theirs").pem)).call("GET", "/things")


def test_the_host_name_is_still_verified(ours: Authority, tmp_path: Path) -> None:
    site = LocalServer()
    site.tls = ours.server("DNS:console.example.com")
    site.route("GET", "/things", "things", lambda: answer_json([]))
    with site, pytest.raises(ActionNeeded, match="for another host name"):
        session(site, authority(ours.pem)).call("GET", "/things")


def test_the_environments_bundle_neither_replaces_nor_joins_it(
    server: LocalServer, ours: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where REQUESTS_CA_BUNDLE is set, `requests` would take that bundle for any call that asks to be verified."""
    bundle, theirs = tmp_path / "bundle.pem", Authority(tmp_path / "theirs")
    bundle.write_text(theirs.pem)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    assert session(server, authority(ours.pem)).call("GET", "/things").json == [1, 2]
    bundle.write_text(ours.pem)
    with pytest.raises(ActionNeeded, match="No trusted TLS connection"):
        session(server, authority(theirs.pem)).call("GET", "/things")


@pytest.mark.parametrize(
    "mangle",
    [
        lambda pem: pem.replace("\n", " "),
        lambda pem: pem.replace("\n", "\\n"),
        lambda pem: pem.replace("\n", "\r\n"),
        lambda pem: pem.replace("\n", "\\r\\n"),
        lambda pem: f"  subject=/CN=Test authority\n{pem}\n",
        lambda pem: pem + pem,
        lambda pem: "".join(f"    {line}\n" for line in pem.splitlines()),
    ],
    ids=["spaces", "written", "windows", "written for windows", "with a comment", "twice", "indented"],
)
def test_a_certificate_is_read_however_a_form_has_mangled_it(
    server: LocalServer, ours: Authority, mangle: Callable[[str], str]
) -> None:
    assert session(server, authority(mangle(ours.pem))).call("GET", "/things").json == [1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "my certificate",
        "/etc/ssl/ca.pem",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----",
        "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\n====\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nc2Vjc\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nclé\n-----END CERTIFICATE-----",
    ],
)
def test_what_is_no_certificate_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="contains") as caught:
        authority(text)
    assert "c2Vjc" not in str(caught.value)
