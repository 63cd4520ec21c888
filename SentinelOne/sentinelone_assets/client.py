"""SentinelOne Management API 2.1, `GET /web/api/v2.1/agents`."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from pyrate_limiter import Duration, RequestRate

from shared.http.pages import Listing, Pages, PageSize, follow
from shared.http.paging import by_field
from shared.http.selection import selection
from shared.http.session import ApiSession
from shared.times import iso

RATES = (RequestRate(25, Duration.SECOND),)  # of each token on /agents, documented by the vendor
ADVICE = {
    401: "Check the API token: it may have expired or been revoked. Create a new one for the Service User.",
    403: "Give the Service User the role Viewer (permission Endpoints.view) in its scope.",
    404: "Check the URL Domain: it must be the address of your SentinelOne console, https://your-instance.sentinelone.net.",
}


def cursor(encoded: str) -> str:
    """The next page's cursor, decoded, as it arrives URL-encoded (`…%3D`); "" for "null", which is the end."""
    return "" if encoded == "null" else unquote(encoded)


AGENTS = Listing(
    "/web/api/v2.1/agents",
    records="data",
    next_page=by_field("pagination.nextCursor", "cursor", optional=True, decode=cursor),
    size="limit",
    total="pagination.totalItems",
)


class SentinelOneClient:
    """Reads agents page by page, of each the fields at the `paths`. Knows URLs and pages, nothing of OCSF."""

    PAGE_SIZE = 1000  # the documented maximum

    def __init__(self, session: ApiSession, page_size: int | None = None, *, paths: Iterable[str] = ()) -> None:
        self._session = session
        self._parse = selection(paths)
        self._size = PageSize(page_size or self.PAGE_SIZE)

    def agents(self, changed_since: float | None = None) -> Pages:
        """Pages of agents: by `updatedAt` when `changed_since` (epoch seconds) is given, else all of them by `id`.

        The bound is inclusive: two agents can share a timestamp, and sending one twice is harmless while missing one
        is not. Decommissioned agents are not asked for: the API leaves them out by default.
        """
        query = {"sortBy": "id", "sortOrder": "asc"}
        if changed_since is not None:
            query |= {"sortBy": "updatedAt", "updatedAt__gte": iso(changed_since)}
        return follow(self._session, AGENTS, query, self._size, parse=self._parse)
