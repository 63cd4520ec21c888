"""Exported modules, each written once for all tests of a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.modules import MODULES
from lab.packaging.export import export
from tests.lab.packaging.exports import Exported


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty PATH: uv is not found, so no package registry is asked."""
    monkeypatch.setenv("PATH", "")


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A module's folder for a customer, or with `custom=False` for the library; for reading only. It has no uv.lock."""
    written: dict[tuple[str, bool], Path] = {}

    def folder_of(name: str, *, custom: bool = True) -> Path:
        if (name, custom) not in written:
            folder = tmp_path_factory.mktemp("custom" if custom else "library") / name
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PATH", "")
                export(MODULES[name], folder, custom=custom)
            written[name, custom] = folder
        return written[name, custom]

    return folder_of
