"""Shared test set-up."""

from typing import Any

import pytest

pytest.register_assert_rewrite("tests.conformance_base", "tests.conformance", "tests.event_conformance", "tests.rig")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many cells of the fault matrix were run, and how long they took together."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if "test_matrix.py" in report.nodeid and report.when == "call"
    ]
    if reports:
        survived = sum(report.passed for report in reports)
        seconds = sum(report.duration for report in reports)
        terminalreporter.write_line(f"Fault matrix: {len(reports)} cases, {survived} survived, {seconds:.0f} s of them")
