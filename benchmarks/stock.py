"""The SDK's own loop over the same client and the same mapper: `python -m benchmarks.stock MODULE`, in the module's folder.

`get_assets` gives what our client and mapper give, checked by the SDK's model; the checkpoint is stored as the SDK's
documents show. All else (batches, pushes, tasks, logs, garbage collection) is as the SDK 1.27 has it. One round.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

import sys
from collections.abc import Generator
from contextlib import suppress
from threading import Event
from typing import Any

from pydantic import ValidationError
from sekoia_automation.asset_connector import AssetConnector
from sekoia_automation.asset_connector.models.connector import DefaultAssetConnectorConfiguration
from sekoia_automation.storage import PersistentJSON
from sekoia_automation_models.ocsf.device import DeviceOCSFModel

from lab.modules import MODULES
from shared.errors import SkipRecord
from shared.http.session import Patience

VENDOR: Any = MODULES[sys.argv[1]] if __name__ == "__main__" else None


class StockConnector(AssetConnector):
    """The devices of `VENDOR`, in the SDK's loop."""

    configuration: DefaultAssetConnectorConfiguration

    def get_assets(self) -> Generator[DeviceOCSFModel, None, None]:
        vendor: Any = VENDOR.connector
        mapper = vendor.mapper()
        client = vendor.connect(self.module.configuration, stop=Event(), patience=Patience())
        for scope in vendor.scopes(client):
            for page in vendor.walk(client, None, scope).pages:
                for record in page.records:
                    with suppress(SkipRecord, ValidationError):
                        yield DeviceOCSFModel.model_validate(mapper(record))

    def update_checkpoint(self) -> None:
        with PersistentJSON("context.json", self.data_path) as context:
            context["cursor"] = "2026-01-01T00:00:00Z"

    def reset_checkpoint(self) -> None: ...

    def get_mapped_fields(self) -> dict[str, str]:
        return {field.label: field.path for field in VENDOR.connector.fields}

    def run(self) -> None:
        self.asset_fetch_cycle()
        self.stop()


if __name__ == "__main__":
    module = VENDOR.module()
    module.register(StockConnector, VENDOR.command)
    sys.argv = ["main.py", VENDOR.command]
    module.run()
