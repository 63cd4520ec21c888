"""A HarfangLab manager: `GET /api/data/endpoint/Agent/`.

A Django REST API: errors are `{"detail": …}`, unknown parameters are ignored, a path without its last slash is
redirected. No public source documents the default page, the largest page and the default order: these are guesses, and
marked as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Response, request
from werkzeug.exceptions import HTTPException

from lab.consoles.collection import Mark
from lab.consoles.console import DeviceConsole
from lab.fleet.harfanglab import harfanglab_agents
from lab.fleet.hosts import iso
from lab.platform.server import answer_json, new_secret
from shared.times import epoch

AGENTS = "/api/data/endpoint/Agent/"
DEFAULT_PAGE, LARGEST_PAGE = 100, 10_000  # guesses; 10,000 is the largest page that clients were seen to ask for
_NULLS_LAST = 2**63  # as PostgreSQL sorts


def _moment(value: Any) -> Mark:
    seconds = epoch(value)
    return _NULLS_LAST if seconds is None else round(seconds * 1_000_000)


MARKS: dict[str, Callable[[Any], Mark]] = {
    "id": lambda value: "" if value is None else str(value),
    **dict.fromkeys(("firstseen", "lastseen"), _moment),
}


class SimulatedHarfangLab(DeviceConsole):
    """A manager with one fleet. Routes by name: agents, agents_without_slash.

    `token` is the valid API key; with `permitted=False` its user has no right to see endpoints. `next_origin` is put in
    front of the paths in `next` and `previous`: nothing, as managers do, or the inner address of a manager behind a
    proxy. With `bare` the answer is the list alone; `hidden` agents are added to `count` and never listed.
    """

    vendor = "HarfangLab"
    marks = MARKS

    def __init__(
        self, token: str | None = None, *, permitted: bool = True, rate: float | None = None, latency: float = 0.0
    ) -> None:
        super().__init__(rate, latency)
        self.token = token or new_secret("local-harfanglab-token")
        self.permitted = permitted
        self.next_origin = ""
        self.bare = False
        self.hidden = 0
        self.route("GET", AGENTS, "agents", lambda: self._refusal() or self._list())
        self.route("GET", AGENTS.rstrip("/"), "agents_without_slash", self._add_the_slash)

    # The fleet

    def generated(self, count: int, seed: int) -> Iterable[Any]:
        return harfanglab_agents(count, seed=seed, now=self.now())

    def checked_in(self) -> dict[str, Any]:
        """The times of the last contact and the load, which change every minute."""
        seen = self.now()
        late = {
            f"lastseen_{level}": iso(seen + timedelta(seconds=s)) for level, s in (("warning", 132), ("error", 330))
        }
        return {"lastseen": iso(seen), **late, "status": "online", "avg_cpu": seen.second / 60}

    # The calls

    def _list(self) -> Response:
        sort, descending = _ordering(request.args.get("ordering", ""))
        limit = min(_whole(request.args.get("limit"), 1, DEFAULT_PAGE), LARGEST_PAGE)
        offset = _whole(request.args.get("offset"), 0, 0)
        total = self._fleet.count(None)
        if self.bare:
            limit, offset = max(total, 1), 0
        records = self._fleet.page(sort, limit, None, descending=descending, skip=offset).records
        listed = b"[" + b",".join(records) + b"]"
        if self.bare:
            return Response(listed, content_type="application/json")
        following = self._link(limit, offset + limit) if offset + limit < total else "null"
        before = self._link(limit, max(offset - limit, 0)) if offset > 0 else "null"
        head = f'{{"count":{total + self.hidden},"next":{following},"previous":{before},"results":'.encode()
        return Response(b"".join((head, listed, b"}")), content_type="application/json")

    def _link(self, limit: int, offset: int) -> str:
        """The same query with another offset, encoded, in quotes; for the first page without an offset."""
        query = {**request.args.to_dict(), "limit": str(limit), "offset": str(offset)}
        if offset == 0:
            del query["offset"]
        return f'"{self.next_origin}{AGENTS}?{urlencode(sorted(query.items()))}"'

    def _add_the_slash(self) -> Response:
        """Redirect, with or without a token: Django's middleware redirects first."""
        query = request.query_string.decode()
        return Response(b"", 301, {"Location": AGENTS + (f"?{query}" if query else "")}, content_type="text/html")

    def _refusal(self) -> Response | None:
        token = self.token_sent("Token")
        challenge = {"WWW-Authenticate": "Token"}
        if token is None:
            return answer_json({"detail": "Authentication credentials were not provided."}, 401, challenge)
        if token != self.token:
            return answer_json({"detail": "Invalid token."}, 401, challenge)
        detail = "You do not have permission to perform this action."
        return None if self.permitted else answer_json({"detail": detail}, 403)

    def too_many(self) -> Response:
        detail = "Request was throttled. Expected available in 1 second."
        return answer_json({"detail": detail}, 429, {"Retry-After": "1"})

    def no_such_path(self, _: HTTPException) -> Response:
        return Response("<!doctype html>\n<html><h1>Not Found</h1></html>\n", 404, content_type="text/html")

    def wrong_method(self, _: HTTPException) -> Response:
        return answer_json({"detail": f'Method "{request.method}" not allowed.'}, 405)


def _ordering(value: str) -> tuple[str, bool]:
    """Field and whether it is descending; `id` (a guess) if the list cannot be sorted by the field."""
    name = value.lstrip("+-")
    return (name, value.startswith("-")) if name in MARKS else ("id", False)


def _whole(value: str | None, least: int, default: int) -> int:
    """The number, if it is `least` or more; `default` for anything else."""
    return int(value) if value and value.isdecimal() and int(value) >= least else default
