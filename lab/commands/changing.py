"""Fleets that change while the triggers run: devices join, change, meet incidents, leave, fall silent and return."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.platform.local import LocalPlatform, PlaybookRun
from lab.process import ModuleProcess
from lab.registration import LabModule
from shared.times import iso

_STEPS = 3
_JOINING = 2  # devices a step and vendor
_HIT = 2  # devices a step, vendor and incident
_ABSENT = 2  # devices a vendor that leave, and that fall silent
_SILENT = 9 * 86_400  # seconds


@dataclass
class Trigger:
    """A module's trigger and its console. `joining` are raw records of devices that the console does not have yet, `left`
    those of devices that it no longer has; `silent` are ids."""

    module: LabModule
    console: Any
    process: ModuleProcess
    joining: list[Any]
    left: list[Any] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)

    def change_fleet(self, chance: random.Random, step: int) -> None:
        """Let some devices check in, meet incidents and join. In the first step some leave and some fall silent; in the
        last step one of each is back."""
        console = self.console
        with_id = [identity for identity in console.ids if not identity.startswith("~")]
        known = [identity for identity in with_id if identity not in self.silent]
        if step == 0 and self.module.last_seen and len(known) > 4 * _ABSENT:
            *known, _ = known  # the demo's record that cannot be sent
            absent = chance.sample(known, 2 * _ABSENT)
            known = [identity for identity in known if identity not in absent]
            self.silent = absent[_ABSENT:]
            for identity in self.silent:
                console.change(identity, **{self.module.last_seen: iso(time.time() - _SILENT)})
            for identity in absent[:_ABSENT]:
                self.left.append(console.record(identity))
                console.remove(identity)
        elif step == _STEPS - 1 and self.left:
            console.add(self.left.pop())
            console.heartbeat(console.ids[-1])
            console.heartbeat(self.silent.pop())
        for identity in chance.sample(known, min(5, len(known))):
            console.heartbeat(identity)
        for fields in self.module.incidents.values():
            for identity in chance.sample(known, min(_HIT, len(known))):
                console.change(identity, **fields)
        before = set(console.ids)
        for record in self.joining[:_JOINING]:
            console.add(record)
        del self.joining[:_JOINING]
        joined = {self.module.first_seen: iso(time.time() + 1)} if self.module.first_seen else {}
        for identity in set(console.ids) - before:
            console.change(identity, **joined)


def log_of_changes(out: Path, module: LabModule) -> Path:
    return out / f"{module.name}-changes.log"


def run_triggers(
    consoles: list[tuple[LabModule, Any]], devices: int, platform: LocalPlatform, out: Path
) -> dict[str, list[PlaybookRun]]:
    """Start the triggers, let them learn the fleets, then change the fleets → the playbook runs by module."""
    chance = random.Random(0)
    with ExitStack() as stack:
        triggers = []
        for module, console in consoles:
            process = ModuleProcess(
                module,
                platform,
                module.settings_for(console),
                {"frequency": 1, "full_sync_interval": 1},
                out / "state" / module.name,
                log=log_of_changes(out, module),
                command=module.changes_command,
            )
            larger: Any = module.simulated(devices + _STEPS * _JOINING)
            with larger:
                joining = [larger.record(identity) for identity in larger.ids[devices:]]
            triggers.append(Trigger(module, console, stack.enter_context(process), joining))
        rounds = {trigger.module.name: trigger.process.wait_for_rounds(1)["cycles"] for trigger in triggers}
        for step in range(_STEPS):
            for trigger in triggers:
                trigger.change_fleet(chance, step)
            for trigger in triggers:  # the current round may have begun before
                rounds[trigger.module.name] = trigger.process.wait_for_rounds(rounds[trigger.module.name] + 2)["cycles"]
        of = {trigger.process.uuid: trigger.module.name for trigger in triggers}
    runs: dict[str, list[PlaybookRun]] = {name: [] for name in of.values()}
    for run in platform.playbook_runs:
        runs[of[run.connector]].append(run)
    return runs
