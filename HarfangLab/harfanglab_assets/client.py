"""HarfangLab EDR manager, `GET /api/data/endpoint/Agent/`: a Django REST API with limit and offset."""

from __future__ import annotations

from collections.abc import Iterable

from shared.http.pages import Listing, Pages, PageSize, follow
from shared.http.paging import by_link
from shared.http.selection import selection
from shared.http.session import ApiSession

ADVICE = {
    401: "Check the API token: it may have been revoked or copied in part. Create a new one for the user.",
    403: "Give the token's user the right to see the endpoints (agents), and access to all groups to be collected.",
    404: "Check the URL: it must be the manager's address with its port, such as https://your-instance.hurukai.io:8443.",
}
AGENTS = Listing(
    "/api/data/endpoint/Agent/",  # without the slash at its end the manager redirects
    records="results",
    next_page=by_link("next", any_host=True),  # behind a proxy, a manager gives links with its inner address
    size="limit",
    total="count",
    any_size=True,
    bare=True,
)


class HarfangLabClient:
    """Reads agents page by page, of each the fields at the `paths`. Knows URLs and pages, nothing of OCSF."""

    PAGE_SIZE = 1_000  # managers accept more, but each agent contains its complete policy, and memory is to stay low

    def __init__(self, session: ApiSession, page_size: int | None = None, *, paths: Iterable[str] = ()) -> None:
        self._session = session
        self._parse = selection(paths)
        self._size = PageSize(page_size or self.PAGE_SIZE)

    def agents(self) -> Pages:
        """Pages of all agents, sorted by `firstseen`, which never changes: new agents are at the end.

        Pages are named by offsets: if an agent is removed during a walk, a later one moves into a page already read.
        """
        query = {"offset": 0, "ordering": "firstseen"}
        return follow(self._session, AGENTS, query, self._size, parse=self._parse)
