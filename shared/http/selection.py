"""Parsing only the fields that are read of a page's records: making objects of all fields takes twice as long."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypedDict

import msgspec

from shared.http import body as bodies

_Scalar = bool | int | float | str | None
_ENTRY = "[]"  # a step into any entry of a list


def selection(paths: Iterable[str], *further: str) -> bodies.Parse:
    """A parser of pages whose records have the fields at the paths (`a`, `a.b`, `a[0].b`, `a[].b`) and `further` ones,
    and no others; without any paths, all fields.

    The value at the end of a path is kept complete, and so is a value in mid-path that is not an object. A page is a list
    of records, or an object in which each list is one; its other values are kept complete. Otherwise as `body.parse`, but
    a field that is not read is not refused either: a number beyond a double's range, a string that is not UTF-8.
    """
    steps = {tuple(re.sub(r"\[\d*\]", f".{_ENTRY}", path).split(".")) for path in paths}
    if not steps:
        return bodies.parse
    steps.update((name,) for name in further)
    record = _kept(steps)
    records: Any = list[record]  # type: ignore[valid-type]  # a type made at run time
    page: Any = dict[str, records | dict[str, Any] | _Scalar]
    decoder = msgspec.json.Decoder(records | page | _Scalar)

    def parse(body: bodies.Body) -> Any:
        try:
            return decoder.decode(body)
        except (ValueError, RecursionError):
            return bodies.parse(body)

    return parse


def _kept(paths: set[tuple[str, ...]]) -> Any:
    """The type of a value of which these paths are read. It accepts any value, and keeps no other keys of an object."""
    if () in paths:
        return Any
    below: dict[str, set[tuple[str, ...]]] = {}
    for step, *further in paths:
        below.setdefault(step, set()).add(tuple(further))
    entry: Any = _kept(below.pop(_ENTRY, {()}))
    kept = {name: _kept(further) for name, further in below.items()}
    named: Any = TypedDict("named", kept, total=False) if kept else dict[str, Any]  # type: ignore[operator]  # as above
    return named | list[entry] | _Scalar
