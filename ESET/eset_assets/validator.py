"""ESET's "Test connector"."""

from shared.runtime.connection_test import ConnectionTest

from .connector import EsetDeviceConnector


class EsetAccountValidator(ConnectionTest):
    """Reads one device: proves the region, the user and that it may use the API."""

    connector = EsetDeviceConnector
