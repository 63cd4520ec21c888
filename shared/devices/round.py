"""One round of a connector: pages → events → what is not delivered yet → batches → confirmed → the cursor moves."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import orjson

from shared.devices.account import Account, Known
from shared.devices.batch import MAX_WEIGHT, Batch, Entry
from shared.devices.cursor import Cursor
from shared.devices.refused import Refused
from shared.devices.terms import Delivery, Surroundings, Terms, Walk
from shared.errors import ConnectorError, SkipRecord, TryAgain, UnexpectedReply
from shared.http.pages import Page
from shared.mapping import ocsf
from shared.mapping.conversions import Record
from shared.mapping.table import Mapper
from shared.state.fingerprints import PENDING, Fingerprints

_MAX_IDLE_PAGES = 5  # in a row without a record that was not met before: then the list has no end
_READINGS = 2


class Round:
    """Reads a list once, or twice when rows are missing, and delivers what is new or changed.

    `read_to_end`: whether the list was read to its end and all of it was delivered or refused.
    """

    def __init__(
        self,
        walk: Callable[[], Walk],
        mapper: Mapper,
        memory: Fingerprints,
        refused: Refused,
        delivery: Delivery,
        around: Surroundings,
        terms: Terms,
    ) -> None:
        self._open = walk
        self._mapper = mapper
        self._memory = memory
        self._refused = refused
        self._delivery = delivery
        self._around = around
        self._counts = around.counts
        self._terms = terms
        self._began = terms.began
        self._batch = Batch()
        self._in_flight: dict[int, int] = {}  # contents sent and not yet confirmed
        self._account = Account(around.counts, terms.began)
        self._cursor = Cursor(terms.cursor, around.move_cursor)
        self._idle = 0  # pages in a row that brought nothing new
        self._total: int | None = None  # devices as the vendor last reported it
        self._begun = self._pending = self._sorted = self.read_to_end = False
        self._cursor_of: Callable[[Record], float | None] | None = None

    def run(self) -> bool:
        """Whether the list was read and delivered to its end; False when the process stops. Raises what stopped it."""
        try:
            for _ in range(_READINGS):
                if not self._read_list():
                    return False
                if self._missing() <= 0:
                    break
            self.read_to_end = True
        except ConnectorError:
            self._keep_what_arrives()
            raise
        finally:
            self._delivery.close()
            if self._pending:
                self._memory.settle_pending(self._began if self._delivery.unanswered else 0)
        self._judge()
        self._cursor.end()
        return True

    def _read_list(self) -> bool:
        walk = self._open()
        self._cursor_of = walk.cursor_of
        self._sorted = walk.sorted_by_cursor
        self._begin_reading()
        with closing(walk.pages) as pages:
            for page in pages:
                self._read(page)
                del page  # before the next one is parsed
                if not self._around.moving():
                    return False
        self._send()
        self._confirm(all_of_them=True)
        return self._around.moving()

    def _begin_reading(self) -> None:
        """From the first page: a list read a second time, or in smaller pages, brings the same devices again."""
        self._cursor.begin_reading(in_order=self._sorted)
        if self._begun:
            self._account.stamp = max(self._account.stamp + 1, int(time.time()))
        self._total, self._idle = None, 0

    def _missing(self) -> int:
        return 0 if self._total is None else self._total - self._account.rows

    def _judge(self) -> None:
        """Compare the rows with the number that the vendor reported."""
        shared, rows = self._account.shared, self._account.rows
        if shared:
            self._around.warn(
                f"{shared} more devices share a device.uid with another, such as {self._account.example}: Sekoia.io shows "
                "those that share one as one device."
            )
        missing, total = self._missing(), self._total or 0
        if missing <= 0:
            return
        count = f"The list has {total} devices and {rows} were read, in {_READINGS} readings"
        if missing > total / 10 or (missing > total / 100 and missing > 10):
            self._cursor.go_back()
            raise TryAgain(
                f"{count}: it changes while it is read, or the credential does not see all of it. What was read is sent; "
                "the list is read again later."
            )
        self._around.warn(
            f"{count}: it changes while it is read. Those that are missing are read by the next full walk."
        )

    def _keep_what_arrives(self) -> None:
        """After a failure: what was read is sent all the same, what is delivered is remembered."""
        while True:
            try:
                self._send()
                self._confirm(all_of_them=True)
            except ConnectorError:
                continue
            return

    # --- reading

    def _read(self, page: Page) -> None:
        if not self._begun:
            self._begun = True
            self._cursor.begin(page.date)
        elif page.anew:
            self._send()
            self._confirm(all_of_them=True)  # so that each device met so far is remembered with this reading's stamp
            self._begin_reading()
        if page.total is not None:
            self._total = page.total
        self._counts.pages += 1
        before = self._account.new
        for record in page.records:
            self._counts.read += 1
            self._take(record)
            if self._cursor_of and isinstance(record, dict):
                self._cursor.pass_by(self._cursor_of(record))
            if self._batch.size >= self._terms.batch_size or self._batch.weight >= MAX_WEIGHT:
                self._send()
                if not self._around.moving():
                    return
        self._idle = self._idle + 1 if self._account.new == before else 0
        if self._idle >= _MAX_IDLE_PAGES:
            raise UnexpectedReply(
                f"{_MAX_IDLE_PAGES} pages in a row brought no device that was not read before; the list has no end."
            )

    def _take(self, record: Any) -> None:
        """Put the record's event into the batch, unless it is delivered already."""
        try:
            event = self._mapper(record)
        except SkipRecord as reason:
            self._skip_unmapped(record, reason)
            return
        written, uid = orjson.dumps(event), event["device"]["uid"]
        identity = self._identity(record)
        key, content = self._memory.key(identity or uid), self._memory.content(event, written)
        before, sent = self._memory.meet(key, self._account.stamp), self._in_flight.get(key)
        first = sent is None and self._account.is_first(key, before)
        if first and identity and identity != uid:
            self._account.look_for_shared(uid)
        suspect = bool(self._refused) and self._refused.knows(key, content)
        if sent == content or (sent is None and before and self._is_delivered(content, before)):
            self._account.add("unchanged", key, first=first)
        elif suspect and self._refused.is_held_back(key, content, self._began):
            self._account.add("refused", key, first=first)
        elif wrong := self._refused_by_the_model(event):
            self._skip(record, wrong)
            self._account.add("unmappable", key, first=first)
        else:
            known = sent if sent is not None else before and before[0]
            counted = sent is None and self._account.send(key, before, first=first)
            sendable = self._delivery.serialize(event, written, known, content)
            self._batch.add(sendable, Entry(key, content, counted, suspect))
            self._in_flight[key] = content

    def _refused_by_the_model(self, event: dict[str, Any]) -> SkipRecord | None:
        try:
            ocsf.validate(event)
        except SkipRecord as reason:
            return reason
        return None

    def _identity(self, record: Any) -> str | None:
        for name in self._terms.names if isinstance(record, dict) else ():
            value = record.get(name)
            if value and isinstance(value, str | int):
                return str(value)
        return None

    def _is_delivered(self, content: int, before: Known) -> bool:
        known, delivered, _ = before
        if known != content:
            return False
        if self._terms.refresh_after is None or delivered == PENDING:
            return True
        return 0 <= self._began - delivered < self._terms.refresh_after

    def _skip(self, record: Any, reason: SkipRecord) -> None:
        self._counts.skipped += 1
        self._around.skip(record, reason)

    def _skip_unmapped(self, record: Any, reason: SkipRecord) -> None:
        """A device that is known was met all the same; a row without an id is one of its own."""
        self._skip(record, reason)
        identity = self._identity(record)
        if identity is None:
            self._account.add_nameless()
            return
        key = self._memory.key(identity)
        before = self._memory.meet(key, self._account.stamp)
        first = key not in self._in_flight and self._account.is_first(key, before)
        self._account.add("unmappable", key, first=first)

    # --- sending

    def _send(self) -> None:
        if self._batch.size and self._around.moving():
            self._batch.cursor = self._cursor.place if self._cursor.in_order else None
            batch, self._batch = self._batch, Batch()
            self._delivery.send(batch)
        self._confirm()

    def _confirm(self, *, all_of_them: bool = False) -> None:
        try:
            for batch in self._delivery.confirmed(all_of_them=all_of_them):
                self._remember(batch)
                if batch.cursor is not None and self._cursor.in_order:
                    self._around.move_cursor(batch.cursor)
                self._around.store()
        except ConnectorError:
            self._cursor.in_order = False  # no cursor passes what was not delivered
            raise

    def _remember(self, batch: Batch) -> None:
        entries = batch.delivered
        self._pending |= not batch.followed
        known = ((entry.key, entry.content) for entry in entries)
        self._memory.deliver(known, self._began if batch.followed else PENDING, self._account.stamp)
        for refusal in batch.refused:
            self._account.refuse(refusal.entry.key, counted=refusal.entry.counted)
            self._refused.add(refusal.entry.key, refusal.entry.content, self._began)
            self._around.skip({"id": refusal.uid}, SkipRecord("refused by the platform", str(refusal.error)))
        for entry in batch.entries:
            if self._in_flight.get(entry.key) == entry.content:
                del self._in_flight[entry.key]
        self._counts.batches += 1
        self._counts.sent += len(entries) - batch.silent
        counted = sum(entry.counted for entry in entries)
        if batch.silent:
            self._counts.learned += counted
        else:
            self._counts.delivered += counted
        if self._refused:
            for entry in entries:
                self._refused.delivered(entry.key)
