"""A module's process: it says why, waits as long as it should, and stops at once.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

import json
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread, Timer, get_ident
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import pytest
import requests
import requests_mock
from sekoia_automation.module import Module

from lab.process import claimed_port
from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.masking import hide
from shared.runtime.backoff import Backoff
from shared.runtime.ports import HealthHandler, Port
from shared.runtime.service import Service
from shared.runtime.settings import HttpsUrl, ModuleSettings, Secret
from tests.clock import Clock
from tests.waiting import HANGS, StopEvent, until

PLATFORM = "https://platform.example"
SECRET = "s3cr3t-t0k3n"


class Settings(ModuleSettings):
    url: HttpsUrl
    api_token: Secret


class SomeModule(Module):
    configuration: Settings


class SomeService(Service):
    """Its rounds do, one after the other, what `rounds` says: raise it, call it, or end well."""

    name = "some"
    backoff = Backoff(first=0.02, most=0.05)
    frequency = 3600
    configuration: dict

    def __init__(self, module: Module, data_path: Path) -> None:
        super().__init__(module, data_path)
        self.rounds: list[Any] = []
        self.at: list[float] = []
        self.stop_event: Any = self._stop_event

    def keep_time(self, waits: int) -> None:
        """From now on time passes in waits and where a round `takes` some; the stop comes in the wait of this number."""
        self.stop_event = self._stop_event = StopEvent(after=waits)

    def takes(self, seconds: float) -> None:
        self.stop_event.now += seconds

    def cycle(self) -> None:
        self.at.append(getattr(self.stop_event, "now", 0.0))
        act = self.rounds.pop(0) if self.rounds else None
        if isinstance(act, Exception):
            raise act
        if act:
            act()


@pytest.fixture
def platform() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        mocker.post(f"{PLATFORM}/logs", json={})
        mocker.get(f"{PLATFORM}/secrets", json={"value": {"api_token": SECRET}, "node_value": {}})
        yield mocker


@pytest.fixture
def make(
    platform: requests_mock.Mocker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., SomeService]]:
    """A service as the platform would configure it, by its environment."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    made: list[SomeService] = []

    def start(settings: Any = None) -> SomeService:
        settings = {"url": "https://console.example", "api_token": None} if settings is None else settings
        for name, value in {
            "MODULE_CONFIGURATION": json.dumps(settings),
            "TRIGGER_CONFIGURATION": "{}",
            "TOKEN": "platform-token",
            "URL_LOGS": f"{PLATFORM}/logs",
            "URL_SECRETS": f"{PLATFORM}/secrets",
            "URL_CALLBACK": f"{PLATFORM}/callback",
        }.items():
            monkeypatch.setenv(name, value)
        made.append(SomeService(SomeModule(), tmp_path))
        return made[-1]

    yield start
    for service in made:
        service.stop()
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def timed(make: Callable[..., SomeService], monkeypatch: pytest.MonkeyPatch) -> Callable[..., SomeService]:
    """Makes a service in whose loop time passes as the test says; it is stopped in the wait of that number."""

    def start(waits: int) -> SomeService:
        service = make()
        service.keep_time(waits)
        monkeypatch.setattr("shared.runtime.service.time", SimpleNamespace(monotonic=lambda: service.stop_event.now))
        return service

    return start


def logged(platform: requests_mock.Mocker) -> list[tuple[str, str]]:
    """What reached the platform, as (level, message)."""
    calls = [call for call in platform.request_history if call.url == f"{PLATFORM}/logs"]
    return [(line["level"], line["message"]) for call in calls for line in call.json()["logs"]]


class Running(ExitStack):
    """A service's method in a thread, stopped and joined at the end."""

    def __init__(self, service: SomeService) -> None:
        super().__init__()
        self.service = service
        self.thread = Thread(target=service.execute)
        self.thread.start()
        self.callback(self.end)

    def end(self) -> None:
        self.service.stop()
        self.thread.join(HANGS)
        assert not self.thread.is_alive(), f"the service still runs {HANGS:.0f} s after the stop"


# --- waiting after failures


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 30), (2, 60), (3, 120), (4, 240), (5, 480), (6, 900), (7, 900), (1000, 900)]
)
def test_the_wait_after_failures_doubles_from_half_a_minute_to_a_quarter_of_an_hour(
    failures: int, seconds: float
) -> None:
    waits = [Backoff().wait(failures) for _ in range(200)]
    assert min(waits) >= seconds * 0.8
    assert max(waits) <= seconds * 1.2
    assert max(waits) - min(waits) > seconds * 0.2  # spread, or all connectors come back at once


def test_without_jitter_the_waits_are_exact() -> None:
    assert [Backoff(1, 5, 0).wait(n) for n in range(1, 6)] == [1, 2, 4, 5, 5]


def test_the_waits_of_a_whole_process_can_be_scaled_from_outside(
    make: Callable[..., SomeService], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTOR_WAIT_SCALE", "0.5")
    service = make()
    assert service.backoff == Backoff(first=0.01, most=0.025)
    assert service.patience.first_wait == 0.5


# --- the loop


def test_rounds_begin_a_frequency_apart_whatever_they_take(timed: Callable[..., SomeService]) -> None:
    service = timed(waits=3)
    service.frequency = 60
    service.rounds = [lambda: service.takes(20)] * 3
    service.execute()
    assert service.at == [0, 60, 120]
    assert service.stop_event.waits == [40, 40, 40]


def test_a_round_longer_than_the_frequency_is_followed_by_a_pause_all_the_same(
    timed: Callable[..., SomeService],
) -> None:
    service = timed(waits=2)
    service.frequency = 10
    service.rounds = [lambda: service.takes(50)] * 2
    service.execute()
    assert service.stop_event.waits == [0.05, 0.05]


def test_a_stop_ends_the_wait_for_the_next_round(make: Callable[..., SomeService]) -> None:
    service = make()
    with Running(service) as running:
        until(lambda: service.cycles == 1)
        running.end()
    assert len(service.at) == 1


def test_a_stop_ends_the_wait_after_a_failure(make: Callable[..., SomeService]) -> None:
    service = make()
    service.backoff = Backoff(first=3600, most=3600)
    service.rounds = [TryAgain("down")]
    with Running(service) as running:
        until(lambda: service.last_error)
        running.end()
    assert len(service.at) == 1


@pytest.mark.parametrize(
    "error", [TryAgain("down"), ActionNeeded("bad token"), UnexpectedReply("odd"), KeyError("bug")]
)
def test_no_failure_ends_the_loop_and_each_is_told(
    make: Callable[..., SomeService], platform: requests_mock.Mocker, error: Exception
) -> None:
    service = make()
    service.rounds = [error, error]
    with Running(service):
        until(lambda: service.cycles == 3)
    said = f"{error if isinstance(error, ConnectorError) else 'Internal error: KeyError.'} Next try in "
    until(lambda: any(level == "error" and line.startswith(said) for level, line in logged(platform)))
    assert service.last_error is None


def test_failures_in_a_row_wait_longer_and_a_good_round_begins_anew(timed: Callable[..., SomeService]) -> None:
    service = timed(waits=5)
    service.backoff = Backoff(first=30, most=900, jitter=0)
    service.frequency = 100
    service.rounds = [TryAgain("1"), TryAgain("2"), TryAgain("3"), None, TryAgain("1 again")]
    service.execute()
    assert service.stop_event.waits == [30, 60, 120, 100, 30]


def test_what_the_other_side_asked_to_wait_is_waited(timed: Callable[..., SomeService]) -> None:
    service = timed(waits=1)
    service.rounds = [TryAgain("slow down", retry_after=300)]
    service.execute()
    assert service.stop_event.waits == [300]


def test_health_tells_the_rounds_and_the_last_error(make: Callable[..., SomeService]) -> None:
    service = make()
    service.backoff = Backoff()
    service.rounds = [TryAgain("down")]
    with Running(service):
        until(lambda: service.last_error)
    context = service.liveness_context()
    assert (context["cycles"], context["last_error"]) == (1, "down")
    json.dumps(context)


# --- the start


def test_the_secrets_are_there_before_the_first_round(make: Callable[..., SomeService]) -> None:
    service = make()
    seen: list[str] = []
    service.rounds = [lambda: seen.append(service.module.configuration.api_token.get_secret_value())]
    with Running(service):
        until(lambda: seen)
    assert seen == [SECRET]


@pytest.mark.parametrize(
    "failure",
    [
        *({"exc": requests.ConnectionError}, {"exc": requests.ReadTimeout}, {"status_code": 500}, {"status_code": 401}),
        *({"text": "<html>"}, {"json": None}, {"json": []}, {"json": {"value": "x"}}, {"json": {"value": [1]}}),
    ],
)
def test_a_start_without_secrets_is_said_and_tried_again(
    make: Callable[..., SomeService], platform: requests_mock.Mocker, failure: dict[str, Any]
) -> None:
    """The SDK tries ten times with up to ten seconds in between, deaf to a stop, and then the process dies silently."""
    good = {"json": {"value": {"api_token": SECRET}}}
    platform.get(f"{PLATFORM}/secrets", [failure, failure, good])
    service = make()
    with Running(service):
        until(lambda: service.at)
    assert any("did not hand out the module's secrets" in line for _, line in logged(platform))
    assert all(SECRET not in line and "platform-token" not in line for _, line in logged(platform))


@pytest.mark.parametrize("answer", [{}, {"value": None, "node_value": None}, {"value": {}, "node_value": {}}])
def test_secrets_that_are_null_leave_the_configuration_as_it_is(
    make: Callable[..., SomeService], platform: requests_mock.Mocker, answer: Any
) -> None:
    platform.get(f"{PLATFORM}/secrets", json=answer)
    service = make()
    with Running(service):
        until(lambda: service.at)
    assert service.module.configuration.api_token.get_secret_value() == ""
    assert logged(platform) == []


def test_a_wrong_configuration_is_said_in_words_and_looked_at_again(
    make: Callable[..., SomeService], platform: requests_mock.Mocker
) -> None:
    service = make({"url": f"http://{SECRET}.example", "api_token": SECRET})
    with Running(service):
        until(lambda: service.cycles >= 2)
    assert service.at == []
    assert service.last_error is not None
    assert service.last_error.startswith("The configuration is wrong: url must begin with https://")
    assert any(line.startswith("The configuration is wrong: url") for _, line in logged(platform))
    assert SECRET not in str(logged(platform))


def test_a_stop_ends_the_wait_for_a_start(make: Callable[..., SomeService], platform: requests_mock.Mocker) -> None:
    platform.get(f"{PLATFORM}/secrets", status_code=503)
    service = make()
    service.backoff = Backoff(first=3600, most=3600)
    with Running(service) as running:
        until(lambda: service.last_error)
        running.end()
    assert service.at == []


def test_a_signal_that_another_thread_receives_is_heard(
    make: Callable[..., SomeService], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The main thread waited without an end, and nothing woke it: 4 of some 60 stops hung under load."""
    exits: list[int] = []
    monkeypatch.setattr("shared.runtime.service.os._exit", exits.append)
    service = make()
    service.rounds = [lambda: signal.pthread_kill(get_ident(), signal.SIGTERM)]
    rescue = Timer(HANGS, service.stop)
    rescue.start()
    service.execute()
    heard = rescue.is_alive()
    rescue.cancel()
    rescue.join()
    assert heard, f"the signal was not heard for {HANGS:.0f} s"
    assert exits == [0]


def test_a_port_that_is_taken_is_what_is_said(
    make: Callable[..., SomeService], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A KeyError from the way out stood in its place."""
    service = make()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("LIVENESS_PORT", "0")
        monkeypatch.setenv("METRICS_PORT", str(taken.getsockname()[1]))
        try:
            with pytest.raises(OSError, match="in use"):
                service.start_monitoring()
        finally:
            service.stop_monitoring()


# --- logs


@pytest.mark.parametrize(
    "failure",
    [
        *({"exc": requests.ConnectionError}, {"exc": requests.ReadTimeout}, {"status_code": 500}, {"status_code": 401}),
        {"text": "<html>", "status_code": 404},
    ],
)
def test_lines_that_the_platform_did_not_accept_arrive_with_the_last_ones(
    make: Callable[..., SomeService], platform: requests_mock.Mocker, failure: dict[str, Any]
) -> None:
    """The SDK tries ten times while the work waits, and then raises into it."""
    platform.post(f"{PLATFORM}/logs", [failure, {"json": {}}])
    service = make()
    service.rounds = [lambda: [service.log(line, level="error") for line in ("first", "second", "third")]]
    with Running(service):
        until(lambda: service.cycles == 1)
        until(lambda: logged(platform))
    refused, *accepted = [[line["message"] for line in call.json()["logs"]] for call in platform.request_history[1:]]
    assert sorted(line for lines in accepted for line in lines) == ["first", "second", "third"]
    assert set(refused) <= {"first", "second", "third"}


def test_logging_without_an_address_for_logs_raises_nothing(
    make: Callable[..., SomeService], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = make()
    monkeypatch.delenv("URL_LOGS")
    monkeypatch.delenv("URL_CALLBACK")
    service.rounds = [lambda: service.log("a line", level="error")]
    with Running(service):
        until(lambda: service.cycles == 1)
    assert service.last_error is None


def test_nothing_is_posted_when_nothing_was_logged(
    make: Callable[..., SomeService], platform: requests_mock.Mocker
) -> None:
    service = make()
    with Running(service):
        until(lambda: service.cycles == 1)
    assert logged(platform) == []


# --- the ports


@pytest.fixture
def ports(make: Callable[..., SomeService], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, int]]]:
    """A service's ports, open: `/health` and metrics."""
    with ExitStack() as claims:
        numbers = [claimed_port(claims) for _ in range(2)]
        for name, number in zip(("LIVENESS_PORT", "METRICS_PORT"), numbers, strict=True):
            monkeypatch.setenv(name, str(number))
        service = make()
        service.start_monitoring()
        yield [("127.0.0.1", number) for number in numbers]
        service.stop_monitoring()


@pytest.mark.parametrize(("which", "path", "expected"), [(0, "health", "cycles"), (1, "metrics", "sekoia_connector")])
def test_a_port_answers_although_other_clients_are_connected_and_send_nothing(
    ports: list[tuple[str, int]], which: int, path: str, expected: str
) -> None:
    """One idle connection made every probe time out: the SDK's servers serve one client after the other."""
    with ExitStack() as idle:
        for _ in range(20):
            idle.enter_context(socket.create_connection(ports[which]))
        host, number = ports[which]
        with urlopen(f"http://{host}:{number}/{path}", timeout=5) as answer:
            assert expected in answer.read().decode()


def test_an_idle_connection_is_closed_after_a_while(
    ports: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would keep a thread."""
    monkeypatch.setattr("shared.runtime.ports.IDLE", 0.1)
    with socket.create_connection(ports[0]) as idle:
        idle.settimeout(10)
        assert idle.recv(1) == b""


def test_a_port_looks_up_no_name(ports: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPServer looks up the name of the machine, which can hang, while the main thread waits."""

    def hang(*_: Any) -> None:
        raise AssertionError("a name was looked up")

    monkeypatch.setattr(socket, "getfqdn", hang)
    Port(("", 0), HealthHandler).server_close()


def test_a_probe_that_does_not_wait_for_its_answer_leaves_no_traceback(
    ports: list[tuple[str, int]], capfd: pytest.CaptureFixture[str]
) -> None:
    """socketserver wrote one for each, while the process was busy with a large page."""
    for _ in range(3):
        with socket.create_connection(ports[0]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            probe.sendall(b"GET /health HTTP/1.1\r\n\r\n")
    with socket.create_connection(ports[0]) as probe:
        probe.sendall(b"GET /health HTTP/1.1\r\n\r\n")
        assert b"cycles" in b"".join(iter(lambda: probe.recv(4096), b""))
    assert capfd.readouterr().err == ""


# --- alive


def test_a_round_is_alive_while_it_gets_on_and_not_once_it_hangs(
    make: Callable[..., SomeService], monkeypatch: pytest.MonkeyPatch
) -> None:
    service, clock = make(), Clock(monkeypatch)
    seen: list[bool] = []

    def hang() -> None:
        for pause in (7_000.0, 7_000.0, 7_300.0):
            service.moving()
            clock.now += pause
            seen.append(service.is_alive())

    service.rounds = [hang]
    with Running(service):
        until(lambda: service.cycles == 1)
    assert seen == [True, True, False]
    assert service.is_alive(), "between rounds nothing hangs"


def test_no_line_for_the_platform_and_no_last_error_shows_a_secret_or_forges_a_line(
    make: Callable[..., SomeService], platform: requests_mock.Mocker, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whoever logs: a bug's own text as well, and what was fetched with a secret."""

    def hostile() -> None:
        hide("a-fetched-token", fetched=True)
        service.log(f"Skipped a device (id x\n2026-11-26 - ERROR - forged [{SECRET}] \x1b[2J): why", level="warning")
        raise TryAgain(f"no [{SECRET}], no <a-fetched-token>, no platform-token")

    def bug() -> None:
        raise RuntimeError(f"a bug with x{SECRET}x")

    service = make()
    service.rounds = [hostile, bug]
    with Running(service):
        until(lambda: service.cycles == 1)
        assert "no [***], no <***>, no ***" in (service.last_error or "")
        until(lambda: any("a bug with" in line for _, line in logged(platform)))
    lines = [line for _, line in logged(platform)]
    assert r"Skipped a device (id x 2026-11-26 - ERROR - forged [***] \x1b[2J): why" in lines
    assert "An exception occurred a bug with x***x" in lines
    for text in (*lines, "".join(capfd.readouterr()), json.dumps(service.liveness_context())):
        assert not [secret for secret in (SECRET, "a-fetched-token", "platform-token", "\x1b") if secret in text]
