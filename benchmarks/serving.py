"""A lean HTTP/1.1 server with keep-alive, whose CPU time is not counted for the measured process."""

from __future__ import annotations

import os
import socketserver
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import NamedTuple

from benchmarks.watching import Mark, mark


class Request(NamedTuple):
    """`target` is path and query; the names of `headers` are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Stored(NamedTuple):
    """A body in a file, sent without passing through this process, and the answer's `Link` header."""

    file: int
    offset: int
    size: int
    link: str = ""


@dataclass
class Tally:
    """A server's counts since `watch`. `first` and `last` are marks of the watched process at its first and last call.

    `cpu` are the server's own seconds. `throttled` counts the calls above a limit, `arrivals` are their times.
    """

    calls: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    events: int = 0
    pushes: int = 0
    throttled: int = 0
    unprepared: int = 0
    cpu: float = 0.0
    first: Mark | None = None
    last: Mark | None = None
    arrivals: list[float] = field(default_factory=list)


class LeanServer(ABC):
    """Serves on loopback from a thread of its own, each connection from another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tally = Tally()
        self._pid = 0
        self._cpu_before = 0.0
        self._latency = 0.0
        self._limits: list[tuple[int, float]] = []
        self._recent: deque[float] = deque()
        self._server = _Threads(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": self}))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def watch(self, pid: int, latency: float = 0.0, limits: list[tuple[int, float]] | None = None) -> None:
        """Count from zero, for the process `pid`. `latency` is seconds before each answer; `limits` are
        (calls, seconds): a call above one of these is answered 429."""
        with self._lock:
            self._pid, self._latency, self._limits = pid, latency, limits or []
            self._recent.clear()
            self._tally = Tally()
            self._cpu_before = time.process_time()

    def tally(self) -> Tally:
        with self._lock:
            self._tally.cpu = time.process_time() - self._cpu_before
            return self._tally

    def idle(self) -> float:
        """Seconds since the last call was answered; 0 before the first, and while one is in flight."""
        last = self._tally.last
        return time.monotonic() - last.at if last else 0.0

    @abstractmethod
    def answer(self, request: Request) -> bytes | Stored:
        """The JSON body of a 200."""

    def meet(self, request: Request) -> tuple[int, bytes | Stored]:
        """Status and body."""
        with self._lock:
            tally = self._tally
            if tally.first is None:
                tally.first = mark(self._pid)
            tally.last = None
            tally.calls += 1
            tally.bytes_in += len(request.body)
            admitted = self._admitted()
        if self._latency:
            time.sleep(self._latency)
        return (200, self.answer(request)) if admitted else (429, b"{}")

    def met(self, size: int) -> None:
        """An answer of so many bytes is on its way."""
        with self._lock:
            self._tally.bytes_out += size
            self._tally.last = mark(self._pid)

    def _admitted(self) -> bool:
        now = time.monotonic()
        self._tally.arrivals.append(now)
        if all(sum(at > now - seconds for at in self._recent) < calls for calls, seconds in self._limits):
            if self._limits:
                self._recent.append(now)
            return True
        self._tally.throttled += 1
        return False


class _Threads(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


class _Handler(socketserver.StreamRequestHandler):
    """One connection."""

    disable_nagle_algorithm = True
    site: LeanServer

    def handle(self) -> None:
        try:
            while request := self._read():
                status, body = self.site.meet(request)
                size = body.size if isinstance(body, Stored) else len(body)
                self._send(status, body, size)
                self.site.met(size)
        except OSError:
            return  # the client is gone

    def _read(self) -> Request | None:
        line = self.rfile.readline()
        if not line:
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers = {}
        while (header := self.rfile.readline()) not in (b"\r\n", b""):
            name, _, value = header.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return Request(method, target, headers, self.rfile.read(int(headers.get("content-length", 0))))

    def _send(self, status: int, body: bytes | Stored, size: int) -> None:
        head = (
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Too Many Requests'}\r\nDate: {formatdate(usegmt=True)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {size}\r\n{_link_of(body)}\r\n"
        ).encode()
        if isinstance(body, bytes):
            self.connection.sendall(head + body)
            return
        self.connection.sendall(head)
        offset, end = body.offset, body.offset + body.size
        while offset < end:
            offset += os.sendfile(self.connection.fileno(), body.file, offset, end - offset)


def _link_of(body: bytes | Stored) -> str:
    return f"Link: {body.link}\r\n" if isinstance(body, Stored) and body.link else ""
