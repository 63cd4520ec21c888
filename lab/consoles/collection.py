"""A vendor's live collection of records: kept as encoded JSON, sorted by any marked field, changed while it is read.

A page is read by keyset: it starts after the position (value of the sort field, identity) where the last one ended. A
record that changes between two pages therefore moves, as in the vendors' own consoles: a walk reads it twice, or misses
it.
"""

from __future__ import annotations

import bisect
import json
import math
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from lab.paths import value_at, with_values

Mark = str | int
"""A comparable value; one field's marks are all of one type."""
Marks = tuple[Mark, ...]
Position = tuple[Mark, str]
Keep = Callable[[Marks], bool]


class Page(NamedTuple):
    """Encoded records, and the position after which the next page starts, None at the end."""

    records: list[bytes]
    end: Position | None


class _Row(NamedTuple):
    marks: Marks
    encoded: bytes


class Collection:
    """Records by identity; thread-safe.

    `marks` maps each field that calls may sort and filter by to a function that makes a comparable value of it. A
    record may be any JSON value, or nearly JSON (NaN, a lone surrogate); one without an identity is given one. With
    `packed` the records are kept compressed, for fleets that would not fit in memory otherwise.
    """

    def __init__(self, identity: str, marks: Mapping[str, Callable[[Any], Mark]], packed: bool = False) -> None:
        self.fields = {name: place for place, name in enumerate(marks)}
        self._identity = identity
        self._marks = marks
        self._packed = packed
        self._sample = b""
        self._lock = threading.RLock()
        self._rows: dict[str, _Row] = {}
        self._sorted: dict[str, list[Position]] = {}
        self._nameless = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        """The identities, in the order of arrival."""
        with self._lock:
            return iter(list(self._rows))

    def __getitem__(self, identity: str) -> Any:
        with self._lock:
            return json.loads(self._unpack(self._rows[identity].encoded))

    def fill(self, records: Iterable[Any]) -> None:
        """Replace all records."""
        with self._lock:
            self._rows.clear()
            self._sorted.clear()
            for record in records:
                self.put(record)

    def put(self, record: Any) -> None:
        """Add a record, or replace the one of the same identity."""
        known = record if isinstance(record, dict) else {}
        row_marks = tuple(mark(value_at(known, name)) for name, mark in self._marks.items())
        encoded = encode(record)
        with self._lock:
            identity = str(value_at(known, self._identity) or self._name())
            old = self._rows.get(identity)
            self._rows[identity] = _Row(row_marks, self._pack(encoded))
            for name, order in self._sorted.items():
                place = self.fields[name]
                if old is not None:
                    del order[bisect.bisect_left(order, (old.marks[place], identity))]
                bisect.insort(order, (row_marks[place], identity))

    def change(self, identity: str, fields: Mapping[str, Any]) -> None:
        """Set fields of one record, by dotted path; KeyError when it is not there."""
        with self._lock:
            self.put(with_values(self[identity], fields))

    def remove(self, identity: str) -> None:
        with self._lock:
            old = self._rows.pop(identity)
            for name, order in self._sorted.items():
                del order[bisect.bisect_left(order, (old.marks[self.fields[name]], identity))]

    def count(self, keep: Keep | None) -> int:
        with self._lock:
            return len(self._rows) if keep is None else sum(keep(row.marks) for row in self._rows.values())

    def page(
        self,
        sort: str,
        limit: int,
        keep: Keep | None,
        *,
        descending: bool = False,
        after: Position | None = None,
        skip: int = 0,
    ) -> Page:
        """The next `limit` records that `keep` accepts (None: all), in the order of the field `sort`, ties by identity."""
        with self._lock:
            chosen: list[Position] = []
            more = False
            for position in self._walk(sort, descending, after, 0 if keep else skip):
                if keep and not keep(self._rows[position[1]].marks):
                    continue
                if keep and skip > 0:
                    skip -= 1
                    continue
                if len(chosen) == limit:
                    more = True
                    break
                chosen.append(position)
            records = [self._rows[identity].encoded for _, identity in chosen]
        return Page([self._unpack(encoded) for encoded in records], chosen[-1] if more and chosen else None)

    def _walk(self, sort: str, descending: bool, after: Position | None, skip: int) -> Iterator[Position]:
        if (order := self._sorted.get(sort)) is None:
            place = self.fields[sort]
            order = self._sorted[sort] = sorted((row.marks[place], identity) for identity, row in self._rows.items())
        if descending:
            start = len(order) if after is None else bisect.bisect_left(order, after)
            return (order[place] for place in range(start - 1 - skip, -1, -1))
        start = 0 if after is None else bisect.bisect_right(order, after)
        return (order[place] for place in range(start + skip, len(order)))

    def _name(self) -> str:
        self._nameless += 1
        return f"~{self._nameless:09}"

    def _pack(self, encoded: bytes) -> bytes:
        if not self._packed:
            return encoded
        if not self._sample:
            self._sample = encoded
        packer = zlib.compressobj(level=1, zdict=self._sample)
        return packer.compress(encoded) + packer.flush()

    def _unpack(self, encoded: bytes) -> bytes:
        return zlib.decompressobj(zdict=self._sample).decompress(encoded) if self._packed else encoded


def encode(record: Any) -> bytes:
    """JSON; NaN and lone surrogates are written as careless servers send them."""
    try:
        encoded = orjson.dumps(record)
        if b"null" not in encoded or _is_finite(record):  # orjson makes null of NaN
            return encoded
    except TypeError:
        pass
    return json.dumps(record, separators=(",", ":")).encode()


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return type(value) is not float or math.isfinite(value)
