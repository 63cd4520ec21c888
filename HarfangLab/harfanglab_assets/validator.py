"""HarfangLab's "Test connector"."""

from shared.devices.validator import DeviceAccountValidator

from .connector import HarfangLabDeviceConnector


class HarfangLabAccountValidator(DeviceAccountValidator):
    """Reads one agent: tests the URL and its port, the certificate, the token and the right to see endpoints."""

    connector = HarfangLabDeviceConnector
