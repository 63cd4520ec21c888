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

from shared.devices import delivery as module
from shared.devices.batch import Batch, Entry
from shared.devices.delivery import AssetDelivery
from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.http.session import ApiSession, Patience
from shared.http.tokens import FixedToken
from tests.shared.loopback import Exchange, Loopback, Received
from tests.waiting import HANGS, until

QUICK = Patience(connect=2, read=2, attempts=2, budget=2, first_wait=0.01)
DONE = {"status": "FINISHED"}


def as_event(n: int) -> bytes:
    return json.dumps({"device": {"uid": n}}).encode()


class Platform:
    """The asset-connector API, over HTTP. `accepts` answers the n-th push, `tells` the n-th question for a task."""

    def __init__(self, start: Callable[..., Loopback]) -> None:
        self.pushed: list[list[int]] = []
        self.asked: list[str] = []
        self.accepts: Callable[[int], tuple[int, Any]] = lambda n: (200, {"task_id": f"task-{n}"})
        self.poison: dict[int, int] = {}  # device → the status that a batch with it is refused with
        self.tells: Callable[[str, int], tuple[int, Any]] = lambda _task, _times: (200, DONE)
        self.server = start(self._answer)

    def _answer(self, exchange: Exchange, received: Received) -> None:
        if received.method == "POST":
            items = [item["device"]["uid"] for item in json.loads(received.body)["items"]]
            status, content = self.accepts(len(self.pushed) + 1)
            if refused := [self.poison[item] for item in items if item in self.poison]:
                status, content = refused[0], {"message": "because"}
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
            moving=lambda: None,
        )

    def send(self, *events: int) -> list[Batch]:
        batches = []
        for n in events:
            batch = Batch()
            batch.add(as_event(n), Entry(n, n))
            batches.append(batch)
            self.delivery.send(batch)
        return batches

    def send_batch(self, *events: int) -> Batch:
        """All in one batch."""
        batch = Batch()
        for n in events:
            batch.add(as_event(n), Entry(n, n))
        self.delivery.send(batch)
        return batch

    def confirmed(self) -> list[int]:
        """Those delivered."""
        return [entry.key for batch in self.delivery.confirmed(all_of_them=True) for entry in batch.delivered]


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
    assert not going.delivery.reordered
    assert going.confirmed() == [1, 2, 3, 4, 5]
    assert platform.pushed == [[1], [2], [3], [4], [5]]
    assert sorted(platform.asked) == [f"task-{n}" for n in range(1, 6)]
    assert going.warnings == []


def test_a_batch_is_one_object_with_its_version_and_items(platform: Platform, handover: Any) -> None:
    going = handover()
    batch = Batch()
    for n in (1, 2, 3):
        batch.add(as_event(n), Entry(n, n))
    going.delivery.send(batch)
    list(going.delivery.confirmed(all_of_them=True))
    (push, *_) = platform.server.received
    assert (push.method, push.path) == ("POST", "/api/v2/asset-management/asset-connector/uuid")
    assert json.loads(push.body) == {
        "version": 1,
        "items": [{"device": {"uid": n}} for n in (1, 2, 3)],
    }
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


def test_events_are_released_once_they_are_ingested(platform: Platform, handover: Any) -> None:
    going = handover()
    batches = going.send(1, 2, 3)
    assert going.confirmed() == [1, 2, 3]
    assert [batch.events for batch in batches] == [[], [], []]


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
    with pytest.raises(ConnectorError, match=r"empty body|did not confirm|something in between"):
        going.confirmed()


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, UnexpectedReply), (401, ActionNeeded), (403, ActionNeeded), (404, ActionNeeded), (500, TryAgain)],
)
def test_a_refused_batch_says_why(platform: Platform, handover: Any, status: int, error: type[Exception]) -> None:
    platform.accepts = lambda _: (status, {"message": "because"})
    going = handover()
    going.send_batch(1, 2, 3)
    with pytest.raises(error, match=r"^Sekoia\.io "):
        going.confirmed()


def test_a_push_that_fails_in_passing_is_tried_again(platform: Platform, handover: Any) -> None:
    platform.accepts = lambda n: (503, {}) if n == 1 else (200, {})
    going = handover()
    going.send(1)
    assert going.confirmed() == [1]
    assert platform.pushed == [[1], [1]]


@pytest.mark.parametrize("status", [400, 403, 409, 413, 422, 500, 502])
def test_the_device_that_a_batch_is_refused_for_is_found_at_once(
    platform: Platform, handover: Any, status: int
) -> None:
    platform.poison = {17: status}
    going = handover()
    going.send_batch(*range(100))
    (batch,) = going.delivery.confirmed(all_of_them=True)
    assert {number: (uid, error.status) for number, (uid, error) in batch.refused.items()} == {17: (17, status)}
    assert [entry.key for entry in batch.delivered] == [n for n in range(100) if n != 17]
    accepted = [n for pushed in platform.pushed if 17 not in pushed for n in pushed]
    assert sorted(accepted) == [n for n in range(100) if n != 17], "each once"
    seen: BaseException | None = batch.refused[17][1]
    while seen:
        assert seen.__traceback__ is None, "its frames hold what was sent"
        seen = seen.__context__


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_platform_that_refuses_everything_gets_eight_pushes_at_most(
    platform: Platform, handover: Any, status: int, size: int
) -> None:
    platform.accepts = lambda _: (status, {})
    going = handover()
    for begin in range(0, 5 * size, size):
        going.send_batch(*range(begin, begin + size))
    failures = 0
    for _ in range(5):
        try:
            assert going.confirmed() == []
        except ConnectorError:
            failures += 1
    assert failures == 5
    assert len(platform.pushed) <= 8


def test_one_device_alone_is_judged_when_a_later_one_is_accepted(platform: Platform, handover: Any) -> None:
    """With batches of one nothing was ever accepted between its tries, and it held back all behind it."""
    platform.poison = {1: 500}
    going = handover()
    going.send(1, 2, 3)
    assert going.confirmed() == [2, 3]
    assert going.delivery.reordered


def test_one_device_alone_behind_others_is_judged_by_its_status(platform: Platform, handover: Any) -> None:
    platform.poison = {3: 422}
    going = handover()
    going.send(1, 2, 3)
    assert going.confirmed() == [1, 2]


def test_one_device_that_nothing_can_be_compared_with_is_an_error_that_does_not_end_the_round(
    platform: Platform, handover: Any
) -> None:
    platform.poison = {1: 400}
    going = handover()
    going.send(1)
    with pytest.raises(TryAgain, match="Too few devices were sent to tell whether others are accepted") as caught:
        going.confirmed()
    assert not caught.value.ends_round
    assert caught.value.status is None, "a 403 of the platform is not one of the vendor"


def test_one_device_that_was_refused_before_is_refused_again(platform: Platform, handover: Any) -> None:
    platform.poison = {1: 400}
    going = handover()
    batch = Batch()
    batch.add(as_event(1), Entry(1, 1, suspect=True))
    going.delivery.send(batch)
    assert going.confirmed() == []
    assert batch.refused[0][0] == 1


def test_after_a_batch_that_did_not_get_there_no_later_one_is_pushed(platform: Platform, handover: Any) -> None:
    platform.accepts = lambda n: (401, {}) if n == 2 else (200, {})
    going = handover()
    going.send(1, 2, 3, 4)
    found = going.delivery.confirmed(all_of_them=True)
    assert next(found).entries == [Entry(1, 1)]
    with pytest.raises(ActionNeeded, match="HTTP 401") as caught:
        next(found)
    assert caught.value.ends_round
    for _ in range(2):
        with pytest.raises(TryAgain, match="one before it failed"):
            going.confirmed()
    assert platform.pushed == [[1], [2]]


# --- ingestion


@pytest.mark.parametrize("ended", ["FAILED", "CANCELLED", "UNHEARD_OF", "finished", [], {"a": 1}])
def test_a_task_that_does_not_succeed_is_a_failure(platform: Platform, handover: Any, ended: object) -> None:
    """The SDK's loop only logs it: the batch was lost. A status that is a list ended the cycle as an internal error."""
    platform.tells = lambda _task, times: (
        200,
        {"status": "RUNNING"} if times == 1 else {"status": ended, "error": "why"},
    )
    going = handover()
    going.send_batch(1, 2, 3)
    with pytest.raises(TryAgain, match=r"could not ingest it.*\(why\)") as caught:
        going.confirmed()
    assert caught.value.ends_round


def test_a_batch_that_could_not_be_ingested_is_sent_again_in_parts_each_followed_to_its_end(
    platform: Platform, handover: Any
) -> None:
    def tells(task: str, _: int) -> tuple[int, Any]:
        return 200, {"status": "FAILED"} if 5 in platform.pushed[int(task.removeprefix("task-")) - 1] else DONE

    platform.tells = tells
    going = handover()
    going.send_batch(*range(20))
    going.send_batch(*range(20, 30))
    assert going.confirmed() == [n for n in range(30) if n != 5]
    assert len(going.warnings) == 1
    assert sum(5 in pushed for pushed in platform.pushed) > 2
    assert going.delivery.reordered


def test_a_platform_that_ingests_nothing_gets_three_devices_alone_and_no_more(
    platform: Platform, handover: Any
) -> None:
    """Each batch whose ingestion failed was searched at the same time as the others."""
    platform.tells = lambda _task, _times: (
        200,
        {"status": "FAILED"} if len(platform.pushed) >= 6 else {"status": "RUNNING"},
    )
    going = handover()
    for begin in range(0, 60, 10):
        going.send_batch(*range(begin, begin + 10))
    failures = 0
    for _ in range(6):
        try:
            assert going.confirmed() == []
        except TryAgain:
            failures += 1
    assert failures == 6
    assert [len(pushed) for pushed in platform.pushed] == [10] * 6 + [1] * 3


def test_a_failed_batch_whose_events_are_no_longer_in_memory_ends_the_round(
    platform: Platform, handover: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A platform that ingests slowly must not hold the fleet in memory."""
    monkeypatch.setattr(module, "_MAX_KEPT", 5 * len(as_event(10)))
    release = Event()
    platform.tells = lambda task, _: (
        200,
        {"status": "RUNNING"} if not release.is_set() else {"status": "FAILED"} if task == "task-1" else DONE,
    )
    going = handover()
    first = going.send_batch(11, 12, 13)
    second = going.send_batch(14, 15, 16)
    until(lambda: len(platform.pushed) == 2 and not first.events)
    assert second.events
    release.set()
    with pytest.raises(TryAgain, match="could not ingest") as caught:
        going.confirmed()
    assert caught.value.ends_round
    assert going.confirmed() == [14, 15, 16]


def test_the_events_of_a_batch_that_is_sent_again_stay_in_memory_meanwhile(
    platform: Platform, handover: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a later batch took their room, and the round ended with an internal error."""
    monkeypatch.setattr(module, "_MAX_KEPT", 5 * len(as_event(10)))
    held = Event()

    def tells(task: str, _: int) -> tuple[int, Any]:
        pushed = platform.pushed[int(task.removeprefix("task-")) - 1]
        if pushed == [11]:
            held.set()
        waits = len(pushed) == 1 and [14, 15, 16] not in platform.pushed
        return 200, {"status": "FAILED" if pushed == [11, 12, 13] else "RUNNING" if waits else "FINISHED"}

    platform.tells = tells
    going = handover()
    going.send_batch(11, 12, 13)
    assert held.wait(HANGS)
    going.send_batch(14, 15, 16)
    assert going.confirmed() == [11, 12, 13, 14, 15, 16]
    assert [item for pushed in platform.pushed for item in pushed if len(pushed) == 1] == [11, 12, 13]


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_without_a_task_api_one_warning_says_so_and_few_tasks_are_asked_for(
    platform: Platform, handover: Any, status: int
) -> None:
    platform.tells = lambda _task, _times: (status, {})
    going = handover()
    batches = going.send(*range(10))
    assert going.confirmed() == [*range(10)]
    assert not any(batch.followed for batch in batches)
    assert going.delivery.unanswered
    assert len(going.warnings) == 1
    assert "cannot be followed" in going.warnings[0]
    assert len(set(platform.asked)) == 3


def test_one_task_that_cannot_be_asked_for_concerns_its_batch_alone(platform: Platform, handover: Any) -> None:
    """It stopped the following of all: one that failed after it counted as delivered."""
    answers = {"task-2": (404, {}), "task-4": (200, {"status": "FAILED"})}
    platform.tells = lambda task, _: answers.get(task, (200, DONE))
    going = handover()
    batches = [going.send_batch(*(10 * n + m for m in range(3))) for n in range(4)]
    assert sorted(going.confirmed()) == sorted(10 * n + m for n in range(4) for m in range(3))
    assert [batch.followed for batch in batches] == [True, False, True, True]
    assert len(platform.pushed) > 4, "the one that failed is sent again"
    assert not going.delivery.unanswered


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
    monkeypatch.setattr("shared.devices.tasks.time", SimpleNamespace(monotonic=lambda: now[0]))
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
