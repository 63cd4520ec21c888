"""The base of the alert connectors: closed windows of time, each delivered to the intake before the position moves.

With `AlertDelivery` a subclass of the SDK's `Connector` that fixes what its loop loses: there a refused batch is only
logged, every status is retried for an hour, a batch is measured before it is escaped, and the intake key is in metrics.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from threading import Event
from typing import Any, ClassVar

from typing_extensions import override

from shared import times
from shared.alerts.delivery import DAY, Alert, AlertDelivery
from shared.alerts.intake import fitting
from shared.alerts.windows import Reading, Window, hash_of, next_window
from shared.errors import SkipRecord
from shared.http.pages import Page
from shared.http.session import Patience
from shared.mapping.conversions import Record
from shared.mapping.table import Field, Mapper, readable
from shared.runtime.metrics import Counts
from shared.runtime.settings import EventConnectorConfiguration

_READINGS = 2  # of a window that returns fewer rows than its total, in one round
MAX_ROWS = 20_000  # of a window that are held to be sorted
MAX_MEMORY = 128 * 1024 * 1024  # bytes of these rows
LOOK_INTERVAL = 3600  # seconds from one second look to the next
_LONGEST_OUTAGE = 30 * DAY  # before the first position: more is a jump of our clock


class EventConnector(AlertDelivery):
    """Decides when which alerts are read; a vendor's class says where from, and how they are mapped."""

    configuration: EventConnectorConfiguration

    fields: ClassVar[Sequence[Field]]
    longest_window: ClassVar[int] = 3600  # seconds: a long stop is caught up in steps of this length
    seconds_without_events = 0  # a quiet source is not a failure
    page_size: int | None = None  # rows a page, where not as many as configured

    # --- what a vendor's class defines

    @classmethod
    @abstractmethod
    def connect(
        cls, settings: Any, arguments: Any = None, *, stop: Event, patience: Patience, page_size: int | None = None
    ) -> Any:
        """A client for these settings; `arguments` are the connector's, None outside of one. Makes no call."""

    @classmethod
    @abstractmethod
    def pages(cls, client: Any, since: int, until: int) -> Iterator[Page]:
        """The records updated between two moments (epoch seconds), both included, in any order."""

    @classmethod
    @abstractmethod
    def updated_at(cls, record: Record) -> float | None:
        """The record's last update, which the windows filter by, epoch seconds; None when missing."""

    @classmethod
    @abstractmethod
    def version(cls, record: Record) -> Any:
        """Identifies this version of the record: the same on every read, different after an update; None when unknown."""

    @abstractmethod
    def event_of(self, record: dict[str, Any]) -> dict[str, Any]:
        """The event in the configured format; SkipRecord when there is none."""

    @classmethod
    def first_page(cls, client: Any) -> Page:
        """A page of the last day, for "Test connector"."""
        now = int(time.time())
        return next(cls.pages(client, now - DAY, now))

    @classmethod
    def mapper(cls) -> Mapper:
        """The vendor's table, ready to run."""
        return Mapper(cls.fields)

    @cached_property
    def table(self) -> Mapper:
        """The mapper of this connector."""
        return self.mapper()

    @cached_property
    def client(self) -> Any:
        """The vendor's client for the configuration."""
        settings, size = self.module.configuration, self.page_size
        return self.connect(settings, self.configuration, stop=self._stop_event, patience=self.patience, page_size=size)

    # --- the round

    def cycle(self) -> None:
        """Read and deliver every window that is due, one by one; then what has to be read or sent again."""
        began, clock = time.time(), time.monotonic()
        self.counts = Counts()
        self._recall(began)
        self.log(f"Reading {self.noun}s updated since {times.iso(self._position.cursor)}", level="info")
        try:
            self._read_due()
            if self.running:
                self.retry_aside()
        finally:
            self._position.store()
        if not self.running:
            return
        self.counts.seconds = time.monotonic() - clock
        self.put_forward_events_duration(self.intake_label, self.counts.seconds)
        done = self.counts
        self.log(
            f"read {done.read} · sent {done.sent} · unchanged {done.unchanged} · skipped {done.skipped} · "
            f"{done.seconds:.1f} s · next {self.next_round(began)}",
            level="info",
        )

    @override
    def next_run(self) -> None:
        self.cycle()

    def _read_due(self) -> None:
        """The windows that are due, then those that stayed short, then the second look."""
        position, facts = self._position, self._position.facts
        before = position.cursor
        facts.unlooked = min(before, facts.unlooked or before)
        if self._settled(self.clock.now()) <= before:  # as far as is known, nothing is due
            self._ask_for_the_date()
        until = self._settled(self.clock.now())
        while self.moving() and (window := next_window(position.cursor, until, self.longest_window)):
            if not self._advance(window):
                break
        for window, since in list(facts.short):
            if not self.running:
                return
            known = Window(max(window.start, facts.known_since), window.end)  # before it, all would be sent again
            if over := self.clock.now() - since >= DAY:  # read a last time, even if that fails
                facts.short.remove((window, since))
            missing = known.start <= known.end and self._collect(known, 1).missing
            if self.running and not over and not missing:
                facts.short.remove((window, since))
        # The day up to where the round began, and the first of those that failed before, for what became visible late.
        now, start = self.clock.now(), max(facts.known_since, facts.unlooked - DAY)
        is_due = abs(now - facts.second_look) >= LOOK_INTERVAL
        while is_due and self.running and (look := next_window(start, before, DAY)):
            self._collect(look)
            start = look.end
        if self.running:
            facts.second_look, facts.unlooked = now if is_due else facts.second_look, None

    def _advance(self, window: Window) -> bool:
        """Deliver one window and move behind it; whether there is more to read."""
        position, began = self._position, self.clock.now()
        reading = self._collect(window)
        # Never past what has settled on the vendor's clock: an alert that is updated next must be read again.
        reached = min(window.end, self._settled(began if reading.date is None else reading.date))
        if not self.running or reached <= position.cursor:
            return False
        if reading.missing:
            if not position.facts.short:
                self.log(
                    f"{self.module.name} reports {reading.total} {self.noun}s updated from {times.iso(window.start)} to "
                    f"{times.iso(window.end)} and returned {reading.rows}; such windows are read again for a day",
                    level="warning",
                )
            position.add_short(Window(window.start, reached), self.clock.now())
        position.cursor = reached
        position.store_in_time()
        return True

    def _collect(self, window: Window, readings: int = _READINGS) -> Reading:
        """Deliver the new rows of a window, by their last update; of one too large to be held, part by part.

        A window that returns fewer rows than its total is read again at once. What was read before an error is delivered.
        """
        held: dict[str, Alert] = {}
        memory = 0
        for _ in range(readings):
            reading = Reading(self.module.name, self.pages(self.client, *window), self.key_of)
            for page, rows in reading:
                self.clock.hear(page.date)
                self.counts.pages += 1
                self.counts.read += len(rows)
                for key, record in rows.items():
                    if key in self._position or key in held:
                        self.counts.unchanged += 1
                        continue
                    held[key] = self.alert_of(key, record, window)
                    if len(held) > MAX_ROWS:
                        self._deliver(held)
                        held = {}
                memory += page.memory if held else 0
                if memory > MAX_MEMORY:
                    self._deliver(held)
                    held, memory = {}, 0
                if not self.moving():
                    return reading
                del page, rows  # before the next page is parsed
            if reading.error or not reading.missing:
                break
        self._deliver(held)
        if reading.error:
            raise reading.error
        return reading

    def _deliver(self, alerts: dict[str, Alert]) -> None:
        if alerts and not self.counts.batches:  # a storage that fails is found here, before anything is sent
            self._position.store()
        for batch in self._intake.batches(self._events(alerts)) if alerts else ():
            if not self.moving():
                return
            self.send(batch)

    def _events(self, alerts: dict[str, Alert]) -> Iterator[tuple[Alert, str]]:
        """Each alert with the text it is sent as, by last update; one without is skipped and logged with its id."""
        for alert in sorted(alerts.values(), key=lambda alert: alert.at):
            try:
                text, length = fitting(readable(alert.record), self.event_of)
            except SkipRecord as reason:
                self.skip(alert, reason)
                continue
            if len(text) != length:
                where = f"{alert.name}, {length} characters"
                self.log(f"Shortened an {self.noun} that is longer than the intake accepts ({where})", level="warning")
            yield alert._replace(record=None), text

    # --- the rows

    @classmethod
    def key_of(cls, record: Any) -> str:
        """A hash of the record's version, else of the complete record."""
        version = cls.version(record) if isinstance(record, dict) else None
        return hash_of(record if version is None else version)

    @classmethod
    def alert_of(cls, key: str, record: Any, window: Window) -> Alert:
        """Its last update is the window's end where it is missing or not in the window."""
        at, identity = (cls.updated_at(record), record.get("id")) if isinstance(record, dict) else (None, None)
        if at is None or not window.start <= at <= window.end:
            at = float(window.end)
        return Alert(key, at, f"id {identity}"[:100] if isinstance(identity, str | int) else "without an id", record)

    # --- the position

    def _settled(self, now: float) -> int:
        """The moment until which alerts are old enough to be read, epoch seconds."""
        return int(now) - self.configuration.timedelta * 60

    def _ask_for_the_date(self) -> None:
        """Set the clock by a cheap call, for an empty window: rarely, as the replies of each round set it too."""
        self.clock.hear(next(self.pages(self.client, 0, 0)).date)

    def _recall(self, now: float) -> None:
        """Read the position and correct it by the vendor's clock; `now` is ours. The first one is `hours_ago` back."""
        position, back = self._position, self.configuration.hours_ago * 3600
        stored = position.recall()
        if position.damaged:
            left = "what is left of it or its copy from before is used"
            so = left if stored else "the collection begins again at hours_ago"
            self.log(f"The stored position was damaged; {so}, and some {self.noun}s may be sent again", level="warning")
        facts = position.facts
        if not stored:
            position.cursor, facts.first_start = max(0, int(now) - back), now
            position.store()
        if not self.clock.asked or position.cursor > self.clock.now():  # one server of several may be wrong
            self._ask_for_the_date()
        vendors = self.clock.now()
        if facts.first_start is not None:
            waited = now - facts.first_start if 0 <= now - facts.first_start <= _LONGEST_OUTAGE else 0
            position.cursor = facts.known_since = max(0, int(vendors - waited) - back)
            facts.second_look, facts.first_start = vendors, None
            begin = times.iso(position.cursor)
            self.log(
                f"No stored position: {self.noun}s last updated before {begin} are not collected (hours_ago is {back // 3600})",
                level="info",
            )
            position.store()
        elif position.cursor > vendors:
            ahead, position.cursor = times.iso(position.cursor), self._settled(vendors)
            if facts.known_since > position.cursor:
                facts.known_since = position.cursor - back
            facts.second_look, facts.unlooked = 0.0, facts.known_since  # at once, for what was passed by meanwhile
            back_to = f"it is set back to {times.iso(position.cursor)}"
            self.log(
                f"The stored position, {ahead}, is ahead of the clock of {self.module.name}; {back_to}", level="warning"
            )
            position.store()
        # Our clock too: the vendor's may run ahead for a while.
        position.forget_before(min(position.cursor, int(now), facts.unlooked or position.cursor) - DAY)

    def cursor(self) -> float | None:
        if "_position" not in self.__dict__:  # not made here, where a storage that is away would block
            return None
        return self._position.cursor or None
