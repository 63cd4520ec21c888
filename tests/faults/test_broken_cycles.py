"""The matrix catches what it is there for: the deliberately broken rounds of `broken.py`, each by one of a few cases."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import nullcontext
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from lab.platform.local import LocalPlatform
from tests.faults.broken import BROKEN, KEPT
from tests.faults.cases import CONSOLE_FAULTS, Case
from tests.faults.matrix import run
from tests.rig import Clock, signal_handlers_kept
from tests.suites import CHANGES, OF_ALERTS, OF_DEVICES, SUITES

CASES = [
    Case("push", "reset", True),
    Case("push", "500", True),
    Case("push", "empty 200", True),
    Case("push", "wrong JSON shape", True),
    Case("middle page", "503", True),
    Case("state write", "disk full", True),
]
ALERT_CASES = [
    Case("push", "one refused with 403", True),
    *(Case("console", fault, True) for fault in CONSOLE_FAULTS),
]

PROMISES = r"not delivered as they are now|stored cursor .* is ahead of|the fault was not reported|no round succeeded"


@pytest.mark.parametrize(
    ("name", "broken"),
    [pytest.param(name, one, id=f"{name}-{one.__name__}") for name, those in BROKEN.items() for one in those],
)
def test_a_broken_cycle_is_caught(
    name: str, broken: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a promise that it breaks, not by whatever else may go wrong."""
    broken(monkeypatch)
    cases = CASES + ALERT_CASES if name == OF_ALERTS else CASES
    for number, case in enumerate(cases):
        try:
            _run(name, case, tmp_path / str(number), monkeypatch)
        except AssertionError as promise:
            assert re.search(PROMISES, str(promise)), promise
            return
    pytest.fail(f"{broken.__name__} passes all {len(cases)} cases")


@pytest.mark.parametrize("intact", [True, False])
@pytest.mark.parametrize(("name", "broken", "promise"), KEPT, ids=[broken.__name__ for _, broken, _ in KEPT])
def test_a_broken_promise_is_caught_by_its_test(
    name: str,
    broken: Callable[[pytest.MonkeyPatch], None],
    promise: str,
    intact: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if not intact:
        broken(monkeypatch)
    suite: Any = {**SUITES, **CHANGES}[name]()
    test = getattr(suite, promise)
    with signal_handlers_kept(), LocalPlatform() as platform, suite.lab_module.simulated(35) as console:
        rig = suite.rigged(console, platform, tmp_path, monkeypatch)
        needed = {"rig": rig, "clock": Clock(monkeypatch), "caplog": caplog, "monkeypatch": monkeypatch}
        given = {argument: needed[argument] for argument in signature(test).parameters}
        with nullcontext() if intact else pytest.raises(AssertionError):
            test(**given)


@pytest.mark.parametrize(
    ("name", "case"),
    [
        *((OF_DEVICES, case) for case in CASES),
        *((OF_ALERTS, case) for case in CASES + ALERT_CASES),
    ],
    ids=str,
)
def test_the_cycle_as_it_is_passes_the_same_cases(
    name: str, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(name, case, tmp_path, monkeypatch)


def _run(name: str, case: Case, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = SUITES[name]()
    with signal_handlers_kept(), LocalPlatform() as platform, suite.lab_module.simulated(35) as console:
        run(case, suite, suite.rigged(console, platform, data, monkeypatch), monkeypatch, settle=1.1)
