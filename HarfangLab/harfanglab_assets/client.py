"""HarfangLab EDR manager, `GET /api/data/endpoint/Agent/`: a Django REST API with limit and offset."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from shared.errors import UnexpectedReply
from shared.http.pages import Page, Pages, follow, next_position, records_of
from shared.http.selection import selection
from shared.http.session import ApiSession, Reply

AGENTS = "/api/data/endpoint/Agent/"  # without the slash at its end the manager redirects
ADVICE = {
    401: "Check the API token: it may have been revoked or copied in part. Create a new one for the user.",
    403: "Give the token's user the right to see the endpoints (agents), and access to all groups to be collected.",
    404: "Check the URL: it must be the manager's address with its port, such as https://your-instance.hurukai.io:8443.",
}


class HarfangLabClient:
    """Reads agents page by page, of these what lies on the `paths`. Knows URLs and pages, nothing of OCSF."""

    PAGE_SIZE = 1_000  # managers take more; an agent comes with its whole policy, and memory is to stay flat

    def __init__(self, session: ApiSession, page_size: int | None = None, *, paths: Iterable[str] = ()) -> None:
        self._session = session
        self._parse = selection(paths)
        self._page_size = page_size or self.PAGE_SIZE

    def agents(self) -> Pages:
        """Pages of all agents, by `firstseen`, which never changes, so that new agents come last.

        Offsets count rows of a live list: when one leaves it in mid-walk, a later one moves into a page already read.
        """
        query = {"limit": self._page_size, "offset": 0, "ordering": "firstseen"}

        def ask(link: str | None) -> Reply:
            return self._session.ask("GET", link or AGENTS, params=query if link is None else None)

        def read(reply: Reply, _: str | None) -> Page:
            if isinstance(reply.json, list):  # some versions answer so, with all there is
                return Page(reply.json, reply.date)
            count = reply.json.get("count") if isinstance(reply.json, dict) else None
            total = count if type(count) is int else None
            return Page(records_of(self._session.who, reply.json, "results"), reply.date, total)

        def following(body: Any, _: str | None) -> str | None:
            return None if isinstance(body, list) else self._next_link(body.get("next"))

        return follow(self._session, ask, read, following, "results", self._parse)

    def _next_link(self, told: Any) -> str | None:
        """Path and query of `next`, which a manager behind a proxy gives with a scheme, host or port of its own."""
        link = next_position(self._session.who, told)
        if link is None:
            return None
        try:
            parts = urlsplit(link)
        except ValueError:
            raise UnexpectedReply(f"{self._session.who} named a next page by something that is no URL.") from None
        return f"/{parts.path.lstrip('/') or AGENTS.lstrip('/')}?{parts.query}"
