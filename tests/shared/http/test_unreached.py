"""Calls without a reply, over real connections: proxies that refuse, certificates that cannot be trusted, names nobody knows.

Each message names the cause and who has to act; a bundle or a proxy that cannot be used is named by its variable, unsent.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
import requests
import trustme

from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.http import environment, wire
from shared.http.session import ApiSession, Patience
from shared.http.tokens import Anonymous
from shared.http.trust import authority
from shared.http.unreached import UNREACHABLE, UNTRUSTED, unreachable

ONCE = Patience(connect=2.0, read=2.0, attempts=1)
ELSEWHERE = "https://console.example"
DAY = timedelta(days=1)
PASSWORD = "s3cr3t-pr0xy"
ADVICE = {UNREACHABLE: "Vendor's advice on the port.", UNTRUSTED: "Vendor's advice on the authority."}


@contextmanager
def serving(answer: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that hands each connection to `answer`; the port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(OSError):
                        if tls:
                            connection = tls.wrap_socket(connection, server_side=True)
                        answer(connection)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def saying(text: str) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(text.encode())

    return answer


OK = saying("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]")


def proxying(status: str) -> Callable[[socket.socket], None]:
    return saying(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")


def error_of(url: str, patience: Patience = ONCE, verify: bool | ssl.SSLContext = True) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        ApiSession("Vendor", url, Anonymous(), patience=patience, advice=ADVICE, verify=verify).call("GET", "/things")
    said = str(caught.value)
    assert PASSWORD not in said
    assert "Error" not in said, "no name of a Python class"
    return caught.value


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*environment.BUNDLES, "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


# --- proxies


@pytest.mark.parametrize(
    ("status", "user", "kind", "words"),
    [
        ("407 Proxy Authentication Required", "", ActionNeeded, r"asks for a user name and a password \(HTTP 407\)"),
        (
            "407 Proxy Authentication Required",
            f"me:{PASSWORD}@",
            ActionNeeded,
            r"does not accept this user name and password \(HTTP 407\)",
        ),
        ("403 Forbidden", "", ActionNeeded, r"forbids the connection to Vendor at console.example \(HTTP 403\)"),
        ("405 Method Not Allowed", "", ActionNeeded, "forbids the connection"),
        ("502 Bad Gateway", "", TryAgain, r"did not reach Vendor at console.example \(HTTP 502\)"),
        ("429 Too Many Requests", "", TryAgain, "did not reach Vendor"),
    ],
)
def test_a_proxy_that_refuses_is_named_and_no_other_is_blamed(
    status: str, user: str, kind: type, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(proxying(status)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{user}127.0.0.1:{port}")
        error = error_of(ELSEWHERE)
    assert type(error) is kind
    assert str(error).startswith(f"The proxy 127.0.0.1:{port} ")
    assert re.search(words, str(error)), str(error)
    assert "Vendor's advice" not in str(error)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (
            "http://127.0.0.1:1",
            "The proxy 127.0.0.1:1 to Vendor at console.example could not be reached: the connection was refused. Check the address in",
        ),
        (
            "127.0.0.1:1",
            "The proxy 127.0.0.1:1 to Vendor at console.example could not be reached: the connection was refused.",
        ),
        (
            " http://127.0.0.1:1 ",
            "The proxy 127.0.0.1:1 to Vendor at console.example could not be reached: the connection was refused.",
        ),
        (
            "http://no-such-proxy.invalid:3128",
            "The proxy no-such-proxy.invalid:3128 to Vendor at console.example could not be reached: the host name is unknown",
        ),
        (
            "no-such-proxy.invalid",
            "The proxy no-such-proxy.invalid to Vendor at console.example could not be reached: the host name is unknown",
        ),
    ],
)
def test_a_proxy_that_is_not_reached_is_named_and_http_without_a_scheme(
    address: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", address)
    error = error_of(ELSEWHERE)
    assert isinstance(error, TryAgain)
    assert words in str(error)
    assert "https_proxy" in str(error)


def test_a_proxy_without_tls_that_is_called_with_it_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(proxying("400 Bad Request")) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{port}")
        error = error_of(ELSEWHERE)
    assert f"The proxy 127.0.0.1:{port} does not speak TLS. Enter its address in HTTPS_PROXY with http://." == str(
        error
    )


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("address", "words"),
    [
        (f"http://me:{PASSWORD}#@127.0.0.1:1", "percent-encoded"),
        (f"http://me:{PASSWORD}/@127.0.0.1:1", "percent-encoded"),
        (f"http://me:{PASSWORD}?@127.0.0.1:1", "percent-encoded"),
        (f"http://12:3#{PASSWORD}@127.0.0.1:1", "percent-encoded"),
        (f"http://me:{PASSWORD}@", "is not an address"),
        ("http://127.0.0.1:99999", "is not an address"),
        ("http//127.0.0.1:1", "is not an address"),
        ("http://", "is not an address"),
        ("see the intranet", "is not an address"),
        (f"socks5://me:{PASSWORD}@127.0.0.1:1", "SOCKS proxy, which needs the Python package PySocks"),
        ("ftp://127.0.0.1:1", "has a scheme other than http and https"),
    ],
)
def test_a_proxy_address_that_cannot_be_used_is_named_by_its_variable(
    variable: str, address: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One was "InvalidURL … check the configuration", of the vendor, another an internal error."""
    monkeypatch.setenv(variable, address)
    error = error_of(ELSEWHERE)
    assert isinstance(error, ActionNeeded)
    assert str(error).startswith(f"The proxy in the environment variable {variable} ")
    assert words in str(error)


def test_a_host_in_no_proxy_is_called_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert "at 127.0.0.1:1: the connection was refused" in str(error_of("https://127.0.0.1:1"))


def test_a_call_goes_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    def tunnel(connection: socket.socket) -> None:
        asked.append(connection.recv(65_536))
        connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")

    with serving(tunnel) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"me:{PASSWORD}@127.0.0.1:{port}")
        error_of(ELSEWHERE)
    assert asked[0].startswith(b"CONNECT console.example:443 ")
    assert b"Proxy-Authorization: Basic " in asked[0]


# --- TLS


@pytest.fixture(scope="module")
def ours() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(ours: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment's bundle, with our authority."""
    path = tmp_path / "bundle.pem"
    ours.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    return path


def context(leaf: trustme.LeafCert, *, whole_chain: bool = True) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if whole_chain:
        leaf.configure_cert(found)
        return found
    with ExitStack() as stack:
        pem = trustme.Blob(leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes())
        found.load_cert_chain(stack.enter_context(pem.tempfile()))
    return found


def tls_error(tls: ssl.SSLContext, verify: bool | ssl.SSLContext = True) -> str:
    with serving(OK, tls) as port:
        error = error_of(f"https://127.0.0.1:{port}", verify=verify)
    assert isinstance(error, ActionNeeded)
    prefix = f"No trusted TLS connection to Vendor at 127.0.0.1:{port}: "
    assert str(error).startswith(prefix)
    return str(error).removeprefix(prefix)


@pytest.mark.usefixtures("trusted")
def test_a_certificate_that_is_not_valid_yet_is_about_our_clock(ours: trustme.CA) -> None:
    now = datetime.now(UTC)
    said = tls_error(context(ours.issue_cert("127.0.0.1", not_before=now + DAY, not_after=now + 2 * DAY)))
    assert said.startswith(f"its certificate is not valid yet by this machine's clock ({now:%Y-%m-%dT%H:}")
    assert said.endswith("Set the clock of this machine.")


@pytest.mark.usefixtures("trusted")
def test_a_certificate_that_has_expired_is_about_the_server_or_the_clock(ours: trustme.CA) -> None:
    now = datetime.now(UTC)
    said = tls_error(context(ours.issue_cert("127.0.0.1", not_before=now - 2 * DAY, not_after=now - DAY)))
    assert "its certificate has expired by this machine's clock" in said
    assert "has to be renewed" in said


@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another_name_is_about_the_host_name(ours: trustme.CA) -> None:
    said = tls_error(context(ours.issue_cert("other.example")))
    assert said.startswith("its certificate is for another host name. Check the host name")
    assert ADVICE[UNTRUSTED] not in said


def test_an_unknown_authority_has_the_vendors_advice(ours: trustme.CA) -> None:
    said = tls_error(context(ours.issue_cert("127.0.0.1")))
    assert said == f"its certificate's authority is not known here. {ADVICE[UNTRUSTED]}"


@pytest.mark.usefixtures("trusted")
def test_a_missing_intermediate_certificate_is_called_so_by_the_usual_advice(ours: trustme.CA) -> None:
    leaf = ours.create_child_ca().issue_cert("127.0.0.1")
    with serving(OK, context(leaf)) as port:
        assert ApiSession("Vendor", f"https://127.0.0.1:{port}", Anonymous(), patience=ONCE).call("GET", "/").json == []
    with serving(OK, context(leaf, whole_chain=False)) as port:
        session = ApiSession("Vendor", f"https://127.0.0.1:{port}", Anonymous(), patience=ONCE)
        with pytest.raises(ActionNeeded, match="the server has to send its intermediate certificates"):
            session.call("GET", "/")


def test_an_own_authority_still_verifies_while_the_environments_bundle_is_broken(
    ours: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file.pem")
    verify = authority(ours.cert_pem.bytes().decode())
    with serving(OK, context(ours.issue_cert("127.0.0.1"))) as port:
        session = ApiSession("Vendor", f"https://127.0.0.1:{port}", Anonymous(), verify=verify, patience=ONCE)
        assert session.call("GET", "/").json == []


def test_a_port_without_tls_is_about_the_port() -> None:
    with serving(OK) as port:
        error = error_of(f"https://127.0.0.1:{port}")
    assert "it does not speak TLS on this port. Check the port" in str(error)


def test_an_old_version_of_tls_is_about_the_server(ours: trustme.CA) -> None:
    tls = context(ours.issue_cert("127.0.0.1"))
    with pytest.warns(DeprecationWarning):
        tls.minimum_version, tls.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    tls.set_ciphers("ALL:@SECLEVEL=0")
    assert "it refused the TLS handshake. It may ask for a client certificate or offer only old versions" in tls_error(
        tls
    )


@pytest.mark.parametrize("reset", [False, True])
def test_a_handshake_that_is_cut_is_retried(reset: bool) -> None:
    """It was one try, and "check the certificate"."""
    tries: list[int] = []

    def cut(connection: socket.socket) -> None:
        tries.append(1)
        connection.recv(10)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    with serving(cut) as port:
        error = error_of(f"https://127.0.0.1:{port}", Patience(connect=2.0, read=2.0, first_wait=0.01))
    assert isinstance(error, TryAgain)
    assert len(tries) == 3
    assert "cut" in str(error)


# --- the bundle of the environment


@pytest.mark.parametrize("variable", environment.BUNDLES)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "which cannot be read (No such file or directory)"),
        ("", "which contains no certificate in PEM form"),
        ("junk", "which contains no certificate in PEM form"),
        ("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", "which contains no certificate"),
        ("-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n", "which contains no certificate"),
    ],
    ids=["missing", "empty", "junk", "key", "broken"],
)
def test_a_bundle_that_cannot_be_used_is_named_by_its_variable_before_any_call(
    variable: str, content: str | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was "Internal error: OSError", "SSLError" and a traceback."""
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(ActionNeeded) as caught:
        ApiSession("Vendor", ELSEWHERE, Anonymous())
    assert str(caught.value).startswith(f"The environment variable {variable} names {path}, {words}")
    assert environment.bundle_to_report_with() == requests.certs.where()


@pytest.mark.parametrize("variable", environment.BUNDLES)
def test_each_variable_of_a_bundle_is_heeded(
    variable: str, ours: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bundle.pem"
    ours.cert_pem.write_to_path(str(path))
    monkeypatch.setenv(variable, f" {path} ")
    with serving(OK, context(ours.issue_cert("127.0.0.1"))) as port:
        assert ApiSession("Vendor", f"https://127.0.0.1:{port}", Anonymous(), patience=ONCE).call("GET", "/").json == []


def test_a_bundle_that_was_corrected_is_used(ours: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bundle.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(ActionNeeded):
        environment.bundle()
    ours.cert_pem.write_to_path(str(path))
    assert environment.bundle() == str(path)


# --- names and connections


def test_an_unknown_host_is_about_the_name_and_not_about_the_port() -> None:
    """A HarfangLab URL without a port had "Check the port"."""
    error = error_of("https://no-such-host.invalid")
    assert "could not be reached at no-such-host.invalid: the host name is unknown. Check the host name" in str(error)
    assert "port" not in str(error)


def test_a_server_that_does_not_speak_http_is_explained() -> None:
    with serving(saying("SSH-2.0-server\r\n")) as port:
        assert "does not speak HTTP" in str(error_of(f"http://127.0.0.1:{port}"))


def test_an_error_of_no_known_kind_repeats_none_of_its_text() -> None:
    said = str(unreachable("Vendor", "console.example", requests.exceptions.InvalidHeader(f"value {PASSWORD}")))
    assert said == "Vendor cannot be called at console.example. Check the configured address."


def test_the_clock_of_the_message_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    said = str(unreachable("Vendor", "h", requests.exceptions.SSLError("certificate is not yet valid")))
    assert "(1970-01-01T00:00:00" in said


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("[Errno -2] Name or service not known", "the host name is unknown"),
        ("[Errno 111] Connection refused", "the connection was refused"),
        ("Remote end closed connection without response", "the connection was cut"),
        ("[Errno 113] No route to host", "there is no route to it"),
        (PASSWORD, "no connection was made"),
    ],
)
def test_a_network_error_is_explained_in_a_few_words(reason: str, words: str) -> None:
    error = unreachable("Vendor", "console.example", requests.ConnectionError(f"/things?key={PASSWORD} {reason}"))
    assert isinstance(error, TryAgain)
    assert f": {words}. " in str(error)
    assert PASSWORD not in str(error)


def test_a_reply_beyond_its_bounds_is_reported() -> None:
    assert isinstance(unreachable("Vendor", "h", wire.TooLarge("64 MiB")), UnexpectedReply)
    assert isinstance(unreachable("Vendor", "h", wire.TooSlow()), TryAgain)


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (requests.ConnectTimeout(), UNREACHABLE),
        (requests.ReadTimeout(), UNREACHABLE),
        (requests.ConnectionError("Connection refused"), UNREACHABLE),
        (requests.exceptions.SSLError("self-signed certificate in certificate chain"), UNTRUSTED),
    ],
)
def test_a_vendor_may_know_better_what_to_check_when_there_is_no_answer(error: Exception, key: int) -> None:
    assert str(unreachable("Vendor", "console.example", error, ADVICE)).endswith(ADVICE[key])
    assert ADVICE[key] not in str(unreachable("Vendor", "console.example", error))
