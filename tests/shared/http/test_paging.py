"""The ways in which a vendor names the next page."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import UnexpectedReply
from shared.http.paging import NextPage, by_field, by_link, by_link_header, by_number, by_offset, value_at
from tests.json_values import scalars
from tests.shared.replied import replied

JSON = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("ab"), inner))
ASKED = {"limit": 5, "filter": "x"}


def after(next_page: NextPage, body: Any = None, *, header: str = "", asked: Any = None, records: int = 5) -> Any:
    return next_page(replied(body, {"Link": header} if header else None), asked or ASKED, records)


# --- by a field


def test_a_page_token_is_added_to_the_query() -> None:
    next_page = by_field("paging.next", "cursor")
    assert after(next_page, {"paging": {"next": "abc"}}) == {**ASKED, "cursor": "abc"}


@pytest.mark.parametrize("end", [{}, {"next": None}, {"next": ""}])
def test_a_missing_null_or_empty_token_is_the_end(end: dict[str, Any]) -> None:
    assert after(by_field("next", "cursor"), end) is None
    assert after(by_field("paging.next", "cursor"), {"paging": end}) is None


@pytest.mark.parametrize("token", [0, 7, True, False, ["a"], {}, "half \ud800 of a letter", "a\n"])
def test_a_token_that_is_not_printable_text_is_an_error_and_not_the_end(token: object) -> None:
    with pytest.raises(UnexpectedReply, match="Vendor sent a next-page token that is not printable text"):
        after(by_field("next", "cursor"), json.dumps({"next": token}).encode())


@pytest.mark.parametrize("body", [{}, {"paging": None}, {"paging": []}, {"paging": "x"}, [], None, "x"])
def test_a_page_without_the_object_that_holds_the_token_is_not_the_last(body: object) -> None:
    with pytest.raises(UnexpectedReply, match="without 'paging'"):
        after(by_field("paging.next", "cursor"), body)
    assert after(by_field("paging.next", "cursor", optional=True), body) is None


def test_parameters_may_be_others_after_the_first_page() -> None:
    next_page = by_field("next", "cursor", filter=None)
    assert after(next_page, {"next": "abc"}) == {"limit": 5, "filter": None, "cursor": "abc"}


def test_a_token_may_have_to_be_decoded() -> None:
    assert after(by_field("next", "cursor", decode=unquote), {"next": "a%3D"}) == {**ASKED, "cursor": "a="}


# --- by a link

LINKS = [
    "https://vendor.example/things?limit=5&offset=5",
    "https://vendor.example:8443/other/path?offset=5&limit=5",
    "//vendor.example/things?limit=5&offset=5",
    "/things?limit=5&offset=5",
    "things?offset=5&limit=5#fragment",
    "?limit=5&offset=5",
]


@pytest.mark.parametrize("link", LINKS)
def test_the_query_of_a_link_is_used_and_a_filter_that_it_lost_is_kept(link: str) -> None:
    expected = {"limit": ["5"], "offset": ["5"], "filter": "x"}
    assert after(by_link("next"), {"next": link}) == expected
    assert after(by_link_header(), header=f'<{link}>; rel="next"') == expected


@pytest.mark.parametrize("value", ["", "a b", "ü&=+ %", "a=b"])
def test_values_of_a_link_arrive_decoded(value: str) -> None:
    assert after(by_link("next"), {"next": f"?{urlencode({'cursor': value})}"})["cursor"] == [value]


ELSEWHERE = [
    "https://elsewhere.example/things?offset=5",
    "//elsewhere.example/things?offset=5",
    "https://vendor.example@elsewhere.example/?offset=5",
    "https://elsewhere.example\\@vendor.example/?offset=5",
]


@pytest.mark.parametrize("link", ELSEWHERE)
def test_a_link_to_another_host_is_refused_unless_any_host_will_do(link: str) -> None:
    with pytest.raises(UnexpectedReply, match=r"another host \(elsewhere\.example\) than the configured"):
        after(by_link("next"), {"next": link})
    assert after(by_link("next", any_host=True), {"next": link})["offset"] == ["5"]


@pytest.mark.parametrize("link", ["http://[half/of/an/address", "https://vendor.example/things", "next"])
def test_a_link_that_is_not_a_url_with_a_query_is_an_error_and_not_the_end(link: str) -> None:
    with pytest.raises(UnexpectedReply, match="not a URL with a query"):
        after(by_link("next"), {"next": link})


@pytest.mark.parametrize("header", ["", '<?offset=0>; rel="prev", <?offset=9>; rel="last"', "?offset=5", "<>"])
def test_without_a_link_to_a_next_page_the_header_says_the_end(header: str) -> None:
    assert after(by_link_header(), header=header) is None


@pytest.mark.parametrize("rel", ['rel="next"', "rel=next", 'title="x"; rel="next"', 'rel="last next"'])
def test_the_next_page_is_found_among_the_links_of_a_header(rel: str) -> None:
    header = f'<https://vendor.example/things?offset=0>; rel="prev", <https://vendor.example/things?offset=5>; {rel}'
    assert after(by_link_header(), header=header) == {**ASKED, "offset": ["5"]}


# --- by an offset, by a number


def test_an_offset_grows_by_the_records_of_the_page_until_one_has_none() -> None:
    next_page = by_offset("skip")
    second = after(next_page, records=5)
    assert second == {**ASKED, "skip": 5}
    assert after(next_page, asked=second, records=3) == {**ASKED, "skip": 8}
    assert after(next_page, asked=second, records=0) is None


@pytest.mark.parametrize(("rows", "following"), [(12, 10), (10, None), (9, None), (None, 10), ("12", 10)])
def test_an_offset_grows_up_to_the_reported_total(rows: object, following: int | None) -> None:
    """An empty page is the end too: the round then compares the rows with the total."""
    asked = {**ASKED, "skip": 5}
    assert after(by_offset("skip", "total"), {"total": rows}, records=5, asked=asked) == (
        following and {**ASKED, "skip": following}
    )
    assert after(by_offset("skip", "total"), {"total": 12}, records=0, asked=asked) is None


@pytest.mark.parametrize(("number", "following"), [(1, 2), (2, 3), (3, None), (4, None)])
def test_a_page_number_grows_up_to_the_reported_last(number: int, following: int | None) -> None:
    asked = {**ASKED, "page": number}
    found = after(by_number("page", "pages.total"), {"pages": {"total": 3}}, asked=asked)
    assert found == (following and {**ASKED, "page": following})


@pytest.mark.parametrize("total", [None, "3", True])
def test_without_the_number_of_pages_one_without_records_is_the_last(total: Any) -> None:
    body, asked = {"pages": {"total": total}}, {"page": 7}
    assert after(by_number("page", "pages.total"), body, asked=asked, records=1) == {"page": 8}
    assert after(by_number("page", "pages.total"), body, asked=asked, records=0) is None


@given(JSON)
def test_no_body_leads_anywhere_but_to_a_query_the_end_or_an_error(body: Any) -> None:
    for next_page in (by_field("a.b", "t"), by_field("a", "t", optional=True), by_link("a"), by_number("n", "a.b")):
        try:
            found = after(next_page, body)
        except UnexpectedReply:
            continue
        assert found is None or isinstance(found, dict)


def test_a_value_is_found_by_its_path() -> None:
    reply = replied({"a": {"b": 1}})
    assert (value_at(reply, "a.b"), value_at(reply, "a"), value_at(reply, "c")) == (1, {"b": 1}, None)
    assert value_at(reply, "a.b.c", optional=True) is None
