"""The suite every connector of events inherits, for Check Point Harmony Mobile."""

from __future__ import annotations

from typing import Any

import pytest
from checkpoint_harmony.mapper import as_given

from lab.modules import MODULES
from lab.platform.faults import Status
from shared.errors import ActionNeeded
from tests.event_conformance import EventConnectorConformance
from tests.rig import Rig


class TestCheckpointHarmony(EventConnectorConformance):
    lab_module = MODULES["CheckpointHarmony"]
    list_route = "alerts"
    token_route = "token"
    renewed = ("401", "403")
    stamp_field = "backend_last_updated"
    arguments = {**EventConnectorConformance.arguments, "ratelimit_per_minute": 1000}
    page_without_list = {"meta": {"limit": 10, "next": None, "total_count": 35}, "objects": None}
    page_without_end: dict[str, Any] = {
        "meta": {"limit": 10, "next": "/external_api/v3/alert/?limit=10&offset=10", "total_count": 35},
        "objects": [],
    }

    def as_sent(self, record: dict[str, Any]) -> dict[str, Any]:
        return as_given(record)

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_session_says_what_to_do_and_is_renewed_twice(self, rig: Rig, status: int) -> None:
        rig.console.fault(Status(status), match=self.list_route, times=None)
        with pytest.raises(ActionNeeded, match=rf"{status}.*(Check the Client|Give the API key)"):
            rig.cycle()
        assert len(rig.console.calls_to(self.list_route)) == 3
        assert len(rig.console.calls_to(self.token_route)) == 3
