"""ESET's "Test connector"."""

from shared.runtime.connection_test import ConnectionTest

from .connector import EsetDeviceConnector


class EsetAccountValidator(ConnectionTest):
    """Reads one device: tests the region, the user and its right to use the API."""

    connector = EsetDeviceConnector
