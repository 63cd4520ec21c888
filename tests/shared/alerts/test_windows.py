"""Windows that lose no row of a list that changes while it is paged."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.alerts import windows
from shared.alerts.windows import Known, Window, next_window, read_window
from shared.errors import TryAgain, UnexpectedReply
from shared.http.pages import Page


class Source:
    """A list of (key, touched) asked by offset. `meddle(page)` runs before each page, counted from 1."""

    def __init__(self, rows: dict[str, int], size: int = 3, total: bool = True) -> None:
        self.rows, self.size, self.total = rows, size, total
        self.meddle: Callable[[int], None] = lambda _page: None
        self.asked: list[tuple[int, int]] = []
        self.calls = 0
        self.clock = 1000.0

    def pages(self, start: int, end: int) -> Iterator[Page]:
        self.asked.append((start, end))
        offset = 0
        while True:
            self.calls += 1
            self.meddle(self.calls)
            found = [[key, at] for key, at in self.rows.items() if start <= at <= end]
            yield Page(found[offset : offset + self.size], self.clock + self.calls, len(found) if self.total else None)
            offset += self.size
            if offset >= len(found):
                return

    def read(self, start: int = 0, end: int = 100) -> windows.Reading:
        return read_window("Source", Window(start, end), self.pages, lambda row: f"{row[0]}@{row[1]}")


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


@pytest.mark.parametrize(("window", "half"), [(Window(0, 10), Window(0, 5)), (Window(0, 2), Window(0, 1))])
def test_the_half_of_a_window_is_its_beginning(window: Window, half: Window) -> None:
    assert window.half == half


@pytest.mark.parametrize("window", [Window(5, 6), Window(5, 5)])
def test_a_window_of_a_second_has_no_half(window: Window) -> None:
    assert window.half is None


# --- a window that comes to rest


@pytest.mark.parametrize("total", [True, False])
def test_a_quiet_window_is_read_whole(total: bool) -> None:
    source = Source(rows(8), total=total)
    reading = source.read()
    assert set(reading.rows) == {f"r{number}@50" for number in range(8)}
    assert reading.window == Window(0, 100)
    assert reading.date == 1001
    assert len(source.asked) == (1 if total else 2)  # without a total, a second pass has to say the same


def test_one_page_is_read_once_whatever_its_total() -> None:
    for total in (True, False):
        source = Source(rows(3), total=total)
        assert len(source.read().rows) == 3
        assert len(source.asked) == 1


@pytest.mark.parametrize("total", [True, False])
@pytest.mark.parametrize("page", [2, 3])
def test_a_row_touched_while_the_window_is_paged_hides_no_other(page: int, total: bool) -> None:
    """It leaves the window, those behind it move up, and the next offset passes one by."""
    source = Source(rows(8), total=total)

    def touch(call: int) -> None:
        if call == page:
            source.rows["r0"] = 200

    source.meddle = touch
    reading = source.read()
    assert {f"r{number}@50" for number in range(1, 8)} <= set(reading.rows)
    assert len(source.asked) > 1


def test_a_young_window_is_read_until_two_passes_agree() -> None:
    """A row that left after it was read and one that came left the total as it was, and hid a third."""
    source = Source(rows(8))
    source.clock = 101.0

    def swap(call: int) -> None:
        if call == 2:
            source.rows["r0"] = 200
            source.rows["late"] = 40

    source.meddle = swap
    assert {f"r{number}@50" for number in range(1, 8)} | {"late@40"} <= set(source.read().rows)


def test_a_window_without_rest_is_halved() -> None:
    source = Source({f"r{number}": number for number in range(100)}, size=30)
    source.meddle = lambda call: source.rows.update({f"r{call % 90}": 1000}) if source.asked[-1][1] > 40 else None
    reading = source.read(0, 99)
    assert reading.window.start == 0
    assert reading.window.end <= 49
    assert {key for key in reading.rows if source.rows[key.partition("@")[0]] != 1000} == {
        f"{key}@{at}" for key, at in source.rows.items() if reading.window.start <= at <= reading.window.end
    }


def test_a_second_without_rest_is_read_later() -> None:
    source = Source(rows(8, at=5))
    source.meddle = lambda call: source.rows.update({f"new{call}": 5})
    with pytest.raises(TryAgain, match="Nothing is lost"):
        source.read(5, 6)
    assert len(source.asked) == 3


def test_a_total_that_is_always_wrong_costs_a_second_pass_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may count what the filter leaves out."""
    source = Source(rows(8))
    real = source.pages

    def wrong(start: int, end: int) -> Iterator[Page]:
        return (Page(page.records, page.date, 5000) for page in real(start, end))

    reading = read_window("Source", Window(0, 100), wrong, str)
    assert (len(reading.rows), reading.window, len(source.asked)) == (8, Window(0, 100), 2)


def test_a_window_with_too_much_in_it_is_halved_before_it_is_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "MAX_ROWS", 20)
    source = Source({f"r{number}": number for number in range(100)}, size=10)
    reading = source.read(0, 99)
    assert reading.window.end < 25
    assert len(reading.rows) == reading.window.end + 1
    assert source.calls < 15


def test_a_second_with_too_much_in_it_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "MAX_ROWS", 20)
    assert len(Source(rows(50, at=5), size=10).read(5, 6).rows) == 50


def heavy(source: Source, bytes_a_page: int) -> Callable[[int, int], Iterator[Page]]:
    return lambda start, end: (replace(page, memory=bytes_a_page) for page in source.pages(start, end))


def test_a_window_that_would_fill_the_memory_is_halved_before_it_is_read_to_the_end() -> None:
    source = Source({f"r{number}": number for number in range(100)}, size=10)
    reading = read_window("Source", Window(0, 99), heavy(source, windows.MAX_MEMORY // 2), str)
    assert reading.window.end < 25
    assert source.calls < 15


def test_a_second_that_would_fill_the_memory_is_given_up_after_the_page_that_was_too_much() -> None:
    """It was read to its end, which a hostile server has none of."""
    source = Source(rows(500, at=5), size=10)
    with pytest.raises(UnexpectedReply, match="gave more for one second than 128 MiB"):
        read_window("Source", Window(5, 6), heavy(source, windows.MAX_MEMORY // 4), str)
    assert source.calls == 5


@pytest.mark.parametrize("seed", range(30))
def test_walked_over_and_over_every_version_that_rests_is_read(seed: int) -> None:
    """Rows are touched at random moments of the rounds, on a clock that goes on; what rests at their end was read."""
    dice = random.Random(seed)
    source = Source({f"r{number}": dice.randrange(300) for number in range(60)}, size=dice.randrange(2, 9))
    read: set[str] = set()
    at, now, changes = 0, 300, 40

    def meddle(_call: int) -> None:
        nonlocal now, changes
        source.clock = float(now)
        now += dice.random() < 0.1
        if changes and dice.random() < 0.3:
            changes -= 1
            source.rows[dice.choice(list(source.rows))] = now

    source.meddle = meddle
    for _round in range(2_000):
        until = now
        while window := next_window(at, until, 50):
            try:
                reading = read_window("Source", window, source.pages, lambda row: f"{row[0]}@{row[1]}")
            except TryAgain:
                break  # until the next round
            read |= set(reading.rows)
            at = reading.window.end
        now += dice.randrange(3)
    assert not changes
    assert {f"{key}@{when}" for key, when in source.rows.items()} <= read


# --- what is known


def test_what_is_known_is_forgotten_behind_the_cursor_and_survives_storing() -> None:
    known = Known()
    known.add({"a": 5.0, "b": 10.0, "c": 11.0})
    known.forget_before(10)
    again = Known(known.stored())
    assert "a" not in again
    assert "b" in again
    assert "c" in again


def test_the_memory_is_bounded_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "MAX_KNOWN", 10)
    known = Known()
    for number in range(30):
        known.add({f"k{number}": float(number)})
    assert len(known) == 10
    assert "k29" in known
    assert "k19" not in known


@pytest.mark.parametrize("stored", [None, [], "x", {"a": "b"}, {"a": None}, 5])
def test_a_memory_that_says_nothing_is_empty(stored: Any) -> None:
    assert len(Known(stored)) == 0
