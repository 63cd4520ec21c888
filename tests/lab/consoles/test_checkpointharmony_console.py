"""The simulated gateway is as strict as the real one is known to be, and its alerts are what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from lab.consoles.checkpoint import SimulatedHarmonyMobile, moment
from lab.fleet.checkpoint import checkpoint_alerts

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def console() -> Iterator[SimulatedHarmonyMobile]:
    with SimulatedHarmonyMobile() as console:
        yield console


def login(console: SimulatedHarmonyMobile, **changes: Any) -> requests.Response:
    body = {"clientId": console.client_id, "accessKey": console.secret_key, **changes}
    return requests.post(console.login_url, json=body, timeout=60)


def ask(console: SimulatedHarmonyMobile, path: str = "/external_api/v3/alert/", **query: Any) -> Any:
    token = login(console).json()["data"]["token"]
    url = f"{console.url}/app/SBM{path}"
    return requests.get(url, query, headers={"Authorization": f"Bearer {token}"}, timeout=60).json()


def test_a_wrong_key_is_refused_with_200_and_other_keys_with_400(console: SimulatedHarmonyMobile) -> None:
    assert login(console).json()["success"] is True
    refused = login(console, accessKey="wrong")
    assert (refused.status_code, refused.json()["success"]) == (200, False)
    assert login(console, clientSecret="x").status_code == 400


def test_without_a_good_token_the_session_has_ended_with_200(console: SimulatedHarmonyMobile) -> None:
    answer = requests.get(f"{console.url}/app/SBM/external_api/v3/alert/", timeout=60)
    assert (answer.status_code, answer.json()["forceLogout"]) == (200, True)


def test_a_row_that_is_touched_leaves_the_window_and_those_behind_it_move_up(console: SimulatedHarmonyMobile) -> None:
    console.has(9)
    window = {"backend_last_updated__gte": "2000-01-01T00:00:00Z", "backend_last_updated__lte": "2099-01-01T00:00:00Z"}
    window["backend_last_updated__lte"] = (console.now() - timedelta(minutes=10)).isoformat()
    first = ask(console, limit=3, **window)
    console.change(console.ids[-1])
    token = login(console).json()["data"]["token"]
    second = requests.get(
        f"{console.url}/app/SBM{first['meta']['next']}", headers={"Authorization": f"Bearer {token}"}, timeout=60
    ).json()
    seen = [alert["id"] for page in (first, second) for alert in page["objects"]]
    assert (first["meta"]["total_count"], second["meta"]["total_count"]) == (9, 8)
    assert len(set(seen)) == 6
    assert console.record(console.ids[5])["id"] not in seen


@pytest.mark.parametrize("query", [{"order_by": "id"}, {"limit": "all"}, {"backend_last_updated__gte": "yesterday"}])
def test_unknown_parameters_are_refused(console: SimulatedHarmonyMobile, query: dict[str, Any]) -> None:
    assert "error" in ask(console, **query)


def test_a_touched_alert_keeps_its_id_and_the_form_of_its_date(console: SimulatedHarmonyMobile) -> None:
    console.has(20)
    for name in console.ids:
        before = console.record(name)
        console.change(name, at=NOW)
        after = console.record(name)
        assert after["id"] == before["id"]
        assert ("T" in after["backend_last_updated"]) == ("T" in before["backend_last_updated"])
        assert moment(after["backend_last_updated"]) == NOW.timestamp()


def test_the_fleet_is_the_same_for_the_same_seed_and_within_its_hours() -> None:
    alerts = list(checkpoint_alerts(500, 7, NOW, 5.5))
    assert alerts == list(checkpoint_alerts(500, 7, NOW, 5.5))
    stamps = [moment(alert["backend_last_updated"]) or 0 for alert in alerts]
    assert stamps == sorted(stamps)
    assert stamps[0] == (NOW - timedelta(hours=5.5)).timestamp()
    assert stamps[-1] <= (NOW - timedelta(minutes=16)).timestamp()
    assert len({alert["id"] for alert in alerts}) == 500
    assert {type(alert["device_id"]) for alert in alerts} == {int, str}
    assert {"T" in str(alert.get("event_timestamp")) for alert in alerts} == {True, False}
