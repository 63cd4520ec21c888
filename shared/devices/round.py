"""One round of a connector: pages → events → what is not delivered yet → batches → confirmed → the cursor moves."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from shared.devices.delivery import MOST_WEIGHT, Batch
from shared.devices.refusals import Refusals
from shared.errors import ConnectorError, SkipRecord
from shared.http.pages import Page
from shared.mapping import ocsf
from shared.mapping.conversions import Record
from shared.mapping.table import Mapper
from shared.runtime.metrics import Counts
from shared.state.fingerprints import Fingerprints, key_of

_OWN_CLOCK_DOUBT = 300.0  # seconds our clock may run ahead of a vendor's that does not tell its own


@dataclass(frozen=True)
class Walk:
    """One way through the vendor's devices.

    `cursor_of` reads a record's place in time (epoch seconds); None where the vendor cannot be asked for changes.
    `sorted_by_cursor`: the rows come in that order, so that the cursor may move batch by batch.
    """

    pages: Generator[Page, None, None]
    cursor_of: Callable[[Record], float | None] | None = None
    sorted_by_cursor: bool = False


class Delivery(Protocol):
    """Where batches go: `shared.devices.delivery.AssetDelivery`, `shared.devices.playbooks.ChangeDelivery`."""

    def form(self, event: dict[str, Any], written: bytes, before: int | None, now: int) -> bytes:
        """What is sent of an event; b"" when it is only remembered.

        `written`: the event as JSON. `before`: the device as last delivered.
        """

    def send(self, batch: Batch) -> None: ...
    def confirmed(self, *, all_of_them: bool = False) -> Iterator[Batch]: ...
    def close(self) -> None: ...


class Round:
    """Runs a walk once. `move_cursor` stores a place in time, `skip` names a record, `running` turns false at a stop.

    `since` is where the walk begins; `refresh`: send what is unchanged too, unless it was delivered since the last
    full walk.
    """

    def __init__(
        self,
        walk: Walk,
        mapper: Mapper,
        fingerprints: Fingerprints,
        refusals: Refusals[int],
        delivery: Delivery,
        counts: Counts,
        *,
        since: float | None,
        batch_size: int,
        refresh: bool,
        running: Callable[[], bool],
        move_cursor: Callable[[float], None],
        skip: Callable[[Any, SkipRecord], None],
    ) -> None:
        self._walk = walk
        self._mapper = mapper
        self._fingerprints = fingerprints
        self._delivery = delivery
        self._counts = counts
        self._since = since
        self._batch_size = batch_size
        self._refresh = refresh
        self._running = running
        self._move_cursor = move_cursor
        self._skip = skip
        self._batch = Batch(most=batch_size)
        self._refusals = refusals
        self._refusals.begin()
        self._waiting_at: dict[int, float | None] = {}  # places of what was refused before
        self._under_way: dict[int, int] = {}  # fingerprints sent and not yet confirmed
        self._ceiling = time.time() - _OWN_CLOCK_DOUBT
        self._begun = False
        self._latest: float | None = None
        self._in_order = walk.sorted_by_cursor

    def run(self) -> bool:
        """Whether the walk was read and delivered to its end; False when the process stops. Raises what stopped it."""
        try:
            with closing(self._walk.pages) as pages:
                for page in pages:
                    self._read(page)
                    del page  # before the next one is parsed
                    if not self._running():
                        return False
            self._send()
            self._confirm(all_of_them=True)
        except ConnectorError as error:
            self._keep_what_arrives()
            if self._refusals.keys:
                raise self._refusals.beside(error) from None
            raise
        finally:
            self._delivery.close()
        if not self._running():
            return False
        for _, uid, reason in self._refusals.settled():
            self._counts.skipped += 1
            self._skip({"id": uid}, reason)
        places = [self._waiting_at[key] for key in self._refusals.keys]
        if (cursor := self._cursor()) is not None and None not in places:
            self._move_cursor(min(at for at in (cursor, *places) if at is not None))
        return True

    def _keep_what_arrives(self) -> None:
        """After a failure: what was read is sent all the same, what is delivered is remembered."""
        with suppress(ConnectorError):
            self._send()
            self._confirm(all_of_them=True)

    def _read(self, page: Page) -> None:
        if not self._begun and page.date is not None:
            self._ceiling = page.date
        self._begun = True
        self._counts.pages += 1
        for record in page.records:
            self._counts.read += 1
            try:
                self._take(record)
            except SkipRecord as reason:
                self._counts.skipped += 1
                self._skip(record, reason)
            self._pass_by(record)
            if self._batch.size >= self._batch.most or self._batch.weight >= MOST_WEIGHT:
                self._send()
                if not self._running():
                    return

    def _take(self, record: Any) -> None:
        """Put the record's event into the batch, unless it is delivered already."""
        event = self._mapper(record)
        written = orjson.dumps(event)
        uid = event["device"]["uid"]
        key, value = key_of(uid), self._fingerprints.of(event, written)
        sent = self._under_way.get(key)  # newer than what is known as delivered: a device may change and change back
        if sent == value or (sent is None and self._fingerprints.is_delivered(key, value, refresh=self._refresh)):
            self._counts.unchanged += 1
            return
        ocsf.validate(event)
        most = self._batch_size
        if key in self._refusals:
            at = self._place(record)
            before = self._waiting_at.get(key, at)
            self._waiting_at[key] = None if at is None or before is None else min(at, before)
            most = min(most, self._refusals.most(key, uid))
            if most == 0:
                return
        if most != self._batch.most:
            self._send()
            self._batch = Batch(most=most)
        known = self._under_way.get(key, self._fingerprints.known(key))
        self._batch.add(self._delivery.form(event, written, known, value), key, value)
        self._under_way[key] = value

    def _pass_by(self, record: Any) -> None:
        """Note the record's place in time; a row out of order takes the cursor back to where the walk began."""
        at = self._place(record)
        if at is None:
            return
        if self._latest is None or at >= self._latest:
            self._latest = at
        elif self._in_order:
            self._in_order = False
            if self._since is not None:
                self._move_cursor(self._since)

    def _place(self, record: Any) -> float | None:
        return self._walk.cursor_of(record) if self._walk.cursor_of and isinstance(record, dict) else None

    def _cursor(self) -> float | None:
        return None if self._latest is None else min(self._latest, self._ceiling)

    def _send(self) -> None:
        if self._batch.size and self._running():
            self._batch.cursor = self._cursor() if self._in_order else None
            self._delivery.send(self._batch)
            self._batch = Batch(most=self._batch_size)
        self._confirm()

    def _confirm(self, *, all_of_them: bool = False) -> None:
        for batch in self._delivery.confirmed(all_of_them=all_of_them):
            if batch.refusal:
                self._let_go(batch)
                self._refusals.add([key for key, _ in batch.entries], batch.refusal)
                continue
            self._remember(batch)
            if batch.cursor is not None and self._in_order and not self._refusals.keys:
                self._move_cursor(batch.cursor)

    def _remember(self, batch: Batch) -> None:
        self._fingerprints.deliver(dict(batch.entries))
        self._refusals.delivered([key for key, _ in batch.entries])
        self._let_go(batch)
        self._counts.batches += 1
        self._counts.sent += batch.size - batch.silent
        self._counts.learned += batch.silent

    def _let_go(self, batch: Batch) -> None:
        """Its events are under way no more."""
        for key, value in batch.entries:
            if self._under_way.get(key) == value:
                del self._under_way[key]
