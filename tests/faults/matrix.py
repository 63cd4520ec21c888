"""One cell of the fault matrix, run over real HTTP.

Everything is delivered, all of it changes, the connector restarts, and in the next rounds the fault strikes in one
place until it is used up. Then every device, or every version of an alert, must have arrived with its latest
content; after no write may the stored cursor have been ahead of an undelivered record; each failed round must have
reported what to do; and the number of calls must be bounded.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from itertools import count, repeat
from pathlib import Path
from typing import Any

import pytest

from lab.kinds import DEVICES
from lab.platform.faults import Made, Status, long_pages
from shared.errors import ConnectorError
from shared.state.storage import JsonFile
from tests.conformance_base import ConnectorConformance
from tests.endless import endless
from tests.faults.cases import (
    CONSOLE_FAULTS,
    CONTENT_FAULTS,
    DISK_FAULTS,
    ERRORS_IN_A_200,
    HTTP_FAULTS,
    NEW_TOKENS,
    SAME_TOKEN,
    TOO_HEAVY,
    Case,
)
from tests.rig import Rig, impatient

ROUNDS = 8  # after which the fault must be used up and everything must have arrived
PAGES = 4  # 35 records, 10 a page; of alerts two in each of two windows
IDLE_PAGES = 5  # in a row, after which a list is found endless
INTAKE_LIMIT = 4_000  # bytes a request: several batches a window


def run(
    case: Case, suite: ConnectorConformance, rig: Rig, monkeypatch: pytest.MonkeyPatch, settle: float = 0.0
) -> None:
    """Run one case; AssertionError where a promise was broken.

    No cursor passes the second in which a walk began; `settle` is how many seconds the changes are older than that.
    """
    monkeypatch.setattr("shared.alerts.intake.Intake.limit", INTAKE_LIMIT)
    suite.deliver_all(rig)
    suite.assert_all_delivered(rig)
    suite.change_all(rig)
    time.sleep(settle)
    if case.fault == "timeout":
        impatient(rig, read=1.0)
    rig.console.forget_calls()
    rig.platform.forget_calls()
    with _watched_cursor(suite, rig, monkeypatch), _armed(case, suite, rig) as still_armed:
        errors = _rounds(rig, still_armed)
    _assert_reported(case, errors, suite)
    suite.assert_all_delivered(rig)
    suite.assert_cursor_not_ahead(rig)
    most = PAGES * 2 + 6
    for server, route, a_round in (
        (rig.console, suite.lab_module.list_route, most),
        (rig.platform, suite.delivered_by, max(most, suite.pushes)),
    ):
        calls = len(server.calls_to(route))
        bound = (len(errors) + 2) * a_round
        assert calls <= bound, f"{calls} calls to {route} in {len(errors) + 2} rounds, {bound} would do"


def _rounds(rig: Rig, still_armed: Callable[[], bool]) -> list[ConnectorError]:
    """Rounds until one succeeded and the fault is used up; → the errors of the others."""
    errors: list[ConnectorError] = []
    connector = rig.start()
    for _ in range(ROUNDS):
        try:
            connector.cycle()
        except ConnectorError as error:
            errors.append(error)
            connector = rig.start()
        else:
            if not still_armed() and not connector.counts.refused:  # a trigger retries what was refused
                return errors
            connector = rig.start(full_sync_interval=1)
    raise AssertionError(f"no round succeeded within {ROUNDS} after the fault: {errors}")


@contextmanager
def _watched_cursor(suite: ConnectorConformance, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After every write of a state file, also a failed one, each record before the cursor must have been delivered."""
    write = JsonFile.write

    def checked(self: JsonFile, content: dict[str, Any]) -> None:
        try:
            write(self, content)
        finally:
            suite.assert_cursor_not_ahead(rig)

    with monkeypatch.context() as patched:
        patched.setattr(JsonFile, "write", checked)
        yield


@contextmanager
def _armed(case: Case, suite: ConnectorConformance, rig: Rig) -> Iterator[Callable[[], bool]]:
    """Arm the fault; yields a function that says whether it is still armed."""
    if case.fault in DISK_FAULTS:
        times = 4 if case.lasting else 1
        pushes = partial(rig.platform.calls_to, suite.delivered_by)
        with failing_disk(rig.data, DISK_FAULTS[case.fault], times, pushes if "push" in case.place else None) as left:
            yield lambda: bool(left[0])
        return
    if case.fault in CONTENT_FAULTS or case.fault in CONSOLE_FAULTS:
        yield _for_a_round(*_of_alerts(case, suite, rig))
        return
    server = rig.platform if case.place in ("push", "task poll") else rig.console
    routes = {"push": suite.delivered_by, "task poll": "task", "token call": suite.lab_module.token_route}
    route = routes.get(case.place, suite.lab_module.list_route)
    skip = {"middle page": 1, "last page": PAGES - 1, "push": 1}.get(case.place, 0)
    alerts = suite.delivered_by == "intake"
    if case.fault == ERRORS_IN_A_200:
        page = endless(suite.lab_module, errors=[{"message": "shard 3 is down"}])
        server.fault(page, match=route, skip=skip)
    elif case.fault == TOO_HEAVY:
        rig.page_size = 20  # two pages
        server.fault(Status(504), match=long_pages(route, suite.lab_module.size, 10), skip=min(skip, 1), times=None)
    elif case.fault in (SAME_TOKEN, NEW_TOKENS):
        numbers: Iterator[int] = count() if case.fault == NEW_TOKENS else repeat(0)
        times = IDLE_PAGES + alerts  # a round of alerts begins with a call for the vendor's clock
        server.fault(Made(lambda: endless(suite.lab_module, next(numbers))), match=route, skip=skip, times=times)
    else:
        fault = next(fault for fault in HTTP_FAULTS if fault.name == case.fault)
        lasting = 6 if alerts and case.place == "push" else 3  # three tries, and three events sent alone
        server.fault(fault.make(), match=route, skip=skip, times=lasting if case.lasting else 1)
    # Once a task cannot be followed, none is until the next round: the rest of that fault has no effect.
    yield lambda: bool(server.waiting_faults) and case.place != "task poll" and case.fault != TOO_HEAVY


def _of_alerts(case: Case, suite: Any, rig: Rig) -> tuple[Callable[[], None], Callable[[], None]]:
    """A fault of a console or an intake of alerts that lasts for a round: the functions that begin and end it."""
    console, one = rig.console, rig.console.ids[17]
    if case.fault in CONTENT_FAULTS:
        text = str(console.record(one)["id"])
        return partial(rig.platform.refuse_alerts, text, CONTENT_FAULTS[case.fault]), rig.platform.clear_faults
    if case.fault == "late alert":
        suite.missing = {suite.version(console.record(one))}  # behind the position until the second look
        hidden = console.now() + timedelta(minutes=20)
        return partial(console.hide, one, hidden), lambda: setattr(console, "clock_offset", timedelta(hours=1))
    if case.fault == "short list":
        suite.missing = {suite.version(console.record(one))}
        return lambda: console.left_out.add(one), console.left_out.clear
    offset = timedelta(hours=9 if case.fault == "clock ahead" else -9)
    return lambda: setattr(console, "clock_offset", offset), lambda: setattr(console, "clock_offset", timedelta(0))


def _for_a_round(begin: Callable[[], None], end: Callable[[], None]) -> Callable[[], bool]:
    """Begin it now, and end it after the first round that succeeds; gives whether that was now."""
    begin()
    left = [end]

    def ended() -> bool:
        for ending in left:
            ending()
        return bool(left) and not left.clear()

    return ended


@contextmanager
def failing_disk(data: Path, code: int, times: int, when: Callable[[], object] | None = None) -> Iterator[list[int]]:
    """Let the next `times` writes under `data` fail as a disk does, while `when` is true; yields how many are left."""
    left = [times]
    make, fsync = tempfile.mkstemp, os.fsync

    def fail() -> None:
        if left[0] and (when is None or when()):
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


def _assert_reported(case: Case, errors: list[ConnectorError], suite: ConnectorConformance) -> None:
    if case.fault in CONTENT_FAULTS or case.fault in CONSOLE_FAULTS:
        assert not errors, errors
        return
    if case.fault in DISK_FAULTS:
        expected, ends_a_round = r"cannot write its state in .*Check the storage", True
    elif case.fault in (SAME_TOKEN, NEW_TOKENS):
        expected, ends_a_round = "pages in a row", True
    elif case.fault == ERRORS_IN_A_200:
        expected, ends_a_round = r"reported an error.*shard 3 is down", True
    elif case.fault == TOO_HEAVY:
        assert not errors, errors
        return
    else:
        fault = next(fault for fault in HTTP_FAULTS if fault.name == case.fault)
        expected, ends_a_round = fault.says, case.lasting or not fault.transient
        # An error that may concern the content starts a search in single tries; if these succeed, no round ends.
        ends_a_round &= case.place != "push" or suite.lab_module.kind is not DEVICES or fault.ends_pushing
        if case.place == "push" and suite.delivered_by == "intake" and not case.lasting:
            ends_a_round = fault.name == "401"  # after any other the batch is sent in parts, and accepted
    if case.place == "task poll":  # acceptance counts: a warning, and no round ends
        assert not errors, f"no round ends because a task cannot be followed, but these were raised: {errors}"
        return
    renewed = case.fault in suite.lab_module.renewed and not case.lasting
    assert errors or not ends_a_round or renewed, f"the fault was not reported: a round must raise {expected}"
    for error in errors:
        assert re.search(expected, str(error), re.DOTALL), f"the error does not say {expected}: {error}"
