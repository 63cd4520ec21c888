"""ESET's "Test connector"."""

from __future__ import annotations

from shared.runtime.connection_test import DeviceAccountValidator

from .connector import EsetDeviceConnector


class EsetAccountValidator(DeviceAccountValidator):
    """Reads one device: proves the region, the user and that it may use the API."""

    connector = EsetDeviceConnector
