"""The results of a run, for people: the tables after `demo` and `run`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, get_args

from rich.console import Console

from lab.kinds import DEVICES, KINDS, Event, Kind
from lab.platform.local import PlaybookRun
from lab.report.skips import Gone, Skip
from lab.terminal import say, show_table

COUNTED = ("read", "sent", "unchanged", "skipped", "batches")


@dataclass
class Outcome:
    """One module's run. `round` is the round in its `/health`, `error` the error that ended it; `skips` and `gone` are
    the skipped records and gone devices in its log, `playbook_runs` the playbooks that its trigger started."""

    name: str
    round: dict[str, Any]
    events: Iterable[Event] = field(repr=False)
    error: str | None = None
    kind: Kind = DEVICES
    skips: list[Skip] = field(default_factory=list, repr=False)
    gone: list[Gone] = field(default_factory=list, repr=False)
    playbook_runs: list[PlaybookRun] = field(default_factory=list, repr=False)

    @property
    def seconds(self) -> float:
        """How long the round took; 0 when it did not end."""
        return float(self.round["seconds"])


def show(outcomes: list[Outcome], console: Console) -> None:
    """One row a module, then what arrived: devices by operating system and type, alerts by severity and vector."""
    rows = []
    for outcome in outcomes:
        rate = outcome.round["read"] / outcome.seconds if outcome.seconds else 0
        counts = [f"{outcome.round[name]:,}" for name in COUNTED]
        rows.append([outcome.name, *counts, f"{outcome.seconds:.1f}", f"{rate:,.0f}"])
    show_table("What was collected", ["module", *COUNTED, "seconds", "read/s"], rows, console, numbers=True)
    for kind in KINDS:
        for title, value_of in kind.counts.items():
            _show_counts(title, value_of, [outcome for outcome in outcomes if outcome.kind is kind], console)
    _show_playbook_runs([outcome for outcome in outcomes if outcome.playbook_runs], console)
    console.print()
    for outcome in outcomes:
        if outcome.error:
            say(console, (f"{outcome.name}: ", "red"), outcome.error)


def _show_playbook_runs(outcomes: list[Outcome], console: Console) -> None:
    if not outcomes:
        return
    from shared.runtime.settings import Kind as ChangeKind  # which imports the SDK

    changes = get_args(ChangeKind)
    rows = []
    for outcome in outcomes:
        kinds = Counter(run.event["change"]["kind"] for run in outcome.playbook_runs)
        rows.append([outcome.name, *(f"{kinds[kind]:,}" for kind in changes), outcome.playbook_runs[-1].name])
    show_table("Playbooks that were started", ["module", *changes, "the last one"], rows, console)


def _show_counts(title: str, value_of: Callable[[Event], str], outcomes: list[Outcome], console: Console) -> None:
    columns = {outcome.name: Counter(map(value_of, outcome.events)) for outcome in outcomes}
    total = sum(columns.values(), Counter[str]())
    if not total:
        return
    rows = [[value, *(f"{counts[value]:,}" for counts in columns.values())] for value, _ in total.most_common()]
    show_table(title, ["", *columns], rows, console, numbers=True)
