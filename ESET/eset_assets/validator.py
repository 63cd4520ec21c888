"""ESET's "Test connector"."""

from shared.devices.validator import DeviceAccountValidator

from .connector import EsetDeviceConnector


class EsetAccountValidator(DeviceAccountValidator):
    """Reads one device: proves the region, the user and that it may use the API."""

    connector = EsetDeviceConnector
