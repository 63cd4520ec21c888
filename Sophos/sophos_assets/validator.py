"""Sophos's "Test connector"."""

from shared.devices.validator import DeviceAccountValidator

from .connector import SophosDeviceConnector


class SophosAccountValidator(DeviceAccountValidator):
    """Reads one endpoint: tests the credential, its role, and the connection to the data region."""

    connector = SophosDeviceConnector
