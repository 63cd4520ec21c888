"""Consoles that mean harm: how each writes a page, and what is done to it. Attacks are the same for all modules."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, count, repeat
from typing import NamedTuple

from flask import Response, request

from lab.modules import LabModule
from lab.paths import with_values
from lab.platform.faults import Fault
from lab.platform.wire import RAW, STREAM
from shared.http.body import MAX_BYTES, MAX_MEMORY, memory_of
from tests.endless import with_number, with_texts
from tests.shared.http.test_wire import ENDLESS

MIB = 1024 * 1024
DIGITS = "7" * 20_000  # an endpoint names its adapters as it likes


class Body(NamedTuple):
    """A body that is made while it is sent, and the headers of its answer."""

    parts: Iterator[bytes]
    headers: dict[str, str] = {}


@dataclass(frozen=True)
class Dialect:
    """How a module's console writes a page. `uid` and `name` are the paths of a record's identity and name."""

    module: LabModule

    @property
    def uid(self) -> str:
        return self.module.ids[0]

    def page(self, *records: bytes, next_page: str | None = None) -> Body:
        """`next_page` takes the place of the only string in the module's endless page or its headers."""
        text = json.dumps(with_texts(self.module.endless_page, lambda _: next_page)).encode()
        before, behind = text.split(b"[]", 1)
        linked = self.module.endless_headers.items() if next_page else ()
        headers = {name: re.sub("<.*>", f"<{next_page}>", value) for name, value in linked}
        return Body(iter([before + b"[", b",".join(records), b"]" + behind]), headers)

    def position(self, number: int) -> str:
        """The page token or link that names the page of that number."""
        found: list[str] = []
        with_texts([self.module.endless_page, dict(self.module.endless_headers)], found.append)
        return with_number(re.sub("<(.*)>.*", r"\1", found[0]), number)

    def record(self, uid: str, name: str = '"a name"', more: str = "") -> bytes:
        """`name` and `more` are JSON."""
        record = json.dumps(with_values({}, {self.uid: uid, self.module.names[0]: "NAME"}))
        return f"{record[:-1]}{more}}}".replace('"NAME"', name, 1).encode()

    def largest_list(self, entries: int, text: str = "") -> str:
        """The list inside of a record that can be the largest, of so many entries, as a member of an object. With `text` it
        takes the place of each string of an entry."""
        path, entry = self.module.largest_list
        entry = with_texts(entry, lambda _: text) if text else entry
        before, behind = "", ""
        for step in path.split("."):
            before, behind = f'{before}{{"{step.removesuffix("[]")}":[', f"]}}{behind}"
        return before[1:] + ",".join([json.dumps(entry)] * entries) + behind[:-1]


@dataclass(frozen=True)
class Streams(Fault):
    """A 200 whose body is made while it is sent, a new one for each call; it may have no end. `raw`: with its head."""

    bodies: Iterator[Body]
    encoding: str = ""
    raw: bool = False

    def answer(self) -> Response:
        if self.raw:
            request.environ[RAW] = next(self.bodies).parts
            return Response(b"", 200)
        request.environ[STREAM], headers = next(self.bodies)
        headers = {**headers, "Content-Encoding": self.encoding} if self.encoding else headers
        return Response(b"", 200, headers, content_type="application/json")


@dataclass(frozen=True)
class Attack:
    """The answers to this many calls for the list (None: all), one body each. Then the console answers normally again.

    `says` is looked for in the module's log, `most` are MiB of its memory, `arrive` the uids that come through in spite of all.
    """

    name: str
    bodies: Callable[[Dialect], Iterator[Body]]
    most: int
    says: str = ""
    arrive: frozenset[str] = frozenset()
    calls: int | None = 1
    encoding: str = ""
    raw: bool = False


REFUSED_MIB, WORST_MIB = 300, 800
A, B, BOTH = frozenset("a"), frozenset("b"), frozenset("ab")  # the uids that come through


def refused(name: str, body: Callable[[Dialect], Iterator[bytes]], says: str, encoding: str = "") -> Attack:
    """Six replies, each refused for its size or form: a page in three tries, and one of ten records in three."""
    return Attack(name, lambda d: (Body(body(d)) for _ in count()), REFUSED_MIB, says, calls=6, encoding=encoding)


def endless(name: str) -> Attack:
    """Six replies that never come to their body, or to anything in it."""
    begin, again = ENDLESS[name]
    parts = lambda: chain([begin], repeat(again * 5_000))  # noqa: E731 - one for each call
    return Attack(
        f"{name} without end",
        lambda _: (Body(parts()) for _ in count()),
        REFUSED_MIB,
        "more than 64 MiB",
        calls=6,
        raw=True,
    )


def page_of(
    name: str, records: Callable[[Dialect], list[bytes]], arrive: frozenset[str] = frozenset(), says: str = ""
) -> Attack:
    """One page of these records."""
    return Attack(name, lambda d: iter([d.page(*records(d))]), WORST_MIB, says, arrive)


def pages_of(
    name: str, records: Callable[[Dialect, int], list[bytes]], calls: int | None, says: str = "", cookie: str = ""
) -> Attack:
    """So many pages (None: without end), each of which names another one, but for the last; and sets a new cookie."""

    def bodies(d: Dialect) -> Iterator[Body]:
        for number in count() if calls is None else range(calls):
            last = calls is not None and number + 1 == calls
            page = d.page(*records(d, number), next_page=None if last else d.position(number))
            yield Body(page.parts, page.headers | ({"Set-Cookie": f"page{number}={cookie}; Path=/"} if cookie else {}))

    return Attack(name, bodies, WORST_MIB, says, calls=calls)


@cache
def bomb() -> bytes:
    """A gigabyte of spaces in a megabyte of gzip."""
    packer = zlib.compressobj(wbits=31)
    return b"".join(packer.compress(b" " * MIB) for _ in range(1024)) + packer.flush()


def a_gigabyte(_: Dialect) -> Iterator[bytes]:
    yield b'{"data":["'
    for _mib in range(1024):
        yield b"x" * MIB


def without_end(d: Dialect) -> Iterator[bytes]:
    yield b"".join(d.page().parts).partition(b"]")[0]
    while True:
        yield (d.record("a") + b",") * 1000


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def filling(unit: Callable[[int], bytes], most: int) -> list[bytes]:
    """As many as stay within the bounds of a body: its length, and `most` bytes of memory."""
    units, length, memory = [], 1000, 1000
    for number in count():
        made = unit(number) + b","
        length, memory = length + len(made), memory + memory_of(made)
        if length > MAX_BYTES or memory > most:
            return units
        units.append(made[:-1])
    raise AssertionError


def within(*keys: str) -> Callable[[int], bytes]:
    """Objects in objects, each with a key of its own, around `null`."""
    return lambda n: b"".join(b'{"%x%b":' % (n, key.encode()) for key in keys) + b"null" + b"}" * len(keys)


def attacks(whole: bool) -> list[Attack]:
    """All of them; the heaviest pages are smaller unless `whole`."""
    most = MAX_MEMORY if whole else MAX_MEMORY // 8
    return [
        refused("a body of 1 GB", a_gigabyte, "more than 32 MiB"),
        refused("a page that never ends", without_end, "more than 32 MiB"),
        refused("a decompression bomb", lambda _: iter([bomb()]), "more than 32 MiB", "gzip"),
        refused(
            "a bomb in a bomb", lambda _: iter([gzip.compress(bomb())]), "more than 32 MiB|broke off", "gzip, gzip"
        ),
        refused("a body that is not what it says", lambda _: iter([b"no gzip"]), "broke off", "gzip"),
        refused("more values than fit", lambda d: d.page(b"{}," * 9_000_000 + b"{}").parts, "MiB of memory"),
        refused("JSON nested 200,000 deep", lambda d: d.page(d.record("a", nested(200_000))).parts, "not JSON"),
        *map(endless, ("interim replies", "trailers", "gzip of empty blocks")),
        page_of(
            "names of 20,000 digits", lambda d: [d.record("a", f'"{DIGITS}"', f",{d.largest_list(50, DIGITS)}")], A
        ),
        pages_of("a cookie a page", lambda d, n: [d.record(f"{n}")], 60, cookie="x" * 4000),
        page_of("JSON nested 900 deep", lambda d: [d.record("a", nested(900)), d.record("b")], B),
        page_of("strings of 10 MB", lambda d: [d.record("a", f'"{"x" * 10 * MIB}"'), d.record("b")], B),
        page_of("a million interfaces", lambda d: [d.record("a", more=f",{d.largest_list(1_000_000)}")], A),
        page_of("a lone surrogate", lambda d: [d.record("a", '"\\ud800"'), d.record("b")], B, "surrogate"),
        page_of("NaN", lambda d: [d.record("a", "NaN"), d.record("b")], B, "NaN is not a JSON number"),
        page_of("NaN under long names", lambda d: [d.record("a", more=names("k" * 30_000)), d.record("b")], B, "NaN"),
        page_of("NUL", lambda d: [d.record("a", '"x\\u0000y"'), d.record("b")], BOTH),
        page_of("a key twice", lambda d: [d.record("a", more=f',"{d.uid}":"b"')], B),
        page_of("a number of 10,000 digits", lambda d: [d.record("a", "9" * 10_000), d.record("b")], B, "number"),
        page_of("nothing but braces", lambda d: filling(lambda _: b"{}", most)),
        page_of("objects in objects", lambda d: filling(within(*"abcde"), most)),
        page_of("objects beside a NaN", lambda d: [*filling(within(*"abcde"), most), b"NaN"]),
        page_of("a NaN in each object", lambda d: filling(lambda n: b'{"%x":{"":NaN}}' % n, most)),
        page_of("short texts", lambda d: filling(lambda _: '{"":"Ā"}'.encode(), most)),
        pages_of("heavy pages in a row", lambda d, n: filling(within(f"{n}", *"abcde"), most), 4),
        pages_of("a light page, then a heavy one", lambda d, n: light_then_heavy(n, most), 2),
        pages_of("long texts on each page", lambda d, n: [d.record(f"{n}", f'"{"x" * 8 * MIB}"')], 60),
        pages_of("empty pages without end", lambda d, n: [], None, "pages in a row"),
        pages_of("the same page without end", lambda d, n: [d.record("a")], None, "pages in a row"),
    ]


def light_then_heavy(number: int, most: int) -> list[bytes]:
    """The first is held where rows are held; the second takes the most while it is read."""
    first = filling(lambda n: b'{"%x":0}' % n, most // 4 - MIB)
    return [*filling(within(*"abcde"), most), b"NaN"] if number else first


def names(name: str) -> str:
    """Objects in objects around a NaN, 900 deep."""
    return f',"{name}":' + f'{{"{name}":' * 900 + "NaN" + "}" * 900
