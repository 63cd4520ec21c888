"""Corners of SentinelOne's pages: cursors in all their forms, totals, pages that are too heavy."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from sentinelone_assets.client import SentinelOneClient
from sentinelone_assets.connector import SentinelOneDeviceConnector
from sentinelone_assets.settings import SentinelOneSettings

from lab.consoles.sentinelone import SimulatedSentinelOne
from lab.modules import MODULES
from lab.platform.faults import Status, WrongShape, long_pages
from shared.errors import UnexpectedReply
from tests.rig import QUICK


@pytest.fixture
def console() -> Iterator[SimulatedSentinelOne]:
    with SimulatedSentinelOne() as console:
        console.has(35)
        yield console


def client_of(console: SimulatedSentinelOne, page_size: int = 15) -> SentinelOneClient:
    settings = SentinelOneSettings.model_validate(MODULES["SentinelOne"].settings_for(console))
    return SentinelOneDeviceConnector.connect(settings, stop=Event(), patience=QUICK, page_size=page_size)


def test_the_first_page_passes_on_how_many_agents_the_console_counts(console: SimulatedSentinelOne) -> None:
    """Later pages say 0, which is not a count."""
    assert [page.total for page in client_of(console).agents()] == [35, None, None]


@pytest.mark.parametrize(
    "pagination", [None, {}, {"nextCursor": None}, {"nextCursor": ""}, {"nextCursor": "null"}, ...]
)
def test_a_page_without_a_cursor_is_the_last(console: SimulatedSentinelOne, pagination: Any) -> None:
    page = {"data": [{"id": "1"}], **({} if pagination is ... else {"pagination": pagination})}
    console.fault(WrongShape(page), match="agents")
    assert [page.records for page in client_of(console).agents()] == [[{"id": "1"}]]


@pytest.mark.parametrize("cursor", [7, True, ["YQ=="], {}])
def test_a_cursor_that_is_not_a_string_is_not_the_end(console: SimulatedSentinelOne, cursor: Any) -> None:
    console.fault(WrongShape({"data": [], "pagination": {"nextCursor": cursor}}), match="agents")
    with pytest.raises(UnexpectedReply, match="next-page token that is not printable text"):
        list(client_of(console).agents())


def test_the_order_and_the_filter_are_the_same_on_every_page(console: SimulatedSentinelOne) -> None:
    assert sum(len(page.records) for page in client_of(console).agents(0.0)) == 35
    queries = [{name: value for name, value in call.query.items() if name != "cursor"} for call in console.calls]
    assert len(queries) == 3
    assert all(query == queries[0] for query in queries)
    assert queries[0]["sortBy"] == "updatedAt"
    assert queries[0]["updatedAt__gte"] == "1970-01-01T00:00:00.000Z"


def test_after_a_page_too_heavy_in_mid_walk_the_walk_begins_again(console: SimulatedSentinelOne) -> None:
    """A cursor is good for the query it came with, the page size included."""
    console.fault(Status(504), match=long_pages("agents", "limit", 10), skip=1, times=None)
    pages = list(client_of(console).agents())
    assert [len(page.records) for page in pages] == [15, 10, 10, 10, 5]
    assert [page.anew for page in pages] == [False, True, False, False, False]
    assert [page.total for page in pages] == [35, 35, None, None, None]
