"""Following a vendor's pages to the last one, whatever its way of naming the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar

import orjson

from shared.errors import UnexpectedReply
from shared.http.body import Parse, parse
from shared.http.session import ApiSession, Reply

Position = TypeVar("Position", bound=Hashable)
_MOST_IDLE_PAGES = 100
_HEAD_START = 0.002  # seconds in which a call leaves: parsing does not let another thread run
LONG_BODY = 512 * 1024  # bytes of a body that is worth a look before it is parsed


@dataclass(frozen=True, slots=True)
class Page:
    """One page of raw records, in the vendor's order. `date`: the vendor's clock when it answered, epoch seconds.

    `total`: the rows of the whole list when this page was made, where the vendor tells it. `memory`: the bytes that the
    records take at most, where that is looked at.
    """

    records: list[Any]
    date: float | None = None
    total: int | None = None
    memory: int = 0


Pages = Generator[Page, None, None]


def follow(
    session: ApiSession,
    ask: Callable[[Position | None], Reply],
    read: Callable[[Reply, Position | None], Page],
    following: Callable[[Any, Position | None], Position | None],
    records: str = "",
    parse: Parse = parse,
) -> Pages:
    """Pages from the first (`ask(None)`) to the one that names no next position.

    `read(reply, position)` takes the page from a reply, `following(body, position)` the next position. Where the
    session's patience says `ahead`, the next page is asked for while the caller works on this one, and before this one is
    parsed when what stands beside its list `records` tells the position. `parse` may leave out of the records what is
    not read (`shared.http.selection`).

    A position met twice, or a hundred pages in a row that are empty or begin with the same record, would go on for
    ever: UnexpectedReply, so that the walk counts as not ended and nothing is concluded from it.
    """
    who, ahead = session.who, session.patience.ahead
    position: Position | None = None
    seen: set[int] = set()  # hashes: a walk of a million devices names thousands of long cursors
    idle, head = 0, None
    with _Asking(ask, in_thread=ahead) as asking:
        while True:
            reply = asking.answer(position)
            if reply.parse is not parse:  # one that is parsed already stays so
                reply = replace(reply, parse=parse)
            if ahead and (guess := guess_next(reply, records, following, position)) and hash(guess) not in seen:
                asking.begin(guess)
                time.sleep(_HEAD_START)
            page, position = read(reply, position), following(reply.json, position)
            del reply
            before, head = head, _told(page.records[0]) if page.records else head
            idle = idle + 1 if head == before else 0
            endless = _endless(who, position is not None and hash(position) in seen, idle)
            if ahead and position is not None and not endless:
                asking.begin(position)
            yield page
            del page  # the next one is parsed when this one is let go
            if position is None:
                return
            if endless:
                raise endless
            seen.add(hash(position))


def _endless(who: str, again: bool, idle: int) -> UnexpectedReply | None:
    if again:
        return UnexpectedReply(f"{who} gave the same page position twice; the list cannot be read to its end.")
    if idle >= _MOST_IDLE_PAGES:
        return UnexpectedReply(f"{who} gave {idle} pages in a row without anything new and still names a next one.")
    return None


class _Asking(Generic[Position]):
    """Asks for one page at a time: in a thread, where it is `in_thread`, so that the caller need not wait meanwhile."""

    def __init__(self, ask: Callable[[Position | None], Reply], *, in_thread: bool) -> None:
        self._ask = ask
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="read-ahead") if in_thread else None
        self._coming: tuple[Position | None, Future[Reply]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread:
            self._thread.shutdown(wait=True, cancel_futures=True)

    def begin(self, position: Position | None) -> None:
        if self._thread and not (self._coming and self._coming[0] == position):
            self._coming = position, self._thread.submit(self._ask, position)

    def answer(self, position: Position | None) -> Reply:
        """The reply for a position, begun or not; raises what the call raised."""
        self.begin(position)
        coming, self._coming = self._coming, None
        return coming[1].result() if coming else self._ask(position)


def guess_next(
    reply: Reply,
    records: str,
    following: Callable[[Any, Position | None], Position | None],
    position: Position | None,
) -> Position | None:
    """The next position by what stands beside the list of records; None where that cannot be made out.

    Parsing a long page takes as long as half of a call. A guess that turns out wrong costs a call and nothing else.
    """
    if len(reply.body) < LONG_BODY or not records:
        return None
    begin = reply.body.find(b"[", reply.body.find(b'"%b"' % records.encode()))
    try:
        told = orjson.loads(reply.body[: begin + 1] + reply.body[reply.body.rindex(b"]") :])
        return following(told, position) if isinstance(told, dict) else None
    except (ValueError, UnexpectedReply):
        return None


def _told(record: Any) -> Any:
    """What a record says of itself, but for the lists and objects inside of it."""
    if isinstance(record, dict):
        return {key: value for key, value in record.items() if not isinstance(value, dict | list)}
    return None if isinstance(record, list) else record


def records_of(who: str, body: Any, key: str) -> list[Any]:
    """The list of records under `key` of a page; UnexpectedReply when there is none. null is not "no devices"."""
    records = body.get(key) if isinstance(body, dict) else None
    if not isinstance(records, list):
        raise UnexpectedReply(f"{who} sent a page without the list {key!r}; nothing is concluded from it.")
    return records


def paging_of(who: str, body: Any, key: str) -> dict[str, Any]:
    """The object that tells of the other pages; UnexpectedReply when there is none, for then the end is not known."""
    paging = body.get(key) if isinstance(body, dict) else None
    if not isinstance(paging, dict):
        raise UnexpectedReply(f"{who} sent a page without {key!r}; the list cannot be read to its end.")
    return paging


def next_position(who: str, told: Any) -> str | None:
    """The next page's position, where it is a text; absent, null and "" are the end."""
    if told is not None and not isinstance(told, str):
        raise UnexpectedReply(f"{who} named a next page by something that is no text; the list cannot be read on.")
    return told or None
