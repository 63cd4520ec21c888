"""Every module through the fault matrix. CI runs a seeded part; FAULTS=all runs it whole (`make faults`)."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.conformance import DeviceConnectorConformance
from tests.eset.test_conformance import TestEset as _Eset
from tests.faults.matrix import Case, chosen, run
from tests.harfanglab.test_conformance import TestHarfangLab as _HarfangLab
from tests.rig import Rig
from tests.sentinelone.test_conformance import TestSentinelOne as _SentinelOne
from tests.sophos.test_conformance import TestSophos as _Sophos

SHARE = 1.0 if os.environ.get("FAULTS") == "all" else 0.25
SEED = int(os.environ.get("FAULTS_SEED", "7"))


def matrix_of(suite: type[DeviceConnectorConformance]) -> type[Any]:
    """The matrix of one vendor, as a class of tests."""

    class Matrix:
        list_route = suite.list_route
        lab_module = suite.lab_module
        platform = suite.platform
        console = suite.console
        rig = suite.rig

        def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
            if "case" in metafunc.fixturenames:
                metafunc.parametrize("case", chosen(suite, SHARE, SEED), ids=str)

        def test_survives(self, case: Case, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
            run(case, suite(), rig, monkeypatch)

    return Matrix


TestHarfangLab = matrix_of(_HarfangLab)
TestSentinelOne = matrix_of(_SentinelOne)
TestEset = matrix_of(_Eset)
TestSophos = matrix_of(_Sophos)
