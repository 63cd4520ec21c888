"""The simulated HarfangLab manager answers as a Django REST API does, wrong questions included."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime

import orjson
import pytest
import requests

from lab.consoles.harfanglab import AGENTS, SimulatedHarfangLab
from lab.fleet.harfanglab import harfanglab_agent, harfanglab_agents
from shared.times import epoch

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def console() -> Iterator[SimulatedHarfangLab]:
    with SimulatedHarfangLab() as running:
        running.has(25)
        yield running


def ask(console: SimulatedHarfangLab, path: str = AGENTS, token: str | None = None, **query) -> requests.Response:
    headers = {"Authorization": f"Token {token or console.token}"}
    return requests.get(console.url + path, params=query, headers=headers, timeout=60, allow_redirects=False)


def ids(answer: requests.Response) -> list[str]:
    return [agent["id"] for agent in answer.json()["results"]]


def row(number: int, **fields) -> dict:
    return {"id": str(number), "firstseen": f"2026-01-01T00:00:{number:02}.000000Z", **fields}


@pytest.mark.parametrize("header", [None, "Bearer local-harfanglab-token", "local-harfanglab-token"])
def test_a_call_without_a_token_is_refused(console, header):
    answer = requests.get(console.url + AGENTS, headers={"Authorization": header} if header else {}, timeout=60)
    assert answer.status_code == 401
    assert answer.json() == {"detail": "Authentication credentials were not provided."}


@pytest.mark.parametrize("token", ["wrong", "token_local-harfanglab-token"])
def test_a_wrong_token_is_invalid_and_so_is_one_with_its_prefix(console, token):
    answer = ask(console, token=token)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid token."})


def test_a_user_without_the_right_is_forbidden(console):
    console.permitted = False
    answer = ask(console)
    assert (answer.status_code, answer.json()["detail"]) == (403, "You do not have permission to perform this action.")


def test_without_the_slash_at_the_end_the_manager_redirects_with_the_query(console):
    answer = ask(console, AGENTS.rstrip("/"), limit=3)
    assert (answer.status_code, answer.headers["Location"]) == (301, f"{AGENTS}?limit=3")


def test_a_walk_along_the_relative_links_brings_every_agent_once(console):
    found, link = [], f"{AGENTS}?limit=4&ordering=firstseen"
    while link:
        assert link.startswith(AGENTS)
        answer = ask(console, link)
        found += ids(answer)
        link = answer.json()["next"]
    assert sorted(found) == sorted(console.ids)
    assert answer.json()["count"] == 25
    assert answer.json()["previous"]


def test_links_are_encoded_and_keep_the_whole_query(console):
    console.has([row(1, hostname="a b"), row(2, hostname="a b")])
    assert ask(console, limit=1, hostname="a b", mood="good").json()["next"] == (
        f"{AGENTS}?hostname=a+b&limit=1&mood=good&offset=1"
    )


def test_a_manager_behind_a_proxy_names_itself_in_its_links(console):
    console.next_origin = "http://manager.internal"
    assert ask(console, limit=5).json()["next"].startswith(f"http://manager.internal{AGENTS}?")


def test_unknown_parameters_and_values_are_passed_over_without_a_word(console):
    everything = ask(console, limit=100)
    for query in ({"lastseen__gte": "2100-01-01T00:00:00Z"}, {"limit": "many"}, {"offset": "-1"}, {"ordering": "mood"}):
        answer = ask(console, **{"limit": 100, **query})
        assert answer.status_code == 200
        assert ids(answer) == ids(everything)


def test_agents_are_ordered_up_and_down_and_null_comes_last(console):
    console.has([row(2), row(3, firstseen=None), row(1)])
    assert ids(ask(console, ordering="firstseen")) == ["1", "2", "3"]
    assert ids(ask(console, ordering="-firstseen")) == ["3", "2", "1"]


def test_offsets_count_rows_of_the_live_list(console):
    console.has([row(number) for number in range(6)])
    assert ids(ask(console, limit=2, ordering="firstseen")) == ["0", "1"]
    console.remove("0")
    assert ids(ask(console, limit=2, offset=2, ordering="firstseen")) == ["3", "4"]  # 2 is met by no walk
    assert ask(console, limit=2, offset=2).json()["count"] == 5


def test_a_heartbeat_moves_the_last_contact_and_not_the_place_in_the_list(console):
    before = console.record(console.ids[0])
    console.heartbeat(before["id"])
    after = console.record(before["id"])
    assert epoch(after["lastseen"]) != epoch(before.get("lastseen"))
    assert after["firstseen"] == before["firstseen"]


def test_a_bare_list_holds_everything(console):
    console.bare = True
    assert [agent["id"] for agent in ask(console, limit=3).json()] == sorted(console.ids)


def test_missing_paths_are_answered_as_django_does(console):
    assert ask(console, "/api/data/").headers["Content-Type"].startswith("text/html")
    wrong = requests.post(console.url + AGENTS, timeout=60)
    assert (wrong.status_code, wrong.json()) == (405, {"detail": 'Method "POST" not allowed.'})


def test_above_its_rate_it_throttles(console):
    console.rate = 2
    answers = [ask(console, limit=1) for _ in range(3)]
    assert answers[-1].status_code == 429
    assert answers[-1].headers["Retry-After"] == "1"
    assert "throttled" in answers[-1].json()["detail"]


# --- the fleet


def agents(count: int, **options) -> list[dict]:
    return list(harfanglab_agents(count, now=NOW, **options))


def test_an_agent_is_made_from_its_number_alone_and_keeps_its_id():
    assert agents(60)[41] == harfanglab_agent(41, 7, NOW)
    assert agents(20) != agents(20, seed=8)
    assert [a["id"] for a in harfanglab_agents(20, now=NOW.replace(year=2027))] == [a["id"] for a in agents(20)]


def test_the_odd_values_of_live_managers_are_met():
    fleet = agents(4_000)
    assert any(a.get("policy", 0) is None for a in fleet)
    assert any("subnet" not in a and a["version"] == "2.15.0" for a in fleet)
    assert any(a.get("subnet", 0) is None for a in fleet)
    assert any((a.get("subnet") or {}).get("name") for a in fleet)
    assert any(a.get("disk_count", 0) is None for a in fleet)
    assert any((a.get("encrypted_disk_count") or 0) > (a.get("disk_count") or 9) for a in fleet)
    assert any("/" in a.get("installdate", "") for a in fleet)
    assert any("+00:00" in a.get("installdate", "") for a in fleet)
    assert any(a["hostname"] is None for a in fleet)
    assert any(a.get("ipaddress") == "<REDACTED>" for a in fleet)
    assert any("firstseen" not in a for a in fleet)
    assert {"windows", "linux", "macos", "Windows", None} == {a["ostype"] for a in fleet}
    assert {type((a.get("policy") or {}).get("sigma_ruleset")) for a in fleet} == {int, str, type(None)}


def test_an_agent_weighs_what_a_live_one_weighs():
    sizes = [len(orjson.dumps(agent)) for agent in agents(500)]
    assert 5_000 < sum(sizes) / len(sizes) < 9_000


def test_no_agent_is_broken_unless_asked_for():
    assert all(a["id"] for a in agents(1_000))
    assert 50 < sum(a["id"] is None for a in agents(1_000, broken=0.1)) < 200


def test_addresses_are_from_the_ranges_kept_for_documentation():
    private, public = ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("203.0.113.0/24")
    for agent in agents(300, odd=False):
        assert ipaddress.ip_address(agent["ipaddress"]) in private
        assert ipaddress.ip_address(agent["external_ipaddress"]) in public
