"""What came back in words: who, what was being done, what came back, what to do – and never a secret."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ActionNeeded, TryAgain, UnexpectedReply
from shared.http import body as bodies
from shared.http.replies import detail, failure, parsed
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
def test_a_status_from_200_to_299_is_no_failure(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its body, which may be a page of 32 MiB, is not looked at here."""
    monkeypatch.setattr(bodies, "parse", lambda _: pytest.fail("the body was parsed"))
    assert failure("Vendor", reply(status), b'{"message": "all is well"}', {}) is None


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
        ({"errors": [{"title": "Bad cursor", "detail": "Too old"}]}, ': "Bad cursor Too old"'),
        ({"message": "Too  many\ncalls"}, ': "Too many calls"'),
        ({"error": "invalid_grant", "error_description": "Expired"}, ': "Expired"'),
        ({"error": "invalid_grant"}, ': "invalid_grant"'),
        ({"errorCode": "E0000011", "errorSummary": "Invalid token"}, ': "Invalid token"'),
        ({"success": False, "message": "Key is disabled"}, ': "Key is disabled"'),
        ({"error": {"code": "denied", "message": "No access"}}, ': "No access"'),
        ({"message": "same", "detail": "same"}, ': "same"'),
        ({"message": "forged\x1b[2J\u202eline"}, ': "forged\\\\x1b[2J\\\\u202eline"'),
        ({"other": "thing"}, ""),
        ({"message": 5}, ""),
        ("plain", ': "plain"'),
        ([], ""),
        (None, ""),
    ],
)
def test_the_reason_in_an_error_body_is_quoted(body: Any, words: str) -> None:
    assert detail(json.dumps(body).encode()) == words.replace("\\\\", "\\")


def test_a_reason_is_cut_at_200_characters() -> None:
    assert len(detail(json.dumps({"message": "word " * 500}).encode())) <= 204


REASON = b'{"errors": [{"title": "Authentication failed", "detail": "Token expired"}]}'
PAGE = b"<!DOCTYPE html><html><head><title>Access &amp; use denied</title></head><body>Category: Security</body></html>"


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 413, 422, 429, 500, 501, 503])
def test_the_reason_of_the_api_is_quoted_for_every_status(status: int) -> None:
    """ "Tenant is suspended" was never shown for 401, 403 and refused logins."""
    error = failure("Vendor", reply(status), REASON, {})
    assert error
    assert f'(HTTP {status}): "Authentication failed Token expired".' in str(error) or (
        f'Vendor answered HTTP {status} to POST /token: "Authentication failed Token expired".' in str(error)
    )
    assert error.quoted == ': "Authentication failed Token expired"'


@pytest.mark.parametrize("status", [400, 401, 403, 407, 429, 500, 503])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (PAGE, ': "Access & use denied" (HTTP'),
        (b"<html><body>Forbidden</body></html>", " came back (HTTP"),
        (b"no healthy upstream", ': "no healthy upstream" (HTTP'),
        (b"<title>" * 10_000, " came back"),
        (b"\xff\xfe\x00", " came back"),
        (f"Bad \x1b[2J {TOKEN}".encode(), " came back"),
    ],
)
def test_a_page_of_something_in_between_is_called_so_and_no_credential_is_blamed(
    status: int, body: bytes, words: str
) -> None:
    """A web filter's 403 page told the customer to change a role at the vendor."""
    hide(TOKEN)
    error = failure("Vendor", reply(status), body, {401: "New token!", 403: "New role!"})
    assert error
    said = str(error)
    assert said.startswith(
        "Vendor did not answer POST /token: a page of something in between (proxy, web filter, login) came back"
    )
    assert words in said
    assert ("New" in said) is (not body.startswith(b"<") and status in (401, 403)), "a bare word may be the API's own"
    assert TOKEN not in said
    assert "\x1b" not in said
    assert error.quoted is None
    if status in (401, 403):
        assert "Have the connector let through to console.example, or check the configured URL." in said


@pytest.mark.parametrize("status", [401, 403])
def test_an_empty_refusal_may_be_of_either(status: int) -> None:
    said = str(failure("Vendor", reply(status), b"", {status: "New token!"}))
    assert said == (
        f"Vendor answered HTTP {status} to POST /token with an empty body. Have the connector let through to "
        "console.example, or check the configured URL. If nothing stands in between: New token!"
    )


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("reason", "account"),
    [
        ("Tenant is suspended", True),
        ("Your licence has expired", True),
        ("License expired", True),
        ("The console is under maintenance", True),
        ("Token has expired", False),
        ("Password expired", False),
        ("Insufficient permissions", False),
    ],
)
def test_a_reason_about_the_account_blames_no_credential(status: int, reason: str, account: bool) -> None:
    said = str(failure("Vendor", reply(status), json.dumps({"message": reason}).encode(), {status: "New token!"}))
    assert f'(HTTP {status}): "{reason}".' in said
    assert ("This is about your account there" in said) is account
    assert ("New token!" in said) is not account


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
    assert re.match("Vendor (answered HTTP 500|did not answer) ", str(failure("Vendor", reply(500), body, {})))


@pytest.mark.parametrize("status", [202, 204])
def test_an_empty_202_or_204_is_nothing(status: int) -> None:
    assert parsed("Vendor", reply(status), b" \n") is None


@pytest.mark.parametrize("status", [200, 201, 206])
def test_an_empty_body_where_json_belongs_is_unexpected(status: int) -> None:
    with pytest.raises(UnexpectedReply, match=rf"with an empty body \(HTTP {status}\)"):
        parsed("Vendor", reply(status), b"")


@pytest.mark.parametrize(
    "body", [b"<html><title>Sign in</title></html>", b"  <!DOCTYPE html><title>Sign in", b"Sign in\n"]
)
def test_a_page_instead_of_json_is_called_a_page_of_something_in_between(body: bytes) -> None:
    with pytest.raises(UnexpectedReply, match=r'something in between \(.*\) came back: "Sign in" \(HTTP 200\)'):
        parsed("Vendor", reply(200), body)


@pytest.mark.parametrize("body", [b"{", b"{}{}", b"[1, 2"])
def test_what_is_not_json_is_unexpected(body: bytes) -> None:
    with pytest.raises(UnexpectedReply, match="something that is not JSON"):
        parsed("Vendor", reply(200), body)
