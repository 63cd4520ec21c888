"""`sekoia-lab export` for people: reports which files were written and which checks were run."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from lab.commands.arguments import reported
from lab.modules import LabModule
from lab.packaging.export import ExportError, export
from lab.packaging.export_project import indexes
from lab.packaging.library import LibraryError
from lab.packaging.library_folder import TOOLS
from lab.terminal import readable, say

CHECKED = "Checked here: names, ids, schemas, CHANGELOG, locks, Dockerfile, tool settings, the form of JSON files, ruff's rules."
PIP = "pip install --require-hashes -r requirements.lock && python -m pytest"
CUSTOM = "Its README begins with the steps of the import into Sekoia.io."
LIBRARY = "Not checked here: that no other module of the library has these uuids or this slug."
MERGE = (
    "The library has a folder for this vendor already, {folder}, with actions and connectors of its own: a contribution is "
    "merged into it by hand."
)


def run(module: LabModule, destination: Path, people: Console, *, custom: bool) -> None:
    """Export the module and report to people; typer.Exit when it fails."""
    with reported(people, ExportError, LibraryError, OSError):
        unlocked = export(module, destination, custom=custom)
    say(people, f"{module.name} {module.manifest['version']} is in {readable(destination)}.")
    say(people, CHECKED)
    if unlocked:
        say(people, (unlocked, "yellow"))
    else:
        say(people, f"uv.lock names the package registry {', '.join(sorted(indexes(destination)))}.")
    say(people, CUSTOM if custom else LIBRARY)
    if module.library_folder and not custom:
        say(people, MERGE.format(folder=module.library_folder))
    say(people, "Not run here: its tests and tools. In that folder:")
    for command in [PIP] if unlocked else TOOLS:
        say(people, f"  {command}")
