"""Following module processes to the end of their round, with progress for people."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from lab.platform.local import LocalPlatform
from lab.process import ModuleProcess
from lab.report.summary import Outcome
from lab.terminal import say

_POLL_S = 0.1
_WITH_BARS = 60  # columns that a name, a bar, counts and a time need; rich would cut the counts first


@dataclass
class Following:
    """Running processes. `expected` is the number of rows that each should read, if it is known."""

    processes: list[ModuleProcess]
    platform: LocalPlatform
    console: Console
    expected: int | None = None
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def until_round_ended(self) -> list[Outcome]:
        """One outcome a process, in their order, once each has ended a round, successfully or not."""
        with progress_on(self.console) as progress:
            bars = {p.module.name: progress.add_task(p.module.name, total=self.expected) for p in self.processes}
            while len(self.outcomes) < len(self.processes):
                for process in self.processes:
                    if process.module.name not in self.outcomes:
                        self._look_at(process, progress, bars[process.module.name])
                time.sleep(_POLL_S)
        return [self.outcomes[process.module.name] for process in self.processes]

    def _look_at(self, process: ModuleProcess, progress: Progress, bar: TaskID) -> None:
        health = process.health()
        if health is None and process.exit_code is None:
            return
        round_ = (health or {}).get("round") or dict.fromkeys(
            ("read", "sent", "unchanged", "skipped", "batches", "seconds"), 0
        )
        progress.update(bar, completed=round_["read"])
        error = (health or {}).get("last_error")
        if health is None:
            error = f"the process ended with code {process.exit_code}; what it wrote is in {process.log}"
        if health is None or health["cycles"]:
            kind = process.module.kind
            events = kind.arrived(self.platform, process.uuid)
            self.outcomes[process.module.name] = Outcome(process.module.name, round_, events, error, kind)
            if progress.disable:
                ended = "failed" if error else "ended its round"
                say(self.console, f"{process.module.name} {ended}: {round_['read']:,} read, {round_['sent']:,} sent")


def progress_on(console: Console) -> Progress:
    """One line a module; on a narrow terminal without bars, and none where there is no terminal to redraw."""
    name, counts = TextColumn("{task.description}", markup=False), MofNCompleteColumn()
    columns: list[ProgressColumn] = [name, counts]
    if console.width >= _WITH_BARS:
        columns = [name, BarColumn(), counts, TimeElapsedColumn()]
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def stop_all(processes: list[ModuleProcess]) -> None:
    """SIGTERM to all."""
    for process in processes:
        process.stop()
