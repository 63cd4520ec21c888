"""Values from outside may have any length: the cost of each regular expression and field is linear in it."""

from __future__ import annotations

import copy
import gc
import re
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import FrameType
from typing import Any

import orjson
import pytest

from lab.modules import MODULES, ROOT, LabModule
from shared.errors import SkipRecord
from shared.mapping.table import paths_of
from tests.patterns import patterns, texts_for

PATTERNS = sorted(set(patterns()))
MIB = 1_000_000
each_module = pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
Path = tuple[str | int, ...]
Look = Callable[[str], object]


# --- regular expressions

SHORT, LONG = 1_000, 8_000
FREE = 0.003  # seconds: below, a figure is noise, and a quadratic pattern would take thousands of times as long


def test_the_regular_expressions_are_found() -> None:
    """As many as the source names."""
    assert len(PATTERNS) > 50
    named = re.findall(
        r"\bre\.(?:compile|search|sub)\(", "".join(path.read_text() for path in (ROOT / "shared").rglob("*.py"))
    )
    assert len({place for place, *_ in PATTERNS if place.startswith("shared/")}) >= len(named)


@pytest.mark.parametrize(("place", "pattern", "flags", "anchored"), PATTERNS, ids=[place for place, *_ in PATTERNS])
def test_a_regular_expression_takes_time_linear_in_the_text(
    place: str, pattern: str, flags: int, anchored: bool
) -> None:
    """By the ratio of two lengths, in the thread's own time: eight times the text takes 64 times as long in a quadratic one."""
    compiled = re.compile(pattern, flags)
    look: Look = compiled.fullmatch if anchored else lambda text: [*compiled.finditer(text)]
    slow = [
        text[:20]
        for short, text in zip(texts_for(pattern, SHORT), texts_for(pattern, LONG), strict=True)
        if worse(look, short, text)
    ]
    assert not slow, f"{pattern!r} is not linear over runs that begin with {slow}"


def worse(look: Look, short: str, long: str) -> bool:
    """Whether the longer text takes more than three times what is in proportion, at each of three looks."""
    return all(
        (took := cost(look, long)) > FREE and took > 3 * (LONG / SHORT) * cost(look, short) for look in [look] * 3
    )


def cost(work: Callable[[Any], object], value: Any) -> float:
    began = time.thread_time()
    work(value)
    return time.thread_time() - began


def test_a_quadratic_pattern_is_found() -> None:
    """The one that took 8 s for an adapter's name of 20,000 digits."""
    found = re.compile(r"802\.\d{1,2}|[a-z]+(?:\d+[a-z]+)?\d*|\d+(?:\.\d+)?[a-z]+\d*")
    assert worse(found.findall, "7" * SHORT, "7" * LONG)
    assert not worse(re.compile(r"\d+").findall, "7" * SHORT, "7" * LONG)


# --- fields

TEXTS = {
    **{f"of {character!r}": character for character in ("9", "a", " ", "-", ":", "%", "\\", "é")},
    **{f"of {word!r}": word for word in ("A.", "1, ", "a1", "1.", "windows ", "192.0.2.7,", "fe80::1;")},
}


def long_text(name: str, length: int) -> str:
    word = TEXTS[name]
    return word * (length // len(word))


def largest_record(module: LabModule) -> dict[str, Any]:
    """Of a small fleet, the record that holds the most, and each field that the table reads besides."""
    with module.simulated(12) as console:
        records: list[dict[str, Any]] = [console.record(one) for one in console.ids]
    record = max((one for one in records if isinstance(one, dict)), key=lambda one: len(orjson.dumps(one)))
    for path in paths_of(module.table()):
        inner: Any = record
        *steps, name = re.sub(r"\[\d*\]", ".[]", path).split(".")
        for step, following in pairwise([*steps, name]):
            if step == "[]":
                inner[:] = inner or [{}]
                inner = inner[0]
            else:
                inner[step] = inner.get(step) or ([] if following == "[]" else {})
                inner = inner[step]
        if isinstance(inner, list):
            inner[:] = inner or ["x"]
        else:
            inner.setdefault(name, "x")
    return record


def places_in(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Each field, list and entry of a record; of a list the first two entries."""
    if path:
        yield path, value
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value[:2]):
            yield from places_in(item, (*path, key))


def with_value(record: Any, path: Path, value: Any) -> Any:
    record = inner = copy.deepcopy(record)
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return record


def worked_off(module: LabModule) -> Callable[[bytes], None]:
    """A body is parsed, mapped, checked and written, as in a round."""
    mapper = module.mapper()

    def work(body: bytes) -> None:
        try:
            event = mapper(orjson.loads(body))
            module.kind.check(event)
            orjson.dumps(event)
        except SkipRecord:
            return

    return work


@each_module
def test_a_long_field_is_read_in_as_many_steps_as_a_short_one(module: LabModule) -> None:
    """Counted lines of Python: what is done for each character of a text, or for each entry of a list beyond the
    10,000th, would multiply them."""
    record, work = largest_record(module), worked_off(module)
    for path, value in places_in(record):
        for name in TEXTS:
            few, many = (
                steps(work, orjson.dumps(with_value(record, path, long_text(name, size)))) for size in (1_100, 50_000)
            )
            assert many <= few + 50, f"{path} {name}: {few} lines for a short text, {many} for a long one"
        if isinstance(value, list):
            few, many = (
                steps(work, orjson.dumps(with_value(record, path, (value or ["a"]) * (size // (len(value) or 1)))))
                for size in (10_000, 20_000)
            )
            assert many <= few + 50, f"{path}: {few} lines for 10,000 entries, {many} for 20,000"


def steps(work: Callable[[bytes], None], body: bytes) -> int:
    count = 0

    def traced(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return traced

    before = sys.gettrace()
    gc.disable()  # hypothesis runs lines of its own at each collection
    sys.settrace(traced)
    try:
        work(body)
    finally:
        sys.settrace(before)
        gc.enable()
    return count


@pytest.mark.timing
@each_module
def test_a_megabyte_in_one_field_costs_50_ms_at_most(
    module: LabModule, record_property: Callable[[str, object], None]
) -> None:
    """Each field that the table reads, as a text and as a list; more than the record without it, of the thread's own time."""
    record, work = largest_record(module), worked_off(module)
    usual, worst = cost(work, orjson.dumps(record)), (0.0, "")
    for path, value in places_in(record):
        heavy = {name: long_text(name, MIB) for name in TEXTS}
        if isinstance(value, list):
            for entry in (*value[:1], "x", {}, "192.0.2.7", "00:00:5e:00:53:01"):
                heavy[f"list of {entry}"] = [entry] * (MIB // len(orjson.dumps(entry)))
        for name, content in heavy.items():
            body = orjson.dumps(with_value(record, path, content))
            took = min(cost(work, body) for _ in range(3)) - usual
            worst = max(worst, (took, f"{'.'.join(map(str, path))} {name}"))
    record_property("longest", (module.name, worst))
    assert worst[0] <= 0.05, f"{worst[1]}: {worst[0] * 1000:.0f} ms"
