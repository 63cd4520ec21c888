"""What a run did, for people: the table after `demo` and `run`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

Event = dict[str, Any]


@dataclass
class Outcome:
    """One module's run. `round` is what its `/health` told of the round, `error` what stopped it."""

    name: str
    round: dict[str, Any]
    events: Iterable[Event] = field(repr=False)
    error: str | None = None

    @property
    def seconds(self) -> float:
        """How long the round took; 0 when it did not end."""
        return float(self.round["seconds"])


def show(outcomes: list[Outcome], console: Console) -> None:
    """One row a module, then what arrived by operating system and by type."""
    table = _table("What was collected")
    table.add_column("module", no_wrap=True)
    for name in ("read", "sent", "unchanged", "skipped", "batches", "seconds", "devices/s"):
        table.add_column(name, justify="right", no_wrap=True)
    for outcome in outcomes:
        done = outcome.round
        rate = done["read"] / outcome.seconds if outcome.seconds else 0
        counts = [f"{done[name]:,}" for name in ("read", "sent", "unchanged", "skipped", "batches")]
        table.add_row(outcome.name, *counts, f"{outcome.seconds:.1f}", f"{rate:,.0f}")
    console.print(table)
    for title, path in (("By operating system", ("os", "type")), ("By type", ("type",))):
        _show_counts(title, path, outcomes, console)
    for outcome in outcomes:
        if outcome.error:
            console.print(f"[red]{outcome.name}:[/red] {outcome.error}", highlight=False)


def _show_counts(title: str, path: tuple[str, ...], outcomes: list[Outcome], console: Console) -> None:
    columns = {outcome.name: Counter(_told(event, path) for event in outcome.events) for outcome in outcomes}
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


def _told(event: Event, path: tuple[str, ...]) -> str:
    value: Any = event["device"]
    for step in path:
        value = value.get(step, {}) if isinstance(value, dict) else {}
    return str(value or "not told")
