"""The suites every vendor inherits, with its part on fetched tokens, for ESET."""

from __future__ import annotations

from typing import Any

import pytest
from eset_assets.client import with_group

from lab.modules import MODULES
from tests.changes_conformance import DeviceChangesConformance
from tests.conformance import DeviceConformance, TokenConformance
from tests.rig import Rig


class EsetFacts(DeviceConformance):
    lab_module = MODULES["ESET"]

    def records(self, console: Any) -> dict[str, dict[str, Any]]:
        """As the client hands them on: each with its group."""
        groups = {group["uuid"]: group["displayName"] for group in console.groups}
        return {uid: with_group(record, groups) for uid, record in super().records(console).items()}

    def expire(self, console: Any) -> None:
        console.expire_tokens()


class TestEset(EsetFacts, TokenConformance):
    @pytest.mark.parametrize("empty_page_last", [True, False])
    def test_empty_lists_that_are_left_out_cost_no_device_and_no_group(self, rig: Rig, empty_page_last: bool) -> None:
        """protobuf's JSON leaves an empty list out: each round was an error, forever, or no device had its group."""
        rig.console.leaves_empty_lists_out, rig.console.empty_page_last = True, empty_page_last
        rig.cycle()
        self.assert_all_delivered(rig)
        rig.console.has([])
        assert rig.cycle().counts.read == 0


@pytest.mark.slow  # make test runs these for SentinelOne
class TestEsetChanges(EsetFacts, DeviceChangesConformance):
    pass
