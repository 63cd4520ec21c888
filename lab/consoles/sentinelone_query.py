"""The query parameters of `GET /web/api/v2.1/agents` (SentinelOne Management API 2.1) that a connector uses.

They are read, checked and made a filter; any other parameter is refused, also one that the API has.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from lab.consoles.collection import Keep, Mark, Position
from lab.consoles.queries import COMPARE, NEVER, Refused, micros, whole

TIMES = ("createdAt", "updatedAt", "registeredAt", "lastActiveDate")
_HIDDEN = "isDecommissioned"
_PAGING = frozenset(("limit", "cursor", "sortBy", "sortOrder", _HIDDEN))
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
MARKS: Mapping[str, Callable[[Any], Mark]] = {
    **dict.fromkeys(TIMES, micros),
    _HIDDEN: lambda value: "true" if value in (True, "True", "true") else "false",
    "id": lambda value: str("" if value is None else value).zfill(20),  # numbers as text: "9" comes before "10"
}
_COLUMN = {name: column for column, name in enumerate(MARKS)}


@dataclass(frozen=True)
class Query:
    """A valid query."""

    limit: int
    sort: str
    descending: bool
    after: Position | None
    keep: Keep
    digest: str  # of all parameters but the cursor: a cursor is valid for its own query only

    def cursor(self, position: Position) -> str:
        """The cursor after `position`, already encoded for a URL, as the API hands it out (`…%3D`)."""
        raw = orjson.dumps([self.digest, *position])
        raw += b" " * (1 if len(raw) % 3 == 0 else 0)  # so that "=" is there to be encoded
        return quote(base64.b64encode(raw).decode(), safe="")


def read(parameters: Mapping[str, list[str]]) -> Query:
    """Raises `Refused` for an unknown name and for a value that the API does not accept."""
    one = {name: values[-1] for name, values in parameters.items()}
    hidden = {_one_of(_HIDDEN, item.lower(), ("true", "false")) for item in one.get(_HIDDEN, "false").split(",")}
    filters = [_compared(name, value) for name, value in one.items() if name not in _PAGING]
    digest = hashlib.sha256(orjson.dumps(sorted((n, v) for n, v in one.items() if n != "cursor"))).hexdigest()[:16]
    return Query(
        limit=whole("limit", one.get("limit", "10"), 1, 1000),
        sort=_one_of("sortBy", one.get("sortBy", "id"), tuple(MARKS)),
        descending=_one_of("sortOrder", one.get("sortOrder", "asc"), ("asc", "desc")) == "desc",
        after=_position(one["cursor"], digest) if one.get("cursor") else None,
        keep=lambda marks: marks[_COLUMN[_HIDDEN]] in hidden and all(accepts(marks) for accepts in filters),
        digest=digest,
    )


def _compared(name: str, value: str) -> Keep:
    field, _, how = name.partition("__")
    if field not in TIMES or how not in COMPARE:
        raise Refused(f"{name}: Unknown field.")
    bound = micros(value) if _TIME.fullmatch(value) else NEVER
    if bound == NEVER:
        raise Refused(f"{name}: Not a valid datetime.")
    column, compare = _COLUMN[field], COMPARE[how]
    return lambda marks: marks[column] != NEVER and compare(marks[column], bound)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise Refused(f"{name}: Not a valid choice.")
    return value


def _position(cursor: str, digest: str) -> Position:
    """The position in a cursor that the server has decoded once; a cursor that was encoded twice is refused."""
    try:
        signed, mark, identity = orjson.loads(base64.b64decode(cursor, validate=True))
    except (binascii.Error, ValueError, TypeError):
        raise Refused("Invalid cursor value received") from None
    if signed != digest:
        raise Refused("Invalid cursor value received")
    return mark, identity
