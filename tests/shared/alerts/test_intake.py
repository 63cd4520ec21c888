"""Batches measured as they travel, confirmed by count; events shortened where the intake would not take them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from lab.platform.faults import WrongShape
from lab.platform.local import INTAKE_LIMIT, LocalPlatform
from shared.alerts import intake as intakes
from shared.alerts.intake import BATCH_LIMIT, EVENT_LIMIT, MARK, Intake, fitting
from shared.errors import ActionNeeded, SkipRecord, TryAgain
from shared.http.session import ApiSession, Patience
from shared.http.tokens import Anonymous

KEY = "an-intake-key"


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform(intake_key=KEY) as platform:
        yield platform


def intake(url: str = "https://intake.example", limit: int = BATCH_LIMIT, key: str = KEY) -> Intake:
    session = ApiSession("Sekoia.io", url, Anonymous(), patience=Patience(attempts=1))
    intake = Intake(session, SecretStr(key))
    intake.limit = limit
    return intake


def body_of(texts: list[bytes], key: str = KEY) -> bytes:
    return b'{"intake_key":' + orjson.dumps(key) + b',"jsons":[' + b",".join(texts) + b"]}"


# --- batches


@settings(max_examples=200)
@given(st.lists(st.text(max_size=80), max_size=40), st.integers(60, 2000))
def test_no_batch_is_larger_than_the_limit_and_nothing_is_lost_or_moved(texts: list[str], limit: int) -> None:
    batches = list(intake(limit=limit).batches(enumerate(texts)))
    assert [item for batch in batches for item, _ in batch] == list(range(len(texts)))
    assert [orjson.loads(text) for batch in batches for _, text in batch] == texts
    for batch in batches:
        encoded = [text for _, text in batch]
        assert len(body_of(encoded)) <= limit or len(encoded) == 1


@pytest.mark.parametrize("letter", ["a", '"', "é", "日", "\\", "\n", "\x01"])
def test_batches_are_measured_with_their_escapes(letter: str, platform: LocalPlatform) -> None:
    """A full chunk of the SDK was measured before it was escaped, and refused with 413."""
    text = json.dumps({"details": letter * 40_000}, ensure_ascii=False)
    target = intake(f"{platform.url}/intake")
    batches = list(target.batches((None, text) for _ in range(300)))
    for batch in batches:
        encoded = [text for _, text in batch]
        assert len(body_of(encoded)) <= INTAKE_LIMIT
        target.send(encoded)
    assert platform.alerts == [text] * 300
    assert not platform.refused
    smallest = -(-300 * len(orjson.dumps(text)) // INTAKE_LIMIT)
    assert len(batches) <= smallest + 2


def test_texts_arrive_as_they_were(platform: LocalPlatform) -> None:
    texts = ["plain", '{"a":"é"}', 'tab\tquote"back\\slash', "日本語 \U0001f4f1", ""]
    target = intake(f"{platform.url}/intake/")
    for batch in target.batches((None, text) for text in texts):
        target.send([text for _, text in batch])
    assert platform.alerts == texts
    assert [call.path for call in platform.calls_to("intake")] == ["/intake/batch"]


@pytest.mark.parametrize(
    "answer", [{}, [], None, {"event_ids": None}, {"event_ids": ["one"]}, {"event_ids": "two"}, {"received": True}]
)
def test_fewer_ids_than_events_are_no_acceptance(answer: Any, platform: LocalPlatform) -> None:
    platform.fault(WrongShape(answer), match="intake")
    [batch] = intake().batches([(1, "a"), (2, "b")])
    encoded = [text for _, text in batch]
    with pytest.raises(TryAgain, match=r"confirmed [01] of 2 events"):
        intake(f"{platform.url}/intake").send(encoded)


@pytest.mark.parametrize("key", ["", "  ", "\n"])
def test_an_empty_intake_key_is_said(key: str) -> None:
    with pytest.raises(ActionNeeded, match="intake key is empty"):
        intake(key=key)


def test_the_line_end_behind_a_key_is_no_part_of_it(platform: LocalPlatform) -> None:
    [[(_, encoded)]] = intake().batches([(1, "a")])
    intake(f"{platform.url}/intake", key=f"{KEY}\n").send([encoded])
    assert platform.alerts == ["a"]


# --- shortening


def test_what_fits_is_left_alone() -> None:
    text, whole = fitting({"details": "x" * (EVENT_LIMIT - 14)}, dict)
    assert len(text) == whole == EVENT_LIMIT


@pytest.mark.parametrize("letter", ["x", '"', "é", "\n", "\x01"])
@pytest.mark.parametrize("length", [250_000, 300_000, 2_000_000])
def test_the_longest_text_is_cut_and_marked(letter: str, length: int) -> None:
    record = {"id": 7, "details": letter * length, "name": "phone", "nested": {"kept": [1]}}
    text, whole = fitting(record, dict)
    event = json.loads(text)
    assert len(text) <= EVENT_LIMIT < whole
    assert event[MARK] == {"details": length}
    assert record["details"].startswith(event["details"])
    assert event["details"]
    assert {key: value for key, value in event.items() if key not in ("details", MARK)} == {
        "id": 7,
        "name": "phone",
        "nested": {"kept": [1]},
    }
    assert len(record["details"]) == length  # the record itself is left as it is


def test_an_event_that_holds_a_field_twice_is_cut_far_enough() -> None:
    """A normalised event holds the alert as a text, with all its quotes escaped, and the field beside it."""

    def normalised(record: dict[str, Any]) -> dict[str, Any]:
        return {"message": orjson.dumps(record).decode(), "reason": record["details"]}

    text, _ = fitting({"id": 7, "details": '"' * 200_000}, normalised)
    assert len(text) <= EVENT_LIMIT
    assert json.loads(json.loads(text)["message"])[MARK] == {"details": 200_000}


def test_several_long_fields_are_cut_one_after_the_other() -> None:
    text, _ = fitting({"a": "x" * 400_000, "b": ["y" * 300_000], "c": "z"}, dict)
    event = json.loads(text)
    assert len(text) <= EVENT_LIMIT
    assert set(event[MARK]) == {"a", "b"}
    assert event["c"] == "z"


def test_what_cannot_be_shortened_is_skipped() -> None:
    with pytest.raises(SkipRecord, match="characters long"):
        fitting({f"key {number}": number for number in range(50_000)}, dict)


@settings(max_examples=100)
@given(
    st.dictionaries(
        st.text(max_size=10), st.text(max_size=2000) | st.lists(st.integers(0, 2**40), max_size=200), max_size=6
    ),
    st.integers(1000, 3000),
)
def test_a_shortened_event_is_within_the_limit_and_keeps_most_of_what_fits(record: dict[str, Any], limit: int) -> None:
    with pytest.MonkeyPatch.context() as patched, suppress(SkipRecord):
        patched.setattr(intakes, "EVENT_LIMIT", limit)
        text, length = fitting(record, dict)
        assert len(text) <= limit
        assert length == len(orjson.dumps(record).decode())
        if length > limit:
            assert set(json.loads(text)) == {*record, MARK}
            assert len(text) > limit / 4
