"""One round of a connector: pages → events → what is not delivered yet → batches → confirmed → the cursor moves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared import times
from shared.devices.absence import Gone, presence
from shared.devices.account import READINGS, Account, Known
from shared.devices.batch import MAX_WEIGHT, Batch, Entry, Met
from shared.devices.cursor import Cursor
from shared.devices.delivery import AssetDelivery
from shared.devices.refused import REFUSED, Refused
from shared.devices.starts import ChangeDelivery
from shared.devices.stateful import FULL_WALK, StatefulService
from shared.devices.walks import Walk
from shared.errors import ConnectorError, SkipRecord
from shared.http.pages import EndlessCheck, Page
from shared.mapping import ocsf
from shared.mapping.conversions import Record
from shared.mapping.table import Mapper
from shared.state.fingerprints import GONE, PENDING, Fingerprints
from shared.state.storage import Overtaken


@dataclass
class Round:
    """Reads a list once, or twice when rows are missing, and delivers what is new or changed.

    `part`: what is stored of the scope. `full`: the walk is to bring all devices. `refresh_after`: seconds after which an
    unchanged device is sent again; None when it is not. `silent_after`: seconds without a sign of a listed device, after
    which it is silent.
    """

    service: StatefulService
    part: dict[str, Any]
    memory: Fingerprints
    walk: Callable[[], Walk]
    mapper: Mapper
    delivery: AssetDelivery | ChangeDelivery
    full: bool = field(kw_only=True)
    refresh_after: float | None = field(default=None, kw_only=True)
    silent_after: float = field(default=math.inf, kw_only=True)

    def __post_init__(self) -> None:
        self._began = self.memory.began
        self._counts = self.service.counts
        self._batch_size = self.service.batch_size  # read once: it looks into the environment
        self._refused = Refused(
            self.part.setdefault(REFUSED, {}), self.service.full_sync_interval, self.service.refusals
        )
        self._batch = Batch()
        self._in_flight: dict[int, tuple[int, str]] = {}  # content and presence sent and not yet confirmed
        self._sent_twice: set[int] = set()  # devices of which another content was in flight already
        self._account = Account(self._counts, self._began)
        self._cursor = Cursor(times.epoch(self.part.get(self.service.cursor_key)), self._store_cursor)
        self._begun = self._pending = self._sorted = False
        self._cursor_of: Callable[[Record], float | None] | None = None

    def run(self) -> bool:
        """Whether the list was read and delivered to its end; False when the process stops. Raises what stopped it."""
        try:
            for _ in range(READINGS):
                if not self._read_list():
                    return False
                if self._account.missing <= 0:
                    break
                self._cursor.go_back()  # it may have passed what is missing
            if self.full:
                self.service.ended(self.part, self._cursor.clock)
                if self._account.complete:
                    self._report_gone()
                # By the walk before: what left while nothing could be read is reported as gone first.
                self.memory.forget(min(self._began, self.part.get(FULL_WALK, 0)))
                self._refused.forget(self._began)
        except ConnectorError as error:
            if not isinstance(error, Overtaken):  # then the other process delivers the rest
                self._keep_what_arrives()
            raise
        finally:
            self.delivery.close()
            self.memory.doubt(self._in_flight)
            if self._pending:
                self.memory.settle_pending(self._began if self.delivery.unanswered else 0)
        self._account.judge_list(self.service.warn)
        self._cursor.end()
        return self.service.moving()

    def _read_list(self) -> bool:
        walk = self.walk()
        self._cursor_of = walk.cursor_of
        self._sorted = walk.sorted_by_cursor and self._account.missing <= 0
        self._begin_reading()
        with closing(walk.pages) as pages:
            for page in pages:
                self._read(page)
                del page  # before the next one is parsed
                if not self.service.moving():
                    return False
        self._send()
        self._confirm(all_of_them=True)
        self._account.end_reading()
        return self.service.moving()

    def _begin_reading(self) -> None:
        """From the first page: a list read a second time, or in smaller pages, brings the same devices again."""
        self._cursor.begin_reading(in_order=self._sorted)
        again = max(time.time(), self._account.stamp)
        self._account.begin_reading(self.memory.begin(again) if self._begun else self._began)
        self._endless = EndlessCheck(self.service.module.name)

    def _report_gone(self) -> None:
        """Report the devices that two complete full walks did not meet, each once."""
        gone = Gone(self.memory, self._began, confirmed=self._account.total is not None)
        self._counts.gone += gone.count
        for event, entry in gone.events(self.delivery.serialize_gone, self._refused):
            self._batch.add(event, entry)
            self._send()
        self._confirm(all_of_them=True)
        gone.log_names(self.service.log)

    def _keep_what_arrives(self) -> None:
        """After a failure: what was read is sent all the same, what is delivered is remembered."""
        while True:
            try:
                self._send()
                self._confirm(all_of_them=True)
            except Overtaken:
                return
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
            self._account.report_total(page.total)
        self._counts.pages += 1
        before = self._account.met
        for record in page.records:
            self._counts.read += 1
            self._read_record(record)
            if self._cursor_of and isinstance(record, dict):
                self._cursor.track(self._cursor_of(record))
            if self._batch.size >= self._batch_size or self._batch.weight >= MAX_WEIGHT:
                self._send()
                if not self.service.moving():
                    return
        self._endless.page(new=self._account.met > before)

    def _read_record(self, record: Any) -> None:
        """Put the record's event into the batch, unless it is delivered already."""
        try:
            event = self.mapper(record)
        except SkipRecord as reason:
            self._skip_unmapped(record, reason)
            return
        written, device = orjson.dumps(event), event["device"]
        uid, identity = device["uid"], self._identity(record)
        key, content = self.memory.key(identity or uid), self.memory.content(event, written)
        before, sent = self.memory.meet(key, self._account.stamp), self._in_flight.get(key)
        first = sent is None and self._account.is_first(key, before)
        if first and identity and identity != uid:
            self._account.look_for_shared(uid)
        seen = device.get("last_seen_time")
        self.memory.describe(key, uid, device["hostname"], device.get("type"), device.get("type_id"), seen)
        was = sent[1] if sent else self.memory.presence(key)
        now = presence(was, seen, self._cursor.clock, self.silent_after)
        suspect = self._refused.knows(key, content)
        is_known = sent is None and before and was == now and self._is_delivered(content, before)
        if is_known or sent == (content, now):
            self._account.add("unchanged", key, first=first)
        elif suspect and self._refused.is_held_back(key, content, self._began):
            self._account.add("refused", key, first=first)
        elif wrong := _refused_by_the_model(event):
            self._skip(record, wrong)
            self._account.add("unmappable", key, first=first)
        else:
            known = sent[0] if sent else before and before[0]
            counted = sent is None and self._account.send(key, before, first=first)
            sendable = self.delivery.serialize(Met(event, written, known, content, was, now))
            if known is None and FULL_WALK in self.part:
                now = ""  # it is new, and if need be reported as silent by the next walk
            self._batch.add(sendable, Entry(key, content, counted, suspect, now))
            if sent:
                self._sent_twice.add(key)
            self._in_flight[key] = content, now

    def _identity(self, record: Any) -> str | None:
        for name in self.service.record_names if isinstance(record, dict) else ():
            value = record.get(name)
            if value and isinstance(value, str | int):
                return str(value)
        return None

    def _is_delivered(self, content: int, before: Known) -> bool:
        known, delivered, _ = before
        if known != content:
            return False
        if self.refresh_after is None or delivered == PENDING:
            return True
        return 0 <= self._began - delivered < self.refresh_after

    def _skip(self, record: Any, reason: SkipRecord) -> None:
        self._counts.skipped += 1
        self.service.name_skipped(record, reason)

    def _skip_unmapped(self, record: Any, reason: SkipRecord) -> None:
        """A device that is known was met all the same; a row without an id is one of its own."""
        self._skip(record, reason)
        identity = self._identity(record)
        if identity is None:
            self._account.add_nameless()
            return
        key = self.memory.key(identity)
        before = self.memory.meet(key, self._account.stamp)
        first = key not in self._in_flight and self._account.is_first(key, before)
        self._account.add("unmappable", key, first=first)

    # --- sending

    def _send(self) -> None:
        if self._batch.size and self.service.moving():
            self._batch.cursor = self._cursor.reached if self._cursor.in_order else None
            batch, self._batch = self._batch, Batch()
            self.delivery.send(batch)
        self._confirm()

    def _confirm(self, *, all_of_them: bool = False) -> None:
        try:
            for batch in self.delivery.confirmed(all_of_them=all_of_them):
                self._remember(batch)
                if batch.cursor is not None and self._cursor.in_order:
                    self._cursor.move(batch.cursor)
                self.service.state.store(now=False)
        except ConnectorError:
            self._cursor.in_order = False  # no cursor passes what was not delivered
            raise

    def _remember(self, batch: Batch) -> None:
        entries = batch.delivered
        self._pending |= not batch.followed
        known = ((entry.key, entry.content) for entry in entries if entry.presence != GONE)
        self.memory.deliver(known, self._began if batch.followed else PENDING, self._account.stamp)
        if self.delivery.reordered:
            self.memory.doubt(self._sent_twice)
        for number, (uid, error) in batch.refused.items():
            refused = batch.entries[number]
            self._account.refuse(refused.key, counted=refused.counted)
            self._refused.add(refused.key, refused.content, self._began)
            self.service.name_skipped({"id": uid}, SkipRecord("refused by the platform", str(error)))
        for entry in batch.entries:
            if self._in_flight.get(entry.key) == (entry.content, entry.presence):
                del self._in_flight[entry.key]
        for entry in entries:
            if self.memory.presence(entry.key) != entry.presence:
                self.memory.set_presence(entry.key, entry.presence)
        self._counts.batches += 1
        self._counts.sent += len(entries) - batch.learned
        counted = sum(entry.counted for entry in entries)
        if batch.learned:
            self._counts.learned += counted
        else:
            self._counts.delivered += counted
        if self._refused:
            for entry in entries:
                self._refused.delivered(entry.key)

    def _store_cursor(self, seconds: float) -> None:
        """All that was updated before is delivered, or will not be."""
        self.part[self.service.cursor_key] = times.iso(seconds)


def _refused_by_the_model(event: dict[str, Any]) -> SkipRecord | None:
    try:
        ocsf.validate(event)
    except SkipRecord as reason:
        return reason
    return None
