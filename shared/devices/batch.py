"""Events that are handed over together, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from shared.errors import ConnectorError, TryAgain

MAX_WEIGHT = 16 * 1024 * 1024  # bytes of events in memory: a batch of so many is sent, however few they are
MAX_DOUBTS = 2  # refusals in a row that were too few to judge: then the round ends


class Entry(NamedTuple):
    """What is remembered of an event once it is delivered. `counted`: it is the device's first in this round.

    `suspect`: this content was refused in an earlier round, while other devices were accepted.
    """

    key: int
    content: int
    counted: bool = True
    suspect: bool = False


class Refusal(NamedTuple):
    """A device that the platform refuses, and why."""

    entry: Entry
    uid: str
    error: ConnectorError


@dataclass
class Standing:
    """Of one round, over all scopes: `doubts` are refusals in a row of so few devices that the platform may be down."""

    doubts: int = 0


@dataclass
class Batch:
    """Serialised events, what to remember of each once it is delivered, and the cursor after them.

    `refused`: the devices that the platform does not accept, known when the batch is confirmed. `followed`: whether its
    ingestion is known to have succeeded.
    """

    events: list[bytes] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    cursor: float | None = None
    silent: int = 0  # events that are only remembered
    weight: int = 0  # bytes of its events
    refused: list[Refusal] = field(default_factory=list)
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
        if not self.refused:
            return self.entries
        refused = {refusal.entry for refusal in self.refused}
        return [entry for entry in self.entries if entry not in refused]

    def add(self, event: bytes, entry: Entry) -> None:
        self.events.append(event)
        self.entries.append(entry)
        self.silent += not event
        self.weight += len(event)

    def refuse(self, number: int, error: ConnectorError) -> None:
        """The platform does not accept the event of this number."""
        uid = orjson.loads(self.events[number])["device"]["uid"]
        self.refused.append(Refusal(self.entries[number], uid, error))


def may_be_down(refusal: ConnectorError) -> TryAgain:
    """The error for devices that were refused and are too few to tell whether the platform accepts others."""
    return TryAgain(f"{refusal} Too few devices were sent to tell whether others are accepted; they are sent again.")
