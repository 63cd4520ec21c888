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
from functools import partial
from hashlib import blake2b
from itertools import chain
from threading import Event
from typing import Any, ClassVar, NamedTuple

from pydantic import BaseModel
from sekoia_automation.asset_connector import AssetConnector
from sekoia_automation.asset_connector.models.ocsf.device import DeviceOCSFModel

from shared import times
from shared.cycle import Counts, Round, Walk
from shared.delivery import AssetDelivery
from shared.errors import ActionNeeded, ConnectorError, SkipRecord, TryAgain
from shared.fingerprints import Fingerprints
from shared.http import ApiSession, Patience
from shared.mapping import Field, Mapper, mapped_fields
from shared.service import Service
from shared.settings import DeviceConnectorConfiguration
from shared.state import JsonFile
from shared.tokens import FixedToken

_FULL_WALK = "full_walk_began"  # of the last full walk that came to its end, epoch seconds
_MADE_FOR = "made_for"  # the release of the module that stored the state, and a hash of where it was pointed to
_MOST_NAMED = 1_000  # skipped devices a round: a broken page of millions must not become millions of log lines
_SCOPES = "scopes"  # the positions of scopes, by key


class Scope(NamedTuple):
    """A part of what a credential sees, such as a tenant. `key` names its state (letters, digits, dashes).

    `closed` says why it cannot be read for the time being; "" when it can.
    """

    key: str
    name: str
    closed: str = ""


WHOLE = Scope("", "")


class DeviceConnector(Service, AssetConnector):
    """Says when and what; a vendor's class says where from, and how to map."""

    configuration: DeviceConnectorConfiguration

    fields: ClassVar[Sequence[Field]]
    cursor_key: ClassVar[str] = "cursor"
    page_size: int | None = None  # rows a page, where not as many as the vendor allows
    record_names: ClassVar[tuple[str, ...]] = ("id", "uuid")  # by which the log names a record that is skipped
    _account: str | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.counts = Counts()
        self.schema_store = JsonFile(self.data_path / self.ASSET_SCHEMA_FIELDS_FILE)  # type: ignore[assignment] # atomic
        self._context_file = JsonFile(self.data_path / "context.json")
        self._context: dict[str, Any] = {}
        self._client: Any = None
        self._fingerprints: dict[str, Fingerprints] = {}
        self._behind: set[str] = set()  # scopes the last round did not collect
        self._due = 0.0  # when the next round over all scopes begins, whatever failed in the last

    # --- what a vendor's class says

    @classmethod
    @abstractmethod
    def connect(cls, settings: Any, *, stop: Event, patience: Patience, page_size: int | None = None) -> Any:
        """A client for these settings. Makes no call; raises ActionNeeded when they cannot work."""

    @classmethod
    @abstractmethod
    def walk(cls, client: Any, since: float | None, scope: Scope) -> Walk:
        """The scope's devices changed since (epoch seconds, inclusive), or all of them."""

    @classmethod
    def scopes(cls, client: Any) -> Sequence[Scope]:
        """The parts that are walked one by one, each with a cursor of its own: one, unless a vendor has tenants.

        Called before `walk`, in every round; raises ActionNeeded when none of them is open.
        """
        return (WHOLE,)

    @classmethod
    def mapper(cls) -> Mapper:
        """The vendor's table, ready to run."""
        return Mapper(cls.fields)

    def equip(self, client: Any) -> None:
        """Room to give a client what only a running connector has: a file in `data_path`, a way to warn."""

    # --- the round

    def cycle(self) -> None:
        self.asset_fetch_cycle()

    def log(self, message: str, level: Any = "info", *args: Any, **kwargs: Any) -> None:
        """Every line begins with the name the customer gave the account, in modules that ask for one."""
        super().log(f"{self._account}: {message}" if self._account else message, level, *args, **kwargs)

    def asset_fetch_cycle(self) -> None:
        """One round over every scope. Ends early, leaving the rest to the next start, when the process stops."""
        # A page makes 10⁵ objects that live until the next; by default the collector looks through them 150 times.
        gc.set_threshold(50_000, 20, 50)
        began, clock = time.time(), time.monotonic()
        self.counts = Counts()
        self._account = getattr(self.module.configuration, "account_name", None)
        self._recall()
        self._check_schema_and_reset_if_needed()
        if self._client is None:
            client = self._connected()
            self.equip(client)
            self._client = client
        failures = self._collect_all(self.scopes(self._client), clock)
        if not self.running:
            return
        self.counts.seconds = time.monotonic() - clock
        self._report(began)
        if failures:
            raise TryAgain(f"Not collected: {'; '.join(failures)}. The reasons stand above.")

    def _collect_all(self, scopes: Sequence[Scope], clock: float) -> list[str]:
        """Each scope in turn; → the names of those that failed. The tries after a failure are for those alone, until
        the next whole round is due: one closed tenant must not have all the others read every few minutes."""
        if not self._behind or clock >= self._due:
            self._behind, self._due = {scope.key for scope in scopes}, clock + self.frequency
        failures = []
        for scope in [scope for scope in scopes if scope.key in self._behind]:
            try:
                if scope.closed:
                    self.log(f"{scope.name} is passed over: {scope.closed}", level="warning")
                else:
                    self._collect(scope)
                self._behind.discard(scope.key)
            except ConnectorError as error:
                if scope == WHOLE or error.everywhere or error.status == 429:  # a rate is the credential's
                    raise
                failures.append(scope.name)
                self.log(f"{scope.name}: {error} The others go on.", level="error")
            if not self.running:
                break
        return failures

    def _collect(self, scope: Scope) -> None:
        """Walk one scope and remember how far it got."""
        began, place = time.time(), self._place(scope)
        full = not 0 <= began - place.get(_FULL_WALK, 0) < self.configuration.full_sync_interval
        since = None if full else times.epoch(place.get(self.cursor_key))
        of = f" of {scope.name}" if scope.name else ""
        self.log(f"Reading {'all devices' if since is None else f'changes since {times.iso(since)}'}{of}", level="info")
        fingerprints = self._fingerprints_of(scope)
        if full:
            fingerprints.begin_full_walk()
        round_ = Round(
            self.walk(self._client, since, scope),
            self.mapper(),
            fingerprints,
            self._delivery(),
            self.counts,
            since=since,
            batch_size=self.batch_size,
            refresh=full,
            running=lambda: self.running,
            move_cursor=partial(self._move_cursor, place),
            skip=self._name_skipped,
        )
        if not round_.run():
            return
        if full:
            fingerprints.end_full_walk()
            place[_FULL_WALK] = began
            self.update_checkpoint()
        fingerprints.save()

    def _connected(self) -> Any:
        settings = self.module.configuration
        return self.connect(settings, stop=self._stop_event, patience=self.patience, page_size=self.page_size)

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
        if self.counts.skipped > _MOST_NAMED:
            return
        told = record if isinstance(record, dict) else {}
        name = next((f"{key} {told[key]}" for key in self.record_names if isinstance(told.get(key), str | int)), None)
        where = name or f"number {self.counts.read} of this round, without an id"
        self.log(f"Skipped a device ({where[:100]}): {reason}", level="warning")
        if self.counts.skipped == _MOST_NAMED:
            self.log("Further devices that are skipped in this round are counted and not named.", level="warning")

    def _report(self, began: float) -> None:
        done = self.counts
        due = time.strftime("%H:%M UTC", time.gmtime(max(began + self.frequency, time.time())))
        self.log(
            f"read {done.read} · sent {done.sent} · unchanged {done.unchanged} · skipped {done.skipped} · "
            f"{done.seconds:.1f} s · next {due}",
            level="info",
        )

    # --- what is remembered

    def _recall(self) -> None:
        """Read the state. What was damaged, or stored by another release or for another console, is followed by a full
        walk: a position means nothing elsewhere."""
        if self._context_file.overtaken:
            self._fingerprints.clear()  # what the other process delivered is on the storage, not in here
            self._context_file.overtaken = False
        self._context = self._context_file.read()
        made_for = self._made_for()
        if self._context_file.damaged:
            self.log("The stored position was damaged; all devices are read again", level="warning")
        if self._context_file.damaged or self._context.get(_MADE_FOR) != made_for:
            self._context[_MADE_FOR] = made_for
            self.reset_checkpoint()

    def _made_for(self) -> str:
        settings = self.module.configuration
        secrets = set(self.module.manifest_secrets())
        public = settings.model_dump_json(exclude=secrets) if isinstance(settings, BaseModel) else ""
        return f"{self.module.manifest.get('version')} {blake2b(public.encode(), digest_size=8).hexdigest()}"

    def _place(self, scope: Scope) -> dict[str, Any]:
        """Where the stored position of a scope is: changed in place, stored with `update_checkpoint`."""
        if scope == WHOLE:
            return self._context
        place: dict[str, Any] = self._context.setdefault(_SCOPES, {}).setdefault(scope.key, {})
        return place

    def _fingerprints_of(self, scope: Scope) -> Fingerprints:
        if scope.key not in self._fingerprints:  # not by the name, which may change
            name = f"fingerprints-{scope.key}.bin" if scope.key else "fingerprints.bin"
            self._fingerprints[scope.key] = Fingerprints(self.data_path / name)
        return self._fingerprints[scope.key]

    def _move_cursor(self, place: dict[str, Any], seconds: float) -> None:
        cursor = times.iso(seconds)
        if cursor != place.get(self.cursor_key):
            place[self.cursor_key] = cursor
            self.update_checkpoint()

    def update_checkpoint(self) -> None:
        """Store the position. Only called for what is delivered."""
        self._context_file.write(self._context)

    def reset_checkpoint(self) -> None:
        """Forget the position, so that all devices are read again; what did not change is not sent again."""
        for key in (self.cursor_key, _FULL_WALK, _SCOPES):
            self._context.pop(key, None)
        self.update_checkpoint()

    # --- what the SDK asks

    def get_mapped_fields(self) -> dict[str, str]:
        return mapped_fields(self.fields)

    def get_assets(self) -> Generator[DeviceOCSFModel, None, None]:
        """Every device there is, mapped; sends and stores nothing. The rounds do not use it."""
        mapper, client = self.mapper(), self._connected()
        scopes = [scope for scope in self.scopes(client) if not scope.closed]
        for page in chain.from_iterable(self.walk(client, None, scope).pages for scope in scopes):
            for record in page.records:
                try:
                    yield DeviceOCSFModel.model_validate(mapper(record))
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
