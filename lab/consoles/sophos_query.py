"""The query parameters of `GET /endpoint/v1/endpoints` (Sophos endpoint API v1): read, checked, made a filter."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from lab.consoles.collection import Position
from lab.consoles.queries import NEVER, Refused, micros, whole

MOST = {"summary": 500, "full": 100}
"""Endpoints a page, by view. The documents contradict each other; the smallest for `full`."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


@dataclass(frozen=True)
class Query:
    """A valid query. `seen_after` is inclusive; `after` is the position that `key` encodes."""

    size: int
    most: int
    total: bool
    seen_after: int | None
    key: str | None
    after: Position | None

    def key_of(self, position: Position) -> str:
        """The key of the page after `position`: base64 with "=" and "+", which only arrive when they are encoded."""
        raw = b"\xfb\xff" + orjson.dumps(list(position))
        return base64.b64encode(raw + b" " * (1 if len(raw) % 3 == 0 else 0)).decode()


def read(one: Mapping[str, str], most: Mapping[str, int] = MOST) -> Query:
    """Raises `Refused` for a value that the API does not accept. An unknown name is ignored, as by the live API: a
    client that sends `pageKey`, `nextKey` or `page` reads the first page again and again."""
    if "sort" in one:
        raise Refused("sort is not supported")  # as some tenants answer
    view = one.get("view", "summary")
    if view not in most:
        raise Refused("view: must be summary or full")
    size = whole("pageSize", one.get("pageSize", "50"), 1, most[view])
    key = one.get("pageFromKey") or None
    seen = one.get("lastSeenAfter")
    return Query(
        size=size,
        most=most[view],
        total=one.get("pageTotal") == "true",
        seen_after=None if seen is None else _moment(seen),
        key=key,
        after=_position(key) if key else None,
    )


def _moment(value: str) -> int:
    """A UTC date-time; durations, which the API accepts too, are refused here, as no connector uses them."""
    if not _TIME.fullmatch(value) or (mark := micros(value)) == NEVER:
        raise Refused("lastSeenAfter: not a valid date-time")
    return mark


def _position(key: str) -> Position:
    try:
        raw = base64.b64decode(key, validate=True)
        mark, identity = orjson.loads(raw[2:])
    except (binascii.Error, ValueError, TypeError):
        raise Refused("pageFromKey: not a valid key") from None
    return mark, identity
