"""Pages: read to the last one or not at all, the next one asked for ahead."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from itertools import count, islice
from threading import Event, current_thread, main_thread
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import TryAgain, UnexpectedReply
from shared.http import pages
from shared.http.body import Parse
from shared.http.pages import Page, follow, next_position, paging_of, records_of
from shared.http.session import ApiSession, Patience, Reply
from shared.http.tokens import Anonymous
from tests.waiting import HANGS

Ask = Callable[[Any], Reply]


def session(ahead: bool) -> ApiSession:
    return ApiSession("Vendor", "https://vendor.example", Anonymous(), patience=Patience(ahead=ahead))


def reply(records: Any, following: Any = None, **beside: Any) -> Reply:
    body = orjson.dumps({**beside, "data": records, "next": following})
    return Reply(200, 7.0, {}, body, lambda parse: parse(body))


def walk(ask: Ask, *, ahead: bool = True) -> pages.Pages:
    def read(told: Reply, _: Any) -> Page:
        return Page(records_of("Vendor", told.json, "data"), told.date)

    return follow(session(ahead), ask, read, lambda body, _: body.get("next"), "data")


@pytest.fixture(params=[True, False], ids=["ahead", "one by one"])
def ahead(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@given(st.lists(st.lists(st.integers(0, 9)), min_size=1, max_size=20), st.booleans())
def test_every_page_is_read_once_and_in_order(lists: list[list[int]], ahead: bool) -> None:
    asked = []

    def ask(position: int | None) -> Reply:
        at = position or 0
        asked.append(position)
        return reply(lists[at], at + 1 if at + 1 < len(lists) else None)

    assert [page.records for page in walk(ask, ahead=ahead)] == lists
    assert asked == [None, *range(1, len(lists))]


@pytest.mark.parametrize("circle", [["a", "a"], ["a", "b", "a"], ["a", "b", "c", "b"]])
def test_a_position_met_twice_is_an_error_and_not_an_endless_walk(circle: list[str], ahead: bool) -> None:
    positions = iter(circle)
    with pytest.raises(UnexpectedReply, match="the same page position twice"):
        list(walk(lambda _: reply([1], next(positions)), ahead=ahead))
    assert next(positions, None) is None  # and no call too many was made


def test_empty_pages_that_always_name_a_next_one_are_an_error(ahead: bool) -> None:
    numbers = count(1)
    with pytest.raises(UnexpectedReply, match="100 pages in a row without anything new"):
        list(walk(lambda _: reply([], next(numbers)), ahead=ahead))
    assert next(numbers) == 101


@pytest.mark.parametrize("record", [{"id": 1, "inside": [1]}, "text", [1]], ids=repr)
def test_the_same_record_on_pages_without_end_is_an_error(record: object) -> None:
    """Under ever new positions it was an endless walk."""
    numbers = count(1)
    with pytest.raises(UnexpectedReply, match="100 pages in a row without anything new"):
        list(islice(walk(lambda _: reply([record], next(numbers))), 500))


def test_pages_that_share_a_first_record_now_and_then_are_no_error() -> None:
    def ask(position: int | None) -> Reply:
        at = position or 0
        return reply([{"id": at // 60}], at + 1 if at < 240 else None)

    assert len(list(walk(ask))) == 241


def test_some_empty_pages_between_full_ones_are_no_error() -> None:
    def ask(position: int | None) -> Reply:
        at = position or 0
        return reply([at] if at % 60 == 0 else [], at + 1 if at < 240 else None)

    assert [page.records[0] for page in walk(ask) if page.records] == [0, 60, 120, 180, 240]


def test_a_page_that_cannot_be_read_stops_the_walk_after_the_pages_before_it(ahead: bool) -> None:
    """A 500 on page 7 that became the end of the fleet."""

    def ask(position: int | None) -> Reply:
        if position == 2:
            raise TryAgain("HTTP 500")
        return reply([position], (position or 0) + 1)

    reading = walk(ask, ahead=ahead)
    assert [next(reading).records, next(reading).records] == [[None], [1]]
    with pytest.raises(TryAgain):
        next(reading)


def test_a_page_that_is_no_page_stops_the_walk_after_the_pages_before_it(ahead: bool) -> None:
    reading = walk(lambda position: reply([0], 1) if position is None else reply(None), ahead=ahead)
    assert next(reading).records == [0]
    with pytest.raises(UnexpectedReply, match="without the list"):
        next(reading)


def test_a_bug_in_a_call_comes_out_as_it_is(ahead: bool) -> None:
    def ask(_: object) -> Reply:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        list(walk(ask, ahead=ahead))


@pytest.mark.parametrize(
    "body", [None, [], "data", 5, {}, {"data": None}, {"data": {}}, {"data": "none"}, {"other": []}]
)
def test_a_page_without_its_list_is_not_an_empty_page(body: object) -> None:
    with pytest.raises(UnexpectedReply, match="without the list 'data'"):
        records_of("Vendor", body, "data")


def test_the_list_of_a_page_is_given_as_it_is() -> None:
    records = [1, None, {}]
    assert records_of("Vendor", {"data": records}, "data") is records


# --- asking ahead


def test_the_next_page_is_asked_for_while_the_caller_works_on_this_one() -> None:
    second_asked = Event()

    def ask(position: int | None) -> Reply:
        if position:
            second_asked.set()
        return reply([position], None if position else 1)

    with closing(walk(ask)) as reading:
        next(reading)
        assert second_asked.wait(HANGS)


def test_without_patience_for_it_nothing_is_asked_ahead_and_no_thread_is_begun() -> None:
    """A connection test makes one call."""
    asked = []

    def ask(position: int | None) -> Reply:
        asked.append(current_thread())
        return reply([position], (position or 0) + 1)

    with closing(walk(ask, ahead=False)) as reading:
        next(reading)
        time.sleep(0.05)
    assert asked == [main_thread()]


def test_no_more_than_one_page_is_asked_for_ahead() -> None:
    """Else memory would grow with the fleet while the platform is slow."""
    asked = []
    second_asked = Event()

    def ask(position: int | None) -> Reply:
        asked.append(position)
        if position:
            second_asked.set()
        return reply([position], (position or 0) + 1)

    with closing(walk(ask)) as reading:
        next(reading)
        assert second_asked.wait(HANGS)
        time.sleep(0.05)
        assert asked == [None, 1]


def test_a_page_is_parsed_by_the_caller_when_it_is_done_with_the_one_before() -> None:
    """Two heavy pages at once would take a gigabyte."""
    parsed = []

    def ask(position: int | None) -> Reply:
        def read(_: Parse) -> Any:
            parsed.append((position, current_thread()))
            return {"data": [position], "next": (position or 0) + 1}

        return Reply(200, 7.0, {}, b"", read)

    with closing(walk(ask)) as reading:
        next(reading)
        time.sleep(0.05)
        assert parsed == [(None, main_thread())]
        next(reading)
        assert parsed == [(None, main_thread()), (1, main_thread())]


def test_a_page_that_the_call_looked_at_is_not_parsed_again() -> None:
    parsed = []

    def ask(position: int | None) -> Reply:
        def read(_: Parse) -> Any:
            parsed.append(position)
            return {"data": [position], "next": None if position else 1}

        told = Reply(200, 7.0, {}, b"", read)
        assert told.json
        return told

    assert [page.records for page in walk(ask, ahead=False)] == [[None], [1]]
    assert parsed == [None, 1]


def test_closing_waits_for_the_call_under_way_and_begins_no_other() -> None:
    asked = []
    under_way = Event()

    def ask(position: int | None) -> Reply:
        if position:
            under_way.set()
            time.sleep(0.05)
        asked.append(position)
        return reply([position], (position or 0) + 1)

    reading = walk(ask)
    next(reading)
    assert under_way.wait(HANGS)
    reading.close()
    assert asked == [None, 1]


# --- asking by what stands beside the records


@pytest.fixture
def long_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LONG_BODY", 0)


class Parsing:
    """Calls and parsings, in their order."""

    def __init__(self, bodies: dict[Any, bytes]) -> None:
        self.bodies = bodies
        self.log: list[tuple[str, Any]] = []
        self.asked_again = Event()

    def ask(self, position: Any) -> Reply:
        self.log.append(("asked", position))
        if position:
            self.asked_again.set()

        def read(parse: Parse) -> Any:
            self.log.append(("parsed", position))
            return parse(self.bodies[position])

        return Reply(200, 7.0, {}, self.bodies[position], read)

    def read(self) -> list[Any]:
        return [page.records for page in walk(self.ask)]


@pytest.mark.usefixtures("long_pages")
@pytest.mark.parametrize(
    "body",
    [
        b'{"data":[{"a":[1]},{"b":[]}],"next":"b"}',
        b'{"next":"b","data":[{"a":[1]}]}',
        b' { "total" : 2, "data" :\n[ {"data":["next"]} ] , "next" : "b" } ',
        b'{"data":[],"next":"b"}',
        b'{"data":["],\\"next\\":\\"c\\"}"],"next":"b"}',
    ],
)
def test_a_long_page_is_parsed_after_the_next_is_asked_for(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = Parsing({None: body, "b": b'{"data":[],"next":null}'})
    monkeypatch.setattr(
        pages.time, "sleep", lambda _seconds: vendor.asked_again.wait(HANGS)
    )  # however busy the machine
    assert vendor.read() == [orjson.loads(body)["data"], []]
    assert vendor.log == [("asked", None), ("asked", "b"), ("parsed", None), ("parsed", "b")]


@pytest.mark.usefixtures("long_pages")
@pytest.mark.parametrize(
    "body",
    [
        b'{"data":[1],"next":"b","errors":["x"]}',  # the last list is another
        b'{"data":[1],"errors":[],"next":"b"}',
        b'{"first":{"data":[1]},"data":[2],"next":"b"}',
        b'{"next":"b","about":"data","data":[]}',
        b'{"wrong":"\\"data\\":[","data":[3],"next":"b"}',
    ],
)
def test_where_the_next_page_cannot_be_told_beside_the_list_this_one_is_parsed_first(body: bytes) -> None:
    vendor = Parsing({None: body, "b": b'{"data":[],"next":null}'})
    assert vendor.read() == [orjson.loads(body)["data"], []]
    assert [entry for entry in vendor.log if entry[0] == "asked"] == [("asked", None), ("asked", "b")]


@pytest.mark.usefixtures("long_pages")
def test_a_wrong_guess_costs_a_call_and_no_record() -> None:
    """A key told twice: the last one counts, and the guess saw another."""
    first = b'{"next":"wrong","data":[1],"next":"b","more":[2]}'
    vendor = Parsing({None: first, "wrong": b'{"data":[9],"next":null}', "b": b'{"data":[3],"next":null}'})
    assert vendor.read() == [[1], [3]]
    assert sorted(vendor.log[1:], key=str)[:2] == [("asked", "b"), ("asked", "wrong")]


@pytest.mark.usefixtures("long_pages")
def test_a_body_that_is_none_is_told_whatever_stands_at_its_end() -> None:
    vendor = Parsing({None: b'{"data":[1,},"next":1],"next":"b"}', "b": b"{}"})
    with pytest.raises(ValueError):
        vendor.read()


@pytest.mark.usefixtures("long_pages")
@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:dataxe ').map(str.encode))
def test_no_body_makes_the_look_at_it_fail(body: bytes) -> None:
    told = Reply(200, None, {}, b'"data"' + body, lambda _: {})
    assert pages.guess_next(told, "data", lambda found, _: str(found), None) is None or body


@pytest.mark.parametrize(("told", "position"), [("a", "a"), ("", None), (None, None)])
def test_a_next_position_is_a_text_or_the_end(told: str | None, position: str | None) -> None:
    assert next_position("Vendor", told) == position


@pytest.mark.parametrize("told", [0, 7, True, False, ["a"], {}])
def test_a_next_position_that_is_no_text_is_not_the_end(told: object) -> None:
    with pytest.raises(UnexpectedReply, match="Vendor named a next page"):
        next_position("Vendor", told)


@pytest.mark.parametrize("body", [{}, {"pages": None}, {"pages": []}, [], None, "pages"])
def test_a_page_that_does_not_tell_of_the_others_is_not_the_last(body: object) -> None:
    with pytest.raises(UnexpectedReply, match="without 'pages'"):
        paging_of("Vendor", body, "pages")


def test_what_a_page_tells_of_the_others_is_handed_on() -> None:
    assert paging_of("Vendor", {"pages": {"total": 3}}, "pages") == {"total": 3}
