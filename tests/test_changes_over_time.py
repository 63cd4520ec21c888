"""Fifty rounds of a trigger over a fleet that changes, with all that can go wrong: every change told, none twice.

Told is what the platform accepted. It may be told again only where the module had no 2xx for it, because the answer was
lost, or where the process was killed within the five seconds in which it need not have written that down.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask import Response, g, request

from lab.commands.preview import read_devices
from lab.modules import MODULES, device_modules
from lab.platform.faults import RateLimited, Reset, Status
from lab.platform.local import LocalPlatform
from shared.errors import ConnectorError
from shared.state.fingerprints import VOLATILE
from shared.times import iso
from tests.rig import Rig, signal_handlers_kept
from tests.suites import slow_but_for
from tests.waiting import HANGS

ROUNDS = 50
WHOLE = os.environ.get("FAULTS") == "all"
SEEDS = range(5 if WHOLE else 1)
STORED_AFTER = 5.5  # seconds
KILLS = 10 if WHOLE else 3
FAULTS = [Status(503), Status(401), RateLimited(0), Reset(), Status(404), Status(500)]


@dataclass
class Told:
    """One playbook run; `heard`: nobody killed the module before its 200 was sent, and nothing cut it."""

    uid: str
    content: bytes
    kind: str
    heard: bool
    at: float = 0.0


class Witness(LocalPlatform):
    """Notes of each run that it accepted whether its answer could be heard."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Told] = []

    def _callback(self, connector: str) -> Response:
        answer = super()._callback(connector)
        if answer.status_code == 200:
            g.event = orjson.loads(request.get_data())["event"]
        return answer

    def _leave(self, answer: Response) -> Response:
        answer = super()._leave(answer)
        if event := g.get("event"):
            cut = g.armed is not None and g.armed.after
            heard = answer.status_code == 200 and not cut and not g.get("killed")
            self.told.append(
                Told(event["device"]["uid"], content_of(event), event["change"]["kind"], heard, time.monotonic())
            )
        return answer


def content_of(event: dict[str, Any]) -> bytes:
    """What counts of an event."""
    device = {key: value for key, value in event["device"].items() if key not in VOLATILE}
    whole = {key: value for key, value in event.items() if key not in (*VOLATILE, "change")}
    return orjson.dumps({**whole, "device": device}, option=orjson.OPT_SORT_KEYS)


@dataclass
class Fleet:
    """The console's devices, changed at random; `joining` are raw records still to come."""

    rig: Rig
    chance: random.Random
    joining: list[Any]
    number: int = 0
    names: dict[str, str] = field(default_factory=dict)

    def live_on(self) -> None:
        """What happens between two rounds: some change, some check in, now and then one joins."""
        console, chance = self.rig.console, self.chance
        for identity in chance.sample(console.ids, 5):
            console.heartbeat(identity)
        for identity in chance.sample(console.ids, chance.randint(0, 4)):
            self.rename(identity)
        if self.joining and chance.random() < 0.4:
            console.has([*map(console.record, console.ids), self.joining.pop()])
            self.rename(console.ids[-1])
            if self.rig.connector.may_miss_rows:  # else it counts as one that was there before
                console.change(console.ids[-1], firstseen=iso(time.time() + 1))

    def rename(self, identity: str) -> None:
        self.number += 1
        name = {"ESET": "displayName", "SentinelOne": "computerName"}.get(self.rig.module.name, "hostname")
        self.rig.console.change(identity, **{name: f"pc-{self.number}"})

    def contents(self) -> dict[str, bytes]:
        """What the module would tell of each device now."""
        listed = read_devices(self.rig.module, self.rig.module.configured(self.rig.settings), 1_000).events
        return {event["device"]["uid"]: content_of(event) for event in listed}


@pytest.fixture
def witness() -> Iterator[Witness]:
    with Witness() as platform:
        yield platform


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", slow_but_for([module.name for module in device_modules()], "Sophos"))
def test_every_change_is_told_and_told_again_only_when_no_answer_came(
    name: str, seed: int, witness: Witness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, chance = MODULES[name], random.Random(f"{name} {seed}")
    with module.simulated(60) as other:
        records = [other.record(identity) for identity in other.ids]
    with signal_handlers_kept(), module.simulated(25) as console:
        rig = Rig(module, console, witness, tmp_path / "data", monkeypatch, changes=True)
        rig.page_size = 20
        fleet = Fleet(rig, chance, records[25:])
        rig.cycle()
        assert not witness.told, "the first round learns"
        learned = fleet.contents()
        killed = set(chance.sample(range(ROUNDS), KILLS))
        for number in range(ROUNDS):
            fleet.live_on()
            if number in killed:
                kill_while_telling(rig, chance.randint(1, 3))
            elif chance.random() < 0.4:
                witness.fault(
                    chance.choice(FAULTS),
                    match="callback",
                    skip=chance.randint(0, 2),
                    times=3,
                    after=chance.random() < 0.3,
                )
                with suppress(ConnectorError):
                    rig.cycle()
                witness.clear_faults()
            else:
                rig.cycle()
                assert latest(learned, witness.told) == fleet.contents(), f"after round {number}"
        rig.cycle()
        known = fleet.contents()
    assert latest(learned, witness.told) == known
    assert {told.uid for told in witness.told if told.kind == "new"} == known.keys() - learned.keys()
    assert len(known) > len(learned) + 3
    assert_told_once(learned, witness.told)


def latest(learned: dict[str, bytes], told: list[Told]) -> dict[str, bytes]:
    return learned | {one.uid: one.content for one in told}


def assert_told_once(learned: dict[str, bytes], told: list[Told]) -> None:
    """The same content of a device a second time in a row: only behind one whose answer was not heard."""
    before: dict[str, Told] = {uid: Told(uid, content, "", heard=True) for uid, content in learned.items()}
    for one in told:
        last = before.get(one.uid)
        assert last is None or not last.heard or last.content != one.content, one
        before[one.uid] = one


def kill_while_telling(rig: Rig, number: int) -> None:
    """Run the module and kill it when it is about to hear of its n-th playbook start, or at the end of its round."""
    started, before = 0, len(rig.platform.told)
    dead = threading.Event()
    process = rig.process()

    def kill_at(call: Any) -> None:
        nonlocal started
        started += call.endpoint == "callback"
        if started == number and not dead.is_set():
            g.killed = True  # whoever made this call does not hear its answer
            process.kill()
            dead.set()
            for told in rig.platform.told[before:]:
                told.heard &= time.monotonic() - told.at > STORED_AFTER

    rig.platform.before_call = kill_at
    try:
        process.start()
        with suppress(RuntimeError, TimeoutError):
            process.wait_for_rounds(1, timeout=HANGS)
    finally:
        rig.platform.before_call = None
        process.kill()
