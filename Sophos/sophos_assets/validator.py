"""Sophos's "Test connector"."""

from __future__ import annotations

from shared.runtime.connection_test import DeviceAccountValidator

from .connector import SophosDeviceConnector


class SophosAccountValidator(DeviceAccountValidator):
    """Reads one endpoint: proves the credential, its role, and the way to the data region."""

    connector = SophosDeviceConnector
