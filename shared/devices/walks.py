"""What is read: a scope, such as a tenant, and a walk through the vendor's list of its devices."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NamedTuple

from shared.http.pages import Page
from shared.mapping.conversions import Record


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
