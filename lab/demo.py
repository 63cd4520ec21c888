"""The main job, offline: every module against its simulated console, received by the local platform."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from lab.modules import MODULES
from lab.platform import LocalPlatform
from lab.process import ModuleProcess
from lab.report import write_report
from lab.running import Following, readable
from lab.summary import Outcome, show


def run(devices: int, out: Path, people: Console) -> list[Outcome]:
    """One round of each module from an empty state; leaves `sent.jsonl` and `report.html` in `out`."""
    sent = out / "sent.jsonl"
    out.mkdir(parents=True, exist_ok=True)
    sent.unlink(missing_ok=True)
    people.print(f"Starting {', '.join(MODULES)} against simulated consoles of {devices:,} devices or alerts each …")
    with ExitStack() as stack:
        platform = stack.enter_context(LocalPlatform(out=sent))
        processes = []
        for module in MODULES.values():
            console = stack.enter_context(module.simulated(devices))
            data = out / "state" / module.name
            _empty(data)
            process = ModuleProcess(
                module, platform, module.settings_for(console), {}, data, log=out / f"{module.name}.log"
            )
            processes.append(stack.enter_context(process))
        outcomes = Following(processes, platform, people, expected=devices).until_round_ended()
        show(outcomes, people)
        write_report(outcomes, out / "report.html")
    people.print(f"What was sent: {readable(sent)}   Report: {readable(out / 'report.html')}")
    return outcomes


def _empty(data: Path) -> None:
    for path in data.glob("*"):
        if path.suffix in (".json", ".bak", ".bin"):
            path.unlink()
