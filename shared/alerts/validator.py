"""The "Test connector" button of the modules that send alerts."""

import time
from typing import Any, ClassVar

from shared.alerts.connector import EventConnector
from shared.http.pages import Page
from shared.runtime.connection_test import ConnectionTest


class EventAccountValidator(ConnectionTest):
    """Reads one event of the last day."""

    connector: ClassVar[type[EventConnector]]

    def read_one(self, client: Any) -> Page:
        now = int(time.time())
        return next(self.connector.pages(client, now - 86_400, now))
