"""SentinelOne's "Test connector"."""

from __future__ import annotations

from shared.runtime.connection_test import DeviceAccountValidator

from .connector import SentinelOneDeviceConnector


class SentinelOneAccountValidator(DeviceAccountValidator):
    """Reads one agent: proves the token and the permission Endpoints.view."""

    connector = SentinelOneDeviceConnector
