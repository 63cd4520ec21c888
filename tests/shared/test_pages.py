"""Pages: read to the last one or not at all, the next one fetched ahead."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count, islice
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import TryAgain, UnexpectedReply
from shared.pages import Page, follow, next_position, paging_of, read_ahead, records_of


@given(st.lists(st.lists(st.integers()), min_size=1, max_size=20))
def test_every_page_is_read_once_and_in_order(lists: list[list[int]]) -> None:
    asked = []

    def fetch(position: int | None) -> tuple[Page, int | None]:
        at = position or 0
        asked.append(position)
        return Page(lists[at]), at + 1 if at + 1 < len(lists) else None

    assert [page.records for page in follow("Vendor", fetch)] == lists
    assert asked == [None, *range(1, len(lists))]


@pytest.mark.parametrize("circle", [["a", "a"], ["a", "b", "a"], ["a", "b", "c", "b"]])
def test_a_position_met_twice_is_an_error_and_not_an_endless_walk(circle: list[str]) -> None:
    positions = iter(circle)
    with pytest.raises(UnexpectedReply, match="the same page position twice"):
        list(follow("Vendor", lambda _: (Page([1]), next(positions))))


def test_empty_pages_that_always_name_a_next_one_are_an_error() -> None:
    numbers = count(1)
    with pytest.raises(UnexpectedReply, match="100 pages in a row without anything new"):
        list(follow("Vendor", lambda _: (Page([]), next(numbers))))


@pytest.mark.parametrize("record", [{"id": 1, "inside": [1]}, "text", [1]], ids=repr)
def test_the_same_record_on_pages_without_end_is_an_error(record: object) -> None:
    """Under ever new positions it was an endless walk."""
    numbers = count(1)
    with pytest.raises(UnexpectedReply, match="100 pages in a row without anything new"):
        list(islice(follow("Vendor", lambda _: (Page([record]), next(numbers))), 500))


def test_pages_that_share_a_first_record_now_and_then_are_no_error() -> None:
    def fetch(position: int | None) -> tuple[Page, int | None]:
        at = position or 0
        return Page([{"id": at // 60}]), at + 1 if at < 240 else None

    assert len(list(follow("Vendor", fetch))) == 241


def test_some_empty_pages_between_full_ones_are_no_error() -> None:
    def fetch(position: int | None) -> tuple[Page, int | None]:
        at = position or 0
        return Page([at] if at % 60 == 0 else []), at + 1 if at < 240 else None

    assert [page.records[0] for page in follow("Vendor", fetch) if page.records] == [0, 60, 120, 180, 240]


def test_a_page_that_cannot_be_read_stops_the_walk() -> None:
    """A 500 on page 7 that became the end of the fleet."""

    def fetch(position: int | None) -> tuple[Page, int | None]:
        if position == 2:
            raise TryAgain("HTTP 500")
        return Page([position]), (position or 0) + 1

    walk = follow("Vendor", fetch)
    assert [next(walk).records, next(walk).records] == [[None], [1]]
    with pytest.raises(TryAgain):
        next(walk)


@pytest.mark.parametrize(
    "body", [None, [], "data", 5, {}, {"data": None}, {"data": {}}, {"data": "none"}, {"other": []}]
)
def test_a_page_without_its_list_is_not_an_empty_page(body: object) -> None:
    with pytest.raises(UnexpectedReply, match="without the list 'data'"):
        records_of("Vendor", body, "data")


def test_the_list_of_a_page_is_given_as_it_is() -> None:
    records = [1, None, {}]
    assert records_of("Vendor", {"data": records}, "data") is records


# --- reading ahead


@given(st.lists(st.integers(), max_size=10))
def test_reading_ahead_changes_nothing_of_the_pages(numbers: list[int]) -> None:
    pages = [Page([n], float(n)) for n in numbers]
    assert list(read_ahead(iter(pages))) == pages


def test_the_next_page_is_fetched_while_the_caller_works_on_this_one() -> None:
    second_fetched = Event()

    def fetching() -> Iterator[Page]:
        yield Page([1])
        second_fetched.set()
        yield Page([2])

    with closing(read_ahead(fetching())) as pages:
        next(pages)
        assert second_fetched.wait(2)


def test_no_more_than_one_page_is_fetched_ahead() -> None:
    """Else memory would grow with the fleet while the platform is slow."""
    fetched = []

    def fetching() -> Iterator[Page]:
        for n in range(10):
            fetched.append(n)
            yield Page([n])

    with closing(read_ahead(fetching())) as pages:
        next(pages)
        time.sleep(0.05)
        assert fetched == [0, 1]


def test_while_a_heavy_page_is_worked_on_no_other_is_fetched() -> None:
    """Two of them at once would take a gigabyte."""
    fetched = []

    def fetching() -> Iterator[Page]:
        for n, memory in enumerate([0, 100 * 1024 * 1024, 0, 0]):
            fetched.append(n)
            yield Page([n], memory=memory)

    pages = read_ahead(fetching())
    next(pages)
    assert next(pages).records == [1]
    time.sleep(0.05)
    assert fetched == [0, 1]
    assert [page.records for page in pages] == [[2], [3]]


def test_what_a_fetch_raises_comes_out_after_the_pages_before_it() -> None:
    def fetching() -> Iterator[Page]:
        yield Page([1])
        raise TryAgain("HTTP 503")

    pages = read_ahead(fetching())
    assert next(pages).records == [1]
    with pytest.raises(TryAgain, match="HTTP 503"):
        next(pages)


def test_a_bug_in_a_fetch_comes_out_as_it_is() -> None:
    def fetching() -> Iterator[Page]:
        yield Page([])
        raise KeyError("bug")

    with pytest.raises(KeyError):
        list(read_ahead(fetching()))


def test_closing_waits_for_the_fetch_under_way_and_begins_no_other() -> None:
    fetched = []
    go_on = Event()

    def fetching() -> Iterator[Page]:
        for n in count():
            if n:
                go_on.wait(2)
            fetched.append(n)
            yield Page([n])

    pages = read_ahead(fetching())
    next(pages)
    go_on.set()
    pages.close()
    assert fetched in ([0], [0, 1])


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
