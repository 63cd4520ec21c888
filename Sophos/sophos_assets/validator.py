"""Sophos's "Test connector"."""

from shared.devices.validator import DeviceAccountValidator

from .connector import SophosDeviceConnector


class SophosAccountValidator(DeviceAccountValidator):
    """Reads one endpoint: proves the credential, its role, and the way to the data region."""

    connector = SophosDeviceConnector
