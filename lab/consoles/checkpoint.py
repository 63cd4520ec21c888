"""The Infinity Portal's API for Harmony Mobile: `POST /auth/external` and `GET …/v3/alert/`.

Answers that no document describes are guesses, and marked as such.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlencode

from flask import Response, request
from werkzeug.exceptions import HTTPException

from lab.consoles.alerts import AlertConsole, Row
from lab.consoles.collection import encode
from lab.consoles.queries import COMPARE
from lab.fleet.checkpoint import checkpoint_alerts, slashed
from lab.platform.server import answer_json, new_secret

LOGIN = "/auth/external"
APPLICATION = "/app/SBM"
ALERTS = "/external_api/v3/alert/"
CLIENT_ID = "local-harmony-client"

Links = Literal["relative", "prefixed", "full"]
Ended = Literal["forceLogout", "401", "403"]


class SimulatedHarmonyMobile(AlertConsole):
    """One tenant. Routes by name: token, alerts.

    `most` is the maximum length of a page; `links` is the form of `meta.next`; `ended` is the answer to a call whose
    session has ended; `refusal` is the status of a refused login (200: the refusal is in the body). With
    `counts_rows=False` the `total_count` is always 0. Tokens are valid for `lifetime` seconds; `tokens` are the valid
    ones.
    """

    vendor = "Check Point"
    cursor = "backend_last_updated"

    def __init__(self, *, rate: float | None = None, latency: float = 0.0) -> None:
        super().__init__(rate, latency)
        self.client_id, self.secret_key = CLIENT_ID, new_secret("local-harmony-secret")
        self.most: int | None = None
        self.links: Links = "relative"
        self.ended: Ended = "forceLogout"
        self.refusal = 200
        self.counts_rows = True
        self.lifetime = 1800.0
        self.tokens: dict[str, float] = {}
        self.route("POST", LOGIN, "token", self._login)
        self.route("GET", APPLICATION + ALERTS, "alerts", self._list)

    @property
    def login_url(self) -> str:
        """The "Authentication URL" of the API key."""
        return self.url + LOGIN

    # The alerts

    def generated(self, count: int, seed: int, hours: float) -> Iterable[Any]:
        return checkpoint_alerts(count, seed, self.now(), hours)

    def written(self, when: datetime, before: str) -> str:
        """In the form of the time that it replaces."""
        return when.isoformat() if "T" in before else slashed(when)

    def force_logout(self) -> None:
        """No token handed out so far is accepted any more."""
        self.tokens.clear()

    # The calls

    def _login(self) -> Response:
        body = request.get_json(silent=True)
        if not isinstance(body, dict) or set(body) != {"clientId", "accessKey"}:
            return answer_json({"success": False, "message": "Bad request"}, 400)  # a guess
        if (body["clientId"], body["accessKey"]) != (self.client_id, self.secret_key):
            return answer_json({"success": False, "message": "Invalid credentials"}, self.refusal)
        token = f"eyJhbGciOiJub25lIn0.{secrets.token_urlsafe(24)}"
        self.tokens[token] = time.monotonic() + self.lifetime
        expires = (self.now() + timedelta(seconds=self.lifetime)).strftime("%a, %d %b %Y %H:%M:%S GMT")
        data = {"token": token, "csrf": secrets.token_hex(16), "expires": expires, "expiresIn": int(self.lifetime)}
        return answer_json({"success": True, "data": data})

    def _list(self) -> Response:
        if self.tokens.get(self.token_sent("Bearer") or "", 0) <= time.monotonic():
            return self._session_ended()
        query = request.args.to_dict()
        try:
            limit, offset = _whole(query, "limit", 100), _whole(query, "offset", 0)
            keeps = [_filter(name, value) for name, value in query.items() if name not in ("limit", "offset")]
        except ValueError as refusal:
            return answer_json({"error": str(refusal)}, 400)  # a guess
        limit = min(limit, self.most or limit)
        page, total = self.page(lambda row: all(keep(row) for keep in keeps), offset, limit)  # no order is documented
        return self._page(page, total, limit, offset, query)

    def _page(self, page: list[bytes], total: int, limit: int, offset: int, query: Mapping[str, str]) -> Response:
        meta = {
            "limit": limit,
            "next": self._link(query, limit, offset + limit) if offset + limit < total else None,
            "previous": self._link(query, limit, max(0, offset - limit)) if offset else None,
            "offset": offset,
            "total_count": total if self.counts_rows else 0,
        }
        return Response(
            b'{"meta":%s,"objects":[%s]}' % (encode(meta), b",".join(page)), content_type="application/json"
        )

    def _link(self, query: Mapping[str, str], limit: int, offset: int) -> str:
        front = {"relative": "", "prefixed": APPLICATION, "full": self.url + APPLICATION}[self.links]
        return f"{front}{ALERTS}?{urlencode({**query, 'limit': limit, 'offset': offset})}"

    def _session_ended(self) -> Response:
        body = {"success": False, "message": "Authentication required", "forceLogout": True}
        return answer_json(body, 200 if self.ended == "forceLogout" else int(self.ended))

    def no_such_path(self, _: HTTPException) -> Response:
        return answer_json({"message": "no Route matched with those values"}, 404)  # a guess


def moment(value: Any) -> float | None:
    """Epoch seconds of a date in either form (UTC where the offset is missing)."""
    for read in (datetime.fromisoformat, lambda text: datetime.strptime(text, "%m/%d/%Y %H:%M:%S")):
        try:
            found = read(value)
        except (TypeError, ValueError):
            continue
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return None


def _filter(name: str, value: str) -> Callable[[Row], bool]:
    field, _, how = name.partition("__")
    compare = COMPARE.get(how)
    if compare is None or field not in ("backend_last_updated", "id"):
        raise ValueError(f"{name}: unknown filter")
    if field == "id":
        bound: float = int(value)
        return lambda row: compare(row.number, bound)
    at = moment(value)
    if at is None:
        raise ValueError(f"{name}: not a date")
    return lambda row: compare(row.updated, at)


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    value = query.get(name, str(default))
    if not value.isdecimal() or (name == "limit" and value == "0"):
        raise ValueError(f"{name}: not a number of rows")
    return int(value)
