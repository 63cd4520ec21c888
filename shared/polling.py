"""The base of the device connectors: when to read what, and what is remembered between two rounds.

A subclass of the SDK's `AssetConnector` that mends what its loop loses: there a refused batch is passed over, the
checkpoint moves before the reply is read, and a failed ingestion is only logged.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

import gc
import os
import time
from abc import abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import asdict
from threading import Event
from typing import Any, ClassVar

from sekoia_automation.asset_connector import AssetConnector
from sekoia_automation.asset_connector.models.ocsf.device import DeviceOCSFModel

from shared import times
from shared.cycle import Counts, Round, Walk
from shared.delivery import AssetDelivery
from shared.errors import ActionNeeded, SkipRecord
from shared.fingerprints import Fingerprints
from shared.http import ApiSession, Patience
from shared.mapping import Field, Mapper, mapped_fields
from shared.service import Service
from shared.settings import DeviceConnectorConfiguration
from shared.state import JsonFile
from shared.tokens import FixedToken

_FULL_WALK = "full_walk_began"  # of the last full walk that came to its end, epoch seconds
_RELEASE = "release"  # of the module that stored the state


class DeviceConnector(Service, AssetConnector):
    """Says when and what; a vendor's class says where from, and how to map."""

    configuration: DeviceConnectorConfiguration

    fields: ClassVar[Sequence[Field]]
    cursor_key: ClassVar[str] = "cursor"
    record_names: ClassVar[tuple[str, ...]] = ("id", "uuid")  # by which the log names a record that is skipped

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.counts = Counts()
        self.schema_store = JsonFile(self.data_path / self.ASSET_SCHEMA_FIELDS_FILE)  # type: ignore[assignment] # atomic
        self._context_file = JsonFile(self.data_path / "context.json")
        self._context: dict[str, Any] = {}
        self._mapper = Mapper(self.fields)
        self._client: Any = None
        self._stored_fingerprints: Fingerprints | None = None

    # --- what a vendor's class says

    @classmethod
    @abstractmethod
    def connect(cls, settings: Any, *, stop: Event, patience: Patience, page_size: int | None = None) -> Any:
        """A client for these settings. Makes no call; raises ActionNeeded when they cannot work."""

    @classmethod
    @abstractmethod
    def walk(cls, client: Any, since: float | None) -> Walk:
        """The devices changed since (epoch seconds, inclusive), or all of them."""

    # --- the round

    def cycle(self) -> None:
        self.asset_fetch_cycle()

    def asset_fetch_cycle(self) -> None:
        """One round. Ends early, leaving the rest to the next start, when the process stops."""
        gc.set_threshold(
            50_000, 20, 50
        )  # a page makes 10⁵ short-lived objects; the default looks through them 150 times
        began, clock = time.time(), time.monotonic()
        self.counts = Counts()
        fingerprints = self._recall()
        self._check_schema_and_reset_if_needed()
        full = not 0 <= began - self._context.get(_FULL_WALK, 0) < self.configuration.full_sync_interval
        cursor = None if full else times.epoch(self._context.get(self.cursor_key))
        self.log(f"Reading {'all devices' if cursor is None else 'changes since ' + times.iso(cursor)}", level="info")
        if self._round(fingerprints, cursor, full=full):
            if full:
                fingerprints.end_full_walk()
                self._context[_FULL_WALK] = began
                self.update_checkpoint()
            fingerprints.save()
            self._report(began, time.monotonic() - clock)

    def _round(self, fingerprints: Fingerprints, since: float | None, *, full: bool) -> bool:
        if self._client is None:
            self._client = self.connect(self.module.configuration, stop=self._stop_event, patience=self.patience)
        if full:
            fingerprints.begin_full_walk()
        return Round(
            self.walk(self._client, since),
            self._mapper,
            fingerprints,
            self._delivery(),
            self.counts,
            since=since,
            batch_size=self.batch_size,
            refresh=full,
            running=lambda: self.running,
            move_cursor=self._move_cursor,
            skip=self._name_skipped,
        ).run()

    def _delivery(self) -> AssetDelivery:
        platform = ApiSession(
            "Sekoia.io",
            self.configuration.sekoia_base_url or self.production_base_url,
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
            warn=lambda message: self.log(message, level="warning"),
        )

    def _name_skipped(self, record: Any, reason: SkipRecord) -> None:
        told = record if isinstance(record, dict) else {}
        name = next((f"{key} {told[key]}" for key in self.record_names if isinstance(told.get(key), str | int)), None)
        where = name or f"number {self.counts.read} of this round, without an id"
        self.log(f"Skipped a device ({where[:100]}): {reason}", level="warning")

    def _report(self, began: float, seconds: float) -> None:
        done = self.counts
        due = time.strftime("%H:%M UTC", time.gmtime(max(began + self.frequency, time.time())))
        self.log(
            f"read {done.read} · sent {done.sent} · unchanged {done.unchanged} · skipped {done.skipped} · "
            f"{seconds:.1f} s · next {due}",
            level="info",
        )

    # --- what is remembered

    def _recall(self) -> Fingerprints:
        """Read the state. What was damaged, or stored by another release, is followed by a full walk."""
        self._context = self._context_file.read()
        if self._stored_fingerprints is None:
            self._stored_fingerprints = Fingerprints(self.data_path / "fingerprints.bin")
        release = self.module.manifest.get("version")
        if self._context_file.damaged:
            self.log("The stored position was damaged; the copy before it is used and all devices are read", "warning")
        if self._context_file.damaged or self._context.get(_RELEASE) != release:
            self._context[_RELEASE] = release
            self.reset_checkpoint()
        return self._stored_fingerprints

    def _move_cursor(self, seconds: float) -> None:
        place = times.iso(seconds)
        if place != self._context.get(self.cursor_key):
            self._context[self.cursor_key] = place
            self.update_checkpoint()

    def update_checkpoint(self) -> None:
        """Store the position. Only called for what is delivered."""
        self._context_file.write(self._context)

    def reset_checkpoint(self) -> None:
        """Forget the position, so that all devices are read again; what did not change is not sent again."""
        for key in (self.cursor_key, _FULL_WALK):
            self._context.pop(key, None)
        self.update_checkpoint()

    # --- what the SDK asks

    def get_mapped_fields(self) -> dict[str, str]:
        return mapped_fields(self.fields)

    def get_assets(self) -> Generator[DeviceOCSFModel, None, None]:
        """Every device there is, mapped; sends and stores nothing. The rounds do not use it."""
        client = self.connect(self.module.configuration, stop=self._stop_event, patience=self.patience)
        for page in self.walk(client, None).pages:
            for record in page.records:
                try:
                    yield DeviceOCSFModel.model_validate(self._mapper(record))
                except SkipRecord as reason:
                    self._name_skipped(record, reason)

    @property
    def batch_size(self) -> int:
        return _from_environment("ASSET_CONNECTOR_BATCH_SIZE") or self.configuration.batch_size

    @property
    def frequency(self) -> int:
        return _from_environment("ASSET_CONNECTOR_FREQUENCY") or self.configuration.frequency

    def liveness_context(self) -> dict[str, Any]:
        return {**super().liveness_context(), "round": asdict(self.counts)}


def _from_environment(name: str) -> int | None:
    value = os.environ.get(name, "")
    if value and not (value.isdecimal() and int(value) > 0):
        raise ActionNeeded(f"The environment variable {name} must be a whole number above 0.")
    return int(value) if value else None
