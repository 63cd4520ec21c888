"""Writes `docs/fields/<module>.md` and the triggers' results from the mapping tables: `python -m lab.packaging.fields`."""

from __future__ import annotations

from pathlib import Path

from lab.modules import MODULES, ROOT, LabModule
from lab.packaging.results import trigger_file
from shared.mapping.table import document

FOLDER = ROOT / "docs" / "fields"


def page(module: LabModule) -> str:
    """The module's table as a page."""
    return (
        f"# {module.name}: what is sent\n\n"
        f"Generated from the mapping table in `{module.name}/{module.package}/mapper.py` by `make docs`; do not edit.\n"
        f"{module.kind.about}\n\n" + document(module.table(), module.kind.target)
    )


def path_of(name: str) -> Path:
    """Where the page of the module of this name is."""
    return FOLDER / f"{name.lower()}.md"


def write(module: LabModule) -> None:
    """The module's page, and what its trigger's file takes from the table."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path_of(module.name).write_text(page(module), encoding="utf-8")
    if module.changes:
        module.changes_file.write_text(trigger_file(module.changes_file, module.changes.fields), encoding="utf-8")


if __name__ == "__main__":
    for one in MODULES.values():
        write(one)
