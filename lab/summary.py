"""What a run did, for people: the table after `demo` and `run`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from lab.kinds import DEVICES, KINDS, Event, Kind


@dataclass
class Outcome:
    """One module's run. `round` is what its `/health` told of the round, `error` what stopped it."""

    name: str
    round: dict[str, Any]
    events: Iterable[Event] = field(repr=False)
    error: str | None = None
    kind: Kind = DEVICES

    @property
    def seconds(self) -> float:
        """How long the round took; 0 when it did not end."""
        return float(self.round["seconds"])


def show(outcomes: list[Outcome], console: Console) -> None:
    """One row a module, then what arrived: devices by operating system and type, alerts by severity and vector."""
    table = _table("What was collected")
    table.add_column("module", no_wrap=True)
    for name in ("read", "sent", "unchanged", "skipped", "batches", "seconds", "a second"):
        table.add_column(name, justify="right", no_wrap=True)
    for outcome in outcomes:
        done = outcome.round
        rate = done["read"] / outcome.seconds if outcome.seconds else 0
        counts = [f"{done[name]:,}" for name in ("read", "sent", "unchanged", "skipped", "batches")]
        table.add_row(outcome.name, *counts, f"{outcome.seconds:.1f}", f"{rate:,.0f}")
    console.print(table)
    for kind in KINDS:
        for title, told in kind.counts.items():
            _show_counts(title, told, [outcome for outcome in outcomes if outcome.kind is kind], console)
    for outcome in outcomes:
        if outcome.error:
            console.print(f"[red]{outcome.name}:[/red] {outcome.error}", highlight=False)


def _show_counts(title: str, told: Callable[[Event], str], outcomes: list[Outcome], console: Console) -> None:
    columns = {outcome.name: Counter(map(told, outcome.events)) for outcome in outcomes}
    total = sum(columns.values(), Counter[str]())
    if not total:
        return
    table = _table(title)
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for value, _ in total.most_common():
        table.add_row(value, *(f"{counts[value]:,}" for counts in columns.values()))
    console.print(table)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
