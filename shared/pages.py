"""Following a vendor's pages to the last one, whatever its way of naming the next."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from shared.errors import UnexpectedReply

Position = TypeVar("Position", bound=Hashable)
_MOST_IDLE_PAGES = 100
_HEAVY = 64 * 1024 * 1024  # bytes of memory: such a page is done with before the next one is fetched


@dataclass(frozen=True, slots=True)
class Page:
    """One page of raw records, in the vendor's order. `date`: the vendor's clock when it answered, epoch seconds.

    `total`: the rows of the whole list when this page was made, where the vendor tells it. `memory`: the bytes that the
    records take at most.
    """

    records: list[Any]
    date: float | None = None
    total: int | None = None
    memory: int = 0


def follow(who: str, fetch: Callable[[Position | None], tuple[Page, Position | None]]) -> Iterator[Page]:
    """Pages from the first (`fetch(None)`) to the one that names no next position.

    A position met twice, or a hundred pages in a row that are empty or begin with the same record, would go on for
    ever: UnexpectedReply, so that the walk counts as not ended and nothing is concluded from it.
    """
    position: Position | None = None
    seen: set[int] = set()  # hashes: a walk of a million devices names thousands of long cursors
    idle, head = 0, None
    while True:
        page, position = fetch(position)
        before, head = head, _told(page.records[0]) if page.records else head
        idle = idle + 1 if head == before else 0
        yield page
        if position is None:
            return
        if hash(position) in seen:
            raise UnexpectedReply(f"{who} gave the same page position twice; the list cannot be read to its end.")
        if idle >= _MOST_IDLE_PAGES:
            raise UnexpectedReply(f"{who} gave {idle} pages in a row without anything new and still names a next one.")
        seen.add(hash(position))


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


def read_ahead(pages: Iterator[Page]) -> Generator[Page, None, None]:
    """The same pages, the next one being fetched (in a thread) while the caller works on this one, unless it is heavy."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
    try:
        coming = pool.submit(next, pages, None)
        while (page := coming.result()) is not None:
            heavy = page.memory > _HEAVY
            if heavy:
                yield page
            coming = pool.submit(next, pages, None)
            if not heavy:
                yield page
            del page
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
