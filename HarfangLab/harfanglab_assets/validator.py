"""HarfangLab's "Test connector"."""

from __future__ import annotations

from shared.runtime.connection_test import DeviceAccountValidator

from .connector import HarfangLabDeviceConnector


class HarfangLabAccountValidator(DeviceAccountValidator):
    """Reads one agent: proves the URL and its port, the certificate, the token and the right to see endpoints."""

    connector = HarfangLabDeviceConnector
