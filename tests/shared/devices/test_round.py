"""One round: everything read is delivered or named, and the cursor never passes what is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.devices.delivery import MOST_WEIGHT, Batch
from shared.devices.refusals import Refusals
from shared.devices.round import Round, Walk
from shared.errors import SkipRecord, TryAgain, UnexpectedReply
from shared.http.pages import Page
from shared.mapping.conversions import count
from shared.mapping.ocsf import DEVICE_INVENTORY
from shared.mapping.table import Field, Mapper, const
from shared.runtime.metrics import Counts
from shared.state.fingerprints import Fingerprints, fingerprint, key_of

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
    Field("device.risk_score", "risk", count),
    Field("device.last_seen_time", "at", lambda at: at),
)
NOW = 2_000_000_000.0  # the vendor's clock


def device(uid: Any, at: float, risk: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": uid, "at": at, "risk": risk, "type": "Desktop", **more}


class Deliveries:
    """In place of the platform: confirms what it is told to, in order. `fails` are numbers of batches, from 1; a batch
    with one of the `refused` devices is refused."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.fails: set[int] = set()
        self.refused: set[Any] = set()  # uids, or uids with a risk
        self.holds = False  # nothing is confirmed before the end
        self.batches: list[tuple[Batch, list[Any]]] = []
        self.taken = 0
        self.closed = False

    def form(self, event: dict[str, Any], written: bytes, before: int | None, now: int) -> bytes:
        assert written == orjson.dumps(event)
        return written

    def send(self, batch: Batch) -> None:
        events = [orjson.loads(event)["device"] for event in batch.events]
        self.batches.append((batch, [(event["uid"], event["risk_score"]) for event in events]))

    def confirmed(self, *, all_of_them: bool = False) -> Iterator[Batch]:
        while self.taken < len(self.batches) and (all_of_them or not self.holds):
            if self.taken + 1 in self.fails:
                raise TryAgain(f"batch {self.taken + 1} failed")
            self.taken += 1
            batch, events = self.batches[self.taken - 1]
            if self.refused.intersection(events) or self.refused.intersection(uid for uid, _ in events):
                batch.refusal = UnexpectedReply(f"batch {self.taken} was refused", status=400)
            else:
                self.log.append(("delivered", self.taken))
            yield batch

    def close(self) -> None:
        self.closed = True

    @property
    def sent(self) -> list[Any]:
        return [event for _, events in self.batches for event in events]


@dataclass
class Bench:
    """A round with its surroundings; `log` holds deliveries and cursor moves in their order."""

    path: Path
    since: float | None = None
    in_order: bool = False
    filtered: bool = True
    batch_size: int = 2
    refresh: bool = False
    log: list[Any] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    stopped: bool = False

    def __post_init__(self) -> None:
        self.deliveries = Deliveries(self.log)
        self.fingerprints = Fingerprints(self.path)
        self.refusals: Refusals[int] = Refusals("device")

    def run(self, *pages: Any, date: float | None = NOW) -> bool:
        """Each page is a list of records, a ready `Page`, or what reading it raises."""

        def read() -> Iterator[Page]:
            for page in pages:
                if isinstance(page, Exception):
                    raise page
                yield page if isinstance(page, Page) else Page(page, date)

        cursor_of = (lambda record: None if "untimed" in record else record.get("at")) if self.filtered else None
        return Round(
            Walk(read(), cursor_of, sorted_by_cursor=self.in_order),
            Mapper(TABLE),
            self.fingerprints,
            self.refusals,
            self.deliveries,
            self.counts,
            since=self.since,
            batch_size=self.batch_size,
            refresh=self.refresh,
            running=lambda: not self.stopped,
            move_cursor=lambda at: self.log.append(("cursor", at)),
            skip=lambda _record, reason: self.skipped.append(str(reason)),
        ).run()

    @property
    def cursors(self) -> list[float]:
        return [at for what, at in self.log if what == "cursor"]

    def knows(self, record: dict[str, Any]) -> bool:
        event = Mapper(TABLE)(record)
        return self.fingerprints.is_delivered(key_of(event["device"]["uid"]), fingerprint(event), refresh=False)

    def again(self, **changed: Any) -> Bench:
        """The next round, of a new process."""
        return Bench(self.path, **{"since": self.since, "in_order": self.in_order, **changed})


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
    assert going.log == []
    assert going.deliveries.sent == []


# --- what the platform refuses


def test_what_is_refused_comes_again_in_smaller_batches_down_to_the_one(bench: Any) -> None:
    """One device that the platform refused had its whole batch, and all behind it, sent in vain round after round."""
    going, fleet = bench(batch_size=1_000), [device(str(n), n) for n in range(3_000)]
    going.deliveries.refused = {"1500"}
    for sizes, left in (([1_000] * 3, 1_000), ([31] * 32 + [8], 31)):
        with pytest.raises(UnexpectedReply, match=rf"All else is delivered; what was refused \({left}\) comes again"):
            going.run([*fleet])
        assert [batch.size for batch, _ in going.deliveries.batches] == sizes
        assert sum(not going.knows(record) for record in fleet) == left
        going.deliveries.batches, going.deliveries.taken = [], 0
    assert going.cursors == []
    assert going.run([*fleet])
    assert [batch.size for batch, _ in going.deliveries.batches] == [1] * 31
    assert [record["id"] for record in fleet if not going.knows(record)] == ["1500"]
    assert going.skipped == ["refused by the platform: batch 5 was refused"]
    assert going.cursors == [1_500]
    going.deliveries.refused.clear()
    assert going.run([*fleet])
    assert going.knows(fleet[1_500])
    assert going.cursors == [1_500, 2_999]


def test_a_device_refused_alone_is_passed_over_only_where_others_are_taken(bench: Any) -> None:
    """A platform that refuses everything must not make of each device one that is skipped."""
    going = bench(batch_size=1)
    going.deliveries.refused = {"a", "b"}
    fleet = [device("a", 1), device("b", 2)]
    with pytest.raises(UnexpectedReply, match=r"refused \(2\)"):
        going.run([*fleet])
    for _ in range(3):
        with pytest.raises(UnexpectedReply, match=r"refused \(2\)"):
            going.run([*fleet])
    with pytest.raises(UnexpectedReply, match=r"refused \(2\)"):
        going.run([*fleet, device("c", 3)])
    assert going.skipped == [], "the platform may have refused everything until it took c"
    for named in (2, 4):
        assert going.run([*fleet, device("c", 3)])
        assert len(going.skipped) == named
    going.deliveries.refused = {"b"}
    assert going.run([*fleet])
    assert going.knows(fleet[0])
    assert key_of("b") in going.refusals
    assert going.counts.skipped == len(going.skipped) == 5


@pytest.mark.parametrize("in_order", [True, False])
def test_the_cursor_waits_at_what_is_refused(bench: Any, in_order: bool) -> None:
    going, fleet = bench(since=1.0, in_order=in_order), [device(str(n), n) for n in range(2, 10)]
    going.deliveries.refused = {"5"}
    with pytest.raises(UnexpectedReply, match="batch 2 was refused"):
        going.run([*fleet])
    assert going.cursors == ([3] if in_order else [])
    assert [uid for uid, _ in going.deliveries.sent] == [str(n) for n in range(2, 10)]
    for _ in range(2):
        assert going.run([*fleet])
        assert going.cursors[-1] == max(going.cursors) == 5
    assert len(going.skipped) == 2
    going.deliveries.refused.clear()
    assert going.run([*fleet])
    assert going.cursors[-1] == 9


def test_a_cursor_that_is_ahead_of_what_is_refused_comes_back(bench: Any) -> None:
    """A full walk finds changes that the filter passes by: the next round has to ask for them again."""
    going = bench(refresh=True)
    going.deliveries.refused = {"x"}
    with pytest.raises(UnexpectedReply):
        going.run([device("x", 3)])
    assert going.run([device("a", 40), device("x", 3), device("b", 50)])
    assert going.cursors == [3]


def test_one_that_tells_no_time_holds_the_cursor_where_it_was(bench: Any) -> None:
    going, rows = bench(), [device("a", 40), device("x", 3, untimed=True)]
    going.deliveries.refused = {"x"}
    with pytest.raises(UnexpectedReply):
        going.run([*rows])
    assert going.run([*rows, device("b", 50)])
    assert going.skipped
    assert going.cursors == []


def test_a_device_that_is_taken_later_in_the_walk_was_not_refused(bench: Any) -> None:
    going = bench(since=1.0, in_order=True, batch_size=1)
    going.deliveries.refused = {("a", 1)}
    with pytest.raises(UnexpectedReply):
        going.run([device("a", 2, 1)])
    assert going.run([device("a", 2, 1), device("b", 3), device("a", 4, 2)])
    assert going.skipped == []
    assert going.cursors[-1] == 4
    assert key_of("a") not in going.refusals


def test_one_that_comes_twice_in_a_walk_is_not_named_in_its_first_round(bench: Any) -> None:
    going = bench(batch_size=1)
    going.deliveries.refused = {"a"}
    with pytest.raises(UnexpectedReply, match="in small batches"):
        going.run([device("a", 1), device("a", 1), device("b", 1)])
    assert going.skipped == []


def test_what_was_refused_is_said_when_something_else_ends_the_round(bench: Any) -> None:
    going = bench()
    going.deliveries.refused = {"a"}
    failure = TryAgain("page 2.", status=503, retry_after=7)
    with pytest.raises(TryAgain, match=r"^page 2\. Apart from that: batch 1 was refused$") as caught:
        going.run([device("a", 1), device("b", 2)], failure)
    assert (caught.value.status, caught.value.retry_after) == (503, 7)


def test_a_platform_that_refuses_everything_is_left_alone_for_the_round(bench: Any) -> None:
    """Each round sent more: what is refused in small batches took many calls for the same devices."""
    going, fleet = bench(batch_size=40), [device(str(n), n) for n in range(4_000)]
    going.deliveries.refused = {str(n) for n in range(4_000)}
    sent = []
    for _ in range(6):
        before = len(going.deliveries.batches)
        with pytest.raises(UnexpectedReply, match=r"^batch \d+ was refused So many were refused in a row") as caught:
            going.run([*fleet])
        assert caught.value.ends_round
        sent.append(len(going.deliveries.batches) - before)
    assert sent[0] == 10
    assert max(sent) <= 10 * 32 + 10, "the suspects, and what was never refused"
    assert (going.counts.sent, going.skipped, going.cursors) == (0, [], [])


def test_many_that_are_known_to_be_refused_do_not_hold_back_the_rest(bench: Any) -> None:
    going, fleet = bench(batch_size=20), [device(str(n), n) for n in range(400)]
    going.deliveries.refused = {str(n) for n in range(50, 350)}
    rounds = 0
    while True:
        rounds, named = rounds + 1, len(going.skipped)
        try:
            assert going.run([*fleet])
            break
        except UnexpectedReply:
            assert rounds < 10
    assert [going.knows(record) for record in fleet] == [n not in range(50, 350) for n in range(400)]
    assert len(going.skipped) - named == 300


def test_a_stop_passes_over_nothing(bench: Any) -> None:
    going = bench(batch_size=1)
    going.deliveries.refused, going.deliveries.holds = {"a"}, True
    with pytest.raises(UnexpectedReply):
        going.run([device("a", 1)])
    going.deliveries.holds = False
    going.deliveries.send = lambda _batch: setattr(going, "stopped", True)
    assert not going.run([device("a", 1), device("b", 2)])
    assert going.skipped == []


# --- the cursor


def test_a_sorted_walk_moves_the_cursor_behind_each_delivered_batch(bench: Any) -> None:
    going = bench(since=1.0, in_order=True)
    going.run([device("a", 1), device("b", 2), device("c", 3), device("d", 4)], [device("e", 5)])
    assert going.log == [
        *(("delivered", 1), ("cursor", 2), ("delivered", 2), ("cursor", 4), ("delivered", 3), ("cursor", 5)),
        ("cursor", 5),
    ]


def test_an_unsorted_walk_moves_the_cursor_once_at_its_complete_end_to_the_latest(bench: Any) -> None:
    going = bench(since=1.0)
    going.run([device("a", 9), device("b", 2)], [device("c", 30), device("d", 4)], [device("e", 5)])
    assert going.cursors == [30]
    assert going.log[-1] == ("cursor", 30)


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
    going = Bench(tmp_path_factory.mktemp("state") / "f", since=0.0, in_order=in_order, batch_size=batch_size)
    going.deliveries.fails, going.deliveries.holds = fails, holds
    going.deliveries.refused = {f"d{uid}" for uid in refused}

    ended = False
    try:
        ended = going.run(*pages)
    except TryAgain:
        assert fails or broken_page is not None
    except UnexpectedReply:
        assert refused

    cursor = going.cursors[-1] if going.cursors else 0.0
    delivered: dict[str, int] = {}
    for n, (_, events) in enumerate(going.deliveries.batches, 1):
        if n not in fails and not going.deliveries.refused.intersection(uid for uid, _ in events):
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
    assert going.counts.skipped == len(going.skipped)


# --- what is sent


def test_what_is_unchanged_since_it_was_delivered_is_not_sent(bench: Any) -> None:
    going = bench()
    going.run([device("a", 1), device("b", 1)])
    second = going.again()
    second.run([device("a", 9), device("b", 9, risk=1), device("c", 9)])
    assert second.deliveries.sent == [("b", 1), ("c", 0)]
    assert (second.counts.unchanged, second.counts.sent) == (1, 2)


def test_a_refresh_sends_what_is_unchanged_too(bench: Any) -> None:
    going = bench()
    going.run([device("a", 1)])
    going.fingerprints.end_full_walk()
    second = going.again(refresh=True)
    second.run([device("a", 9)])
    assert second.deliveries.sent == [("a", 0)]


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


def test_what_failed_is_sent_by_the_next_round(bench: Any) -> None:
    going = bench(batch_size=1)
    going.deliveries.fails = {2}
    with pytest.raises(TryAgain):
        going.run([device("a", 1), device("b", 2), device("c", 3)])
    second = going.again()
    second.run([device("a", 1), device("b", 2), device("c", 3)])
    assert second.deliveries.sent == [("b", 0), ("c", 0)]


def test_what_was_delivered_behind_a_refused_batch_is_remembered_and_the_cursor_stays(bench: Any) -> None:
    going = bench(since=0.0, in_order=True, batch_size=1)
    going.deliveries.refused, going.deliveries.holds = {"a"}, True
    with pytest.raises(UnexpectedReply):
        going.run([device("a", 1), device("b", 2), device("c", 3)])
    assert going.cursors == []
    assert not going.knows(device("a", 1))
    assert going.knows(device("b", 2))
    assert going.knows(device("c", 3))


# --- records that cannot be sent


@pytest.mark.parametrize("odd", [None, [], "x", 5, {}, {"id": None, "at": 2.0}, {"id": ["x"]}])
def test_a_record_that_cannot_be_mapped_is_named_and_stops_nothing(bench: Any, odd: Any) -> None:
    going = bench(since=0.0, in_order=True)
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
    going = bench(since=0.0, in_order=True)
    going.run([{"id": None, "at": 5.0}, device("a", 3 + 3)], [{"id": None, "at": 9.0}])
    assert going.cursors[-1] == 9


# --- the stop


def test_a_stop_ends_the_round_without_moving_the_cursor_to_its_end(bench: Any) -> None:
    going = bench(since=0.0)

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
    going = bench(since=0.0)
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
    text = "x" * (MOST_WEIGHT // 4)
    going.run([device(f"a{n}" + text, n) for n in range(6)])
    assert [batch.size for batch, _ in going.deliveries.batches] == [2, 2, 2]


@given(
    fleet=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    refused=st.sets(st.integers(0, 11), max_size=4),
    changes=st.lists(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 5)), max_size=3), max_size=6),
    batch_size=st.integers(1, 40),
    in_order=st.booleans(),
)
def test_round_after_round_the_cursor_passes_nothing_that_is_refused(
    tmp_path_factory: Any,
    fleet: list[int],
    refused: set[int],
    changes: list[list[tuple[int, int]]],
    batch_size: int,
    in_order: bool,
) -> None:
    """Changes come between the rounds; once the platform takes what it refused, all is there after one more round."""
    rows = {f"d{n}": device(f"d{n}", float(at)) for n, at in enumerate(fleet)}
    going = Bench(tmp_path_factory.mktemp("state") / "f", in_order=in_order, batch_size=batch_size)
    going.deliveries.refused = {f"d{n}" for n in refused}

    def run() -> bool:
        going.since = going.cursors[-1] if going.cursors else None
        asked = [dict(row) for row in rows.values() if going.since is None or row["at"] >= going.since]
        ended = going.run(sorted(asked, key=lambda row: row["at"]) if in_order else asked)
        delivered = {
            uid: risk for batch, events in going.deliveries.batches if not batch.refusal for uid, risk in events
        }
        for uid, row in rows.items():
            assert delivered.get(uid) == row["risk"] or not going.cursors or row["at"] >= going.cursors[-1]
        return ended

    latest = max(fleet)
    for changed in [[], *changes]:
        for n, later in changed:
            if row := rows.get(f"d{n}"):
                latest += later
                row["at"], row["risk"] = float(latest), row["risk"] + 1
        with suppress(UnexpectedReply):
            run()
    going.deliveries.refused.clear()
    assert run()
    assert all(map(going.knows, rows.values()))
