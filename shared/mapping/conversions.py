"""Conversions of a vendor's values, used by the tables: each gives None, or nothing, for what is missing or malformed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST_ENTRIES = 10_000  # of a list inside a record

Record = Mapping[str, Any]


def text(value: Any) -> str | None:
    """A told text without the space around it; a number as its digits; None for "", null, lists, objects, booleans."""
    if type(value) is str:
        return value.strip() or None
    return str(value) if type(value) in (int, float) else None


def lowered(value: Any) -> str:
    """A told text in lower case, for comparing; "" where none is told."""
    return (text(value) or "").lower()


def boolean(value: Any) -> bool | None:
    """A boolean, also as the text some vendors make of it; else None."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else None


def count(value: Any) -> int | None:
    """A whole number from 0 to 2³¹-1, also as digits; else None."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        value = int(value)
    return value if type(value) is int and 0 <= value < 2**31 else None


def listed(value: Any) -> list[Any]:
    """A list inside a record, read to 10,000 entries; a single text in its place is one; else nothing."""
    return value[:MOST_ENTRIES] if isinstance(value, list) else [value] if isinstance(value, str) else []


def part(record: Record, name: str) -> Record:
    """An object inside a record; an empty one where there is none."""
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def entries(value: Any) -> list[Record]:
    """The objects of a list inside a record; what is no object in it is passed over. Read to 10,000 entries."""
    return [entry for entry in value[:MOST_ENTRIES] if isinstance(entry, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """The told texts of a list inside a record (or of a single text in its place), in order, each once."""
    listed = value[:MOST_ENTRIES] if isinstance(value, list) else [value]
    return list(dict.fromkeys(told for item in listed if isinstance(item, str) and (told := text(item))))


def named(name: Any, uid: Any) -> dict[str, str] | None:
    """OCSF's name and uid of a group or organization; without a name it is named by its uid; None without either."""
    name, uid = text(name), text(uid)
    if uid:
        return {"name": name or uid, "uid": uid}
    return {"name": name} if name else None
