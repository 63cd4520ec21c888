"""Common to the queries of the consoles' lists: comparable times, comparisons, and the refusal of a wrong query."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

NEVER = -1
"""The mark of a missing or unreadable time: sorted before all others, and matched by no filter."""
COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


class Refused(Exception):
    """The query is wrong; the text says how."""


def micros(value: Any) -> int:
    """The mark of a time: microseconds since 1970 (UTC), so that forms with and without a fraction sort together."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return NEVER
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def whole(name: str, value: str, low: int, high: int) -> int:
    """The number that a parameter has; `Refused` outside of these bounds."""
    if not value.isdecimal() or not low <= int(value) <= high:
        raise Refused(f"{name}: must be between {low} and {high}.")
    return int(value)
