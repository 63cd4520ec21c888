"""The parts of a section of the report: charts and lists, counted and measured; the templates only draw them.

The name of each class in lower case is the name of the macro in `templates/parts.html` that draws it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar

from shared.masking import shown

_MAX_BARS = 12  # a vendor may name a thousand types: the smallest are one bar together
_MAX_STEPS = 36  # columns that are still seen on a phone
_STEPS = (300, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400, 604_800)  # seconds a column
_MAX_DAYS = 90  # a clock that is wrong by years must not put all others into one column
_MAX_ROWS = 100_000  # of a list in the page; a browser searches them without a pause

Cell = str | int | float


class Part:
    """Something a section shows."""

    macro: ClassVar[str]

    def __init_subclass__(cls) -> None:
        cls.macro = cls.__name__.lower()


@dataclass(frozen=True)
class Bar:
    label: str
    count: int
    percent: float  # of all
    length: float  # percent of the longest


@dataclass(frozen=True)
class Bars(Part):
    """Counts as bars, the largest first, or in the `order` of the labels where they have one."""

    title: str
    bars: list[Bar]

    @classmethod
    def of(cls, title: str, counts: Mapping[str, int], order: Sequence[str] = ()) -> Bars:
        ranked = [(label, counts[label]) for label in order if counts.get(label)]
        ranked += [pair for pair in Counter(counts).most_common() if pair[0] not in order]
        if len(ranked) > _MAX_BARS:
            rest = ranked[_MAX_BARS - 1 :]
            ranked[_MAX_BARS - 1 :] = [(f"{len(rest):,} others", sum(count for _, count in rest))]
        total, most = sum(counts.values()), max((count for _, count in ranked), default=0)
        return cls(title, [Bar(shown(label), n, 100 * n / total, 100 * n / most) for label, n in ranked])


@dataclass(frozen=True)
class Strip:
    """One row of a timeline: `counts` by column, `heights` in percent of the highest column of all strips."""

    label: str
    rank: int
    total: int
    counts: list[int]
    heights: list[float]


@dataclass(frozen=True)
class Timeline(Part):
    """Counts by time, a strip a label, all of one scale. `starts` are the columns' beginnings, `outside` what has no column."""

    title: str
    step: str
    starts: list[str]
    strips: list[Strip]
    highest: int
    outside: int

    @classmethod
    def of(
        cls, title: str, moments: Iterable[tuple[str, float | None]], ranks: Mapping[str, int], now: float
    ) -> Timeline:
        """`moments`: label and epoch seconds of each; `ranks`: what comes first, by the label in lower case."""
        counted = Counter(moments)
        times = [at for _, at in counted if at is not None and now - _MAX_DAYS * 86_400 <= at <= now + 86_400]
        first, last = (min(times), max(times)) if times else (now, now)
        step = next((step for step in _STEPS if last // step - first // step < _MAX_STEPS), _STEPS[-1])
        origin = int(first // step)
        columns = int(last // step) - origin + 1
        by_label: dict[str, list[int]] = {label: [0] * columns for label, _ in counted}
        for (label, at), count in counted.items():
            if at is not None and 0 <= (place := math.floor(at / step) - origin) < columns:
                by_label[label][place] += count
        rows = _few(sorted(by_label.items(), key=lambda row: (_rank(ranks, row[0]), -sum(row[1]), row[0])))
        highest = max((count for _, row in rows for count in row), default=0)
        strips = [
            Strip(shown(label), _rank(ranks, label), sum(row), row, [100 * count / (highest or 1) for count in row])
            for label, row in rows
        ]
        outside = counted.total() - sum(strip.total for strip in strips)
        return cls(title, _duration(step), _starts(origin, step, columns), strips, highest, outside)


@dataclass(frozen=True)
class Listing(Part):
    """A table of any length: the page shows its first rows, a script pages, sorts and searches them."""

    noun: str
    columns: Sequence[str]
    rows: list[tuple[Cell, ...]]
    total: int
    numeric: frozenset[int] = field(default_factory=frozenset)  # columns, from 0
    PAGE: ClassVar[int] = 25
    FEW: ClassVar[int] = 10  # rows up to which no search is needed

    @classmethod
    def of(cls, noun: str, columns: Sequence[str], rows: Sequence[tuple[Cell, ...]]) -> Listing:
        cells = [tuple(shown(cell) if isinstance(cell, str) else cell for cell in row) for row in rows[:_MAX_ROWS]]
        numeric = frozenset(
            n for n in range(len(columns)) if cells and not any(isinstance(row[n], str) for row in cells)
        )
        return cls(noun, columns, cells, len(rows), numeric)


def _few(rows: list[tuple[str, list[int]]]) -> list[tuple[str, list[int]]]:
    if len(rows) <= _MAX_BARS:
        return rows
    rest = rows[_MAX_BARS - 1 :]
    return [
        *rows[: _MAX_BARS - 1],
        (f"{len(rest):,} others", [sum(counts) for counts in zip(*(row for _, row in rest), strict=True)]),
    ]


def _rank(ranks: Mapping[str, int], label: str) -> int:
    return ranks.get(label.casefold(), len(set(ranks.values())))


def _duration(seconds: int) -> str:
    for unit, size in (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}s" if count > 1 else f"1 {unit}"
    raise ValueError(seconds)


def _starts(origin: int, step: int, columns: int) -> list[str]:
    form = "%m-%d %H:%M" if step < 86_400 else "%Y-%m-%d"
    return [f"{datetime.fromtimestamp((origin + n) * step, UTC):{form}}" for n in range(columns)]
