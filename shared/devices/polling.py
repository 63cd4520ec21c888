"""When a vendor's devices are read, and what is remembered between two rounds; where they go is a subclass's part.

`shared.devices.inventory` sends them to the asset inventory, `shared.devices.playbooks` starts playbooks for what changed.
"""

from __future__ import annotations

import gc
import math
import time
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from threading import Event
from typing import Any, ClassVar

from typing_extensions import override

from shared import times
from shared.devices.batch import Doubts
from shared.devices.delivery import AssetDelivery
from shared.devices.refused import REFUSED, Refused
from shared.devices.round import Round
from shared.devices.starts import ChangeDelivery
from shared.devices.stateful import FULL_WALK, LABEL, StatefulService
from shared.devices.walks import WHOLE, Scope, Walk
from shared.errors import ActionNeeded, ConnectorError, TryAgain
from shared.http.session import Patience
from shared.mapping.table import Field, Mapper, paths_of
from shared.runtime.metrics import STATES, Counts

OVERLAP = 600.0  # seconds before the cursor from which on changes are asked for: rows become visible late
_FAILING = "failing"  # the scope's last try failed
_CLOSED = "closed_since_warning"  # when it was last logged that the scope is closed, epoch seconds
_DAY = 86_400
_REST = 60  # seconds from one round to the next, from which on its memory is not kept in between,
_MUCH = 10_000  # where so many devices were read: to read fewer again costs more than it brings


class DevicePolling(StatefulService):
    """Says when and what; a vendor's class says where from and how to map, a class of `shared` where to."""

    fields: ClassVar[Sequence[Field]]
    page_size: int | None = None  # rows a page, where not as many as the vendor allows
    patience = Patience(ahead=True)
    refreshes: ClassVar[bool] = True  # whether a full walk sends what was delivered long ago, unchanged
    _account: str | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._doubts = Doubts()
        self._accounts: dict[str, dict[str, int]] = {}  # by scope: what became of the devices in its last full walk
        self.metrics.fleet = self.fleet
        self._client: Any = None
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
    def silent_after(self) -> float:
        """Seconds without a sign of a listed device, after which it is silent."""
        return math.inf

    @abstractmethod
    def delivery(self, part: dict[str, Any]) -> AssetDelivery | ChangeDelivery:
        """Where the devices of one walk go; `part` is what is stored of its scope."""

    # --- the round

    @override
    def log(self, message: str, level: Any = "info", *args: Any, **kwargs: Any) -> None:
        """Every line begins with the name the customer gave the account, in modules that ask for one."""
        super().log(f"{self._account}: {message}" if self._account else message, level, *args, **kwargs)

    def cycle(self) -> None:
        """One round over every scope. Ends early, leaving the rest to the next start, when the process stops."""
        began, clock = time.time(), time.monotonic()
        self.counts, self._doubts, self.named = Counts(), Doubts(), 0
        self._account = getattr(self.module.configuration, LABEL, None)
        self.read_state()
        if self._client is None:
            client = self.connected()
            self.equip(client)
            self._client = client
        scopes = self.scopes(self._client)
        present = {scope.key for scope in scopes}
        self.state.listed(present, began)
        self._accounts = {key: account for key, account in self._accounts.items() if key in present}
        failures = self._collect_all(scopes, clock)
        if not self.running:
            return
        self.counts.seconds = time.monotonic() - clock
        self.report(self.counts, began)
        if self.frequency >= _REST and self.counts.read >= _MUCH:
            self.state.release()
            gc.collect()
        if failures:
            raise TryAgain(f"Not collected: {'; '.join(failures)}. The reasons are logged above.")

    def _collect_all(self, scopes: Sequence[Scope], clock: float) -> list[str]:
        """Each scope in turn, those first that worked last; → the names of those that failed.

        The tries after a failure are for those alone, until the next round over all scopes is due: one failing tenant
        must not have all the others read every few minutes.
        """
        if not self._behind or clock >= self._due:
            self._behind, self._due = {scope.key for scope in scopes}, clock + self.frequency
        failures, closed = [], []
        due = [scope for scope in scopes if scope.key in self._behind]
        for scope in sorted(due, key=lambda scope: self.state.of(scope.key).get(_FAILING, False)):
            part = self.state.of(scope.key)
            try:
                if scope.closed:
                    raise ActionNeeded(scope.closed, status=403)
                self._collect(scope, part)
                self._behind.discard(scope.key)
                part.pop(_FAILING, None)
                part.pop(_CLOSED, None)
            except ConnectorError as error:
                if scope == WHOLE or error.ends_round or error.status == 429:  # a rate is the credential's
                    raise
                part[_FAILING] = True  # those that cannot be read come last, after a restart too
                if error.status == 403 and error.quoted is not None:
                    closed.append(error)
                    self._behind.discard(scope.key)
                    if not 0 <= int(time.time()) - part.get(_CLOSED, 0) < _DAY:
                        part[_CLOSED] = int(time.time())
                        self.warn(f"{scope.name} is skipped: {error}")
                else:
                    failures.append(scope.name)
                    self.log(f"{scope.name}: {error} The others go on.", level="error")
            self.state.store()
            if not self.moving():
                break
        if closed and len(closed) == len(scopes):
            raise ActionNeeded(f"None of the {len(scopes)} tenants can be read. The first: {closed[0]}")
        return failures

    def _collect(self, scope: Scope, part: dict[str, Any]) -> None:
        """Walk one scope and remember how far it got."""
        memory = self.state.memory(scope.key)
        self.recall(part, memory)
        began, counted = memory.begin(time.time()), asdict(self.counts)
        cursor = times.epoch(part.get(self.cursor_key))
        walked = part.get(FULL_WALK, 0)
        due = not 0 <= began - walked < self.full_sync_interval
        # A device whose event is to be retried may not be among the changes any more.
        refused = Refused(part.get(REFUSED, {}), self.full_sync_interval, self.refusals)
        due = due or refused.has_retries(since=walked)
        since = None if due or cursor is None else max(0.0, cursor - OVERLAP)
        full = since is None
        of = f" of {scope.name}" if scope.name else ""
        self.log(f"Reading {'all devices' if since is None else f'changes since {times.iso(since)}'}{of}", level="info")
        round_ = Round(
            self,
            part,
            memory,
            partial(self.walk, self._client, since, scope),
            self.mapper(),
            self.delivery(part),
            full=full,
            refresh_after=self.full_sync_interval if full and self.refreshes else None,
            silent_after=self.silent_after,
        )
        try:
            succeeded = round_.run()
        except ConnectorError:
            with suppress(ConnectorError):  # what failed first is to be reported
                self.state.store()
            raise
        if succeeded and full:
            part[FULL_WALK] = began
            account = asdict(self.counts)
            self._accounts[scope.key] = {name: account[name] - counted[name] for name in STATES}
        self.state.store()

    def connected(self) -> Any:
        """A client of the vendor, for the settings as they are."""
        settings = self.module.configuration
        return self.connect(settings, stop=self._stop_event, patience=self.patience, page_size=self.page_size)

    def report(self, done: Counts, began: float) -> None:
        """Log what became of each device that the console listed."""
        learned = f" · learned {done.learned:,}" if done.learned else ""
        gone = f" · gone {done.gone:,}" if done.gone else ""
        self.log(
            f"listed {done.listed:,} by the console · delivered {done.delivered:,} · unchanged {done.unchanged:,} · "
            f"refused {done.refused:,} · unmappable {done.unmappable:,}{learned}{gone} · "
            f"{done.seconds:.1f} s · next {self.next_round(began)}",
            level="info",
        )

    # --- health

    def fleet(self) -> dict[str, int]:
        """What became of the devices in the last full walk of each scope; empty before the first."""
        accounts = [*self._accounts.values()]
        return {state: sum(account[state] for account in accounts) for state in STATES} if accounts else {}

    @override
    def liveness_context(self) -> dict[str, Any]:
        return {**super().liveness_context(), "devices": self.fleet()}
