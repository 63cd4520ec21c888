"""A SentinelOne console: `GET /web/api/v2.1/agents` of the Management API 2.1 and what a connector may call beside it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, request
from werkzeug.exceptions import HTTPException

from lab.consoles.collection import Collection
from lab.consoles.console import Console
from lab.consoles.sentinelone_query import MARKS, Query, Refused, read
from lab.fleet.sentinelone import sentinelone_agents
from lab.platform.server import answer_json

API = "/web/api/v2.1"
TOKEN = "local-sentinelone-token"  # noqa: S105 - good for a console that does not exist
PACKED_FROM = 200_000
"""Fleets larger than this are kept compressed: 1,000,000 agents then take about 2 GB, and a page some 8 ms more."""

Agent = dict[str, Any]


class SimulatedSentinelOne(Console):
    """A console with one fleet. Routes by name: agents, count, system.

    `token` is the API token it takes; `viewer=False` is a token whose role may not see endpoints. `rate=25` is the
    documented limit of `/agents`, off unless asked for. Times it writes are those of its own clock (`clock_offset`).
    """

    vendor = "SentinelOne"

    def __init__(
        self,
        token: str = TOKEN,
        *,
        viewer: bool = True,
        rate: float | None = None,
        latency: float = 0.0,
    ) -> None:
        super().__init__(rate, latency)
        self.token = token
        self.viewer = viewer
        self._agents = Collection("id", MARKS)
        self._last_write = datetime.min.replace(tzinfo=UTC)
        self.route("GET", f"{API}/agents", "agents", self._needs_token(self._list))
        self.route("GET", f"{API}/agents/count", "count", self._needs_token(self._count))
        self.route("GET", f"{API}/system/info", "system", self._needs_token(self._system, viewers_only=False))

    # The fleet

    def has(self, agents: int | Iterable[Any], seed: int = 7) -> None:
        """This fleet and no other: a number of generated agents, or these records as they are."""
        if isinstance(agents, int):
            self._agents = Collection("id", MARKS, packed=agents > PACKED_FROM)
            agents = sentinelone_agents(agents, seed=seed, now=self.now())
        self._agents.fill(agents)

    @property
    def ids(self) -> list[str]:
        """The ids of all agents, decommissioned ones too, in the order they came."""
        return list(self._agents)

    def record(self, agent_id: str) -> Agent:
        """A copy of the agent's record."""
        return dict(self._agents[agent_id])

    def add(self, agent: Agent) -> None:
        """One more agent, as it is."""
        self._agents.put(agent)

    def change(self, agent_id: str, **fields: Any) -> None:
        """The console writes to the agent: `updatedAt` becomes now, and later than at any write before."""
        self._agents.change(agent_id, {"updatedAt": iso(self._write_time()), **fields})

    def heartbeat(self, agent_id: str) -> None:
        """The agent calls home: `lastActiveDate` moves, `updatedAt` does not."""
        self._agents.change(agent_id, {"lastActiveDate": iso(self.now()), "isActive": True})

    def decommission(self, agent_id: str) -> None:
        """The agent is hidden from then on, unless the query asks for decommissioned ones."""
        self.change(agent_id, isDecommissioned=True, isActive=False, decommissionedAt=iso(self.now()))

    def remove(self, agent_id: str) -> None:
        """The agent is gone without a trace."""
        self._agents.remove(agent_id)

    def _write_time(self) -> datetime:
        self._last_write = max(self.now(), self._last_write + timedelta(microseconds=1))
        return self._last_write

    # The calls

    def _list(self) -> Response:
        try:
            query = read(dict(request.args.lists()))
        except Refused as refusal:
            return _error(400, 4000010, "Validation Error", str(refusal))
        total = 0
        if query.count_only or not (query.skip_count or query.after):
            total = self._agents.count(query.keep)
        if query.count_only:
            return _page([], None, total)
        return self._page(query, total)

    def _page(self, query: Query, total: int) -> Response:
        page = self._agents.page(
            query.sort,
            query.limit,
            query.keep,
            descending=query.descending,
            after=query.after,
            skip=0 if query.after else query.skip,
        )
        return _page(page.records, query.cursor(page.end) if page.end else None, total)

    def _count(self) -> Response:
        try:
            query = read(dict(request.args.lists()))
        except Refused as refusal:
            return _error(400, 4000010, "Validation Error", str(refusal))
        return answer_json({"data": {"total": self._agents.count(query.keep)}})

    def _system(self) -> Response:
        build = {"build": "25.1.3#42", "latestAgentVersion": "24.2.3.471", "patch": "1", "release": "Zion-SP1"}
        return answer_json({"data": {**build, "version": "Z-25.1.3"}})

    def _needs_token(self, view: Callable[[], Response], viewers_only: bool = True) -> Callable[[], Response]:
        @functools.wraps(view)
        def guarded() -> Response:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "apitoken" or token != self.token:
                return _error(401, 4010010, "Authentication Failed", None)
            if viewers_only and not self.viewer:
                return _error(403, 4030010, "Insufficient permissions", None)
            return view()

        return guarded

    def wrong_method(self, _: HTTPException) -> Response:
        return _error(405, 4050010, "Method Not Allowed", "")


def iso(moment: datetime) -> str:
    """UTC with microseconds and a Z: the form of `updatedAt`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def _page(records: list[bytes], cursor: str | None, total: int) -> Response:
    """`totalItems` is told on the first page only; later ones say 0, as the live API does."""
    following = f'"{cursor}"' if cursor else "null"
    end = f'],"pagination":{{"nextCursor":{following},"totalItems":{total}}}}}'.encode()
    return Response(b"".join((b'{"data":[', b",".join(records), end)), content_type="application/json")


def _error(status: int, code: int, title: str, detail: str | None) -> Response:
    return answer_json({"errors": [{"code": code, "detail": detail, "title": title}]}, status)
