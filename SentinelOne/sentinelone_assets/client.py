"""SentinelOne Management API 2.1, `GET /web/api/v2.1/agents`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from pyrate_limiter import Duration, RequestRate

from shared.errors import UnexpectedReply
from shared.http.pages import Page, Pages, follow, records_of
from shared.http.selection import selection
from shared.http.session import ApiSession, Reply
from shared.times import iso

AGENTS = "/web/api/v2.1/agents"
RATES = (RequestRate(25, Duration.SECOND),)  # of each token on /agents, documented by the vendor
ADVICE = {
    401: "Check the API token: it may have expired or been revoked. Create a new one for the Service User.",
    403: "Give the Service User the role Viewer (permission Endpoints.view) in its scope.",
    404: "Check the URL Domain: it must be the address of your SentinelOne console, https://your-instance.sentinelone.net.",
}


class SentinelOneClient:
    """Reads agents page by page, of these what lies on the `paths`. Knows URLs and pages, nothing of OCSF."""

    PAGE_SIZE = 1000  # the documented maximum

    def __init__(self, session: ApiSession, page_size: int | None = None, *, paths: Iterable[str] = ()) -> None:
        self._session = session
        self._parse = selection(paths)
        self._page_size = page_size or self.PAGE_SIZE

    def agents(self, changed_since: float | None = None) -> Pages:
        """Pages of agents: by `updatedAt` when `changed_since` (epoch seconds) is given, else all of them by `id`.

        The bound is inclusive: two agents can share a timestamp, and sending one twice is harmless while missing one
        is not. Decommissioned agents are not asked for: the API leaves them out by default.
        """
        who = self._session.who
        query: dict[str, Any] = {"limit": self._page_size, "sortBy": "id", "sortOrder": "asc"}
        if changed_since is not None:
            query |= {"sortBy": "updatedAt", "updatedAt__gte": iso(changed_since)}

        def ask(cursor: str | None) -> Reply:
            # The other parameters stay the same on every page, and so does the order.
            return self._session.ask("GET", AGENTS, params=query if cursor is None else {**query, "cursor": cursor})

        def read(reply: Reply, _: str | None) -> Page:
            return Page(records_of(who, reply.json, "data"), reply.date)

        return follow(self._session, ask, read, lambda body, _: _next_cursor(body, who), "data", self._parse)


def _next_cursor(body: dict[str, Any], who: str) -> str | None:
    """The next page's cursor. It comes URL-encoded (`…%3D`) and would be encoded again; null, "" and "null" end."""
    pagination = body.get("pagination") or {}
    cursor = pagination.get("nextCursor") if isinstance(pagination, dict) else pagination
    if cursor in (None, "", "null"):
        return None
    if not isinstance(cursor, str):
        raise UnexpectedReply(f"{who} sent a page whose next cursor is no text; the list cannot be read to its end.")
    return unquote(cursor)
