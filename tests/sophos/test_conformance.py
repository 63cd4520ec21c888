"""The suites every vendor inherits, with its part on fetched tokens, for Sophos."""

from __future__ import annotations

from typing import Any

import pytest

from lab.modules import MODULES
from tests.absence_conformance import DeviceAbsenceConformance
from tests.conformance import DeviceConformance, TokenConformance
from tests.rig import Rig


class SophosFacts(DeviceConformance):
    lab_module = MODULES["Sophos"]

    def expire(self, console: Any) -> None:
        console.expire_tokens()


class TestSophos(SophosFacts, TokenConformance):
    pass


@pytest.mark.slow  # make test runs these for SentinelOne
class TestSophosChanges(SophosFacts, DeviceAbsenceConformance):
    def test_another_name_of_the_account_swallows_no_change(self, rig: Rig) -> None:
        """The label counted as another console: the devices were learned again, and what had changed started nothing."""
        rig.settings["account_name"] = "ACME"
        self.learned(rig)
        self.change_all(rig)
        rig.settings["account_name"] = "ACME Europe"
        rig.cycle()
        assert len(self.runs(rig)) == 35
