"""HarfangLab EDR manager, `GET /api/data/endpoint/Agent/`: a Django REST API with limit and offset."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from shared.errors import TryAgain, UnexpectedReply
from shared.http.pages import Page, Pages, follow, next_position, records_of
from shared.http.selection import selection
from shared.http.session import ApiSession, Reply
from shared.mapping.conversions import text

AGENTS = "/api/data/endpoint/Agent/"  # without the slash at its end the manager redirects
ADVICE = {
    401: "Check the API token: it may have been revoked or copied in part. Create a new one for the user.",
    403: "Give the token's user the right to see the endpoints (agents), and access to all groups to be collected.",
    404: "Check the URL: it must be the manager's address with its port, such as https://your-instance.hurukai.io:8443.",
}
_READS = 2
_MOST_REPEATED = 5  # pages in a row, under ever new positions


class HarfangLabClient:
    """Reads agents page by page, of these what lies on the `paths`. Knows URLs and pages, nothing of OCSF."""

    PAGE_SIZE = 1_000  # managers take more; an agent comes with its whole policy, and memory is to stay flat

    def __init__(self, session: ApiSession, page_size: int | None = None, *, paths: Iterable[str] = ()) -> None:
        self._session = session
        self._parse = selection(paths, "id")
        self._page_size = page_size or self.PAGE_SIZE

    def agents(self) -> Pages:
        """Pages of all agents, by `firstseen`; an agent may come twice.

        Offsets count rows of a live list: one that leaves it in mid-walk draws a later one into a page already read.
        When the rows do not add up, all are read again, once. TryAgain when they do not then either: each page was
        given out, but an agent may be missing, so that the walk must not count as complete.
        """
        for _ in range(_READS):
            tally = Tally()
            yield from self._read(tally)
            if not tally.drifted:
                return
        raise TryAgain(
            f"{self._session.who} listed {tally.promised} agents and gave {tally.different}, read twice: its list changes "
            "while it is read, or the token does not see all of it. What was read is sent; the connector tries again "
            "later."
        )

    def _read(self, tally: Tally) -> Pages:
        query = {"limit": self._page_size, "offset": 0, "ordering": "firstseen"}

        def ask(link: str | None) -> Reply:
            return self._session.ask("GET", link or AGENTS, params=query if link is None else None)

        def read(reply: Reply, _: str | None) -> Page:
            bare = isinstance(reply.json, list)  # some versions answer so, with all there is
            records = reply.json if bare else records_of(self._session.who, reply.json, "results")
            tally.add(records, None if bare else reply.json.get("count"))
            if tally.repeated_pages >= _MOST_REPEATED:
                raise UnexpectedReply(f"{self._session.who} gives the same agents page after page, without an end.")
            return Page(records, reply.date)

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


class Tally:
    """Counts the rows of one reading: a repeated id counts once, a row without one as a row of its own.

    `promised` is the `count` of the first page, None when not told; `different` the rows so far.
    """

    def __init__(self) -> None:
        self.promised: int | None = None
        self.different = 0
        self.repeated_pages = 0  # in a row, up to now, that brought nothing new
        self._ids: set[int] = set()  # hashes
        self._latest = 0
        self._moved = False

    def add(self, records: list[Any], count: Any) -> None:
        known, named = len(self._ids), 0
        for record in records:
            if uid := text(record.get("id")) if isinstance(record, dict) else None:
                self._ids.add(hash(uid))
                named += 1
        new = len(records) - named + len(self._ids) - known
        self.different += new
        self.repeated_pages = self.repeated_pages + 1 if records and not new else 0
        if type(count) is int:
            self.promised = count if self.promised is None else self.promised
            self._moved, self._latest = self._moved or count < self._latest, count
        self._moved = self._moved or new < len(records)

    @property
    def drifted(self) -> bool:
        """Whether a row may have been missed: one came twice, `count` sank, or fewer came than it promised.

        More than it promised is no drift: new agents come last in this order.
        """
        return self.promised is not None and (self._moved or self.different < self.promised)
