"""The option `--vendor`. It is here because `pytest --vendor Sophos` looks for options next to the folder Sophos."""

from __future__ import annotations

import re

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--vendor", metavar="NAME", help="only the tests of this vendor, in any case; the slow ones too")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("vendor") and "-m" not in config.invocation_params.args:
        config.option.markexpr = "not timing and not images"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--vendor`, leave out each test whose folder, file, class and parameters do not name the vendor."""
    vendor: str | None = config.getoption("vendor")
    if vendor is None:
        return
    letters = "_?".join(map(re.escape, vendor))  # checkpoint_harmony is CheckpointHarmony
    named = re.compile(rf"(?:(?<![A-Za-z])|(?<=Test))(?i:{letters})(?![a-z])")  # ESET is not in Reset()
    kept = [item for item in items if named.search(item.nodeid)]
    if items and not kept:
        raise pytest.UsageError(f"no test names {vendor}; a vendor is called as its folder, such as Sophos")
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
