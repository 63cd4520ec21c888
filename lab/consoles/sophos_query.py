"""The query parameters of `GET /endpoint/v1/endpoints` (Sophos endpoint API v1): read, checked, made a filter."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from lab.consoles.collection import Position

NEVER = -1
"""The mark of a `lastSeenAt` that is absent or unreadable: matched by no filter."""
MOST = {"basic": 500, "summary": 500, "full": 100}
"""Endpoints a page, by view. The documents contradict each other; the smallest for `full`."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_DURATION = re.compile(r"([+-])?P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


class Refused(Exception):
    """The query is wrong: 400."""


def micros(value: Any) -> int:
    """The mark of a time: microseconds since 1970 (UTC), whatever its fraction digits."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return NEVER
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


@dataclass(frozen=True)
class Query:
    """A query that is right. `seen_after` is inclusive; `key` as it came, `after` what it stands for."""

    size: int
    most: int
    view: str
    total: bool
    seen_after: int | None
    key: str | None
    after: Position | None

    def key_of(self, position: Position) -> str:
        """The key of the page after `position`: base64 with "=" and "+", which only arrive when they are encoded."""
        raw = b"\xfb\xff" + orjson.dumps(list(position))
        return base64.b64encode(raw + b" " * (1 if len(raw) % 3 == 0 else 0)).decode()


def read(one: Mapping[str, str], now: datetime, most: Mapping[str, int] = MOST) -> Query:
    """Raises `Refused` for a value the API does not take. A name it does not know it ignores, as the live one does:
    who asks with `pageKey`, `nextKey` or `page` reads the first page for ever."""
    if "sort" in one:
        raise Refused("sort is not supported")  # as some tenants answer
    view = one.get("view", "summary")
    if view not in most:
        raise Refused("view: must be basic, summary or full")
    size = one.get("pageSize", "50")
    if not size.isdecimal() or not 1 <= int(size) <= most[view]:
        raise Refused(f"pageSize: must be between 1 and {most[view]}")
    key = one.get("pageFromKey") or None
    seen = one.get("lastSeenAfter")
    return Query(
        size=int(size),
        most=most[view],
        view=view,
        total=one.get("pageTotal") == "true",
        seen_after=None if seen is None else _moment(seen, now),
        key=key,
        after=_position(key) if key else None,
    )


def _moment(value: str, now: datetime) -> int:
    """A UTC date-time, or a signed duration from now; one without a sign lies in the future."""
    if _TIME.fullmatch(value) and (mark := micros(value)) != NEVER:
        return mark
    found = _DURATION.fullmatch(value)
    if found is None or not any(found.groups()[1:]):
        raise Refused("lastSeenAfter: not a valid date-time or duration")
    days, hours, minutes, seconds = (int(number or 0) for number in found.groups()[1:])
    span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    return micros((now - span if found[1] == "-" else now + span).isoformat())


def _position(key: str) -> Position:
    try:
        raw = base64.b64decode(key, validate=True)
        mark, identity = orjson.loads(raw[2:])
    except (binascii.Error, ValueError, TypeError):
        raise Refused("pageFromKey: not a valid key") from None
    return mark, identity
