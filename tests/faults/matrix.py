"""The fault matrix: module × place in the cycle × fault, generated, each case run over real HTTP.

A case: devices are delivered, all of them change, the connector restarts, and in the next rounds the fault strikes in
one place until it has used itself up. Then every device must have arrived with its latest content; the stored cursor
must never, at any write, have been ahead of what was not delivered; each round that failed must have said what to do;
and the number of calls must be bounded.
"""

from __future__ import annotations

import errno
import os
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from lab.faults import Empty, Fault, Hang, Html, RateLimited, Redirect, Reset, Status, Truncated, WrongShape
from shared.errors import ConnectorError
from tests.conformance import DeviceConnectorConformance, TokenConformance
from tests.rig import Rig, impatient

ROUNDS = 6  # in which the fault must have used itself up and everything have arrived
PAGES = 4  # 35 devices, 10 a page


@dataclass(frozen=True)
class HttpFault:
    """A fault of a server and what the round that it ends must say. `heals`: within the tries of one call."""

    name: str
    make: Callable[[], Fault]
    says: str
    heals: bool = False


def _in_one_second() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


HTTP_FAULTS = (
    HttpFault("timeout", lambda: Hang(2), "did not answer in time", heals=True),
    HttpFault("reset", Reset, "could not be reached|cut|broke off", heals=True),
    HttpFault("truncated body", Truncated, "broke off|not JSON", heals=True),
    HttpFault("HTML with 200", Html, "HTML page instead of JSON.*Check"),
    HttpFault("401", lambda: Status(401), "refused the credentials"),
    HttpFault("403", lambda: Status(403), "forbids|refused the credentials|403"),
    HttpFault("404", lambda: Status(404), "404"),
    HttpFault("429 without Retry-After", RateLimited, "429", heals=True),
    HttpFault("429 with seconds", lambda: RateLimited(1), "429", heals=True),
    HttpFault("429 with a date", lambda: RateLimited(_in_one_second()), "429", heals=True),
    HttpFault("500", lambda: Status(500), "500", heals=True),
    HttpFault("502", lambda: Html(502), "502", heals=True),
    HttpFault("503", lambda: Status(503), "503", heals=True),
    HttpFault("504", lambda: Status(504), "504", heals=True),
    HttpFault("empty 200", Empty, "empty body|did not confirm"),
    HttpFault(
        "wrong JSON shape", lambda: WrongShape("a text"), "without|did not confirm|answered|no usable token|sent"
    ),
    HttpFault("redirect to another host", lambda: Redirect("https://elsewhere.invalid/"), "another host|redirects"),
)
DISK_FAULTS = {"disk full": errno.ENOSPC, "read-only disk": errno.EROFS, "storage error": errno.EIO}
PLACES = ("token call", "first page", "middle page", "last page", "push", "task poll")


@dataclass(frozen=True)
class Case:
    """One cell. `lasting`: the fault strikes often enough to end a round, not only a try."""

    place: str
    fault: str
    lasting: bool

    def __str__(self) -> str:
        return f"{self.place} × {self.fault}{' (lasting)' if self.lasting else ''}"


def cases(suite: type[DeviceConnectorConformance]) -> Iterator[Case]:
    """Every case of a vendor."""
    for place in PLACES:
        if place == "token call" and not issubclass(suite, TokenConformance):
            continue
        for fault in HTTP_FAULTS:
            yield from (Case(place, fault.name, lasting) for lasting in (False, True))
        if "page" in place:
            yield Case(place, "repeated page token", True)
    for fault in DISK_FAULTS:
        yield from (Case("state write", fault, lasting) for lasting in (False, True))


def chosen(suite: type[DeviceConnectorConformance], share: float, seed: int) -> list[Case]:
    """A part of the cases, the same for the same seed, with something of every place and every fault."""
    everything = list(cases(suite))
    if share >= 1:
        return everything
    random.Random(f"{seed}{suite.__name__}").shuffle(everything)
    needed = {("place", case.place) for case in everything} | {("fault", case.fault) for case in everything}
    kept = []
    for number, case in enumerate(everything):
        brings = {("place", case.place), ("fault", case.fault)} & needed
        if brings or number < share * len(everything):
            kept.append(case)
            needed -= brings
    return kept


def run(
    case: Case, suite: DeviceConnectorConformance, rig: Rig, monkeypatch: pytest.MonkeyPatch, settle: float = 0.0
) -> None:
    """Run one case; AssertionError where a promise was broken.

    No cursor passes the second in which a walk began: changes older than that (`settle`) are what it may run ahead of.
    """
    rig.cycle()
    suite.change_all(rig)
    time.sleep(settle)
    impatient(rig, read=0.4)
    rig.console.forget_calls()
    rig.platform.forget_calls()
    with _watched_cursor(suite, rig, monkeypatch), _armed(case, suite, rig) as still_armed:
        errors = _rounds(rig, still_armed)
    _assert_said(case, errors)
    assert not suite.undelivered(rig)
    suite.assert_cursor_not_ahead(rig)
    calls = len(rig.console.calls_to(suite.list_route))
    assert calls <= (len(errors) + 2) * (PAGES * 2 + 6), f"{calls} calls"


def _rounds(rig: Rig, still_armed: Callable[[], bool]) -> list[ConnectorError]:
    """Rounds until one ended well and the fault has used itself up; → what the others raised."""
    errors: list[ConnectorError] = []
    connector = rig.start()
    for _ in range(ROUNDS):
        try:
            connector.cycle()
        except ConnectorError as error:
            errors.append(error)
            connector = rig.start()
        else:
            if not still_armed():
                return errors
            connector = rig.start(full_sync_interval=1)
    raise AssertionError(f"no round ended well in {ROUNDS}: {errors}")


@contextmanager
def _watched_cursor(suite: DeviceConnectorConformance, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After every write of the position, whatever lies before it must have been delivered."""
    connector = rig.module.connector
    write = connector.update_checkpoint

    def checked(self: Any) -> None:
        write(self)
        suite.assert_cursor_not_ahead(rig)

    with monkeypatch.context() as patched:
        patched.setattr(connector, "update_checkpoint", checked)
        yield


@contextmanager
def _armed(case: Case, suite: DeviceConnectorConformance, rig: Rig) -> Iterator[Callable[[], bool]]:
    """The fault in its place; gives whether it still waits."""
    if case.fault in DISK_FAULTS:
        with failing_disk(rig.data, DISK_FAULTS[case.fault], 4 if case.lasting else 1) as left:
            yield lambda: bool(left[0])
        return
    server = rig.platform if case.place in ("push", "task poll") else rig.console
    route = {"push": "push", "task poll": "task", "token call": getattr(suite, "token_route", "")}.get(
        case.place, suite.list_route
    )
    skip = {"middle page": 1, "last page": PAGES - 1, "push": 1}.get(case.place, 0)
    if case.fault == "repeated page token":
        server.fault(WrongShape(suite.page_without_end), match=route, skip=skip, times=2)
    else:
        fault = next(fault for fault in HTTP_FAULTS if fault.name == case.fault)
        server.fault(fault.make(), match=route, skip=skip, times=3 if case.lasting else 1)
    # Once a task cannot be followed none is until the next round: what is left of the fault there strikes nobody.
    yield lambda: bool(server.waiting_faults) and case.place != "task poll"


@contextmanager
def failing_disk(data: Path, code: int, times: int) -> Iterator[list[int]]:
    """The next `times` writes under `data` fail as a disk does; what is left of them is in the list."""
    left = [times]
    make, fsync = tempfile.mkstemp, os.fsync

    def fail() -> None:
        if left[0]:
            left[0] -= 1
            raise OSError(code, os.strerror(code))

    def failing_mkstemp(*args: Any, **kwargs: Any) -> tuple[int, str]:
        if Path(kwargs.get("dir") or "/").is_relative_to(data):
            fail()
        return make(*args, **kwargs)

    def failing_fsync(handle: int) -> None:
        fail()
        fsync(handle)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tempfile, "mkstemp", failing_mkstemp)
        patched.setattr(os, "fsync", failing_fsync)
        yield left


def _assert_said(case: Case, errors: list[ConnectorError]) -> None:
    if case.fault in DISK_FAULTS:
        expected, ends_a_round = r"cannot write its state in .*Check the storage", True
    elif case.fault == "repeated page token":
        expected, ends_a_round = "twice", True
    else:
        fault = next(fault for fault in HTTP_FAULTS if fault.name == case.fault)
        expected, ends_a_round = fault.says, case.lasting or not fault.heals
    if case.place == "task poll":  # acceptance counts: said in a warning, and no round ends for it
        assert not errors, errors
        return
    one_renewal_heals = case.fault == "401" and not case.lasting
    assert errors or not ends_a_round or one_renewal_heals, "nothing was said"
    for error in errors:
        assert re.search(expected, str(error), re.DOTALL), error
