"""The server itself and every way it can be told to misbehave, over real connections."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests

from lab.platform.calls import CallLog
from lab.platform.faults import (
    Empty,
    Fault,
    Hang,
    Html,
    RateLimited,
    Redirect,
    Reset,
    Slow,
    Status,
    Truncated,
    WrongShape,
)
from lab.platform.server import LocalServer, answer_json
from tests.waiting import HANGS


class Counter(LocalServer):
    """Counts how often its handler ran."""

    def __init__(self) -> None:
        super().__init__()
        self.ran = 0
        self.route("GET", "/things/<name>", "thing", self._thing)
        self.route("POST", "/things", "create", lambda: self._thing("new"))

    def _thing(self, name: str):
        self.ran += 1
        return answer_json({"name": name, "padding": "x" * 200})


@pytest.fixture
def server() -> Iterator[Counter]:
    with Counter() as running:
        yield running


def get(server: LocalServer, path: str = "/things/a", **options) -> requests.Response:
    return requests.get(server.url + path, timeout=60, **options)


def test_one_connection_serves_many_calls(server):
    with requests.Session() as session:
        for _ in range(3):
            session.get(f"{server.url}/things/a", timeout=60)
        session.post(f"{server.url}/things", json={"large": "x" * 500_000}, timeout=60)
        session.get(f"{server.url}/nowhere", timeout=60)
        session.get(f"{server.url}/things/a", timeout=60)
        assert len(server.connections._open) == 1


def test_a_chunked_request_leaves_the_connection_usable(server):
    with requests.Session() as session:
        first = session.post(f"{server.url}/things", data=iter([b"one", b"two"]), timeout=60)
        second = session.get(f"{server.url}/things/a", timeout=60)
    assert (first.status_code, second.status_code) == (200, 200)
    assert server.calls[0].body == b"onetwo"


def test_stop_leaves_no_thread_and_no_port_behind():
    before = set(threading.enumerate())
    server = Counter().start()
    sessions = [requests.Session() for _ in range(5)]
    for session in sessions:
        session.get(f"{server.url}/things/a", timeout=60)
    port = int(server.url.rsplit(":", 1)[1])

    server.stop()

    assert set(threading.enumerate()) == before
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=1):
        pass
    for session in sessions:
        session.close()


def test_a_restarted_server_keeps_its_address(server):
    url = server.url
    server.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/things/a", timeout=1)
    server.start()
    assert server.url == url
    assert get(server).status_code == 200


def test_the_date_header_has_the_servers_own_clock(server):
    server.clock_offset = timedelta(hours=-2)
    told = parsedate_to_datetime(get(server).headers["Date"])
    assert abs(told - (datetime.now(UTC) - timedelta(hours=2))) < timedelta(seconds=5)


def test_calls_are_recorded_with_what_tests_ask_for(server):
    get(server, "/things/b?since=2024-01-01&cursor=a%3D", headers={"Authorization": "Bearer t"})
    get(server, "/nowhere")
    call, lost = server.calls
    assert (call.method, call.path, call.route, call.status) == ("GET", "/things/b", "thing", 200)
    assert call.query == {"since": "2024-01-01", "cursor": "a="}
    assert call.headers["Authorization"] == "Bearer t"
    assert (lost.route, lost.status) == ("", 404)
    assert server.counts == {("GET", "/things/<name>", 200): 1, ("GET", "(no route)", 404): 1}
    assert server.calls_to("thing") == [call]


def test_a_long_run_keeps_the_latest_calls_and_counts_all_of_them(server):
    server._log = CallLog(kept=3)
    for n in range(5):
        get(server, f"/things/{n}")
    assert [call.path for call in server.calls] == ["/things/2", "/things/3", "/things/4"]
    assert server.counts["GET", "/things/<name>", 200] == 5


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        (Status(503, "busy", headers={"X-Why": "load"}), 503, "busy"),
        (Html(), 200, "Sign in"),
        (Html(502), 502, "maintenance"),
        (RateLimited(), 429, "<html>"),
        (RateLimited(7, html=False), 429, '{"error"'),
        (Empty(), 200, ""),
        (Empty(204), 204, ""),
        (WrongShape([1, "two"]), 200, '[1,"two"]'),
        (Redirect("https://elsewhere.example/x"), 302, ""),
    ],
    ids=repr,
)
def test_a_fault_answers_in_place_of_the_handler(server, fault, status, text):
    server.fault(fault)
    spoilt = get(server, allow_redirects=False)
    assert spoilt.status_code == status
    assert text in spoilt.text
    assert server.ran == 0
    assert get(server).json()["name"] == "a"


@pytest.mark.parametrize("retry_after", [None, 3, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_rate_limit_is_answered_with_or_without_retry_after(server, retry_after):
    server.fault(RateLimited(retry_after))
    told = get(server).headers.get("Retry-After")
    assert told == (None if retry_after is None else str(retry_after))


def test_a_redirect_names_its_place_as_it_was_given(server):
    server.fault(Redirect("https://elsewhere.example/x"))
    assert get(server, allow_redirects=False).headers["Location"] == "https://elsewhere.example/x"


def test_a_reset_connection_is_a_reset_and_not_a_goodbye(server):
    server.fault(Reset())
    with pytest.raises(requests.ConnectionError, match="reset"):
        get(server)
    assert server.ran == 0
    assert server.calls[0].status == 0


def test_a_truncated_body_ends_before_its_length(server):
    server.fault(Truncated())
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        get(server)
    assert get(server).status_code == 200


def test_a_slow_answer_is_right_and_late(server):
    server.fault(Slow(0.2))
    started = time.monotonic()
    assert get(server).json()["name"] == "a"
    assert time.monotonic() - started >= 0.2


def test_a_hanging_call_gets_no_answer(server):
    server.fault(Hang(0.1))
    with pytest.raises(requests.ConnectionError):
        get(server)
    server.fault(Hang(30))
    with pytest.raises(requests.Timeout):
        requests.get(f"{server.url}/things/a", timeout=0.2)


def test_stopping_does_not_wait_for_a_slow_answer():
    server = Counter().start()
    server.fault(Slow(HANGS))
    arrived = threading.Event()
    server.before_call = lambda _: arrived.set()
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(get, server)
        assert arrived.wait(HANGS)
        server.stop()
        with pytest.raises(requests.ConnectionError):
            answer.result(HANGS)
    assert server.ran == 0, "the answer was waited for, and given"


@pytest.mark.parametrize("fault", [Status(500, ""), Reset(), Truncated(), Empty()], ids=repr)
def test_a_fault_after_the_handler_spoils_only_the_answer(server, fault):
    server.fault(fault, match="create", after=True)
    with contextlib.suppress(requests.RequestException):
        assert requests.post(f"{server.url}/things", timeout=60).text == ""
    assert server.ran == 1


def test_faults_strike_in_the_order_they_were_armed(server):
    server.fault(Status(503), times=2)
    server.fault(Status(401))
    assert [get(server).status_code for _ in range(5)] == [503, 503, 401, 200, 200]


def test_skipped_calls_count_from_the_arming_despite_other_faults(server):
    server.fault(Status(500), skip=1)
    server.fault(Status(502), skip=3)
    assert [get(server).status_code for _ in range(5)] == [200, 500, 200, 502, 200]


def test_a_fault_is_for_a_route_a_path_or_a_predicate(server):
    server.fault(Status(500), match="create")
    server.fault(Status(501), match="/things/b")
    server.fault(Status(502), match=lambda call: call.args.get("page") == "2")
    assert get(server).status_code == 200
    assert get(server, "/things/a?page=2").status_code == 502
    assert get(server, "/things/bee").status_code == 501
    assert requests.post(f"{server.url}/things", timeout=60).status_code == 500
    assert server.waiting_faults == []


def test_a_fault_without_a_number_strikes_until_it_is_cleared(server):
    server.fault(Status(503), times=None)
    assert {get(server).status_code for _ in range(4)} == {503}
    server.clear_faults()
    assert get(server).status_code == 200


def test_calls_that_arrive_together_consume_a_fault_exactly_so_often(server):
    server.fault(Status(503), times=7)
    with ThreadPoolExecutor(16) as callers:
        statuses = list(callers.map(lambda _: get(server).status_code, range(60)))
    assert statuses.count(503) == 7
    assert server.ran == 53


def test_a_step_before_a_call_can_be_scripted(server):
    seen = []
    server.before_call = lambda call: seen.append(call.path)
    get(server)
    assert seen == ["/things/a"]


@pytest.mark.parametrize(
    ("fault", "text"),
    [(Status(503, "busy"), "Status(code=503, body='busy')"), (Slow(2), "Slow(seconds=2)"), (Reset(), "Reset()")],
)
def test_a_fault_reads_as_it_was_written(fault: Fault, text: str):
    assert repr(fault) == text
