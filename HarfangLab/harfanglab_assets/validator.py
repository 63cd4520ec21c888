"""HarfangLab's "Test connector"."""

from shared.runtime.connection_test import ConnectionTest

from .connector import HarfangLabDeviceConnector


class HarfangLabAccountValidator(ConnectionTest):
    """Reads one agent: tests the URL and its port, the certificate, the token and the right to see endpoints."""

    connector = HarfangLabDeviceConnector
