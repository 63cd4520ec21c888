"""What a round is given: a walk through the vendor's list, a way to the platform, and the connector around it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from shared.devices.batch import Batch
from shared.errors import SkipRecord
from shared.http.pages import Page
from shared.mapping.conversions import Record
from shared.runtime.metrics import Counts


class Scope(NamedTuple):
    """A part of what a credential sees, such as a tenant. `key` names its state (letters, digits, dashes).

    `closed` says why it cannot be read for the time being; "" when it can.
    """

    key: str
    name: str
    closed: str = ""


WHOLE = Scope("", "")


@dataclass(frozen=True)
class Walk:
    """One way through the vendor's devices.

    `cursor_of` reads a record's cursor value (epoch seconds); None where the vendor cannot be asked for changes.
    `sorted_by_cursor`: the rows come in that order, so that the cursor may move batch by batch.
    """

    pages: Generator[Page, None, None]
    cursor_of: Callable[[Record], float | None] | None = None
    sorted_by_cursor: bool = False


class Delivery(Protocol):
    """Where batches go: `shared.devices.delivery.AssetDelivery`, `shared.devices.starts.ChangeDelivery`."""

    @property
    def unanswered(self) -> bool:
        """Whether it is not known of any batch how its ingestion ended, so that acceptance has to be enough."""

    def serialize(self, event: dict[str, Any], written: bytes, before: int | None, now: int) -> bytes:
        """What is sent of an event; b"" when it is only remembered.

        `written`: the event as JSON. `before`: the device as last delivered.
        """

    def send(self, batch: Batch) -> None: ...
    def confirmed(self, *, all_of_them: bool = False) -> Iterator[Batch]: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Terms:
    """Of one round. `began`: its stamp. `cursor`: as stored, epoch seconds. `names`: the fields of a record's identity.

    `refresh_after`: seconds after which an unchanged device is sent again; None when it is not.
    """

    began: int
    cursor: float | None = None
    refresh_after: float | None = None
    batch_size: int = 1000
    names: tuple[str, ...] = ("id",)


@dataclass(frozen=True)
class Surroundings:
    """What a round asks of the connector that it belongs to.

    `moving` says whether to go on, `store` stores what was delivered if the last write is long enough ago, `skip` logs a
    record that is skipped.
    """

    counts: Counts
    moving: Callable[[], bool]
    move_cursor: Callable[[float], None]
    store: Callable[[], None]
    skip: Callable[[Any, SkipRecord], None]
    warn: Callable[[str], None]
