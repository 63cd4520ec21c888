"""What came back in words: who, what was being done, what came back, what to do – and never a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ActionNeeded, TryAgain, UnexpectedReply
from shared.http import wire
from shared.http.replies import UNREACHABLE, UNTRUSTED, detail, failure, parsed, unreachable
from shared.masking import hide

TOKEN = "eyJhbGciOiJIUzI1NiJ9"
PASSWORD = "correct-horse-battery"


def reply(status: int, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers)
    response.request = requests.Request(
        "POST",
        f"https://console.example/token?key={TOKEN}",
        headers={"Authorization": f"Bearer {TOKEN}"},
        data={"username": "reader@example.org", "password": PASSWORD},
    ).prepare()
    return response


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_status_from_200_to_299_is_no_failure(status: int) -> None:
    assert failure("Vendor", reply(status), b"", {}) is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((301, ActionNeeded), (304, ActionNeeded), (401, ActionNeeded), (403, ActionNeeded), (404, ActionNeeded)),
        *((405, ActionNeeded), (410, ActionNeeded), (400, UnexpectedReply), (409, UnexpectedReply)),
        *((418, UnexpectedReply), (501, UnexpectedReply), (600, UnexpectedReply), (100, UnexpectedReply)),
        *((408, TryAgain), (425, TryAgain), (429, TryAgain), (500, TryAgain), (502, TryAgain), (503, TryAgain)),
    ],
)
def test_each_status_says_who_has_to_act(status: int, kind: type[Exception]) -> None:
    error = failure("Vendor", reply(status), b"", {})
    assert type(error) is kind
    assert error.status == status
    assert str(error).startswith("Vendor ")
    assert "POST /token" in str(error)
    assert TOKEN not in str(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_the_advice_for_a_status_is_given(status: int) -> None:
    assert str(failure("Vendor", reply(status), b"", {status: "Do this."})).endswith("Do this.")


@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_a_server_asks_for_goes_with_the_error(status: int) -> None:
    error = failure("Vendor", reply(status, **{"Retry-After": "12"}), b"", {})
    assert isinstance(error, TryAgain)
    assert error.retry_after == 12


@pytest.mark.parametrize(("status", "counts"), [(429, True), (503, True), (500, False), (502, False), (504, False)])
def test_the_reset_of_a_rate_limit_counts_where_the_reply_is_about_one(status: int, counts: bool) -> None:
    error = failure("Vendor", reply(status, **{"X-Rate-Limit-Reset": "12"}), b"", {})
    assert isinstance(error, TryAgain)
    assert error.retry_after == (12 if counts else None)


@pytest.mark.parametrize(
    ("status", "headers", "size"),
    [
        *((status, {}, True) for status in (408, 500, 501, 502, 503, 504, 520)),
        *((status, {}, False) for status in (400, 401, 403, 404, 413, 425, 429)),
        (503, {"Retry-After": "12"}, False),  # it asks for time
    ],
)
def test_a_server_error_may_be_about_the_size_of_a_page(status: int, headers: dict[str, str], size: bool) -> None:
    error = failure("Vendor", reply(status, **headers), b"", {})
    assert error
    assert error.may_be_size is size


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"errors": [{"title": "Bad cursor", "detail": "Too old"}]}, " (Bad cursor Too old)"),
        ({"message": "Too  many\ncalls"}, " (Too many calls)"),
        ({"error": "invalid_grant", "error_description": "Expired"}, " (Expired invalid_grant)"),
        ({"message": "same", "error": "same"}, " (same)"),
        ({"other": "thing"}, ""),
        ({"message": 5}, ""),
        ("plain", " (plain)"),
        ([], ""),
        (None, ""),
    ],
)
def test_what_an_error_body_says_is_told(body: Any, words: str) -> None:
    assert detail(json.dumps(body).encode()) == words


def test_what_an_error_body_says_is_cut_at_200_letters() -> None:
    assert len(detail(json.dumps({"message": "word " * 500}).encode())) <= 203


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff", b'{"message": "' + b"x" * 100_000])
def test_an_error_body_that_is_no_json_says_nothing(body: bytes) -> None:
    assert detail(body) == ""


@pytest.mark.parametrize("body", [b"[" * 900 + b"]" * 900, b'{"error":' * 900 + b"1" + b"}" * 900])
def test_a_deeply_nested_error_body_says_nothing(body: bytes) -> None:
    """It ended the cycle as an internal error (RecursionError)."""
    assert detail(body) == ""


def test_a_redirect_that_echoes_the_secret_does_not_show_it() -> None:
    """A token call that was redirected to `…?password=…` had it in the message."""
    hide(PASSWORD)
    target = "https://elsewhere.example/" + "x" * 150 + f"?password={PASSWORD}&again"
    for status in (301, 307):
        error = failure("Vendor", reply(status, Location=target), b"", {})
        assert "It redirects to 'https://elsewhere.example/xxx" in str(error)
        assert PASSWORD[:16] not in str(error)


@given(st.binary(max_size=200) | st.text().map(lambda text: json.dumps({"errors": [text]}).encode()))
def test_no_error_body_makes_telling_it_fail(body: bytes) -> None:
    assert str(failure("Vendor", reply(500), body, {})).startswith("Vendor answered HTTP 500")


@pytest.mark.parametrize("status", [202, 204])
def test_an_empty_202_or_204_is_nothing(status: int) -> None:
    assert parsed("Vendor", reply(status), b" \n") is None


@pytest.mark.parametrize("status", [200, 201, 206])
def test_an_empty_body_where_json_belongs_is_unexpected(status: int) -> None:
    with pytest.raises(UnexpectedReply, match=rf"with an empty body \(HTTP {status}\)"):
        parsed("Vendor", reply(status), b"")


@pytest.mark.parametrize("body", [b"<html>login</html>", b"  <!DOCTYPE html>"])
def test_a_page_instead_of_json_names_what_may_stand_in_between(body: bytes) -> None:
    with pytest.raises(UnexpectedReply, match=r"HTML page instead of JSON .* no proxy, login or maintenance page"):
        parsed("Vendor", reply(200), body)


@pytest.mark.parametrize("body", [b"ok", b"{", b"\xff\xfe", b"{}{}"])
def test_what_is_not_json_is_unexpected(body: bytes) -> None:
    with pytest.raises(UnexpectedReply, match="something that is not JSON"):
        parsed("Vendor", reply(200), body)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("[Errno -2] Name or service not known", "the host name is unknown"),
        ("[Errno 111] Connection refused", "the connection was refused"),
        ("Remote end closed connection without response", "the connection was cut"),
        ("[Errno 113] No route to host", "there is no route to it"),
    ],
)
def test_a_network_error_is_told_in_a_few_words(reason: str, words: str) -> None:
    error = unreachable("Vendor", "console.example", requests.ConnectionError(f"/things?key={TOKEN} {reason}"))
    assert isinstance(error, TryAgain)
    assert words in str(error)
    assert TOKEN not in str(error)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Hostname mismatch, certificate is not valid for", "for another host name"),
        ("IP address mismatch, certificate is not valid for", "for another host name"),
        ("self-signed certificate in certificate chain", "authority is not known here"),
        ("certificate has expired", "has expired"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "does not speak TLS on this port"),
    ],
)
def test_a_certificate_nobody_can_trust_is_for_the_customer(reason: str, words: str) -> None:
    error = unreachable("Vendor", "console.example", requests.exceptions.SSLError(reason))
    assert isinstance(error, ActionNeeded)
    assert words in str(error)


def test_a_body_without_end_is_told() -> None:
    assert isinstance(unreachable("Vendor", "h", wire.TooLarge("64 MiB")), UnexpectedReply)
    assert isinstance(unreachable("Vendor", "h", wire.TooSlow()), TryAgain)


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (requests.ConnectTimeout(), UNREACHABLE),
        (requests.ReadTimeout(), UNREACHABLE),
        (requests.ConnectionError("Connection refused"), UNREACHABLE),
        (requests.exceptions.SSLError("certificate has expired"), UNTRUSTED),
    ],
)
def test_a_vendor_may_know_better_what_to_check_when_there_is_no_answer(error: Exception, key: int) -> None:
    advice = {UNREACHABLE: "Check the port.", UNTRUSTED: "Enter the authority."}
    assert str(unreachable("Vendor", "console.example", error, advice)).endswith(advice[key])
    assert advice[key] not in str(unreachable("Vendor", "console.example", error))
