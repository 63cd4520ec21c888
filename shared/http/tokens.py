"""Credentials as `requests` auth: a fixed token, or one fetched from an OAuth2-style endpoint and cached."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from cachetools import TLRUCache
from pydantic import SecretStr
from requests import PreparedRequest
from requests.auth import AuthBase

from shared.errors import ActionNeeded, ConnectorError, UnexpectedReply
from shared.mapping.table import count, text

if TYPE_CHECKING:
    from shared.http.session import ApiSession, Reply

_EARLY = 0.2  # of a token's life, at most two minutes: fetched anew before a walk's call meets the expiry
_EARLY_MOST = 120.0


def header_value(secret: SecretStr, what: str) -> str:
    """A secret as it may stand in a header; ActionNeeded, which does not repeat it, when it cannot."""
    value = secret.get_secret_value().strip()
    if not value:
        raise ActionNeeded(f"The {what} is empty. Enter it in the configuration.")
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise ActionNeeded(f"The {what} holds characters no such value has. Copy it again, whole and alone.")
    return value


class FixedToken(AuthBase):
    """`Authorization: <scheme> <token>`; `what` is the setting's label, for messages."""

    def __init__(self, scheme: str, secret: SecretStr, what: str) -> None:
        self._scheme = scheme
        self._value = header_value(secret, what)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"{self._scheme} {self._value}"
        return request


class Anonymous(AuthBase):
    """No credential in the header, and none from a `.netrc`: for the calls that fetch a token."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        return request


@dataclass(frozen=True, repr=False)
class Token:
    """A token as an endpoint gave it; `lifetime` in seconds from now."""

    value: str
    lifetime: float


def token_of(who: str, body: Any, lifetime: float) -> Token:
    """The token in an OAuth2 answer; `lifetime` counts where `expires_in` does not tell it. UnexpectedReply without one."""
    told = body if isinstance(body, dict) else {}
    value, seconds = told.get("access_token"), count(told.get("expires_in"))
    if not isinstance(value, str) or not value or not (value.isascii() and value.isprintable() and " " not in value):
        raise UnexpectedReply(
            f"{who} accepted the credentials but sent no usable token. Check the authentication URL; if this persists, "
            "report it with this message."
        )
    return Token(value, lifetime if seconds is None else float(seconds))


def granted(session: ApiSession, form: Mapping[str, str], advice: str, call: Callable[..., Reply] | None = None) -> Any:
    """POST the form to the session's own URL, an OAuth2 token endpoint → its JSON. `call` stands in for `session.call`.

    A 400 is a refusal as well as a 401 (RFC 6749, 5.2): ActionNeeded, with the advice.
    """
    try:
        return (call or session.call)("POST", session.base_url, data=form).json
    except UnexpectedReply as error:
        if error.status != 400:
            raise
        raise ActionNeeded(f"{session.who} refused the credentials (HTTP 400). {advice}", status=400) from None


def client_credentials(session: ApiSession, client_id: str, secret: str, scope: str, advice: str) -> Token:
    """A client id and its secret → a token (RFC 6749, 4.4), of an hour where its lifetime is not told.

    `session` leads to the token endpoint and carries no credential of its own.
    """
    form = {"grant_type": "client_credentials", "scope": scope, "client_id": client_id, "client_secret": secret}
    return token_of(session.who, granted(session, form, advice), 3600.0)


class PasswordGrant:
    """Fetches OAuth2 tokens by the refresh token that came with the last one, else by user name and password.

    A refresh token is used once. One that is refused, or whose answer was lost, is dropped: it would be refused for
    ever. `ask` is `granted`, but for the form; `lifetime` is as in `token_of`.
    """

    def __init__(
        self, who: str, ask: Callable[[Mapping[str, str]], Any], username: str, password: SecretStr, lifetime: float
    ) -> None:
        if not password.get_secret_value():
            raise ActionNeeded("The Password is empty. Enter it in the configuration.")
        self._who, self._ask, self._lifetime = who, ask, lifetime
        self._password = {"grant_type": "password", "username": username, "password": password.get_secret_value()}
        self._refresh_token: str | None = None

    def fetch(self) -> Token:
        """A token; raises what `ask` raises for the password."""
        refresh_token, self._refresh_token = self._refresh_token, None
        if refresh_token:
            with suppress(ActionNeeded, UnexpectedReply):
                return self._granted({"grant_type": "refresh_token", "refresh_token": refresh_token})
        return self._granted(self._password)

    def _granted(self, form: Mapping[str, str]) -> Token:
        body = self._ask(form)
        token = token_of(self._who, body, self._lifetime)
        self._refresh_token = text(body.get("refresh_token"))
        return token


class FetchedToken(AuthBase):
    """`Authorization: Bearer <token>`, fetched by `fetch` when there is none, shortly before expiry, or after `renew`."""

    def __init__(self, fetch: Callable[[], Token]) -> None:
        self._fetch = fetch
        self._lock = Lock()
        self._cache: TLRUCache[str, Token] = TLRUCache(1, _usable_until, timer=time.monotonic)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token().value}"
        return request

    def token(self) -> Token:
        """The token in use, fetched if need be; raises what fetching it raises."""
        with self._lock:
            token = self._cache.get("token")
            if token is None:
                try:
                    token = self._fetch()
                except ConnectorError as error:
                    error.everywhere = True  # every call needs it
                    raise
                self._cache["token"] = token
        return token

    def renew(self) -> None:
        """Forget the token: the server refused it."""
        with self._lock:
            self._cache.clear()


def _usable_until(_key: str, token: Token, now: float) -> float:
    return now + token.lifetime - min(_EARLY_MOST, token.lifetime * _EARLY)
