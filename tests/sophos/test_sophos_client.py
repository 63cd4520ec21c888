"""The corners of the Sophos client: where the token goes, how pages end, what kinds of credential there are."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests_mock
from sophos_assets.client import SophosClient
from sophos_assets.connector import SophosDeviceConnector
from sophos_assets.settings import SophosSettings

from lab.consoles.sophos import OWN_ID, SimulatedSophos
from lab.modules import MODULES
from shared.errors import ActionNeeded, ConnectorError, UnexpectedReply
from shared.http.session import Patience
from shared.runtime.settings import configuration_error

TOKEN = "https://id.sophos.com/api/v2/oauth2/token"
CENTRAL = "https://api.central.sophos.com"
REGION = "https://api-eu01.central.sophos.com"
LIST = f"{REGION}/endpoint/v1/endpoints"
SECRET = "the-client-secret"
QUICK = Patience(first_wait=0.01)


@pytest.fixture
def sophos() -> Iterator[requests_mock.Mocker]:
    """The vendor's own addresses, with a tenant credential and an empty fleet."""
    with requests_mock.Mocker() as mocker:
        mocker.post(TOKEN, json={"access_token": "t0ken", "token_type": "bearer"})
        mocker.get(f"{CENTRAL}/whoami/v1", json=whoami(REGION))
        mocker.get(LIST, json={"items": [], "pages": {"size": 100, "maxSize": 100}})
        yield mocker


def whoami(region: Any, kind: str = "tenant", own: Any = OWN_ID) -> dict[str, Any]:
    return {"id": own, "idType": kind, "apiHosts": {"global": CENTRAL, "dataRegion": region}}


def client(**settings: Any) -> SophosClient:
    entered = SophosSettings.model_validate({"client_id": "the-id", "client_secret": SECRET, **settings})
    return SophosDeviceConnector.connect(entered, stop=Event(), patience=QUICK)


def read(one: SophosClient, tenant: str = "", since: float | None = None) -> list[Any]:
    one.tenants()
    return [record for page in one.endpoints(tenant, since) for record in page.records]


def test_the_calls_are_those_of_the_documents(sophos: requests_mock.Mocker) -> None:
    sophos.get(LIST, [
        {"json": {"items": [{"id": "1"}], "pages": {"nextKey": "+/k=", "size": 1, "maxSize": 100}}},
        {"json": {"items": [{"id": "2"}], "pages": {"fromKey": "+/k=", "size": 1, "maxSize": 100}}},
    ])  # fmt: skip
    assert read(client(), since=1704608768.668) == [{"id": "1"}, {"id": "2"}]
    token, who, first, second = sophos.request_history
    assert parse_qs(token.text) == {
        "grant_type": ["client_credentials"],
        "scope": ["token"],
        "client_id": ["the-id"],
        "client_secret": [SECRET],
    }
    assert "Authorization" not in token.headers
    assert "X-Tenant-ID" not in who.headers
    for call in (first, second):
        assert (call.headers["Authorization"], call.headers["X-Tenant-ID"]) == ("Bearer t0ken", OWN_ID)
        assert not {"X-Partner-ID", "X-Organization-ID"} & set(call.headers)
    same = {"view": ["full"], "lastseenafter": ["2024-01-07t06:26:08.668z"], "pagesize": ["100"]}
    assert first.qs == same
    assert second.qs == {**same, "pagefromkey": ["+/k="]}
    assert "pageFromKey=%2B%2Fk%3D" in second.url


class Fleet:
    """1,200 endpoints in pages as long as asked for, up to `most`; what a page tells of that is `told`."""

    def __init__(self, sophos: requests_mock.Mocker, told: Any, most: int) -> None:
        self.told, self.most = told, most
        self.sizes: list[int] = []
        sophos.get(LIST, json=self.page)

    def page(self, request: Any, context: Any) -> dict[str, Any]:
        query = {name: values[0] for name, values in parse_qs(request.query).items()}
        size, start = int(query["pagesize"]), int(query.get("pagefromkey", 0))
        self.sizes.append(size)
        if size > self.most:
            context.status_code = 400
            return {"error": "BadRequest"}
        end = min(start + size, 1_200)
        following = {"nextKey": str(end)} if end < 1_200 else {}
        items = [{"id": str(number)} for number in range(start, end)]
        return {"items": items, "pages": {"size": size, "maxSize": self.told, **following}}


EVERY_ID = [str(number) for number in range(1_200)]


@pytest.mark.parametrize(
    ("told", "sizes"),
    [(500, [100, 500, 500, 500]), (250, [100, *[250] * 5]), (100_000, [100, 500, 500, 500]), *[(odd, [100] * 12) for odd in (100, 50, 0, -1, None, "", [], True)]],
)  # fmt: skip
def test_pages_become_as_long_as_the_first_page_allows(
    sophos: requests_mock.Mocker, told: Any, sizes: list[int]
) -> None:
    """Of 1,000 calls an hour, pages of 100 leave 100,000 endpoints."""
    fleet, one = Fleet(sophos, told, most=500), client()
    assert [record["id"] for record in read(one)] == EVERY_ID
    assert fleet.sizes == sizes
    fleet.sizes.clear()
    assert [record["id"] for record in read(one)] == EVERY_ID
    assert set(fleet.sizes) == {sizes[-1]}


def test_a_longer_page_that_is_refused_after_all_is_not_asked_for_again(sophos: requests_mock.Mocker) -> None:
    fleet, one = Fleet(sophos, told=500, most=100), client()
    assert [record["id"] for record in read(one)] == EVERY_ID
    assert fleet.sizes == [100, 500, *[100] * 11]
    assert [record["id"] for record in read(one)] == EVERY_ID
    assert fleet.sizes[13:] == [100] * 12


def test_a_page_that_is_refused_for_something_else_is_an_error(sophos: requests_mock.Mocker) -> None:
    fleet = Fleet(sophos, told=500, most=99)
    with pytest.raises(UnexpectedReply, match="HTTP 400"):
        read(client())
    assert fleet.sizes == [100]


@pytest.mark.parametrize("end", [{}, {"nextKey": None}, {"nextKey": ""}], ids=repr)
def test_a_page_without_a_next_key_is_the_last_however_full(sophos: requests_mock.Mocker, end: dict[str, Any]) -> None:
    items = [{"id": str(number)} for number in range(100)]
    sophos.get(LIST, json={"items": items, "pages": {"size": 100, "maxSize": 100, **end}})
    assert len(read(client())) == 100


def test_the_total_of_a_full_walk_is_asked_for_and_passed_on_once() -> None:
    with SimulatedSophos() as console:
        console.has(250)
        one = client(**MODULES["Sophos"].settings_for(console))
        assert [page.total for page in one.endpoints()] == [250, None, None]
        assert [call.query.get("pageTotal") for call in console.calls_to("endpoints")] == ["true", None, None]
        console.forget_calls()
        assert [page.total for page in one.endpoints(seen_since=0.0)] == [None, None, None]
        assert {call.query.get("pageTotal") for call in console.calls_to("endpoints")} == {None}


def test_tenants_without_an_end_are_not_collected_for_ever(sophos: requests_mock.Mocker) -> None:
    """2.5 GiB, at page 18."""
    sophos.get(f"{CENTRAL}/whoami/v1", json=whoami(None, kind="partner"))
    page = {"items": [{"id": OWN_ID, "apiHost": REGION}], "pages": {"total": 10_000}}
    tenants = sophos.get(f"{CENTRAL}/partner/v1/tenants", json=page)
    with pytest.raises(UnexpectedReply, match="5 pages in a row without anything new"):
        client().tenants()
    assert tenants.call_count == 6


def test_a_tenant_whose_name_is_no_text_has_none(sophos: requests_mock.Mocker) -> None:
    """Half of a surrogate pair cannot be sent: the round ended with an internal error, for all other tenants too."""
    sophos.get(f"{CENTRAL}/whoami/v1", json=whoami(None, kind="partner"))
    page = {"items": [{"id": OWN_ID, "apiHost": REGION, "name": "half \ud800"}], "pages": {"total": 1}}
    sophos.get(f"{CENTRAL}/partner/v1/tenants", json=page)
    sophos.get(LIST, json={"items": [{"id": "1", "tenant": {"id": OWN_ID}}], "pages": {}})
    assert [tenant.name for tenant in client().tenants()] == [None]
    assert read(client(), OWN_ID) == [{"id": "1", "tenant": {"id": OWN_ID}}]


def test_a_short_page_is_not_the_last(sophos: requests_mock.Mocker) -> None:
    pages = [{"json": {"items": [], "pages": {"nextKey": "a"}}}, {"json": {"items": [{"id": "1"}], "pages": {}}}]
    sophos.get(LIST, pages)
    assert read(client()) == [{"id": "1"}]


@pytest.mark.parametrize(
    "body",
    [
        {"items": []},
        {"items": [], "pages": None},
        {"items": [], "pages": {"nextKey": 7}},
        {"items": {}, "pages": {}},
        {"pages": {}},
        [],
        None,
    ],
    ids=repr,
)
def test_another_shape_is_not_an_empty_tenant(sophos: requests_mock.Mocker, body: Any) -> None:
    sophos.get(LIST, json=body)
    with pytest.raises(UnexpectedReply):
        read(client())


@pytest.mark.parametrize(
    ("named", "called"),
    [
        (REGION, REGION),
        (f"{REGION}/", REGION),
        ("http://api-eu01.central.sophos.com/", REGION),
        ("https://API-EU01.Central.Sophos.com", REGION),
        (CENTRAL, CENTRAL),
        ("https://api-eu.central.sophos.com", "https://api-eu.central.sophos.com"),
    ],
)
def test_a_data_region_under_the_api_hosts_domain_is_called_over_https(
    sophos: requests_mock.Mocker, named: str, called: str
) -> None:
    sophos.get(f"{CENTRAL}/whoami/v1", json=whoami(named))
    sophos.get(f"{called}/endpoint/v1/endpoints", json={"items": [{"id": "1"}], "pages": {}})
    assert read(client()) == [{"id": "1"}]
    assert sophos.last_request.scheme == "https"


@pytest.mark.parametrize(
    "named",
    [
        "https://evil.example",
        "https://central.sophos.com.evil.example",
        "https://evilcentral.sophos.com",
        "https://central.sophos.com",
        "https://api-eu01.central.sophos.com@evil.example",
        "https://evil.example\\.central.sophos.com",
        "https://evil.example#.central.sophos.com",
        "https://evil.example?.central.sophos.com",
        "https://api-eu01.central.sophos.com:8443",
        "http://127.0.0.1:8080",
        "https://127.0.0.1",
        "ftp://api-eu01.central.sophos.com",
        "//api-eu01.central.sophos.com",
        "api-eu01.central.sophos.com",
        "https:///",
        "https://[",
    ],
)
def test_a_data_region_elsewhere_is_refused_before_the_token_is_sent(sophos: requests_mock.Mocker, named: str) -> None:
    sophos.get(requests_mock.ANY, json={"items": [], "pages": {}})
    sophos.get(f"{CENTRAL}/whoami/v1", json=whoami(named))
    with pytest.raises(UnexpectedReply, match="nothing was sent there"):
        read(client())
    assert {call.hostname for call in sophos.request_history} == {"id.sophos.com", "api.central.sophos.com"}


def test_a_redirect_away_from_the_data_region_is_refused_too(sophos: requests_mock.Mocker) -> None:
    sophos.get(LIST, status_code=302, headers={"Location": "https://api-us01.central.sophos.com/endpoint/v1/endpoints"})
    with pytest.raises(UnexpectedReply):
        read(client())
    assert sophos.last_request.hostname == "api-eu01.central.sophos.com"


@pytest.mark.parametrize(
    "answer",
    [
        {"id": OWN_ID, "idType": "reseller", "apiHosts": {}},
        {"id": OWN_ID, "idType": ["tenant"], "apiHosts": {}},
        whoami(None),
        {"id": OWN_ID, "idType": "tenant"},
    ],
    ids=repr,
)
def test_a_credential_with_nothing_to_read_says_what_to_do(sophos: requests_mock.Mocker, answer: Any) -> None:
    sophos.get(f"{CENTRAL}/whoami/v1", json=answer)
    with pytest.raises(ActionNeeded, match=r"Create|create"):
        client().tenants()


@pytest.mark.parametrize("own", [None, "", 7, "../../etc", "a b", "x\r\nX-Header: 1", "é", "a" * 65])
def test_an_id_that_no_header_and_no_file_should_hold_is_refused(sophos: requests_mock.Mocker, own: Any) -> None:
    sophos.get(f"{CENTRAL}/whoami/v1", json=whoami(REGION, own=own))
    with pytest.raises(UnexpectedReply, match="usable id"):
        client().tenants()


@pytest.mark.parametrize("body", [[], None, "x", 7])
def test_a_whoami_that_is_none_is_refused(sophos: requests_mock.Mocker, body: Any) -> None:
    sophos.get(f"{CENTRAL}/whoami/v1", json=body)
    with pytest.raises(UnexpectedReply):
        client().tenants()


def test_a_missing_role_is_named(sophos: requests_mock.Mocker) -> None:
    sophos.get(LIST, status_code=403, json={"error": "Forbidden"})
    with pytest.raises(ActionNeeded, match="Service Principal ReadOnly"):
        read(client())


def test_the_secret_is_not_repeated_whoever_says_it(sophos: requests_mock.Mocker) -> None:
    for url in (LIST, f"{CENTRAL}/whoami/v1"):
        sophos.get(url, status_code=418, json={"message": f"no {SECRET} and no t0ken here"})
        with pytest.raises(ConnectorError) as caught:
            read(client())
        assert SECRET not in str(caught.value)
        sophos.get(f"{CENTRAL}/whoami/v1", json=whoami(REGION))


@pytest.mark.parametrize(
    ("lifetime", "tokens"), [({"expires_in": 3600}, 1), ({}, 1), ({"expires_in": "soon"}, 1), ({"expires_in": 0}, 3)]
)
def test_a_token_without_a_lifetime_lives_the_documented_hour(
    sophos: requests_mock.Mocker, lifetime: dict[str, Any], tokens: int
) -> None:
    sophos.post(TOKEN, json={"access_token": "t0ken", **lifetime})
    read(client())
    asked = [call for call in sophos.request_history if call.hostname == "id.sophos.com"]
    assert len(asked) >= tokens if tokens > 1 else len(asked) == 1


def test_what_is_left_empty_has_its_default() -> None:
    entered = {"client_id": "i", "client_secret": "s", "account_name": "", "api_host": None}
    settings = SophosSettings.model_validate({**entered, "oauth2_authorization_url": ""})
    assert (settings.account_name, settings.api_host, settings.oauth2_authorization_url) == (None, CENTRAL, TOKEN)


@pytest.mark.parametrize("host", ["http://api.central.sophos.com", "api.central.sophos.com", "https://u:p@host"])
def test_an_api_host_that_is_no_https_url_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="API Host") as caught:
        SophosSettings.model_validate({"client_id": "i", "client_secret": "s", "api_host": host})
    assert "https://" in configuration_error(caught.value)


def test_an_empty_secret_is_reported_before_any_call(sophos: requests_mock.Mocker) -> None:
    with pytest.raises(ActionNeeded, match="Client Secret is empty"):
        client(client_secret="")
    assert not sophos.called


def test_one_pace_holds_for_the_token_the_global_api_and_every_region() -> None:
    """The limits are the credential's: ten calls in a second, whatever host they go to."""
    with SimulatedSophos("partner", {f"{OWN_ID[:-2]}{n:02}": f"T{n}" for n in range(12)}) as console:
        console.has(24)
        settings = MODULES["Sophos"].settings_for(console)
        one = client(**settings)
        for tenant in one.tenants():
            list(one.endpoints(tenant.id))
        at = sorted(call.at for call in console.calls)
        assert len(at) == 15
        assert at[10] - at[0] > 0.8  # they are noted when they are answered, which takes a while


def test_every_documented_limit_is_kept() -> None:
    from sophos_assets.client import RATES

    assert [(rate.limit, rate.interval) for rate in RATES] == [(10, 1), (100, 60), (1_000, 3_600), (200_000, 86_400)]
