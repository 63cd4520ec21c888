"""The body of a reply: parsed as `json` would, and one bad record marked instead of a page lost."""

from __future__ import annotations

import json
import math
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import SkipRecord
from shared.http import body as bodies
from shared.http.body import MAX_PER_BYTE, BrokenObject, fits, memory_of, parse
from shared.mapping.table import Field, Mapper
from tests.json_values import scalars, whole

values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(values, st.booleans())
def test_json_is_read_as_the_standard_library_reads_it(value: Any, ascii_only: bool) -> None:
    assert parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(values, whole, st.sampled_from(["NaN", "Infinity", "-Infinity", "1e999", "-1e999", '"\\ud800"', "9" * 5000]))
def test_a_record_that_cannot_be_sent_is_marked_and_its_neighbours_are_whole(value: Any, n: int, broken: str) -> None:
    """NaN, half of a surrogate pair, 1e999 or a number of 5,000 digits in one record cost its whole page, and 1e999
    was sent as the text "inf"."""
    neighbour = {"a": value, "n": n, "x": 0.5}
    body = f'{{"data": [{json.dumps(neighbour)}, {{"id": 1, "inner": [{{"f": {broken}}}]}}, {json.dumps(neighbour)}]}}'

    found = parse(body.encode())["data"]

    assert found[0] == found[2] == neighbour
    assert not isinstance(found[0], BrokenObject)
    assert isinstance(found[1], BrokenObject)
    assert found[1].field == "inner"
    assert found[1].reason.startswith("f: ")


def test_a_broken_record_is_skipped_and_named_with_its_field() -> None:
    record = parse(b'{"id": 1, "osName": "\\udc00"}')
    with pytest.raises(SkipRecord, match=r"^osName: holds half of a surrogate pair"):
        Mapper([Field("device.uid", "id")])(record)


def test_a_broken_key_is_marked_too_and_its_name_is_printable() -> None:
    record = parse(b'{"\\ud800": 1}')
    assert isinstance(record, BrokenObject)
    assert record.field == r"\ud800"


def test_a_bare_nan_in_a_list_of_records_is_no_record() -> None:
    (record,) = parse(b"[NaN]")
    with pytest.raises(SkipRecord):
        Mapper([])(record)


def test_numbers_read_on_the_second_way_are_those_of_the_first() -> None:
    text = "[1, -1, 0.5, 18446744073709551615, 123456789012345678901234567890, 1e300, -9223372036854775808]"
    first, second = parse(text.encode()), parse(text.replace("1,", "1, NaN,", 1).encode())
    assert [item for item in second if item != "NaN"] == first
    assert [type(item) for item in second if item != "NaN"] == [type(item) for item in first]


@given(st.binary() | st.text(alphabet='[]{}",:0123456789.eE-+NaInfity\\u d').map(str.encode))
def test_any_bytes_are_a_value_or_a_value_error(body: bytes) -> None:
    try:
        parse(body)
    except ValueError:
        return


@pytest.mark.parametrize("body", [b"[" * 2000 + b"]" * 2000, b'{"a":' * 3000 + b"1" + b"}" * 3000, b"[" * 100_000])
def test_what_is_nested_beyond_measure_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        parse(body)


def test_a_nested_record_next_to_a_nan_does_not_fail_either() -> None:
    body = b'{"data": [NaN, ' + b"[" * 900 + b"]" * 900 + b"]}"
    try:
        parse(body)
    except ValueError:
        return


def test_no_infinite_number_is_left_unmarked() -> None:
    assert not any(isinstance(item, float) and math.isinf(item) for item in parse(b"[1e999, -1e999, NaN]"))


def nested(depth: int, inner: bytes, name: bytes = b"") -> bytes:
    return b'{"%b":' % name * depth + inner + b"}" * depth


SHAPES = [
    *(
        b"{}",
        b"[]",
        b"[" * 200 + b"]" * 200,
        nested(1, b"0"),
        nested(200, b"0"),
        nested(200, b"NaN"),
        nested(1, b"NaN"),
    ),
    *(
        '"Ā"'.encode(),
        '{"":"Ā"}'.encode(),
        b"1e9",
        b"NaN",
        b"1e999",
        b'{"name":"eth0","id":"1"}',
        nested(5, b"NaN", b"k"),
    ),
]


@pytest.mark.parametrize("ending", [b"]", b",NaN]"], ids=["", "beside a NaN"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape[:16].decode())
def test_a_body_takes_no_more_memory_than_its_punctuation_tells(shape: bytes, ending: bytes) -> None:
    """32 MiB of objects in objects took 1.5 GB, beside a NaN 6.7 GB: a copy was marked, and each object had words of its own."""
    body = b"[" + b",".join([shape] * (100_000 // len(shape))) + ending
    tracemalloc.start()
    try:
        parse(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= memory_of(body) * 1.5  # the parser asks for more than it uses


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape[:16].decode())
def test_a_short_body_takes_no_more_memory_than_its_length_tells(shape: bytes) -> None:
    body = b"[" + b",".join([shape] * (100_000 // len(shape))) + b"]"
    assert memory_of(body) <= len(body) * MAX_PER_BYTE


def test_a_body_fits_by_its_length_or_by_its_punctuation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_MEMORY", 1024 * 1024)
    objects = b"[" + b"{}," * 2_910 + b"{}]"
    assert len(objects) * MAX_PER_BYTE < 1024 * 1024 + 2_000
    assert fits(objects)
    assert not fits(b"[" + b"{}," * 2_960 + b"{}]")
    assert fits(b'["' + b"x" * 1_000_000 + b'"]')


def test_long_names_around_a_broken_value_are_told_in_part_and_once() -> None:
    """Each object repeated the names of all inside of it: 0.9 MiB became 135 MB, 32 MiB would have become 15 GB."""
    body = nested(300, b"NaN", b"k" * 3000)
    tracemalloc.start()
    try:
        found = parse(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * len(body)
    assert found.field == "k" * 100
    assert found.reason == f"{'k' * 100}: NaN is not a JSON number"
