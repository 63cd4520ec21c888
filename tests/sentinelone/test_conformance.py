"""The suites every vendor inherits, for SentinelOne."""

from __future__ import annotations

from lab.modules import MODULES
from tests.absence_conformance import DeviceAbsenceConformance
from tests.conformance import DeviceConformance, DeviceConnectorConformance


class SentinelOneFacts(DeviceConformance):
    lab_module = MODULES["SentinelOne"]


class TestSentinelOne(SentinelOneFacts, DeviceConnectorConformance):
    pass


class TestSentinelOneChanges(SentinelOneFacts, DeviceAbsenceConformance):
    pass
