"""The base of the asset connectors: devices to Sekoia.io's asset inventory.

A subclass of the SDK's `AssetConnector` that mends what its loop loses: there a refused batch is passed over, the
checkpoint moves before the reply is read, and a failed ingestion is only logged.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

import os
from collections.abc import Generator
from contextlib import suppress
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from sekoia_automation.asset_connector import AssetConnector
from sekoia_automation_models.ocsf.device import DeviceOCSFModel
from typing_extensions import override

from shared.devices.delivery import AssetDelivery
from shared.devices.polling import DevicePolling
from shared.errors import ActionNeeded, ConnectorError, SkipRecord
from shared.http.pages import Page
from shared.http.session import ApiSession
from shared.http.tokens import FixedToken
from shared.mapping.table import mapped_fields
from shared.runtime.settings import DeviceConnectorConfiguration
from shared.state.storage import JsonFile

_MAX_TESTED = 3  # scopes that "Test connector" tries


class DeviceConnector(DevicePolling, AssetConnector):
    """Sends each device that is new or changed, and all of them once in a full synchronisation interval."""

    configuration: DeviceConnectorConfiguration

    def cycle(self) -> None:
        self.asset_fetch_cycle()

    @override
    def asset_fetch_cycle(self) -> None:
        """One round."""
        super().cycle()

    def read_state(self) -> None:
        super().read_state()
        self.schema_store = JsonFile(self.data_path / self.ASSET_SCHEMA_FIELDS_FILE)  # type: ignore[assignment] # atomic
        self._check_schema_and_reset_if_needed()

    def delivery(self, part: dict[str, Any]) -> AssetDelivery:
        platform = ApiSession(
            "Sekoia.io",
            self._platform_url,
            FixedToken("Bearer", self.configuration.sekoia_api_key, "Sekoia.io API key"),
            stop=self._stop_event,
            patience=self.patience,
            headers={"User-Agent": f"sekoiaio-asset-connector-{self.module.connector_configuration_uuid}"},
            advice={
                401: "Check the Sekoia.io API key of this connector: it may have been revoked or have expired.",
                403: "Give the Sekoia.io API key the right to write assets.",
                404: "Check the Sekoia.io URL, and that this connector was not deleted on the Assets page.",
                413: "Lower the batch size of this connector.",
            },
        )
        return AssetDelivery(
            platform,
            f"api/v2/asset-management/asset-connector/{self.module.connector_configuration_uuid}",
            "api/v1/tasks",
            poll_interval=self.task_poll_interval,
            poll_timeout=self.task_poll_timeout,
            warn=self.warn,
            moving=self.moving,
            doubts=self._doubts,
        )

    @property
    def _platform_url(self) -> str:
        """The one that was entered, else the one that the container's environment names, else the default."""
        entered = "sekoia_base_url" in self.configuration.model_fields_set
        return self.configuration.sekoia_base_url if entered else self.production_base_url

    def destination(self) -> str:
        return urlsplit(self._platform_url).hostname or ""

    @classmethod
    def first_page(cls, client: Any) -> Page:
        """A page of devices, for "Test connector": of several scopes, of the first that can be read."""
        *others, last = [scope for scope in cls.scopes(client) if not scope.closed][:_MAX_TESTED]
        for scope in others:
            with suppress(ConnectorError):
                return next(cls.walk(client, None, scope).pages)
        return next(cls.walk(client, None, last).pages)

    # --- what the SDK asks

    @override
    def get_mapped_fields(self) -> dict[str, str]:
        return mapped_fields(self.fields)

    @override
    def get_assets(self) -> Generator[DeviceOCSFModel, None, None]:
        """Every device there is, mapped; sends and stores nothing. The rounds do not use it."""
        mapper, client = self.mapper(), self.connected()
        scopes = [scope for scope in self.scopes(client) if not scope.closed]
        for page in chain.from_iterable(self.walk(client, None, scope).pages for scope in scopes):
            for record in page.records:
                try:
                    yield DeviceOCSFModel.model_validate(mapper(record))
                except SkipRecord as reason:
                    self.name_skipped(record, reason)

    @property
    @override
    def batch_size(self) -> int:
        return _from_environment("ASSET_CONNECTOR_BATCH_SIZE") or self.configuration.batch_size

    @property
    @override
    def frequency(self) -> int:
        return _from_environment("ASSET_CONNECTOR_FREQUENCY") or super().frequency


def _from_environment(name: str) -> int | None:
    value = os.environ.get(name, "")
    if value and not (value.isdecimal() and int(value) > 0):
        raise ActionNeeded(f"The environment variable {name} must be a whole number above 0.")
    return int(value) if value else None
