"""The manager's corners: `next` in any form, a list that moves while it is read, addresses, ports and certificates."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests
import requests_mock
from harfanglab_assets.client import AGENTS as LISTING
from harfanglab_assets.client import HarfangLabClient
from harfanglab_assets.connector import HarfangLabDeviceConnector
from harfanglab_assets.settings import HarfangLabSettings
from harfanglab_assets.validator import HarfangLabAccountValidator
from pydantic import ValidationError

from lab.consoles.harfanglab import SimulatedHarfangLab
from lab.modules import MODULES
from lab.platform.faults import Status, long_pages
from lab.platform.local import LocalPlatform
from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.http.session import Patience
from tests.certificates import Authority
from tests.rig import Rig, signal_handlers_kept

AGENTS = LISTING.path
MANAGER = "https://manager.example.com:8443"
ONCE = Patience(connect=2.0, read=2.0, attempts=1)


@pytest.fixture
def console() -> Iterator[SimulatedHarfangLab]:
    with SimulatedHarfangLab() as console:
        console.has(35)
        yield console


@pytest.fixture
def rig(console: SimulatedHarfangLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    with LocalPlatform() as platform, signal_handlers_kept():
        yield Rig(MODULES["HarfangLab"], console, platform, tmp_path / "data", monkeypatch)


@pytest.fixture
def manager() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        yield mocker


def client(url: str = MANAGER, page_size: int | None = 2, **settings: Any) -> HarfangLabClient:
    entered = HarfangLabSettings.model_validate({"url": url, "api_token": "abcdef", **settings})
    return HarfangLabDeviceConnector.connect(entered, stop=Event(), patience=ONCE, page_size=page_size)


def ids(pages: Iterator[Any]) -> list[Any]:
    return [record["id"] for page in pages for record in page.records]


def listing(*names: str, count: Any = None, following: Any = None) -> dict[str, Any]:
    results = [{"id": name} for name in names]
    return {"count": len(names) if count is None else count, "next": following, "previous": None, "results": results}


def serve(manager: requests_mock.Mocker, *answers: Any) -> None:
    manager.get(f"{MANAGER}{AGENTS}", [{"json": answer} for answer in answers])


def at_call(console: SimulatedHarfangLab, number: int, act: Any) -> None:
    """Do something in the fleet just before the n-th call for agents (from 1) is answered."""

    def look(request: Any) -> None:
        if request.endpoint == "agents" and len(console.calls_to("agents")) == number - 1:
            act()

    console.before_call = look


def by_first_contact(console: SimulatedHarfangLab) -> list[str]:
    return sorted(console.ids, key=lambda uid: console.record(uid).get("firstseen") or "~")


# --- the next page


@pytest.mark.parametrize(
    "origin",
    ["", "http://manager.internal", "https://manager.example.com", "http://127.0.0.1", "https://127.0.0.1:1/"],
)
def test_the_next_page_is_asked_at_the_configured_address_whatever_its_link_says(rig: Rig, origin: str) -> None:
    """A manager behind a proxy names itself as it is called inside: no port, another scheme or host."""
    rig.console.next_origin = origin.rstrip("/")
    rig.cycle()
    assert set(rig.platform.devices) == set(rig.console.ids)
    assert [call.path for call in rig.console.calls] == [AGENTS] * 4
    assert [call.query["offset"] for call in rig.console.calls] == ["0", "10", "20", "30"]
    assert {call.query["ordering"] for call in rig.console.calls} == {"firstseen"}


def test_the_token_goes_to_the_configured_address_and_nowhere_else(manager: requests_mock.Mocker) -> None:
    elsewhere = "https://evil.example.net"
    serve(
        manager,
        listing("a", "b", count=6, following=f"{elsewhere}{AGENTS}?limit=2&offset=2"),
        listing("c", "d", count=6, following=f"//evil.example.net{AGENTS}?limit=2&offset=4"),
        listing("e", "f", count=6),
    )
    assert ids(client().agents()) == ["a", "b", "c", "d", "e", "f"]
    assert {(call.scheme, call.netloc) for call in manager.request_history} == {("https", "manager.example.com:8443")}
    assert {call.headers["Authorization"] for call in manager.request_history} == {"Token abcdef"}


@pytest.mark.parametrize(
    "link",
    [
        "api/data/endpoint/Agent/?limit=2&offset=2",
        "?limit=2&offset=2",
        "https:////evil.example.net/api/data/endpoint/Agent/?limit=2&offset=2",
        f"{AGENTS}?limit=2&offset=2#results",
    ],
)
def test_a_link_in_an_odd_form_leads_to_the_configured_host_or_nowhere(
    manager: requests_mock.Mocker, link: str
) -> None:
    manager.get(
        requests_mock.ANY, [{"json": listing("a", "b", count=3, following=link)}, {"json": listing("c", count=3)}]
    )
    assert ids(client().agents()) == ["a", "b", "c"]
    assert {call.netloc for call in manager.request_history} == {"manager.example.com:8443"}
    assert manager.request_history[1].path == AGENTS.lower()
    assert manager.request_history[1].qs == {"limit": ["2"], "offset": ["2"], "ordering": ["firstseen"]}


@pytest.mark.parametrize("link", [7, ["/api"], {"offset": 2}, True, "http://[half/of/an/address"])
def test_a_next_page_that_is_not_a_link_stops_the_walk(manager: requests_mock.Mocker, link: Any) -> None:
    serve(manager, listing("a", "b", count=4, following=link))
    with pytest.raises(UnexpectedReply, match="sent a next-page"):
        ids(client().agents())


def test_each_page_passes_on_how_many_agents_the_manager_counts(console: SimulatedHarfangLab) -> None:
    console.hidden = 3
    pages = client(console.url, page_size=20, api_token=console.token)
    assert [page.total for page in islice(pages.agents(), 2)] == [38, 38]


def test_a_page_too_heavy_in_mid_walk_costs_no_page_before_it(console: SimulatedHarfangLab) -> None:
    """An offset stays good whatever the size of the page."""
    console.fault(Status(504), match=long_pages("agents", "limit", 10), skip=1, times=None)
    pages = list(client(console.url, page_size=15, api_token=console.token).agents())
    assert [len(page.records) for page in pages] == [15, 10, 10]
    assert [call.query["offset"] for call in console.calls] == ["0", "15", "15", "15", "25"]


def test_a_bare_list_is_all_there_is(rig: Rig) -> None:
    rig.console.bare = True
    rig.cycle()
    assert set(rig.platform.devices) == set(rig.console.ids)
    assert len(rig.console.calls) == 1


# --- a list that moves


def test_an_agent_that_another_one_hid_by_leaving_arrives_with_the_next_round(rig: Rig) -> None:
    """Every later row moves up by one: the first of the next page slips into the page that was read already."""
    first, hidden = by_first_contact(rig.console)[0], by_first_contact(rig.console)[10]
    at_call(rig.console, 2, lambda: rig.console.remove(first))
    rig.cycle()
    assert hidden not in rig.platform.devices
    rig.console.before_call = None
    assert rig.cycle().counts.sent == 1
    assert set(rig.console.ids) <= set(rig.platform.devices)


@pytest.mark.parametrize("hidden", [3, 5])
def test_a_list_with_fewer_agents_than_its_count_is_read_twice(
    rig: Rig, hidden: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The token may not see all groups. A few are a warning, more than a tenth are an error; what was read arrives."""
    rig.console.hidden = hidden
    said = f"The list has {35 + hidden} devices and 35 were read, in 2 readings"
    if hidden == 3:
        rig.cycle()
        assert any(said in record.message for record in caplog.records)
    else:
        with pytest.raises(TryAgain, match=said):
            rig.cycle()
    assert len(rig.console.calls_to("agents")) == 8  # twice four pages
    assert set(rig.platform.devices) == set(rig.console.ids)


def test_a_new_agent_in_mid_walk_comes_last_and_costs_no_second_reading(rig: Rig) -> None:
    new = {**rig.console.record(rig.console.ids[0]), "id": "new", "firstseen": "2100-01-01T00:00:00.000000Z"}
    at_call(rig.console, 2, lambda: rig.console.add(new))
    rig.cycle()
    assert "new" in rig.platform.devices
    assert len(rig.console.calls_to("agents")) == 4


def test_heartbeats_in_mid_walk_move_nothing(rig: Rig) -> None:
    at_call(rig.console, 2, lambda: [rig.console.heartbeat(uid) for uid in rig.console.ids])
    rig.cycle()
    assert len(rig.console.calls_to("agents")) == 4


# --- addresses


@pytest.mark.parametrize(
    ("entered", "url"),
    [
        ("https://lab.hurukai.io:8443", "https://lab.hurukai.io:8443"),
        ("https://lab.hurukai.io:8443/", "https://lab.hurukai.io:8443"),
        (" https://lab.hurukai.io:8443/login?next=/ ", "https://lab.hurukai.io:8443"),
        ("https://lab.hurukai.io:8443/#/dashboard", "https://lab.hurukai.io:8443"),
        ("lab.hurukai.io:8443", "https://lab.hurukai.io:8443"),
        ("https://lab.hurukai.io", "https://lab.hurukai.io"),
        ("https://[2001:db8::7]:8443", "https://[2001:db8::7]:8443"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
    ],
)
def test_the_url_becomes_the_managers_address_with_its_port(entered: str, url: str) -> None:
    assert HarfangLabSettings.model_validate({"url": entered, "api_token": "x"}).url == url


@pytest.mark.parametrize("entered", ["", "http://lab.hurukai.io", "https://user:pass@lab.hurukai.io", "https://h:port"])
def test_a_url_that_cannot_be_one_is_refused(entered: str) -> None:
    with pytest.raises(ValidationError):
        HarfangLabSettings.model_validate({"url": entered, "api_token": "x"})


def test_the_path_ends_in_a_slash_so_that_nothing_is_redirected(rig: Rig) -> None:
    rig.cycle()
    assert not rig.console.calls_to("agents_without_slash")
    assert {call.status for call in rig.console.calls} == {200}


@pytest.mark.parametrize("entered", ["token_abcdef", "abcdef", "  token_abcdef\n"])
def test_the_prefix_of_a_pasted_token_is_not_part_of_it(manager: requests_mock.Mocker, entered: str) -> None:
    serve(manager, listing("a"))
    ids(client(api_token=entered).agents())
    assert manager.last_request.headers["Authorization"] == "Token abcdef"


FAILURES = [requests.ConnectTimeout(), requests.ReadTimeout(), requests.ConnectionError("Connection refused")]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_url_without_a_port_that_does_not_answer_says_to_check_the_port(
    manager: requests_mock.Mocker, failure: Exception
) -> None:
    manager.get(requests_mock.ANY, exc=failure)
    with pytest.raises(TryAgain, match=r"manager\.example\.com.*Check the port.*names none.*8443"):
        ids(client("https://manager.example.com").agents())
    with pytest.raises(TryAgain) as caught:
        ids(client(MANAGER).agents())
    assert "names none" not in str(caught.value)


def test_the_connection_test_says_to_check_the_port(manager: requests_mock.Mocker) -> None:
    manager.get(requests_mock.ANY, exc=requests.ConnectTimeout())
    settings = {"url": "https://manager.example.com", "api_token": "abcdef"}
    validator = HarfangLabAccountValidator(MODULES["HarfangLab"].configured(settings))
    assert not validator.validate()
    assert validator._error
    assert "8443" in validator._error


@pytest.mark.parametrize(
    ("status", "said", "advice"),
    [
        (401, "Invalid token.", "Create a new one"),
        (403, "You do not have permission", "Give the token's user the right"),
    ],
)
def test_a_refusal_says_what_to_do(console: SimulatedHarfangLab, status: int, said: str, advice: str) -> None:
    console.token, console.permitted = ("abcdef" if status == 403 else "another"), status != 403
    with pytest.raises(ActionNeeded, match=advice) as caught:
        ids(client(console.url).agents())
    assert caught.value.status == status
    assert "abcdef" not in str(caught.value)


def test_what_a_400_says_of_its_fields_does_not_break_the_message(console: SimulatedHarfangLab) -> None:
    console.fault(Status(400, '{"limit": ["A valid integer is required."], "non_field_errors": [{"x": 1}]}'))
    with pytest.raises(ConnectorError, match="HTTP 400"):
        ids(client(console.url).agents())


# --- a private authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture
def private(console: SimulatedHarfangLab, authority: Authority) -> SimulatedHarfangLab:
    """The manager with a certificate of the authority."""
    console.stop()
    console.tls = authority.server()
    console.start()
    return console


def test_a_manager_of_a_private_authority_is_read_with_its_certificate(
    private: SimulatedHarfangLab, authority: Authority, rig: Rig
) -> None:
    rig.settings |= {"url": private.url, "ca_certificate": authority.pem}
    assert rig.cycle().counts.sent == 35


def test_the_certificate_is_written_nowhere(private: SimulatedHarfangLab, authority: Authority, rig: Rig) -> None:
    """By a process, with all that one writes."""
    rig.settings |= {"url": private.url, "ca_certificate": authority.pem}
    rig.environment["TMPDIR"] = str(rig.data.parent)
    with rig.process() as process:
        assert process.wait_for_rounds(1)["last_error"] is None
    files = [path for path in rig.data.parent.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"BEGIN CERTIFICATE" in path.read_bytes()]


def test_without_the_certificate_the_connection_test_says_which_setting_helps(private: SimulatedHarfangLab) -> None:
    settings = {"url": private.url, "api_token": private.token}
    validator = HarfangLabAccountValidator(MODULES["HarfangLab"].configured(settings))
    assert not validator.validate()
    assert validator._error
    assert "authority is not known here" in validator._error
    assert "CA certificate" in validator._error
    assert not private.calls


def test_another_authority_does_not_open_the_manager(private: SimulatedHarfangLab, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other").pem
    with pytest.raises(ActionNeeded, match="No trusted TLS connection"):
        ids(client(private.url, api_token=private.token, ca_certificate=other).agents())
    assert not private.calls


@pytest.mark.parametrize(
    "text", ["not a certificate", "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----"]
)
def test_a_wrong_certificate_is_a_configuration_error_that_names_the_setting(text: str) -> None:
    with pytest.raises(ValidationError, match=r"CA certificate [\s\S]*certificate") as caught:
        client(ca_certificate=text)
    assert "bm9uZQ" not in str(caught.value)


@pytest.mark.parametrize("text", [None, "", "  \n"])
def test_an_empty_certificate_is_none(text: str | None) -> None:
    settings = HarfangLabSettings.model_validate({"url": MANAGER, "api_token": "x", "ca_certificate": text})
    assert settings.ca_certificate is None
