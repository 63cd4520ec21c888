"""A refused batch, halved until the items that are refused are alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from shared.errors import ConnectorError

Item = TypeVar("Item")
_PROBES = 3  # items sent alone to learn whether the other side accepts anything


def may_be_content(error: ConnectorError) -> bool:
    """Whether a batch may have been refused because of its content: any status may mean it, as filters in between choose
    theirs; but not a missing answer, and not 401 or 429, which are about the credential and the rate.
    """
    return error.status not in (None, 401, 429)


def isolate_refused(
    items: Sequence[Item],
    push: Callable[[Sequence[Item]], None],
    refusal: ConnectorError,
    *,
    works: bool = False,
) -> Iterator[tuple[Sequence[Item], ConnectorError | None]]:
    """Send a refused batch again in parts. Yields each accepted part with None, and each item refused alone with its error.

    `push` sends items in one call, with one try, and raises unless they are accepted. `refusal` is the error of the batch.
    Up to three items are sent alone first, unless the other side `works`: it accepted others just before. When it accepts
    none of them it is down, and `refusal` is raised. The rest is halved, a batch of three or fewer sent item by item.
    An item is refused alone twice before it is blamed. An error that cannot be about the content is raised at once. What
    was yielded before an error counts.
    """
    if not may_be_content(refusal):
        raise refusal
    refusal.with_traceback(None)  # its frames hold what was sent
    suspects: list[Item] = []
    left = list(items)
    while not works:
        if not left or len(suspects) == _PROBES:
            raise refusal
        item = left.pop(0)
        works = _refusal(push, [item]) is None
        if works:
            yield [item], None
        else:
            suspects.append(item)
    parts = [[item] for item in left] if len(items) <= _PROBES else [left]
    while parts:
        part = parts.pop(0)
        if _refusal(push, part) is None:
            yield part, None
        elif len(part) == 1:
            suspects += part
        else:
            middle = len(part) // 2
            parts = [part[:middle], part[middle:], *parts]
    for item in suspects:
        yield [item], _refusal(push, [item])


def _refusal(push: Callable[[Sequence[Item]], None], items: Sequence[Item]) -> ConnectorError | None:
    """What the items are refused with, perhaps because of their content; None when they are accepted."""
    try:
        push(items)
    except ConnectorError as error:
        if not may_be_content(error):
            raise
        return error.with_traceback(None)  # its frames hold what was sent
    return None
