"""A simulated console, the real connector, the local platform."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.consoles.eset import SimulatedEset
from lab.modules import MODULES
from lab.platform.local import LocalPlatform
from tests.rig import Rig, signal_handlers_kept


@pytest.fixture
def console() -> Iterator[SimulatedEset]:
    with SimulatedEset() as console:
        console.has(35)
        yield console


@pytest.fixture
def rig(console: SimulatedEset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    with LocalPlatform() as platform, signal_handlers_kept():
        yield Rig(MODULES["ESET"], console, platform, tmp_path / "data", monkeypatch)
