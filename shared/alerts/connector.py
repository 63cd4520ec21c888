"""The base of the event connectors: closed windows of time, each delivered to the intake before the position moves.

A subclass of the SDK's `Connector` that mends what its loop loses: there a refused batch is only logged, every status
is retried for an hour, a batch is measured before it is escaped, and the intake key stands in headers and metrics.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

import math
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from json import dumps
from threading import Event
from typing import Any, ClassVar

from pydantic import BaseModel
from sekoia_automation.configuration.exception import MissingConfigurationError
from sekoia_automation.connector import Connector, EventType

from shared import times
from shared.alerts.intake import Intake, as_text, fitting
from shared.alerts.position import Position
from shared.alerts.windows import Window, next_window, read_window
from shared.devices.refusals import Refusals
from shared.errors import ConnectorError, SkipRecord
from shared.http.pages import Page
from shared.http.session import ApiSession, Patience
from shared.http.tokens import Anonymous
from shared.mapping.conversions import Record
from shared.mapping.table import Field, Mapper, readable
from shared.runtime.metrics import Counts
from shared.runtime.service import Service
from shared.runtime.settings import EventConnectorConfiguration

_OWN_CLOCK_DOUBT = 300  # seconds our clock may run ahead of a vendor's that does not tell its own

Row = tuple[str, float, Any]  # key, place in time, record


class EventConnector(Service, Connector):
    """Says when and what; a vendor's class says where from, and how to map."""

    configuration: EventConnectorConfiguration

    fields: ClassVar[Sequence[Field]]
    noun: ClassVar[str] = "event"
    cursor_key: ClassVar[str] = "last_event_date"
    longest_window: ClassVar[int] = 3600  # seconds: a long stop is caught up in so many steps
    seconds_without_events = 0  # a quiet source is not a failure
    page_size: int | None = None  # rows a page, where not as many as the configuration says

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._executor.shutdown(wait=False)  # the SDK's stop waits for its threads: it must find none
        self._refusals: Refusals[str] = Refusals(self.noun, for_good=True)
        self._client: Any = None
        self._intake: Intake | None = None

    # --- what a vendor's class says

    @classmethod
    @abstractmethod
    def connect(
        cls, settings: Any, arguments: Any = None, *, stop: Event, patience: Patience, page_size: int | None = None
    ) -> Any:
        """A client for these settings; `arguments` are the connector's, None outside of one. Makes no call."""

    @classmethod
    @abstractmethod
    def pages(cls, client: Any, since: int, until: int) -> Iterator[Page]:
        """All that was touched between two moments (epoch seconds), both included, in any order."""

    @classmethod
    @abstractmethod
    def place(cls, record: Record) -> float | None:
        """When the record was touched: what the windows go by, epoch seconds; None when it does not tell."""

    @classmethod
    @abstractmethod
    def version(cls, record: Record) -> Any:
        """What is the same when the record is read again, and another once it was touched; None when untold."""

    @abstractmethod
    def event_of(self, record: dict[str, Any]) -> dict[str, Any]:
        """The event as the configuration wants it; SkipRecord when there is none."""

    @classmethod
    def mapper(cls) -> Mapper:
        """The vendor's table, ready to run."""
        return Mapper(cls.fields)

    @cached_property
    def table(self) -> Mapper:
        """The mapper of this connector."""
        return self.mapper()

    # --- the round

    def cycle(self) -> None:
        """Read and deliver every window that is due, one by one."""
        began, clock = time.time(), time.monotonic()
        self.counts = Counts()
        self._refusals.begin()
        self._recall(int(began))
        if self._client is None:
            settings, size = self.module.configuration, self.page_size
            self._client = self.connect(
                settings, self.configuration, stop=self._stop_event, patience=self.patience, page_size=size
            )
        until = int(began) - self._settling
        self.log(f"Reading {self.noun}s updated since {times.iso(self._position.cursor)}", level="info")
        try:
            while self.moving() and (window := next_window(self._position.cursor, until, self.longest_window)):
                if not self._collect(window):
                    break
        except ConnectorError as error:
            if self._refusals.keys:
                raise self._refusals.beside(error) from None
            raise
        if not self.running:
            return
        self._settle()
        self.counts.seconds = time.monotonic() - clock
        self.put_forward_events_duration(self.intake_label, self.counts.seconds)
        self.report(self.counts, began)

    def next_run(self) -> None:
        self.cycle()

    def _collect(self, window: Window) -> bool:
        """Deliver one window and move behind it; whether there is more to read."""
        began = time.time()
        reading = read_window(self.module.name, window, self._pages, self.key_of)
        window = reading.window
        rows = [(key, self.place_in(record, window), record) for key, record in reading.rows.items()]
        new = [row for row in rows if row[0] not in self._position.known]
        fresh = sorted((row for row in new if not self._position.is_aside(row[0])), key=lambda row: row[1])
        self.counts.pages += reading.pages
        self.counts.read += len(rows)
        self.counts.unchanged += len(rows) - len(new)
        if fresh:
            self._position.store()  # a storage that takes nothing is found out here: what is sent could not be written down
        self._deliver(fresh, window)
        if not self.running:
            return False
        # Never past what has settled on the source's own clock: what it touches next must be asked for again.
        settled = began - _OWN_CLOCK_DOUBT if reading.date is None else reading.date - self._settling
        reached = min(window.end, int(settled))
        if reached <= self._position.cursor:
            return False
        self._position.move(reached)
        return True

    def _pages(self, since: int, until: int) -> Iterator[Page]:
        for page in self.pages(self._client, since, until):
            self.moving()
            yield page

    def _deliver(self, rows: list[Row], window: Window) -> None:
        intake = self._intake = self._intake or self._connected_intake()
        for batch, texts in intake.batches(self._events(rows, window), self._most_with):
            if not self.moving():
                return
            places = {key: at for key, at, _ in batch}
            try:
                intake.send(texts)
            except ConnectorError as error:
                if not error.of_contents:
                    raise
                self._position.put_aside(places, window.start)
                self._refusals.add(places, error.with_traceback(None))  # its frames hold what was sent
                continue
            self._refusals.delivered(places)
            self._position.known.add(places)
            self._position.store()
            self.counts.batches += 1
            self.counts.sent += len(batch)
            self._error_count = 0
            self._last_events_time = datetime.now(UTC).replace(tzinfo=None)
            self.put_forwarded_events(self.intake_label, len(batch))
            self.put_events_lag(self.intake_label, max(0.0, time.time() - batch[-1][1]))

    def _most_with(self, row: Row) -> float:
        key, _, record = row
        return self._refusals.most(key, self._name(record)) if key in self._refusals else math.inf

    def _settle(self) -> None:
        """At the end of a round: skip and name those that the intake is certain to refuse, so that the position may move
        on; raises what was refused besides."""
        skipped = self.counts.skipped
        try:
            for key, name, reason in self._refusals.settled():
                self._position.take_back(key)
                self._skip(name, reason)
        finally:
            if self.counts.skipped > skipped:
                self._position.store()

    def _skip(self, name: str, reason: SkipRecord) -> None:
        self.counts.skipped += 1
        self.put_discarded_events(self.intake_label, 1)
        self.log(f"Skipped an {self.noun} ({name}): {reason}", level="warning")

    def _events(self, rows: list[Row], window: Window) -> Iterator[tuple[Row, str]]:
        """Each row with the text it is sent as; one that gives none is skipped and named."""
        for row in rows:
            key, at, record = row
            if self._most_with(row) == 0:
                self._position.put_aside({key: at}, window.start)
                continue
            try:
                yield row, self._text(record)
            except SkipRecord as reason:
                self._position.known.add({key: at})
                self._skip(self._name(record), reason)

    def _text(self, record: Any) -> str:
        """The event's JSON; a warning tells of one that had to be shortened."""
        text, whole = fitting(readable(record), self.event_of)
        if len(text) != whole:
            where = f"{self._name(record)}, {whole} characters"
            self.log(f"Shortened an {self.noun} that is longer than the intake takes ({where})", level="warning")
        return text

    # --- the rows

    @classmethod
    def key_of(cls, record: Any) -> str:
        """A hash of the record's version, else of the whole record."""
        version = cls.version(record) if isinstance(record, dict) else None
        try:
            text = dumps(record if version is None else version, sort_keys=True)
        except RecursionError:
            text = f"nested too deeply, {len(record)}"
        return blake2b(text.encode(), digest_size=8).hexdigest()

    @classmethod
    def place_in(cls, record: Any, window: Window) -> float:
        """The record's place; one that tells none, or one outside of the window it came in, is put at its end."""
        at = cls.place(record) if isinstance(record, dict) else None
        return at if at is not None and window.start <= at <= window.end else float(window.end)

    def _name(self, record: Any) -> str:
        told = record.get("id") if isinstance(record, dict) else None
        return f"id {told}"[:100] if isinstance(told, str | int) else "without an id"

    # --- what is remembered

    @cached_property
    def _position(self) -> Position:
        return Position(self.data_path / "context.json", self.cursor_key)

    @property
    def _settling(self) -> int:
        return self.configuration.timedelta * 60

    def _recall(self, now: int) -> None:
        """Read the position; where there is none, the first run begins `hours_ago` back, and keeps that beginning."""
        position = self._position
        stored = position.recall()
        if position.damaged:
            so = "its copy from before is used" if stored else "the collection begins anew"
            self.log(f"The stored position was damaged; {so}, and some {self.noun}s may be sent again", level="warning")
        if stored:
            if position.cursor > now + _OWN_CLOCK_DOUBT:
                self.log(
                    f"The stored position, {times.iso(position.cursor)}, is in the future; nothing is read until then. Check the "
                    "clock of this machine.",
                    level="warning",
                )
            return
        position.cursor = max(0, now - self.configuration.hours_ago * 3600)
        self.log(
            f"No stored position: {self.noun}s last updated before {times.iso(position.cursor)} are not collected "
            f"(hours_ago is {self.configuration.hours_ago})",
            level="info",
        )
        position.store()

    # --- the intake

    def _connected_intake(self) -> Intake:
        key, report = self.configuration.intake_key, "If this persists, report it with the log of this module."
        session = ApiSession(
            "Sekoia.io",
            self.intake_server,
            Anonymous(),
            stop=self._stop_event,
            patience=self.patience,
            headers=self.http_default_headers,
            advice={
                401: "Check the intake key of this connector: its intake may have been deleted.",
                403: "Check the intake key of this connector: its intake may have been deleted or disabled.",
                404: "Check the intake server: it must be that of your region.",
                **dict.fromkeys((400, 422), report),
                413: f"A proxy in between may limit the length of a call: check that. {report}",
            },
            secrets=[key.get_secret_value()],
        )
        return Intake(session, key)

    @property
    def intake_server(self) -> str:
        """The one that was entered, else the one the platform names for its region, else the default."""
        if "intake_server" not in self.configuration.model_fields_set:
            with suppress(MissingConfigurationError):
                return self.intake_url.strip().rstrip("/")
        return self.configuration.intake_server

    @property
    def intake_label(self) -> str:
        """The intake in metrics: a hash of its key, which is a secret."""
        return blake2b(self.configuration.intake_key.get_secret_value().encode(), digest_size=8).hexdigest()

    # --- what the SDK asks

    def push_events_to_intakes(self, events: list[EventType], sync: bool = False) -> list[str]:
        """As the SDK's, but what was not accepted is raised. The rounds do not use it."""
        intake = self._intake = self._intake or self._connected_intake()
        batches = intake.batches((None, _as_the_sdk(event)) for event in events)
        return [one for _, texts in batches for one in intake.send(texts)]

    @property
    def frequency(self) -> int:
        return self.configuration.frequency

    def liveness_context(self) -> dict[str, Any]:
        return {**super().liveness_context(), "round": asdict(self.counts)}


def _as_the_sdk(event: EventType) -> str:
    if isinstance(event, BaseModel):
        return event.model_dump_json()
    return as_text(event) if isinstance(event, dict) else str(event)
