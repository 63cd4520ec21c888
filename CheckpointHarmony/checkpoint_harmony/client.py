"""Check Point Harmony Mobile, `GET /app/SBM/external_api/v3/alert/`, behind the Infinity Portal's login."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from requests import PreparedRequest
from requests.auth import AuthBase

from shared.errors import ActionNeeded
from shared.http.oauth import granted, token_of
from shared.http.pages import Listing, Pages, PageSize, follow
from shared.http.paging import by_link
from shared.http.session import ApiSession, Reply
from shared.http.tokens import FetchedToken, Token
from shared.mapping.conversions import nested_object, non_negative_int

LIFETIME = 1800.0  # seconds of a token whose answer does not say: half an hour was seen
_RENEWALS = 2  # of one call
_KEY = (
    "Check the Client ID and the Client Secret (the Secret Key of the API key): API keys expire, by default three months "
    "after their creation. If in doubt create a new one for the service Harmony Mobile with the role Read-Only."
)
LOGIN_ADVICE = {
    401: _KEY,
    403: _KEY,
    404: "Check the Authentication URL: it is shown when the API key is created, and ends in /auth/external.",
}
ADVICE = {
    401: _KEY,
    403: "Give the API key the service Harmony Mobile and the role Read-Only.",
    404: "Check the Authentication URL, and the base URL where one is set: they must be the gateway of your region.",
}


ALERTS = Listing(
    "/app/SBM/external_api/v3/alert/",
    records="objects",
    next_page=by_link("meta.next"),
    size="limit",
    total="meta.total_count",
    any_size=True,
    held=True,
)


def fetch_token(login: ApiSession, client_id: str, secret: str) -> Token:
    """A token for an API key; ActionNeeded when it is refused, which the portal also says with HTTP 200."""
    began = time.monotonic()
    reply = granted(login, _KEY, json={"clientId": client_id, "accessKey": secret})
    body = reply.json
    if isinstance(body, dict) and body.get("success") is False:
        said = f"{login.who} refused the credentials (HTTP 200, success: false){reply.reason}."
        raise ActionNeeded(f"{said} {_KEY}", status=401)
    data = nested_object(body, "data") if isinstance(body, dict) else {}
    fields = {"access_token": data.get("token"), "expires_in": non_negative_int(data.get("expiresIn")) or None}
    token = token_of(login.who, fields, LIFETIME)
    return Token(token.value, token.lifetime - (time.monotonic() - began))  # it lives since it was asked for


class Bearer(AuthBase):
    """The token, not renewed by the session: the client renews it, as it knows two more replies that mean "expired"."""

    def __init__(self, token: FetchedToken) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        return self._token(request)


class HarmonyMobileClient:
    """Reads alerts page by page. Knows URLs and pages, nothing of ECS."""

    PAGE_SIZE = 1000

    def __init__(self, session: ApiSession, token: FetchedToken, page_size: int | None = None) -> None:
        self._session = session
        self._token = token
        self._size = PageSize(page_size or self.PAGE_SIZE)

    def alerts(self, since: float, until: float) -> Pages:
        """Pages of the alerts whose `backend_last_updated` is between two times (epoch seconds), both included.

        No order is documented. Each page reports the total. The next page is the one that `meta.next` names, because a
        server may return fewer rows than requested.
        """
        query = {
            "offset": 0,
            "backend_last_updated__gte": _moment(since),
            "backend_last_updated__lte": _moment(until),
        }
        return follow(self._session, ALERTS, query, self._size, call=self._call)

    def _call(self, method: str, path: str, **options: Any) -> Reply:
        """One call; a session that has ended (401, 403 or `forceLogout`) is renewed twice at most."""
        for _ in range(_RENEWALS + 1):
            self._token.token()  # outside of `try`, so that a failing login is not taken for a failure of this call
            try:
                reply = self._session.call(method, path, **options)
                if not (isinstance(reply.json, dict) and reply.json.get("forceLogout")):
                    return reply
                said = f"{self._session.who} ends each session at once (HTTP 200, forceLogout) on {method} {path}{reply.reason}. {_KEY}"
                refusal = ActionNeeded(said, status=401)
            except ActionNeeded as error:
                if error.status not in (401, 403):
                    raise
                refusal = error
            self._token.renew()
        raise refusal


def _moment(seconds: float) -> str:
    """Microseconds and a Z: the form in which the filter is known to be used."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
