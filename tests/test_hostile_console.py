"""A console that means harm, or is badly broken: the module's process stays small, lives, and says what happened."""

from __future__ import annotations

import gzip
import json
import os
import re
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from flask import Response

from lab.consoles.sentinelone import SimulatedSentinelOne
from lab.faults import Fault
from lab.modules import MODULES
from lab.platform import LocalPlatform
from lab.process import ModuleProcess

MODULE = MODULES["SentinelOne"]
MIB = 1024 * 1024
REFUSED_MIB, WORST_PAGE_MIB = 300, 800
BRACES = 8_000_000 if os.environ.get("FAULTS") == "all" else 1_000_000  # the former fill the 32 MiB, in a minute


@dataclass(frozen=True)
class Streams(Fault):
    """A 200 whose body is made while it is sent, so that this side stays small too."""

    name: str
    parts: Callable[[], Iterator[bytes]]
    encoding: str = ""

    def answer(self) -> Response:
        headers = {"Content-Encoding": self.encoding} if self.encoding else {}
        return Response(self.parts(), 200, headers, content_type="application/json")

    def __str__(self) -> str:
        return self.name


def page(*records: Any) -> Callable[[], Iterator[bytes]]:
    return lambda: iter([json.dumps({"data": list(records), "pagination": {"nextCursor": None}}).encode()])


def raw_page(*records: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: iter([b'{"data":[', b",".join(records), b'],"pagination":{"nextCursor":null}}'])


def a_gigabyte() -> Iterator[bytes]:
    yield b'{"data":["'
    for _ in range(1024):
        yield b"x" * MIB


def a_bomb() -> Iterator[bytes]:
    """A gigabyte of spaces in a megabyte of gzip."""
    packer = zlib.compressobj(wbits=31)
    for _ in range(1024):
        yield packer.compress(b" " * MIB)
    yield packer.flush()


def a_bomb_in_a_bomb() -> Iterator[bytes]:
    yield gzip.compress(b"".join(a_bomb()))


def nested(depth: int) -> bytes:
    return b'{"id":"deep","osName":' + b"[" * depth + b"]" * depth + b"}"


REFUSED = [
    (Streams("a body of 1 GB", a_gigabyte), "more than 32 MiB"),
    (Streams("a decompression bomb", a_bomb, "gzip"), "more than 32 MiB"),
    (Streams("a bomb in a bomb", a_bomb_in_a_bomb, "gzip, gzip"), "more than 32 MiB|broke off"),
    (Streams("a body that is not what it says", lambda: iter([b"no gzip"]), "gzip"), "broke off"),
    (Streams("JSON nested 200,000 deep", raw_page(nested(200_000))), "not JSON"),
]
WORST = [
    (Streams("strings of 10 MB", page({"id": "a", "computerName": "x" * 10 * MIB}, {"id": "b"})), {"b"}, None),
    (
        Streams(
            "a device with a million interfaces",
            raw_page(b'{"id":"a","networkInterfaces":[' + b",".join([b'{"name":"eth0","id":"1"}'] * 1_000_000) + b"]}"),
        ),
        {"a"},
        None,
    ),
    (Streams("nothing but braces", raw_page(*[b"{}"] * BRACES)), set(), "Skipped"),
    (Streams("a lone surrogate", raw_page(b'{"id":"a","osName":"\\ud800"}', b'{"id":"b"}')), {"b"}, "surrogate"),
    (Streams("NaN", raw_page(b'{"id":"a","osName":NaN}', b'{"id":"b"}')), {"b"}, "NaN"),
    (Streams("NUL", raw_page(b'{"id":"a","computerName":"x\\u0000y"}', b'{"id":"b"}')), {"a", "b"}, None),
    (Streams("a key twice", raw_page(b'{"id":"a","id":"b","computerName":1}')), {"b"}, None),
    (Streams("a number of 10,000 digits", raw_page(b'{"id":"a","activeThreats":' + b"9" * 10_000 + b"}")), set(), None),
]


@pytest.fixture
def console() -> Iterator[SimulatedSentinelOne]:
    with SimulatedSentinelOne() as console:
        console.has(agents=3)
        yield console


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform(strict=False) as platform:
        yield platform


@pytest.fixture
def process(console: SimulatedSentinelOne, platform: LocalPlatform, tmp_path: Path) -> ModuleProcess:
    return ModuleProcess(
        MODULE,
        platform,
        MODULE.settings_for(console),
        {"frequency": 1},
        tmp_path / "data",
        log=tmp_path / "module.log",
        environment={"CONNECTOR_WAIT_SCALE": "0.02"},
    )


def peak_mib(process: ModuleProcess) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


@pytest.mark.parametrize(("fault", "says"), REFUSED, ids=[fault.name for fault, *_ in REFUSED])
def test_what_is_refused_for_its_size_stays_small_and_is_said(
    fault: Streams, says: str, console: SimulatedSentinelOne, platform: LocalPlatform, process: ModuleProcess
) -> None:
    console.fault(fault, match="agents", times=3)
    with process:
        health = process.wait_for_rounds(1)
        assert re.search(says, health["last_error"])
        process.wait_for_rounds(4)
        assert peak_mib(process) < REFUSED_MIB
    assert len(platform.devices) == 3


@pytest.mark.parametrize(("fault", "arrive", "says"), WORST, ids=[fault.name for fault, *_ in WORST])
def test_the_worst_page_within_the_bound_costs_its_bad_records_only(
    fault: Streams,
    arrive: set[str],
    says: str | None,
    console: SimulatedSentinelOne,
    platform: LocalPlatform,
    process: ModuleProcess,
) -> None:
    console.fault(fault, match="agents")
    with process:
        process.wait_for_rounds(1, timeout=240)
        assert peak_mib(process) < WORST_PAGE_MIB
        assert arrive <= set(platform.devices)
    if says:
        assert says in process.log.read_text()
    assert "Traceback" not in process.log.read_text()


def test_pages_without_end_are_given_up(
    console: SimulatedSentinelOne, platform: LocalPlatform, process: ModuleProcess
) -> None:
    """Each page is empty and names another."""
    numbers = iter(range(10**9))

    @dataclass(frozen=True)
    class Endless(Fault):
        def answer(self) -> Response:
            body = {"data": [], "pagination": {"nextCursor": f"page-{next(numbers)}"}}
            return Response(json.dumps(body), 200, content_type="application/json")

    console.fault(Endless(), match="agents", times=None)
    with process:
        assert "empty pages in a row" in process.wait_for_rounds(1)["last_error"]


class _Listener(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.heard.append(dict(self.headers))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.mark.parametrize("wrong", ["name", "authority"])
def test_a_certificate_that_is_not_the_consoles_gets_no_token(wrong: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.example" if wrong == "name" else "localhost").configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Listener)
    server.heard = []  # type: ignore[attr-defined]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    bundle = tmp_path / "ca.pem"
    if wrong == "name":
        authority.cert_pem.write_to_path(bundle)
    else:
        trustme.CA().cert_pem.write_to_path(bundle)
    try:
        with LocalPlatform() as platform:
            settings = {"hostname": f"https://localhost:{server.server_port}", "api_token": "a-token"}
            process = ModuleProcess(
                MODULE,
                platform,
                settings,
                {},
                tmp_path / "data",
                log=tmp_path / "module.log",
                environment={"CONNECTOR_WAIT_SCALE": "0.02", "REQUESTS_CA_BUNDLE": str(bundle)},
            )
            with process:
                error = process.wait_for_rounds(1)["last_error"]
        assert "No trusted TLS connection" in error
        assert ("for another host name" if wrong == "name" else "authority is not known") in error
        assert not server.heard  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
