"""Login, session and pages of Harmony Mobile, against the simulated gateway."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from checkpoint_harmony.client import HarmonyMobileClient
from checkpoint_harmony.connector import HarmonyMobileConnector
from checkpoint_harmony.settings import HarmonyMobileArguments, HarmonyMobileSettings

from lab.consoles.checkpoint import SimulatedHarmonyMobile
from lab.modules import MODULES
from lab.platform.faults import Html, Slow, Status, WrongShape
from lab.platform.server import LocalServer
from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.http.session import Patience
from tests.waiting import StopEvent

QUICK = Patience(first_wait=0.01)


@pytest.fixture
def gateway() -> Iterator[SimulatedHarmonyMobile]:
    with SimulatedHarmonyMobile() as gateway:
        gateway.has(23)
        yield gateway


def client(gateway: SimulatedHarmonyMobile, stop: Event | None = None, **changes: Any) -> HarmonyMobileClient:
    arguments = HarmonyMobileArguments.model_validate({"intake_key": "k", "ratelimit_per_minute": 1000, **changes})
    settings = HarmonyMobileSettings.model_validate(MODULES["CheckpointHarmony"].settings_for(gateway))
    return HarmonyMobileConnector.connect(
        settings, arguments, stop=stop or Event(), patience=QUICK, page_size=changes.get("chunk_size", 5)
    )


def ids(reading: HarmonyMobileClient, since: float = 0, until: float | None = None) -> list[int]:
    pages = reading.alerts(since, time.time() if until is None else until)
    return [alert["id"] for page in pages for alert in page.records]


def all_of(gateway: SimulatedHarmonyMobile) -> set[int]:
    return {gateway.record(name)["id"] for name in gateway.ids}


# --- login


def test_the_login_sends_two_keys_as_json_and_its_token_is_the_bearer(gateway: SimulatedHarmonyMobile) -> None:
    assert set(ids(client(gateway))) == all_of(gateway)
    [login] = gateway.calls_to("token")
    keys = json.dumps({"clientId": gateway.client_id, "accessKey": gateway.secret_key})
    assert login.body == keys.encode()
    assert "Authorization" not in login.headers
    [token] = gateway.tokens
    assert {call.headers["Authorization"] for call in gateway.calls_to("alerts")} == {f"Bearer {token}"}


@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_a_refused_key_is_reported_once_with_any_status(gateway: SimulatedHarmonyMobile, status: int) -> None:
    """`success: false` comes with HTTP 200 and was taken for a login."""
    gateway.refusal = status
    reading = client(gateway)
    gateway.secret_key = "another"
    with pytest.raises(ActionNeeded, match=r"Check Point.*(expire|Read-Only)") as caught:
        ids(reading)
    assert len(gateway.calls_to("token")) == 1
    assert not gateway.calls_to("alerts")
    assert "local-harmony-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        *({}, [], None, {"success": True}, {"success": True, "data": None}, {"success": True, "data": {}}),
        *({"success": True, "data": {"token": None}}, {"success": True, "data": {"token": "two words"}}),
    ],
)
def test_a_login_without_a_usable_token_is_reported(gateway: SimulatedHarmonyMobile, answer: Any) -> None:
    gateway.fault(WrongShape(answer), match="token", times=None)
    with pytest.raises(UnexpectedReply, match="token"):
        ids(client(gateway))
    assert not gateway.calls_to("alerts")


def test_a_login_page_instead_of_json_is_reported(gateway: SimulatedHarmonyMobile) -> None:
    gateway.fault(Html(), match="token")
    with pytest.raises(UnexpectedReply, match="something in between"):
        ids(client(gateway))


def test_a_token_lives_since_it_was_asked_for(gateway: SimulatedHarmonyMobile) -> None:
    """A slow login lengthened the life that was believed in, and the last calls of it were refused."""
    gateway.lifetime = 10
    gateway.fault(Slow(1.5), match="token")
    reading = client(gateway)
    ids(reading)
    assert reading._token.token().lifetime <= 8.6


@pytest.mark.parametrize("told", [None, 0, -5, "soon", 1e400])
def test_a_token_without_a_lifetime_lives_half_an_hour(gateway: SimulatedHarmonyMobile, told: Any) -> None:
    gateway.fault(WrongShape({"success": True, "data": {"token": "t0ken-t0ken", "expiresIn": told}}), match="token")
    reading = client(gateway)
    assert 1700 < reading._token.token().lifetime <= 1800


def test_a_token_is_fetched_anew_before_it_expires(gateway: SimulatedHarmonyMobile) -> None:
    gateway.lifetime = 2
    reading = client(gateway)
    ids(reading)
    time.sleep(1.7)  # a fifth of its life before the end
    ids(reading)
    assert {call.status for call in gateway.calls_to("alerts")} == {200}
    assert len(gateway.calls_to("token")) == 2


# --- a session that ends


@pytest.mark.parametrize(
    ("call", "more", "kind"),
    [
        ("token", {}, ActionNeeded),
        ("alerts", {}, UnexpectedReply),
        ("alerts", {"forceLogout": True}, ActionNeeded),
    ],
)
def test_a_success_of_false_is_quoted_with_its_message(
    gateway: SimulatedHarmonyMobile, call: str, more: dict[str, Any], kind: type[Exception]
) -> None:
    body = {"success": False, "message": "The API key is disabled", **more}
    gateway.fault(WrongShape(body), match=call, times=None)
    with pytest.raises(kind, match='"The API key is disabled"'):
        ids(client(gateway))


@pytest.mark.parametrize("ended", ["forceLogout", "401", "403"])
@pytest.mark.parametrize("page", [0, 1, 3])
def test_a_session_that_ends_in_mid_walk_is_renewed_and_the_call_repeated(
    gateway: SimulatedHarmonyMobile, ended: Any, page: int
) -> None:
    """After a forced logout the collector people run today never logged in again."""
    gateway.ended = ended

    def end(request: Any) -> None:
        if request.endpoint == "alerts" and len(gateway.calls_to("alerts")) == page:
            gateway.force_logout()

    gateway.before_call = end
    assert set(ids(client(gateway))) == all_of(gateway)
    calls = gateway.calls_to("alerts")
    assert (len(calls), len(gateway.calls_to("token"))) == (6, 2)
    assert calls[page].query == calls[page + 1].query


@pytest.mark.parametrize("ended", ["forceLogout", "401", "403"])
def test_a_session_that_ends_at_once_is_renewed_twice_and_reported(gateway: SimulatedHarmonyMobile, ended: Any) -> None:
    """Without a bound, a dead session was renewed thousands of times a minute."""
    gateway.ended = ended
    gateway.lifetime = 0.001
    gateway.fault(
        WrongShape({"success": True, "data": {"token": "good-for-nothing", "expiresIn": 1800}}), "token", times=None
    )
    reading = client(gateway)
    for attempt in (1, 2):
        with pytest.raises(ActionNeeded, match=r"Check the Client|Give the API key"):
            ids(reading)
        assert (len(gateway.calls_to("alerts")), len(gateway.calls_to("token"))) == (3 * attempt, 3 * attempt)


def test_a_right_that_is_missing_is_named(gateway: SimulatedHarmonyMobile) -> None:
    gateway.fault(Status(403), match="alerts", times=None)
    with pytest.raises(ActionNeeded, match=r"403.*Harmony Mobile.*Read-Only"):
        ids(client(gateway))


# --- pages


@pytest.mark.parametrize("links", ["relative", "prefixed", "full"])
@pytest.mark.parametrize("most", [None, 3, 1])
def test_next_links_of_each_form_lead_through_all_pages(
    gateway: SimulatedHarmonyMobile, links: Any, most: int | None
) -> None:
    """A server that gives fewer rows than asked for has not come to the end."""
    gateway.links, gateway.most = links, most
    found = ids(client(gateway))
    assert len(found) == 23
    assert set(found) == all_of(gateway)


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:1/app/SBM/external_api/v3/alert/?offset=5&limit=5",  # same host: the path alone is used
        "?offset=5&limit=5",
        "/app/SBM/external_api/v3/alert/?offset=5&limit=5",
    ],
)
def test_a_link_that_names_the_host_otherwise_or_lost_its_filter_is_followed_with_both(
    gateway: SimulatedHarmonyMobile, link: str
) -> None:
    gateway.fault(WrongShape({"meta": {"next": link, "total_count": 23}, "objects": []}), match="alerts")
    assert len(ids(client(gateway))) == 18
    first, second = gateway.calls_to("alerts")[:2]
    bounds = {name: value for name, value in first.query.items() if name.startswith("backend")}
    assert len(bounds) == 2
    assert bounds.items() <= second.query.items()


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.example/app/SBM/external_api/v3/alert/?offset=5",
        "//elsewhere.example/app/SBM/external_api/v3/alert/?offset=5",
        "https://127.0.0.1@elsewhere.example/x",
        "https://elsewhere.example\\@127.0.0.1/x",
        "http://[bad/x",
        5,
        ["/external_api"],
    ],
)
def test_a_link_that_leads_elsewhere_or_nowhere_is_refused_unsent(gateway: SimulatedHarmonyMobile, link: Any) -> None:
    gateway.fault(WrongShape({"meta": {"next": link}, "objects": []}), match="alerts")
    with pytest.raises(UnexpectedReply):
        ids(client(gateway))
    assert len(gateway.calls_to("alerts")) == 1


@pytest.mark.parametrize(
    "body",
    [
        *({}, [], None, {"meta": {}}, {"meta": {"next": None}, "objects": None}, {"objects": []}),
        *({"meta": None, "objects": []}, {"meta": {"next": None}, "objects": {}}, {"success": False, "message": "no"}),
    ],
)
def test_a_page_without_objects_or_meta_is_no_end(gateway: SimulatedHarmonyMobile, body: Any) -> None:
    gateway.fault(WrongShape(body), match="alerts")
    with pytest.raises(UnexpectedReply):
        ids(client(gateway))


def test_each_page_passes_on_how_many_alerts_the_window_has(gateway: SimulatedHarmonyMobile) -> None:
    pages = list(client(gateway).alerts(0, time.time()))
    assert [page.total for page in pages] == [23] * 5
    assert all(page.memory > 0 for page in pages)
    gateway.counts_rows = False
    assert {page.total for page in client(gateway).alerts(0, time.time())} == {None}


def test_both_bounds_belong_to_a_window_and_stand_in_the_known_form(gateway: SimulatedHarmonyMobile) -> None:
    gateway.has([{"id": n, "backend_last_updated": f"02/02/2025 02:22:{20 + n}"} for n in range(10)])
    assert set(ids(client(gateway), 1738462943, 1738462946)) == {3, 4, 5, 6}
    query = gateway.calls_to("alerts")[0].query
    assert query["backend_last_updated__gte"] == "2025-02-02T02:22:23.000000Z"
    assert query["backend_last_updated__lte"] == "2025-02-02T02:22:26.000000Z"
    assert (query["limit"], query["offset"]) == ("5", "0")


def test_calls_keep_to_the_rate_and_a_stop_ends_the_wait(gateway: SimulatedHarmonyMobile) -> None:
    stop = StopEvent(after=2)
    with pytest.raises(TryAgain, match="Stopped"):
        ids(client(gateway, stop, ratelimit_per_minute=3))
    assert all(wait > 10 for wait in stop.waits), "a minute's budget is spread over the minute"
    assert len(gateway.calls_to("alerts")) == 2  # one less than allowed: they are counted where they arrive


def test_the_token_goes_to_the_gateway_of_the_base_url_only(gateway: SimulatedHarmonyMobile) -> None:
    with SimulatedHarmonyMobile() as data:
        data.has(3)
        data.tokens = gateway.tokens
        settings = HarmonyMobileSettings.model_validate(
            {**MODULES["CheckpointHarmony"].settings_for(gateway), "base_url": f"{data.url}/some/page"}
        )
        reading = HarmonyMobileConnector.connect(settings, stop=Event(), patience=QUICK)
        assert len(ids(reading)) == 3
        assert not gateway.calls_to("alerts")
        assert not data.calls_to("token")


def test_no_error_of_any_call_repeats_the_secret_or_a_token(gateway: SimulatedHarmonyMobile) -> None:
    secret = gateway.secret_key
    for route in ("token", "alerts"):
        for status in (400, 401, 403, 404, 429, 500):
            gateway.clear_faults()
            gateway.force_logout()
            echo = f'{{"message": "key {secret} of {gateway.client_id}", "error": ["{secret}"]}}'
            gateway.fault(Status(status, echo), match=route, times=None)
            with pytest.raises(ConnectorError) as caught:
                ids(client(gateway))
            assert secret not in str(caught.value)
            assert not any(token in str(caught.value) for token in gateway.tokens)


def test_a_gateway_that_is_another_service_says_what_to_check() -> None:
    with LocalServer() as server:
        settings = HarmonyMobileSettings.model_validate(
            {"client_id": "c", "secret_key": "s", "authentication_url": server.url}
        )
        with pytest.raises(ActionNeeded, match=r"404.*Authentication URL") as caught:
            ids(HarmonyMobileConnector.connect(settings, stop=Event(), patience=QUICK))
        assert re.search(r"POST /auth/external", str(caught.value))
