"""Credentials as `requests` auth: a fixed token, or one that is fetched, cached and renewed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from cachetools import TLRUCache
from pydantic import SecretStr
from requests import PreparedRequest
from requests.auth import AuthBase

from shared.errors import ActionNeeded, ConnectorError
from shared.masking import hide

_EARLY = 0.2  # of a token's lifetime: so long before its expiry it is fetched again, so that no call of a walk meets it
_MAX_EARLY = 120.0  # seconds


def header_value(secret: SecretStr, what: str) -> str:
    """The secret, stripped, for a header; ActionNeeded, which does not repeat it, when it is not fit for one."""
    value = secret.get_secret_value().strip()
    if not value:
        raise ActionNeeded(f"The {what} is empty. Enter it in the configuration.")
    if value[0] in "{[":
        raise ActionNeeded(f"The {what} is JSON. Enter the token in it alone, without braces and quotation marks.")
    if not (value.isascii() and value.isprintable()) or set(value) & set(" \"'`"):
        raise ActionNeeded(
            f"The {what} contains a space, a quotation mark, a control or a non-ASCII character. Copy it again, "
            "complete and alone."
        )
    return hide(value)


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


class FetchedToken(AuthBase):
    """`Authorization: Bearer <token>`; the token is fetched at the first call, shortly before expiry, and after `renew`."""

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
                    hide(token.value, fetched=True)
                except ConnectorError as error:
                    error.ends_round, error.may_be_size = True, False  # every call needs it
                    raise
                self._cache["token"] = token
        return token

    def renew(self) -> None:
        """Forget the token: the server refused it."""
        with self._lock:
            self._cache.clear()


def _usable_until(_key: str, token: Token, now: float) -> float:
    return now + token.lifetime - min(_MAX_EARLY, token.lifetime * _EARLY)
