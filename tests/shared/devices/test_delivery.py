"""Handing batches over: in order, accepted in words, followed to the end of their ingestion."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from shared.devices.delivery import AssetDelivery, Batch
from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.http.session import ApiSession, Patience
from shared.http.tokens import FixedToken
from tests.shared.loopback import Exchange, Loopback, Received
from tests.waiting import HANGS, until

QUICK = Patience(connect=2, read=2, attempts=2, budget=2, first_wait=0.01)
DONE = {"status": "FINISHED"}


class Platform:
    """The asset-connector API, over HTTP. `accepts` answers the n-th push, `tells` the n-th question for a task."""

    def __init__(self, start: Callable[..., Loopback]) -> None:
        self.pushed: list[list[int]] = []
        self.asked: list[str] = []
        self.accepts: Callable[[int], tuple[int, Any]] = lambda n: (200, {"task_id": f"task-{n}"})
        self.tells: Callable[[str, int], tuple[int, Any]] = lambda _task, _times: (200, DONE)
        self.server = start(self._answer)

    def _answer(self, exchange: Exchange, received: Received) -> None:
        if received.method == "POST":
            items = json.loads(received.body)["items"]
            status, content = self.accepts(len(self.pushed) + 1)
            self.pushed.append(items)
        else:
            task = received.path.rpartition("/")[2]
            self.asked.append(task)
            status, content = self.tells(task, self.asked.count(task))
        exchange.reply(status, content)


class Handover:
    """A delivery with what it warns of; `send` hands over a batch of one event each."""

    def __init__(self, platform: Platform, poll_timeout: float) -> None:
        self.stop = Event()
        self.warnings: list[str] = []
        auth = FixedToken("Bearer", SecretStr("key"), "API key")
        self.session = ApiSession("Sekoia.io", platform.server.url, auth, stop=self.stop, patience=QUICK)
        self.delivery = AssetDelivery(
            self.session,
            "api/v2/asset-management/asset-connector/uuid",
            "api/v1/tasks",
            poll_interval=0.02,
            poll_timeout=poll_timeout,
            warn=self.warnings.append,
        )

    def send(self, *events: int) -> list[Batch]:
        batches = []
        for n in events:
            batch = Batch()
            batch.add(json.dumps(n).encode(), n, n)
            batches.append(batch)
            self.delivery.send(batch)
        return batches

    def confirmed(self) -> list[int]:
        """Those delivered; raises what the first was refused with."""
        settled = list(self.delivery.confirmed(all_of_them=True))
        for batch in settled:
            if batch.refusal:
                raise batch.refusal
        return [batch.entries[0][0] for batch in settled]


@pytest.fixture
def platform(loopback: Callable[..., Loopback]) -> Platform:
    return Platform(loopback)


@pytest.fixture
def handover(platform: Platform) -> Iterator[Callable[..., Handover]]:
    begun: list[Handover] = []

    def begin(poll_timeout: float = 60) -> Handover:
        begun.append(Handover(platform, poll_timeout))
        return begun[-1]

    yield begin
    for each in begun:
        each.stop.set()
        each.delivery.close()


def test_batches_are_pushed_and_confirmed_in_the_order_sent(platform: Platform, handover: Any) -> None:
    going = handover()
    going.send(1, 2, 3, 4, 5)
    assert going.confirmed() == [1, 2, 3, 4, 5]
    assert platform.pushed == [[1], [2], [3], [4], [5]]
    assert sorted(platform.asked) == [f"task-{n}" for n in range(1, 6)]
    assert going.warnings == []


def test_a_batch_is_one_object_with_its_version_and_items(platform: Platform, handover: Any) -> None:
    going = handover()
    batch = Batch()
    for n in (1, 2, 3):
        batch.add(json.dumps({"n": n}).encode(), n, n)
    going.delivery.send(batch)
    list(going.delivery.confirmed(all_of_them=True))
    (push, *_) = platform.server.received
    assert (push.method, push.path) == ("POST", "/api/v2/asset-management/asset-connector/uuid")
    assert json.loads(push.body) == {"version": 1, "items": [{"n": 1}, {"n": 2}, {"n": 3}]}
    assert push.headers["Content-Type"] == "application/json"
    assert push.headers["Authorization"] == "Bearer key"


def test_a_batch_that_is_ingested_first_waits_for_the_one_before_it(platform: Platform, handover: Any) -> None:
    """The cursor of the later one would pass what is not delivered."""
    release = Event()
    platform.tells = lambda task, _: (200, DONE if task == "task-2" or release.is_set() else {"status": "RUNNING"})
    going = handover()
    going.send(1, 2)
    until(lambda: "task-2" in platform.asked)
    time.sleep(0.05)
    assert list(going.delivery.confirmed()) == []
    release.set()
    assert going.confirmed() == [1, 2]


def test_pushes_do_not_wait_for_the_tasks_of_those_before(platform: Platform, handover: Any) -> None:
    """A push a minute, because each waited for its ingestion."""
    platform.tells = lambda _task, _times: (200, DONE if len(platform.pushed) == 8 else {"status": "PENDING"})
    going = handover()
    going.send(*range(8))
    assert going.confirmed() == list(range(8))


def test_no_more_than_two_batches_wait_to_be_accepted(platform: Platform, handover: Any) -> None:
    """Else memory would grow with the fleet while the platform is slow."""
    release = Event()

    def slowly(n: int) -> tuple[int, Any]:
        release.wait(HANGS)
        return 200, {}

    platform.accepts = slowly
    going = handover()
    going.send(1, 2)
    third = threading.Thread(target=going.send, args=(3,))
    third.start()
    third.join(0.2)
    assert third.is_alive()
    release.set()
    third.join(HANGS)
    assert going.confirmed() == [1, 2, 3]


def test_events_are_let_go_once_they_are_pushed(platform: Platform, handover: Any) -> None:
    """A platform that ingests slowly must not hold the fleet in memory."""
    platform.tells = lambda _task, times: (200, DONE if times > 5 else {"status": "RUNNING"})
    going = handover()
    batches = going.send(1, 2, 3)
    until(lambda: len(platform.pushed) == 3 and not batches[-1].events)
    assert [batch.events for batch in batches] == [[], [], []]
    assert [batch.size for batch in batches] == [1, 1, 1]
    assert going.confirmed() == [1, 2, 3]


# --- acceptance


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_2xx_with_an_object_is_an_acceptance(platform: Platform, handover: Any, status: int) -> None:
    platform.accepts = lambda _: (status, {})
    going = handover()
    going.send(1)
    assert going.confirmed() == [1]
    assert platform.asked == []


@pytest.mark.parametrize(
    "answer", [(200, b""), (202, b""), (204, b""), (200, None), (200, []), (200, "ok"), (200, b"ok")]
)
def test_an_empty_or_odd_2xx_is_no_acceptance(platform: Platform, handover: Any, answer: tuple[int, Any]) -> None:
    """A proxy's empty 200 was taken for an acceptance, and the devices never arrived."""
    platform.accepts = lambda _: answer
    going = handover()
    going.send(1)
    with pytest.raises(UnexpectedReply):
        going.confirmed()


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, UnexpectedReply), (401, ActionNeeded), (403, ActionNeeded), (404, ActionNeeded), (500, TryAgain)],
)
def test_a_refused_batch_says_why(platform: Platform, handover: Any, status: int, error: type[Exception]) -> None:
    platform.accepts = lambda _: (status, {"message": "because"})
    going = handover()
    going.send(1)
    with pytest.raises(error, match=r"^Sekoia\.io "):
        going.confirmed()


def test_a_push_that_fails_in_passing_is_tried_again(platform: Platform, handover: Any) -> None:
    platform.accepts = lambda n: (503, {}) if n == 1 else (200, {})
    going = handover()
    going.send(1)
    assert going.confirmed() == [1]
    assert platform.pushed == [[1], [1]]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_batch_refused_for_what_it_holds_does_not_hold_back_the_others(
    platform: Platform, handover: Any, status: int
) -> None:
    platform.accepts = lambda n: (status, {}) if n == 2 else (200, {})
    going = handover()
    going.send(1, 2, 3, 4)
    settled = [(batch.entries[0][0], batch.refusal) for batch in going.delivery.confirmed(all_of_them=True)]
    assert [(n, refusal and refusal.status) for n, refusal in settled] == [(1, None), (2, status), (3, None), (4, None)]
    assert platform.pushed == [[1], [2], [3], [4]]


def test_a_refusal_holds_nothing_of_what_was_sent(platform: Platform, handover: Any) -> None:
    """Where every other batch is refused, half of the fleet stayed in memory until the end of the round."""
    platform.accepts = lambda _: (400, {})
    going = handover()
    going.send(1)
    (batch,) = going.delivery.confirmed(all_of_them=True)
    seen: BaseException | None = batch.refusal
    while seen:
        assert seen.__traceback__ is None
        seen = seen.__context__


def test_after_a_batch_that_did_not_get_there_no_later_one_is_pushed(platform: Platform, handover: Any) -> None:
    platform.accepts = lambda n: (401, {}) if n == 2 else (200, {})
    going = handover()
    going.send(1, 2, 3, 4)
    found = going.delivery.confirmed(all_of_them=True)
    assert next(found).entries == [(1, 1)]
    with pytest.raises(ActionNeeded, match="HTTP 401"):
        next(found)
    with pytest.raises(ActionNeeded, match="HTTP 401"):
        going.confirmed()
    assert platform.pushed == [[1], [2]]


# --- ingestion


@pytest.mark.parametrize("ended", ["FAILED", "CANCELLED", "UNHEARD_OF", "finished", [], {"a": 1}])
def test_a_task_that_ends_otherwise_than_well_is_a_failure(platform: Platform, handover: Any, ended: object) -> None:
    """The SDK's loop only logs it: the batch was lost. A status that is a list ended the cycle as an internal error."""
    platform.tells = lambda _task, times: (
        200,
        {"status": "RUNNING"} if times == 1 else {"status": ended, "error": "why"},
    )
    going = handover()
    going.send(1)
    with pytest.raises(TryAgain, match=r"could not ingest it.*\(why\)"):
        going.confirmed()


def test_a_batch_that_could_not_be_ingested_does_not_hold_back_the_others(platform: Platform, handover: Any) -> None:
    platform.tells = lambda task, _: (200, {"status": "FAILED"} if task == "task-1" else DONE)
    going = handover()
    going.send(1, 2, 3)
    settled = list(going.delivery.confirmed(all_of_them=True))
    assert [batch.entries for batch in settled if not batch.refusal] == [[(2, 2)], [(3, 3)]]


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_without_a_task_api_acceptance_counts_and_one_warning_says_so(
    platform: Platform, handover: Any, status: int
) -> None:
    platform.tells = lambda _task, _times: (status, {})
    going = handover()
    going.send(1)
    assert going.confirmed() == [1]
    going.send(2, 3, 4, 5, 6)
    assert going.confirmed() == [2, 3, 4, 5, 6]
    assert len(going.warnings) == 1
    assert "cannot be followed" in going.warnings[0]
    assert set(platform.asked) == {"task-1"}


@pytest.mark.parametrize("told", [{}, {"status": None}, [], "FINISHED"])
def test_a_task_told_without_a_status_counts_as_accepted_with_a_warning(
    platform: Platform, handover: Any, told: object
) -> None:
    platform.tells = lambda _task, _times: (200, told)
    going = handover()
    going.send(1)
    assert going.confirmed() == [1]
    assert len(going.warnings) == 1


def test_a_task_that_stays_pending_counts_as_accepted_after_a_while(platform: Platform, handover: Any) -> None:
    platform.tells = lambda _task, _times: (200, {"status": "PENDING"})
    going = handover(poll_timeout=0.15)
    going.send(1, 2, 3)
    assert going.confirmed() == [1, 2, 3]
    assert len(going.warnings) == 1
    assert "still PENDING" in going.warnings[0]


def test_the_time_for_tasks_begins_with_the_last_push(
    platform: Platform, handover: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.tells = lambda task, _: (200, DONE if len(platform.pushed) == 5 else {"status": "RUNNING"})
    now = [0.0]
    monkeypatch.setattr("shared.devices.delivery.time", SimpleNamespace(monotonic=lambda: now[0]))
    going = handover(poll_timeout=30)
    for n in range(5):
        going.send(n)
        until(lambda: len(platform.pushed) > n and f"task-{n + 1}" in platform.asked)  # noqa: B023 - waited for at once
        now[0] += 20
    assert going.confirmed() == list(range(5))
    assert going.warnings == []


# --- the stop


def test_a_stop_ends_the_wait_for_a_task(platform: Platform, handover: Any) -> None:
    platform.tells = lambda _task, _times: (200, {"status": "RUNNING"})
    going = handover()
    going.send(1)
    until(lambda: platform.asked)
    going.stop.set()
    confirmed = []
    try:
        confirmed = going.confirmed()
    except ConnectorError as error:
        assert "sent again" in str(error)
    assert confirmed == [], (
        "a wait that goes on ends when tasks are followed no more, and the batch counts as delivered"
    )


def test_a_stop_ends_the_wait_for_room(platform: Platform, handover: Any) -> None:
    release = Event()

    def never(_: int) -> tuple[int, Any]:
        release.wait(HANGS)
        return 200, {}

    platform.accepts = never
    going = handover()
    threading.Timer(0.1, going.stop.set).start()
    going.send(1, 2, 3)
    assert going.confirmed() == []
    assert platform.pushed == [], "the wait ended when there was room, not at the stop"
    release.set()


def test_nothing_is_pushed_after_a_stop(platform: Platform, handover: Any) -> None:
    going = handover()
    going.stop.set()
    going.send(1)
    with suppress(TryAgain):
        assert going.confirmed() == []
    time.sleep(0.05)
    assert platform.pushed == []


def test_nothing_is_pushed_after_closing(platform: Platform, handover: Any) -> None:
    release = Event()

    def slowly(_: int) -> tuple[int, Any]:
        release.wait(HANGS)
        return 200, {}

    platform.accepts = slowly
    going = handover()
    going.send(1, 2)
    until(lambda: platform.server.received)
    going.delivery.close()
    release.set()
    time.sleep(0.05)
    assert platform.pushed == [[1]]
