"""The simulated Sophos Central answers as the vendor's APIs do, wrong questions included."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
import requests

from lab.consoles.sophos import LOGIN_PATH, OWN_ID, SimulatedSophos
from lab.fleet.sophos import sophos_endpoint, sophos_endpoints

TENANTS = {f"00000000-0000-4000-8000-00000000000{n}": f"Tenant {n}" for n in (1, 2, 3)}


@pytest.fixture
def console() -> Iterator[SimulatedSophos]:
    with SimulatedSophos() as running:
        running.has(25)
        yield running


@pytest.fixture
def partner() -> Iterator[SimulatedSophos]:
    with SimulatedSophos("partner", dict(TENANTS)) as running:
        running.has(9)
        yield running


def sign_in(console: SimulatedSophos, **form: Any) -> requests.Response:
    right = {"grant_type": "client_credentials", "scope": "token"}
    credential = {"client_id": console.client_id, "client_secret": console.client_secret}
    return requests.post(console.url + LOGIN_PATH, data={**right, **credential, **form}, timeout=60)


def ask(console: SimulatedSophos, path: str = "/endpoint/v1/endpoints", headers: Any = None, **query: Any) -> Any:
    token = sign_in(console).json()["access_token"]
    sent = {"Authorization": f"Bearer {token}", "X-Tenant-ID": OWN_ID} if headers is None else headers
    sent = {name: value.replace("TOKEN", token) for name, value in sent.items()}
    return requests.get(console.url + path, params=query, headers=sent, timeout=60)


def walk(console: SimulatedSophos, tenant: str = OWN_ID, **query: Any) -> list[Any]:
    found: list[Any] = []
    key = None
    while True:
        headers = {"Authorization": "Bearer TOKEN", "X-Tenant-ID": tenant}
        page = ask(console, headers=headers, **query, **({"pageFromKey": key} if key else {}))
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        key = page.json()["pages"].get("nextKey")
        if not key:
            return found


def test_a_token_is_handed_out_for_the_right_form(console: SimulatedSophos) -> None:
    told = sign_in(console).json()
    assert (told["token_type"], told["expires_in"], told["errorCode"]) == ("bearer", 3600, "success")
    assert told["access_token"] in console.tokens


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"client_secret": "wrong"}, 401, "oauth.invalid_client_secret"),
        ({"client_id": "wrong"}, 401, "oauth.invalid_client_secret"),
        ({"grant_type": "password"}, 400, "oauth.invalid_grant"),
        ({"scope": ""}, 400, "oauth.invalid_grant"),
    ],
)
def test_a_wrong_form_is_refused(console: SimulatedSophos, form: dict[str, str], status: int, code: str) -> None:
    answer = sign_in(console, **form)
    assert (answer.status_code, answer.json()["errorCode"]) == (status, code)


def test_a_json_body_is_not_accepted_as_a_form(console: SimulatedSophos) -> None:
    assert (
        requests.post(console.url + LOGIN_PATH, json={"grant_type": "client_credentials"}, timeout=60).status_code
        == 400
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Tenant-ID": OWN_ID},
        {"Authorization": "Bearer wrong", "X-Tenant-ID": OWN_ID},
        {"Authorization": "Basic TOKEN", "X-Tenant-ID": OWN_ID},
        {"Authorization": "Bearer TOKEN"},
        {"Authorization": "Bearer TOKEN", "X-Partner-ID": OWN_ID},
    ],
    ids=str,
)
def test_a_call_without_a_token_and_a_tenant_is_refused(console: SimulatedSophos, headers: dict[str, str]) -> None:
    answer = ask(console, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "Unauthorized")


def test_a_token_that_expired_is_refused(console: SimulatedSophos) -> None:
    token = sign_in(console).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert requests.get(f"{console.url}/whoami/v1", headers=headers, timeout=60).status_code == 200
    console.expire_tokens()
    assert requests.get(f"{console.url}/whoami/v1", headers=headers, timeout=60).status_code == 401


def test_a_token_lives_as_long_as_it_says(console: SimulatedSophos) -> None:
    console.lifetime = 0
    assert ask(console).status_code == 401


def test_a_credential_without_the_role_is_forbidden(console: SimulatedSophos) -> None:
    console.reader = False
    answer = ask(console)
    assert (answer.status_code, answer.json()["error"]) == (403, "Forbidden")


def test_whoami_names_the_data_region_of_a_tenant_only(console: SimulatedSophos, partner: SimulatedSophos) -> None:
    own = ask(console, "/whoami/v1").json()
    assert own == {
        "id": OWN_ID,
        "idType": "tenant",
        "apiHosts": {"global": console.url, "dataRegion": f"{console.url}/"},
    }
    assert ask(partner, "/whoami/v1").json()["apiHosts"] == {"global": partner.url}


def test_tenants_come_by_page_number_to_their_partner(partner: SimulatedSophos) -> None:
    own = ask(partner, "/whoami/v1").json()["id"]
    right = {"Authorization": "Bearer TOKEN", "X-Partner-ID": own}
    first = ask(partner, "/partner/v1/tenants", right, pageSize=2, pageTotal="true").json()
    assert first["pages"] == {"current": 1, "size": 2, "maxSize": 100, "total": 2, "items": 3}
    assert [item["name"] for item in first["items"]] == ["Tenant 1", "Tenant 2"]
    second = ask(partner, "/partner/v1/tenants", right, page=2, pageSize=2).json()
    assert second["pages"] == {"current": 2, "size": 2, "maxSize": 100}
    assert [item["name"] for item in second["items"]] == ["Tenant 3"]
    wrong = {"Authorization": "Bearer TOKEN", "X-Organization-ID": own}
    assert ask(partner, "/organization/v1/tenants", wrong).status_code == 401
    assert ask(partner, "/partner/v1/tenants", right, pageSize=500).status_code == 400


def test_a_tenant_that_is_not_provisioned_has_no_address(partner: SimulatedSophos) -> None:
    partner.unprovisioned = {OWN_ID}
    own = ask(partner, "/whoami/v1").json()["id"]
    items = ask(partner, "/partner/v1/tenants", {"Authorization": "Bearer TOKEN", "X-Partner-ID": own}).json()["items"]
    assert ["apiHost" in item for item in items] == [False, True, True]


def test_each_tenant_has_endpoints_of_its_own(partner: SimulatedSophos) -> None:
    for tenant in TENANTS:
        assert {endpoint["tenant"]["id"] for endpoint in walk(partner, tenant)} == {tenant}
    partner.forbidden = {OWN_ID}
    assert ask(partner).status_code == 403
    strange = {"Authorization": "Bearer TOKEN", "X-Tenant-ID": "00000000-0000-4000-8000-000000000009"}
    assert ask(partner, headers=strange).status_code == 403


def test_a_walk_brings_every_endpoint_once(console: SimulatedSophos) -> None:
    found = walk(console, pageSize=4, view="full")
    assert sorted(endpoint["id"] for endpoint in found) == sorted(console.ids)


def test_fifty_a_page_and_no_totals_unless_asked_for(console: SimulatedSophos) -> None:
    assert ask(console).json()["pages"] == {"size": 50, "maxSize": 500}
    pages = ask(console, pageSize=10, view="full", pageTotal="true").json()["pages"]
    assert {name: pages[name] for name in ("total", "items", "maxSize")} == {"total": 3, "items": 25, "maxSize": 100}


@pytest.mark.parametrize(("end", "told"), [("absent", {}), (None, {"nextKey": None}), ("", {"nextKey": ""})])
def test_the_last_page_names_no_next_in_one_of_three_ways(console: SimulatedSophos, end: Any, told: Any) -> None:
    console.end_key = end
    assert ask(console).json()["pages"] == {"size": 50, "maxSize": 500, **told}


def test_a_key_holds_what_a_url_cannot_and_no_filter(console: SimulatedSophos) -> None:
    first = ask(console, pageSize=10).json()["pages"]["nextKey"]
    assert first.startswith("+") and first.endswith("=")
    raw = requests.get(f"{console.url}/endpoint/v1/endpoints?pageFromKey={first}", timeout=60, headers={
        "Authorization": f"Bearer {sign_in(console).json()['access_token']}", "X-Tenant-ID": OWN_ID})  # fmt: skip
    assert raw.status_code == 400
    later = (console.now() + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert ask(console, pageSize=10, pageFromKey=first, lastSeenAfter=later).json()["items"] == []
    assert len(ask(console, pageSize=10, pageFromKey=first).json()["items"]) == 10


@pytest.mark.parametrize("name", ["pageKey", "nextKey", "page"])
def test_an_unknown_parameter_is_ignored_so_that_the_first_page_comes_for_ever(
    console: SimulatedSophos, name: str
) -> None:
    first = ask(console, pageSize=10).json()
    assert ask(console, pageSize=10, **{name: first["pages"]["nextKey"]}).json()["items"] == first["items"]


@pytest.mark.parametrize(
    "query",
    [
        {"pageSize": 0},
        {"pageSize": 501},
        {"pageSize": 101, "view": "full"},
        {"pageSize": "many"},
        {"view": "everything"},
        {"pageFromKey": "not a key"},
        {"lastSeenAfter": "yesterday"},
        {"lastSeenAfter": "2026-01-01T00:00:00"},
        {"lastSeenAfter": "1767225600"},
        {"lastSeenAfter": "-PT20M"},
        {"lastSeenAfter": "2026-13-01T00:00:00Z"},
        {"sort": "lastSeenAt:asc"},
    ],
    ids=str,
)
def test_a_wrong_query_is_refused_with_the_generic_error(console: SimulatedSophos, query: dict[str, Any]) -> None:
    answer = ask(console, **query)
    assert answer.status_code == 400
    assert {"error", "correlationId", "requestId", "message"} == set(answer.json())


def test_endpoints_seen_since_are_found_the_bound_included_and_the_never_seen_not(console: SimulatedSophos) -> None:
    seen = ["2026-01-01T00:00:01Z", "2026-01-01T00:00:01.500Z", "2026-01-01T00:00:01.500000001Z", None, "never"]
    console.has([{"id": str(number), "lastSeenAt": moment} for number, moment in enumerate(seen)])
    assert [one["id"] for one in walk(console, lastSeenAfter="2026-01-01T00:00:01.500Z")] == ["1", "2"]
    assert len(walk(console)) == 5


def test_a_heartbeat_moves_last_seen_and_a_silent_change_does_not(console: SimulatedSophos) -> None:
    one = console.ids[0]
    before = console.record(one)
    console.change_silently(one, group={"id": "g", "name": "moved"})
    assert console.record(one).get("lastSeenAt") == before.get("lastSeenAt")
    console.heartbeat(one)
    after = console.record(one)
    assert after["lastSeenAt"] > before.get("lastSeenAt", "")
    assert {**after, "lastSeenAt": 0, "online": 0} == {
        **before, "group": {"id": "g", "name": "moved"}, "lastSeenAt": 0, "online": 0,
    }  # fmt: skip


def test_check_ins_never_go_back_in_time(console: SimulatedSophos) -> None:
    one, two = console.ids[:2]
    console.change(one, hostname="renamed")
    console.clock_offset = timedelta(hours=-1)
    console.change(two, hostname="renamed too")
    assert console.record(two)["lastSeenAt"] > console.record(one)["lastSeenAt"]


def test_a_row_removed_under_the_key_does_not_break_the_walk(console: SimulatedSophos) -> None:
    console.has([{"id": str(number)} for number in range(4)])
    key = ask(console, pageSize=2).json()["pages"]["nextKey"]
    console.remove("1")
    assert [one["id"] for one in ask(console, pageSize=2, pageFromKey=key).json()["items"]] == ["2", "3"]


def test_records_are_served_as_they_are_however_broken(console: SimulatedSophos) -> None:
    console.has([{"id": "1"}, "no object", None, {"id": "2", "note": "\ud800", "score": float("nan")}])
    assert len(walk(console, pageSize=2)) == 4
    assert "NaN" in ask(console).text


def test_above_its_rate_the_answer_is_the_generic_error() -> None:
    with SimulatedSophos(rate=3) as console:
        console.has(1)
        answers = [sign_in(console) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 2
        assert answers[-1].json()["error"] == "TooManyRequests"


def test_paths_and_methods_that_are_not_there(console: SimulatedSophos) -> None:
    assert ask(console, "/endpoint/v2/endpoints").status_code == 404
    assert requests.post(f"{console.url}/whoami/v1", timeout=60).status_code == 405


# The fleet


def test_an_endpoint_is_made_from_its_number_alone_and_keeps_its_id(console: SimulatedSophos) -> None:
    now = console.now()
    fleet = list(sophos_endpoints(200, now=now))
    assert fleet[137] == sophos_endpoint(137, 7, now, OWN_ID)
    assert [one["id"] for one in sophos_endpoints(20)] == [one["id"] for one in fleet[:20]]
    assert len({one["id"] for one in fleet}) == 200


def test_the_odd_values_of_live_tenants_are_met(console: SimulatedSophos) -> None:
    fleet = list(sophos_endpoints(5_000))
    assert {"windows", "linux", "macOS", "unheard-of", None} == {one["os"]["platform"] for one in fleet}
    assert any("lastSeenAt" not in one for one in fleet)
    assert any(isinstance(one.get("group"), list) for one in fleet)
    assert any(one.get("group") and "name" not in one["group"] for one in fleet if isinstance(one.get("group"), dict))
    assert any(one["type"] == "securityVm" for one in fleet)
    assert any(one["tags"] for one in fleet)
    assert any("name" not in one["os"] for one in fleet)
    assert any(one.get("associatedPerson") == {} for one in fleet)
    sizes = [len(orjson.dumps(one)) for one in fleet]
    assert 1_800 < sum(sizes) / len(sizes) < 2_600


def test_a_large_fleet_is_made_in_seconds() -> None:
    started = time.process_time()
    list(sophos_endpoints(10_000))
    assert time.process_time() - started < 3
