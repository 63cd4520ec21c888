"""The suites every vendor inherits, with its part on fetched tokens, for ESET."""

from __future__ import annotations

from typing import Any

import pytest
from eset_assets.client import with_group

from lab.modules import MODULES
from tests.absence_conformance import DeviceAbsenceConformance
from tests.conformance import DeviceConformance, TokenConformance
from tests.rig import Clock, Rig


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
class TestEsetChanges(EsetFacts, DeviceAbsenceConformance):
    @pytest.mark.parametrize(("left", "walks"), [(17, 3), (18, 2)])
    def test_when_most_devices_are_missing_a_third_walk_confirms_it(
        self, rig: Rig, clock: Clock, left: int, walks: int
    ) -> None:
        """No total is reported, so that a list that is cut looks complete."""
        self.learned(rig)
        rig.console.has([rig.console.record(identity) for identity in rig.console.ids[:left]])
        for _ in range(walks - 1):
            self.full_round(rig, clock)
            assert not rig.platform.playbook_runs
        self.full_round(rig, clock)
        assert [kind for _, kind, _ in self.runs(rig)] == ["gone"] * (35 - left)
