"""ESET devices in, events out. A payload with `groups` is what the client makes of a device and those groups."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eset_assets.client import named_group, with_group

from lab.modules import MODULES
from tests.golden import GoldenFiles

FOLDER = Path(__file__).parent
SAMPLES = FOLDER / "specification"  # the specification's own: a device, a device group, and the event they become


class TestGoldenFiles(GoldenFiles):
    lab_module = MODULES["ESET"]
    folder = FOLDER

    def record_of(self, payload: Path) -> Any:
        groups = json.loads(payload.read_text(encoding="utf-8")).get("groups", [])
        return with_group(super().record_of(payload), dict(filter(None, map(named_group, groups))))


def test_the_sample_of_the_specification_becomes_its_event() -> None:
    """Field for field; the sample lost the `parentGroupUuid` its event needs, and OCSF asks for the severity."""
    device, group, event = (
        json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8")) for name in ("device", "group", "event")
    )
    mapped = MODULES["ESET"].connector.mapper()(
        with_group({**device, "parentGroupUuid": group["uuid"]}, {group["uuid"]: group["displayName"]})
    )
    assert (mapped.pop("severity"), mapped.pop("severity_id")) == ("Informational", 1)
    assert mapped == event
