"""A vendor's list, read page by page to its end: the next page prefetched, smaller pages where they are too heavy."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from shared.errors import ConnectorError, UnexpectedReply
from shared.http import body as bodies
from shared.http.paging import NextPage, Query, value_at
from shared.http.session import ApiSession, Reply

Entry = TypeVar("Entry")
_SMALLEST = 10  # records of a page that shows whether the server works
MAX_COLLECTED = 256 * 1024 * 1024  # bytes of memory that the records of a collected list may take


@dataclass(frozen=True, slots=True)
class Page:
    """One page of raw records, in the vendor's order. `date`: the vendor's clock when it answered, epoch seconds.

    `total`: rows of the complete list, None when not reported with this page. `memory`: bytes that the records take at
    most, for lists that are `held`. `anew`: the walk begins again with this page, so that records are read again.
    """

    records: list[Any]
    date: float | None = None
    total: int | None = None
    memory: int = 0
    anew: bool = False


Pages = Generator[Page, None, None]


@dataclass
class EndlessCheck:
    """UnexpectedReply when five pages in a row bring nothing new: the list has no end."""

    who: str
    idle: int = 0  # pages in a row

    def page(self, *, new: bool) -> None:
        """Count a page, with or without anything new."""
        self.idle = 0 if new else self.idle + 1
        if self.idle == 5:
            raise UnexpectedReply(
                f"{self.who} sent 5 pages in a row without anything new; the list has no end. If this persists, report it "
                f"to {self.who}."
            )


@dataclass(frozen=True)
class Listing:
    """A list of a vendor: `GET path`, with the maximum of records a page as the parameter `size`.

    `records`: the key of the records; "" where each page is a plain list. `total`, `max_size`: paths of the number of rows
    and of the maximum page size, where they are reported. `any_size`: the query of a next page stays valid with another
    page size. `absent_is_empty`: protobuf's JSON omits an empty list. `bare`: some servers answer with the plain list of
    all records. `held`: pages are kept in memory together.
    """

    path: str
    records: str
    next_page: NextPage
    size: str
    total: str = ""
    max_size: str = ""
    any_size: bool = False
    absent_is_empty: bool = False
    bare: bool = False
    held: bool = False

    def read(
        self, reply: Reply, *, first: bool, anew: bool = False, complete: Callable[[Any], object] | None = None
    ) -> Page:
        """The reply's page; UnexpectedReply when it has no list of records, or reports an error and has no records."""
        records = self._records_of(reply)
        total = value_at(reply, self.total, optional=True)
        if type(total) is not int or total < len(records) or (total == 0 and not first):  # only the first page counts
            total = None
        if complete:
            for record in records:
                complete(record)
        return Page(records, reply.date, total, bodies.memory_of(reply.body) if self.held else 0, anew)

    def _records_of(self, reply: Reply) -> list[Any]:
        body = reply.json
        if isinstance(body, list) and (self.bare or not self.records):
            return body
        fields = body if isinstance(body, dict) else {}
        records = fields.get(self.records)
        if fields.get("errors") and not records:
            raise UnexpectedReply(
                f"{reply.who} reported an error instead of records{reply.reason}; nothing is concluded from it."
            )
        if self.absent_is_empty and isinstance(body, dict) and self.records not in body and not reply.reason:
            return []
        if not isinstance(records, list):
            raise UnexpectedReply(
                f"{reply.who} sent a page without the list {self.records or 'records'!r}{reply.reason}; "
                "nothing is concluded from it."
            )
        return records


class PageSize:
    """Records to ask for in a page: halved when a page is too heavy to serve, doubled with each walk up to the maximum.

    `longest`: the maximum where the server reports that it serves such pages, until it refuses one.
    """

    def __init__(self, maximum: int, longest: int = 0) -> None:
        self.now = self._maximum = self._safe = maximum
        self._longest = longest

    def begin_walk(self) -> None:
        self.now = min(self.now * 2, self._maximum)

    def halve(self) -> None:
        self.now = max(_SMALLEST, self.now // 2)

    def allow(self, reported: Any) -> None:
        """Longer pages, where the server reports that it serves them."""
        longest = min(reported, self._longest) if type(reported) is int else 0
        if self.now == self._maximum < longest:
            self.now = self._maximum = longest

    def withdraw(self) -> bool:
        """Go back to the first maximum; False when that is the maximum already."""
        longer = self.now > self._safe
        if longer:
            self.now, self._maximum, self._longest = self._safe, self._safe, 0
        return longer


def follow(
    session: ApiSession,
    listing: Listing,
    query: Query,
    size: PageSize,
    *,
    call: Callable[..., Reply] | None = None,
    parse: bodies.Parse = bodies.parse,
    complete: Callable[[Any], object] | None = None,
) -> Pages:
    """All pages of a list. With the session's `patience.ahead`, the next page is prefetched while the caller works on one.

    `call` stands in for `session.call`, `parse` may leave out of the records what is not read, `complete` adds to each
    record what is known of it. A page is parsed when the caller has released the one before.

    After an error that may be about the size, a page of 10 records is asked for. If it arrives, the page is asked for
    again with half of the size; else the server is down, and the error is raised. A walk whose queries are valid for one
    size only begins again.
    """

    def sized(asked: Query) -> Query:
        return {**asked, listing.size: size.now}

    ask = partial(call or session.call, "GET", listing.path, parse=parse)
    size.begin_walk()
    asked, first, given = sized(query), True, False
    prefetched: Future[Reply] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as thread:  # starts with the first prefetch
        while True:
            try:
                reply = prefetched.result() if prefetched else ask(params=asked)
                page = listing.read(reply, first=first, anew=first and given, complete=complete)
                complete_list = listing.bare and isinstance(reply.json, list)
                following = None if complete_list else listing.next_page(reply, asked, len(page.records))
                size.allow(value_at(reply, listing.max_size, optional=True))
                del reply
            except ConnectorError as error:
                again = asked if listing.any_size else query
                if error.may_be_size and size.now > _SMALLEST and _serves(ask, {**again, listing.size: _SMALLEST}):
                    size.halve()
                elif not (error.status == 400 and size.withdraw()):
                    raise
                prefetched = None
                asked, first = sized(again), first or not listing.any_size
                continue
            prefetched = None
            if following is not None:
                asked = sized(following)
                if session.patience.ahead:
                    prefetched = thread.submit(ask, params=asked)
            yield page
            del page  # before the next one is parsed
            if following is None:
                return
            first, given = False, True


def _serves(ask: Callable[..., Reply], query: Query) -> bool:
    """Whether the server answers a query with JSON."""
    try:
        _ = ask(params=query).json
    except ConnectorError:
        return False
    return True


def collect(who: str, pages: Pages, entry: Callable[[Any], tuple[str, Entry] | None]) -> dict[str, Entry]:
    """Read a list of `held` pages into a dict; `entry` returns a record's key and value, or None to ignore the record.

    UnexpectedReply when the list takes too much memory, or has no end.
    """
    found: dict[str, Entry] = {}
    met: set[str] = set()  # keys, since the walk began or began again
    memory = 0
    endless = EndlessCheck(who)
    with closing(pages):
        for page in pages:
            if page.anew:
                met.clear()
            before = len(met)
            for key, value in filter(None, map(entry, page.records)):
                found[key] = value
                met.add(key)
            endless.page(new=len(met) > before)
            memory += page.memory
            if memory > MAX_COLLECTED:
                most = MAX_COLLECTED // (1024 * 1024)
                raise UnexpectedReply(
                    f"{who} sent a list that fills more than {most} MiB of memory; reading it was stopped."
                )
            del page
    return found
