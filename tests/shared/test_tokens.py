"""Tokens: renewed before they run out, and shown nowhere."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from shared import tokens
from shared.errors import ActionNeeded, TryAgain
from shared.http import Renewable
from shared.tokens import FetchedToken, FixedToken, Token, header_value

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


@pytest.mark.parametrize("character", ["\n", "\r\nX-Header: 1", "\x00", "é", "’", " ", "\t", "\u200b", "\ud800"])
def test_a_secret_no_header_can_hold_is_refused_without_repeating_it(character: str) -> None:
    """It raised deep inside `http.client`, and the error showed the header with the secret."""
    with pytest.raises(ActionNeeded, match="characters no such value has") as caught:
        header_value(SecretStr(f"{SECRET}{character}{SECRET}"), "API Token")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


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


def test_only_a_fetched_token_can_be_renewed() -> None:
    assert isinstance(FetchedToken(numbered(1)), Renewable)
    assert not isinstance(FixedToken("Bearer", SecretStr(SECRET), "API Token"), Renewable)


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
