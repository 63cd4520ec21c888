"""Corners of ESET's client: logins, answers that come later, the ends of pages, regions."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest
from eset_assets.client import PARENT_GROUP, EsetClient
from eset_assets.connector import EsetDeviceConnector
from eset_assets.settings import EsetSettings
from pydantic import ValidationError
from requests_mock import Mocker

from lab.consoles.eset import SimulatedEset
from lab.modules import MODULES
from lab.platform.faults import Html, Reset, Status, WrongShape
from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.state.storage import JsonFile
from tests.rig import QUICK
from tests.waiting import StopEvent

USER = {"username": "api@example.com", "password": "p"}


def settings(**given: Any) -> EsetSettings:
    return EsetSettings.model_validate({"region": "eu", **USER, **given})


def client_of(console: SimulatedEset, stop: Event | None = None, page_size: int | None = 10) -> EsetClient:
    told = EsetSettings.model_validate(MODULES["ESET"].settings_for(console))
    return EsetDeviceConnector.connect(told, stop=stop or Event(), patience=QUICK, page_size=page_size)


def devices(client: EsetClient) -> list[Any]:
    return [device for page in client.devices() for device in page.records]


def grants(console: SimulatedEset) -> list[str]:
    return [parse_qs(call.body.decode())["grant_type"][0] for call in console.calls_to("token")]


# --- logging in


def test_every_call_names_the_integration(console: SimulatedEset) -> None:
    devices(client_of(console))
    assert {call.route for call in console.calls} == {"token", "groups", "devices"}
    assert {call.headers.get("3Rd-Integration") for call in console.calls} == {"Sekoia.io"}


def test_a_password_of_any_characters_arrives_whole() -> None:
    """One with an & was cut where the form's body was put together by hand: `invalid_grant`, with valid credentials."""
    with SimulatedEset(password="p&=+ %25;é\"'工") as console:
        console.has(1)
        assert len(devices(client_of(console))) == 1


def test_the_token_is_renewed_by_the_refresh_token_that_came_last(console: SimulatedEset) -> None:
    """Refresh tokens rotate; the console takes each once."""
    client = client_of(console)
    for _ in range(3):
        assert len(devices(client)) == 35
        console.expire_tokens()
    devices(client)
    assert grants(console) == ["password", "refresh_token", "refresh_token", "refresh_token"]


def test_a_dead_refresh_token_is_followed_by_the_password(console: SimulatedEset) -> None:
    """It worked for days; then every refresh was a 400, until a restart."""
    client = client_of(console)
    devices(client)
    for _ in range(2):
        console.expire_tokens(refresh_too=True)
        assert len(devices(client)) == 35
    assert grants(console) == ["password", "refresh_token", "password", "refresh_token", "password"]


@pytest.mark.parametrize(
    "fault", [Status(400), Status(401), Status(403), Status(404), Html(), WrongShape({})], ids=repr
)
def test_a_refused_refresh_of_any_kind_is_followed_by_the_password(console: SimulatedEset, fault: Any) -> None:
    client = client_of(console)
    devices(client)
    console.expire_tokens()
    console.fault(fault, match="token")
    assert len(devices(client)) == 35
    assert grants(console)[-1] == "password"


def test_a_refresh_whose_answer_was_lost_is_followed_by_the_password(console: SimulatedEset) -> None:
    """The refresh token is used up, though nothing came back."""
    client = client_of(console)
    devices(client)
    console.expire_tokens()
    console.fault(Reset(), match="token", after=True)
    assert len(devices(client)) == 35
    assert grants(console) == ["password", "refresh_token", "refresh_token", "password"]


@pytest.mark.parametrize("lifetime", [1799, 3600])
def test_the_reported_lifetime_counts(console: SimulatedEset, lifetime: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = [0.0]
    monkeypatch.setattr("shared.http.tokens.time", SimpleNamespace(monotonic=lambda: time.monotonic() + ahead[0]))
    console.lifetime = lifetime
    client = client_of(console)
    for ahead[0], logins in ((0, 1), (lifetime - 200, 1), (lifetime - 60, 2)):
        devices(client)
        assert len(grants(console)) == logins


def test_a_wrong_password_says_what_to_do_and_not_what_it_was(console: SimulatedEset) -> None:
    client = client_of(console)
    console.password = "another"
    with pytest.raises(ActionNeeded, match=r"400.*dedicated API user.*Integrations.*signed in") as caught:
        devices(client)
    assert "local eset" not in str(caught.value)
    assert len(console.calls) == 1


def test_an_empty_password_is_reported_before_any_call(console: SimulatedEset) -> None:
    told = EsetSettings.model_validate({**MODULES["ESET"].settings_for(console), "password": None})
    with pytest.raises(ActionNeeded, match="Password is empty"):
        EsetDeviceConnector.connect(told, stop=Event(), patience=QUICK)
    assert not console.calls


def test_the_error_for_a_user_without_rights_names_the_permission(console: SimulatedEset) -> None:
    console.permitted = False
    with pytest.raises(ActionNeeded, match=r"403.*Give.*permission to read devices"):
        devices(client_of(console))


# --- answers that come later


@pytest.mark.parametrize("route", ["token", "groups", "devices"])
@pytest.mark.parametrize("polls", [1, 2, 5])
@pytest.mark.parametrize("named", [True, False])
def test_an_answer_that_is_not_ready_is_asked_for_by_its_id(
    console: SimulatedEset, route: str, polls: int, named: bool
) -> None:
    """An empty 202 broke the JSON parser, or counted as "no devices". A later one may leave out the id."""
    console.defer(route, polls, named=named)
    assert len(devices(client_of(console))) == 35
    calls = console.calls_to(route)
    ids = [call.headers.get("Response-Id") for call in calls[: polls + 1]]
    assert ids[0] is None
    assert len(set(ids[1:])) == 1
    assert [call.status for call in calls[: polls + 1]] == [202] * polls + [200]
    assert len({(str(call.query), call.body) for call in calls[: polls + 1]}) == 1


def test_a_later_page_may_be_late_too(console: SimulatedEset) -> None:
    answered = []

    def late(request: Any) -> None:
        if request.endpoint == "devices" and request.args.get("pageToken") and not answered:
            answered.append(True)
            console.defer("devices", 2)

    console.before_call = late
    assert len(devices(client_of(console))) == 35


@pytest.mark.parametrize("route", ["token", "groups", "devices"])
def test_an_answer_that_was_not_ready_in_time_is_asked_for_from_scratch(console: SimulatedEset, route: str) -> None:
    console.defer(route, 2, lost=True)
    assert len(devices(client_of(console))) == 35
    scratch = [call for call in console.calls_to(route) if "Response-Id" not in call.headers]
    assert len(scratch) >= 2


def test_a_404_to_an_id_is_no_wrong_address_and_no_empty_list(console: SimulatedEset) -> None:
    """The answer was kept for ten minutes and is gone: the page starts again."""
    console.defer("devices", 9)
    gone = []

    def forget(request: Any) -> None:
        if "response-id" in request.headers and not gone:
            gone.append(True)
            console.forget_answers()

    console.before_call = forget
    assert len(devices(client_of(console))) == 35
    assert gone


def test_an_answer_that_never_gets_ready_ends_the_round(console: SimulatedEset) -> None:
    console.defer("devices", 1000, times=10)
    with pytest.raises(TryAgain, match="ready"):
        devices(client_of(console))
    assert len(console.calls_to("devices")) < 100


def test_a_token_that_ends_while_an_answer_is_prepared_is_renewed(console: SimulatedEset) -> None:
    """Only the token of the repeated call may be another one."""
    console.defer("devices", 2)
    ended = []

    def end(request: Any) -> None:
        if "response-id" in request.headers and not ended:
            ended.append(True)
            console.expire_tokens()

    console.before_call = end
    client = client_of(console)
    assert len(devices(client)) == 35
    assert grants(console) == ["password", "refresh_token"]


def test_a_stop_ends_the_wait_for_an_answer(console: SimulatedEset) -> None:
    console.defer("devices", 1000)
    told = EsetSettings.model_validate(MODULES["ESET"].settings_for(console))
    stop = StopEvent(after=1)
    client = EsetDeviceConnector.connect(told, stop=stop, patience=replace(QUICK, first_wait=30))
    with pytest.raises(TryAgain):
        devices(client)
    assert stop.waits == [30]


def test_a_stop_while_the_groups_are_read_is_not_reported_as_their_failure(
    console: SimulatedEset, tmp_path: Path
) -> None:
    console.defer("groups", 1000)
    client = client_of(console, StopEvent(after=1))
    warned: list[str] = []
    client.remember_groups(JsonFile(tmp_path / "groups.json"), warned.append)
    with pytest.raises(TryAgain, match="Stopped"):
        devices(client)
    assert not warned


def test_a_202_without_an_id_is_asked_again_from_scratch(console: SimulatedEset) -> None:
    console.fault(Status(202), match="devices", times=2)
    assert len(devices(client_of(console))) == 35


# --- pages


@pytest.mark.parametrize("end", ["", None, ...], ids=["empty", "null", "absent"])
def test_the_last_page_names_no_next_one_in_any_of_three_ways(console: SimulatedEset, end: Any) -> None:
    console.no_more = end
    assert len(devices(client_of(console))) == 35
    assert len(console.calls_to("devices")) == 4


def test_pages_are_as_large_as_the_api_allows(console: SimulatedEset) -> None:
    devices(client_of(console, page_size=None))
    assert {call.query["pageSize"] for call in console.calls if call.method == "GET"} == {"1000"}


@pytest.mark.parametrize("none", [{"devices": []}, {}, {"devices": [], "nextPageToken": None}])
def test_an_account_without_devices_is_read_to_its_end(console: SimulatedEset, none: Any) -> None:
    """proto3 leaves an empty list out."""
    console.fault(WrongShape(none), match="devices")
    assert devices(client_of(console)) == []


@pytest.mark.parametrize("page", [{}, {"nextPageToken": ""}, {"nextPageToken": None, "totalSize": 10}])
def test_a_later_page_without_its_list_is_an_empty_one(console: SimulatedEset, page: Any) -> None:
    """It was an error in each round, forever."""
    console.fault(WrongShape(page), match="devices", skip=1)
    assert len(devices(client_of(console))) == 10


@pytest.mark.parametrize("page", [{"devices": None}, {"error": "?"}, {"code": 13, "message": "internal"}, [], None])
def test_a_later_page_that_is_none_is_not_the_end_of_the_fleet(console: SimulatedEset, page: Any) -> None:
    console.fault(WrongShape(page), match="devices", skip=1)
    with pytest.raises(UnexpectedReply):
        devices(client_of(console))


def test_empty_lists_that_are_left_out_cost_no_device_its_group(console: SimulatedEset) -> None:
    """A page of groups that was `{}` left all devices without their groups."""
    console.leaves_empty_lists_out = True
    console.empty_page_last = True
    found = devices(client_of(console))
    assert len(found) == 35
    assert all(PARENT_GROUP in device for device in found if device.get("parentGroupUuid"))
    assert len(console.calls_to("groups")) == 2
    assert len(console.calls_to("devices")) == 5


def test_a_next_page_that_is_no_text_is_not_the_end_of_the_fleet(console: SimulatedEset) -> None:
    console.fault(WrongShape({"devices": [], "nextPageToken": 7}), match="devices")
    with pytest.raises(UnexpectedReply):
        devices(client_of(console))


def test_calls_stay_within_the_documented_rate() -> None:
    with SimulatedEset(rate=10) as console:
        console.has(24)
        assert len(devices(client_of(console, page_size=1))) == 24
        assert {call.status for call in console.calls} == {200}


# --- settings


@pytest.mark.parametrize("region", ["eu", "de", "us", "ca", "jpn", "EU", " Us "])
def test_the_region_decides_the_hosts(region: str) -> None:
    told = settings(region=region)
    name = region.strip().lower()
    with Mocker() as web:
        grant = {"access_token": "t", "refresh_token": "r", "expires_in": 3600}
        web.post(f"https://{name}.business-account.iam.eset.systems/oauth/token", json=grant)
        web.get(f"https://{name}.device-management.eset.systems/v1/device_groups", json={"deviceGroups": []})
        web.get(f"https://{name}.device-management.eset.systems/v1/devices", json={"devices": [{"uuid": "1"}]})
        assert _read_mocked(told) == [{"uuid": "1"}]


def _read_mocked(told: EsetSettings) -> list[Any]:
    return devices(EsetDeviceConnector.connect(told, stop=Event(), patience=QUICK))


@pytest.mark.parametrize("region", ["jp", "fr", "eu02", "europe"])
def test_an_unknown_region_is_answered_with_the_known_ones(region: Any) -> None:
    with pytest.raises(ValidationError, match="eu, de, us, ca, jpn"):
        settings(region=region)


@pytest.mark.parametrize("region", ["", " ", None])
def test_a_region_left_empty_is_called_empty(region: Any) -> None:
    with pytest.raises(ValidationError, match="Region is empty"):
        settings(region=region)


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_an_override_left_empty_is_none(empty: Any) -> None:
    told = settings(authentication_url=empty, api_url=empty)
    assert told.token_url == "https://eu.business-account.iam.eset.systems/oauth/token"
    assert told.devices_url == "https://eu.device-management.eset.systems"


@pytest.mark.parametrize(
    "form", ["https://login.example", "https://login.example/", "https://login.example/oauth/token"]
)
def test_the_login_may_be_overridden_with_or_without_its_path(form: str) -> None:
    assert settings(authentication_url=form).token_url == "https://login.example/oauth/token"


@pytest.mark.parametrize("name", ["authentication_url", "api_url"])
@pytest.mark.parametrize("url", ["http://example.com", "ftp://example.com", "example.com", "https://a@b.example"])
def test_an_override_that_is_no_https_url_is_refused(name: str, url: str) -> None:
    with pytest.raises(ValidationError):
        settings(**{name: url})


def test_an_empty_username_is_refused() -> None:
    with pytest.raises(ValidationError):
        settings(username="  ")


def test_no_error_shows_the_password() -> None:
    with pytest.raises(ValidationError) as caught:
        settings(region="xx", password="s3cret-password")
    assert "s3cret" not in str(caught.value)
    assert not isinstance(caught.value, ConnectorError)
