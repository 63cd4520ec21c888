"""Events that are handed over together, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from shared.errors import ConnectorError, TryAgain
from shared.http.halving import may_be_content

MAX_WEIGHT = 16 * 1024 * 1024  # bytes of events in memory: a batch of so many is sent, however few they are
JUDGED_FROM = 3  # devices: of so many one is accepted, or the platform is down
_MAX_DOUBTS = 2  # refusals in a row of fewer devices: then the round ends


class Met(NamedTuple):
    """A device that a walk met, with something to deliver. `written`: the event as JSON.

    `before`, `now`: its content as last delivered (None: it is unknown) and as met. `was`, `presence`: SILENT, GONE or "",
    likewise.
    """

    event: dict[str, Any]
    written: bytes
    before: int | None
    now: int
    was: str = ""
    presence: str = ""


class Entry(NamedTuple):
    """What is remembered of an event once it is delivered. `counted`: it is the device's first in this round.

    `suspect`: this content was refused in an earlier round, while other devices were accepted. `presence`: SILENT, GONE
    or "" from then on.
    """

    key: int
    content: int
    counted: bool = True
    suspect: bool = False
    presence: str = ""


@dataclass
class Batch:
    """Serialised events, what to remember of each once it is delivered, and the cursor after them.

    `refused`: the numbers of the events that the platform does not accept, each with its device.uid and why, known when
    the batch is confirmed. `followed`: whether its ingestion is known to have succeeded.
    """

    events: list[bytes] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    cursor: float | None = None
    learned: int = 0  # events that are only remembered
    weight: int = 0  # bytes of its events
    refused: dict[int, tuple[str, ConnectorError]] = field(default_factory=dict)
    followed: bool = True

    @property
    def size(self) -> int:
        return len(self.entries)

    @property
    def is_suspect(self) -> bool:
        """Whether a refusal says nothing about the platform."""
        return all(entry.suspect for entry in self.entries)

    @property
    def delivered(self) -> list[Entry]:
        """The entries without those refused."""
        return [entry for number, entry in enumerate(self.entries) if number not in self.refused]

    def add(self, event: bytes, entry: Entry) -> None:
        self.events.append(event)
        self.entries.append(entry)
        self.learned += not event
        self.weight += len(event)

    def refuse(self, number: int, error: ConnectorError) -> None:
        """The platform does not accept the event of this number."""
        self.refused[number] = orjson.loads(self.events[number])["device"]["uid"], error


class TooFew(TryAgain):
    """Devices were refused and are too few to tell whether the platform accepts others."""

    def __init__(self, refusal: ConnectorError) -> None:
        said = f"{refusal} Too few devices were sent to tell whether others are accepted; they are sent again."
        super().__init__(said)
        self.refusal = refusal


@dataclass
class Doubts:
    """Refusals in a row, over all scopes of one round, of too few devices to judge."""

    count: int = 0

    def judged(self, error: ConnectorError, refusal: ConnectorError, devices: int) -> ConnectorError:
        """The error to raise when the search in a refused batch ended with `error`: it ends the round, unless it is TooFew."""
        if error is refusal and may_be_content(error) and devices < JUDGED_FROM:
            self.count += 1
            if self.count < _MAX_DOUBTS:
                return TooFew(refusal)
        error.ends_round = True
        return error
