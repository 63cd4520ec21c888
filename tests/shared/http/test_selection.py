"""What is read of a record is parsed as ever, whatever it is; what is not read is not there."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.http import body as bodies
from shared.http.body import BrokenObject
from shared.http.selection import selection
from tests.json_values import scalars

PATHS = ["a", "b.c", "b.d.e", "l[0].c", "l[].m[].n", "both", "both.x"]
KEPT: dict[str, Any] = {  # the same as a tree: None is all of it
    "a": None,
    "b": {"c": None, "d": {"e": None}},
    "l": {"[]": {"c": None, "m": {"[]": {"n": None}}}},
    "both": None,
}

keys = st.sampled_from(["a", "b", "c", "d", "e", "l", "m", "n", "both", "x", "items", "ä", ""])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5), max_leaves=20
)


def kept(value: Any, tree: dict[str, Any] | None) -> Any:
    """A value without what is not read of it."""
    if tree is None:
        return value
    if isinstance(value, list):
        return [kept(item, tree.get("[]")) for item in value]
    below = tree.keys() - {"[]"}
    if not isinstance(value, dict) or not below:
        return value
    return {key: kept(item, tree[key]) for key, item in value.items() if key in below}


def page_kept(page: Any) -> Any:
    def records(value: list[Any]) -> list[Any]:
        return [kept(record, KEPT) for record in value]

    if isinstance(page, list):
        return records(page)
    if isinstance(page, dict):
        return {key: records(value) if isinstance(value, list) else value for key, value in page.items()}
    return page


@settings(max_examples=400)
@given(values | st.lists(values) | st.fixed_dictionaries({"items": st.lists(values), "pages": values}))
@example([{"b": [{"c": 1, "x": 2}], "l": {"c": 1, "x": 2}, "both": {"x": 1, "y": 2}}])
@example({"items": [{"l": [{"c": 1, "m": [{"n": 1, "x": 2}], "x": 3}, [{"c": 1}]]}]})
def test_what_is_read_is_there_and_nothing_else(page: Any) -> None:
    assert repr(selection(PATHS)(orjson.dumps(page))) == repr(page_kept(page))  # 1 is not 1.0, nor True


def test_without_a_path_all_is_read() -> None:
    body = b'{"items":[{"a":1,"zz":{"y":2}}]}'
    assert selection(()) is bodies.parse
    assert selection([], "a")(body) == orjson.loads(body)


def test_further_paths_are_read_too() -> None:
    assert selection(["a"], "id")(b'[{"a":1,"id":2,"x":3}]') == [{"a": 1, "id": 2}]


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b'{"items":[{"a":1}', b'{"items":[{"x":tru}]}', b'[{"a":"\xff"}]', b"[" * 100_000, b"[1] [2]"],
    ids=["empty", "html", "truncated", "no JSON where nothing is read", "no UTF-8", "too deep", "two"],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        selection(["a"])(body)


@pytest.mark.parametrize(
    "body",
    [
        b'[{"a":NaN},{"a":1}]',
        rb'[{"a":"\ud800"},{"a":1}]',
        b'[{"a":1e999},{"a":1}]',
        b'[{"a":%b},{"a":1}]' % (b"9" * 5000),
    ],
    ids=["NaN", "half of a pair", "beyond a double", "more digits than Python reads"],
)
def test_an_object_that_cannot_be_sent_on_is_marked(body: bytes) -> None:
    broken, sound = selection(["a"])(bytearray(body))
    assert isinstance(broken, BrokenObject)
    assert (broken.field, sound) == ("a", {"a": 1})


def test_a_whole_number_keeps_its_digits() -> None:
    assert selection(["a"])(b'[{"a":%b}]' % (b"9" * 30)) == [{"a": int("9" * 30)}]


@pytest.mark.parametrize("unread", [b"1e999", b'"\xff"'], ids=["beyond a double", "no UTF-8"])
def test_what_is_not_read_costs_no_record(unread: bytes) -> None:
    assert selection(["a"])(b'{"items":[{"a":1,"x":%b}]}' % unread) == {"items": [{"a": 1}]}
