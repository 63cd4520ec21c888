"""Windows over a list that changes while it is paged, the vendor's clock, and what is remembered of a window."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.alerts import position
from shared.alerts.position import Aside, Position
from shared.alerts.windows import Reading, VendorClock, Window, next_window
from shared.errors import TryAgain, UnexpectedReply
from shared.http.pages import Page


class Source:
    """A list of (key, touched) asked by offset. `meddle(page)` runs before each page, counted from 1."""

    def __init__(self, rows: dict[str, int], size: int = 3) -> None:
        self.rows, self.size = rows, size
        self.meddle: Callable[[int], None] = lambda _page: None

    def pages(self, start: int, end: int) -> Iterator[Page]:
        offset, calls = 0, 0
        while True:
            calls += 1
            self.meddle(calls)
            found = [[key, at] for key, at in self.rows.items() if start <= at <= end]
            yield Page(found[offset : offset + self.size], 1000.0 + calls, len(found))
            offset += self.size
            if offset >= len(found):
                return

    def read(self) -> tuple[Reading, list[str]]:
        reading = Reading("Source", self.pages(0, 100), lambda row: f"{row[0]}@{row[1]}")
        return reading, [key for _, rows in reading for key in rows]


def rows(count: int, at: int = 50) -> dict[str, int]:
    return {f"r{number}": at for number in range(count)}


# --- which windows are due


def test_a_window_ends_at_what_has_settled_or_after_the_longest_step() -> None:
    assert next_window(0, 100, 60) == Window(0, 60)
    assert next_window(60, 100, 60) == Window(60, 100)
    assert next_window(100, 100, 60) is None
    assert next_window(100, 90, 60) is None


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 5_000))
def test_a_long_stop_is_caught_up_without_a_gap(start: int, until: int, longest: int) -> None:
    at = start
    while window := next_window(at, until, longest):
        assert window.start == at < window.end <= at + longest
        at = window.end
    assert at == max(start, until)


# --- one reading


def test_a_quiet_window_is_complete_and_dated_by_its_first_page() -> None:
    reading, met = Source(rows(8)).read()
    assert met == [f"r{number}@50" for number in range(8)]
    assert (reading.missing, reading.rows, reading.date, reading.error) == (0, 8, 1001, None)


@pytest.mark.parametrize("page", [2, 3])
def test_a_row_missed_because_another_left_the_window_shows_in_the_total(page: int) -> None:
    """It leaves the window, those behind it move up, and the next offset passes one by."""
    source = Source(rows(8))
    source.meddle = lambda call: source.rows.update({"r0": 200}) if call == page else None
    reading, met = source.read()
    assert len(set(met)) == 7
    assert reading.missing == 1
    source.meddle = lambda _: None
    again, more = source.read()
    assert again.missing == 0
    assert {f"r{number}@50" for number in range(1, 8)} <= {*met, *more}


def test_a_row_met_twice_counts_once_and_two_identical_ones_of_a_page_count_twice() -> None:
    pages = [Page([["a", 1], ["b", 1], ["b", 1]], None, 5), Page([["a", 1], ["c", 1]], None, 5)]
    reading = Reading("Source", iter(pages), str)
    assert [len(rows) for _, rows in reading] == [2, 1]
    assert (reading.rows, reading.missing) == (4, 1)


def test_five_pages_in_a_row_without_a_new_row_end_the_reading_and_four_do_not() -> None:
    def pages(idle: int) -> Iterator[Page]:
        yield Page([["a", 1]], None, None)
        yield from (Page([["a", 1]] if number % 2 else [], None, None) for number in range(idle))
        yield Page([["b", 1]], None, None)

    reading = Reading("Source", pages(4), str)
    assert [len(rows) for _, rows in reading][-1] == 1
    assert reading.error is None
    reading = Reading("Source", pages(5), str)
    assert sum(len(rows) for _, rows in reading) == 1
    assert isinstance(reading.error, UnexpectedReply)
    assert "5 pages in a row" in str(reading.error)


def test_an_error_of_a_page_is_kept_for_after_the_rows_before_it() -> None:
    def pages() -> Iterator[Page]:
        yield Page([["a", 1]], None, None)
        raise TryAgain("cut")

    reading = Reading("Source", pages(), str)
    assert [list(rows) for _, rows in reading] == [["['a', 1]"]]
    assert str(reading.error) == "cut"


# --- the vendor's clock


def test_the_vendors_clock_continues_its_last_date_and_ours_is_only_used_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = {"time": 5_000.0, "monotonic": 10.0}
    monkeypatch.setattr(time, "time", lambda: ours["time"])
    monkeypatch.setattr(time, "monotonic", lambda: ours["monotonic"])
    clock = VendorClock()
    assert clock.now() == 4_700, "ours, less five minutes"
    clock.hear(90_000.0)
    ours |= {"time": 0.0, "monotonic": 25.0}
    clock.hear(None)
    assert clock.now() == 90_015


# --- what is remembered


@pytest.fixture
def stored(tmp_path: Path) -> Position:
    place = Position(tmp_path / "context.json", "last_event_date")
    place.cursor = 1_000
    return place


def again(stored: Position, path: Path) -> Position:
    stored.store()
    other = Position(path / "context.json", "last_event_date")
    assert other.recall()
    return other


def test_every_fact_survives_storing(stored: Position, tmp_path: Path) -> None:
    stored.done({"a": 5.0, "b": 10.0, "c": 11.0})
    stored.forget_before(10)
    stored.facts.aside["d"] = Aside(name="id 1", text="{}", at=1.0, since=2.0, proven=True)
    stored.add_short(Window(1, 2), 3.0)
    stored.facts.second_look = 7.5
    other = again(stored, tmp_path)
    assert (other.cursor, other.facts) == (stored.cursor, stored.facts)
    assert [key in other for key in "abcd"] == [False, True, True, True]
    assert other.facts.known_since == 10


def test_the_memory_is_bounded_and_the_second_look_begins_behind_what_is_forgotten(
    stored: Position, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a busy day would be sent again each hour."""
    monkeypatch.setattr(position, "MAX_KNOWN", 10)
    for number in range(30):
        stored.done({f"k{number}": float(number)})
        assert len(stored.facts.known) <= 10
        assert all(f"k{at}" in stored for at in range(stored.facts.known_since, number + 1))
    assert "k29" in stored
    assert "k19" not in stored
    assert stored.facts.known_since >= 20


def test_a_position_of_an_earlier_release_knows_what_was_delivered_from_there_on(tmp_path: Path) -> None:
    (tmp_path / "context.json").write_text('{"last_event_date":"1970-01-01T01:00:00Z","known":{"a":3600.0}}')
    place = Position(tmp_path / "context.json", "last_event_date")
    assert place.recall()
    assert (place.cursor, place.facts.known_since) == (3600, 3600)
    assert "a" in place


@pytest.mark.parametrize("known", ["[1]", '"x"', '{"a":"b"}', '{"a":null}', "5"])
def test_facts_that_cannot_be_read_are_damage_and_the_cursor_still_counts(tmp_path: Path, known: str) -> None:
    (tmp_path / "context.json").write_text(f'{{"last_event_date":"1970-01-01T01:00:00Z","known":{known}}}')
    place = Position(tmp_path / "context.json", "last_event_date")
    assert place.recall()
    assert place.damaged
    assert place.cursor == place.facts.known_since == 3600


def test_a_thousand_alerts_are_put_aside_or_sixteen_megabytes_and_no_more(stored: Position) -> None:
    one = Aside(name="id 1", text="x", at=1.0, since=1.0)
    stored.facts.aside = {str(number): one for number in range(999)}
    assert stored.has_room_for("x")
    stored.facts.aside["999"] = one
    assert not stored.has_room_for("x")
    stored.facts.aside = {str(number): one.model_copy(update={"text": "x" * 250_000}) for number in range(67)}
    assert not stored.has_room_for("x" * 250_000)


def test_of_more_than_ten_short_windows_the_oldest_is_dropped(stored: Position) -> None:
    for number in range(12):
        stored.add_short(Window(number, number + 1), 0.0)
    assert [window.start for window, _ in stored.facts.short] == list(range(2, 12))


def test_while_alerts_are_delivered_the_facts_are_written_every_five_seconds_and_less_often_where_writing_is_slow(
    stored: Position, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, cost = [100.0], [0.01]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    write, written = Position.store, list[float]()

    def slow(self: Position) -> None:
        write(self)
        written.append(now[0])
        now[0] += cost[0]

    monkeypatch.setattr(Position, "store", slow)
    for _ in range(200):
        stored.store_in_time()
        now[0] += 0.1
    assert len(written) == 4, "20 seconds"
    written.clear()
    cost[0] = 2.0
    for _ in range(500):
        stored.store_in_time()
        now[0] += 0.1
    assert len(written) <= 4, "more than a tenth of the time was spent on writing"
