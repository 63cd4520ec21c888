"""Sophos's "Test connector"."""

from shared.runtime.connection_test import ConnectionTest

from .connector import SophosDeviceConnector


class SophosAccountValidator(ConnectionTest):
    """Reads one endpoint: tests the credential, its role, and the connection to the data region."""

    connector = SophosDeviceConnector
