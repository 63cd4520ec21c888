"""Values in a record by dotted path, such as `profile.displayName`; lists are not entered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Record = dict[str, Any]


def value_at(record: Any, path: str) -> Any:
    """None where it is missing."""
    for name in path.split("."):
        record = record.get(name) if isinstance(record, dict) else None
    return record


def with_values(record: Record, values: Mapping[str, Any]) -> Record:
    """A copy of the record with these values at these paths; objects on the way are made where they are missing."""
    copied = dict(record)
    for path, value in values.items():
        name, _, rest = path.partition(".")
        inner = copied.get(name)
        copied[name] = with_values(inner if isinstance(inner, dict) else {}, {rest: value}) if rest else value
    return copied


def without(record: Record, paths: Iterable[str]) -> Record:
    """A copy of the record without what is at these paths."""
    copied = dict(record)
    for path in paths:
        name, _, rest = path.partition(".")
        if not rest:
            copied.pop(name, None)
        elif isinstance(copied.get(name), dict):
            copied[name] = without(copied[name], [rest])
    return copied
