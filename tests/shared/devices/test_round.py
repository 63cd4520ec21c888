"""One round: everything read is delivered or named, and the cursor never passes what is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.devices.batch import MAX_WEIGHT, Batch, Met
from shared.devices.round import Round
from shared.devices.walks import Walk
from shared.errors import SkipRecord, TryAgain, UnexpectedReply
from shared.http.pages import Page
from shared.mapping.conversions import non_negative_int
from shared.mapping.ocsf import DEVICE_INVENTORY
from shared.mapping.table import Field, Mapper, const
from shared.runtime.metrics import Counts
from shared.state.fingerprints import Fingerprints
from shared.times import epoch, iso

TABLE = (
    *DEVICE_INVENTORY,
    Field("time", "at", lambda at: at),
    Field("metadata.version", const("1.6.0")),
    Field("metadata.product.name", const("Product")),
    Field("metadata.product.version", const("1")),
    Field("device.uid", "id", required=True),
    Field("device.hostname", "id", required=True),
    Field("device.type", "type", lambda told: told),
    Field("device.type_id", const(2)),
    Field("device.risk_score", "risk", non_negative_int),
    Field("device.last_seen_time", "at", lambda at: at),
)
NOW = 2_000_000_000.0  # the vendor's clock


def device(uid: Any, at: float, risk: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": uid, "at": at, "risk": risk, "type": "Desktop", **more}


class Deliveries:
    """In place of the platform: confirms in order. `fails` are numbers of batches, from 1; `refused` devices are refused
    alone; of the batches in `lost` it is not known how their ingestion ended."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.fails: set[int] = set()
        self.refused: set[Any] = set()  # uids, or uids with a risk
        self.lost: set[int] = set()
        self.unanswered = self.reordered = False
        self.holds = False  # nothing is confirmed before the end
        self.batches: list[tuple[Batch, list[Any]]] = []
        self.gone: list[list[Any]] = []
        self.taken = 0
        self.closed = False

    def serialize(self, met: Met) -> bytes:
        assert met.written == orjson.dumps(met.event)
        return met.written

    def serialize_gone(self, description: list[Any]) -> bytes:
        self.gone.append(description)
        return b""

    def send(self, batch: Batch) -> None:
        events = [orjson.loads(event)["device"] for event in batch.events]
        self.batches.append((batch, [(event["uid"], event["risk_score"]) for event in events]))

    def confirmed(self, *, all_of_them: bool = False) -> Iterator[Batch]:
        while self.taken < len(self.batches) and (all_of_them or not self.holds):
            self.taken += 1
            if self.taken in self.fails:
                raise TryAgain(f"batch {self.taken} failed")
            batch, events = self.batches[self.taken - 1]
            batch.followed = self.taken not in self.lost
            for number, (uid, risk) in enumerate(events):
                if {uid, (uid, risk)} & self.refused:
                    batch.refuse(number, UnexpectedReply(f"{uid} was refused", status=400))
            self.log.append(("delivered", self.taken))
            yield batch

    def close(self) -> None:
        self.closed = True

    @property
    def sent(self) -> list[Any]:
        return [event for _, events in self.batches for event in events]


class Part(dict[str, Any]):
    """What is stored of a scope; notes each move of the cursor."""

    def __init__(self, log: list[Any], stored: dict[str, Any]) -> None:
        super().__init__(stored)
        self._log = log

    def __setitem__(self, name: str, value: Any) -> None:
        if name == Bench.cursor_key:
            self._log.append(("cursor", epoch(value)))
        super().__setitem__(name, value)


@dataclass
class Bench:
    """A round with its surroundings; `happened` holds deliveries and cursor moves in their order. `since` is the cursor."""

    path: Path
    since: float | None = None
    in_order: bool = False
    filtered: bool = True
    batch_size: int = 2
    refresh: float | None = None
    now: float = 1_000_000.0
    happened: list[Any] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    record_names: tuple[str, ...] = ("id",)
    stopped: bool = False

    def __post_init__(self) -> None:
        self.deliveries = Deliveries(self.happened)
        self.fingerprints = Fingerprints(self.path)
        self.part = Part(self.happened, {} if self.since is None else {self.cursor_key: iso(self.since)})
        self.read_to_end = False
        self.module = SimpleNamespace(name="Vendor")

    def run(self, *pages: Any, date: float | None = NOW, again: list[Any] | None = None) -> bool:
        """Each page is a list of records, a ready `Page`, or what reading it raises. `again`: the second reading's."""
        readings = iter([[*pages], pages if again is None else again])

        def read() -> Iterator[Page]:
            for page in next(readings):
                if isinstance(page, Exception):
                    raise page
                records = [*page.records] if isinstance(page, Page) else [*page]
                yield replace(page, records=records) if isinstance(page, Page) else Page(records, date)

        self.fingerprints.begin(self.now)
        cursor_of = (lambda record: None if "untimed" in record else record.get("at")) if self.filtered else None
        self.round = Round(
            self,
            self.part,
            self.fingerprints,
            lambda: Walk(read(), cursor_of, sorted_by_cursor=self.in_order),
            Mapper(TABLE),
            self.deliveries,
            full=True,
            refresh_after=self.refresh,
        )
        try:
            return self.round.run()
        finally:
            self.fingerprints.save()

    # what a round asks of its connector

    def moving(self) -> bool:
        return not self.stopped

    cursor_key, full_sync_interval, refusals = "cursor", 86_400, 1

    @property
    def state(self) -> Bench:
        return self

    def store(self, *, now: bool) -> None:
        self.fingerprints.save()

    def ended(self, part: dict[str, Any], clock: float) -> None:
        self.read_to_end = True

    def name_skipped(self, record: Any, reason: SkipRecord) -> None:
        self.skipped.append(str(reason))

    def log(self, message: str) -> None:
        self.lines.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    @property
    def cursors(self) -> list[float]:
        return [at for what, at in self.happened if what == "cursor"]

    def knows(self, record: dict[str, Any]) -> bool:
        event = Mapper(TABLE)(record)
        known = self.fingerprints.meet(self.fingerprints.key(event["device"]["uid"]), self.fingerprints.began)
        return known is not None and known[0] == self.fingerprints.content(event, orjson.dumps(event))

    def again(self, **changed: Any) -> Bench:
        """The next round, of a new process."""
        return Bench(self.path, **{"since": self.since, "in_order": self.in_order, "now": self.now + 60, **changed})


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    return lambda **options: Bench(tmp_path / "fingerprints.bin", **options)


def test_every_device_is_sent_in_batches_and_counted(bench: Any) -> None:
    going = bench()
    assert going.run([device("a", 1), device("b", 2), device("c", 3)], [], [device("d", 4), device("e", 5)])
    assert [len(events) for _, events in going.deliveries.batches] == [2, 2, 1]
    assert going.deliveries.sent == [(uid, 0) for uid in "abcde"]
    assert (going.counts.pages, going.counts.read, going.counts.sent, going.counts.batches) == (3, 5, 5, 3)
    assert going.deliveries.closed


def test_an_empty_fleet_moves_nothing(bench: Any) -> None:
    going = bench(since=5.0, in_order=True)
    assert going.run([])
    assert going.happened == []
    assert going.deliveries.sent == []


# --- what the platform refuses


@pytest.mark.parametrize("in_order", [True, False])
def test_a_refused_device_is_skipped_and_holds_back_neither_the_others_nor_the_cursor(
    bench: Any, in_order: bool
) -> None:
    going, fleet = bench(since=1.0, in_order=in_order), [device(str(n), n) for n in range(2, 10)]
    going.deliveries.refused = {"5"}
    assert going.run(fleet)
    assert [record["id"] for record in fleet if not going.knows(record)] == ["5"]
    assert going.skipped == ["refused by the platform: 5 was refused"]
    assert going.cursors[-1] == 9
    assert (going.counts.listed, going.counts.delivered, going.counts.refused) == (8, 7, 1)


def test_a_refused_device_is_sent_again_when_it_changes_or_once_in_the_interval(bench: Any) -> None:
    going = bench()
    going.deliveries.refused = {("a", 0)}
    going.run([device("a", 1)])
    going.now += 60
    going.run([device("a", 2)])
    assert going.deliveries.sent == [("a", 0)]
    assert going.counts.refused == 2
    going.now += 86_400
    going.run([device("a", 3)])
    assert going.deliveries.sent == [("a", 0)] * 2
    going.now += 60
    going.run([device("a", 4, risk=1)])
    assert going.knows(device("a", 4, risk=1))
    assert going.part["refused"] == {}


def test_a_device_that_is_accepted_later_in_the_walk_is_counted_once(bench: Any) -> None:
    going = bench(since=1.0, in_order=True, batch_size=1)
    going.deliveries.refused = {("a", 1)}
    assert going.run([device("a", 2, 1), device("b", 3), device("a", 4, 2)])
    assert going.knows(device("a", 4, 2))
    assert going.part["refused"] == {}
    counts = going.counts
    assert counts.listed == 2 == counts.delivered + counts.refused + counts.unchanged


# --- what is known of how the ingestion ended


def test_a_batch_that_could_not_be_followed_is_sent_again_by_the_next_full_walk_alone(bench: Any) -> None:
    going = bench(refresh=86_400)
    going.deliveries.lost = {1}
    going.run([device(uid, 1) for uid in "abcd"])
    assert going.again().run([device(uid, 1) for uid in "abcd"]), "not by a walk of changes"
    second = going.again(refresh=86_400)
    second.run([device(uid, 1) for uid in "abcd"])
    assert [uid for uid, _ in second.deliveries.sent] == ["a", "b"]


def test_acceptance_counts_when_no_task_of_the_round_was_answered(bench: Any) -> None:
    going = bench(refresh=86_400)
    going.deliveries.lost, going.deliveries.unanswered = {1, 2}, True
    going.run([device(uid, 1) for uid in "abcd"])
    second = going.again(refresh=86_400)
    second.run([device(uid, 1) for uid in "abcd"])
    assert second.deliveries.sent == []


# --- whether the list is complete


def listed(total: int, *uids: str) -> Page:
    return Page([device(uid, 1) for uid in uids], NOW, total)


def test_a_list_that_is_short_is_read_once_more_and_both_readings_count(bench: Any) -> None:
    going = bench()
    assert going.run(listed(4, "a", "b", "c"), again=[listed(4, "b", "c", "d")])
    assert sorted(uid for uid, _ in going.deliveries.sent) == ["a", "b", "c", "d"]
    assert going.warnings == []
    assert going.counts.listed == going.counts.delivered == 4


def test_a_list_that_stays_short_by_much_moves_no_cursor_and_says_both_numbers(bench: Any) -> None:
    """A page without its link to the next was taken for the end: 20 of 60 devices counted as all."""
    going = bench(since=1.0, in_order=True)
    with pytest.raises(TryAgain, match="The list has 60 devices and 2 were read, in 2 readings"):
        going.run(listed(60, "a", "b"))
    assert going.knows(device("a", 1)), "what was read is delivered"
    assert going.read_to_end
    assert going.cursors[-1] == 1.0


@pytest.mark.parametrize(
    ("total", "rows", "ends_well"), [(20, 18, True), (20, 17, False), (1_100, 1_090, True), (1_100, 1_088, False)]
)
def test_a_walk_counts_when_few_rows_are_missing(bench: Any, total: int, rows: int, ends_well: bool) -> None:
    """In a pool of desktops an agent leaves during each reading: no walk was ever complete."""
    going = bench(batch_size=1_000)
    pages = [listed(total, *map(str, range(rows)))]
    if ends_well:
        assert going.run(*pages)
        assert going.warnings[0].startswith(f"The list has {total} devices and {rows} were read")
    else:
        with pytest.raises(TryAgain):
            going.run(*pages)


def test_the_last_total_that_was_reported_counts(bench: Any) -> None:
    going = bench()
    assert going.run(listed(40, "a", "b"), listed(3, "c"))
    assert going.warnings == []


def test_pages_that_bring_nothing_new_end_the_walk_and_what_was_read_counts(bench: Any) -> None:
    """Pages in a circle under ever new tokens were read for ever."""
    going = bench()
    circle = [[device("a", 1)], [device("b", 1)]] * 50
    with pytest.raises(UnexpectedReply, match="Vendor sent 5 pages in a row without anything new"):
        going.run(*circle)
    assert going.counts.pages == 7
    assert going.knows(device("a", 1))
    assert going.knows(device("b", 1))


def test_a_second_reading_is_not_taken_for_a_circle(bench: Any) -> None:
    going = bench()
    pages = [Page([device(str(n), 1)], NOW, 20) for n in range(18)]
    assert going.run(*pages)
    assert going.counts.pages == 36


# --- identity


def test_records_that_share_a_uid_keep_a_memory_each(bench: Any) -> None:
    """Two cloned machines with one uuid were each sent because of the other, in every walk."""

    def clones() -> list[dict[str, Any]]:
        return [device("x", 1, n, agent=f"agent-{n}") for n in range(3)]

    going = bench(record_names=("agent",))
    going.run(clones())
    assert len(going.deliveries.sent) == 3
    [warning] = going.warnings
    assert warning.startswith("2 more devices share a device.uid with another, such as x")
    second = going.again(record_names=("agent",))
    second.run(clones())
    assert second.deliveries.sent == []
    assert second.counts.unchanged == 3


def test_a_record_that_cannot_be_mapped_for_a_while_is_not_forgotten(bench: Any) -> None:
    """Two walks without its time made it a new device."""
    going = bench()
    going.run([device("a", 1)])
    for day in range(0, 60, 10):
        going.now += day * 86_400
        going.run([device("a", 1, type="Toaster")])
        going.fingerprints.forget(going.fingerprints.began)
    assert going.knows(device("a", 1))


@given(
    readings=st.lists(
        st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2), st.booleans()), max_size=12), min_size=1, max_size=4
    ),
    refused=st.sets(st.integers(0, 6), max_size=2),
    batch_size=st.integers(1, 5),
    missing=st.booleans(),
)
def test_every_device_that_was_listed_is_counted_in_one_column(
    tmp_path_factory: Any,
    readings: list[list[tuple[int, int, bool]]],
    refused: set[int],
    batch_size: int,
    missing: bool,
) -> None:
    going = Bench(tmp_path_factory.mktemp("state") / "f", batch_size=batch_size, refresh=100)
    going.deliveries.refused = {f"d{n}" for n in refused}
    for rows in readings:
        going.counts, going.now = Counts(), going.now + 60
        records = [device(f"d{n}", 1.0, risk, **({} if good else {"type": "Toaster"})) for n, risk, good in rows]
        with suppress(TryAgain):
            going.run(Page(records, NOW, 100 if missing else None))
        counts = going.counts
        assert counts.listed == len({n for n, _, _ in rows})
        columns = (counts.delivered, counts.unchanged, counts.refused, counts.unmappable, counts.learned)
        assert min(columns) >= 0
        assert sum(columns) == counts.listed


# --- devices that are gone


def test_the_first_twenty_that_are_gone_are_named_and_the_others_counted(bench: Any) -> None:
    going = bench(batch_size=100)
    for fleet in (
        [device(f"d{n:02}", 1) for n in range(50)],
        [device("d00", 1)],
        [device("d00", 1)],
        [device("d00", 1)],
    ):
        going.now, going.counts = going.now + 60, Counts()
        going.run(Page(fleet, NOW, len(fleet)))
    assert len(going.deliveries.gone) == 49, "each is reported once"
    assert going.deliveries.gone[0] == ["d01", "d01", "Desktop", 2, 1]
    assert going.counts.gone == 49
    [line] = going.lines
    assert line.count("last seen 1970-01-01 00:00 UTC") == 20
    assert line.endswith("; 29 more")


def test_a_row_that_an_offset_passed_by_is_not_absent_although_the_last_total_agrees(bench: Any) -> None:
    """Where a device leaves behind the reader, the row at the next offset is passed by and the total is one less."""
    going, fleet = bench(batch_size=100), [device(str(n), 1) for n in range(10)]
    for _ in range(3):
        going.now += 60
        going.run(Page(fleet[:5], NOW, 10), Page(fleet[6:], NOW, 9))
    assert going.counts.gone == 0
    for _ in range(3):
        going.now += 60
        going.run(Page(fleet[:5], NOW, 9), Page(fleet[6:], NOW, 9))
    assert going.deliveries.gone == []


# --- the cursor


def test_a_sorted_walk_moves_the_cursor_behind_each_delivered_batch(bench: Any) -> None:
    going = bench(since=1.0, in_order=True)
    going.run([device("a", 1), device("b", 2), device("c", 3), device("d", 4)], [device("e", 5)])
    assert going.happened == [
        *(("delivered", 1), ("cursor", 2), ("delivered", 2), ("cursor", 4), ("delivered", 3), ("cursor", 5)),
        ("cursor", 5),
    ]


def test_an_unsorted_walk_moves_the_cursor_once_at_its_complete_end_to_the_latest(bench: Any) -> None:
    going = bench(since=1.0)
    going.run([device("a", 9), device("b", 2)], [device("c", 30), device("d", 4)], [device("e", 5)])
    assert going.cursors == [30]
    assert going.happened[-1] == ("cursor", 30)


def test_a_vendor_that_cannot_filter_has_no_cursor(bench: Any) -> None:
    going = bench(filtered=False)
    assert going.run([device("a", 9), device("b", 2)])
    assert going.cursors == []


@pytest.mark.parametrize("failed", [1, 2, 3])
def test_the_cursor_stays_before_a_batch_that_failed(bench: Any, failed: int) -> None:
    going = bench(since=1.0, in_order=True)
    going.deliveries.fails = {failed}
    with pytest.raises(TryAgain, match=f"batch {failed} failed"):
        going.run([device(str(n), n) for n in range(2, 8)])
    assert going.cursors == [n * 2 + 1 for n in range(1, failed)]
    assert going.deliveries.closed


def test_a_failed_batch_of_an_unsorted_walk_leaves_the_cursor(bench: Any) -> None:
    going = bench(since=1.0)
    going.deliveries.fails = {3}
    with pytest.raises(TryAgain):
        going.run([device(str(n), n) for n in range(2, 8)])
    assert going.cursors == []


@pytest.mark.parametrize("again", [[], [Page([device("a", 2, 1), device("b", 9, 1)], NOW, 40)]])
def test_a_short_list_whose_second_reading_fails_leaves_the_cursor(bench: Any, again: list[Any]) -> None:
    """What the first reading missed was behind the cursor that it had moved, until the next full walk."""
    going = bench(since=1.0, in_order=True)
    with pytest.raises(UnexpectedReply):
        going.run(Page([device("a", 2), device("b", 9)], NOW, 40), again=[*again, UnexpectedReply("page 2")])
    assert going.cursors[-1] == 1.0


def test_a_vendor_that_fails_midway_leaves_the_cursor_of_an_unsorted_walk(bench: Any) -> None:
    going = bench(since=1.0)
    with pytest.raises(UnexpectedReply):
        going.run([device("a", 2), device("b", 9), device("c", 3)], UnexpectedReply("page 2"))
    assert going.cursors == []


def test_a_vendor_that_fails_midway_does_not_keep_back_what_was_read(bench: Any) -> None:
    going = bench(since=1.0, in_order=True)
    with pytest.raises(UnexpectedReply, match="page 2"):
        going.run([device("a", 2), device("b", 3), device("c", 4)], UnexpectedReply("page 2"))
    assert going.deliveries.sent == [("a", 0), ("b", 0), ("c", 0)]
    assert going.cursors[-1] == 4
    assert going.knows(device("c", 4))


def test_a_bug_travels_up_and_the_delivery_is_closed(bench: Any) -> None:
    going = bench(since=1.0, in_order=True)
    with pytest.raises(ZeroDivisionError):
        going.run([device("a", 2)], ZeroDivisionError())
    assert going.deliveries.closed
    assert going.cursors == []


def test_a_row_out_of_order_takes_the_cursor_back_to_where_the_walk_began(bench: Any) -> None:
    """A vendor that says its rows are sorted and sends one late: it is older than the cursor that was stored."""
    going = bench(since=1.0, in_order=True)
    with pytest.raises(TryAgain):
        going.run([device("a", 5), device("b", 6), device("late", 3), device("c", 8)], TryAgain("page 2"))
    assert going.cursors == [6, 1.0]


def test_a_walk_with_a_row_out_of_order_moves_the_cursor_at_its_complete_end(bench: Any) -> None:
    going = bench(since=1.0, in_order=True, batch_size=1)
    assert going.run([device("a", 5), device("late", 3), device("b", 8), device("c", 7)])
    assert going.cursors == [5, 1.0, 8]


def test_rows_that_share_a_moment_are_in_order(bench: Any) -> None:
    going = bench(since=1.0, in_order=True)
    going.run([device("a", 5), device("b", 5), device("c", 5)])
    assert going.cursors == [5, 5, 5]


@pytest.mark.parametrize("in_order", [True, False])
def test_the_cursor_never_passes_the_vendors_clock_at_the_beginning(bench: Any, in_order: bool) -> None:
    """A device with a clock that runs ahead hid every change of the others until that time came."""
    going = bench(since=1.0, in_order=in_order)
    late = Page([device("c", NOW + 50)], NOW + 60)
    going.run([device("a", NOW - 5), device("b", NOW + 40)], late)
    assert max(going.cursors) == NOW


@pytest.mark.parametrize("in_order", [True, False])
def test_without_the_vendors_clock_ours_counts_less_five_minutes(bench: Any, in_order: bool) -> None:
    going = bench(since=1.0, in_order=in_order)
    began = time.time()
    going.run([device("a", began), device("b", began + 1000)], date=None)
    assert began - 300 <= max(going.cursors) <= time.time() - 300


def test_a_clock_told_later_in_the_walk_does_not_count(bench: Any) -> None:
    going = bench(since=1.0)
    going.run(Page([device("a", 2_500_000_000.0)]), Page([device("b", 1)], 2_400_000_000.0))
    assert max(going.cursors) <= time.time() - 290


def test_rows_that_tell_no_time_move_nothing(bench: Any) -> None:
    going = bench(since=1.0, in_order=True, batch_size=1)
    rows = [device("a", 5), {**device("b", 0), "at": None}, device("c", 6)]
    assert going.run([rows[0], rows[2]])
    assert going.cursors[-1] == 6


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 20), st.integers(0, 2), st.booleans()), min_size=1, max_size=20
    ),
    page_size=st.integers(1, 6),
    batch_size=st.integers(1, 4),
    fails=st.sets(st.integers(1, 8), max_size=2),
    in_order=st.booleans(),
    actually_sorted=st.booleans(),
    holds=st.booleans(),
    broken_page=st.none() | st.integers(0, 4),
    refused=st.sets(st.integers(0, 5), max_size=2),
)
def test_whatever_fails_nothing_behind_the_stored_cursor_is_undelivered(
    tmp_path_factory: Any,
    rows: list[tuple[int, int, int, bool]],
    page_size: int,
    batch_size: int,
    fails: set[int],
    in_order: bool,
    actually_sorted: bool,
    holds: bool,
    broken_page: int | None,
    refused: set[int],
) -> None:
    """The promise the product is built on. The last cursor stored, and what the vendor has from there on, together
    with what was delivered must be every device that can be mapped, in the state the walk met it last."""
    if actually_sorted:
        rows = sorted(rows, key=lambda row: row[1])
    records = [device(f"d{uid}" if whole else None, float(at), risk) for uid, at, risk, whole in rows]
    pages: list[Any] = [records[at : at + page_size] for at in range(0, len(records), page_size)]
    if broken_page is not None:
        pages.insert(min(broken_page, len(pages)), TryAgain("a page"))
    going = Bench(tmp_path_factory.mktemp("state") / "f", since=0.5, in_order=in_order, batch_size=batch_size)
    going.deliveries.fails, going.deliveries.holds = fails, holds
    going.deliveries.refused = {f"d{uid}" for uid in refused}

    ended = False
    try:
        ended = going.run(*pages)
    except TryAgain:
        assert fails or broken_page is not None
    except UnexpectedReply as endless:
        assert "without anything new" in str(endless)

    cursor = going.cursors[-1] if going.cursors else 0.0
    delivered: dict[str, int] = {}
    for n, (_, events) in enumerate(going.deliveries.batches, 1):
        if n not in fails:
            delivered.update(events)
    # A row out of order that the walk did not come to is beyond what can be known.
    met = records[: going.counts.read] if in_order and not actually_sorted else records
    last = {record["id"]: record for record in met if record["id"]}
    for uid, record in last.items():
        if record["at"] < cursor:
            assert delivered.get(uid) == record["risk"]
    if ended:
        assert delivered == {uid: record["risk"] for uid, record in last.items()}
        assert cursor == max(record["at"] for record in records)
    assert going.counts.skipped == sum("refused" not in reason for reason in going.skipped)


# --- what is sent


def test_what_is_unchanged_since_it_was_delivered_is_not_sent(bench: Any) -> None:
    going = bench()
    going.run([device("a", 1), device("b", 1)])
    second = going.again()
    second.run([device("a", 9), device("b", 9, risk=1), device("c", 9)])
    assert second.deliveries.sent == [("b", 1), ("c", 0)]
    assert (second.counts.unchanged, second.counts.sent) == (1, 2)


def test_a_refresh_sends_what_was_delivered_an_interval_ago_or_more(bench: Any) -> None:
    going = bench(refresh=100)
    going.run([device("a", 1)])
    for later, sent in ((99, []), (100, [("a", 0)])):
        second = going.again(refresh=100, now=going.now + later)
        second.run([device("a", 9)])
        assert second.deliveries.sent == sent


def test_a_device_delivered_by_a_clock_in_the_future_is_refreshed(bench: Any) -> None:
    going = bench(refresh=100)
    going.run([device("a", 1)])
    second = going.again(refresh=100, now=going.now - 9 * 3600)
    second.run([device("a", 1)])
    assert second.deliveries.sent == [("a", 0)]


@pytest.mark.parametrize("in_order", [True, False])
def test_a_cursor_ahead_of_the_vendors_clock_is_brought_back(bench: Any, in_order: bool) -> None:
    going = bench(since=NOW + 9 * 3600, in_order=in_order)
    assert going.run([])
    assert going.cursors == [NOW]


def test_a_device_met_twice_in_a_walk_is_sent_once(bench: Any) -> None:
    going = bench()
    going.deliveries.holds = True
    going.run([device("a", 1), device("a", 2)], [device("a", 3)])
    assert going.deliveries.sent == [("a", 0)]


def test_a_device_that_changes_and_changes_back_within_a_walk_is_sent_with_its_last_state(bench: Any) -> None:
    """Its last state was the one known from before, so it was taken for unchanged, while the state in between was
    under way: the platform kept the wrong one until the next full walk."""
    going = bench(batch_size=1)
    going.run([device("a", 1, risk=0)])
    second = going.again(batch_size=1)
    second.deliveries.holds = True
    second.run([device("a", 2, risk=7)], [device("a", 3, risk=0)])
    assert second.deliveries.sent == [("a", 7), ("a", 0)]
    assert second.knows(device("a", 3, risk=0))


def test_a_device_whose_older_state_may_have_been_sent_last_is_sent_by_the_next_round(bench: Any) -> None:
    """A batch was sent again after the one with a later state: the platform kept the older one until the next refresh."""
    going = bench(batch_size=1)
    going.deliveries.holds = going.deliveries.reordered = True
    going.run([device("a", 1, risk=0), device("b", 1)], [device("a", 2, risk=7)])
    second = going.again()
    second.run([device("a", 2, risk=7), device("b", 1)])
    assert second.deliveries.sent == [("a", 7)]
    third = second.again()
    third.run([device("a", 2, risk=7), device("b", 1)])
    assert third.deliveries.sent == []


def test_what_failed_is_sent_by_the_next_round(bench: Any) -> None:
    going = bench(batch_size=1)
    going.deliveries.fails = {2}
    with pytest.raises(TryAgain):
        going.run([device("a", 1), device("b", 2), device("c", 3)])
    second = going.again()
    second.run([device("a", 1), device("b", 2), device("c", 3)])
    assert second.deliveries.sent == [("b", 0), ("c", 0)]


def test_a_device_that_changes_back_after_a_push_without_an_answer_is_sent(bench: Any) -> None:
    """The push may have arrived: the platform kept its state until the next refresh."""
    going = bench(batch_size=1)
    going.run([device("a", 1, risk=0), device("b", 1)])
    second = going.again(batch_size=1)
    second.deliveries.fails = {1}
    with pytest.raises(TryAgain):
        second.run([device("a", 2, risk=7), device("b", 1)])
    third = second.again(batch_size=1)
    third.run([device("a", 3, risk=0), device("b", 1)])
    assert third.deliveries.sent == [("a", 0)]


def test_what_was_delivered_behind_a_failed_batch_is_remembered_and_the_cursor_stays(bench: Any) -> None:
    going = bench(since=0.5, in_order=True, batch_size=1)
    going.deliveries.fails, going.deliveries.holds = {1}, True
    with pytest.raises(TryAgain):
        going.run([device("a", 1), device("b", 2), device("c", 3)])
    assert going.cursors == []
    assert not going.knows(device("a", 1))
    assert going.knows(device("b", 2))
    assert going.knows(device("c", 3))


# --- records that cannot be sent


@pytest.mark.parametrize("odd", [None, [], "x", 5, {}, {"id": None, "at": 2.0}, {"id": ["x"]}])
def test_a_record_that_cannot_be_mapped_is_named_and_stops_nothing(bench: Any, odd: Any) -> None:
    going = bench(since=0.5, in_order=True)
    assert going.run([device("a", 1), odd, device("b", 3)])
    assert going.deliveries.sent == [("a", 0), ("b", 0)]
    assert len(going.skipped) == going.counts.skipped == 1
    assert going.cursors[-1] == 3


def test_a_record_the_model_refuses_is_named_and_its_batch_goes_without_it(bench: Any) -> None:
    going = bench()
    assert going.run([device("a", 1), device("b", 2, type="Toaster"), device("c", 3)])
    assert going.deliveries.sent == [("a", 0), ("c", 0)]
    assert going.skipped[0].startswith("device.type: ")


def test_a_skipped_record_does_not_hold_the_cursor_back(bench: Any) -> None:
    """One record that can never be mapped would be asked for in every cycle, with everything behind it."""
    going = bench(since=0.5, in_order=True)
    going.run([{"id": None, "at": 5.0}, device("a", 3 + 3)], [{"id": None, "at": 9.0}])
    assert going.cursors[-1] == 9


# --- the stop


def test_a_stop_ends_the_round_without_moving_the_cursor_to_its_end(bench: Any) -> None:
    going = bench(since=0.5)

    def pages() -> Iterator[Page]:
        yield Page([device("a", 1)], NOW)

    taken = going.deliveries.send

    def send(batch: Batch) -> None:
        taken(batch)
        going.stopped = True

    going.deliveries.send = send
    assert not going.run([device("a", 1), device("b", 2), device("c", 3)], [device("d", 4)])
    assert going.cursors == []
    assert going.deliveries.closed
    assert going.deliveries.sent == [("a", 0), ("b", 0)]


def test_a_stop_at_the_end_of_the_walk_does_not_count_as_an_end(bench: Any) -> None:
    going = bench(since=0.5)
    done = going.deliveries.confirmed

    def confirmed(*, all_of_them: bool = False) -> Iterator[Batch]:
        going.stopped = going.stopped or all_of_them
        return iter(()) if going.stopped else done(all_of_them=all_of_them)

    going.deliveries.confirmed = confirmed
    assert not going.run([device("a", 1)])
    assert going.cursors == []


def test_a_reason_to_skip_names_the_field_and_not_its_value() -> None:
    assert str(SkipRecord("osName", "is missing")) == "osName: is missing"


def test_a_batch_is_sent_before_its_events_fill_the_memory(bench: Callable[..., Bench]) -> None:
    """A thousand devices with texts of megabytes were gathered into gigabytes."""
    going = bench(batch_size=1000)
    text = "x" * (MAX_WEIGHT // 4)
    going.run([device(f"a{n}" + text, n) for n in range(6)])
    assert [batch.size for batch, _ in going.deliveries.batches] == [2, 2, 2]


def test_a_walk_that_begins_again_in_smaller_pages_is_not_taken_for_endless(bench: Any) -> None:
    """Pages were too heavy from the seventh on; a console whose page tokens hold for one size only is read anew then."""
    going, fleet = bench(batch_size=100), [device(str(n), n) for n in range(8)]
    again = [Page([one], NOW, anew=n == 0) for n, one in enumerate(fleet)]
    assert going.run(*([one] for one in fleet[:7]), *again)
    assert going.cursors == [7]
    assert going.counts.listed == len(fleet), "each device is counted once"
