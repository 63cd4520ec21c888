"""Every module through the fault matrix. A seeded part runs; FAULTS=all runs it whole (`make faults`)."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.conformance_base import ConnectorConformance
from tests.faults.cases import Case, chosen
from tests.faults.matrix import run
from tests.rig import Rig
from tests.suites import CHANGES, OF_DEVICES, SUITES

SHARE = 1.0 if os.environ.get("FAULTS") == "all" else 0.08
SEED = int(os.environ.get("FAULTS_SEED", "7"))


def matrix_of(suite: type[ConnectorConformance]) -> type[Any]:
    """The matrix of one vendor, as a class of tests."""

    class Matrix:
        lab_module = suite.lab_module
        platform = suite.platform
        console = suite.console
        rigged = suite.rigged
        rig = ConnectorConformance.rig

        def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
            if "case" in metafunc.fixturenames:
                metafunc.parametrize("case", chosen(suite, SHARE, SEED), ids=str)

        def test_survives(self, case: Case, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
            run(case, suite(), rig, monkeypatch)

    if suite.of_changes and suite is not CHANGES[f"{OF_DEVICES} changes"]:
        Matrix.pytestmark = pytest.mark.slow  # type: ignore[attr-defined] # each trigger shares its rounds with a connector
    return Matrix


globals().update({suite.__name__: matrix_of(suite) for suite in {**SUITES, **CHANGES}.values()})
