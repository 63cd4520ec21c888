"""When a vendor's devices are read, and what is remembered between two rounds; where they go is a subclass's part.

`shared.devices.inventory` sends them to the asset inventory, `shared.devices.playbooks` tells playbooks of what is new or changed.
"""

from __future__ import annotations

import gc
import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path
from threading import Event
from typing import Any, ClassVar, NamedTuple

from pydantic import BaseModel

from shared import times
from shared.devices.refusals import Refusals
from shared.devices.round import Delivery, Round, Walk
from shared.errors import ConnectorError, SkipRecord, TryAgain
from shared.http.session import Patience
from shared.mapping.table import Field, Mapper, paths_of
from shared.runtime.metrics import Counts
from shared.runtime.service import Service
from shared.state.fingerprints import Fingerprints
from shared.state.storage import JsonFile

FULL_WALK = "full_walk_began"  # of the last full walk that came to its end, epoch seconds
_MADE_FOR = "made_for"  # the release of the module that stored the state, and a hash of where it was pointed to
_MOST_NAMED = 1_000  # skipped devices a round: a broken page of millions must not become millions of log lines
SCOPES = "scopes"  # the positions of scopes, by key


class Scope(NamedTuple):
    """A part of what a credential sees, such as a tenant. `key` names its state (letters, digits, dashes).

    `closed` says why it cannot be read for the time being; "" when it can.
    """

    key: str
    name: str
    closed: str = ""


WHOLE = Scope("", "")


class DevicePolling(Service):
    """Says when and what; a vendor's class says where from and how to map, a class of `shared` where to."""

    fields: ClassVar[Sequence[Field]]
    cursor_key: ClassVar[str] = "cursor"
    page_size: int | None = None  # rows a page, where not as many as the vendor allows
    record_names: ClassVar[tuple[str, ...]] = ("id", "uuid")  # by which the log names a record that is skipped
    state_prefix: ClassVar[str] = ""  # of the names of the files in `data_path`
    patience = Patience(ahead=True)
    refreshes: ClassVar[bool] = True  # whether a full walk that is due sends what is unchanged too
    _account: str | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._context: dict[str, Any] = {}
        self._client: Any = None
        self._fingerprints: dict[str, Fingerprints] = {}
        self._refusals: dict[str, Refusals[int]] = {}  # by the scope's key
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
    def paths(cls, *further: str) -> set[str]:
        """What is read of a record: by the table, by the log, and on `further` paths. A client need parse no more."""
        return {*paths_of(cls.fields), *cls.record_names, *further}

    @classmethod
    def mapper(cls) -> Mapper:
        """The vendor's table, ready to run."""
        return Mapper(cls.fields)

    def equip(self, client: Any) -> None:
        """Room to give a client what only a running connector has: a file of its state, a way to warn."""

    # --- what the class of a destination says

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """Devices handed over at once."""

    @property
    @abstractmethod
    def full_sync_interval(self) -> int:
        """Seconds from the begin of a full walk to the begin of the next."""

    @abstractmethod
    def delivery(self, place: dict[str, Any]) -> Delivery:
        """Where the devices of one walk go; `place` is what is stored of its scope."""

    def memory(self, path: Path) -> Fingerprints:
        """What was delivered, kept in this file."""
        return Fingerprints(path)

    # --- the round

    def log(self, message: str, level: Any = "info", *args: Any, **kwargs: Any) -> None:
        """Every line begins with the name the customer gave the account, in modules that ask for one."""
        super().log(f"{self._account}: {message}" if self._account else message, level, *args, **kwargs)

    def cycle(self) -> None:
        """One round over every scope. Ends early, leaving the rest to the next start, when the process stops."""
        # A page makes 10⁵ objects that live until the next; by default the collector looks through them 150 times.
        gc.set_threshold(50_000, 20, 50)
        began, clock = time.time(), time.monotonic()
        self.counts = Counts()
        self._account = getattr(self.module.configuration, "account_name", None)
        self._recall()
        if self._client is None:
            client = self._connected()
            self.equip(client)
            self._client = client
        failures = self._collect_all(self.scopes(self._client), clock)
        if not self.running:
            return
        self.counts.seconds = time.monotonic() - clock
        self.report(self.counts, began)
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
                if scope == WHOLE or error.ends_round or error.status == 429:  # a rate is the credential's
                    raise
                failures.append(scope.name)
                self.log(f"{scope.name}: {error} The others go on.", level="error")
            if not self.moving():
                break
        return failures

    def _collect(self, scope: Scope) -> None:
        """Walk one scope and remember how far it got."""
        began, place = time.time(), self._place(scope)
        full = not 0 <= began - place.get(FULL_WALK, 0) < self.full_sync_interval
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
            self._refusals.setdefault(scope.key, Refusals("device")),
            self.delivery(place),
            self.counts,
            since=since,
            batch_size=self.batch_size,
            refresh=full and self.refreshes,
            running=self.moving,
            move_cursor=partial(self._move_cursor, place),
            skip=self._name_skipped,
        )
        if not round_.run():
            return
        if full:
            fingerprints.end_full_walk()
            place[FULL_WALK] = began
            self.update_checkpoint()
        fingerprints.save()

    def _connected(self) -> Any:
        settings = self.module.configuration
        return self.connect(settings, stop=self._stop_event, patience=self.patience, page_size=self.page_size)

    def _name_skipped(self, record: Any, reason: SkipRecord) -> None:
        if self.counts.skipped > _MOST_NAMED:
            return
        told = record if isinstance(record, dict) else {}
        name = next((f"{key} {told[key]}" for key in self.record_names if isinstance(told.get(key), str | int)), None)
        where = name or f"number {self.counts.read} of this round, without an id"
        self.log(f"Skipped a device ({where[:100]}): {reason}", level="warning")
        if self.counts.skipped == _MOST_NAMED:
            self.log("Further devices that are skipped in this round are counted and not named.", level="warning")

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

    @cached_property
    def _context_file(self) -> JsonFile:
        return JsonFile(self.state_file("context.json"))

    def state_file(self, name: str) -> Path:
        """A file of this connector's own, apart from those of others that share its `data_path`."""
        return self.data_path / (self.state_prefix + name)

    def _made_for(self) -> str:
        settings = self.module.configuration
        secrets = set(self.module.manifest_secrets())
        public = settings.model_dump_json(exclude=secrets) if isinstance(settings, BaseModel) else ""
        return f"{self.module.manifest.get('version')} {blake2b(public.encode(), digest_size=8).hexdigest()}"

    def _place(self, scope: Scope) -> dict[str, Any]:
        """Where the stored position of a scope is: changed in place, stored with `update_checkpoint`."""
        if scope == WHOLE:
            return self._context
        place: dict[str, Any] = self._context.setdefault(SCOPES, {}).setdefault(scope.key, {})
        return place

    def _fingerprints_of(self, scope: Scope) -> Fingerprints:
        if scope.key not in self._fingerprints:  # not by the name, which may change
            name = f"fingerprints-{scope.key}.bin" if scope.key else "fingerprints.bin"
            self._fingerprints[scope.key] = self.memory(self.state_file(name))
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
        for key in (self.cursor_key, FULL_WALK, SCOPES):
            self._context.pop(key, None)
        self.update_checkpoint()

    def cursor(self) -> float | None:
        places = [self._context, *self._context.get(SCOPES, {}).values()]
        cursors = [at for place in places if (at := times.epoch(place.get(self.cursor_key))) is not None]
        return min(cursors, default=None)

    def liveness_context(self) -> dict[str, Any]:
        return {**super().liveness_context(), "round": asdict(self.counts)}
