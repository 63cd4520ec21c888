"""The simulated SentinelOne console answers as the Management API 2.1 does, wrong questions included."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote, unquote

import pytest
import requests

from lab.consoles.sentinelone import SimulatedSentinelOne

AGENTS = "/web/api/v2.1/agents"


@pytest.fixture
def console() -> Iterator[SimulatedSentinelOne]:
    with SimulatedSentinelOne() as running:
        running.has(25)
        yield running


def ask(console: SimulatedSentinelOne, path: str = AGENTS, token: str | None = None, **query) -> requests.Response:
    headers = {"Authorization": f"ApiToken {token or console.token}"}
    return requests.get(console.url + path, params=query, headers=headers, timeout=60)


def walk(console: SimulatedSentinelOne, between=lambda: None, **query) -> list[dict]:
    found, cursor = [], None
    while True:
        page = ask(console, **query, **({"cursor": unquote(cursor)} if cursor else {}))
        assert page.status_code == 200, page.text
        found += page.json()["data"]
        cursor = page.json()["pagination"]["nextCursor"]
        if cursor is None:
            return found
        between()


def row(number: int, **fields) -> dict:
    return {"id": str(number), "updatedAt": f"2026-01-01T00:00:{number:02}.000000Z", **fields}


@pytest.mark.parametrize(
    "header", [None, "ApiToken wrong", "Bearer local-sentinelone-token", "local-sentinelone-token"]
)
def test_a_call_without_the_right_token_is_refused(console, header):
    answer = requests.get(console.url + AGENTS, headers={"Authorization": header} if header else {}, timeout=60)
    assert answer.status_code == 401
    assert answer.json() == {"errors": [{"code": 4010010, "detail": None, "title": "Authentication Failed"}]}


def test_a_token_without_the_viewer_role_is_forbidden_the_agents(console):
    console.viewer = False
    answer = ask(console)
    assert answer.status_code == 403
    assert answer.json()["errors"][0] == {"code": 4030010, "detail": None, "title": "Insufficient permissions"}


def test_ten_agents_a_page_unless_asked_otherwise(console):
    assert len(ask(console).json()["data"]) == 10
    assert len(ask(console, limit=25).json()["data"]) == 25


def test_a_walk_brings_every_agent_once(console):
    found = walk(console, limit=4, sortBy="id")
    assert [agent["id"] for agent in found] == console.ids


def test_the_total_is_reported_on_the_first_page_only(console):
    first = ask(console, limit=10).json()["pagination"]
    second = ask(console, limit=10, cursor=unquote(first["nextCursor"])).json()["pagination"]
    assert (first["totalItems"], second["totalItems"]) == (25, 0)


def test_a_full_last_page_ends_the_walk(console):
    assert ask(console, limit=25).json()["pagination"]["nextCursor"] is None


def test_a_cursor_is_handed_out_encoded_and_refused_when_encoded_twice(console):
    cursor = ask(console, limit=10).json()["pagination"]["nextCursor"]
    assert cursor.endswith("%3D")
    assert ask(console, limit=10, cursor=unquote(cursor)).status_code == 200
    refused = ask(console, limit=10, cursor=cursor)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["code"] == 4000010
    assert refused.json()["errors"][0]["detail"] == "Invalid cursor value received"


def test_a_cursor_is_good_for_its_own_query_only(console):
    cursor = unquote(ask(console, limit=10, sortBy="id").json()["pagination"]["nextCursor"])
    assert ask(console, limit=5, sortBy="id", cursor=cursor).status_code == 400
    assert ask(console, limit=10, sortBy="id", isActive="true", cursor=cursor).status_code == 400
    assert ask(console, limit=10, sortBy="id", cursor=cursor).status_code == 200


def test_an_empty_cursor_is_the_first_page(console):
    assert ask(console, limit=3, cursor="").json()["data"] == ask(console, limit=3).json()["data"]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": "many"},
        {"skip": 10},
        {"sortBy": "mood"},
        {"sortOrder": "up"},
        {"updatedSince": "2026-01-01T00:00:00.000000Z"},
        {"updatedAt__after": "2026-01-01T00:00:00.000000Z"},
        {"updatedAt__gte": "yesterday"},
        {"updatedAt__gte": "1767225600"},
        {"updatedAt__gte": "2026-01-01T00:00:00"},
        {"updatedAt__gte": "2026-13-01T00:00:00Z"},
        {"siteIds": "7"},
        {"isDecommissioned": "maybe"},
        {"cursor": "not base64 at all"},
        {"cursor": quote("Zm9v")},
    ],
    ids=str,
)
def test_a_wrong_query_is_refused_in_the_apis_own_shape(console, query):
    answer = ask(console, **query)
    assert answer.status_code == 400
    error = answer.json()["errors"][0]
    assert error["code"] == 4000010
    assert error["detail"]


def test_agents_changed_since_are_found_the_bound_included(console):
    console.has([row(1), row(2), row(3)])
    since = "2026-01-01T00:00:02.000000Z"
    assert [a["id"] for a in walk(console, updatedAt__gte=since, sortBy="updatedAt")] == ["2", "3"]
    assert [a["id"] for a in walk(console, updatedAt__gt=since)] == ["3"]
    assert [a["id"] for a in walk(console, updatedAt__lte=since)] == ["1", "2"]
    assert [a["id"] for a in walk(console, updatedAt__lt=since)] == ["1"]


def test_times_of_any_form_sort_together_and_null_comes_first(console):
    times = ["2026-01-01T00:00:01Z", "2026-01-01T00:00:01.5Z", "2026-01-01T00:00:01.000001Z", None, "None"]
    console.has([{"id": str(n), "updatedAt": moment} for n, moment in enumerate(times)])
    assert [a["id"] for a in walk(console, sortBy="updatedAt", limit=2)] == ["3", "4", "0", "2", "1"]
    assert [a["id"] for a in walk(console, sortBy="updatedAt", sortOrder="desc", limit=2)] == ["1", "2", "0", "4", "3"]
    assert len(walk(console, updatedAt__gte="1970-01-01T00:00:00.000000Z")) == 3


def test_ids_sort_as_the_numbers_they_are(console):
    console.has([{"id": "10"}, {"id": "9"}])
    assert [a["id"] for a in walk(console, sortBy="id")] == ["9", "10"]


def test_decommissioned_agents_are_hidden_unless_asked_for(console):
    gone = console.ids[3]
    console.decommission(gone)
    assert gone not in {a["id"] for a in walk(console, limit=10)}
    assert [a["id"] for a in walk(console, isDecommissioned="true")] == [gone]
    assert len(walk(console, isDecommissioned="True,False")) == 25


def test_a_change_moves_the_agent_to_the_end_of_the_feed_and_never_back_in_time(console):
    console.has([row(1), row(2), row(3)])
    console.change("1", computerName="renamed")
    first = console.record("1")["updatedAt"]
    console.clock_offset = timedelta(hours=-1)
    console.change("2", computerName="renamed too")
    assert console.record("2")["updatedAt"] > first
    assert [a["id"] for a in walk(console, sortBy="updatedAt")] == ["3", "1", "2"]


def test_a_heartbeat_moves_last_active_and_nothing_else(console):
    agent_id = console.ids[0]
    before = console.record(agent_id)
    console.heartbeat(agent_id)
    after = console.record(agent_id)
    assert after["lastActiveDate"] != before["lastActiveDate"]
    assert after["updatedAt"] == before["updatedAt"]


def test_a_walk_by_update_meets_a_row_again_that_changes_behind_it(console):
    """The cursor walks the live collection: a changed row moves to the end and is read a second time."""
    console.has([row(n) for n in range(1, 7)])
    pending = ["1"]
    found = walk(console, lambda: pending and console.change(pending.pop()), sortBy="updatedAt", limit=2)
    assert [a["id"] for a in found] == ["1", "2", "3", "4", "5", "6", "1"]


def test_a_walk_by_id_meets_what_was_added_ahead_of_it_and_not_what_was_removed(console):
    console.has([row(n) for n in range(1, 7)])

    def meanwhile() -> None:
        if "6" in console.ids:
            console.remove("6")
            console.add(row(7))

    assert [a["id"] for a in walk(console, meanwhile, sortBy="id", limit=2)] == ["1", "2", "3", "4", "5", "7"]


def test_a_row_removed_under_the_cursor_does_not_break_the_walk(console):
    console.has([row(n) for n in range(1, 5)])
    first = ask(console, limit=2, sortBy="id").json()
    console.remove("2")
    rest = ask(console, limit=2, sortBy="id", cursor=unquote(first["pagination"]["nextCursor"])).json()
    assert [a["id"] for a in rest["data"]] == ["3", "4"]


def test_records_are_served_as_they_are_however_broken(console):
    console.has([row(1), {"computerName": "nobody"}, "not an object", None, row(2, note="\ud800", score=float("nan"))])
    found = walk(console, sortBy="id", limit=2)
    assert len(found) == 5
    assert {"computerName": "nobody"} in found
    assert "not an object" in found
    assert None in found
    assert "NaN" in ask(console, limit=100).text


def test_paths_and_methods_that_are_not_there(console):
    lost = ask(console, "/web/api/v2.1/agent")
    assert (lost.status_code, lost.text.strip()) == (404, "404 page not found")
    wrong = requests.post(console.url + AGENTS, headers={"Authorization": f"ApiToken {console.token}"}, timeout=60)
    assert wrong.status_code == 405
    assert wrong.json()["errors"]


def test_above_its_rate_the_gateway_answers_in_html():
    with SimulatedSentinelOne(rate=5) as console:
        console.has(1)
        statuses = [ask(console).status_code for _ in range(7)]
        assert statuses == [200] * 5 + [429] * 2
        assert ask(console).text.startswith("<html>")


def test_a_packed_fleet_reads_the_same(monkeypatch):
    with SimulatedSentinelOne() as plain, SimulatedSentinelOne() as packed:
        moment = plain.now()
        for console in (plain, packed):
            monkeypatch.setattr(console, "now", lambda: moment)
        plain.has(30)
        monkeypatch.setattr(SimulatedSentinelOne, "packed_from", 10)
        packed.has(30)
        packed.change(packed.ids[4], updatedAt=packed.record(packed.ids[4])["updatedAt"])
        assert walk(packed, limit=7) == walk(plain, limit=7)
