"""Writes `docs/fields/<module>.md` and the triggers' results from the mapping tables: `python -m lab.fields`."""

from __future__ import annotations

from pathlib import Path

from lab.modules import MODULES, ROOT, LabModule
from lab.results import trigger_file
from shared.mapping import document

FOLDER = ROOT / "docs" / "fields"


def page(module: LabModule) -> str:
    """The module's table as a page."""
    return (
        f"# {module.name}: what is sent\n\n"
        f"Generated from the mapping table in `{module.name}/{module.package}/mapper.py` by `make docs`; do not edit.\n"
        f"{module.kind.about}\n\n" + document(module.connector.fields, module.kind.target)
    )


def path_of(module: LabModule) -> Path:
    return FOLDER / f"{module.name.lower()}.md"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for one in MODULES.values():
        path_of(one).write_text(page(one), encoding="utf-8")
        if one.changes:
            one.changes_file.write_text(trigger_file(one.changes_file, one.changes.fields), encoding="utf-8")
