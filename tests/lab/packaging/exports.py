"""Common to the tests of exported modules."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.modules import MODULES
from lab.packaging.library import items

Exported = Callable[..., Path]
each_name = pytest.mark.parametrize("name", list(MODULES))
each_way = pytest.mark.parametrize("custom", [True, False], ids=["custom", "library"])


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def json_of(folder: Path) -> dict[str, dict[str, Any]]:
    """The manifest, the connectors and the triggers of a module's folder."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return {"manifest.json": manifest, **items(folder)}
