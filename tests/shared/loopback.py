"""A real HTTP server of a few lines, for what only the wire shows: cut bodies, drips, redirects, kept connections."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass(frozen=True)
class Received:
    """A request as it came in; `port` is the client's, so that two requests of one connection share it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    port: int


class Exchange(BaseHTTPRequestHandler):
    """One connection. The test's answer function writes on it."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        received = Received(self.command, self.path, dict(self.headers), body, self.client_address[1])
        self.server.received.append(received)
        try:
            self.server.answer(self, received)
        except OSError:  # the client left, which some tests are about
            self.close_connection = True

    do_POST = do_GET

    def reply(self, status: int, content: Any = None, **headers: str) -> None:
        """A whole reply: JSON of `content`, or its bytes; `Retry_After` in `headers` is sent as Retry-After."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin(self, length: int | None, **headers: str) -> None:
        """A 200 whose body the test writes by itself."""
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.flush()

    def cut(self, *, reset: bool = False) -> None:
        """End the connection where it is; `reset` sends RST instead of FIN."""
        self.close_connection = True
        if reset:
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.server.forget(self.connection)
            self.rfile.close()
            self.connection.close()

    def log_message(self, *_: Any) -> None: ...


Answer = Callable[[Exchange, Received], None]


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.answer = answer
        self.received: list[Received] = []
        self.open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.forget(request)
        super().shutdown_request(request)

    def handle_error(self, *_: Any) -> None: ...

    def forget(self, connection: socket.socket) -> None:
        self.open.discard(connection)


class Loopback:
    """`url` is where it answers, `received` what came in, in order."""

    def __init__(self, answer: Answer) -> None:
        self._server = _Server(answer)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def received(self) -> list[Received]:
        return self._server.received

    def close(self) -> None:
        """Stop, cut what is open and wait until no thread is left."""
        self._server.shutdown()
        for connection in list(self._server.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._server.server_close()
        self._thread.join()
