"""Golden files: a payload in, an event out, reviewed as a diff.

`payloads/<name>.json` holds `{"origin": where it comes from, "record": {…}}`, `golden/<name>.json` the event, or
`{"skipped": "field: reason"}`. A golden file changes only with a line in the module's CHANGELOG:
`UPDATE_GOLDEN=1 pytest tests/<vendor>` writes them again.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sekoia_automation_models.ocsf.device import DeviceOCSFModel

from lab.modules import LabModule
from shared.errors import SkipRecord
from tests.differences import differences
from tests.ocsf import assert_is_ocsf

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z, for events whose record has no time


class GoldenFiles:
    """Inherit; `folder` holds payloads/ and golden/."""

    lab_module: ClassVar[LabModule]
    folder: ClassVar[Path]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "payload" in metafunc.fixturenames:
            payloads = sorted((metafunc.cls.folder / "payloads").glob("*.json"))
            metafunc.parametrize("payload", payloads, ids=[path.stem for path in payloads])

    def record_of(self, payload: Path) -> Any:
        """The raw record as the client would hand it to the mapper."""
        return json.loads(payload.read_text(encoding="utf-8"))["record"]

    def test_a_payload_becomes_the_golden_event(self, payload: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(time, "time", lambda: NOW)
        try:
            event = self.lab_module.connector.mapper()(self.record_of(payload))
        except SkipRecord as reason:
            event = {"skipped": str(reason)}
        golden = self.folder / "golden" / payload.name
        if os.environ.get("UPDATE_GOLDEN"):
            golden.parent.mkdir(exist_ok=True)
            golden.write_text(json.dumps(event, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        wrong = differences(json.loads(golden.read_text(encoding="utf-8")), event)
        assert not wrong, f"{golden.name} is not what the mapper makes of {payload.name}: {wrong}"
        if "skipped" not in event:
            self.assert_valid(event)

    def assert_valid(self, event: dict[str, Any]) -> None:
        """The event is valid for the platform's model and for OCSF's schema."""
        assert_is_ocsf(event)
        kept = DeviceOCSFModel.model_validate(event).model_dump(exclude_none=True, mode="json")
        assert kept == event, f"the SDK's model changes the event: {differences(event, kept)}"

    def test_each_payload_says_where_it_comes_from(self, payload: Path) -> None:
        assert json.loads(payload.read_text(encoding="utf-8"))["origin"]

    def test_there_are_at_least_eight_payloads(self) -> None:
        assert len(list((self.folder / "payloads").glob("*.json"))) >= 8

    def test_no_golden_file_is_left_without_its_payload(self) -> None:
        names = {kind: {path.name for path in (self.folder / kind).glob("*.json")} for kind in ("payloads", "golden")}
        assert names["golden"] == names["payloads"], "each payload has a golden file of its name, and no other is there"
