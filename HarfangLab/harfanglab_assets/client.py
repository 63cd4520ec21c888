"""HarfangLab EDR manager, `GET /api/data/endpoint/Agent/`: a Django REST API with limit and offset."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shared.errors import TryAgain, UnexpectedReply
from shared.http.pages import Listing, Pages, PageSize, follow
from shared.http.paging import by_link
from shared.http.selection import selection
from shared.http.session import ApiSession
from shared.mapping.conversions import text

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


_READS = 2
_MOST_REPEATED = 5  # pages in a row, under ever new page tokens


class HarfangLabClient:
    """Reads agents page by page, of these what lies on the `paths`. Knows URLs and pages, nothing of OCSF."""

    PAGE_SIZE = 1_000  # managers take more; an agent comes with its whole policy, and memory is to stay flat

    def __init__(self, session: ApiSession, page_size: int | None = None, *, paths: Iterable[str] = ()) -> None:
        self._session = session
        self._parse = selection(paths, "id")
        self._size = PageSize(page_size or self.PAGE_SIZE)

    def agents(self) -> Pages:
        """Pages of all agents, by `firstseen`; an agent may come twice.

        Offsets count rows of a live list: one that leaves it in mid-walk draws a later one into a page already read.
        When the rows do not add up, all are read again, once. TryAgain when they do not then either: each page was
        given out, but an agent may be missing, so that the walk must not count as complete.
        """
        query = {"offset": 0, "ordering": "firstseen"}
        for _ in range(_READS):
            tally = Tally()
            for page in follow(self._session, AGENTS, query, self._size, parse=self._parse):
                tally.add(page.records, page.total)
                if tally.repeated_pages >= _MOST_REPEATED:
                    raise UnexpectedReply(f"{self._session.who} gives the same agents page after page, without an end.")
                yield page
                del page
            if not tally.drifted:
                return
        raise TryAgain(
            f"{self._session.who} listed {tally.promised} agents and gave {tally.different}, read twice: its list changes "
            "while it is read, or the token does not see all of it. What was read is sent; the connector tries again "
            "later."
        )


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
