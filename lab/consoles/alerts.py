"""A console of alerts. Each row has the time of its last update and the time from which it is listed."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from lab.consoles.collection import encode
from lab.consoles.console import Console
from shared.times import epoch

Alert = dict[str, Any]


@dataclass
class Row:
    """An alert in the vendor's database; `updated` and `visible` (listed from then on) are epoch seconds."""

    number: int
    updated: float
    visible: float
    alert: Any


class AlertConsole(Console, ABC):
    """A console with one list of alerts. `cursor` is the field of their last update.

    Alerts whose ids are in `left_out` are counted and not listed.
    """

    cursor: ClassVar[str] = "updatedAt"

    def __init__(self, rate: float | None = None, latency: float = 0.0) -> None:
        super().__init__(rate, latency)
        self.left_out: set[str] = set()
        self._rows: dict[str, Row] = {}
        self._lock = threading.RLock()

    @abstractmethod
    def generated(self, count: int, seed: int, hours: float) -> Iterable[Any]:
        """So many alerts of the vendor, of the last hours."""

    def written(self, when: datetime, before: str) -> str:
        """A time as the vendor writes it; `before` is the time that it replaces."""
        return when.isoformat()

    def has(self, records: int | Iterable[Any], seed: int = 7, hours: float = 5.5) -> None:
        """Replace the alerts: by a number of generated ones, of the last `hours`, or by these as they are."""
        if isinstance(records, int):
            records = self.generated(records, seed, hours)
        with self._lock:
            self._rows.clear()
            for alert in records:
                self.add(alert)

    @property
    def ids(self) -> list[str]:
        """The ids of all alerts, in the order of arrival."""
        return list(self._rows)

    def record(self, identity: str) -> Alert:
        """A copy of the alert."""
        return dict(self._rows[identity].alert)

    def add(self, alert: Any, updated: datetime | None = None) -> None:
        """Add an alert, as it is. Its last update is `updated`, else the alert's own time, else an hour ago."""
        fields = alert if isinstance(alert, dict) else {}
        with self._lock:
            identity = str(fields.get("id") if fields.get("id") is not None else f"~{len(self._rows):09}")
            seconds = updated.timestamp() if updated else epoch(fields.get(self.cursor))
            if seconds is None:
                seconds = (self.now() - timedelta(hours=1)).timestamp()
            self._rows[identity] = Row(len(self._rows) + 1, seconds, 0.0, alert)

    def change(self, identity: str, at: datetime | None = None, **fields: Any) -> None:
        """The backend updates the alert: the time of its last update becomes now (or `at`)."""
        with self._lock:
            row = self._rows[identity]
            when = (at or self.now()).astimezone(UTC).replace(microsecond=0)
            before = str(row.alert.get(self.cursor) or "")
            row.alert = {**row.alert, self.cursor: self.written(when, before), **fields}
            row.updated = when.timestamp()

    def hide(self, identity: str, until: datetime) -> None:
        """List the alert only from that time on."""
        self._rows[identity].visible = until.timestamp()

    def remove(self, identity: str) -> None:
        """Delete the alert."""
        with self._lock:
            del self._rows[identity]

    def page(self, keep: Callable[[Row], bool], offset: int, limit: int) -> tuple[list[bytes], int]:
        """One page of the encoded alerts, newest first, and the number of alerts that `keep` accepts."""
        with self._lock:
            now = self.now().timestamp()
            counted = {name: row for name, row in self._rows.items() if row.visible <= now and keep(row)}
            found = [row for name, row in counted.items() if name not in self.left_out]
            found.sort(key=lambda row: -row.number)
            return [encode(row.alert) for row in found[offset : offset + limit]], len(counted)
