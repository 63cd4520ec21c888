"""Log lines reach the platform without delaying whoever logs, and one that it refuses costs only itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from threading import Event

import pytest

from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.masking import hide
from shared.runtime.logs import Line, LogPoster, safe_record, safe_report
from tests.waiting import until


class Platform:
    """What accepts lines: not those that hold "poison", and none while `down` is set."""

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.calls: list[list[str]] = []
        self.down: ConnectorError | None = None

    def post(self, lines: Sequence[Line]) -> None:
        messages = [line["message"] for line in lines]
        self.calls.append(messages)
        if self.down:
            raise self.down
        if any("poison" in message for message in messages):
            raise UnexpectedReply("refused", status=400)
        self.accepted += messages


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def poster(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[LogPoster]:
    monkeypatch.setattr("shared.runtime.logs.EVERY", 0.02)
    poster = LogPoster(platform.post)
    yield poster
    poster.close(5)


def log(poster: LogPoster, *messages: str) -> None:
    poster.lines.extend({"message": message} for message in messages)


def test_a_line_that_is_refused_costs_that_line_alone(platform: Platform, poster: LogPoster) -> None:
    """It held back the 301 others of its batch, and all that came later."""
    good = [f"line {n}" for n in range(301)]
    log(poster, *good[:150], "poison", *good[150:])
    poster.wake()
    until(lambda: len(platform.accepted) == 301)
    assert sorted(platform.accepted) == sorted(good)
    until(lambda: not poster.lines)
    calls = len(platform.calls)
    log(poster, "a later line")
    poster.wake()
    until(lambda: "a later line" in platform.accepted)
    assert platform.calls[calls:] == [["a later line"]], "the refused line was posted again"


def test_many_refused_lines_at_the_front_hold_back_no_other(platform: Platform, poster: LogPoster) -> None:
    """Three are tried alone before the platform is taken to be down; the next time it is other lines."""
    log(poster, *(f"poison {n}" for n in range(400)), "line")
    poster.wake()
    until(lambda: platform.accepted == ["line"])


@pytest.mark.parametrize(
    "down", [TryAgain("no answer"), ActionNeeded("token", status=401), TryAgain("503", status=503)]
)
def test_no_line_is_lost_while_the_platform_accepts_none(
    platform: Platform, poster: LogPoster, down: ConnectorError
) -> None:
    platform.down = down
    log(poster, *(f"line {n}" for n in range(300)))
    poster.wake()
    until(lambda: len(platform.calls) > 3)
    platform.down = None
    until(lambda: len(platform.accepted) == 300)
    assert len(set(platform.accepted)) == 300


def test_lines_stay_in_order_after_a_call_without_an_answer(platform: Platform, poster: LogPoster) -> None:
    lines = [f"line {n}" for n in range(300)]
    platform.down = TryAgain("no answer")
    log(poster, *lines)
    poster.wake()
    until(lambda: len(platform.calls) > 1)
    platform.down = None
    until(lambda: len(platform.accepted) == 300)
    assert platform.accepted == lines


def test_lines_that_nobody_accepts_are_kept_up_to_a_bound_the_newest_first(
    platform: Platform, poster: LogPoster
) -> None:
    """A platform that is down for a week must not fill the memory."""
    platform.down = TryAgain("no answer")
    log(poster, *(str(n) for n in range(4_990)))
    poster.wake()
    until(lambda: len(platform.calls) > 1)
    log(poster, *(str(n) for n in range(4_990, 20_000)))
    until(lambda: len(platform.calls) > 3)
    assert len(poster.lines) <= 5_000
    platform.down = None
    until(lambda: "19999" in platform.accepted)
    assert len(platform.accepted) == 5_000


def test_a_platform_that_is_down_is_not_called_without_a_pause(
    platform: Platform, poster: LogPoster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.runtime.logs.EVERY", 3600.0)
    platform.down = TryAgain("no answer")
    log(poster, "line")
    for _ in range(5):
        poster.wake()
        time.sleep(0.02)
    assert len(platform.calls) == 1


def hanging() -> tuple[Callable[[Sequence[Line]], None], Event]:
    """A `post` that does not return before the event is set."""
    released = Event()
    return lambda _: released.wait(30) and None, released


def test_whoever_logs_does_not_wait_for_a_platform_that_hangs() -> None:
    """Each error line took five seconds of the thread that reads the devices."""
    post, released = hanging()
    poster = LogPoster(post)
    began = time.monotonic()
    for _ in range(10):
        log(poster, "line")
        poster.wake()
    assert time.monotonic() - began < 5
    released.set()
    poster.close(5)


def test_closing_posts_what_is_left(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.runtime.logs.EVERY", 3600.0)
    poster = LogPoster(platform.post)
    poster.start()
    log(poster, *(f"line {n}" for n in range(450)))
    poster.close(10)
    assert len(platform.accepted) == 450


def test_closing_waits_no_longer_than_it_may_for_a_platform_that_hangs() -> None:
    post, released = hanging()
    poster = LogPoster(post)
    log(poster, "line")
    began = time.monotonic()
    poster.close(0.1)
    assert time.monotonic() - began < 5
    released.set()


def test_a_record_of_any_library_holds_no_secret_and_is_one_line() -> None:
    hide("s3cr3t-t0k3n")
    record = safe_record("urllib3", logging.WARNING, "f.py", 1, "Failed: %s\n%s", ("[s3cr3t-t0k3n]", "\x1b[2J"), None)
    assert logging.Formatter().format(record) == r"Failed: [***] \x1b[2J"


def test_a_traceback_in_the_log_holds_no_secret_and_steers_no_terminal() -> None:
    hide("s3cr3t-t0k3n")
    bug = RuntimeError("no s3cr3t-t0k3n\x1b[2J")
    with pytest.raises(RuntimeError) as caught:
        raise bug
    found = (caught.type, caught.value, caught.tb)
    record = safe_record("x", logging.ERROR, "f.py", 1, "A bug", (), found)
    lines = logging.Formatter().format(record).splitlines()
    assert lines[:2] == ["A bug", "Traceback (most recent call last):"]
    assert lines[-1] == r"RuntimeError: no ***\x1b[2J"


def test_a_report_to_sentry_holds_no_secret_at_any_depth() -> None:
    hide("s3cr3t-t0k3n")
    report = {"exception": {"values": [{"value": "no s3cr3t-t0k3n", "n": 1}]}, "breadcrumbs": ("s3cr3t-t0k3n", None)}
    assert safe_report(report) == {"exception": {"values": [{"value": "no ***", "n": 1}]}, "breadcrumbs": ["***", None]}
