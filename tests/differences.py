"""Differences between two values in words, for messages of failed tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_MAX_LISTED = 5
_MISSING = object()


def differences(expected: Any, found: Any) -> str:
    """The fields that differ, `path: expected …, found …`, at most five; "" when the values are equal."""
    return listed(list(_differing(expected, found, "")), "; ")


def listed(items: list[str], separator: str = ", ") -> str:
    """The first five, and how many more there are."""
    more = len(items) - _MAX_LISTED
    return separator.join(items[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def _differing(expected: Any, found: Any, path: str) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in [*expected, *(key for key in found if key not in expected)]:
            deeper = f"{path}.{key}" if path else str(key)
            yield from _differing(expected.get(key, _MISSING), found.get(key, _MISSING), deeper)
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from _differing(one, other, f"{path}[{number}]")
    elif expected != found:
        yield f"{path or 'value'}: expected {_shown(expected)}, found {_shown(found)}"


def _shown(value: Any) -> str:
    return "nothing" if value is _MISSING else f"{value!r:.100}"
