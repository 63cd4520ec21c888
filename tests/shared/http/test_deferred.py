"""Answers that come later: a 202 with a ticket, and what may happen on the way."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from shared.errors import ActionNeeded, TryAgain
from shared.http.deferred import call_deferred
from shared.http.session import ApiSession, Patience
from shared.http.tokens import Anonymous
from tests.shared.loopback import Answer, Loopback
from tests.waiting import StopEvent

QUICK = Patience(connect=2, read=2, attempts=2, budget=2, first_wait=0.005)


@pytest.fixture
def served(loopback: Callable[[Answer], Loopback]) -> Callable[..., tuple[ApiSession, Loopback]]:
    """A session, and a server that answers each call by the next of the replies, the last one again and again."""

    def serve(*replies: tuple[Any, ...], patience: Patience = QUICK, stop: Event | None = None) -> Any:
        left = list(replies)

        def answer(exchange: Any, _: Any) -> None:
            status, *rest = left.pop(0) if len(left) > 1 else left[0]
            headers = {"Ticket": rest[0]} if rest and rest[0] else {}
            exchange.reply(status, {"n": len(server.received)} if status == 200 else b"", **headers)

        server = loopback(answer)
        return ApiSession("Vendor", server.url, Anonymous(), patience=patience, stop=stop or Event()), server

    return serve


def tickets(server: Loopback) -> list[str | None]:
    return [call.headers.get("ticket") for call in server.received]


def test_an_answer_that_is_there_is_no_matter(served: Any) -> None:
    session, server = served((200,))
    assert call_deferred("ticket", session, "GET", "/x").json == {"n": 1}
    assert tickets(server) == [None]


def test_a_202_is_repeated_unchanged_with_its_ticket(served: Any) -> None:
    session, server = served((202, "a"), (202, "a"), (200,))
    assert call_deferred("ticket", session, "POST", "/x", params={"p": "1"}, data={"f": "2"}).json == {"n": 3}
    assert tickets(server) == [None, "a", "a"]
    assert {(call.method, call.path, call.body) for call in server.received} == {("POST", "/x?p=1", b"f=2")}


def test_a_later_202_may_bring_another_ticket_or_none(served: Any) -> None:
    session, server = served((202, "a"), (202, None), (202, "b"), (202, None), (200,))
    call_deferred("ticket", session, "GET", "/x")
    assert tickets(server) == [None, "a", "a", "b", "b"]


@pytest.mark.parametrize("gone", [404, 504])
def test_an_answer_that_is_gone_is_asked_for_from_scratch(served: Any, gone: int) -> None:
    session, server = served((202, "a"), (gone,), *([(gone,)] if gone == 504 else []), (202, "b"), (200,))
    call_deferred("ticket", session, "GET", "/x")
    assert tickets(server) == [None, *["a"] * (2 if gone == 504 else 1), None, "b"]


def test_a_404_to_the_first_call_is_one(served: Any) -> None:
    session, server = served((404,))
    with pytest.raises(ActionNeeded, match="404"):
        call_deferred("ticket", session, "GET", "/x")
    assert len(server.received) == 1


def test_a_refusal_on_the_way_comes_out(served: Any) -> None:
    session, _ = served((202, "a"), (403,))
    with pytest.raises(ActionNeeded, match="403"):
        call_deferred("ticket", session, "GET", "/x")


@pytest.mark.parametrize("never", [[(202, "a")], [(202, None)]])
def test_an_answer_that_never_comes_is_given_up(served: Any, never: Any) -> None:
    session, server = served(*never)
    with pytest.raises(TryAgain, match="in 3 requests"):
        call_deferred("ticket", session, "GET", "/x")
    assert len(server.received) < 100


def test_a_stop_ends_the_wait(served: Any) -> None:
    stop = StopEvent(after=1)
    session, server = served((202, "a"), patience=Patience(first_wait=60), stop=stop)
    with pytest.raises(TryAgain, match="Stopped"):
        call_deferred("ticket", session, "GET", "/x")
    assert len(server.received) == 1
