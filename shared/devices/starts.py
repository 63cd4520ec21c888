"""Starting playbooks: one event for each change, in order, each confirmed before the next is sent."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any, ClassVar

import orjson

from shared import times
from shared.devices.batch import JUDGED_FROM, MAX_WEIGHT, Batch, Doubts, Met
from shared.devices.contents import changed
from shared.errors import ConnectorError
from shared.http.halving import isolate_refused
from shared.masking import shown
from shared.state.fingerprints import GONE, SILENT

_MAX_WAITING = 5_000  # events held in memory before some are sent, whatever is still to be read
_MAX_NAME, _MAX_HOSTNAME = 500, 100  # characters in an event's name: an endpoint chooses its own
WORTH_SAYING = 100  # events waiting
_SAY_EVERY = 60.0  # seconds between two lines about those that wait


@dataclass
class ChangeDelivery:
    """Starts a playbook for each change that a walk finds, in order, waiting for each before the next.

    `push(name, event, once)` returns when the platform confirmed it, at most `rate` a second. `kind_of(met)` says which
    kind of change a device met has, "" when it starts no playbook. `gone`: what the event of each device that is gone has
    in common, None when those start no playbook. Batches are of one event.
    """

    push: Callable[[str, dict[str, Any], bool], None]
    paths: Sequence[str]
    kind_of: Callable[[Met], str]
    gone: dict[str, Any] | None
    rate: int
    stop: Event
    log: Callable[[str], None]
    doubts: Doubts
    unanswered: ClassVar[bool] = False  # the callback confirms each event
    reordered: ClassVar[bool] = False  # those of one device are sent in order

    def __post_init__(self) -> None:
        self._said_at = 0.0
        self._waiting: deque[Batch] = deque()
        self._weight = 0  # bytes of the events that wait
        self._refused: dict[int, tuple[str, ConnectorError]] = {}  # in this walk, by device
        self._works = False  # the latest event was accepted

    def serialize(self, met: Met) -> bytes:
        """The event with its change; b"" when it starts no playbook."""
        kind = self.kind_of(met)
        if not kind:
            return b""
        fields = [] if met.before is None else changed(self.paths, met.before, met.now)
        last_seen = met.event["device"].get("last_seen_time")
        return orjson.dumps({**met.event, "change": {"kind": kind, "fields": fields, "last_seen": last_seen}})

    def serialize_gone(self, description: list[Any]) -> bytes:
        """What is known of the device, as an event; b"" when it starts no playbook."""
        if self.gone is None:
            return b""
        names = ("uid", "hostname", "type", "type_id", "last_seen_time")
        device = {name: value for name, value in zip(names, description, strict=True) if value is not None}
        change = {"kind": GONE, "fields": [], "last_seen": description[-1]}
        return orjson.dumps({**self.gone, "time": description[-1] or time.time(), "device": device, "change": change})

    def send(self, batch: Batch) -> None:
        """Queue the event of one device."""
        self._waiting.append(batch)
        self._weight += batch.weight

    def confirmed(self, *, all_of_them: bool = False) -> Iterator[Batch]:
        """Start playbooks once the walk is at its end or the queue is full → each batch when it is confirmed.

        The caller remembers a batch before it asks for the next.
        """
        limit = 0 if all_of_them else _MAX_WAITING
        while self._waiting and not self.stop.is_set():
            batch = self._waiting[0]
            refusal = self._refused.get(batch.entries[0].key)
            if refusal:  # what changed since an event that was not accepted
                batch.refused, batch.learned = {0: refusal}, 0
            if batch.learned or batch.refused:
                yield self._leave_queue(batch)
                continue
            if len(self._waiting) <= limit and self._weight <= MAX_WEIGHT:
                return
            try:
                for done in self._start(batch):
                    yield self._leave_queue(done)
            except ConnectorError:
                self.close()
                raise

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._weight = 0

    def _leave_queue(self, batch: Batch) -> Batch:
        """Remove a batch from the queue; one that is not the first moves no cursor."""
        if batch is not self._waiting[0]:
            batch.cursor = None
        self._waiting.remove(batch)
        self._weight -= batch.weight
        return batch

    def _start(self, batch: Batch) -> Iterator[Batch]:
        """Start the playbook of the first event; where it is refused because of its content, of the next two as well: those
        before it may have been accepted by a platform that is down now.

        Yields each event that is confirmed, or refused while others are accepted.
        """
        self._say_how_many()
        works, self._works = self._works, False
        try:
            self._call([batch])
        except ConnectorError as error:
            refusal = error
        else:
            self._works = True
            self.doubts.count = 0
            yield batch
            return
        probes = self._probes()
        works = all(probe.is_suspect for probe in probes) or (works and len(probes) == 1)
        if works:
            probes = [batch]
        try:
            for [event], error_of_one in isolate_refused(probes, partial(self._call, once=True), refusal, works=works):
                if error_of_one:
                    event.refuse(0, error_of_one)
                    self._refused[event.entries[0].key] = event.refused[0]
                yield event
        except ConnectorError as error:
            raise self.doubts.judged(error, refusal, len(probes)) from None

    def _probes(self) -> list[Batch]:
        """The first event of the queue, and the next of two other devices."""
        found: dict[int, Batch] = {}
        for batch in self._waiting:
            if not batch.learned and batch.entries[0].key not in self._refused:
                found.setdefault(batch.entries[0].key, batch)
            if len(found) == JUDGED_FROM:
                break
        return [*found.values()]

    def _call(self, batches: Sequence[Batch], *, once: bool = False) -> None:
        for batch in batches:
            event = orjson.loads(batch.events[0])
            self.push(_name(event), event, once)

    def _say_how_many(self) -> None:
        waiting, now = len(self._waiting), time.monotonic()
        if waiting >= WORTH_SAYING and now - self._said_at >= _SAY_EVERY:
            self._said_at = now
            self.log(f"{waiting} changes are waiting; at most {self.rate} a second start playbooks.")


def _name(event: dict[str, Any]) -> str:
    change = event["change"]
    kind, changed_fields = change["kind"], f"changed {', '.join(change['fields'])}"
    what = {"new": "new device", "changed": changed_fields}.get(kind, kind)
    if kind in (SILENT, GONE):
        what += times.last_seen(change["last_seen"])
    elif kind == "back" and change["fields"]:
        what += f", {changed_fields}"
    return shown(f"{shown(event['device']['hostname'], _MAX_HOSTNAME)}: {what}", _MAX_NAME)
