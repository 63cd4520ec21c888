"""The query of ESET Connect's lists (device management v1): read, checked, made a filter."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from lab.consoles.collection import Keep, Marks, Position

FILTERS = {"displayNames": "displayName", "functionalityStatus": "functionalityStatus", "isMuted": "isMuted"}
"""Of `/v1/devices`: parameter → field."""
_PAGING = ("pageSize", "pageToken")
_DEFAULT_PAGE, _LARGEST_PAGE, _REFUSED_PAGE = 50, 1_000, 100_000
_LONGEST_TOKEN = 128


class Refused(Exception):
    """The query is wrong; the text says how."""


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


MARKS: Mapping[str, Callable[[Any], str]] = {
    "uuid": lambda value: str(value or ""),  # what the collection makes the identity of, or "" where there is none
    **dict.fromkeys(FILTERS.values(), _text),
}
_PLACE = {name: place for place, name in enumerate(MARKS)}


@dataclass(frozen=True)
class Query:
    """A query that is right. Rows come by uuid; the API promises no order."""

    size: int
    after: Position | None
    keep: Keep | None
    digest: str  # of all but the token: a token is good for the query it was handed out for

    def token(self, end: Position) -> str:
        """The token of the page after `end`; opaque."""
        return base64.urlsafe_b64encode((self.digest + end[1]).encode()).decode()


def read(parameters: Mapping[str, list[str]], filters: Mapping[str, str]) -> Query:
    """Raises `Refused`. The API's pages do not say what it makes of a name it does not know; here it is refused."""
    if unknown := parameters.keys() - {*_PAGING, *filters}:
        raise Refused(f"unknown parameter {min(unknown)}")
    size = _page_size(parameters.get("pageSize", ["0"])[-1])
    wanted = {filters[name]: values for name, values in sorted(parameters.items()) if name in filters}
    digest = hashlib.sha256(orjson.dumps([sorted(filters), size, wanted])).hexdigest()[:8]

    def keep(marks: Marks) -> bool:
        return all(marks[_PLACE[field]] in values for field, values in wanted.items())

    return Query(size, _position(parameters.get("pageToken", [""])[-1], digest), keep if wanted else None, digest)


def _page_size(value: str) -> int:
    """0 is the default, more than the maximum is the maximum, far more is wrong."""
    if not value.isdecimal() or int(value) >= _REFUSED_PAGE:
        raise Refused("page_size must be between 0 and 99999")
    return min(int(value) or _DEFAULT_PAGE, _LARGEST_PAGE)


def _position(token: str, digest: str) -> Position | None:
    """Where the page begins; "" is the first page."""
    if not token:
        return None
    try:
        told = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise Refused("page_token is invalid") from None
    if len(token) > _LONGEST_TOKEN or not told.startswith(digest):
        raise Refused("page_token is too long, or belongs to another query")
    identity = told.removeprefix(digest)
    return ("" if identity.startswith("~") else identity), identity
