"""A module's process: it says why, waits as long as it should, and stops at once.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

import json
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import requests_mock
from sekoia_automation.module import Module
from sekoia_automation.trigger import LivenessHandler

from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.runtime.backoff import Backoff
from shared.runtime.service import QuietLivenessHandler, Service
from shared.runtime.settings import HttpsUrl, ModuleSettings, Secret
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


def posts(platform: requests_mock.Mocker) -> list[list[str]]:
    """The messages of each call to the platform's logs."""
    calls = [call for call in platform.request_history if call.url == f"{PLATFORM}/logs"]
    return [[line["message"] for line in call.json()["logs"]] for call in calls]


def logged(platform: requests_mock.Mocker) -> list[tuple[str, str]]:
    """What reached the platform, as (level, message)."""
    calls = [call for call in platform.request_history if call.url == f"{PLATFORM}/logs"]
    return [(line["level"], line["message"]) for call in calls for line in call.json()["logs"]]


class Running(ExitStack):
    """A service's method in a thread, stopped and joined at the end."""

    def __init__(self, service: SomeService, method: str = "run") -> None:
        super().__init__()
        self.service = service
        self.thread = Thread(target=getattr(service, method))
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
    service.run()
    assert service.at == [0, 60, 120]
    assert service.stop_event.waits == [40, 40, 40]


def test_a_round_longer_than_the_frequency_is_followed_by_a_pause_all_the_same(
    timed: Callable[..., SomeService],
) -> None:
    service = timed(waits=2)
    service.frequency = 10
    service.rounds = [lambda: service.takes(50)] * 2
    service.run()
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
    said = str(error) if isinstance(error, ConnectorError) else "Internal error: KeyError."
    assert any(level == "error" and line.startswith(f"{said} Next try in ") for level, line in logged(platform))
    assert service.last_error is None


def test_failures_in_a_row_wait_longer_and_a_good_round_begins_anew(timed: Callable[..., SomeService]) -> None:
    service = timed(waits=5)
    service.backoff = Backoff(first=30, most=900, jitter=0)
    service.frequency = 100
    service.rounds = [TryAgain("1"), TryAgain("2"), TryAgain("3"), None, TryAgain("1 again")]
    service.run()
    assert service.stop_event.waits == [30, 60, 120, 100, 30]


def test_what_the_other_side_asked_to_wait_is_waited(timed: Callable[..., SomeService]) -> None:
    service = timed(waits=1)
    service.rounds = [TryAgain("slow down", retry_after=300)]
    service.run()
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
    with Running(service, "execute"):
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
    with Running(service, "execute"):
        until(lambda: service.at)
    assert any("did not hand out the module's secrets" in line for _, line in logged(platform))
    assert all(SECRET not in line and "platform-token" not in line for _, line in logged(platform))


@pytest.mark.parametrize("answer", [{}, {"value": None, "node_value": None}, {"value": {}, "node_value": {}}])
def test_secrets_that_are_null_leave_the_configuration_as_it_is(
    make: Callable[..., SomeService], platform: requests_mock.Mocker, answer: Any
) -> None:
    platform.get(f"{PLATFORM}/secrets", json=answer)
    service = make()
    with Running(service, "execute"):
        until(lambda: service.at)
    assert service.module.configuration.api_token.get_secret_value() == ""
    assert logged(platform) == []


def test_a_wrong_configuration_is_said_in_words_and_looked_at_again(
    make: Callable[..., SomeService], platform: requests_mock.Mocker
) -> None:
    service = make({"url": f"http://{SECRET}.example", "api_token": SECRET})
    with Running(service, "execute"):
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
    with Running(service, "execute") as running:
        until(lambda: service.last_error)
        running.end()
    assert service.at == []


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
def test_a_platform_that_takes_no_logs_stops_nothing_and_gets_them_later(
    make: Callable[..., SomeService], platform: requests_mock.Mocker, failure: dict[str, Any]
) -> None:
    """The SDK tries ten times while the work waits, and then raises into it."""
    platform.post(f"{PLATFORM}/logs", [failure, failure, {"json": {}}])
    service = make()
    for message in ("first", "second", "third", "fourth"):
        service.log(message, level="error")
    assert posts(platform) == [["first"], ["first", "second"], ["first", "second", "third"], ["fourth"]]


def test_logging_without_an_address_for_logs_raises_nothing(
    make: Callable[..., SomeService], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = make()
    monkeypatch.delenv("URL_LOGS")
    service.log("a line", level="error")


def test_lines_nobody_takes_are_kept_up_to_a_bound(
    make: Callable[..., SomeService], platform: requests_mock.Mocker
) -> None:
    """A platform that is down for a week must not fill the memory."""
    platform.post(f"{PLATFORM}/logs", [{"status_code": 503}, {"json": {}}])
    service = make()
    service.LOGS_MAX_BATCH_SIZE = 10_000
    for number in range(6_000):
        service.log(str(number))
    service.log("refused", level="error")
    service.log("taken", level="error")
    [_, kept] = posts(platform)
    assert kept == [*map(str, range(1_002, 6_000)), "refused", "taken"]


def test_nothing_to_say_is_not_posted(make: Callable[..., SomeService], platform: requests_mock.Mocker) -> None:
    service = make()
    with Running(service, "execute"):
        until(lambda: service.cycles == 1)
    assert posts(platform) == []


def test_a_probe_that_does_not_wait_for_its_answer_leaves_no_traceback(
    make: Callable[..., SomeService], capfd: pytest.CaptureFixture[str]
) -> None:
    """socketserver wrote one for each, while the process was busy with a large page."""
    LivenessHandler.trigger = make()
    with HTTPServer(("127.0.0.1", 0), QuietLivenessHandler) as server:
        for _ in range(3):
            with socket.create_connection(server.server_address) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                probe.sendall(b"GET /health HTTP/1.1\r\n\r\n")
            server.handle_request()
        with socket.create_connection(server.server_address) as probe:
            probe.sendall(b"GET /health HTTP/1.1\r\n\r\n")
            server.handle_request()
            assert b"cycles" in probe.recv(4096)
    assert capfd.readouterr().err == ""
