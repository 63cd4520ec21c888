"""The "Test connector" button of the modules that send devices."""

from contextlib import suppress
from typing import Any, ClassVar

from shared.devices.inventory import DeviceConnector
from shared.errors import ConnectorError
from shared.http.pages import Page
from shared.runtime.connection_test import ConnectionTest

_MAX_SCOPES = 3


class DeviceAccountValidator(ConnectionTest):
    """Reads one device."""

    connector: ClassVar[type[DeviceConnector]]

    def read_one(self, client: Any) -> Page:
        """The first page, of one device; of several scopes, of the first that can be read."""
        *others, last = [scope for scope in self.connector.scopes(client) if not scope.closed][:_MAX_SCOPES]
        for scope in others:
            with suppress(ConnectorError):
                return next(self.connector.walk(client, None, scope).pages)
        return next(self.connector.walk(client, None, last).pages)
