"""Check Point Harmony Mobile, `GET /app/SBM/external_api/v3/alert/`, behind the Infinity Portal's login."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase

from shared.errors import ActionNeeded, UnexpectedReply
from shared.http.oauth import token_of
from shared.http.pages import Page, Pages, follow, next_position, paging_of, records_of
from shared.http.session import ApiSession, Reply
from shared.http.tokens import FetchedToken, Token
from shared.http.urls import origin
from shared.mapping.conversions import count, part

APPLICATION = "/app/SBM"
ALERTS = f"{APPLICATION}/external_api/v3/alert/"
LIFETIME = 1800.0  # seconds of a token whose answer does not tell: half an hour is what was seen
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


def fetch_token(login: ApiSession, client_id: str, secret: str) -> Token:
    """A token for an API key; ActionNeeded when it is refused, which the portal also says with HTTP 200."""
    began = time.monotonic()
    try:
        body = login.call("POST", login.base_url, json={"clientId": client_id, "accessKey": secret}).json
    except UnexpectedReply as error:
        if error.status != 400:
            raise
        raise ActionNeeded(f"{login.who} refused the credentials (HTTP 400). {_KEY}", status=400) from None
    if isinstance(body, dict) and body.get("success") is False:
        raise ActionNeeded(f"{login.who} refused the credentials (HTTP 200, success: false). {_KEY}", status=401)
    data = part(body, "data") if isinstance(body, dict) else {}
    told = {"access_token": data.get("token"), "expires_in": count(data.get("expiresIn")) or None}
    token = token_of(login.who, told, LIFETIME)
    return Token(token.value, token.lifetime - (time.monotonic() - began))  # it lives since it was asked for


class Bearer(AuthBase):
    """The token, without the session's own way to renew it: the client's covers two more ways to say "expired"."""

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
        self._page_size = page_size or self.PAGE_SIZE

    def alerts(self, since: float, until: float) -> Pages:
        """Pages of the alerts whose `backend_last_updated` lies between two moments (epoch seconds), both included.

        In no order that is documented. Each page tells the total; its end is where `meta.next` says, for a server may
        give fewer rows than it was asked for.
        """
        bounds = {"backend_last_updated__gte": _moment(since), "backend_last_updated__lte": _moment(until)}
        who = self._session.who

        def ask(link: str | None) -> Reply:
            path, query = (ALERTS, self._first_page()) if link is None else self._split(link)
            return self._call(path, {**query, **bounds})  # a link that lost the bounds would lead through all alerts

        def read(reply: Reply, _: str | None) -> Page:
            records, meta = records_of(who, reply.json, "objects"), paging_of(who, reply.json, "meta")
            return Page(records, reply.date, count(meta.get("total_count")), reply.memory)

        def following(body: Any, _: str | None) -> str | None:
            return next_position(who, paging_of(who, body, "meta").get("next"))

        return follow(self._session, ask, read, following)

    def _first_page(self) -> dict[str, Any]:
        return {"limit": self._page_size, "offset": 0}

    def _split(self, link: str) -> tuple[str, dict[str, Any]]:
        """A next link → path and query: relative to the application, to the host, or whole on the same host."""
        here = self._session.url(ALERTS)
        try:
            url = urljoin(here, link)
            if origin(url)[1] != origin(here)[1]:
                self._session.url(url)  # refuses it
            parts = urlsplit(url)
        except ValueError:
            raise UnexpectedReply(
                f"{self._session.who} gave a next link that is no URL; the list ends nowhere."
            ) from None
        path = parts.path if parts.path.startswith(f"{APPLICATION}/") else APPLICATION + parts.path
        return path, dict(parse_qsl(parts.query, keep_blank_values=True))

    def _call(self, path: str, query: dict[str, Any]) -> Reply:
        """GET; a session that has ended, however the gateway says so, is renewed twice at most."""
        for _ in range(_RENEWALS + 1):
            self._token.token()  # here, so that a failing login is not taken for a failure of this call
            try:
                reply = self._session.get(path, query)
                if not (isinstance(reply.json, dict) and reply.json.get("forceLogout")):
                    return reply
                said = f"{self._session.who} ends each session at once (HTTP 200, forceLogout) on GET {path}. {_KEY}"
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
