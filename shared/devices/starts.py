"""Starting playbooks: one event for each change, in order, each confirmed before the next is sent."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import Any

import orjson

from shared.devices.batch import MAX_DOUBTS, MAX_WEIGHT, Batch, Standing, may_be_down
from shared.devices.contents import Watch
from shared.errors import ConnectorError
from shared.http.halving import isolate_refused, may_be_content
from shared.masking import shown

_MAX_WAITING = 5_000  # events held in memory before some are sent, whatever is still to be read
_MAX_NAME = 200  # characters of an event's name: an endpoint chooses its own
_PROBES = 3  # events sent to learn whether the platform accepts any
WORTH_SAYING = 100  # events waiting
_SAY_EVERY = 60.0  # seconds between two lines about those that wait


class ChangeDelivery:
    """Starts a playbook for each change that a walk finds, in order, waiting for each before the next.

    `push(name, event, once)` returns when the platform confirmed it, at most `rate` a second. `kind_of(event, before)`
    says which kind of change an event is, "" when it starts no playbook.
    """

    unanswered = False  # the callback confirms each event

    def __init__(
        self,
        push: Callable[[str, dict[str, Any], bool], None],
        watch: Watch,
        kind_of: Callable[[dict[str, Any], int | None], str],
        *,
        rate: int,
        stop: Event,
        say: Callable[[str], None],
        standing: Standing,
    ) -> None:
        self._push = push
        self._watch = watch
        self._kind_of = kind_of
        self._rate = rate
        self._stop = stop
        self._say = say
        self._standing = standing
        self._said_at = 0.0
        self._waiting: deque[Batch] = deque()
        self._weight = 0  # bytes of the events that wait
        self._works = False  # the latest event was accepted

    def serialize(self, event: dict[str, Any], written: bytes, before: int | None, now: int) -> bytes:
        """The event with its change; b"" when it starts no playbook."""
        kind = self._kind_of(event, before)
        if not kind:
            return b""
        fields = [] if before is None else self._watch.changed(before, now)
        return orjson.dumps({**event, "change": {"kind": kind, "fields": fields}})

    def send(self, batch: Batch) -> None:
        """Queue a batch: each event that starts a playbook becomes a batch of its own."""
        self._waiting.extend(_one_by_one(batch))
        self._weight += batch.weight

    def confirmed(self, *, all_of_them: bool = False) -> Iterator[Batch]:
        """Start playbooks once the walk is at its end or the queue is full → each batch when it is confirmed.

        The caller remembers a batch before it asks for the next.
        """
        limit = 0 if all_of_them else _MAX_WAITING
        while self._waiting and not self._stop.is_set():
            batch = self._waiting[0]
            if len(self._waiting) <= limit and self._weight <= MAX_WEIGHT and not batch.silent:
                return
            if batch.silent:
                yield self._taken(batch)
                continue
            done: list[Batch] = []
            failure: ConnectorError | None = None
            try:
                self._start(batch, done)
            except ConnectorError as error:
                failure = error
            for each in done:
                yield self._taken(each)
            if failure:
                self.close()
                raise failure

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._weight = 0

    def _taken(self, batch: Batch) -> Batch:
        """Out of the queue; behind one that is still in it, it moves no cursor."""
        if batch is not self._waiting[0]:
            batch.cursor = None
        self._waiting.remove(batch)
        self._weight -= batch.weight
        return batch

    def _start(self, batch: Batch, done: list[Batch]) -> None:
        """Start the playbook of the first event; where it is refused because of its content, of the next two as well."""
        self._say_how_many()
        try:
            self._call(batch)
            self._works = True
            self._standing.doubts = 0
            done.append(batch)
        except ConnectorError as error:
            works, self._works = self._works, False
            if not may_be_content(error):
                error.ends_round = True
                raise
            self._isolate(batch, error, done, works=works or batch.is_suspect)

    def _isolate(self, batch: Batch, refusal: ConnectorError, done: list[Batch], *, works: bool) -> None:
        probes = [batch] if works else self._probes()

        def push(part: Sequence[Batch]) -> None:
            for each in part:
                if each not in done:
                    self._call(each, once=True)
                    done.append(each)

        try:
            for [*part], error in isolate_refused(probes, push, refusal, works=works):
                if error:
                    part[0].refuse(0, error)
                    done.append(part[0])
        except ConnectorError as error:
            self._standing.doubts += 1
            if error is refusal and len(probes) < _PROBES and self._standing.doubts < MAX_DOUBTS:
                raise may_be_down(refusal) from None
            error.ends_round = True
            raise
        finally:
            done.sort(key=probes.index)

    def _probes(self) -> list[Batch]:
        """The first event of the queue, and the next of two other devices."""
        found: dict[int, Batch] = {}
        for batch in self._waiting:
            if not batch.silent:
                found.setdefault(batch.entries[0].key, batch)
            if len(found) == _PROBES:
                break
        return [*found.values()]

    def _call(self, batch: Batch, *, once: bool = False) -> None:
        event = orjson.loads(batch.events[0])
        self._push(_name(event), event, once)

    def _say_how_many(self) -> None:
        waiting, now = len(self._waiting), time.monotonic()
        if waiting >= WORTH_SAYING and now - self._said_at >= _SAY_EVERY:
            self._said_at = now
            self._say(f"{waiting} changes are waiting; at most {self._rate} a second start playbooks.")


def _one_by_one(batch: Batch) -> Iterator[Batch]:
    """The batch as several, in its order: one each event that starts a playbook, one each run of others between them."""
    parts = [Batch()]
    for event, entry in zip(batch.events, batch.entries, strict=True):
        if parts[-1].size and (event or not parts[-1].silent):
            parts.append(Batch())
        parts[-1].add(event, entry)
    parts[-1].cursor = batch.cursor
    yield from parts


def _name(event: dict[str, Any]) -> str:
    hostname, change = event["device"]["hostname"], event["change"]
    what = "new device" if change["kind"] == "new" else f"changed {', '.join(change['fields'])}"
    return shown(f"{hostname}: {what}", _MAX_NAME)
