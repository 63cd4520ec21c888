"""Conversions of a vendor's values, used by the tables: each gives None, or nothing, for what is missing or malformed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.times import PADDING

Record = Mapping[str, Any]

MAX_ENTRIES = 10_000  # of a list inside a record
_PLACEHOLDERS = {
    *("n/a", "unknown", "none", "null", "-", "not specified", "to be filled by o.e.m.", "o.e.m."),
    *("system product name", "system manufacturer", "default string"),
}


def to_string(value: Any) -> str | None:
    """A string without white space and control characters at its ends (Windows pads names with NUL); a number as its digits.

    None for "", null, lists, objects, booleans.
    """
    if type(value) is str:
        return value.strip(PADDING) or None
    return str(value) if type(value) in (int, float) else None


def unless_placeholder(value: Any) -> str | None:
    """The string, as `text`; None for a placeholder ("N/A", "unknown", "-", "To Be Filled By O.E.M." … in any case).

    For what describes a device (domain, model, maker, system, region, description), not for names and ids: a host may be
    called "unknown".
    """
    if type(value) is not str:
        return to_string(value)
    found = value.strip(PADDING)
    return None if not found or found.lower() in _PLACEHOLDERS else found


def lower_case(value: Any) -> str:
    """The string in lower case, for comparing; "" when it is missing."""
    return value.strip(PADDING).lower() if type(value) is str else to_string(value) or ""


def boolean(value: Any) -> bool | None:
    """A boolean, also as the string some vendors make of it; else None."""
    if value is None or value is True or value is False:
        return value
    return {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else None


def non_negative_int(value: Any) -> int | None:
    """A whole number from 0 to 2³¹-1, also as digits; else None."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        value = int(value)
    return value if type(value) is int and 0 <= value < 2**31 else None


def as_list(value: Any) -> list[Any]:
    """A list inside a record, read to 10,000 entries; a single string in its place is an entry; else nothing."""
    return value[:MAX_ENTRIES] if isinstance(value, list) else [value] if isinstance(value, str) else []


def nested_object(record: Record, name: str) -> Record:
    """An object inside a record; an empty one when it is missing or not an object."""
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def objects_in(value: Any) -> list[Record]:
    """The objects of a list inside a record; entries that are not objects are ignored. Read to 10,000 entries."""
    return [entry for entry in value[:MAX_ENTRIES] if isinstance(entry, dict)] if isinstance(value, list) else []


def name_and_uid(name: Any, uid: Any) -> dict[str, str] | None:
    """OCSF's name and uid of a group or organization; without a name it is named by its uid; None without either."""
    name, uid = to_string(name), to_string(uid)
    if uid:
        return {"name": name or uid, "uid": uid}
    return {"name": name} if name else None


def name_and_uid_of(value: Any) -> dict[str, str] | None:
    """The same of an object with `name` and `id`; a string in its place is the name."""
    return name_and_uid(value.get("name"), value.get("id")) if isinstance(value, dict) else name_and_uid(value, None)


def groups_of(value: Any) -> list[dict[str, str]] | None:
    """The groups a device is in: a list of objects with `name` and `id`; one without a name is named by its id."""
    return [found for entry in objects_in(value) if (found := name_and_uid_of(entry))] or None
