"""A call ends at its bounds whatever the server sends, and before the body too; no cookie is kept."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from itertools import repeat
from threading import Event

import pytest
from pydantic import SecretStr

from shared.errors import ConnectorError, TryAgain, UnexpectedReply
from shared.http import wire
from shared.http.session import ApiSession, Patience
from shared.http.tokens import FixedToken
from tests.shared.loopback import Exchange, Loopback, Received
from tests.waiting import HANGS

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n"
_EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"  # of deflate: stored, of no bytes


def gzip_header() -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(b"")


ENDLESS = {
    "a header, byte by byte": (_OK + b"X-Long: ", b"x"),
    "interim replies": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "headers of interim replies": (b"HTTP/1.1 100 Continue\r\n", b"X-More: x\r\n"),
    "trailers": (_CHUNKED + b"\r\n2\r\n[]\r\n0\r\n", b"X-More: x\r\n"),
    "the extension of a chunk": (_CHUNKED + b"\r\n2;", b"x"),
    "chunks of a byte": (_CHUNKED + b"\r\n", b"1\r\n \r\n"),
    "white space": (_OK + b"\r\n", b" "),
    "gzip of empty blocks": (_OK + b"Content-Encoding: gzip\r\n\r\n" + gzip_header(), _EMPTY_BLOCK),
    "chunks of gzip of empty blocks": (
        _CHUNKED + b"Content-Encoding: gzip\r\n\r\n%x\r\n%b\r\n" % (len(gzip_header()), gzip_header()),
        b"5\r\n" + _EMPTY_BLOCK + b"\r\n",
    ),
    "empty members of gzip": (_OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"")),
}


@pytest.fixture
def leave() -> Iterator[Event]:
    leave = Event()
    yield leave
    leave.set()


def endless(name: str, leave: Event, pause: float, times: int) -> Callable[[Exchange, Received], None]:
    """Writes the same again and again until the other side has left; at once, or with a pause."""
    begin, again = ENDLESS[name]

    def answer(exchange: Exchange, _: Received) -> None:
        exchange.wfile.write(begin)
        while not leave.wait(pause):
            exchange.wfile.write(again * times)

    return answer


def called(url: str) -> ConnectorError:
    token = FixedToken("Bearer", SecretStr("s3cr3t-t0k3n"), "API token")
    patience = Patience(attempts=1, read=HANGS)
    with pytest.raises(ConnectorError) as caught:
        _ = ApiSession("Vendor", url, token, patience=patience).call("GET", "/things").json
    return caught.value


@pytest.mark.parametrize("name", ENDLESS)
def test_a_reply_that_drips_ends_at_the_deadline(
    name: str, leave: Event, loopback: Callable[..., Loopback], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two bytes nothing is late; the time was looked at between two reads of the body only."""
    monkeypatch.setattr(wire, "MAX_SECONDS", 0.3)
    error = called(loopback(endless(name, leave, 0.01, 1)).url)
    assert isinstance(error, TryAgain)
    assert "did not finish its reply within 0 s" in str(error)


@pytest.mark.parametrize("name", ENDLESS)
def test_a_reply_without_end_is_read_to_the_bound_of_its_raw_bytes(
    name: str, leave: Event, loopback: Callable[..., Loopback], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its decompressed body may be empty all the while."""
    monkeypatch.setattr(wire, "MAX_RAW", 1024 * 1024)
    error = called(loopback(endless(name, leave, 0.0, 500)).url)
    assert isinstance(error, UnexpectedReply | TryAgain)
    if name not in ("a header, byte by byte", "the extension of a chunk", "headers of interim replies"):
        assert "sent more than 1 MiB in one reply" in str(error)


def test_a_proxy_that_never_ends_its_headers_is_given_up(
    leave: Event, loopback: Callable[..., Loopback], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "MAX_SECONDS", 0.3)
    proxy = loopback(endless("a header, byte by byte", leave, 0.01, 1))
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "")
    assert "did not finish its reply" in str(called("http://vendor.invalid"))


def test_a_silent_end_does_not_outlast_the_deadline_by_the_time_that_a_read_may_take(
    leave: Event, loopback: Callable[..., Loopback], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "MAX_SECONDS", 0.3)

    def answer(exchange: Exchange, _: Received) -> None:
        exchange.wfile.write(_OK)
        leave.wait(HANGS)

    assert "did not finish its reply" in str(called(loopback(answer).url))
    leave.set()


def test_no_cookie_is_kept(loopback: Callable[..., Loopback]) -> None:
    """One a page led to HTTP 431 on page 16, and in all later rounds."""
    numbers = iter(range(100))

    def answer(exchange: Exchange, _: Received) -> None:
        exchange.reply(200, [], Set_Cookie=f"page{next(numbers)}={'x' * 4000}; Path=/")

    server = loopback(answer)
    api = ApiSession("Vendor", server.url, FixedToken("Bearer", SecretStr("s3cr3t-t0k3n"), "API token"))
    for _ in range(20):
        api.call("GET", "/things")
    assert [name for received in server.received for name in received.headers if name.lower() == "cookie"] == []


def test_bounded_calls_keep_their_connection(loopback: Callable[..., Loopback]) -> None:
    server = loopback(lambda exchange, _: exchange.reply(200, list(repeat(1, 100_000))))
    api = ApiSession("Vendor", server.url, FixedToken("Bearer", SecretStr("s3cr3t-t0k3n"), "API token"))
    for _ in range(3):
        assert len(api.call("GET", "/things").json) == 100_000
    assert len({received.port for received in server.received}) == 1
