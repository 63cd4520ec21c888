"""Tokens: renewed before they run out, and shown nowhere."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
import requests
import requests_mock
from pydantic import SecretStr

from shared.errors import ActionNeeded, TryAgain, UnexpectedReply
from shared.http import tokens
from shared.http.oauth import PasswordGrant, client_credentials, token_of
from shared.http.session import ApiSession, Reply
from shared.http.tokens import Anonymous, FetchedToken, FixedToken, Token, header_value
from tests.shared.replied import replied

SECRET = "s3cr3t-t0k3n"


class Clock:
    """Stands in for the time module of the tokens."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(tokens, "time", clock)
    return clock


def sent_with(auth: requests.auth.AuthBase) -> str:
    return requests.Request("GET", "https://console.example/", auth=auth).prepare().headers["Authorization"]


def numbered(lifetime: float) -> Callable[[], Token]:
    numbers = count(1)
    return lambda: Token(f"t{next(numbers)}", lifetime)


def test_a_fixed_token_goes_with_its_scheme() -> None:
    assert sent_with(FixedToken("ApiToken", SecretStr(f" {SECRET}\n"), "API Token")) == f"ApiToken {SECRET}"


@pytest.mark.parametrize("value", ["", "  ", "\n"])
def test_an_empty_secret_is_for_the_customer(value: str) -> None:
    with pytest.raises(ActionNeeded, match="The API Token is empty"):
        FixedToken("Bearer", SecretStr(value), "API Token")


@pytest.mark.parametrize("character", ["\n", "\r\nX-Header: 1", "\x00", "é", "’", " ", "\t", "\u200b", "\ud800", '"'])
def test_a_secret_no_header_can_hold_is_refused_without_repeating_it(character: str) -> None:
    """It raised deep inside `http.client`, and the error showed the header with the secret."""
    with pytest.raises(ActionNeeded, match="contains a space, a quotation mark") as caught:
        header_value(SecretStr(f"{SECRET}{character}{SECRET}"), "API Token")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("pasted", [f'{{"token": "{SECRET}"}}', f'["{SECRET}"]', f" {{{SECRET}}}"])
def test_a_secret_pasted_with_the_json_around_it_is_called_json(pasted: str) -> None:
    with pytest.raises(ActionNeeded, match="The API Token is JSON") as caught:
        header_value(SecretStr(pasted), "API Token")
    assert SECRET not in str(caught.value)


def test_a_token_is_fetched_once_for_many_calls(clock: Clock) -> None:
    auth = FetchedToken(numbered(3600))
    assert [sent_with(auth), sent_with(auth)] == ["Bearer t1"] * 2


@pytest.mark.parametrize(("lifetime", "early"), [(3600, 120), (1000, 120), (100, 20), (10, 2)])
def test_a_token_is_fetched_anew_shortly_before_it_expires(clock: Clock, lifetime: float, early: float) -> None:
    auth = FetchedToken(numbered(lifetime))
    sent_with(auth)
    clock.now += lifetime - early - 0.5
    assert sent_with(auth) == "Bearer t1"
    clock.now += 1
    assert sent_with(auth) == "Bearer t2"


def test_a_token_that_lives_no_time_is_fetched_for_each_call(clock: Clock) -> None:
    auth = FetchedToken(numbered(0))
    assert [sent_with(auth), sent_with(auth)] == ["Bearer t1", "Bearer t2"]


def test_a_token_that_was_refused_is_thrown_away(clock: Clock) -> None:
    auth = FetchedToken(numbered(3600))
    sent_with(auth)
    auth.renew()
    assert [sent_with(auth), sent_with(auth)] == ["Bearer t2", "Bearer t2"]


def test_a_failed_fetch_comes_out_and_the_next_call_fetches_again() -> None:
    answers: list[Any] = [TryAgain("HTTP 503"), Token("t1", 3600)]

    def fetch() -> Token:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    auth = FetchedToken(fetch)
    with pytest.raises(TryAgain):
        sent_with(auth)
    assert sent_with(auth) == "Bearer t1"


def test_threads_that_need_a_token_at_once_fetch_one() -> None:
    auth = FetchedToken(numbered(3600))
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: sent_with(auth), range(50))) == {"Bearer t1"}


def test_nothing_that_is_printed_shows_a_token() -> None:
    fetched = FetchedToken(lambda: Token(SECRET, 3600))
    sent_with(fetched)
    fixed = FixedToken("Bearer", SecretStr(SECRET), "API Token")
    assert SECRET not in "".join(f"{thing!r} {thing!s} {[thing]}" for thing in (Token(SECRET, 1), fetched, fixed))


@pytest.mark.parametrize(
    ("body", "lifetime"),
    [
        ({"access_token": "t", "expires_in": 60}, 60),
        ({"access_token": "t", "expires_in": "60"}, 60),
        ({"access_token": "t"}, 3600),
        ({"access_token": "t", "expires_in": None}, 3600),
        ({"access_token": "t", "expires_in": -1}, 3600),
    ],
)
def test_a_token_lives_as_long_as_is_told_else_as_is_documented(body: Any, lifetime: float) -> None:
    assert token_of("Vendor", body, 3600) == Token("t", lifetime)


@pytest.mark.parametrize(
    "body",
    [None, [], "t", {}, *({"access_token": odd} for odd in (None, "", 7, ["t"], "a b", "a\r\nX: 1", "é", "\x00"))],
)
def test_an_answer_without_a_token_that_a_header_can_hold_is_unexpected(body: Any) -> None:
    with pytest.raises(UnexpectedReply, match="no usable token") as caught:
        token_of("Vendor", body, 3600)
    assert "a b" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 401])
def test_a_form_that_is_refused_is_for_the_customer(status: int) -> None:
    with requests_mock.Mocker() as vendor:
        vendor.post("https://id.example/token", status_code=status, json={"error": "invalid_client"})
        identity = ApiSession("Vendor", "https://id.example/token", Anonymous(), advice={401: "Check the secret."})
        with pytest.raises(ActionNeeded, match=rf"refused the credentials.*HTTP {status}.*Check the secret"):
            client_credentials(identity, "id", SECRET, "token", "Check the secret.")
        assert vendor.call_count == 1


class Login:
    """Stands in for the calls of a `PasswordGrant`; answers their forms by `answers` in order, then by tokens."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.forms: list[dict[str, str]] = []

    def __call__(self, _method: str, _url: str, *, data: Any) -> Reply:
        self.forms.append(dict(data))
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, Exception):
            raise answer
        number = len(self.forms)
        return replied({"access_token": f"t{number}", "refresh_token": f"r{number}", "expires_in": 60, **answer})

    @property
    def said(self) -> list[str]:
        return [form.get("refresh_token") or form["password"] for form in self.forms]


def grant(login: Login, password: str = "pass word") -> PasswordGrant:
    session = ApiSession("Vendor", "https://id.example/token", Anonymous())
    return PasswordGrant(session, "user", SecretStr(password), "Check the user.", 300, call=login)


def test_a_password_grant_uses_the_refresh_token_that_came_last() -> None:
    login = Login()
    fetched = grant(login)
    assert [fetched.fetch().value for _ in range(3)] == ["t1", "t2", "t3"]
    assert login.said == ["pass word", "r1", "r2"]
    assert login.forms[0] == {"grant_type": "password", "username": "user", "password": "pass word"}
    assert login.forms[1] == {"grant_type": "refresh_token", "refresh_token": "r1"}


@pytest.mark.parametrize("refusal", [ActionNeeded("HTTP 400"), UnexpectedReply("HTML")])
def test_a_refused_refresh_token_is_dropped_for_the_password(refusal: Exception) -> None:
    login = Login({}, refusal)
    fetched = grant(login)
    assert [fetched.fetch().value for _ in range(2)] == ["t1", "t3"]
    assert login.said == ["pass word", "r1", "pass word"]


def test_a_refresh_token_whose_answer_was_lost_is_not_used_again() -> None:
    login = Login({}, TryAgain("timeout"))
    fetched = grant(login)
    fetched.fetch()
    with pytest.raises(TryAgain):
        fetched.fetch()
    fetched.fetch()
    assert login.said == ["pass word", "r1", "pass word"]


def test_without_a_refresh_token_there_is_the_password() -> None:
    login = Login({"refresh_token": None}, {"refresh_token": ""})
    fetched = grant(login)
    for _ in range(3):
        fetched.fetch()
    assert login.said == ["pass word"] * 3


def test_a_refused_password_comes_out_and_an_empty_one_before_any_call() -> None:
    with pytest.raises(ActionNeeded, match="HTTP 401"):
        grant(Login(ActionNeeded("HTTP 401"))).fetch()
    with pytest.raises(ActionNeeded, match="Password is empty"):
        grant(Login(), password="")


def test_a_failed_fetch_fails_all_there_is_to_read() -> None:
    def fetch() -> Token:
        raise ActionNeeded("HTTP 403", status=403)

    with pytest.raises(ActionNeeded) as caught:
        FetchedToken(fetch).token()
    assert caught.value.ends_round
