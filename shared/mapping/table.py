"""A mapping table: rows of (OCSF path, vendor field, conversion) that run, document and fingerprint themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Any

from shared.errors import SkipRecord
from shared.http.body import BrokenObject
from shared.mapping.conversions import Record, text
from shared.times import epoch

Convert = Callable[[Any], Any]
Read = Callable[[Record], Any]
_Row = tuple[str, str, str | Read | None, Convert, "Field | None"]


@dataclass(frozen=True)
class Source:
    """Where a value comes from: `read(record)` gives it, None when not told; `label` says so in documents.

    `paths`: all that it reads of a record; what is on no path is not parsed. `convert` is the conversion of a row that
    names none. `constant`: the same for all records.
    """

    label: str
    paths: tuple[str, ...]
    read: Read
    convert: Convert | None = None
    constant: bool = False


@dataclass(frozen=True)
class Field:
    """One row: `path` of the event ← `source` of the record, through `convert` (default `text`).

    A conversion that gives None makes the field absent: unknown is absent. `required` makes the record a SkipRecord
    then. `doc` is the row's description in the generated page. `part`: of a pair that the conversion gives, the first
    value (0) or the second (1).
    """

    path: str
    source: str | Source
    convert: Convert | None = None
    required: bool = False
    doc: str = ""
    part: int | None = None

    @property
    def label(self) -> str:
        return self.source if isinstance(self.source, str) else self.source.label

    @property
    def is_constant(self) -> bool:
        return isinstance(self.source, Source) and self.source.constant

    @property
    def conversion(self) -> Convert:
        convert = self.convert or (isinstance(self.source, Source) and self.source.convert) or text
        return convert if self.part is None else _part_of(convert, self.part)


def const(value: Any) -> Source:
    """A value the document fixes; sent as it is."""
    return Source(f"static: {value}", (), lambda _record: value, lambda fixed: fixed, constant=True)


def first(*names: str) -> Source:
    """The first of several fields that holds a told text."""
    readers = [_reader(name) for name in names]

    def read(record: Record) -> str | None:
        for reader in readers:
            if told := text(reader(record)):
                return told
        return None

    return Source(" or ".join(names), names, read)


def first_time(*names: str) -> Source:
    """The first of several fields that tells a time, as epoch seconds."""

    def read(told: Record) -> float | None:
        for name in names:
            if (moment := epoch(told.get(name))) is not None:
                return moment
        return None

    return Source(" or ".join(names), names, read, lambda seconds: seconds)


def record(*names: str) -> Source:
    """The whole record, for a conversion that needs several fields; `names` are those it reads, and all it can read."""
    return Source(", ".join(names), names, _whole)


def _whole(record: Record) -> Record:
    return record


def readable(record: Any) -> dict[str, Any]:
    """The record, when it is an object that can be sent on as JSON; else SkipRecord."""
    if not isinstance(record, dict):
        raise SkipRecord("record", f"is {_kind(record)}, not an object")
    if isinstance(record, BrokenObject):
        raise SkipRecord(record.field, record.reason)
    return record


class Mapper:
    """A table made ready to run."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = tuple(fields)
        objects: dict[tuple[str, ...], tuple[dict[str, Any], list[_Row]]] = {(): ({}, [])}
        for before, row in zip((None, *self.fields), self.fields, strict=False):
            parents, name = _split(row.path)
            constants, rows = objects.setdefault(parents, ({}, []))
            if row.is_constant:
                constants[name] = row.conversion(_reader(row.source)({}))
            elif before and row.convert and _are_a_pair(before, row):  # one conversion for both
                rows[-1] = (rows[-1][0], name, rows[-1][2], row.convert, rows[-1][4])
            else:
                rows.append((name, "", _quick(row.source), row.conversion, row if row.required else None))
        self._objects = [  # the event itself, then what is in it, outer ones first
            (parents[:-1], parents[-1] if parents else None, *objects[parents]) for parents in sorted(objects, key=len)
        ]

    def __call__(self, record: Any) -> dict[str, Any]:
        """One raw record → the event; absent fields are not in it. Raises SkipRecord and nothing else."""
        record = readable(record)
        event: dict[str, Any] = {}
        get = record.get
        for parents, name, constants, rows in self._objects:
            found = constants.copy()
            for key, second, source, convert, required in rows:
                value = record if source is None else get(source) if isinstance(source, str) else source(record)
                if value is not None and (value := convert(value)) is not None:
                    if second:
                        found[key], found[second] = value
                    else:
                        found[key] = value
                elif required:
                    raise SkipRecord(required.label, "is missing")
            if name is None:
                event = found
            elif found:
                target = event
                for parent in parents:
                    target = target.setdefault(parent, {})
                target[name] = found
        return event


def paths_of(fields: Iterable[Field]) -> set[str]:
    """All that a table reads of a record: `a`, `a.b`, `a[0].b`, `a[].b`."""
    return {path for row in fields for path in (row.source.paths if isinstance(row.source, Source) else [row.source])}


def mapped_fields(fields: Iterable[Field]) -> dict[str, str]:
    """Vendor field → OCSF path(s): what the SDK's `get_mapped_fields()` declares and fingerprints."""
    mapped: dict[str, list[str]] = {}
    for row in fields:
        mapped.setdefault(row.label, []).append(row.path)
    return {label: ", ".join(paths) for label, paths in mapped.items()}


def document(fields: Iterable[Field], target: str = "OCSF path") -> str:
    """The table as Markdown; a row without a description has the first line of its conversion's docstring."""
    lines = [f"| Source field | {target} | Required | Description |", "|---|---|---|---|"]
    for row in fields:
        doc = row.doc or ((row.convert and row.convert.__doc__) or "").strip().split("\n", 1)[0]
        cells = (f"`{row.label}`", f"`{row.path}`", "yes" if row.required else "", doc)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _reader(source: str | Source) -> Callable[[Record], Any]:
    """`a`, `a.b` or `a[0].b` → a function that reads it and gives None where a step is missing."""
    if isinstance(source, Source):
        return source.read
    steps = [int(step) if step.isdecimal() else step for step in source.replace("[", ".").replace("]", "").split(".")]
    if len(steps) == 1:
        return methodcaller("get", source)
    if re.fullmatch(r"\w+\.[a-zA-Z]\w*", source):
        outer, inner = source.split(".")
        return lambda record: value.get(inner) if isinstance(value := record.get(outer), dict) else None

    def read(record: Record) -> Any:
        value: Any = record
        for step in steps:
            if isinstance(step, int):
                value = value[step] if isinstance(value, list) and len(value) > step else None
            else:
                value = value.get(step) if isinstance(value, dict) else None
            if value is None:
                return None
        return value

    return read


def _quick(source: str | Source) -> str | Read | None:
    """A reader in its shortest form: the name of a key, None for the whole record."""
    if isinstance(source, str) and source.isidentifier():
        return source
    read = _reader(source)
    return None if read is _whole else read


def _part_of(convert: Convert, place: int) -> Convert:
    def convert_part(value: Any) -> Any:
        pair = convert(value)
        return None if pair is None else pair[place]

    return convert_part


def _are_a_pair(one: Field, other: Field) -> bool:
    same = one.source is other.source and one.convert is other.convert and _split(one.path)[0] == _split(other.path)[0]
    return same and (one.part, other.part) == (0, 1)


def _split(path: str) -> tuple[tuple[str, ...], str]:
    *parents, name = path.split(".")
    return tuple(parents), name


def _kind(value: Any) -> str:
    return {list: "a list", str: "a text", type(None): "null", bool: "a boolean"}.get(type(value), "a number")
