"""What a module's log says of the records it skipped."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAMED = re.compile(r" - WARNING - Skipped an? \w+ \(([^\n].{0,110}?)\): ([^\n]+)", re.DOTALL)


@dataclass(frozen=True)
class Skip:
    """One record: which it was, as the vendor names it, and why."""

    record: str
    reason: str


def skips_in(log: str) -> list[Skip]:
    """In the order of the log. A round names a thousand at most; how many there were is in its counts."""
    return [Skip(record, reason) for record, reason in _NAMED.findall(log)]
