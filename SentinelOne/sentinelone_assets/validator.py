"""SentinelOne's "Test connector"."""

from shared.runtime.connection_test import ConnectionTest

from .connector import SentinelOneDeviceConnector


class SentinelOneAccountValidator(ConnectionTest):
    """Reads one agent: tests the token and the permission Endpoints.view."""

    connector = SentinelOneDeviceConnector
