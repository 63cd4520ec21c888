"""The Infinity Portal as Harmony Mobile's collectors see it: `POST /auth/external` and `GET …/v3/alert/`.

Where no document says how the gateway behaves the answer is a guess, and marked as one.
"""

from __future__ import annotations

import operator
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlencode

from flask import Response, request
from werkzeug.exceptions import HTTPException

from lab.consoles.collection import encode
from lab.consoles.console import Console
from lab.fleet.checkpoint import checkpoint_alerts, slashed
from lab.platform.server import answer_json, new_secret

LOGIN = "/auth/external"
APPLICATION = "/app/SBM"
ALERTS = "/external_api/v3/alert/"
CLIENT_ID = "local-harmony-client"
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}

Alert = dict[str, Any]
Links = Literal["relative", "prefixed", "full"]
Ended = Literal["forceLogout", "401", "403"]


@dataclass
class _Row:
    """What the database holds: when the row was touched and from when on lists show it (epoch seconds), whatever the alert
    says of it."""

    number: int
    touched: float
    visible: float
    alert: Any


class SimulatedHarmonyMobile(Console):
    """One tenant. Routes by name: token, alerts.

    `most` is the page that it gives at most, whatever was asked for; `links` is the form of `meta.next`; `ended` how it
    says that a session has ended; `refusal` the status of a refused login, where 200 says so in the body. `counts_rows=False`
    tells a `total_count` of 0 always. The alerts whose ids are in `left_out` are counted and not listed. Tokens live `lifetime` seconds; `tokens` are those that are good now.
    """

    vendor = "Check Point"

    def __init__(self, *, rate: float | None = None, latency: float = 0.0) -> None:
        super().__init__(rate, latency)
        self.client_id, self.secret_key = CLIENT_ID, new_secret("local-harmony-secret")
        self.most: int | None = None
        self.links: Links = "relative"
        self.ended: Ended = "forceLogout"
        self.refusal = 200
        self.counts_rows = True
        self.left_out: set[str] = set()
        self.lifetime = 1800.0
        self.tokens: dict[str, float] = {}
        self._rows: dict[str, _Row] = {}
        self._lock = threading.RLock()
        self._last_touch = datetime.min.replace(tzinfo=UTC)
        self.route("POST", LOGIN, "token", self._login)
        self.route("GET", APPLICATION + ALERTS, "alerts", self._list)

    @property
    def login_url(self) -> str:
        """The "Authentication URL" of the API key."""
        return self.url + LOGIN

    # The alerts

    def has(self, records: int | Iterable[Any], seed: int = 7, hours: float = 5.5) -> None:
        """These alerts and no others: a number of generated ones, of the last hours, or these as they are."""
        if isinstance(records, int):
            records = checkpoint_alerts(records, seed, self.now(), hours)
        with self._lock:
            self._rows.clear()
            for alert in records:
                self.add(alert)

    @property
    def ids(self) -> list[str]:
        """The ids of all alerts, in the order they came."""
        return list(self._rows)

    def record(self, alert_id: str) -> Alert:
        """A copy of the alert."""
        return dict(self._rows[alert_id].alert)

    def add(self, alert: Any, touched: datetime | None = None) -> None:
        """One more alert, as it is. `touched` is when, where `backend_last_updated` does not tell; else an hour ago."""
        told = alert if isinstance(alert, dict) else {}
        with self._lock:
            name = str(told.get("id") if told.get("id") is not None else f"~{len(self._rows):09}")
            hour_ago = self.now() - timedelta(hours=1)
            seconds = touched.timestamp() if touched else moment(told.get("backend_last_updated"))
            row = _Row(len(self._rows) + 1, hour_ago.timestamp() if seconds is None else seconds, 0.0, alert)
            self._rows[name] = row

    def change(self, alert_id: str, at: datetime | None = None, **fields: Any) -> None:
        """The backend touches the alert: `backend_last_updated` becomes now (or `at`), in the form it had."""
        with self._lock:
            row = self._rows[alert_id]
            when = (at or self.now()).astimezone(UTC).replace(microsecond=0)
            told = str(row.alert.get("backend_last_updated") or "")
            text = when.isoformat() if "T" in told else slashed(when)
            row.alert = {**row.alert, "backend_last_updated": text, **fields}
            row.touched = when.timestamp()

    def hide(self, alert_id: str, until: datetime) -> None:
        """The alert is listed from that moment on, whenever it was touched."""
        self._rows[alert_id].visible = until.timestamp()

    def remove(self, alert_id: str) -> None:
        """The alert is gone without a trace."""
        with self._lock:
            del self._rows[alert_id]

    def force_logout(self) -> None:
        """No token handed out so far is good any more."""
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
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or self.tokens.get(token, 0) <= time.monotonic():
            return self._session_ended()
        query = request.args.to_dict()
        try:
            limit, offset = _whole(query, "limit", 100), _whole(query, "offset", 0)
            keeps = [_filter(name, value) for name, value in query.items() if name not in ("limit", "offset")]
        except ValueError as refusal:
            return answer_json({"error": str(refusal)}, 400)  # a guess
        limit = min(limit, self.most or limit)
        with self._lock:
            now = self.now().timestamp()
            counted = {
                name: row for name, row in self._rows.items() if row.visible <= now and all(keep(row) for keep in keeps)
            }
            found = [row for name, row in counted.items() if name not in self.left_out]
            found.sort(key=lambda row: -row.number)  # newest first by id: a guess, for no order is documented
            page, total = [encode(row.alert) for row in found[offset : offset + limit]], len(counted)
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
        said = {"success": False, "message": "Authentication required", "forceLogout": True}
        return answer_json(said, 200 if self.ended == "forceLogout" else int(self.ended))

    def no_such_path(self, _: HTTPException) -> Response:
        return answer_json({"message": "no Route matched with those values"}, 404)  # a guess


def moment(value: Any) -> float | None:
    """Epoch seconds of a date in either form (UTC where no offset is told)."""
    for read in (datetime.fromisoformat, lambda text: datetime.strptime(text, "%m/%d/%Y %H:%M:%S")):
        try:
            found = read(value)
        except (TypeError, ValueError):
            continue
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return None


def _filter(name: str, value: str) -> Callable[[_Row], bool]:
    field, _, how = name.partition("__")
    compare = _COMPARE.get(how)
    if compare is None or field not in ("backend_last_updated", "id"):
        raise ValueError(f"{name}: unknown filter")
    if field == "id":
        bound: float = int(value)
        return lambda row: compare(row.number, bound)
    at = moment(value)
    if at is None:
        raise ValueError(f"{name}: not a date")
    return lambda row: compare(row.touched, at)


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    value = query.get(name, str(default))
    if not value.isdecimal() or (name == "limit" and value == "0"):
        raise ValueError(f"{name}: not a number of rows")
    return int(value)
