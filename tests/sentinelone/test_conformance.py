"""The suite every vendor inherits, for SentinelOne."""

from __future__ import annotations

from lab.modules import MODULES
from tests.conformance import DeviceConnectorConformance


class TestSentinelOne(DeviceConnectorConformance):
    lab_module = MODULES["SentinelOne"]
    list_route = "agents"
    cursor_field = "updatedAt"
    name_fields = ("computerName",)
    id_fields = ("uuid", "id")
    change = {"computerName": "renamed", "siteName": "moved"}
    page_without_end = {"data": [], "pagination": {"nextCursor": "YWdhaW4%3D", "totalItems": 0}}
