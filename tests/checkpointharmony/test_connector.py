"""What the connector does with time, the intake and the SDK; beside the suite that every connector of events holds."""

from __future__ import annotations

import errno
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from lab.consoles.checkpoint import SimulatedHarmonyMobile, moment
from lab.modules import MODULES
from lab.platform.faults import Status, WrongShape
from lab.platform.local import LocalPlatform
from shared.errors import ActionNeeded, TryAgain, UnexpectedReply
from shared.runtime.backoff import Backoff
from shared.state.storage import write_bytes
from shared.times import epoch, iso
from tests.faults.matrix import failing_disk
from tests.rig import Rig, assert_next_try_is_far, signal_handlers_kept
from tests.waiting import HANGS, until

MODULE = MODULES["CheckpointHarmony"]
ARGUMENTS = {"frequency": 3600, "timedelta": 0, "hours_ago": 6, "ratelimit_per_minute": 100_000}


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    with LocalPlatform() as platform, SimulatedHarmonyMobile() as console, signal_handlers_kept():
        console.has(35)
        rig = Rig(MODULE, console, platform, tmp_path / "data", monkeypatch)
        rig.arguments = dict(ARGUMENTS)
        yield rig


def windows(rig: Rig) -> list[tuple[float, float]]:
    """Those asked for, by their first pages; without the empty one that asks for the vendor's clock."""
    queries = [call.query for call in rig.console.calls_to("alerts") if call.query["offset"] == "0"]
    asked = [tuple(moment(query[f"backend_last_updated__{how}"]) or 0 for how in ("gte", "lte")) for query in queries]
    return [(start, end) for start, end in asked if end]


def arrived(rig: Rig) -> list[int]:
    return [json.loads(text)["id"] for text in rig.platform.alerts]


def stamped(at: datetime, number: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": number, "backend_last_updated": at.astimezone(UTC).isoformat(timespec="seconds"), **more}


def remember(rig: Rig, at: datetime) -> None:
    rig.data.mkdir(exist_ok=True)
    (rig.data / "context.json").write_text(json.dumps({"last_event_date": iso(at.timestamp()), "known": {}}))


# --- windows


def test_one_round_reads_every_window_that_is_due_and_each_begins_where_the_last_one_ended(rig: Rig) -> None:
    began = int(time.time())
    rig.cycle(timedelta=15)
    asked = windows(rig)
    assert asked[0][0] in range(began - 6 * 3600, int(time.time()) - 6 * 3600 + 1)
    assert asked[-1][1] in range(began - 900, int(time.time()) - 900 + 1)
    assert [end for _, end in asked[:-1]] == [start for start, _ in asked[1:]]
    assert max(end - start for start, end in asked) == 3600
    assert epoch(rig.cursor) == asked[-1][1]


@pytest.mark.parametrize("days", [2, 40])
def test_a_long_stop_is_caught_up_without_a_gap(rig: Rig, days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was older than 30 days was passed over without a word."""
    monkeypatch.setattr(rig.connector, "longest_window", days * 3600)
    now = datetime.now(UTC)
    rig.console.has([stamped(now - timedelta(days=days) + timedelta(hours=6 * n), n) for n in range(4 * days)])
    remember(rig, now - timedelta(days=days))
    rig.cycle()
    assert arrived(rig) == list(range(4 * days))
    assert windows(rig)[0][0] == int((now - timedelta(days=days)).timestamp())


def test_a_smaller_page_loses_nothing(rig: Rig) -> None:
    rig.page_size = None
    rig.cycle(chunk_size=1)
    assert len(arrived(rig)) == 35 == len(set(arrived(rig)))


def test_with_hours_ago_0_the_first_round_reads_nothing_and_the_second_goes_on_from_there(rig: Rig) -> None:
    began = int(time.time())
    connector = rig.cycle(hours_ago=0)
    assert all(start >= began for start, _ in windows(rig)), "what was updated before the first round is not read"
    assert rig.cursor
    rig.console.change(rig.console.ids[0])
    time.sleep(1.1)
    rig.cycle(connector)
    assert len(arrived(rig)) == 1


def test_what_is_younger_than_the_settling_time_waits(rig: Rig) -> None:
    now = datetime.now(UTC)
    rig.console.has([stamped(now - timedelta(minutes=minutes), minutes) for minutes in (5, 14, 16, 30)])
    rig.cycle(timedelta=15)
    assert arrived(rig) == [30, 16]


def test_the_position_never_passes_what_has_settled_on_the_vendors_clock(rig: Rig) -> None:
    """Our clock ran ahead: what the vendor stamped afterwards lay behind the position, and was never asked for."""
    rig.console.clock_offset = timedelta(minutes=-30)
    rig.console.has(35)
    rig.cycle(timedelta=10)
    behind = datetime.now(UTC) - timedelta(minutes=40)
    assert abs((epoch(rig.cursor) or 0) - behind.timestamp()) < 5
    assert len(arrived(rig)) == 35
    rig.console.change(rig.console.ids[0])  # stamped half an hour ago
    rig.console.clock_offset = timedelta(0)
    rig.cycle(timedelta=10)
    assert len(arrived(rig)) == 36


@pytest.mark.parametrize("ahead", [timedelta(minutes=30), timedelta(hours=9), timedelta(days=3000)], ids=str)
def test_a_position_ahead_of_the_vendors_clock_is_set_back_and_stored_so(
    rig: Rig, ahead: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing was read until that moment came; what was updated before was lost."""
    remember(rig, datetime.now(UTC) + ahead)
    connector = rig.cycle(timedelta=10)
    behind = datetime.now(UTC) - timedelta(minutes=10)
    assert abs((epoch(rig.cursor) or 0) - behind.timestamp()) < 5, "the stored position is not the vendor's time"
    assert any("is ahead of the clock of Check Point" in record.message for record in caplog.records)
    assert len(arrived(rig)) == 35, "the last hours were not looked at"
    rig.console.change(rig.console.ids[0], at=datetime.now(UTC) - timedelta(minutes=9, seconds=58))
    time.sleep(3)
    rig.cycle(connector)
    assert len(arrived(rig)) == 36


def test_a_clock_of_the_vendor_that_ran_ahead_for_hours_costs_no_alert_and_sends_none_again(rig: Rig) -> None:
    """What was delivered was forgotten by that clock; of what was passed by, only the last `hours_ago` were looked at."""
    began = datetime.now(UTC)
    connector = rig.cycle(hours_ago=1)
    rig.console.has([stamped(began - timedelta(minutes=30), 0)])
    for hour in range(5):
        rig.console.clock_offset = timedelta(days=3, hours=hour)
        rig.console.add(stamped(began + timedelta(minutes=hour), 1 + hour))
        rig.cycle(connector)
        rig.cycle(connector)
    rig.console.clock_offset = timedelta(hours=5)
    rig.cycle(connector)
    rig.cycle(connector)
    versions = [text for text in rig.platform.alerts if json.loads(text)["id"] in range(6)]
    assert len(set(versions)) == len(versions)
    assert set(arrived(rig)) >= set(range(6))


def test_a_clock_of_the_vendor_that_ran_ahead_before_a_stop_of_more_than_a_day_costs_no_alert(rig: Rig) -> None:
    began = datetime.now(UTC)
    connector = rig.cycle()
    rig.console.clock_offset = timedelta(days=3)
    for _ in range(3):
        rig.cycle(connector)
    rig.console.add(stamped(began + timedelta(hours=2), 7))
    rig.console.clock_offset = timedelta(hours=30)
    rig.cycle()
    assert 7 in arrived(rig)
    assert len(arrived(rig)) == 36 == len(set(arrived(rig)))


@pytest.mark.parametrize("back", [timedelta(minutes=30), timedelta(days=40)], ids=str)
def test_one_wrong_date_does_not_set_the_position_back(
    rig: Rig, back: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    connector = rig.cycle()
    connector.clock.hear(time.time() - back.total_seconds())
    rig.cycle(connector)
    assert not any("is ahead of the clock" in record.message for record in caplog.records)
    assert (epoch(rig.cursor) or 0) > time.time() - 60


def test_a_clock_of_the_vendor_that_was_never_set_is_not_believed(rig: Rig) -> None:
    """The position was set back to 1970: half a million windows, and every alert once more."""
    connector = rig.cycle()
    rig.console.clock_offset = datetime(1970, 1, 1, 0, 20, tzinfo=UTC) - datetime.now(UTC)
    for _ in range(2):
        rig.cycle(connector)
    rig.cycle()  # of a new process
    assert (epoch(rig.cursor) or 0) > time.time() - 600


@pytest.mark.parametrize("hours", [-9, 9, -56 * 365 * 24], ids=str)
def test_the_first_start_collects_the_vendors_last_hours_whatever_our_clock_shows(
    rig: Rig, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nine hours ahead, no alert of the first hours was ever collected; at 1970, a first round read decades of windows."""
    real, start = time.time, datetime.now(UTC)
    rig.console.has([stamped(start - timedelta(hours=age), age) for age in (1, 5, 7)])
    monkeypatch.setattr("shared.alerts.connector.time.time", lambda: max(real() + hours * 3600, 60.0))
    connector = rig.cycle()
    assert arrived(rig) == [5, 1], "not the vendor's last six hours"
    assert len(windows(rig)) <= 7
    rig.console.change(rig.console.ids[0], at=datetime.now(UTC))
    time.sleep(2.1)
    rig.cycle(connector)
    assert len(arrived(rig)) == 3


def test_a_clock_that_was_set_while_the_first_start_failed_does_not_move_its_beginning_by_decades(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    rig.console.fault(Status(401), match="alerts", times=None)
    with monkeypatch.context() as patched, pytest.raises(ActionNeeded):
        patched.setattr("shared.alerts.connector.time.time", lambda: 60.0)
        rig.cycle()
    rig.console.clear_faults()
    rig.cycle()
    assert windows(rig)[0][0] > real() - 7 * 3600
    assert len(arrived(rig)) == 35


# --- late and missing alerts


def later(rig: Rig, connector: Any, **more: float) -> Any:
    """A round so much later on the vendor's clock."""
    rig.console.clock_offset += timedelta(**more)
    rig.cycle(connector)
    return rig.cycle(connector)


def test_an_alert_that_becomes_visible_late_is_delivered_within_the_hour_and_nothing_else_again(rig: Rig) -> None:
    """The position had passed it by; it was lost."""
    connector = rig.cycle(timedelta=15)
    at = rig.console.now() - timedelta(minutes=14)
    rig.console.add(stamped(at, 7, details="late"))
    rig.console.hide("7", at + timedelta(minutes=20))
    later(rig, connector, minutes=3)
    assert 7 not in arrived(rig), "it is not visible yet"
    later(rig, connector, minutes=4)
    later(rig, connector, minutes=54)
    assert arrived(rig).count(7) == 1
    for _ in range(3):
        later(rig, connector, hours=1)
    rig.cycle()  # of a new process
    assert len(arrived(rig)) == 36 == len(set(arrived(rig)))


def test_a_second_look_is_taken_once_an_hour_over_the_last_day_also_after_restarts(rig: Rig) -> None:
    start = datetime.now(UTC) - timedelta(hours=30)
    remember(rig, start)
    rig.cycle()
    looks = []
    for _ in range(8):
        rig.console.clock_offset += timedelta(minutes=20)
        rig.console.forget_calls()
        connector = rig.cycle()
        looks += [window for window in windows(rig) if window[1] - window[0] > 3600]
        assert epoch(json.loads((rig.data / "context.json").read_text())["last_event_date"]) == connector.cursor()
    assert len(looks) == 2, f"{len(looks)} second looks in 160 minutes"
    assert {end - begin for begin, end in looks} == {86_400}


def stop_before_an_alert_is_visible(rig: Rig) -> datetime:
    """Three days without a round, in which alert 7 becomes visible an hour late; → its last update."""
    rig.cycle()
    at = rig.console.now() - timedelta(minutes=1)
    rig.console.add(stamped(at, 7))
    rig.console.hide("7", at + timedelta(hours=1))
    rig.cycle()
    rig.console.clock_offset += timedelta(days=3)
    return at


def test_a_second_look_after_a_long_stop_covers_the_day_before_the_stop(rig: Rig) -> None:
    stop_before_an_alert_is_visible(rig)
    rig.cycle()
    assert 7 in arrived(rig)


def test_a_second_look_covers_the_day_before_a_stop_also_when_the_rounds_after_it_fail(rig: Rig) -> None:
    """They moved the position: the second look of the first that ended well covered the day before that."""
    at = stop_before_an_alert_is_visible(rig)
    rig.console.fault(Status(401), match="alerts", skip=40, times=3)
    with pytest.raises(ActionNeeded):
        rig.cycle()
    assert (epoch(rig.cursor) or 0) > (at + timedelta(days=1)).timestamp()
    rig.cycle()
    assert len(arrived(rig)) == 36 == len(set(arrived(rig)))

    def looks() -> list[float]:
        return [end - start for start, end in windows(rig) if end - start > 3600]

    assert len(looks()) == 2
    assert max(looks()) == 86_400, "a list of several days"
    rig.console.forget_calls()
    rig.console.clock_offset += timedelta(hours=2)
    rig.cycle()
    assert looks() == [86_400]


def test_the_first_second_look_after_an_update_sends_nothing_again(rig: Rig) -> None:
    """An earlier release stored only which alerts it knew from its position on."""
    now = datetime.now(UTC)
    rig.console.has([stamped(now - timedelta(hours=age), age) for age in (1, 2, 3)])
    remember(rig, now - timedelta(hours=2.5))
    connector = rig.cycle()
    later(rig, connector, hours=2)
    assert arrived(rig) == [2, 1]


def test_a_window_short_of_its_total_is_read_again_until_it_is_complete(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """Three rows and no next page, of five that `total_count` promised, counted as the complete window."""
    now = datetime.now(UTC)
    rig.console.has([stamped(now - timedelta(minutes=5), number) for number in range(1, 6)])
    rig.console.left_out = {"2", "4"}
    connector = rig.cycle(hours_ago=1)
    assert arrived(rig) == [1, 3, 5] or sorted(arrived(rig)) == [1, 3, 5]
    assert any("reports 5 alerts" in record.message and "returned 3" in record.message for record in caplog.records)
    assert (epoch(rig.cursor) or 0) > (now - timedelta(minutes=1)).timestamp(), "it holds back what comes after it"
    rig.console.left_out = {"2"}
    rig.cycle(connector)
    rig.console.left_out = set()
    rig.cycle()  # of a new process
    assert sorted(arrived(rig)) == [1, 2, 3, 4, 5]
    rig.console.forget_calls()
    rig.cycle(connector)
    assert len(windows(rig)) <= 1, "a complete window is read again"


def test_a_window_that_stays_short_is_read_again_for_a_day_and_no_longer(rig: Rig) -> None:
    now = datetime.now(UTC)
    rig.console.has([stamped(now - timedelta(minutes=5), number) for number in range(1, 6)])
    rig.console.left_out = {"2"}
    connector = rig.cycle(hours_ago=1)

    def reads_it_again() -> bool:
        rig.console.forget_calls()
        rig.cycle(connector)
        return any(
            start <= (now - timedelta(minutes=5)).timestamp() <= end < start + 3601 for start, end in windows(rig)
        )

    assert reads_it_again()
    rig.console.clock_offset += timedelta(hours=23)
    rig.cycle(connector)
    assert reads_it_again()
    rig.console.clock_offset += timedelta(hours=2)
    rig.cycle(connector)
    rig.cycle(connector)
    assert not reads_it_again()


@pytest.mark.parametrize("age", [timedelta(hours=5), timedelta(days=3)], ids=str)
def test_the_alerts_of_a_window_that_stays_short_are_sent_once_whatever_their_age(rig: Rig, age: timedelta) -> None:
    """Those more than a day behind the position were forgotten, and sent again in each round."""
    now = datetime.now(UTC)
    rig.console.has([stamped(now - age + timedelta(minutes=5), number) for number in range(1, 6)])
    rig.console.left_out = {"2"}
    remember(rig, now - age)
    connector = rig.cycle()
    for hours in (0, 12, 9, 2, 2):
        later(rig, connector, hours=hours)
    assert sorted(arrived(rig)) == [1, 3, 4, 5]


def test_of_a_short_window_no_more_is_read_again_than_what_is_known(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """More alerts than are remembered came after it: all of its own were sent again in each round."""
    monkeypatch.setattr("shared.alerts.position.MAX_KNOWN", 20)
    now = datetime.now(UTC)
    rig.console.has([stamped(now - timedelta(minutes=150 - number), number) for number in range(1, 31)])
    rig.console.add(stamped(now - timedelta(minutes=140), 31))
    rig.console.left_out = {"31"}
    connector = rig.cycle()
    rig.console.left_out = set()
    later(rig, connector, minutes=5)
    assert len(arrived(rig)) == len(set(arrived(rig)))


def test_a_short_window_that_can_no_longer_be_read_holds_up_the_rest_for_a_day_at_most(rig: Rig) -> None:
    now = datetime.now(UTC)
    rig.console.has([stamped(now - timedelta(hours=5, minutes=30), number) for number in range(1, 6)])
    rig.console.left_out = {"2"}
    connector = rig.cycle()
    short = windows(rig)[0]

    def broken(request: Any) -> None:
        rig.console.clear_faults()
        if tuple(moment(request.args.get(f"backend_last_updated__{how}")) for how in ("gte", "lte")) == short:
            rig.console.fault(WrongShape({"meta": {}}), match="alerts")

    rig.console.before_call = broken
    with pytest.raises(UnexpectedReply):
        rig.cycle(connector)
    rig.console.clock_offset += timedelta(hours=25)
    with pytest.raises(UnexpectedReply):
        rig.cycle(connector)
    rig.cycle(connector)


def test_a_total_that_never_fits_does_not_let_the_reading_grow(rig: Rig) -> None:
    now = datetime.now(UTC)
    rig.console.has([stamped(now - timedelta(minutes=30 * number), number) for number in range(1, 50)])
    rig.console.left_out = {str(number) for number in range(0, 50, 2)}
    remember(rig, now - timedelta(days=1))
    connector = rig.cycle()
    rig.console.forget_calls()
    rig.cycle(connector)
    assert len(rig.console.calls_to("alerts")) < 20


def test_55_000_alerts_of_one_second_are_sent_in_parts_and_none_of_them_again_after_an_error(rig: Rig) -> None:
    """They were never delivered, and all later ones waited."""
    second = datetime.now(UTC) - timedelta(hours=1)
    rig.console.has(stamped(second, number) for number in range(55_000))
    rig.console.add(stamped(second + timedelta(minutes=1), 55_000))
    rig.page_size = 5_000
    rig.platform.fault(Status(503), match="intake", skip=1, times=None)
    with pytest.raises(TryAgain):
        rig.cycle()
    assert 20_000 <= len(arrived(rig)) < 55_000, "nothing was sent before the window was complete"
    rig.platform.clear_faults()
    rig.cycle()  # of a new process
    assert len(arrived(rig)) == 55_001 == len(set(arrived(rig)))


def test_pages_in_a_circle_under_new_links_end_the_walk_and_their_alerts_are_delivered(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The round never ended."""
    monkeypatch.setattr(MODULE.connector, "longest_window", 6 * 3600)

    def circle(request: Any) -> None:
        rig.console.clear_faults()
        link = f"/external_api/v3/alert/?limit=10&offset=0&id__gt=-{len(rig.console.calls)}"
        page = {"meta": {"limit": 10, "next": link, "total_count": 35}, "objects": []}
        if request.args.get("offset") == "20":
            rig.console.fault(WrongShape(page), match="alerts")

    rig.console.before_call = circle
    with pytest.raises(UnexpectedReply, match="5 pages in a row without anything new"):
        rig.cycle()
    assert len(arrived(rig)) == 20
    rig.console.before_call = None
    rig.console.clear_faults()
    rig.cycle()
    assert len(arrived(rig)) == 35 == len(set(arrived(rig)))


@pytest.mark.parametrize("status", [400, 403, 409, 413, 422, 500, 502, 504])
def test_one_poisoned_alert_of_a_thousand_costs_no_other_and_few_pushes(
    rig: Rig, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    now = datetime.now(UTC)
    rig.console.has([stamped(now - timedelta(minutes=90), number) for number in range(1000)])
    rig.console.change("777", at=now - timedelta(minutes=90), details="odd")
    rig.page_size = 1000
    rig.platform.refuse_alerts("odd", status)
    connector = rig.cycle()
    assert len(arrived(rig)) == 999 == len(set(arrived(rig)))
    assert len(rig.platform.calls_to("intake")) <= 30
    said = [record.message for record in caplog.records if "(id 777)" in record.message]
    assert len(said) == 1
    assert said[0].startswith("Skipped" if status in (400, 413, 422) else "Put an alert aside")
    rig.platform.forget_calls()
    rig.cycle(connector)
    assert len(rig.platform.calls_to("intake")) == (status not in (400, 413, 422))


# --- storing


def test_two_connectors_over_one_storage_are_detected(rig: Rig) -> None:
    connector = rig.start()
    rig.console.before_call = lambda _: remember(rig, datetime.now(UTC))
    with pytest.raises(TryAgain, match="Another process"):
        rig.cycle(connector)


def test_a_storage_that_takes_nothing_is_found_out_before_anything_is_sent(rig: Rig) -> None:
    """On a full disk the same batch was sent again at each try."""
    remember(rig, datetime.now(UTC) - timedelta(hours=6))
    with failing_disk(rig.data, errno.ENOSPC, 1_000):
        for _ in range(3):
            with pytest.raises(TryAgain, match="cannot write its state"):
                rig.cycle()
    assert not rig.platform.alerts
    rig.cycle()
    assert len(arrived(rig)) == 35 == len(set(arrived(rig)))


def test_a_disk_that_has_no_room_for_what_is_remembered_more_costs_no_second_sending(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was found out after the batch, whose alerts were forgotten and sent again at each try."""

    def full(path: Path, *parts: bytes) -> None:
        if sum(map(len, parts)) > 1_000:
            raise TryAgain("The connector cannot write its state: no space left.")
        write_bytes(path, *parts)

    connector = rig.start()
    with monkeypatch.context() as patched:
        patched.setattr("shared.state.storage.write_bytes", full)
        for _ in range(3):
            with pytest.raises(TryAgain, match="cannot write its state"):
                rig.cycle(connector)
    rig.cycle(connector)
    rig.cycle()  # of a new process
    assert len(arrived(rig)) == 35 == len(set(arrived(rig)))


def test_within_a_round_alerts_are_sent_by_their_last_update_whatever_order_they_come_in(rig: Rig) -> None:
    rig.cycle()
    stamps = [epoch(json.loads(text)["backend_last_updated"]) for text in rig.platform.alerts]
    assert stamps == sorted(stamps)
    first = rig.console.calls_to("alerts")[0]
    assert first.query["limit"] == "10"


# --- the intake


@pytest.mark.parametrize("event_format", ["raw", "ecs"])
def test_an_alert_is_sent_in_the_format_that_is_configured(rig: Rig, event_format: str) -> None:
    alert = stamped(datetime.now(UTC) - timedelta(hours=1), 7, event_timestamp="02/22/2023 02:22:20", details="café")
    rig.console.has([alert])
    rig.cycle(event_format=event_format)
    [event] = map(json.loads, rig.platform.alerts)
    if event_format == "raw":
        assert event == {**alert, "event_timestamp": "2023-02-22T02:22:20+00:00"}
    else:
        assert json.loads(event["message"]) == alert
        assert event["@timestamp"] == "2023-02-22T02:22:20Z"
        assert event["event"]["reason"] == "café"


def test_a_long_alert_is_shortened_in_the_normalised_format_too(rig: Rig) -> None:
    rig.console.has([stamped(datetime.now(UTC) - timedelta(hours=1), 7, details='a "quoted" é' * 40_000)])
    rig.cycle(event_format="ecs")
    [text] = rig.platform.alerts
    event = json.loads(text)
    assert 100_000 < len(text) <= 250_000
    assert json.loads(event["message"])["shortened_fields"] == {"details": 480_000}
    assert event["event"]["reason"] == json.loads(event["message"])["details"]


@pytest.mark.parametrize("entered", ["{url}/intake", "{url}/intake/", "{url}/intake//", None])
def test_the_intake_is_the_one_entered_else_the_platforms(rig: Rig, entered: str | None) -> None:
    """One slash, and no more, stands before `batch`; without an entry the platform names the intake of its region."""
    connector = rig.start()
    told = {"intake_key": rig.platform.intake_key}
    if entered:
        told["intake_server"] = entered.format(url=rig.platform.url)
    connector.configuration = {**ARGUMENTS, **told}
    rig.cycle(connector)
    assert {call.path for call in rig.platform.calls} == {"/intake/batch"}
    assert len(arrived(rig)) == 35


def test_without_any_entry_the_intake_is_the_public_one(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    connector = rig.start()
    connector.configuration = {"intake_key": "k"}
    monkeypatch.delenv("INTAKE_URL")
    assert connector.intake_server == "https://intake.sekoia.io"


def test_the_key_is_in_the_body_alone(rig: Rig) -> None:
    rig.platform.intake_key = "a-Very-Secret-Intake-Key"
    rig.cycle()
    for call in rig.platform.calls_to("intake"):
        assert b"a-Very-Secret-Intake-Key" in call.body
        assert "a-Very-Secret-Intake-Key" not in f"{call.headers} {call.path} {call.query}"
        assert call.headers["User-Agent"].startswith("sekoiaio-connector/check-point-harmony-mobile-")
        assert "Authorization" not in call.headers


def test_metrics_count_what_was_accepted_under_a_hash_of_the_key(rig: Rig) -> None:
    """Failed chunks were counted as forwarded, and the intake key stood in clear on a port open to all. Metrics are a process's."""
    rig.platform.fault(Status(503), match="intake", times=6)
    with rig.process(frequency=3600) as process:
        process.wait_for_rounds(2)
        told = requests.get(f"http://127.0.0.1:{process.metrics_port}/metrics", timeout=HANGS).text
    label = rig.start().intake_label
    assert f'symphony_module_common_forwarded_events_total{{intake_key="{label}"}} 35.0' in told
    assert f'symphony_module_common_forward_events_duration_count{{intake_key="{label}"}} 1.0' in told
    assert f'symphony_module_common_events_lags{{intake_key="{label}"}}' in told
    assert rig.platform.intake_key not in told
    [age] = re.findall(r"^sekoia_connector_cursor_age_seconds (\S+)", told, re.MULTILINE)
    assert 0 <= float(age) < 60, "the position of a round without `timedelta` lies right behind"


# --- the platform


def test_it_runs_as_a_trigger_too(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A playbook's trigger has its arguments under another name."""
    connector = rig.start()
    arguments = {**ARGUMENTS, "intake_key": rig.platform.intake_key, "intake_server": f"{rig.platform.url}/intake"}
    monkeypatch.delenv("CONNECTOR_CONFIGURATION")
    monkeypatch.setenv("TRIGGER_CONFIGURATION", json.dumps(arguments))
    rig.cycle(connector)
    assert len(arrived(rig)) == 35


def test_the_health_reports_the_round_and_a_quiet_tenant_is_healthy(rig: Rig) -> None:
    """Six hours without an alert made the SDK's connector unhealthy, and had it restarted. `/health` is a process's."""
    with rig.process(frequency=3600) as process:
        health = process.wait_for_rounds(1)
    assert {name: health["round"][name] for name in ("read", "sent", "unchanged", "skipped")} == {
        "read": 35,
        "sent": 35,
        "unchanged": 0,
        "skipped": 0,
    }
    assert health["round"]["batches"] >= 1
    assert health["round"]["seconds"] > 0
    connector = rig.cycle()
    connector._last_events_time = datetime.now() - timedelta(days=3)
    assert connector.is_alive()


def test_a_wrong_secret_is_one_clear_error_and_slow_retries(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.backoff = Backoff()
    rig.console.secret_key = "another"
    with rig.running() as connector:
        until(lambda: connector.cycles)
    assert "refused the credentials" in connector.last_error
    assert_next_try_is_far(caplog)
    assert len(rig.console.calls_to("token")) == 1


def test_a_log_endpoint_that_is_down_holds_nothing_up(rig: Rig) -> None:
    """A process: its logs are sent from its start on."""
    rig.platform.fault(Status(503), match="logs", times=None)
    with rig.process(frequency=3600) as process:
        process.wait_for_rounds(1)
        assert requests.get(f"http://127.0.0.1:{process.metrics_port}/metrics", timeout=HANGS).ok
    assert len(arrived(rig)) == 35
