"""The query parameters of `GET /web/api/v2.1/agents` (SentinelOne Management API 2.1): read, checked, made a filter."""

from __future__ import annotations

import base64
import binascii
import hashlib
import operator
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson

from lab.consoles.collection import Keep, Mark, Marks, Position

NEVER = -1
"""The mark of a time that is null, absent or unreadable: before all others, and matched by no filter."""
TIMES = (
    "createdAt",
    "updatedAt",
    "registeredAt",
    "lastActiveDate",
    "lastSuccessfulScanDate",
    "decommissionedAt",
)
LISTS = {  # parameter → field
    "ids": "id",
    "uuids": "uuid",
    "siteIds": "siteId",
    "accountIds": "accountId",
    "groupIds": "groupId",
    "osTypes": "osType",
    "machineTypes": "machineType",
    "computerName": "computerName",
    "networkStatuses": "networkStatus",
}
FLAGS = ("isActive", "infected", "isUpToDate")
FLAG_LISTS = ("isDecommissioned", "isUninstalled")
_PAGING = frozenset(("limit", "skip", "cursor", "countOnly", "skipCount", "sortBy", "sortOrder", "query"))
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


class Refused(Exception):
    """The query is wrong; the text is the `detail` of the 400."""


def micros(value: Any) -> int:
    """The mark of a time: microseconds since 1970 (UTC), so that forms with and without a fraction sort together."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return NEVER
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def _text(value: Any) -> str:
    return "" if value is None else sys.intern(str(value))  # few sites, many agents


def _flag(value: Any) -> str:
    return "true" if value in (True, "True", "true") else "false"


MARKS: Mapping[str, Callable[[Any], Mark]] = {
    **dict.fromkeys(TIMES, micros),
    **dict.fromkeys(LISTS.values(), _text),
    **dict.fromkeys((*FLAGS, *FLAG_LISTS), _flag),
    "id": lambda value: _text(value).zfill(20),  # numbers as text: "9" comes before "10"
}
_PLACE = {name: place for place, name in enumerate(MARKS)}


@dataclass(frozen=True)
class Query:
    """A query that is right."""

    limit: int
    skip: int
    sort: str
    descending: bool
    after: Position | None
    count_only: bool
    skip_count: bool
    keep: Keep
    digest: str  # of every parameter but the cursor: a cursor is good for the query it was handed out for

    def cursor(self, position: Position) -> str:
        """The cursor after `position`, already encoded for a URL, as the API hands it out (`…%3D`)."""
        raw = orjson.dumps([self.digest, *position])
        raw += b" " * (1 if len(raw) % 3 == 0 else 0)  # so that "=" is there to be encoded
        return quote(base64.b64encode(raw).decode(), safe="")


def read(parameters: Mapping[str, list[str]]) -> Query:
    """Raises `Refused` for a name the API does not know and for a value it does not take."""
    one = {name: values[-1] for name, values in parameters.items()}
    filters = [_filter(name, value) for name, value in one.items() if name not in _PAGING]
    if "isDecommissioned" not in one:
        filters.append(_among("isDecommissioned", {"false"}))
    if text := one.get("query"):
        filters.append(_containing("computerName", text.lower()))
    told = sorted((name, value) for name, value in one.items() if name != "cursor")
    digest = hashlib.sha256(orjson.dumps(told)).hexdigest()[:16]
    return Query(
        limit=_whole("limit", one.get("limit", "10"), 1, 1000),
        skip=_whole("skip", one.get("skip", "0"), 0, 1000),
        sort=_one_of("sortBy", one.get("sortBy", "id"), tuple(MARKS)),
        descending=_one_of("sortOrder", one.get("sortOrder", "asc"), ("asc", "desc")) == "desc",
        after=_position(one["cursor"], digest) if one.get("cursor") else None,
        count_only=_boolean("countOnly", one.get("countOnly", "false")),
        skip_count=_boolean("skipCount", one.get("skipCount", "false")),
        keep=lambda marks: all(accepts(marks) for accepts in filters),
        digest=digest,
    )


def _filter(name: str, value: str) -> Keep:
    field, _, how = name.partition("__")
    if field in TIMES and how in _COMPARE:
        return _compared(field, _COMPARE[how], _moment(name, value))
    if field in TIMES and how == "between":
        return _between(name, field, value)
    if name in LISTS:
        wanted = {item.zfill(20) if name == "ids" else item for item in value.split(",")}
        return _among(LISTS[name], wanted)
    if name in FLAGS:
        return _among(name, {str(_boolean(name, value)).lower()})
    if name in FLAG_LISTS:
        return _among(name, {str(_boolean(name, item)).lower() for item in value.split(",")})
    raise Refused(f"{name}: Unknown field.")


def _compared(field: str, compare: Callable[[Any, Any], bool], bound: int) -> Keep:
    place = _PLACE[field]
    return lambda marks: marks[place] != NEVER and compare(marks[place], bound)


def _between(name: str, field: str, value: str) -> Keep:
    """Inclusive, and unlike the others in epoch milliseconds: `from-to`."""
    if not re.fullmatch(r"\d+-\d+", value):
        raise Refused(f"{name}: Not a valid range of timestamps.")
    low, high = (int(bound) * 1000 for bound in value.split("-"))
    place = _PLACE[field]
    return lambda marks: low <= int(marks[place]) <= high


def _among(field: str, wanted: set[str]) -> Keep:
    place = _PLACE[field]
    return lambda marks: marks[place] in wanted


def _containing(field: str, text: str) -> Keep:
    place = _PLACE[field]

    def accepts(marks: Marks) -> bool:
        return text in str(marks[place]).lower()

    return accepts


def _moment(name: str, value: str) -> int:
    if not _TIME.fullmatch(value) or (mark := micros(value)) == NEVER:
        raise Refused(f"{name}: Not a valid datetime.")
    return mark


def _whole(name: str, value: str, low: int, high: int) -> int:
    if not value.isdecimal() or not low <= int(value) <= high:
        raise Refused(f"{name}: Must be between {low} and {high}.")
    return int(value)


def _boolean(name: str, value: str) -> bool:
    return _one_of(name, value.lower(), ("true", "false")) == "true"


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise Refused(f"{name}: Not a valid choice.")
    return value


def _position(cursor: str, digest: str) -> Position:
    """Of a cursor as it arrives, decoded once by the server: one that was encoded twice is refused."""
    try:
        told, mark, identity = orjson.loads(base64.b64decode(cursor, validate=True))
    except (binascii.Error, ValueError, TypeError):
        raise Refused("Invalid cursor value received") from None
    if told != digest:
        raise Refused("Invalid cursor value received")
    return mark, identity
