"""OAuth2 grants (RFC 6749): client credentials, and password with refresh token."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from shared.errors import ActionNeeded, UnexpectedReply
from shared.http.session import ApiSession, Reply
from shared.http.tokens import Token
from shared.masking import hide
from shared.times import epoch_number


def token_of(who: str, body: Any, lifetime: float) -> Token:
    """The token in an OAuth2 answer; UnexpectedReply without one. `lifetime`: seconds, where `expires_in` is missing."""
    fields = body if isinstance(body, dict) else {}
    value, seconds = fields.get("access_token"), epoch_number(fields.get("expires_in"), "s")
    if not isinstance(value, str) or not value or not (value.isascii() and value.isprintable() and " " not in value):
        raise UnexpectedReply(
            f"{who} accepted the credentials but sent no usable token. Check the authentication URL; if this persists, "
            "report it with this message."
        )
    return Token(value, lifetime if seconds is None else seconds)


def granted(session: ApiSession, advice: str, call: Callable[..., Reply] | None = None, **body: Any) -> Reply:
    """POST the credentials (`data=` a form or `json=`) to the session's own URL. `call` stands in for `session.call`.

    A 400 is a refusal as well as a 401 (RFC 6749, 5.2): ActionNeeded, with the advice.
    """
    try:
        return (call or session.call)("POST", session.base_url, **body)
    except UnexpectedReply as error:
        if error.status != 400 or error.quoted is None:
            raise
        said = f"{session.who} refused the credentials (HTTP 400){error.quoted}."
        raise ActionNeeded(f"{said} {advice}", status=400) from None


def client_credentials(session: ApiSession, client_id: str, secret: str, scope: str, advice: str) -> Token:
    """A client id and its secret → a token (RFC 6749, 4.4), of an hour where none is reported.

    `session` leads to the token endpoint and carries no credential of its own.
    """
    form = {"grant_type": "client_credentials", "scope": scope, "client_id": client_id, "client_secret": secret}
    return token_of(session.who, granted(session, advice, data=form).json, 3600.0)


@dataclass(repr=False)
class PasswordGrant:
    """Fetches OAuth2 tokens by the refresh token that came with the last one, else by user name and password.

    A refresh token is used once. If it is refused, or its answer is lost, it is dropped: it would be refused forever.
    `session`, `advice` and `call` are those of `granted`, `lifetime` is that of `token_of`.
    """

    session: ApiSession
    username: str
    password: SecretStr
    advice: str
    lifetime: float
    call: Callable[..., Reply] | None = None

    def __post_init__(self) -> None:
        if not self.password.get_secret_value():
            raise ActionNeeded("The Password is empty. Enter it in the configuration.")
        self._refresh_token: str | None = None

    def fetch(self) -> Token:
        """A token; raises what `granted` raises for the password."""
        refresh_token, self._refresh_token = self._refresh_token, None
        if refresh_token:
            with suppress(ActionNeeded, UnexpectedReply):
                return self._granted(grant_type="refresh_token", refresh_token=refresh_token)
        return self._granted(grant_type="password", username=self.username, password=self.password.get_secret_value())

    def _granted(self, **form: str) -> Token:
        body = granted(self.session, self.advice, self.call, data=form).json
        token = token_of(self.session.who, body, self.lifetime)
        refresh_token = body.get("refresh_token")
        self._refresh_token = hide(refresh_token, fetched=True) if isinstance(refresh_token, str) else None
        return token
