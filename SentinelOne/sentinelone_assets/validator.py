"""SentinelOne's "Test connector"."""

from shared.devices.validator import DeviceAccountValidator

from .connector import SentinelOneDeviceConnector


class SentinelOneAccountValidator(DeviceAccountValidator):
    """Reads one agent: tests the token and the permission Endpoints.view."""

    connector = SentinelOneDeviceConnector
