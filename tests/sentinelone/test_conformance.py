"""The suites every vendor inherits, for SentinelOne."""

from __future__ import annotations

from lab.modules import MODULES
from tests.absence_conformance import DeviceAbsenceConformance
from tests.conformance import DeviceConformance, DeviceConnectorConformance


class SentinelOneFacts(DeviceConformance):
    lab_module = MODULES["SentinelOne"]
    list_route = "agents"
    cursor_field = "updatedAt"
    name_fields = ("computerName",)
    id_fields = ("uuid", "id")
    seen_field = "lastActiveDate"
    change = {"computerName": "renamed", "siteName": "moved"}
    page_without_end = {"data": [], "pagination": {"nextCursor": "YWdhaW4%3D", "totalItems": 0}}


class TestSentinelOne(SentinelOneFacts, DeviceConnectorConformance):
    pass


class TestSentinelOneChanges(SentinelOneFacts, DeviceAbsenceConformance):
    pass
