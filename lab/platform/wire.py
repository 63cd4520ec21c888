"""HTTP/1.1 as the lab's servers speak it: connections stay open, every answer has a length, and a fault can cut one.

Werkzeug's own handler closes the connection after each answer, which would charge every call of a benchmark with a
new TCP connection; this one keeps it, because it reads a request's body to its end before the application runs.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from email.utils import format_datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from werkzeug.serving import WSGIRequestHandler

if TYPE_CHECKING:
    from datetime import datetime

    from _typeshed.wsgi import WSGIEnvironment

CUT = "lab.cut"
"""The WSGI environment's key under which a fault stores one of the three cuts below."""
STREAM = "lab.stream"
"""The key under which a fault stores an iterator over the parts of a body, which may have no end."""
RAW = "lab.raw"
"""The key under which a fault stores all bytes of an answer, head included, which may be invalid HTTP."""
RESET, CLOSE, HALF = "reset", "close", "half"

_SMALL = 65_536  # bytes: below it, head and body leave in one packet train and the copy costs nothing


class Connections:
    """The connections open at one server, so that stopping it leaves none of them, nor their threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._closing = False

    def opened(self, connection: socket.socket) -> None:
        """Called by the thread that serves the connection."""
        with self._lock:
            self._open[threading.current_thread()] = connection
            if self._closing:
                _hang_up(connection)

    def closed(self) -> None:
        """Called by the thread that served the connection, however it ended."""
        with self._lock:
            self._open.pop(threading.current_thread(), None)

    def close_all(self, timeout: float) -> None:
        """Hang up on every client and wait for the threads, `timeout` seconds for each."""
        with self._lock:
            self._closing = True
            threads = list(self._open)
            for connection in self._open.values():
                _hang_up(connection)
        for thread in threads:
            thread.join(timeout)


class Site(Protocol):
    """The parts of its server that the handler uses."""

    software: str
    connections: Connections

    def now(self) -> datetime: ...


class KeepAliveHandler(WSGIRequestHandler):
    """One connection: reads requests and answers them until the client leaves or a fault cuts it. Logs nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = 65_536
    site: ClassVar[Site]

    def setup(self) -> None:
        super().setup()
        self.site.connections.opened(self.connection)

    def finish(self) -> None:
        try:
            with contextlib.suppress(OSError):
                super().finish()
        finally:
            self.site.connections.closed()

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        environ["wsgi.input"] = BytesIO(self._body(environ))
        status, headers, body = self._application(environ)
        cut = environ.get(CUT)
        if raw := environ.get(RAW):
            self.close_connection = True
            for part in raw:
                self.wfile.write(part)
        elif cut == RESET:
            self._reset()
        elif cut == CLOSE:
            self.close_connection = True
        else:
            self._send(status, headers, body, half=cut == HALF, stream=environ.get(STREAM))

    def log(self, type: str, message: str, *args: Any) -> None:
        """Nothing: the server keeps a record of its calls itself."""

    def _body(self, environ: WSGIEnvironment) -> bytes:
        if environ.get("wsgi.input_terminated"):
            return bytes(environ["wsgi.input"].read())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _application(self, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]], list[bytes]]:
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
            started[:] = [status, headers]

        answer: Iterable[bytes] = self.server.app(environ, start_response)
        try:
            body = list(answer)
        finally:
            if close := getattr(answer, "close", None):
                close()
        return started[0], started[1], body

    def _send(
        self,
        status: str,
        headers: list[tuple[str, str]],
        body: list[bytes],
        half: bool,
        stream: Iterator[bytes] | None = None,
    ) -> None:
        length = sum(map(len, body))
        if half:
            whole = b"".join(body)
            body, length = [whole[: length // 2]], length or 100
            self.close_connection = True
        given = {name.lower() for name, _ in headers} | {"content-length", "connection"}
        lines = [f"HTTP/1.1 {status}", "Transfer-Encoding: chunked" if stream else f"Content-Length: {length}"]
        if "date" not in given:
            lines.append(f"Date: {format_datetime(self.site.now(), usegmt=True)}")
        if "server" not in given:
            lines.append(f"Server: {self.site.software}")
        lines += [f"{name}: {value}" for name, value in headers if name.lower() not in ("content-length", "connection")]
        lines.append(f"Connection: {'close' if self.close_connection else 'keep-alive'}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        if self.command == "HEAD":
            body = []
        if stream:
            self.wfile.write(head)
            for part in filter(None, stream):  # an empty chunk is the end
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
            return
        if length <= _SMALL:
            self.wfile.write(b"".join([head, *body]))
            return
        self.wfile.write(head)
        for part in body:
            self.wfile.write(part)

    def _reset(self) -> None:
        """RST instead of an answer: no linger, and the descriptor is closed before anything else can be sent."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
