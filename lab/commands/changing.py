"""A fleet that lives on: devices join, change, and come to harm, while the triggers look; what they tell is the result."""

from __future__ import annotations

import random
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.platform.local import LocalPlatform, PlaybookRun
from lab.process import ModuleProcess
from lab.registration import LabModule

_STEPS = 3
_JOINING = 2  # devices a step and vendor
_STRUCK = 2  # devices a step, vendor and incident


@dataclass
class Trigger:
    """A module's trigger beside its console; `joining` are raw records of devices that the console does not have yet."""

    module: LabModule
    console: Any
    process: ModuleProcess
    joining: list[Any]

    def live_on(self, chance: random.Random) -> None:
        """Some devices check in, some come to harm, some are new."""
        console = self.console
        known = [identity for identity in console.ids if not identity.startswith("~")]  # those that have one
        for identity in chance.sample(known, min(5, len(known))):
            console.heartbeat(identity)
        for fields in self.module.incidents.values():
            for identity in chance.sample(known, min(_STRUCK, len(known))):
                console.change(identity, **fields)
        before = set(console.ids)
        for record in self.joining[:_JOINING]:
            console.add(record)
        del self.joining[:_JOINING]
        for identity in set(console.ids) - before:
            console.change(identity)


def tell_changes(
    consoles: list[tuple[LabModule, Any]], devices: int, platform: LocalPlatform, out: Path
) -> dict[str, list[PlaybookRun]]:
    """Start the triggers, let them learn the fleets, let those live on → the playbook runs by module."""
    chance = random.Random(0)
    with ExitStack() as stack:
        triggers = []
        for module, console in consoles:
            process = ModuleProcess(
                module,
                platform,
                module.settings_for(console),
                {"frequency": 1},
                out / "state" / module.name,
                log=out / f"{module.name}-changes.log",
                command=module.changes_command,
            )
            larger: Any = module.simulated(devices + _STEPS * _JOINING)
            with larger:
                joining = [larger.record(identity) for identity in larger.ids[devices:]]
            triggers.append(Trigger(module, console, stack.enter_context(process), joining))
        rounds = {trigger.module.name: trigger.process.wait_for_rounds(1)["cycles"] for trigger in triggers}
        for _ in range(_STEPS):
            for trigger in triggers:
                trigger.live_on(chance)
            for trigger in triggers:  # the round that is under way may have begun before
                rounds[trigger.module.name] = trigger.process.wait_for_rounds(rounds[trigger.module.name] + 2)["cycles"]
        of = {trigger.process.uuid: trigger.module.name for trigger in triggers}
    runs: dict[str, list[PlaybookRun]] = {name: [] for name in of.values()}
    for run in platform.playbook_runs:
        runs[of[run.connector]].append(run)
    return runs
