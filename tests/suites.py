"""The conformance suites of all modules, for tests that run each module through something else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

import pytest

from lab.modules import MODULES
from tests.conformance_base import ConnectorConformance

OF_DEVICES = "SentinelOne"
OF_ALERTS = "CheckpointHarmony"
"""The modules that represent their kind in tests for which one module is enough."""


def _written() -> Iterator[type[ConnectorConformance]]:
    """The classes of tests in each module's `test_conformance.py`."""
    for name in MODULES:
        for named, found in vars(import_module(f"tests.{name.lower()}.test_conformance")).items():
            if named.startswith("Test") and issubclass(found, ConnectorConformance):
                yield found


def slow_but_for(names: Iterable[str], *fast: str) -> list[Any]:
    """Parameters of a test that `make test` runs for these names only, `make test-all` for the others."""
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in names]


SUITES = {suite.lab_module.name: suite for suite in _written() if not suite.of_changes}
CHANGES = {f"{suite.lab_module.name} changes": suite for suite in _written() if suite.of_changes}
