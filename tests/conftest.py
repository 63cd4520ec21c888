"""Shared test set-up."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from shared import masking
from shared.runtime.logs import LogPoster

pytest.register_assert_rewrite(
    *("tests.conformance_base", "tests.conformance", "tests.changes_conformance", "tests.event_conformance"),
    *("tests.golden", "tests.rig", "tests.faults.matrix"),
)


@pytest.fixture(autouse=True)
def no_log_lines_are_posted_after_the_test() -> Iterator[None]:
    """A connector whose loop was not run to its end would post them into the next test's mocked calls."""
    yield
    for thread in threading.enumerate():
        if isinstance(thread, LogPoster):
            thread.close(1.0)


@pytest.fixture(autouse=True)
def no_secret_of_another_test_is_live() -> None:
    """It may be an ordinary word, which this test expects to read."""
    masking.forget()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What a few suites ran and measured: the fault matrix, the crashes, the hostile consoles, the search for secrets."""
    if cells := _reports_of(terminalreporter, "test_matrix.py::"):
        terminalreporter.write_line(f"Fault matrix: {len(cells)} cases, {_outcome(cells)}")
    if crashed := _reports_of(terminalreporter, "test_crashes.py::test_killed"):
        kills = [found for report in crashed for name, found in report.user_properties if name == "kill"]
        kinds = f"{len(kills)} kills ({kills.count('working')} with something still to deliver)"
        terminalreporter.write_line(f"Crashes: {len(crashed)} seeds, {kinds}, {_outcome(crashed)}")
    peaks: dict[str, tuple[int, str]] = {}
    for module, attack, peak in _measured(terminalreporter, "test_hostile_console.py::", "peak"):
        peaks[module] = max(peaks.get(module, (0, "")), (peak, attack))
    for module, (peak, attack) in sorted(peaks.items()):
        terminalreporter.write_line(f"Hostile console: {module} took {peak} MiB at most ({attack})")
    if searches := _measured(terminalreporter, "test_secrets", "searched"):
        sums = [sum(counts) for counts in zip(*searches, strict=True)]
        looks = sum(forms * places for _, forms, places in searches)
        terminalreporter.write_line("Secrets: {} in {} forms, {} places, {:,} searches".format(*sums, looks))


def _measured(terminalreporter: Any, file: str, name: str) -> list[Any]:
    reports = _reports_of(terminalreporter, file)
    return [value for report in reports for property_, value in report.user_properties if property_ == name]


def _reports_of(terminalreporter: Any, file: str) -> list[Any]:
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    return [report for report in reports if file in report.nodeid and report.when == "call"]


def _outcome(reports: list[Any]) -> str:
    seconds = sum(report.duration for report in reports)
    return f"{sum(report.passed for report in reports)} survived, {seconds:.0f} s of them"
