"""Pages: read to the last one or not at all, the next one prefetched, in smaller pages where they are too heavy."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from threading import Event, current_thread, main_thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.http import pages
from shared.http.body import Parse
from shared.http.pages import Listing, Page, Pages, PageSize, collect, follow
from shared.http.paging import by_field
from shared.http.session import ApiSession, Patience, Reply
from shared.http.tokens import Anonymous
from tests.shared.replied import replied

THINGS = Listing("/things", records="data", next_page=by_field("next", "at"), size="limit", total="total")
Ask = Callable[[Any], Reply]  # a page token → the reply


def session(ahead: bool) -> ApiSession:
    return ApiSession("Vendor", "https://vendor.example", Anonymous(), patience=Patience(ahead=ahead))


def reply(records: Any, following: Any = None, **more: Any) -> Reply:
    return replied({**more, "data": records, "next": following and str(following)})


def walk(ask: Ask, *, ahead: bool = True, listing: Listing = THINGS) -> Pages:
    def call(method: str, path: str, *, params: dict[str, Any], parse: Parse) -> Reply:
        assert (method, path) == ("GET", "/things")
        return ask(int(params["at"]) if "at" in params else None)

    return follow(session(ahead), listing, {}, PageSize(1000), call=call)


def read(body: Any, first: bool = True, **facts: Any) -> Page:
    return replace(THINGS, **facts).read(replied(body), first=first)


@pytest.fixture(params=[True, False], ids=["prefetched", "one by one"])
def ahead(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@given(st.lists(st.lists(st.integers(0, 9)), min_size=1, max_size=20), st.booleans())
def test_every_page_is_read_once_and_in_order(lists: list[list[int]], ahead: bool) -> None:
    asked = []

    def ask(token: int | None) -> Reply:
        at = token or 0
        asked.append(token)
        return reply(lists[at], at + 1 if at + 1 < len(lists) else None)

    assert [page.records for page in walk(ask, ahead=ahead)] == lists
    assert asked == [None, *range(1, len(lists))]


def test_the_query_and_the_size_are_sent_with_each_page() -> None:
    asked = []

    def call(_method: str, _path: str, *, params: dict[str, Any], parse: Parse) -> Reply:
        asked.append(params)
        return reply([1], None if "at" in params else 1)

    list(follow(session(ahead=False), THINGS, {"filter": "x"}, PageSize(70), call=call))
    assert asked == [{"filter": "x", "limit": 70}, {"filter": "x", "limit": 70, "at": "1"}]


def test_a_page_that_cannot_be_read_stops_the_walk_after_the_pages_before_it(ahead: bool) -> None:
    """A 500 on page 7 became the end of the fleet."""

    def ask(token: int | None) -> Reply:
        if token == 2:
            raise TryAgain("HTTP 500")
        return reply([token], (token or 0) + 1)

    reading = walk(ask, ahead=ahead)
    assert [next(reading).records, next(reading).records] == [[None], [1]]
    with pytest.raises(TryAgain):
        next(reading)


def test_a_page_without_its_list_stops_the_walk_after_the_pages_before_it(ahead: bool) -> None:
    reading = walk(lambda token: reply([0], 1) if token is None else reply(None), ahead=ahead)
    assert next(reading).records == [0]
    with pytest.raises(UnexpectedReply, match="without the list"):
        next(reading)


def test_a_bug_in_a_call_comes_out_as_it_is(ahead: bool) -> None:
    def ask(_: object) -> Reply:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        list(walk(ask, ahead=ahead))


def test_records_are_completed_before_they_are_given_out() -> None:
    listing = replace(THINGS, bare=True)

    def call(*_: object, **__: object) -> Reply:
        return replied([{"a": 1}, "x"])

    def complete(record: object) -> None:
        if isinstance(record, dict):
            record["b"] = 2

    [page] = follow(session(ahead=False), listing, {}, PageSize(9), call=call, complete=complete)
    assert page.records == [{"a": 1, "b": 2}, "x"]


# --- one page


@pytest.mark.parametrize(
    "body", [None, [], "data", 5, {}, {"data": None}, {"data": {}}, {"data": "none"}, {"other": []}]
)
def test_a_page_without_its_list_is_not_an_empty_page(body: object) -> None:
    with pytest.raises(UnexpectedReply, match="without the list 'data'"):
        read(body)


def test_a_list_alone_is_a_page_where_the_vendor_answers_so() -> None:
    assert read([1, 2], bare=True).records == [1, 2]


@pytest.mark.parametrize("body", [{}, {"next": ""}, {"next": "b", "totalSize": 5}])
def test_a_missing_list_is_an_empty_one_where_the_vendor_leaves_empty_lists_out(body: object) -> None:
    assert read(body, absent_is_empty=True).records == []


@pytest.mark.parametrize("body", [{"data": None}, {"data": {}}, {"error": "x"}, {"message": "x"}, [], None])
def test_an_error_or_another_value_is_no_list_that_was_left_out(body: object) -> None:
    with pytest.raises(UnexpectedReply):
        read(body, absent_is_empty=True)


@pytest.mark.parametrize(
    "body",
    [
        {"errors": [{"message": "shard 3 is down"}], "data": []},
        {"errors": [{"message": "shard 3 is down"}]},
        {"errors": ["shard 3 is down"], "data": None},
        {"errors": {"message": "shard 3 is down"}, "data": []},
    ],
)
@pytest.mark.parametrize("absent_is_empty", [True, False])
def test_errors_and_no_records_in_a_200_are_an_error_that_quotes_the_reason(body: Any, absent_is_empty: bool) -> None:
    """It counted as "0 devices, all well"."""
    with pytest.raises(UnexpectedReply, match='Vendor reported an error instead of records: "shard 3 is down"'):
        read(body, absent_is_empty=absent_is_empty)


@pytest.mark.parametrize("errors", [[], None, {}, ""])
def test_a_key_for_errors_that_holds_none_is_no_error(errors: Any) -> None:
    assert read({"errors": errors, "data": []}).records == []


def test_records_beside_errors_are_read() -> None:
    assert read({"errors": ["one row was left out"], "data": [1]}).records == [1]


@pytest.mark.parametrize(
    ("total", "records", "first", "known"),
    [
        (60, [1], True, 60),
        (60, [1], False, 60),
        (1, [1], True, 1),
        (0, [], True, 0),
        (0, [], False, None),  # SentinelOne counts for the first page only
        (0, [1], False, None),
        (1, [1, 2], True, None),
        (-1, [], True, None),
        *((odd, [1], True, None) for odd in (None, "60", True, 60.5, [60], {})),
    ],
)
def test_the_total_is_what_the_vendor_counted(total: Any, records: list[int], first: bool, known: int | None) -> None:
    assert read({"data": records, "total": total}, first).total == known


def test_a_total_is_found_at_its_path_or_not_at_all() -> None:
    assert read({"data": [1], "pages": {"items": 7}}, total="pages.items").total == 7
    assert read({"data": [1]}, total="pages.items").total is None
    assert read([1], total="count", bare=True).total is None


def test_the_memory_of_held_pages_is_known() -> None:
    assert read({"data": [{}] * 100}).memory == 0
    assert read({"data": [{}] * 100}, held=True).memory > 10_000


# --- prefetching


def test_the_next_page_is_asked_for_while_the_caller_works_on_this_one() -> None:
    second_asked = Event()

    def ask(token: int | None) -> Reply:
        if token:
            second_asked.set()
        return reply([token], None if token else 1)

    with closing(walk(ask)) as reading:
        next(reading)
        assert second_asked.wait(2)


def test_without_patience_for_it_nothing_is_prefetched_and_no_thread_is_begun() -> None:
    """A connection test makes one call."""
    asked = []

    def ask(token: int | None) -> Reply:
        asked.append(current_thread())
        return reply([token], (token or 0) + 1)

    with closing(walk(ask, ahead=False)) as reading:
        next(reading)
        time.sleep(0.05)
    assert asked == [main_thread()]


def test_no_more_than_one_page_is_prefetched() -> None:
    """Else memory would grow with the fleet while the platform is slow."""
    asked = []
    second_asked = Event()

    def ask(token: int | None) -> Reply:
        asked.append(token)
        if token:
            second_asked.set()
        return reply([token], (token or 0) + 1)

    with closing(walk(ask)) as reading:
        next(reading)
        assert second_asked.wait(5)
        time.sleep(0.05)
        assert asked == [None, 1]


def test_a_page_is_parsed_by_the_caller_when_it_is_done_with_the_one_before() -> None:
    """Two heavy pages at once would take a gigabyte."""
    parsed = []

    def call(_method: str, _path: str, *, params: dict[str, Any], parse: Parse) -> Reply:
        token = params.get("at")

        def noted(body: bytes | bytearray) -> Any:
            parsed.append((token, current_thread()))
            return parse(body)

        return replied({"data": [token], "next": "1"}, parse=noted)

    with closing(follow(session(ahead=True), THINGS, {}, PageSize(9), call=call)) as reading:
        next(reading)
        time.sleep(0.05)
        assert parsed == [(None, main_thread())]
        next(reading)
        assert parsed == [(None, main_thread()), ("1", main_thread())]


def test_closing_waits_for_the_call_in_flight_and_begins_no_other() -> None:
    asked = []
    in_flight = Event()

    def ask(token: int | None) -> Reply:
        if token:
            in_flight.set()
            time.sleep(0.05)
        asked.append(token)
        return reply([token], (token or 0) + 1)

    reading = walk(ask)
    next(reading)
    assert in_flight.wait(2)
    reading.close()
    assert asked == [None, 1]


# --- pages that are too heavy


def too_heavy() -> ConnectorError:
    return TryAgain("Vendor answered HTTP 504.", status=504, may_be_size=True)


@dataclass
class Vendor:
    """A list of numbers, of which a page is served when it is no longer than `most`, where a page begins at `broken` when
    it is no longer than `most_there`. The page token is the number that it begins with.
    """

    rows: int = 1000
    most: int = 1000
    broken: int = -1
    most_there: int = 1000
    reported: int = 0  # as the longest page
    refused: int = 10_000  # from this length on
    down_after: int = 10_000  # calls
    asked: list[tuple[int, int]] = field(default_factory=list)  # where the page begins, and its size

    def call(self, _method: str, _path: str, *, params: dict[str, Any], parse: Parse) -> Reply:
        start, size = int(params.get("at", 0)), params["limit"]
        self.asked.append((start, size))
        if size >= self.refused:
            raise UnexpectedReply("limit", status=400)
        if size > (self.most_there if start <= self.broken < start + size else self.most):
            raise too_heavy()
        if len(self.asked) > self.down_after:
            raise TryAgain("Vendor answered HTTP 502.", status=502)
        end = min(start + size, self.rows)
        more = {"longest": self.reported} if self.reported else {}
        return replied({"data": list(range(start, end)), "next": str(end) if end < self.rows else None, **more})

    def walk(self, size: PageSize, *, any_size: bool = True, ahead: bool = True) -> list[Page]:
        self.asked.clear()
        listing = replace(THINGS, any_size=any_size, max_size="longest")
        return list(follow(session(ahead), listing, {}, size, call=self.call))


def rows(read_pages: list[Page]) -> list[int]:
    return [row for page in read_pages for row in page.records]


def test_a_page_that_is_too_heavy_is_read_in_smaller_ones(ahead: bool) -> None:
    """It was asked for at the same size forever."""
    vendor = Vendor(most=300)
    found = vendor.walk(PageSize(1000), ahead=ahead)
    assert rows(found) == list(range(1000))
    assert vendor.asked[:5] == [(0, 1000), (0, 10), (0, 500), (0, 10), (0, 250)]
    assert vendor.asked[5:] == [(250, 250), (500, 250), (750, 250)]
    assert not any(page.anew for page in found)


def test_a_page_too_heavy_in_mid_walk_costs_no_page_before_it(ahead: bool) -> None:
    vendor = Vendor(rows=5000, broken=2700, most_there=400)
    found = vendor.walk(PageSize(1000), ahead=ahead)
    assert rows(found) == list(range(5000))
    assert vendor.asked[2:6] == [(2000, 1000), (2000, 10), (2000, 500), (2500, 500)]


def test_a_smaller_size_is_kept_for_the_walk_and_doubled_with_each_next_one() -> None:
    vendor, size = Vendor(most=125), PageSize(1000)
    vendor.walk(size)
    assert vendor.asked[-1] == (875, 125)
    vendor.most = 1000
    assert [max(asked for _, asked in vendor.asked) for _ in range(4) if vendor.walk(size)] == [250, 500, 1000, 1000]


def test_a_server_that_serves_no_page_of_ten_is_down_and_the_first_error_counts(ahead: bool) -> None:
    vendor, size = Vendor(most=9), PageSize(1000)
    with pytest.raises(TryAgain, match="504"):
        vendor.walk(size, ahead=ahead)
    assert vendor.asked == [(0, 1000), (0, 10)]
    assert size.now == 1000


def test_a_server_that_answers_a_page_of_ten_with_html_is_down() -> None:
    def call(_method: str, _path: str, *, params: dict[str, Any], parse: Parse) -> Reply:
        if params["limit"] == 10:
            return replied(b"<html>maintenance</html>")
        raise too_heavy()

    with pytest.raises(TryAgain, match="504"):
        list(follow(session(ahead=False), THINGS, {}, PageSize(1000), call=call))


def test_a_server_that_goes_down_in_the_search_ends_the_walk() -> None:
    vendor = Vendor(most=300, down_after=3)
    with pytest.raises(TryAgain, match="504"):
        vendor.walk(PageSize(1000))
    assert len(vendor.asked) == 4


@pytest.mark.parametrize("size", [1, 10])
def test_a_page_that_is_small_already_is_not_made_smaller(size: int) -> None:
    vendor = Vendor(most=0)
    with pytest.raises(TryAgain):
        vendor.walk(PageSize(size))
    assert vendor.asked == [(0, size)]


@pytest.mark.parametrize("error", [ActionNeeded("no", status=401), TryAgain("later", status=429), TryAgain("no host")])
def test_an_error_that_is_not_about_the_size_ends_the_walk_at_once(error: ConnectorError) -> None:
    asked = []

    def call(_method: str, _path: str, *, params: dict[str, Any], parse: Parse) -> Reply:
        asked.append(params["limit"])
        raise error

    with pytest.raises(type(error)):
        list(follow(session(ahead=False), THINGS, {}, PageSize(1000), call=call))
    assert asked == [1000]


def test_a_body_that_would_fill_the_memory_is_too_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.http.body.MAX_MEMORY", 10_000)

    def call(_method: str, _path: str, *, params: dict[str, Any], parse: Parse) -> Reply:
        return replied({"data": [{} for _ in range(params["limit"])]})

    [page] = follow(session(ahead=False), THINGS, {}, PageSize(100), call=call)
    assert len(page.records) == 25


def test_a_walk_whose_queries_are_for_one_size_begins_again(ahead: bool) -> None:
    """The pages given out already come again, and the first of them says so."""
    vendor = Vendor(rows=5000, broken=2700, most_there=500)
    found = vendor.walk(PageSize(1000), any_size=False, ahead=ahead)
    assert rows(found) == [*range(2000), *range(5000)]
    assert [page.anew for page in found] == [False, False, True, *[False] * 9]
    assert vendor.asked[2:6] == [(2000, 1000), (0, 10), (0, 500), (500, 500)]


def test_a_walk_that_gave_no_page_yet_does_not_begin_again() -> None:
    found = Vendor(most=300).walk(PageSize(1000), any_size=False)
    assert rows(found) == list(range(1000))
    assert not any(page.anew for page in found)


def test_pages_become_as_long_as_the_server_reports_but_not_longer_than_wanted(ahead: bool) -> None:
    vendor, size = Vendor(reported=800), PageSize(100, longest=400)
    assert rows(vendor.walk(size, ahead=ahead)) == list(range(1000))
    assert vendor.asked == [(0, 100), (100, 400), (500, 400), (900, 400)]


def test_a_page_that_is_too_heavy_does_not_become_longer_because_the_server_reports_it() -> None:
    vendor = Vendor(reported=800, most=300)
    assert rows(vendor.walk(PageSize(100, longest=400))) == list(range(1000))
    assert vendor.asked[-1] == (900, 200)


def test_a_reported_length_that_is_refused_after_all_is_not_asked_for_again(ahead: bool) -> None:
    vendor, size = Vendor(reported=400, refused=101), PageSize(100, longest=400)
    assert rows(vendor.walk(size, ahead=ahead)) == list(range(1000))
    assert [asked for _, asked in vendor.asked] == [100, 400, *[100] * 9]
    vendor.walk(size, ahead=ahead)
    assert [asked for _, asked in vendor.asked] == [100] * 10


# --- lists that are collected


def entry(record: Any) -> tuple[str, int] | None:
    return (record, len(record)) if isinstance(record, str) else None


def test_the_entries_of_all_pages_are_collected_once_each() -> None:
    found = collect("Vendor", (page for page in (Page(["a", "bb", 7]), Page([]), Page(["bb", "c"]))), entry)
    assert found == {"a": 1, "bb": 2, "c": 1}


@pytest.mark.parametrize("records", [[], ["a"], [7]], ids=["empty", "known", "ignored"])
def test_a_list_whose_pages_bring_nothing_new_is_found_endless(records: list[Any]) -> None:
    given = []

    def endless() -> Pages:
        yield Page(["a"])
        while True:
            given.append(1)
            yield Page(records)

    with pytest.raises(UnexpectedReply, match="Vendor sent 5 pages in a row without anything new"):
        collect("Vendor", endless(), entry)
    assert len(given) == 5


def test_a_list_that_never_ends_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """ESET's groups took 2.5 GiB at page 18."""
    monkeypatch.setattr(pages, "MAX_COLLECTED", 1000)
    number = 0

    def endless() -> Pages:
        nonlocal number
        while True:
            number += 1
            yield Page([str(number)], memory=300)

    with pytest.raises(UnexpectedReply, match="fills more than"):
        collect("Vendor", endless(), entry)
    assert number == 4


def test_a_walk_that_begins_again_is_not_taken_for_endless() -> None:
    def again() -> Pages:
        for start in (0, 10):
            for number in range(10):
                yield Page([str(number)], anew=bool(start) and number == 0)

    assert len(collect("Vendor", again(), entry)) == 10


def test_the_calls_of_a_list_that_is_given_up_are_ended() -> None:
    closed = []

    def endless() -> Pages:
        try:
            while True:
                yield Page([])
        finally:
            closed.append(True)

    with pytest.raises(UnexpectedReply):
        collect("Vendor", endless(), entry)
    assert closed
