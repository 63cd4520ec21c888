"""The connection of a session: each reply is bounded in bytes and time; a TLS context may decide whom to trust."""

from __future__ import annotations

import io
import socket
import ssl
import time
from http.client import HTTPResponse
from typing import Any

from requests import PreparedRequest
from requests.adapters import HTTPAdapter

MAX_SECONDS = 300.0  # a server that drips a byte a minute never trips the read timeout
MAX_RAW = 64 * 1024 * 1024  # bytes: twice a body's bound, as it may be compressed badly or in many small chunks


class OverBound(Exception):
    """A reply exceeded a bound and was not read further. Not a ValueError: `http.client` takes that for a bad chunk."""


class TooLarge(OverBound):
    """`str()` is the bound."""


class TooSlow(OverBound):
    """The reply did not end within `MAX_SECONDS`."""


class _Metered(io.RawIOBase):
    """All bytes of one reply: status line, interim replies, headers, chunks with what surrounds them, trailers."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock, self._raw = sock, raw
        self._read, self._until = 0, time.monotonic() + MAX_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = max(0.001, self._until - time.monotonic())
        self._sock.settimeout(min(left, self._sock.gettimeout() or left))
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError:
            if time.monotonic() < self._until:
                raise
        if time.monotonic() >= self._until:
            raise TooSlow from None
        self._read += count or 0
        if self._read > MAX_RAW:
            raise TooLarge(f"{MAX_RAW // (1024 * 1024)} MiB")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Reply(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Metered(sock, self.fp.detach()))


class BoundedAdapter(HTTPAdapter):
    """`verify` of a call may also be a TLS context, which then decides alone what is trusted."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Directly or through a proxy: the pool makes connections that are bounded."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if pool.ConnectionCls.response_class is not _Reply:
            pool.ConnectionCls = type("Bounded", (pool.ConnectionCls,), {"response_class": _Reply})
        return pool

    def build_connection_pool_key_attributes(self, request: PreparedRequest, verify: Any, cert: Any = None) -> Any:
        if not isinstance(verify, ssl.SSLContext):
            return super().build_connection_pool_key_attributes(request, verify, cert)
        host, pool = super().build_connection_pool_key_attributes(request, True, cert)
        return host, {**pool, "ssl_context": verify}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The base class would have a context trust the usual authorities, too."""
        if isinstance(verify, ssl.SSLContext):
            conn.cert_reqs = "CERT_REQUIRED"
        else:
            super().cert_verify(conn, url, verify, cert)
