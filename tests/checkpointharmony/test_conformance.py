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
    arguments = {**EventConnectorConformance.arguments, "ratelimit_per_minute": 1000}

    def as_sent(self, record: dict[str, Any]) -> dict[str, Any]:
        return as_given(record)

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_session_says_what_to_do_and_is_renewed_twice(self, rig: Rig, status: int) -> None:
        rig.console.fault(Status(status), match=self.lab_module.list_route, times=None)
        with pytest.raises(ActionNeeded, match=rf"{status}.*(Check the Client|Give the API key)"):
            rig.cycle()
        assert len(rig.console.calls_to(self.lab_module.list_route)) == 3
        assert len(rig.console.calls_to(self.lab_module.token_route)) == 3
