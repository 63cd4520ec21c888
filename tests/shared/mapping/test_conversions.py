"""Conversions of one value: a missing one is None, whatever a vendor writes in its place."""

from __future__ import annotations

import math
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mapping.conversions import (
    MAX_ENTRIES,
    boolean,
    groups_of,
    name_and_uid,
    name_and_uid_of,
    nested_object,
    non_negative_int,
    objects_in,
    to_string,
    unless_placeholder,
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


PLACEHOLDERS = (
    *("N/A", "unknown", "none", "null", "-", "Not Specified", "To Be Filled By O.E.M.", "O.E.M."),
    *("System Product Name", "System manufacturer", "Default string"),
)


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_a_placeholder_is_missing_in_any_case_and_with_any_padding(placeholder: str) -> None:
    for written in (
        placeholder,
        placeholder.upper(),
        placeholder.lower(),
        f" {placeholder}\t",
        f"{placeholder}" + "\0" * 200,
    ):
        assert unless_placeholder(written) is None, written


@pytest.mark.parametrize(
    "value",
    [
        *(
            "none.example.org",
            "UNKNOWN-7",
            "unknown host",
            "Null Island",
            "N/A?",
            "--",
            "O.E.M. Ltd",
            "Default string 2",
        ),
        *("not specified yet", "x" * 5000),
    ],
)
def test_a_string_that_only_contains_a_placeholder_is_sent(value: str) -> None:
    assert unless_placeholder(value) == value


def test_a_placeholder_is_a_name_like_any_other() -> None:
    """A group may be called "None" and a host "unknown": names and ids are what they are."""
    assert to_string("unknown") == "unknown"
    assert name_and_uid("None", "-") == {"name": "None", "uid": "-"}


@pytest.mark.parametrize("value", [None, "", " ", [], {}, True, ["N/A"]])
def test_a_missing_description_is_none(value: object) -> None:
    assert unless_placeholder(value) is None


def test_a_description_that_is_a_number_is_its_digits() -> None:
    assert unless_placeholder(7) == "7"


def test_control_characters_and_white_space_at_the_ends_are_no_part_of_a_string() -> None:
    padding = [chr(n) for n in range(sys.maxunicode) if chr(n).isspace() or unicodedata.category(chr(n)) == "Cc"]
    assert {to_string(f"{sign}PC\0 7{sign}") for sign in padding} == {"PC\0 7"}
    assert {to_string(sign) for sign in padding} == {None}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": "Contoso", "id": "t1"}, {"name": "Contoso", "uid": "t1"}),
        ({"name": None, "id": "t1"}, {"name": "t1", "uid": "t1"}),
        ("Contoso", {"name": "Contoso"}),
        ("", None),
        (None, None),
        ({}, None),
        ([], None),
    ],
)
def test_an_object_is_named_by_its_name_else_its_id_and_a_string_is_a_name(value: Any, expected: Any) -> None:
    assert name_and_uid_of(value) == expected


def test_groups_are_the_objects_with_a_name_or_an_id() -> None:
    assert groups_of([{"id": "g1", "name": "Finance"}, {"id": "g2"}, {}, None, "x"]) == [
        {"name": "Finance", "uid": "g1"},
        {"name": "g2", "uid": "g2"},
    ]
    assert groups_of([]) is groups_of(None) is groups_of({"id": "g1"}) is None
    assert len(groups_of([{"id": n} for n in range(MAX_ENTRIES + 5)]) or []) == MAX_ENTRIES


@pytest.mark.parametrize(
    ("value", "told"),
    [("a", "a"), (" a ", "a"), ("", None), (" ", None), (5, "5"), (0, "0"), (1.5, "1.5")]
    + [(value, None) for value in (None, True, False, [], ["a"], {}, b"a")],
)
def test_a_text_is_told_or_absent(value: object, told: str | None) -> None:
    assert to_string(value) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [(True, True), (False, False), ("true", True), (" False ", False), ("TRUE", True)]
    + [(value, None) for value in (None, "", "yes", "1", 1, 0, 1.0, [], {}, [True])],
)
def test_a_boolean_is_told_or_absent(value: object, told: bool | None) -> None:
    assert boolean(value) is told


@pytest.mark.parametrize(
    ("value", "told"),
    [(0, 0), (7, 7), ("7", 7), (" 7 ", 7), (2**31 - 1, 2**31 - 1)]
    + [
        (value, None) for value in (None, True, -1, "-1", 1.0, "1.0", "", "x", "²", 2**31, "9" * 5000, "9" * 19, [], {})
    ],
)
def test_a_count_is_told_or_absent(value: object, told: int | None) -> None:
    assert non_negative_int(value) == told


def test_entries_are_the_objects_of_a_list_up_to_the_bound() -> None:
    assert objects_in([{"a": 1}, None, "x", [], {}]) == [{"a": 1}, {}]
    assert objects_in({"a": 1}) == objects_in("x") == objects_in(None) == []
    assert len(objects_in([{}] * (MAX_ENTRIES + 5))) == MAX_ENTRIES


@pytest.mark.parametrize(
    ("name", "uid", "told"),
    [
        ("Staff", 5, {"name": "Staff", "uid": "5"}),
        (None, 5, {"name": "5", "uid": "5"}),
        (" ", "g1", {"name": "g1", "uid": "g1"}),
        ("Staff", None, {"name": "Staff"}),
        (None, None, None),
        ([], {}, None),
    ],
)
def test_a_group_without_a_name_is_named_by_its_id(name: object, uid: object, told: object) -> None:
    assert name_and_uid(name, uid) == told


@given(anything)
def test_no_value_whatever_makes_a_conversion_fail(value: Any) -> None:
    told = to_string(value)
    assert told is None or (told and to_string(told) == told)
    assert boolean(value) in (True, False, None)
    number = non_negative_int(value)
    assert number is None or (type(number) is int and 0 <= number < 2**31)
    assert all(isinstance(entry, dict) for entry in objects_in(value))
    name_and_uid(value, value)
    name_and_uid_of(value)
    groups_of(value)
    unless_placeholder(value)


def test_no_infinite_number_becomes_a_text() -> None:
    assert "inf" not in {to_string(value) for value in (1e308, -1e308)}
    assert math.isinf(float("1e999"))  # why the body's parser marks such a record


@pytest.mark.parametrize("value", [None, "", "x", 7, True, [], [{"a": 1}]])
def test_a_part_that_is_no_object_is_an_empty_one(value: Any) -> None:
    assert nested_object({"os": value}, "os") == nested_object({}, "os") == {}


def test_a_part_is_an_object_of_the_record() -> None:
    assert nested_object({"os": {"name": "x"}}, "os") == {"name": "x"}
