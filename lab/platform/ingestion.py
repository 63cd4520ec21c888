"""The devices and alerts that arrived at the local platform, for tests and the demo to compare with the console's."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import orjson

from lab.platform.files import append_to

Event = dict[str, Any]


@dataclass(frozen=True)
class Push:
    """One batch of devices that was accepted."""

    connector: str  # the uuid of the connector's configuration
    size: int
    bytes: int
    task: str | None
    ingested: bool  # False when its task was scripted to fail or to stay pending
    at: float = field(default_factory=time.monotonic, repr=False)


@dataclass
class Task:
    """One ingestion task. `outcome` is FINISHED, FAILED, or PENDING for one that never ends."""

    uuid: str
    outcome: str
    polls: int  # polls answered before the outcome is reported
    ready_at: float  # monotonic; the outcome is not reported before
    error: str | None = None
    polled: int = 0

    def status(self) -> str:
        """Reported once a poll: PENDING first, then RUNNING, then the outcome."""
        self.polled += 1
        if self.outcome != "PENDING" and self.polled > self.polls and time.monotonic() >= self.ready_at:
            return self.outcome
        return "PENDING" if self.polled == 1 or self.outcome == "PENDING" else "RUNNING"


class Tasks:
    """The ingestion tasks, and the outcomes scripted for the next ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: dict[str, Task] = {}
        self._scripted: list[tuple[str, str | None]] = []

    def script(self, outcome: str, count: int, error: str | None = None) -> None:
        with self._lock:
            self._scripted += [(outcome, error)] * count

    def unscript(self) -> None:
        with self._lock:
            self._scripted.clear()

    def create(self, polls: int, seconds: float) -> Task:
        with self._lock:
            outcome, error = self._scripted.pop(0) if self._scripted else ("FINISHED", None)
            task = Task(str(uuid.uuid4()), outcome, polls, time.monotonic() + seconds, error)
            self._tasks[task.uuid] = task
            return task

    def poll(self, task_id: str) -> dict[str, str] | None:
        """The task as the Task API reports it, None when no task has that id."""
        with self._lock:
            task = self._tasks.get(task_id)
            if task is None:
                return None
            answer = {"uuid": task.uuid, "status": task.status()}
            if answer["status"] == "FAILED" and task.error:
                answer["error"] = task.error
            return answer


class Arrivals:
    """The ingested devices, by connector, and alerts. Without `keep` only identities and counts are kept.

    Each ingested event is appended to `out` as one JSON line, complete on disk before the sender has its answer.
    """

    def __init__(self, keep: bool, out: Path | None) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._devices: dict[str, dict[str, Event]] = {}
        self._deliveries: Counter[str] = Counter()
        self._alerts: list[str] = []
        self._alert_count = 0
        self._out: TextIO | None = None
        self._out_path = out

    def devices(self, events: list[Event], connector: str) -> None:
        with self._lock:
            mine = self._devices.setdefault(connector, {})
            for event in events:
                uid = event["device"]["uid"]
                mine[uid] = event if self._keep else _NOT_KEPT
                self._deliveries[uid] += 1
            self._write(orjson.dumps(event).decode() for event in events)

    def alerts(self, texts: list[str]) -> None:
        with self._lock:
            self._alert_count += len(texts)
            if self._keep:
                self._alerts += texts
            self._write(map(_one_line, texts))

    def _write(self, lines: Iterable[str]) -> None:
        if self._out is None and self._out_path is not None:
            self._out = TextIOWrapper(append_to(self._out_path), encoding="utf-8")
        if self._out is not None:
            self._out.writelines(f"{line}\n" for line in lines)
            self._out.flush()

    def close(self) -> None:
        with self._lock:
            if self._out is not None:
                self._out.close()
                self._out = None

    def devices_of(self, connector: str | None) -> dict[str, Event]:
        with self._lock:
            if connector is not None:
                return dict(self._devices.get(connector, {}))
            return {uid: event for events in self._devices.values() for uid, event in events.items()}

    def deliveries(self) -> Counter[str]:
        with self._lock:
            return self._deliveries.copy()

    def all_alerts(self) -> list[str]:
        with self._lock:
            return list(self._alerts)

    def alert_count(self) -> int:
        with self._lock:
            return self._alert_count


_NOT_KEPT: Event = {}


def _one_line(text: str) -> str:
    """An event as one line of JSON: unchanged if it is JSON on one line; text that is not JSON as a JSON string."""
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return orjson.dumps(text).decode()
    return text if "\n" not in text and "\r" not in text else orjson.dumps(parsed).decode()
