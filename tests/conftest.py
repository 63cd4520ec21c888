"""Shared test set-up."""

from typing import Any

import pytest

pytest.register_assert_rewrite(
    "tests.conformance_base", "tests.conformance", "tests.event_conformance", "tests.rig", "tests.faults.matrix"
)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many cells of the fault matrix and how many crashes were run, and how long they took together."""
    if cells := _reports_of(terminalreporter, "test_matrix.py::"):
        terminalreporter.write_line(f"Fault matrix: {len(cells)} cases, {_outcome(cells)}")
    if crashed := _reports_of(terminalreporter, "test_crashes.py::test_killed"):
        kills = [found for report in crashed for name, found in report.user_properties if name == "kill"]
        told = f"{len(kills)} kills ({kills.count('working')} with something still to deliver)"
        terminalreporter.write_line(f"Crashes: {len(crashed)} seeds, {told}, {_outcome(crashed)}")


def _reports_of(terminalreporter: Any, file: str) -> list[Any]:
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    return [report for report in reports if file in report.nodeid and report.when == "call"]


def _outcome(reports: list[Any]) -> str:
    seconds = sum(report.duration for report in reports)
    return f"{sum(report.passed for report in reports)} survived, {seconds:.0f} s of them"
