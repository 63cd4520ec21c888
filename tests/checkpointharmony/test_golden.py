"""Harmony Mobile alerts in, ECS events out; and the same alerts as the platform's own intake takes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from checkpoint_harmony.mapper import as_given

from lab.modules import MODULES
from tests.golden import GoldenFiles

FOLDER = Path(__file__).parent
SAMPLES = sorted((FOLDER / "payloads").glob("specification_*.json"))


class TestGoldenFiles(GoldenFiles):
    lab_module = MODULES["CheckpointHarmony"]
    folder = FOLDER

    def assert_valid(self, event: dict[str, Any]) -> None:
        """ECS has no model here: what holds of every event."""
        assert event["event"] | {"reason": None} == {
            "kind": "alert",
            "category": "network",
            "type": ["info"],
            "reason": None,
        }
        assert orjson.loads(orjson.dumps(event)) == event
        assert isinstance(event["message"], str)

    def test_the_message_is_the_alert_in_its_own_order_of_keys(self, payload: Path) -> None:
        record = self.record_of(payload)
        if isinstance(record, dict):
            message = self.lab_module.connector.mapper()(record)["message"]
            assert message == orjson.dumps(record).decode()
            assert list(json.loads(message)) == list(record)


def test_the_specification_has_four_samples() -> None:
    assert len(SAMPLES) == 4


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_raw_alert_is_as_given_but_for_its_dates(sample: Path) -> None:
    record = json.loads(sample.read_text(encoding="utf-8"))["record"]
    sent = as_given(record)
    dates = {"event_timestamp", "backend_last_updated"}
    assert {name: value for name, value in sent.items() if name not in dates} == {
        name: value for name, value in record.items() if name not in dates
    }
    assert sent["event_timestamp"] == ("2023-02-22T02:22:20+00:00" if "event_timestamp" in record else None)
    assert sent["backend_last_updated"] == ("2025-02-02T02:22:20+00:00" if "backend_last_updated" in record else None)


@pytest.mark.parametrize(
    ("told", "sent"),
    [
        ("02/22/2023 02:22:20", "2023-02-22T02:22:20+00:00"),
        ("2025-10-02T10:53:26+00:00", "2025-10-02T10:53:26+00:00"),
        ("2025-10-02T10:53:26+02:00", "2025-10-02T08:53:26+00:00"),
        ("2025-10-02T10:53:26Z", "2025-10-02T10:53:26+00:00"),
        ("2025-10-02T10:53:26.123Z", "2025-10-02T10:53:26.123000+00:00"),
        ("2025-10-02T10:53:26", "2025-10-02T10:53:26+00:00"),
        ("No data", None),
        ("", None),
        (None, None),
        (5, None),
        (["2025-10-02T10:53:26Z"], None),
        ("13/45/2023 02:22:20", None),
    ],
)
def test_a_raw_date_is_iso_or_null(told: Any, sent: str | None) -> None:
    alert = as_given({"id": 1, "event_timestamp": told, "backend_last_updated": "02/02/2025 02:22:20"})
    assert alert == {"id": 1, "event_timestamp": sent, "backend_last_updated": "2025-02-02T02:22:20+00:00"}


@pytest.mark.parametrize(
    ("event", "backend", "at"),
    [
        ("2025-10-02T10:53:26.123Z", None, "2025-10-02T10:53:26.123000Z"),
        ("2025-10-02T10:53:26+02:00", "2025-10-03T00:00:00Z", "2025-10-02T08:53:26Z"),
        ("No data", "2025-10-03T00:00:00Z", "2025-10-03T00:00:00Z"),
        (None, "10/03/2025 00:00:01", "2025-10-03T00:00:01Z"),
        ("No data", "No data", None),
    ],
)
def test_the_timestamp_is_the_events_else_the_last_updates(event: Any, backend: Any, at: str | None) -> None:
    mapped = MODULES["CheckpointHarmony"].connector.mapper()(
        {"event_timestamp": event, "backend_last_updated": backend}
    )
    assert mapped.get("@timestamp") == at
