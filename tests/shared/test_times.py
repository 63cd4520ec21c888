"""Times: every form a vendor writes, and none that breaks."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.times import epoch, epoch_number, http_date, iso, retry_after

MOMENT = 1704608768.0  # 2024-01-07T06:26:08Z
LAST = 253402300799.0  # 9999-12-31T23:59:59Z


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-01-07T06:26:08Z", MOMENT),
        ("2024-01-07T06:26:08z", MOMENT),
        ("2024-01-07T06:26:08", MOMENT),
        ("2024-01-07 06:26:08", MOMENT),
        ("2024-01-07T06:26:08.668Z", MOMENT + 0.668),
        ("2024-01-07T06:26:08.668123Z", MOMENT + 0.668123),
        ("2024-01-07T06:26:08.6681239Z", MOMENT + 0.668123),
        ("2024-01-07T06:26:08.668123999Z", MOMENT + 0.668123),
        ("2024-01-07T06:26:08,668Z", MOMENT + 0.668),
        ("2024-01-07T06:26:08.5", MOMENT + 0.5),
        ("2024-01-07T08:26:08+02:00", MOMENT),
        ("2024-01-07T08:26:08+0200", MOMENT),
        ("2024-01-07T08:26:08+02", MOMENT),
        ("2024-01-07T00:56:08-05:30", MOMENT),
        ("2024-01-07 08:26:08 +02:00", MOMENT),
        ("2024-01-07 06:26:08 Z", MOMENT),
        ("2024-01-07T06:26Z", MOMENT - 8),
        ("  2024-01-07T06:26:08Z\n", MOMENT),
        ("2024/01/07 06:26:08", MOMENT),
        ("01/07/2024 06:26:08", MOMENT),
        ("\0 2024-01-07T06:26:08Z\0\0", MOMENT),
        ("1970-01-01T00:00:00.000001Z", 0.000001),
        ("9999-12-31T23:59:59Z", LAST),
    ],
)
def test_every_documented_form_is_read_as_utc(text: str, seconds: float) -> None:
    assert epoch(text) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "None", "null", "No data", "N/A", "0", "1704608768", "2024", "2024-01-07", "2024-W01-7T06:26:08Z"),
        *("2024-13-07T06:26:08Z", "2024-02-30T06:26:08Z", "2024-01-07T25:26:08Z", "2024-01-07T06:61:08Z"),
        *("1970-01-01T00:00:00Z", "1970-01-01 00:00:00", "1970/01/01 00:00:00", "1970-01-01T01:00:00+01:00"),
        *("0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"),
        *("31/12/2024 06:26:08", "2024/13/01 06:26:08", "T", "Z", "\ud800", "2024-01-07T06:26:08\ud800Z", "\x00"),
        *(None, True, 0, 1704608768, 1.5, [], {}, ["2024-01-07T06:26:08Z"], b"2024-01-07T06:26:08Z"),
    ],
)
def test_what_tells_no_time_is_absent(value: object) -> None:
    assert epoch(value) is None


@given(st.text() | st.text(alphabet="0123456789-/:.,+TZ z"))
def test_no_text_whatever_makes_reading_a_time_fail(text: str) -> None:
    found = epoch(text)
    assert found is None or 0 < found <= LAST


@given(st.from_regex(r"\d{4}[-/]\d{2}[-/]\d{2}[T ]\d{2}:\d{2}:\d{2}([.,]\d{0,12})?( ?[+-]\d{2}:?\d{2}|Z)?"))
def test_no_text_that_looks_like_a_time_makes_reading_it_fail(text: str) -> None:
    found = epoch(text)
    assert found is None or 0 < found <= LAST


microseconds = st.integers(1, int(LAST) * 10**6)  # 0 is a time that is missing


@given(microseconds)
def test_a_time_written_is_read_back_to_the_microsecond(count: int) -> None:
    """A cursor that comes back later than it was stored would lose what lies between."""
    seconds = count / 10**6
    assert epoch(iso(seconds)) == seconds


@given(st.floats(1e-6, LAST))
def test_a_time_of_any_precision_is_read_back_within_a_microsecond(seconds: float) -> None:
    assert epoch(iso(seconds)) == pytest.approx(seconds, abs=1e-6, rel=1e-15)


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(9998, 12, 31)),
    st.integers(-14 * 60, 14 * 60),
    st.integers(0, 9),
    st.sampled_from("T "),
    st.booleans(),
)
def test_any_offset_and_any_fraction_give_the_same_moment(
    moment: datetime, minutes: int, digits: int, between: str, colon: bool
) -> None:
    moment = moment.replace(tzinfo=UTC)
    local = moment.astimezone(timezone(timedelta(minutes=minutes)))
    fraction = f"{local.microsecond:06d}000"[:digits]
    offset = local.strftime("%z") if not colon else local.isoformat()[-6:]
    text = local.strftime(f"%Y-%m-%d{between}%H:%M:%S") + (f".{fraction}" if fraction else "") + offset

    cut = int(fraction[:6].ljust(6, "0"))
    assert epoch(text) == moment.replace(microsecond=cut).timestamp()


def test_microseconds_are_written_only_where_there_are_some() -> None:
    assert iso(MOMENT) == "2024-01-07T06:26:08.000Z"
    assert iso(MOMENT + 0.668) == "2024-01-07T06:26:08.668Z"
    assert iso(1704608768.668123) == "2024-01-07T06:26:08.668123Z"


@pytest.mark.parametrize(
    ("value", "unit", "seconds"),
    [
        (1704608768, "s", MOMENT),
        ("1704608768", "s", MOMENT),
        (1704608768668, "ms", MOMENT + 0.668),
        (" 1704608768000 ", "ms", MOMENT),
        (0, "s", 0.0),
        (1.5, "s", 1.5),
    ],
)
def test_a_count_since_1970_is_read_in_its_unit(value: object, unit: str, seconds: float) -> None:
    assert epoch_number(value, unit) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value", [True, False, None, "", "soon", "nan", "inf", -1, "-1", 10**400, float("nan"), float("inf"), [], {}]
)
def test_a_count_that_tells_no_time_is_absent(value: object) -> None:
    assert epoch_number(value, "s") is None


@given(st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.none()), st.sampled_from(["s", "ms"]))
def test_no_count_whatever_makes_reading_a_time_fail(value: object, unit: str) -> None:
    found = epoch_number(value, unit)
    assert found is None or 0 <= found <= LAST


@pytest.mark.parametrize(
    "header", ["Sun, 07 Jan 2024 06:26:08 GMT", "Sunday, 07-Jan-24 06:26:08 GMT", "Sun Jan  7 06:26:08 2024"]
)
def test_the_three_forms_of_an_http_date_are_utc_wherever_the_machine_is(
    header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form without a zone was read as local time: the cursor's ceiling was off by the machine's offset."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert http_date(header) == MOMENT
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


def test_the_date_of_a_clock_that_was_never_set_is_none() -> None:
    assert http_date("Thu, 01 Jan 1970 00:00:10 GMT") is None
    assert http_date("Sat, 01 Jan 2000 00:00:10 GMT") is None


@given(st.none() | st.text())
def test_no_header_makes_reading_a_date_or_a_wait_fail(text: str | None) -> None:
    http_date(text)
    wait = retry_after({"Retry-After": text or "", "Date": text or "", "X-RateLimit-Reset": text or ""}, limited=True)
    assert wait is None or 0 <= wait <= 3600


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("999999", 3600),
        ("", None),
        ("-5", None),
        ("x", None),
    ],
)
def test_a_wait_in_seconds_is_kept_within_an_hour(header: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": header}, limited=False) == seconds


def test_without_a_header_no_wait_is_asked_for() -> None:
    assert retry_after({}, limited=True) is None


@pytest.mark.parametrize("ahead", [-20_000, 0, 20_000])
@pytest.mark.parametrize("form", ["date", "epoch"])
def test_a_moment_to_wait_for_is_compared_with_the_clock_of_the_reply(form: str, ahead: int) -> None:
    """A server's clock that was some hours ahead of ours made a wait of a minute one of an hour, or none."""
    now = int(time.time()) + ahead
    moment = formatdate(now + 60, usegmt=True) if form == "date" else str(now + 60)
    headers = {"Date": formatdate(now, usegmt=True), "Retry-After": moment}
    assert retry_after(headers, limited=False) == 60


def test_a_moment_to_wait_for_is_compared_with_our_clock_where_the_reply_has_no_date() -> None:
    assert retry_after({"Retry-After": formatdate(time.time() + 60, usegmt=True)}, limited=False) == pytest.approx(
        60, abs=2
    )
    assert retry_after({"Retry-After": str(time.time() + 60)}, limited=False) == pytest.approx(60, abs=2)
    assert retry_after({"Retry-After": formatdate(time.time() - 60, usegmt=True)}, limited=False) == 0


@pytest.mark.parametrize("name", ["RateLimit-Reset", "X-RateLimit-Reset", "X-Rate-Limit-Reset"])
@pytest.mark.parametrize("form", ["seconds", "epoch"])
def test_the_reset_of_a_rate_limit_is_a_wait(name: str, form: str) -> None:
    now = int(time.time())
    headers = {"Date": formatdate(now, usegmt=True), name: "12" if form == "seconds" else str(now + 12)}
    assert retry_after(headers, limited=True) == 12


def test_a_reply_that_is_not_about_a_rate_limit_may_carry_its_reset() -> None:
    """Many APIs send it with each reply: a 500 would cost an hour."""
    assert retry_after({"X-RateLimit-Reset": "3600"}, limited=False) is None


def test_retry_after_comes_before_the_reset_of_a_rate_limit() -> None:
    assert retry_after({"X-RateLimit-Reset": "3600", "Retry-After": "5"}, limited=True) == 5
    assert retry_after({"X-RateLimit-Reset": "30", "Retry-After": "soon"}, limited=True) == 30
