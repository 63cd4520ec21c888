"""Sophos endpoints in, events out."""

from __future__ import annotations

from pathlib import Path

from lab.modules import MODULES
from tests.golden import GoldenFiles


class TestGoldenFiles(GoldenFiles):
    lab_module = MODULES["Sophos"]
    folder = Path(__file__).parent
