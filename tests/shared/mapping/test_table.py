"""The mapping table: unknown is absent, and nothing a vendor sends makes it fail."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import SkipRecord
from shared.http.body import BrokenObject
from shared.mapping.conversions import boolean, unless_placeholder
from shared.mapping.table import Field, Mapper, const, document, first_string, first_time, from_fields, mapped_fields

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def full_name(whole: Any) -> str:
    """First and last name.

    Not in the table.
    """
    return f"{whole.get('first')} {whole.get('last')}"


TABLE = (
    Field("class_uid", const(5001), doc="Device Inventory Info"),
    Field("device.uid", first_string("uuid", "id"), required=True),
    Field("device.name", "computer.name"),
    Field("device.owner", from_fields("first", "last"), full_name),
    Field("device.city", "sites[0].city", doc="First | site"),
    Field("device.on", "on", boolean),
)


def test_a_record_becomes_the_event_its_table_says() -> None:
    device = {
        "uuid": " u1 ",
        "id": 7,
        "computer": {"name": "PC"},
        "first": "A",
        "last": "B",
        "sites": [{"city": "Rennes"}],
        "on": "True",
    }
    assert Mapper(TABLE)(device) == {
        "class_uid": 5001,
        "device": {"uid": "u1", "name": "PC", "owner": "A B", "city": "Rennes", "on": True},
    }


def test_a_source_of_several_fields_passes_over_a_placeholder_in_the_first() -> None:
    mapper = Mapper((Field("device.os.name", first_string("os.name", "os.version", convert=unless_placeholder)),))
    assert mapper({"os": {"name": "Unknown", "version": "10.0.19045"}}) == {"device": {"os": {"name": "10.0.19045"}}}
    assert mapper({"os": {"name": "N/A", "version": "-"}}) == {}


def test_a_string_of_white_space_and_control_characters_is_absent() -> None:
    assert Mapper(TABLE[:2])({"uuid": "\0\0", "id": "PC-7\0\0"})["device"] == {"uid": "PC-7"}
    assert Mapper((Field("name", "name"),))({"name": "\0 \t\x1f"}) == {}


def test_what_is_not_told_is_absent_and_not_empty() -> None:
    assert Mapper(TABLE[:4])({"id": 7, "computer": {"name": " "}}) == {
        "class_uid": 5001,
        "device": {"uid": "7", "owner": "None None"},
    }


@pytest.mark.parametrize(
    "device",
    [
        *({"id": 1}, {"id": 1, "computer": None}, {"id": 1, "computer": "PC"}, {"id": 1, "computer": [{"name": "PC"}]}),
        *({"id": 1, "sites": []}, {"id": 1, "sites": {"0": {"city": "x"}}}, {"id": 1, "sites": [None]}),
        *({"id": 1, "sites": ["x"]}, {"id": 1, "sites": "x"}),
    ],
)
def test_a_step_that_is_missing_or_of_another_type_is_absent(device: dict[str, Any]) -> None:
    event = Mapper(TABLE)(device)
    assert "name" not in event["device"]
    assert "city" not in event["device"]


@pytest.mark.parametrize("device", [{}, {"uuid": None, "id": ""}, {"uuid": [], "id": True}])
def test_a_record_without_what_is_required_is_skipped_and_named(device: dict[str, Any]) -> None:
    with pytest.raises(SkipRecord, match=r"^uuid or id: is missing$"):
        Mapper(TABLE)(device)


@pytest.mark.parametrize(
    ("device", "kind"),
    [([], "a list"), ("x", "a text"), (None, "null"), (True, "a boolean"), (5, "a number"), (0.5, "a number")],
)
def test_what_is_no_object_is_skipped(device: object, kind: str) -> None:
    with pytest.raises(SkipRecord, match=f"^record: is {kind}, not an object$"):
        Mapper(TABLE)(device)


def test_an_object_that_cannot_be_read_is_skipped_with_its_field() -> None:
    broken = BrokenObject(id=1)
    broken.field, broken.reason = "osName", "holds half of a surrogate pair"
    with pytest.raises(SkipRecord) as caught:
        Mapper(TABLE)(broken)
    assert (caught.value.field, caught.value.reason) == ("osName", "holds half of a surrogate pair")


def test_a_skipped_record_never_shows_its_content() -> None:
    with pytest.raises(SkipRecord) as caught:
        Mapper((Field("device.uid", "id", required=True),))({"id": ["confidential"]})
    assert "confidential" not in str(caught.value)


@given(anything)
def test_no_record_whatever_makes_the_table_fail(device: Any) -> None:
    try:
        event = Mapper(TABLE)(device)
    except SkipRecord:
        return
    assert None not in event["device"].values()


@given(st.dictionaries(st.sampled_from(["uuid", "id", "computer", "sites", "on", "first"]), anything))
def test_no_type_in_any_field_makes_the_table_fail(device: Any) -> None:
    test_no_record_whatever_makes_the_table_fail.hypothesis.inner_test(device)


def test_a_constant_is_sent_as_it_is() -> None:
    assert Mapper((Field("a", const(2)), Field("b", const(True))))({}) == {"a": 2, "b": True}


def test_two_events_share_nothing_that_can_change() -> None:
    mapper = Mapper(TABLE)
    one = mapper({"id": 1})
    one["device"]["uid"] = "changed"
    assert mapper({"id": 1})["device"]["uid"] == "1"


# --- what a table says of itself


def test_a_table_declares_its_fields_with_all_their_paths() -> None:
    table = (*TABLE, Field("device.hostname", "computer.name"))
    declared = mapped_fields(table)
    assert declared["computer.name"] == "device.name, device.hostname"
    assert declared["uuid or id"] == "device.uid"
    assert declared["static: 5001"] == "class_uid"
    assert list(declared) == ["static: 5001", "uuid or id", "computer.name", "first, last", "sites[0].city", "on"]


def test_a_table_is_printed_with_a_line_for_each_row() -> None:
    printed = document(TABLE).splitlines()
    assert len(printed) == 2 + len(TABLE)
    assert printed[2] == "| `static: 5001` | `class_uid` |  | Device Inventory Info |"
    assert printed[3] == "| `uuid or id` | `device.uid` | yes |  |"
    assert printed[5] == "| `first, last` | `device.owner` |  | First and last name. |"
    assert printed[6] == "| `sites[0].city` | `device.city` |  | First \\| site |"


@pytest.mark.parametrize(
    ("record", "seconds"),
    [
        ({"a": "1970-01-01T00:00:07Z", "b": "1970-01-01T00:00:09Z"}, 7.0),
        ({"a": "soon", "b": "1970-01-01T00:00:09Z"}, 9.0),
        ({"a": "1970-01-01T00:00:00Z", "b": "1970-01-01T00:00:09Z"}, 9.0),  # protobuf's zero: missing
        ({"a": None, "b": "1970-01-01T00:00:00Z"}, None),
        ({"a": 7, "b": ["1970"]}, None),
        ({}, None),
    ],
)
def test_the_first_field_that_tells_a_time_counts(record: dict[str, Any], seconds: float | None) -> None:
    assert Mapper([Field("time", first_time("a", "b"))])(record).get("time") == seconds
