"""The main job, offline: every module against its simulated console, received by the local platform."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from lab.commands.changing import log_of_changes, run_triggers
from lab.commands.running import Following
from lab.fleet.unusable import unusable
from lab.kinds import DEVICES
from lab.modules import MODULES
from lab.platform.local import LocalPlatform
from lab.process import ModuleProcess
from lab.report.page import write_report
from lab.report.skips import gone_in, skips_in
from lab.report.summary import Outcome, show
from lab.terminal import readable, say


def run(devices: int, out: Path, people: Console, *, changes: bool = False) -> list[Outcome]:
    """One round of each module from an empty state; leaves `sent.jsonl` and `report.html` in `out`.

    With `changes` the triggers run too, and the fleets change while they do.
    """
    sent = out / "sent.jsonl"
    out.mkdir(parents=True, exist_ok=True)
    sent.unlink(missing_ok=True)
    people.print(f"Starting {', '.join(MODULES)} against simulated consoles of {devices:,} devices or alerts each …")
    with ExitStack() as stack:
        platform = stack.enter_context(LocalPlatform(out=sent))
        processes, consoles = [], []
        for module in MODULES.values():
            console: Any = stack.enter_context(module.simulated(devices))
            valid = console.record(console.ids[0])
            for record in unusable(valid, module.ids, module.number, by_id=module.kind is DEVICES):
                console.add(record)
            consoles.append((module, console))
            data, log = out / "state" / module.name, out / f"{module.name}.log"
            _empty(data)
            log.unlink(missing_ok=True)
            process = ModuleProcess(module, platform, module.settings_for(console), {}, data, log=log)
            processes.append(stack.enter_context(process))
        outcomes = Following(processes, platform, people, expected=devices).until_round_ended()
        for process, outcome in zip(processes, outcomes, strict=True):
            outcome.skips = skips_in(process.log.read_text(encoding="utf-8", errors="replace"))
        if changes:
            people.print("Now the fleets change, and the triggers look …")
            runs = run_triggers([pair for pair in consoles if pair[0].changes], devices, platform, out)
            for outcome in outcomes:
                outcome.playbook_runs = runs.get(outcome.name, [])
                if outcome.playbook_runs:
                    log = log_of_changes(out, MODULES[outcome.name])
                    outcome.gone = gone_in(log.read_text(encoding="utf-8", errors="replace"))
        show(outcomes, people)
        write_report(outcomes, out / "report.html")
    say(people, f"What was sent: {readable(sent)}")
    say(people, f"Report: {readable(out / 'report.html')}")
    return outcomes


def _empty(data: Path) -> None:
    for path in data.glob("*"):
        if path.suffix in (".json", ".bak", ".bin"):
            path.unlink()
