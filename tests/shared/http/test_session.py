"""The HTTP session: one origin, bounded, patient, and clear about what went wrong."""

from __future__ import annotations

import gzip
import itertools
import socket
import struct
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import pytest
import requests
import requests_mock
from pydantic import SecretStr
from pyrate_limiter import RequestRate

from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.http import body, wire
from shared.http.oauth import token_of
from shared.http.session import ApiSession, Patience
from shared.http.tokens import Anonymous, FetchedToken, FixedToken, Token
from shared.http.urls import origin
from shared.masking import hide
from tests.shared.loopback import Exchange, Loopback, Received
from tests.waiting import StopEvent

SECRET = "s3cr3t-t0k3n"
QUICK = Patience(attempts=3, budget=5, first_wait=0.01)
ONCE = Patience(attempts=1)
ORIGIN = "https://console.example"


def session(url: str = ORIGIN, patience: Patience = QUICK, **options: Any) -> ApiSession:
    return ApiSession("Vendor", url, FixedToken("Bearer", SecretStr(SECRET), "API token"), patience=patience, **options)


@pytest.fixture
def vendor() -> Any:
    with requests_mock.Mocker() as mocker:
        yield mocker


# --- retries


def test_a_passing_failure_is_tried_again_until_it_heals(vendor: requests_mock.Mocker) -> None:
    vendor.get(f"{ORIGIN}/things", [{"status_code": 503}, {"exc": requests.ConnectionError}, {"json": {"ok": 1}}])
    assert session().call("GET", "/things").json == {"ok": 1}
    assert vendor.call_count == 3


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_failure_that_lasts_is_given_up_after_three_tries(vendor: requests_mock.Mocker, status: int) -> None:
    vendor.get(f"{ORIGIN}/things", status_code=status)
    with pytest.raises(TryAgain, match=f"Vendor answered HTTP {status} to GET /things"):
        session().call("GET", "/things", params={"limit": 3})
    assert vendor.call_count == 3


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 410, 422, 501])
def test_what_time_does_not_heal_is_asked_once(vendor: requests_mock.Mocker, status: int) -> None:
    vendor.get(f"{ORIGIN}/things", status_code=status)
    with pytest.raises((ActionNeeded, UnexpectedReply)) as caught:
        session().call("GET", "/things")
    assert caught.value.status == status
    assert vendor.call_count == 1


def test_a_wait_the_server_asks_for_is_kept(vendor: requests_mock.Mocker) -> None:
    vendor.get(f"{ORIGIN}/things", [{"status_code": 429, "headers": {"Retry-After": "3"}}, {"json": []}])
    stop = StopEvent()
    session(stop=stop).call("GET", "/things")
    assert stop.waits == [3]


def test_a_longer_wait_than_the_budget_is_left_to_the_cycle(vendor: requests_mock.Mocker) -> None:
    vendor.get(f"{ORIGIN}/things", status_code=429, headers={"Retry-After": "120"})
    stop = StopEvent()
    with pytest.raises(TryAgain) as caught:
        session(stop=stop).call("GET", "/things")
    assert caught.value.retry_after == 120
    assert vendor.call_count == 1
    assert stop.waits == []


@pytest.mark.parametrize(("asked", "calls"), [(14, 2), (16, 1)])
def test_a_call_is_tried_again_within_15_seconds_unless_told_otherwise(
    vendor: requests_mock.Mocker, asked: int, calls: int
) -> None:
    vendor.get(f"{ORIGIN}/things", status_code=429, headers={"Retry-After": str(asked)})
    with pytest.raises(TryAgain):
        session(patience=Patience(), stop=StopEvent(after=2)).call("GET", "/things")
    assert vendor.call_count >= calls
    assert (vendor.call_count == 1) == (calls == 1)
    assert Patience().attempts == 3


def test_a_stop_ends_the_wait_between_two_tries(vendor: requests_mock.Mocker) -> None:
    """The wait is one on the stop event, and no call follows it."""
    vendor.get(f"{ORIGIN}/things", status_code=503, headers={"Retry-After": "10"})
    stop = StopEvent(after=1)
    with pytest.raises(TryAgain):
        session(patience=Patience(budget=30), stop=stop).call("GET", "/things")
    assert stop.waits == [10]
    assert vendor.call_count == 1


def test_the_body_of_a_post_is_sent_again_as_it_was(vendor: requests_mock.Mocker) -> None:
    vendor.post(f"{ORIGIN}/things", [{"status_code": 502}, {"json": {}}])
    session().call("POST", "/things", data=b'{"a":1}')
    assert [request.body for request in vendor.request_history] == [b'{"a":1}'] * 2


# --- authentication


def test_an_expired_token_is_fetched_anew_once_and_the_call_sent_again(vendor: requests_mock.Mocker) -> None:
    vendor.get(f"{ORIGIN}/things", [{"status_code": 401}, {"json": {"ok": 1}}])
    numbers = itertools.count(1)
    auth = FetchedToken(lambda: Token(f"token-{next(numbers)}", 3600))
    assert ApiSession("Vendor", ORIGIN, auth, patience=QUICK).call("GET", "/things").json == {"ok": 1}
    assert [call.headers["Authorization"] for call in vendor.request_history] == ["Bearer token-1", "Bearer token-2"]


def test_a_new_token_that_is_refused_too_ends_it(vendor: requests_mock.Mocker) -> None:
    vendor.get(f"{ORIGIN}/things", status_code=401, json={})
    with pytest.raises(ActionNeeded, match="refused the credentials"):
        ApiSession("Vendor", ORIGIN, FetchedToken(lambda: Token("t", 3600)), patience=QUICK).call("GET", "/things")
    assert vendor.call_count == 2


def test_a_login_that_fails_while_a_call_renews_its_token_is_given_up_after_its_own_three_tries(
    vendor: requests_mock.Mocker,
) -> None:
    """Each of the call's tries logged in three times more, so nine times."""
    vendor.get(f"{ORIGIN}/things", status_code=401, json={})
    login = vendor.post("https://id.example/token", [{"json": {"access_token": "t"}}, {"status_code": 503}])
    identity = ApiSession("Vendor", "https://id.example/token", Anonymous(), patience=QUICK)
    auth = FetchedToken(lambda: token_of("Vendor", identity.call("POST", identity.base_url).json, 3600))
    with pytest.raises(TryAgain, match="503"):
        ApiSession("Vendor", ORIGIN, auth, patience=QUICK).call("GET", "/things")
    assert login.call_count == 1 + QUICK.attempts


def test_a_fixed_token_that_is_refused_is_sent_once_and_the_advice_is_given(vendor: requests_mock.Mocker) -> None:
    vendor.get(f"{ORIGIN}/things", status_code=401, json={})
    with pytest.raises(ActionNeeded, match=r"on GET /things \(HTTP 401\)\. Create a new token\.$"):
        session(advice={401: "Create a new token."}).call("GET", "/things", params={"cursor": "x"})
    assert vendor.call_count == 1


# --- one origin

ELSEWHERE = [
    "https://evil.example/things",
    "//evil.example/things",
    "http://console.example/things",
    "https://console.example:8443/things",
    "https://console.example.evil.example/",
    "https://console.example@evil.example/",
    "https://evil.example\\@console.example/",
    "https://evil.example\\\\@console.example:443/",
    "https://evil.example#@console.example/",
    "https://evil.example?@console.example/",
    "ftp://console.example/",
    "file:///etc/passwd",
]
NO_URLS = ["http://[bad/things", "https://console.example:port/", "https://[::1/", "https://console.example:99999999/"]


@pytest.mark.parametrize("link", ELSEWHERE + NO_URLS)
def test_a_link_to_another_origin_is_refused_before_anything_is_sent(vendor: requests_mock.Mocker, link: str) -> None:
    """`https://evil.example\\@console.example/` passed: one parser read console.example, the call – with the token –
    went to evil.example. A link with a broken port or address ended the cycle as an internal error."""
    with pytest.raises(UnexpectedReply, match="nothing was sent there"):
        session().call("GET", link)
    assert vendor.call_count == 0


@pytest.mark.parametrize("link", ELSEWHERE + NO_URLS)
def test_a_redirect_to_another_origin_is_refused_too(vendor: requests_mock.Mocker, link: str) -> None:
    vendor.get(requests_mock.ANY, status_code=302, headers={"Location": link})
    with pytest.raises(UnexpectedReply, match="nothing was sent there"):
        session().call("GET", "/things")
    assert vendor.call_count == 1


@pytest.mark.parametrize(
    "link",
    [
        "https://console.example/v1/things?page=2",
        "https://console.example:443/v1/things?page=2",
        "HTTPS://Console.Example./v1/things?page=2",
        "//console.example/v1/things?page=2",
        "/things?page=2",
        "things?page=2",
        "/things?page=2&next=https://evil.example/",
    ],
)
def test_a_link_to_the_same_origin_is_followed(vendor: requests_mock.Mocker, link: str) -> None:
    vendor.get(requests_mock.ANY, json={})
    session(f"{ORIGIN}/v1/").call("GET", link)
    (call,) = vendor.request_history
    assert call.path == "/v1/things"
    assert call.qs["page"] == ["2"]
    assert call.headers["Authorization"] == f"Bearer {SECRET}"


def test_an_origin_is_scheme_host_and_port() -> None:
    assert (
        origin("https://Console.Example/a")
        == origin("https://console.example:443/b")
        == (
            "https",
            "console.example",
            443,
        )
    )
    assert origin("http://127.0.0.1:8080") == ("http", "127.0.0.1", 8080)
    assert origin("https://[::1]/") == ("https", "[::1]", 443)


def test_a_redirect_within_the_origin_is_followed_with_the_token(loopback: Callable[..., Loopback]) -> None:
    def answer(exchange: Exchange, received: Received) -> None:
        if received.path == "/v1/old?limit=5":
            exchange.reply(307, {}, Location="new/things?limit=6")
        else:
            exchange.reply(200, {"path": received.path, "token": received.headers["Authorization"]})

    server = loopback(answer)
    reply = session(f"{server.url}/v1").call("GET", "/old", params={"limit": 5})
    assert reply.json == {"path": "/v1/new/things?limit=6", "token": f"Bearer {SECRET}"}


def test_a_redirect_elsewhere_reaches_no_one(loopback: Callable[..., Loopback]) -> None:
    other = loopback(lambda exchange, _: exchange.reply(200, {}))
    server = loopback(lambda exchange, _: exchange.reply(302, {}, Location=f"{other.url}/things"))
    with pytest.raises(UnexpectedReply, match="nothing was sent there"):
        session(server.url).call("GET", "/things")
    assert other.received == []


def test_redirects_in_a_circle_end(vendor: requests_mock.Mocker) -> None:
    vendor.get(f"{ORIGIN}/things", status_code=302, headers={"Location": "/things"})
    with pytest.raises(ActionNeeded, match="Check the configured URL"):
        session().call("GET", "/things")
    assert vendor.call_count == 3


def test_a_post_is_never_redirected(vendor: requests_mock.Mocker) -> None:
    vendor.post(f"{ORIGIN}/things", status_code=307, headers={"Location": "/other"})
    with pytest.raises(ActionNeeded):
        session().call("POST", "/things", data=b"{}")
    assert vendor.call_count == 1


# --- the body on the wire


def test_a_truncated_body_is_asked_for_again(loopback: Callable[..., Loopback]) -> None:
    """Half a page parsed as a whole one would be the end of the fleet."""

    def answer(exchange: Exchange, _: Received) -> None:
        if len(server.received) == 1:
            exchange.begin(1000)
            exchange.wfile.write(b'{"data": []}')
            exchange.cut()
        else:
            exchange.reply(200, {"data": [1]})

    server = loopback(answer)
    assert session(server.url).call("GET", "/things").json == {"data": [1]}


def test_a_chunked_body_cut_between_two_chunks_is_broken_off(loopback: Callable[..., Loopback]) -> None:
    def answer(exchange: Exchange, _: Received) -> None:
        exchange.begin(None, Transfer_Encoding="chunked")
        exchange.wfile.write(b"2\r\n[]\r\n")
        exchange.cut()

    with pytest.raises(TryAgain, match="broke off its reply"):
        session(loopback(answer).url, ONCE).call("GET", "/things")


def test_a_whole_chunked_body_is_read(loopback: Callable[..., Loopback]) -> None:
    def answer(exchange: Exchange, _: Received) -> None:
        exchange.begin(None, Transfer_Encoding="chunked")
        exchange.wfile.write(b"1\r\n[\r\n2\r\n1]\r\n0\r\n\r\n")

    server = loopback(answer)
    api = session(server.url, ONCE)
    assert [api.call("GET", "/things").json, api.call("GET", "/things").json] == [[1], [1]]
    assert server.received[0].port == server.received[1].port


@pytest.mark.parametrize("begun", [True, False])
def test_a_reset_connection_is_time_that_heals(loopback: Callable[..., Loopback], begun: bool) -> None:
    def answer(exchange: Exchange, _: Received) -> None:
        if begun:
            exchange.begin(1000)
        exchange.cut(reset=True)

    with pytest.raises(TryAgain):
        session(loopback(answer).url, ONCE).call("GET", "/things")


def test_a_port_nobody_listens_on_says_so(loopback: Callable[..., Loopback]) -> None:
    server = loopback(lambda exchange, _: exchange.reply(200, {}))
    url = server.url
    server.close()
    with pytest.raises(TryAgain, match="the connection was refused"):
        session(url, ONCE).call("GET", "/things")


def test_a_silent_server_is_given_up(loopback: Callable[..., Loopback]) -> None:
    leave = Event()
    server = loopback(lambda _exchange, _received: bool(leave.wait(60)))
    with pytest.raises(TryAgain, match="did not answer in time"):
        session(server.url, Patience(connect=1, read=0.1, attempts=1)).call("GET", "/things")
    leave.set()


def test_a_body_that_stops_coming_is_given_up(loopback: Callable[..., Loopback]) -> None:
    leave = Event()

    def answer(exchange: Exchange, _: Received) -> None:
        exchange.begin(1000)
        exchange.wfile.write(b"[")
        leave.wait(60)

    with pytest.raises(TryAgain, match="did not answer in time"):
        session(loopback(answer).url, Patience(connect=1, read=0.1, attempts=1)).call("GET", "/things")
    leave.set()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_drips_is_given_up(
    loopback: Callable[..., Loopback], chunked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte a minute never trips the read timeout, and the limit was looked at once in 256 KiB: a drip held the
    connector for weeks."""
    monkeypatch.setattr(wire, "MAX_SECONDS", 0.2)
    leave = Event()

    def answer(exchange: Exchange, _: Received) -> None:
        exchange.begin(None if chunked else 100_000, **({"Transfer_Encoding": "chunked"} if chunked else {}))
        for _ in range(3_000):  # the body ends by itself after a minute, and then nothing is raised
            if leave.wait(0.02):
                return
            exchange.wfile.write(b"1\r\n \r\n" if chunked else b" ")
        exchange.wfile.write(b"0\r\n\r\n" if chunked else b" " * 97_000)

    with pytest.raises(TryAgain, match="did not finish its reply"):
        session(loopback(answer).url, ONCE).call("GET", "/things")
    leave.set()


def test_a_body_above_the_bound_is_dropped_while_it_is_read(
    loopback: Callable[..., Loopback], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "MAX_BYTES", 1024 * 1024)
    written = 0

    def answer(exchange: Exchange, _: Received) -> None:
        nonlocal written
        exchange.begin(200 * 1024 * 1024)
        for _ in range(200):
            exchange.wfile.write(b" " * 1024 * 1024)
            written += 1

    server = loopback(answer)
    with pytest.raises(UnexpectedReply, match="sent more than 1 MiB"):
        session(server.url).call("GET", "/things")
    assert len(server.received) == 1
    assert written < 100


def test_values_that_would_fill_the_memory_are_not_parsed(
    loopback: Callable[..., Loopback], monkeypatch: pytest.MonkeyPatch
) -> None:
    """32 MiB of `{}` are 800 MB of objects."""
    monkeypatch.setattr(body, "MAX_MEMORY", 1024 * 1024)
    pages = iter([b"[" + b"{}," * 2_500 + b"{}]", b"[" + b"{}," * 3_500 + b"{}]"])
    server = loopback(lambda exchange, _: exchange.reply(200, next(pages)))
    reply = session(server.url).call("GET", "/things")
    assert len(reply.json) == 2_501
    assert 800_000 < body.memory_of(reply.body) < 1024 * 1024
    with pytest.raises(UnexpectedReply, match="values that fill more than 1 MiB of memory") as caught:
        _ = session(server.url).call("GET", "/things").json
    assert caught.value.may_be_size


def test_a_compressed_bomb_is_refused_before_it_is_unpacked(loopback: Callable[..., Loopback]) -> None:
    bomb = gzip.compress(b" " * body.MAX_BYTES * 6, 9)
    assert len(bomb) < 512 * 1024
    server = loopback(lambda exchange, _: exchange.reply(200, bomb, Content_Encoding="gzip"))
    tracemalloc.start()
    try:
        with pytest.raises(UnexpectedReply, match="sent more than 32 MiB"):
            session(server.url).call("GET", "/things")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * body.MAX_BYTES


def test_the_body_of_a_redirect_is_bounded_too(
    loopback: Callable[..., Loopback], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`requests` reads a redirect's body whole before it hands the reply over, even when it is not to follow it."""
    monkeypatch.setattr(body, "MAX_BYTES", 1024 * 1024)
    bomb = gzip.compress(b" " * 64 * 1024 * 1024)
    server = loopback(lambda exchange, _: exchange.reply(302, bomb, Location="/things", Content_Encoding="gzip"))
    tracemalloc.start()
    try:
        with pytest.raises(UnexpectedReply, match="sent more than 1 MiB"):
            session(server.url).call("GET", "/things")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 1024 * 1024


def test_a_compressed_page_is_read_whole(loopback: Callable[..., Loopback]) -> None:
    page = {"data": [{"id": str(n), "text": "x" * 50} for n in range(20_000)]}
    packed = gzip.compress(requests.models.complexjson.dumps(page).encode())
    server = loopback(lambda exchange, _: exchange.reply(200, packed, Content_Encoding="gzip"))
    assert session(server.url).call("GET", "/things").json == page


def test_a_broken_compression_is_broken_off(loopback: Callable[..., Loopback]) -> None:
    server = loopback(lambda exchange, _: exchange.reply(200, b"no gzip at all", Content_Encoding="gzip"))
    with pytest.raises(TryAgain, match="broke off its reply"):
        session(server.url, ONCE).call("GET", "/things")


@pytest.mark.parametrize("packed", [False, True])
def test_one_connection_is_kept_for_many_calls(loopback: Callable[..., Loopback], packed: bool) -> None:
    content = b'{"data": [' + b"1," * 200_000 + b"1]}"

    def answer(exchange: Exchange, _: Received) -> None:
        if packed:
            exchange.reply(200, gzip.compress(content), Content_Encoding="gzip")
        else:
            exchange.reply(200, content)

    server = loopback(answer)
    api = session(server.url)
    for _ in range(3):
        api.call("GET", "/things")
    assert len({received.port for received in server.received}) == 1


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_a_tls_handshake_that_the_other_side_cuts_is_tried_again(how: str) -> None:
    """It was taken for a certificate nobody can trust: one try, and advice on certificates."""
    tries = 0
    with socket.create_server(("127.0.0.1", 0)) as server:

        def cut() -> None:
            nonlocal tries
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    tries += 1
                    connection.recv(65_536)
                    if how == "reset":
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.close()

        Thread(target=cut, daemon=True).start()
        with pytest.raises(TryAgain, match="cut") as caught:
            session(f"https://127.0.0.1:{server.getsockname()[1]}").call("GET", "/things")
        server.shutdown(socket.SHUT_RDWR)
    assert "certificate" not in str(caught.value)
    assert tries == 3


def test_a_call_over_plain_http_where_tls_is_expected_says_so(loopback: Callable[..., Loopback]) -> None:
    server = loopback(lambda exchange, _: exchange.reply(200, {}))
    with pytest.raises(ActionNeeded, match="No trusted TLS connection to Vendor"):
        session(server.url.replace("http://", "https://"), ONCE).call("GET", "/things")


# --- what a reply tells


def test_a_reply_brings_the_servers_clock_and_its_json(vendor: requests_mock.Mocker) -> None:
    vendor.get(f"{ORIGIN}/things", json=[1], headers={"Date": "Sun, 07 Jan 2024 06:26:08 GMT"})
    reply = session().call("GET", "/things")
    assert (reply.status, reply.json, reply.date) == (200, [1], 1704608768.0)


def test_a_reply_without_a_clock_tells_none(vendor: requests_mock.Mocker) -> None:
    vendor.get(f"{ORIGIN}/things", json=[1])
    assert session().call("GET", "/things").date is None


def test_a_name_that_resolves_to_nothing_says_so() -> None:
    with pytest.raises(TryAgain, match="the host name is unknown"):
        session("https://console.invalid", ONCE).call("GET", "/things")


@pytest.mark.parametrize(
    "error",
    [
        *(requests.ConnectTimeout(), requests.ReadTimeout(), requests.exceptions.ProxyError("x")),
        *(requests.exceptions.SSLError(f"certificate {SECRET}"), requests.exceptions.InvalidURL("x")),
        *(requests.exceptions.InvalidHeader("x"), requests.TooManyRedirects(), requests.ConnectionError(SECRET)),
    ],
)
def test_every_way_a_call_fails_is_an_error_a_person_may_read(
    vendor: requests_mock.Mocker, error: requests.RequestException
) -> None:
    vendor.get(f"{ORIGIN}/things", exc=error)
    with pytest.raises(ConnectorError, match="Vendor") as caught:
        session(patience=ONCE).call("GET", "/things", params={"cursor": "place"})
    assert SECRET not in str(caught.value)
    assert "place" not in str(caught.value)


def test_a_private_authority_is_used_whatever_the_environment_says(
    vendor: requests_mock.Mocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where REQUESTS_CA_BUNDLE is set, `requests` passes over what its session was told."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/of/the/machine.pem")
    vendor.get(f"{ORIGIN}/things", json=[])
    session(verify="/data/private.pem").call("GET", "/things")
    assert vendor.last_request.verify == "/data/private.pem"


def test_tls_is_verified_unless_an_authority_is_named(vendor: requests_mock.Mocker) -> None:
    vendor.get(f"{ORIGIN}/things", json=[])
    session().call("GET", "/things")
    assert vendor.last_request.verify


def test_nothing_that_is_printed_of_a_session_shows_the_token() -> None:
    api = session()
    assert SECRET not in f"{api!r} {api!s} {api.patience!r}"


def test_another_origin_has_the_same_credential_pace_and_advice(vendor: requests_mock.Mocker) -> None:
    vendor.get(requests_mock.ANY, json={})
    here = session(rates=[RequestRate(3, 1)])
    there = here.elsewhere("https://other.example/base/")
    began = time.monotonic()
    for each in (here, there, there):
        each.call("GET", "/things")
    assert time.monotonic() - began > 0.9
    assert [call.hostname for call in vendor.request_history] == ["console.example", "other.example", "other.example"]
    assert vendor.last_request.path == "/base/things"
    assert {call.headers["Authorization"] for call in vendor.request_history} == {f"Bearer {SECRET}"}


def test_another_origin_is_held_to_itself(vendor: requests_mock.Mocker) -> None:
    vendor.get(requests_mock.ANY, json={})
    with pytest.raises(UnexpectedReply):
        session().elsewhere("https://other.example").call("GET", f"{ORIGIN}/things")
    assert not vendor.called


def test_another_origin_may_have_an_auth_of_its_own(vendor: requests_mock.Mocker) -> None:
    vendor.get(requests_mock.ANY, json={})
    here = ApiSession("Vendor", ORIGIN, Anonymous())
    here.elsewhere("https://other.example", FixedToken("Bearer", SecretStr(SECRET), "API token")).call("GET", "/")
    assert vendor.last_request.headers["Authorization"] == f"Bearer {SECRET}"
    here.call("GET", "/")
    assert "Authorization" not in vendor.last_request.headers


def test_no_error_repeats_a_secret_that_is_live(vendor: requests_mock.Mocker) -> None:
    """The password too that the token was fetched with: the call did not send it."""
    hide("correct-horse")
    vendor.get(f"{ORIGIN}/things", status_code=418, json={"message": f"no correct-horse, no [{SECRET}] for you"})
    with pytest.raises(UnexpectedReply, match=r'"no \*\*\*, no \[\*\*\*\] for you"'):
        session().call("GET", "/things")


@pytest.mark.parametrize("target", [f"https://{SECRET}.example/", f"https://other.example:1/{SECRET}", "//[" + SECRET])
def test_no_redirect_target_repeats_a_secret(vendor: requests_mock.Mocker, target: str) -> None:
    vendor.get(f"{ORIGIN}/things", status_code=302, headers={"Location": target})
    with pytest.raises(UnexpectedReply) as caught:
        session().call("GET", "/things")
    assert SECRET not in str(caught.value)


def test_no_path_of_a_redirect_repeats_a_secret(vendor: requests_mock.Mocker) -> None:
    vendor.get(f"{ORIGIN}/things", status_code=302, headers={"Location": f"/login/{SECRET}/again"})
    vendor.get(f"{ORIGIN}/login/{SECRET}/again", status_code=418)
    with pytest.raises(UnexpectedReply, match=r"GET /login/\*\*\*/again"):
        session().call("GET", "/things")


# --- proxies


def test_each_origin_is_called_through_the_proxy_that_the_environment_names_for_it(
    loopback: Callable[..., Loopback], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked up once an origin, not once a session."""
    server = loopback(lambda exchange, received: exchange.reply(200, {"asked": received.path}))
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    far = session("http://vendor.invalid")
    near = far.elsewhere(server.url)
    for _ in range(2):
        assert far.call("GET", "/things").json == {"asked": "http://vendor.invalid/things"}
        assert near.call("GET", "/things").json == {"asked": "/things"}
