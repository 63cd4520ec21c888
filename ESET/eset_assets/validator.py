"""ESET's "Test connector"."""

from shared.devices.validator import DeviceAccountValidator

from .connector import EsetDeviceConnector


class EsetAccountValidator(DeviceAccountValidator):
    """Reads one device: tests the region, the user and its right to use the API."""

    connector = EsetDeviceConnector
