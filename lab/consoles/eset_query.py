"""The query of ESET Connect's lists (device management v1): read and checked."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.consoles.collection import Position
from lab.consoles.queries import Refused

_PAGING = ("pageSize", "pageToken")
_DEFAULT_PAGE, _LARGEST_PAGE, _REFUSED_PAGE = 50, 1_000, 100_000
_LONGEST_TOKEN = 128


MARKS: Mapping[str, Callable[[Any], str]] = {
    "uuid": lambda value: str(value or ""),  # the identity in the collection, or "" without one
}


@dataclass(frozen=True)
class Query:
    """A valid query. Rows are sorted by uuid; the API documents no order."""

    size: int
    after: Position | None
    digest: str  # of all parameters but the token: a token is valid for its own query only

    def token(self, end: Position) -> str:
        """The token of the page after `end`; opaque."""
        return base64.urlsafe_b64encode((self.digest + end[1]).encode()).decode()


def read(parameters: Mapping[str, list[str]], name: str) -> Query:
    """Raises `Refused`. `name` is the list's. Filters are refused as unknown: a connector reads the complete list."""
    if unknown := parameters.keys() - {*_PAGING}:
        raise Refused(f"unknown parameter {min(unknown)}")
    size = _page_size(parameters.get("pageSize", ["0"])[-1])
    digest = hashlib.sha256(f"{name} {size}".encode()).hexdigest()[:8]
    return Query(size, _position(parameters.get("pageToken", [""])[-1], digest), digest)


def _page_size(value: str) -> int:
    """0 means the default, more than the maximum means the maximum, far more is refused."""
    if not value.isdecimal() or int(value) >= _REFUSED_PAGE:
        raise Refused("page_size must be between 0 and 99999")
    return min(int(value) or _DEFAULT_PAGE, _LARGEST_PAGE)


def _position(token: str, digest: str) -> Position | None:
    """Where the page begins; "" is the first page."""
    if not token:
        return None
    try:
        decoded = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise Refused("page_token is invalid") from None
    if len(token) > _LONGEST_TOKEN or not decoded.startswith(digest):
        raise Refused("page_token is too long, or belongs to another query")
    identity = decoded.removeprefix(digest)
    return ("" if identity.startswith("~") else identity), identity
