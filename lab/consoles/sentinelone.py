"""A SentinelOne console: `GET /web/api/v2.1/agents` of the Management API 2.1."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Response, request
from werkzeug.exceptions import HTTPException

from lab.consoles.console import DeviceConsole
from lab.consoles.queries import Refused
from lab.consoles.sentinelone_query import MARKS, read
from lab.fleet.hosts import iso
from lab.fleet.sentinelone import sentinelone_agents
from lab.platform.server import answer_json, new_secret

API = "/web/api/v2.1"


class SimulatedSentinelOne(DeviceConsole):
    """A console with one fleet. Routes by name: agents.

    `token` is the valid API token; with `viewer=False` its role may not see endpoints. `rate=25` is the documented
    limit of `/agents`; by default there is none. 1,000,000 agents take about 2 GB packed, and a page 8 ms more.
    """

    vendor = "SentinelOne"
    marks = MARKS

    def __init__(
        self,
        token: str | None = None,
        *,
        viewer: bool = True,
        rate: float | None = None,
        latency: float = 0.0,
    ) -> None:
        super().__init__(rate, latency)
        self.token = token or new_secret("local-sentinelone-token")
        self.viewer = viewer
        self.route("GET", f"{API}/agents", "agents", lambda: self._refusal() or self._list())

    # The fleet

    def generated(self, count: int, seed: int) -> Iterable[Any]:
        return sentinelone_agents(count, seed=seed, now=self.now())

    def touched(self) -> dict[str, Any]:
        """The time of the update, later than that of the update before."""
        return {"updatedAt": iso(self.later())}

    def checked_in(self) -> dict[str, Any]:
        return {"lastActiveDate": iso(self.now()), "isActive": True}

    def decommission(self, agent_id: str) -> None:
        """Hide the agent, unless the query asks for decommissioned ones."""
        self.change(agent_id, isDecommissioned=True, isActive=False, decommissionedAt=iso(self.now()))

    # The calls

    def _list(self) -> Response:
        try:
            query = read(dict(request.args.lists()))
        except Refused as refusal:
            return _error(400, 4000010, "Validation Error", str(refusal))
        page = self._fleet.page(query.sort, query.limit, query.keep, descending=query.descending, after=query.after)
        total = 0 if query.after else self._fleet.count(query.keep)
        return _page(page.records, query.cursor(page.end) if page.end else None, total)

    def _refusal(self) -> Response | None:
        if self.token_sent("ApiToken") != self.token:
            return _error(401, 4010010, "Authentication Failed", None)
        return None if self.viewer else _error(403, 4030010, "Insufficient permissions", None)

    def wrong_method(self, _: HTTPException) -> Response:
        return _error(405, 4050010, "Method Not Allowed", "")


def _page(records: list[bytes], cursor: str | None, total: int) -> Response:
    """`totalItems` is reported on the first page only; later ones say 0, as the live API does."""
    following = f'"{cursor}"' if cursor else "null"
    end = f'],"pagination":{{"nextCursor":{following},"totalItems":{total}}}}}'.encode()
    return Response(b"".join((b'{"data":[', b",".join(records), end)), content_type="application/json")


def _error(status: int, code: int, title: str, detail: str | None) -> Response:
    return answer_json({"errors": [{"code": code, "detail": detail, "title": title}]}, status)
