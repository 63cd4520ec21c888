"""Writes the pages and trigger files that are generated from the mapping tables and the SDK's models: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sekoia_automation_models.ocsf.device import DeviceOCSFModel

from lab.modules import MODULES, ROOT, LabModule
from lab.packaging.results import Schema, resolved, trigger_file
from shared.mapping.table import document

FOLDER = ROOT / "docs" / "fields"
OCSF_PAGE = ROOT / "docs" / "ocsf-device.md"


def page(module: LabModule) -> str:
    """The module's table as a page."""
    return (
        f"# {module.name}: what is sent\n\n"
        f"Generated from the mapping table in `{module.name}/{module.package}/mapper.py` by `make docs`; do not edit.\n"
        f"{module.kind.about}\n\n" + document(module.table(), module.kind.target)
    )


def ocsf_page() -> str:
    """The fields that an asset of a device can have, and their values, as the SDK's models have them."""
    model = DeviceOCSFModel.model_json_schema()
    rows = "\n".join(_rows(model, model, ""))
    return (
        "# OCSF fields of a device\n\nGenerated from the SDK's models by `make docs`; do not edit. The platform ignores any "
        "other field.\nA value outside of a list is refused, and so is a device that lacks a required field of an object that it "
        "has.\n\n"
        f"| field | type, or its values | required |\n|---|---|---|\n{rows}\n"
    )


def _rows(model: Schema, holder: Schema, path: str) -> Iterator[str]:
    for name, schema in holder["properties"].items():
        field = resolved(model, schema)
        entry = resolved(model, field.get("items", field))
        here = f"{path}{name}{'[]' if 'items' in field else ''}"
        if "properties" in entry:
            yield from _rows(model, entry, f"{here}.")
            continue
        values = entry.get("enum", [entry["const"]] if "const" in entry else [])
        kind = ", ".join(f"`{value}`" for value in values) or entry.get("type", "any")
        yield f"| `{here}` | {kind} | {'yes' if name in holder.get('required', ()) else ''} |"


def path_of(name: str) -> Path:
    """The path of the page of the module with this name."""
    return FOLDER / f"{name.lower()}.md"


def write(module: LabModule) -> None:
    """The module's page, and the parts of its trigger's file that come from the table."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path_of(module.name).write_text(page(module), encoding="utf-8")
    if module.changes:
        module.changes_file.write_text(trigger_file(module.changes_file, module.changes.fields), encoding="utf-8")


if __name__ == "__main__":
    OCSF_PAGE.write_text(ocsf_page(), encoding="utf-8")
    for one in MODULES.values():
        write(one)
