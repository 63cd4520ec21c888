"""The suites every vendor inherits, for HarfangLab."""

from __future__ import annotations

import pytest

from lab.modules import MODULES
from tests.absence_conformance import DeviceAbsenceConformance
from tests.conformance import DeviceConformance, DeviceConnectorConformance
from tests.rig import Clock, Rig


class HarfangLabFacts(DeviceConformance):
    lab_module = MODULES["HarfangLab"]


class TestHarfangLab(HarfangLabFacts, DeviceConnectorConformance):
    pass


@pytest.mark.slow  # make test runs these for SentinelOne
class TestHarfangLabChanges(HarfangLabFacts, DeviceAbsenceConformance):
    def test_a_device_that_was_there_when_the_others_were_learned_is_not_new(self, rig: Rig) -> None:
        """The list goes by offsets: when an agent leaves while it is read, another one is missed."""
        rig.console.has(36)
        missed = rig.console.record(rig.console.ids[35])
        rig.console.has(35)
        self.learned(rig)
        rig.console.has([*map(rig.console.record, rig.console.ids), missed])
        assert rig.cycle().counts.learned == 1
        rig.console.change(rig.console.ids[35], **self.lab_module.change)
        rig.cycle()
        assert [kind for _, kind, _ in self.runs(rig)] == ["changed"]

    def test_a_clock_that_was_ahead_while_the_devices_were_learned_hides_no_new_one(
        self, rig: Rig, clock: Clock
    ) -> None:
        clock.ahead = 9 * 3600
        self.learned(rig)
        clock.ahead = 0
        self.join(rig)
        rig.cycle()
        assert [kind for _, kind, _ in self.runs(rig)] == ["new"]
