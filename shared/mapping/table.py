"""A mapping table: rows of (OCSF path, vendor field, conversion) that run, document and fingerprint themselves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Any

from shared.errors import SkipRecord
from shared.http.body import BrokenObject
from shared.mapping.conversions import Record, to_string
from shared.times import PADDING, epoch

Convert = Callable[[Any], Any]
Read = Callable[[Record], Any]


@dataclass(frozen=True)
class Source:
    """Where a value comes from: `read(record)` gives it, None when missing; `label` says so in documents.

    `paths`: all that it reads of a record; what is on no path is not parsed. `convert` is the conversion of a row that
    names none. `constant`: the same for all records. `first_time`, `first_text`: the key that `read`
    takes a time or a string of before all others.
    """

    label: str
    paths: tuple[str, ...]
    read: Read
    convert: Convert | None = None
    constant: bool = False
    first_time: str = ""
    first_text: str = ""


@dataclass(frozen=True)
class Field:
    """One row: `path` of the event ← `source` of the record, through `convert` (default `to_string`).

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
        convert = self.convert or (isinstance(self.source, Source) and self.source.convert) or to_string
        return convert if self.part is None else _part_of(convert, self.part)


def const(value: Any) -> Source:
    """A value the document fixes; sent as it is."""
    return Source(f"static: {value}", (), lambda _record: value, lambda fixed: fixed, constant=True)


def first_string(*names: str, convert: Callable[[Any], str | None] | None = None) -> Source:
    """The first of several fields that holds a string; with `convert=unless_placeholder`, one that is no placeholder."""
    readers, read_string = [_reader(name) for name in names], convert or to_string

    def read(record: Record) -> str | None:
        for reader in readers:
            if found := read_string(reader(record)):
                return found
        return None

    return Source(" or ".join(names), names, read, first_text=names[0] if convert is None else "")


def first_time(*names: str) -> Source:
    """The first of several fields that tells a time, as epoch seconds."""

    def read(record: Record) -> float | None:
        for name in names:
            if (moment := epoch(record.get(name))) is not None:
                return moment
        return None

    return Source(" or ".join(names), names, read, lambda seconds: seconds)


def from_fields(*names: str) -> Source:
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
        self._map = _compiled(self.fields)

    def __call__(self, record: Any) -> dict[str, Any]:
        """One raw record → the event; absent fields are not in it. Raises SkipRecord and nothing else."""
        return self._map(record if type(record) is dict else readable(record))


def _compiled(fields: Sequence[Field]) -> Callable[[Record], dict[str, Any]]:
    """The table as one function, a line or two a row: a loop over its rows took a fifth of the time of a record.

    Of what a table holds only its keys and paths become code, each as a literal; values and conversions are looked up.
    """
    objects: dict[tuple[str, ...], tuple[dict[str, Any], list[str]]] = {(): ({}, [])}  # constants and lines, by path
    names: dict[str, Any] = {"PADDING": PADDING, "text": to_string, "SkipRecord": SkipRecord, "epoch": epoch}
    read_twice = Counter(key for row in fields if (key := _time_key(row)))
    times = {key: f"time{number}" for number, (key, count) in enumerate(read_twice.items()) if count > 1}
    for number, (before, row) in enumerate(zip((None, *fields), fields, strict=False)):
        parents, name = _split(row.path)
        constants, lines = objects.setdefault(parents, ({}, []))
        key, convert = f"found[{name!r}]", row.conversion
        if row.is_constant:
            constants[name] = convert(_reader(row.source)({}))
            continue
        if before and row.convert and _are_a_pair(before, row):  # one conversion for both
            lines.pop()
            key, convert = f"found[{_split(before.path)[1]!r}], {key}", row.convert
        names |= {f"convert{number}": convert, f"read{number}": _reader(row.source)}
        read = f"read{number}(record)" if names[f"read{number}"] is not _whole else "record"
        if isinstance(row.source, str) and row.source.isidentifier():
            read = f"get({row.source!r})"
        if time := times.get(_time_key(row)):
            is_own = isinstance(row.source, str)
            lines.append(f" if {time}: {key} = {time}" if is_own else f" {key} = {time} or {read}")
        elif convert is to_string:
            key_first = row.source.first_text if isinstance(row.source, Source) else ""
            is_key = key_first.isidentifier()
            lines.append(f" value = get({key_first!r})" if is_key else f" value = {read}")
            lines.append(" value = value.strip(PADDING) if type(value) is str else text(value)")
            lines += [f" value = value or {read}"] if is_key else []
            lines.append(f" if value: {key} = value")
        else:
            lines.append(
                f" if (value := {read}) is not None and (value := convert{number}(value)) is not None: {key} = value"
            )
        if row.required:
            lines.append(f" else: raise SkipRecord({row.label!r}, 'is missing')")
    code = ["def mapped(record):", " get = record.get", " event = {}"]
    code += [f" {time} = epoch(get({key!r}))" for key, time in times.items()]
    for number, (parents, (constants, lines)) in enumerate(sorted(objects.items(), key=lambda item: len(item[0]))):
        names[f"constants{number}"] = constants
        place = "".join(f".setdefault({parent!r}, {{}})" for parent in parents[:-1])
        code += [f" found = constants{number}.copy()", *lines]
        code.append(f" if found: event{place}[{parents[-1]!r}] = found" if parents else " event = found")
    exec("\n".join([*code, " return event"]), names)  # noqa: S102 - made of the table's own literals
    made: Callable[[Record], dict[str, Any]] = names["mapped"]
    return made


def _time_key(row: Field) -> str:
    """The key a row reads a time of, where it reads no more or does so first; else ""."""
    if isinstance(row.source, Source):
        return row.source.first_time
    return row.source if row.conversion is epoch and row.source.isidentifier() and not row.required else ""


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
