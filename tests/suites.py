"""The conformance suites of all modules, for tests that run each module through something else."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from lab.modules import MODULES
from tests.conformance_base import ConnectorConformance


def _written() -> Iterator[type[ConnectorConformance]]:
    """The classes of tests in each module's `test_conformance.py`."""
    for name in MODULES:
        for named, found in vars(import_module(f"tests.{name.lower()}.test_conformance")).items():
            if named.startswith("Test") and issubclass(found, ConnectorConformance):
                yield found


SUITES = {suite.lab_module.name: suite for suite in _written() if not suite.of_changes}
CHANGES = {f"{suite.lab_module.name} changes": suite for suite in _written() if suite.of_changes}
