"""Any JSON object is an event, or a record that is skipped and named; never anything else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from checkpoint_harmony.connector import HarmonyMobileConnector
from checkpoint_harmony.mapper import ALERT_TO_ECS, as_given
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.alerts.intake import EVENT_LIMIT, fitting
from shared.alerts.windows import Window
from shared.errors import SkipRecord
from shared.mapping.table import Mapper, readable
from shared.times import epoch

MAPPER = Mapper(ALERT_TO_ECS)

dates = (
    st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
    | st.datetimes().map(lambda at: at.strftime("%m/%d/%Y %H:%M:%S"))
    | st.sampled_from(["No data", "", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "02/30/2023 00:00:00"])
)
numbers = st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | st.text() | dates
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
KEYS = [
    *("attack_vector", "backend_last_updated", "details", "device_id", "device_rooted", "email", "event", "severity"),
    *("event_timestamp", "id", "mdm_uuid", "name", "number", "threat_factors", "device_model", "client_version"),
]
alerts = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, dates | anything))
slow = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=200)


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]


@slow
@given(anything | st.dictionaries(st.text(), anything))
def test_any_json_is_mapped_or_skipped(record: Any) -> None:
    for event_of in (MAPPER, as_given):
        try:
            text, _ = fitting(readable(record), event_of)
        except SkipRecord:
            continue
        assert isinstance(orjson.loads(text), dict)
        assert len(text) <= EVENT_LIMIT


@slow
@given(alerts)
@example({"event_timestamp": "1969-12-31T23:59:59Z", "backend_last_updated": "01/01/1970 00:00:00"})
@example({"email": "@", "device_id": 0, "number": 0.5, "id": True})
def test_an_alert_with_any_type_in_any_field_is_mapped(alert: dict[str, Any]) -> None:
    before = repr(alert)
    try:
        event = MAPPER(alert)
    except SkipRecord as reason:  # a whole number that JSON cannot take here
        assert reason.reason == "cannot be written as JSON"
        return
    assert repr(alert) == before
    assert orjson.loads(event.pop("message")) is not None
    for leaf in leaves(event):
        assert isinstance(leaf, str)
        assert leaf.strip()
    if "@timestamp" in event:
        assert event["@timestamp"].endswith("Z")
        assert epoch(event["@timestamp"]) is not None
    raw = as_given(alert)
    for name in ("event_timestamp", "backend_last_updated"):
        assert raw[name] is None or epoch(raw[name]) == epoch(alert[name])


@slow
@given(anything | alerts)
def test_any_record_has_a_key_and_a_place(record: Any) -> None:
    window = Window(100, 200)
    assert len(HarmonyMobileConnector.key_of(record)) == 16
    assert HarmonyMobileConnector.key_of(record) == HarmonyMobileConnector.key_of(record)
    assert 100 <= HarmonyMobileConnector.alert_of("key", record, window).at <= 200


def test_the_two_forms_of_a_date_are_one_version() -> None:
    told = ("02/02/2025 02:22:20", "2025-02-02T02:22:20+00:00", "2025-02-02T03:22:20+01:00")
    assert len({HarmonyMobileConnector.key_of({"id": 22, "backend_last_updated": stamp}) for stamp in told}) == 1


def test_another_id_or_stamp_is_another_version() -> None:
    versions = [{"id": 22, "backend_last_updated": "02/02/2025 02:22:20"}, {"id": 23}, {"id": "22"}, {"id": 22}, {}]
    assert len({HarmonyMobileConnector.key_of(version) for version in versions}) == 5


def test_a_record_nested_beyond_measure_is_skipped() -> None:
    nested: Any = []
    for _ in range(5000):
        nested = [nested]
    assert len(HarmonyMobileConnector.key_of({"deep": nested})) == 16
    for event_of in (MAPPER, as_given):
        try:
            fitting({"id": 1, "deep": nested}, event_of)
        except SkipRecord as reason:
            assert "JSON" in reason.reason
        else:
            raise AssertionError("it cannot be sent")
