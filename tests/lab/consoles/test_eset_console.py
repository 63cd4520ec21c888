"""The simulated ESET Connect answers as its pages say, wrong questions included."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from lab.consoles.eset import SimulatedEset
from lab.fleet.eset import eset_device, eset_devices, eset_groups

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def console() -> Iterator[SimulatedEset]:
    with SimulatedEset() as running:
        running.has(60)
        yield running


def login(console: SimulatedEset, **form: str) -> requests.Response:
    form = form or {"grant_type": "password", "username": console.username, "password": console.password}
    return requests.post(f"{console.url}/oauth/token", data=form, timeout=60)


def ask(console: SimulatedEset, path: str = "/v1/devices", headers: Any = None, **query: Any) -> requests.Response:
    token = login(console).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}", **(headers or {})}
    return requests.get(console.url + path, params=query, headers=headers, timeout=60)


def walk(console: SimulatedEset, **query: Any) -> list[Any]:
    found, token = [], ""
    while True:
        page = ask(console, pageToken=token, **query)
        assert page.status_code == 200, page.text
        found += page.json()["devices"]
        if not (token := page.json().get("nextPageToken")):
            return found


# --- logging in


def test_a_grant_brings_both_tokens_and_a_lifetime(console: SimulatedEset) -> None:
    granted = login(console).json()
    assert set(granted) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 3600)


@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": "password", "username": "api-user@example.com", "password": "wrong"},
        {"grant_type": "password"},
        {"grant_type": "refresh_token", "refresh_token": "unknown"},
        {"grant_type": "client_credentials"},
        {"username": "api-user@example.com"},
    ],
    ids=str,
)
def test_a_bad_grant_is_a_400(console: SimulatedEset, form: dict[str, str]) -> None:
    answer = login(console, **form)
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_grant", "unsupported_grant_type")


def test_a_grant_that_is_not_a_form_is_a_415(console: SimulatedEset) -> None:
    form = {"grant_type": "password", "username": console.username, "password": console.password}
    assert requests.post(f"{console.url}/oauth/token", json=form, timeout=60).status_code == 415


def test_a_user_without_integrations_is_forbidden_the_token(console: SimulatedEset) -> None:
    console.integrations = False
    assert login(console).status_code == 403


def test_a_refresh_token_is_good_once(console: SimulatedEset) -> None:
    refresh = login(console).json()["refresh_token"]
    renewed = login(console, grant_type="refresh_token", refresh_token=refresh)
    assert renewed.json()["refresh_token"] != refresh
    assert login(console, grant_type="refresh_token", refresh_token=refresh).status_code == 400


@pytest.mark.parametrize(("header", "status"), [(None, 400), ("Basic abc", 400), ("Bearer ", 400), ("Bearer x", 401)])
def test_a_call_without_a_valid_token_is_refused(console: SimulatedEset, header: str | None, status: int) -> None:
    headers = {"Authorization": header} if header else {}
    answer = requests.get(f"{console.url}/v1/devices", headers=headers, timeout=60)
    assert answer.status_code == status
    assert set(answer.json()) == {"code", "message", "details"}


def test_tokens_end(console: SimulatedEset) -> None:
    token = login(console).json()["access_token"]
    console.expire_tokens()
    headers = {"Authorization": f"Bearer {token}"}
    assert requests.get(f"{console.url}/v1/devices", headers=headers, timeout=60).status_code == 401


def test_permissions_hide_the_devices(console: SimulatedEset) -> None:
    console.permitted = False
    assert ask(console).status_code == 403


# --- lists


def test_fifty_a_page_unless_asked_otherwise_and_a_thousand_at_most(console: SimulatedEset) -> None:
    assert [len(ask(console, **query).json()["devices"]) for query in ({}, {"pageSize": 0}, {"pageSize": 7})] == [
        50,
        50,
        7,
    ]
    console.has(1200)
    assert [len(ask(console, pageSize=size).json()["devices"]) for size in (1000, 5000, 99999)] == [1000] * 3


@pytest.mark.parametrize(
    "query",
    [
        {"pageSize": 100000},
        {"pageSize": -1},
        {"pageSize": "all"},
        {"pageToken": "?"},
        {"sort": "uuid"},
        {"pageToken": "x" * 129},
    ],
    ids=str,
)
def test_a_wrong_query_is_a_400(console: SimulatedEset, query: dict[str, Any]) -> None:
    answer = ask(console, **query)
    assert (answer.status_code, answer.json()["code"]) == (400, 3)


def test_a_walk_brings_every_device_once(console: SimulatedEset) -> None:
    assert sorted(device["uuid"] for device in walk(console, pageSize=7)) == sorted(console.ids)


def test_a_page_token_is_good_for_its_own_query_and_list_only(console: SimulatedEset) -> None:
    token = ask(console, pageSize=7).json()["nextPageToken"]
    assert len(token) <= 128
    assert ask(console, pageSize=8, pageToken=token).status_code == 400
    assert ask(console, "/v1/device_groups", pageSize=7, pageToken=token).status_code == 400
    assert ask(console, pageSize=7, pageToken=token).status_code == 200


@pytest.mark.parametrize("end", ["", None, ...])
def test_the_last_page_says_so_in_one_of_three_ways(console: SimulatedEset, end: Any) -> None:
    console.no_more = end
    page = ask(console, pageSize=100).json()
    assert page.get("nextPageToken", ...) is end or page["nextPageToken"] == end


def test_groups_are_listed_as_devices_are(console: SimulatedEset) -> None:
    groups = ask(console, "/v1/device_groups").json()
    assert groups["deviceGroups"] == sorted(console.groups, key=lambda group: group["uuid"])
    assert groups["nextPageToken"] == ""


def test_records_are_served_as_they_are_however_broken(console: SimulatedEset) -> None:
    console.has([{"uuid": "1"}, {"displayName": "nobody"}, "no object", None, {"uuid": [None]}, {"uuid": {}}])
    assert len(walk(console, pageSize=1)) == 6


def test_each_answer_is_named(console: SimulatedEset) -> None:
    assert ask(console).headers["request-id"] != ask(console).headers["request-id"]


def test_paths_and_methods_that_are_not_there(console: SimulatedEset) -> None:
    assert ask(console, "/v2/devices").status_code == 404
    assert requests.post(f"{console.url}/v1/devices", timeout=60).status_code == 405


# --- answers that come later


def test_a_deferred_answer_is_empty_until_it_is_ready_and_then_gone(console: SimulatedEset) -> None:
    console.defer("devices", 2)
    first = ask(console, pageSize=5)
    assert (first.status_code, first.content) == (202, b"")
    header = {"response-id": first.headers["response-id"]}
    answers = [ask(console, headers=header, pageSize=5).status_code for _ in range(3)]
    assert answers == [202, 200, 404]


def test_a_deferred_answer_is_for_the_identical_call_only(console: SimulatedEset) -> None:
    console.defer("devices", 1)
    header = {"response-id": ask(console, pageSize=5).headers["response-id"]}
    assert ask(console, headers=header, pageSize=6).status_code == 404
    assert ask(console, headers=header, pageSize=5).status_code == 200


def test_an_answer_that_is_not_ready_in_time_is_a_504_and_gone(console: SimulatedEset) -> None:
    console.defer("devices", 1, lost=True)
    header = {"response-id": ask(console).headers["response-id"]}
    assert [ask(console, headers=header).status_code for _ in range(2)] == [504, 404]


def test_a_late_202_may_leave_out_its_id(console: SimulatedEset) -> None:
    console.defer("devices", 2, named=False)
    header = {"response-id": ask(console).headers["response-id"]}
    assert "response-id" not in ask(console, headers=header).headers


def test_answers_are_kept_ten_minutes(console: SimulatedEset) -> None:
    console.defer("devices", 1)
    header = {"response-id": ask(console).headers["response-id"]}
    console.forget_answers()
    assert ask(console, headers=header).status_code == 404


# --- the fleet


def test_a_device_is_made_from_its_number_alone_and_keeps_its_uuid() -> None:
    fleet = list(eset_devices(200, now=NOW))
    assert fleet[137] == eset_device(137, 7, NOW)
    assert fleet == list(eset_devices(200, now=NOW)) != list(eset_devices(200, seed=8, now=NOW))
    later = eset_devices(200, now=NOW.replace(year=2027))
    assert [device["uuid"] for device in later] == [device["uuid"] for device in fleet]


def test_the_odd_values_of_live_tenants_are_met() -> None:
    fleet = list(eset_devices(5_000, now=NOW))
    assert len({device["uuid"] for device in fleet}) == 5_000
    assert any("lastSyncTime" not in device for device in fleet)
    assert any(len(device.get("hardwareProfiles") or []) == 2 for device in fleet)
    assert any(device.get("operatingSystem") == {} for device in fleet)
    assert any("2001:db8" in str(device.get("primaryLocalIpAddress")) for device in fleet)
    assert any("isMobile" not in device for device in fleet)
    assert {"DEVICE_TYPE_HOLOGRAM", "DEVICE_TYPE_UNSPECIFIED"} <= {device.get("deviceType") for device in fleet}
    known = {group["uuid"] for group in eset_groups()}
    assert any(device["parentGroupUuid"] and device["parentGroupUuid"] not in known for device in fleet)
    families = {(device.get("operatingSystem") or {}).get("familyId") for device in fleet}
    assert {1, 2, 3, 4} <= families


def test_no_record_is_broken_unless_asked_for() -> None:
    assert all(device["uuid"] for device in eset_devices(2_000, now=NOW))
    assert 50 < sum("uuid" not in device for device in eset_devices(2_000, now=NOW, broken=0.1)) < 400
