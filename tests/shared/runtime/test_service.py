"""A module's process: it says why, waits as long as it should, and stops at once.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

import json
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
import requests_mock
from sekoia_automation.module import Module
from sekoia_automation.trigger import LivenessHandler

from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.runtime.backoff import Backoff
from shared.runtime.service import Service, _QuietLivenessHandler
from shared.runtime.settings import HttpsUrl, ModuleSettings, Secret
from tests.shared.loopback import until

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

    def cycle(self) -> None:
        self.at.append(time.monotonic())
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


def logged(platform: requests_mock.Mocker) -> list[tuple[str, str]]:
    """What reached the platform, as (level, message)."""
    posts = [call for call in platform.request_history if call.url == f"{PLATFORM}/logs"]
    return [(line["level"], line["message"]) for call in posts for line in call.json()["logs"]]


class Running(ExitStack):
    """A service's method in a thread, stopped and joined at the end."""

    def __init__(self, service: SomeService, method: str = "run") -> None:
        super().__init__()
        self.service = service
        self.thread = Thread(target=getattr(service, method))
        self.thread.start()
        self.callback(self.end)

    def end(self) -> float:
        """→ the seconds it took."""
        began = time.monotonic()
        self.service.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()
        return time.monotonic() - began


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


def test_rounds_begin_a_frequency_apart_whatever_they_take(make: Callable[..., SomeService]) -> None:
    service = make()
    service.frequency = 0.2
    service.rounds = [lambda: time.sleep(0.1)] * 3
    with Running(service):
        until(lambda: len(service.at) >= 4)
    gaps = [later - earlier for earlier, later in zip(service.at, service.at[1:4], strict=False)]
    assert gaps == pytest.approx([0.2] * len(gaps), abs=0.08)


def test_a_round_longer_than_the_frequency_is_followed_by_a_pause_all_the_same(
    make: Callable[..., SomeService],
) -> None:
    service = make()
    service.frequency = 0.01
    service.rounds = [lambda: time.sleep(0.05)] * 2
    with Running(service):
        until(lambda: len(service.at) >= 3)
    assert service.at[1] - service.at[0] >= 0.09


def test_a_stop_ends_the_wait_for_the_next_round(make: Callable[..., SomeService]) -> None:
    service = make()
    with Running(service) as running:
        until(lambda: service.cycles == 1)
        assert running.end() < 0.5
    assert len(service.at) == 1


def test_a_stop_ends_the_wait_after_a_failure(make: Callable[..., SomeService]) -> None:
    service = make()
    service.backoff = Backoff()
    service.rounds = [TryAgain("down")]
    with Running(service) as running:
        until(lambda: service.last_error)
        assert running.end() < 0.5


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


def test_failures_in_a_row_wait_longer_and_a_good_round_begins_anew(make: Callable[..., SomeService]) -> None:
    service = make()
    service.backoff = Backoff(first=0.04, most=10, jitter=0)
    service.frequency = 0.01
    service.rounds = [TryAgain("1"), TryAgain("2"), TryAgain("3"), None, TryAgain("1 again")]
    with Running(service):
        until(lambda: len(service.at) >= 6)
    gaps = [later - earlier for earlier, later in zip(service.at, service.at[1:], strict=False)]
    assert gaps[:5] == pytest.approx([0.04, 0.08, 0.16, 0.05, 0.04], abs=0.03)


def test_what_the_other_side_asked_to_wait_is_waited(make: Callable[..., SomeService]) -> None:
    service = make()
    service.rounds = [TryAgain("slow down", retry_after=0.3)]
    with Running(service):
        until(lambda: len(service.at) >= 2)
    assert service.at[1] - service.at[0] >= 0.3


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
    service.backoff = Backoff()
    with Running(service, "execute") as running:
        until(lambda: service.last_error)
        assert running.end() < 1


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
    began = time.monotonic()
    service.log("first", level="error")
    service.log("second", level="error")
    service.log("third", level="error")
    assert time.monotonic() - began < 0.5
    last = platform.request_history[-1].json()["logs"]
    assert [line["message"] for line in last] == ["first", "second", "third"]
    assert service._logs == []


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
    platform.post(f"{PLATFORM}/logs", status_code=503)
    service = make()
    service._logs = [{"message": str(n)} for n in range(20_000)]
    service._send_logs_to_api()
    assert len(service._logs) == 5_000
    assert service._logs[-1] == {"message": "19999"}


def test_nothing_to_say_is_not_posted(make: Callable[..., SomeService], platform: requests_mock.Mocker) -> None:
    make()._send_logs_to_api()
    assert platform.call_count == 0


def test_a_probe_that_does_not_wait_for_its_answer_leaves_no_traceback(
    make: Callable[..., SomeService], capfd: pytest.CaptureFixture[str]
) -> None:
    """socketserver wrote one for each, while the process was busy with a large page."""
    LivenessHandler.trigger = make()
    with HTTPServer(("127.0.0.1", 0), _QuietLivenessHandler) as server:
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
