"""A hundred rounds of a trigger over a fleet that changes, with all that can go wrong: every change and every absence is
reported, none twice, and none that is not true of the console.

Reported is what the platform accepted. It may be reported again only where the module had no 2xx for it, because the answer
was lost, or where the process was killed within the five seconds in which it need not have written that down.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask import Response, g, request

from lab.commands.preview import read_devices
from lab.consoles.collection import Collection, Page
from lab.modules import MODULES, device_modules
from lab.platform.faults import RateLimited, Reset, Status
from lab.platform.local import LocalPlatform
from shared.errors import ConnectorError
from shared.state.fingerprints import VOLATILE
from shared.times import iso
from tests.rig import Rig, signal_handlers_kept
from tests.suites import slow_but_for
from tests.waiting import HANGS

WHOLE = os.environ.get("FAULTS") == "all"
ROUNDS = 100
SEEDS = range(5 if WHOLE else 1)
STORED_AFTER = 5.5  # seconds
KILLS = 20 if WHOLE else 4
SILENT_AFTER = 168 * 3600.0
PRESENT, SILENT, GONE = "present", "silent", "gone"
FAULTS = [Status(503), Status(401), RateLimited(0), Reset(), Status(404), Status(500)]


@dataclass
class Report:
    """One playbook run; `heard`: its 200 was sent before the module was killed, and was not cut."""

    uid: str
    content: bytes
    kind: str
    heard: bool
    at: float = 0.0


class Witness(LocalPlatform):
    """A platform that notes each accepted run, and whether the module may have received its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[Report] = []

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
            self.reports.append(
                Report(event["device"]["uid"], content_of(event), event["change"]["kind"], heard, time.monotonic())
            )
        return answer


def content_of(event: dict[str, Any]) -> bytes:
    """The event without its volatile fields and its change."""
    device = {key: value for key, value in event["device"].items() if key not in VOLATILE}
    whole = {key: value for key, value in event.items() if key not in (*VOLATILE, "change")}
    return orjson.dumps({**whole, "device": device}, option=orjson.OPT_SORT_KEYS)


@dataclass
class Fleet:
    """The console's devices, changed at random; `joining` are raw records still to come, `away` those that were removed."""

    rig: Rig
    chance: random.Random
    joining: list[Any]
    number: int = 0
    away: list[Any] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)  # listed by the console, and cut from its lists
    missed: set[str] = field(default_factory=set)  # by a walk, perhaps; a second one makes them gone

    @property
    def seen_field(self) -> str:
        return str(self.rig.module.last_seen)

    def change_at_random(self) -> None:
        """Between two rounds some devices change, some check in; now and then one joins, leaves or falls silent."""
        console, chance = self.rig.console, self.chance
        for identity in chance.sample(console.ids, 4):
            console.heartbeat(identity)
        for identity in chance.sample(console.ids, chance.randint(0, 3)):
            self.rename(identity)
        for identity in chance.sample(console.ids, chance.choice((0, 0, 1, 2))):
            console.change(identity, **{self.seen_field: iso(time.time() - chance.randint(170, 900) * 3600)})
        for identity in chance.sample(console.ids, chance.choice((0, 0, 0, 1, 2))):
            self.away.append(console.record(identity))
            console.remove(identity)
        if self.away and chance.random() < 0.3:
            console.add(self.away.pop(chance.randrange(len(self.away))))
            if chance.random() < 0.7:
                console.heartbeat(console.ids[-1])
        if self.joining and chance.random() < 0.3:
            console.add(self.joining.pop())
            self.rename(console.ids[-1])
            if self.rig.connector.may_miss_rows:  # else it counts as one that was there before
                console.change(console.ids[-1], **{self.rig.module.first_seen: iso(time.time() + 1)})

    def rename(self, identity: str) -> None:
        self.number += 1
        self.rig.console.change(identity, **{self.rig.module.names[0]: f"pc-{self.number}"})

    def cut_list(self) -> None:
        """Hide so many devices from the list that those who report no total need a third reading."""
        ids = self.rig.console.ids
        self.hidden = {*self.chance.sample(ids, len(ids) * 6 // 10 + 1)} - self.missed

    def listed(self) -> dict[str, tuple[str, bytes]]:
        """The presence and content of each listed device now."""
        events = read_devices(self.rig.module, self.rig.module.configured(self.rig.settings), 1_000).events
        return {event["device"]["uid"]: (presence_of(event), content_of(event)) for event in events}


def presence_of(event: dict[str, Any]) -> str:
    seen = event["device"].get("last_seen_time")
    return SILENT if seen is not None and time.time() - seen >= SILENT_AFTER else PRESENT


class Oracle:
    """Decides which reports are allowed and which are required. `possible`: the states (presence, content) that the
    module may know of a device, by the answers that it received; `read` and `missed` count the walks since a device
    left: those that may have been complete and full, and those that were."""

    def __init__(self, learned: dict[str, tuple[str, bytes]]) -> None:
        self.possible: dict[str, list[tuple[str, bytes] | None]] = {uid: [known] for uid, known in learned.items()}
        self.read: dict[str, int] = {}
        self.missed: dict[str, int] = {}
        self.count: Counter[str] = Counter()

    def walked(self, listed: dict[str, tuple[str, bytes]], *, full: bool, ended: bool, complete: bool) -> None:
        """What a round listed. One that failed may have met a device, and may not have remembered it; one that was to read
        changes may have read all devices, because an event had to be sent again."""
        for uid in self.possible:
            if uid not in listed:
                self.read[uid] = self.read.get(uid, 0) + 1
                self.missed[uid] = self.missed.get(uid, 0) + (full and complete)
                continue
            self.missed[uid] = 0
            if full and ended:
                self.read[uid] = 0

    def hear(self, report: Report, listed: dict[str, tuple[str, bytes]]) -> None:
        """Take note of a report; it must be true now, and not have been made before."""
        uid, kind, before = report.uid, report.kind, self.possible.setdefault(report.uid, [None])
        now = listed.get(uid)
        if kind == GONE:
            assert now is None, f"{uid} was reported as gone and is listed"
            assert self.read.get(uid, 0) >= 2, f"{uid} was reported as gone after {self.read.get(uid)} walks"
        else:
            assert now, f"{uid} was reported as {kind} and is not listed"
            assert now[1] == report.content, f"{uid} was reported as {kind} with other contents than it has"
            assert kind not in (SILENT, "back") or now[0] == (SILENT if kind == SILENT else PRESENT), f"{uid}: {kind}"
        after = [known for state in before if (known := self._after(state, kind, report.content))]
        assert after, f"{uid} was reported as {kind} although the module knew {before}"
        self.count[kind] += 1
        self.possible[uid] = after if report.heard else [*before, *after]

    def _after(self, state: tuple[str, bytes] | None, kind: str, content: bytes) -> tuple[str, bytes] | None:
        """The known state of a device after a report; None if the report has no reason."""
        if state is None:
            return (PRESENT, content) if kind == "new" else None
        presence, known = state
        if kind == "changed":
            return (presence, content) if known != content and presence != GONE else None
        if kind == GONE:
            return (GONE, known) if presence != GONE else None
        if kind == SILENT:
            return (SILENT, content) if presence != SILENT else None
        return (PRESENT, content) if kind == "back" and presence != PRESENT else None

    def must_have_heard(self, listed: dict[str, tuple[str, bytes]], reports: list[Report], *, full: bool) -> None:
        """After a round in which nothing failed. A vendor may list changes by the last activity: those of silent devices are
        met by a full walk only."""
        new = {one.uid for one in reports if one.kind == "new"}  # if they are silent too, the next full walk reports it
        for uid, (presence, content) in listed.items():
            states = self.possible.get(uid, [None])
            if full or presence == PRESENT:
                assert any(state and state[1] == content for state in states), f"{uid} is new or changed: not reported"
            if full and uid not in new:
                assert any(state and state[0] == presence for state in states), f"{uid} is {presence}: {states}"
        for uid, states in self.possible.items():
            if uid not in listed and self.missed.get(uid, 0) >= 2 and None not in states:
                assert any(state and state[0] == GONE for state in states), f"{uid} is gone: not reported"


@pytest.fixture
def witness() -> Iterator[Witness]:
    with Witness() as platform:
        yield platform


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", slow_but_for([module.name for module in device_modules()], "Sophos"))
def test_every_change_and_absence_is_reported_once_and_again_only_when_no_answer_came(
    name: str, seed: int, witness: Witness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, chance = MODULES[name], random.Random(f"{name} {seed}")
    with module.simulated(70) as other:
        records = [other.record(identity) for identity in other.ids]
    with signal_handlers_kept(), module.simulated(25) as console:
        rig = Rig(module, console, witness, tmp_path / "data", monkeypatch, changes=True)
        rig.page_size = 20
        fleet = Fleet(rig, chance, records[25:])
        _cut_lists(fleet, monkeypatch)
        rig.cycle()
        assert not witness.reports, "the first round learns"
        oracle = Oracle(fleet.listed())
        cut: set[str] = set()
        killed, began = set(chance.sample(range(ROUNDS), KILLS)), time.monotonic()
        for number in range(ROUNDS):
            time.sleep(
                max(0.0, number - 40 - (time.monotonic() - began))
            )  # a round is a second later than the one before
            fleet.change_at_random()
            listed, before = fleet.listed(), len(witness.reports)
            happens = "kill" if number in killed else chance.choices(*zip(*MISHAPS, strict=True))[0]
            if happens == "cut" and cut:
                happens = ""  # where no total is reported, a device that is cut twice is one that is gone
            fleet.missed = {uid for uid, walks in oracle.read.items() if walks}
            full = happens in ("page", "cut") or chance.random() < 0.6 or not module.cursor
            rig.arguments["full_sync_interval"] = 1 if full else 86_400
            try:
                ended, clean = run_round(rig, fleet, happens, witness, chance)
            finally:
                console.clear_faults()
                witness.clear_faults()
            if ended or happens != "page":
                hidden = set() if module.reports_total else fleet.hidden
                cut = hidden if hidden or (full and ended) else cut
                met = {uid: now for uid, now in listed.items() if uid not in hidden}
                oracle.walked(met, full=full, ended=ended, complete=clean)
            fleet.hidden = set()
            for report in witness.reports[before:]:
                oracle.hear(report, listed)
            if clean:
                oracle.must_have_heard(listed, witness.reports[before:], full=full)
        rig.arguments["full_sync_interval"] = 1
        for _ in range(3):
            listed, before = fleet.listed(), len(witness.reports)
            rig.cycle()
            oracle.walked(listed, full=True, ended=True, complete=True)
            for report in witness.reports[before:]:
                oracle.hear(report, listed)
        oracle.must_have_heard(listed, [], full=True)
    assert min(oracle.count[kind] for kind in ("new", "changed", GONE, SILENT, "back")) >= 5, oracle.count


MISHAPS = (("", 50), ("callback", 25), ("page", 10), ("cut", 10))


def run_round(rig: Rig, fleet: Fleet, happens: str, witness: Witness, chance: random.Random) -> tuple[bool, bool]:
    """One round, in which that happens; → whether it ended well, and whether nothing went wrong."""
    if happens == "kill":
        kill_while_telling(rig, chance.randint(1, 3))
        return False, False
    if happens == "callback":
        fault, skip = chance.choice(FAULTS), chance.randint(0, 2)
        witness.fault(fault, match="callback", skip=skip, times=3, after=chance.random() < 0.3)
    elif happens == "page":
        route = rig.module.list_route
        rig.console.fault(Status(503), match=route, skip=chance.randint(0, 1), times=10)
    elif happens == "cut":
        fleet.cut_list()
    else:
        rig.cycle()
        return True, True
    with suppress(ConnectorError):
        rig.cycle()
        return True, False
    return False, False


def _cut_lists(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the console's pages lack the devices that are hidden."""
    whole = Collection.page

    def page(self: Collection, *arguments: Any, **options: Any) -> Page:
        records, end = whole(self, *arguments, **options)
        return Page([record for record in records if not any(one.encode() in record for one in fleet.hidden)], end)

    monkeypatch.setattr(Collection, "page", page)


def kill_while_telling(rig: Rig, number: int) -> None:
    """Run the module and kill it when it is about to hear of its n-th playbook start, or at the end of its round."""
    started, before = 0, len(rig.platform.reports)
    dead = threading.Event()
    process = rig.process()

    def kill_at(call: Any) -> None:
        nonlocal started
        started += call.endpoint == "callback"
        if started == number and not dead.is_set():
            g.killed = True  # whoever made this call does not hear its answer
            process.kill()
            dead.set()
            for report in rig.platform.reports[before:]:
                report.heard &= time.monotonic() - report.at > STORED_AFTER

    rig.platform.before_call = kill_at
    try:
        process.start()
        with suppress(RuntimeError, TimeoutError):
            process.wait_for_rounds(1, timeout=HANGS)
    finally:
        rig.platform.before_call = None
        process.kill()
        time.sleep(0.2)  # the call that it was killed in comes to its end
