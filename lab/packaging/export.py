"""`sekoia-lab export`: a module as a repository of its own, for a customer's Sekoia.io or for the public library.

The folder contains all that the module needs: a copy of `shared/`, its locks, a Dockerfile whose context is the folder,
and its tests. These are all tests of the vendor, with every file of `tests/` and `lab/` that they import; `lab/`
becomes `tests/lab/`. Only tests that import tests of the lab itself, such as those of the `sekoia-lab` command, are
left out.

The platform identifies modules, connectors and triggers by their uuids, and the published ones are on it already. So an
export for a customer has uuids of its own, derived from the published ones: the same at each export, or an update would
be another integration to the platform.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.utils import canonicalize_name

from lab.modules import ROOT, LabModule
from lab.packaging.export_project import CannotLock, ExportError, declare, lock_with_uv
from lab.packaging.imports import names_imported, needed
from lab.packaging.library import items, validate
from lab.packaging.library_folder import written

__all__ = ["ExportError", "export"]

_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*", "*.pyc")
_FROM_ROOT = "# Built from the root of the repository: docker build -f {name}/Dockerfile .\n"
_FROM_FOLDER = "# Built from this folder: docker build .\n"
_COPY_MODULE = "COPY ${MODULE} /app\n"
_COPY_FOLDER = "COPY . /app\n"
_IN_IMAGE = ("requirements-image.lock", "main.py", "manifest.json", "shared")
_TEMPLATES = Path(__file__).parent / "templates" / "export"


def export(module: LabModule, destination: Path, *, custom: bool) -> str | None:
    """Write the folder, complete and checked, or nothing: ExportError, or LibraryError with what the library would refuse.

    Returns the reason if uv.lock could not be written, else None. `custom`: for a customer's own Sekoia.io, with uuids
    and names of its own; else for the public library. `destination` may be an empty clone: its `.git` is kept.
    """
    if destination.exists() and not (
        destination.is_dir() and {path.name for path in destination.iterdir()} <= {".git"}
    ):
        raise ExportError(f"{destination} is not empty. Name a folder that does not exist yet, or an empty one.")
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".export-") as scratch:
        folder = Path(scratch) / module.name
        _write(module, folder, custom=custom)
        unlocked = None
        try:
            lock_with_uv(folder)
        except CannotLock as reason:
            unlocked = str(reason)
        validate(folder, locked=unlocked is None)
        destination.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.rename(destination / path.name)
    return unlocked


def _write(module: LabModule, folder: Path, *, custom: bool) -> None:
    shutil.copytree(module.folder, folder, ignore=_LEFT_OUT)
    shutil.copytree(ROOT / "shared", folder / "shared", ignore=_LEFT_OUT)
    for name in ("LICENSE", "requirements-image.lock"):
        shutil.copy(ROOT / name, folder)
    shutil.copy(_TEMPLATES / "gitignore", folder / ".gitignore")
    in_image = "".join(f"!{name}\n" for name in (*_IN_IMAGE, module.package))
    (folder / ".dockerignore").write_text(f"*\n{in_image}**/__pycache__\n", encoding="utf-8")
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(dockerfile_of(module.name, dockerfile.read_text(encoding="utf-8")), encoding="utf-8")
    _bring_linked_pages(folder)
    if custom:
        _become_custom(folder)
    tests = tests_of(module)
    for path in tests:
        _copy(path, folder / "tests" / path.relative_to(ROOT / "tests" if ROOT / "tests" in path.parents else ROOT))
    own = {"tests", "lab", "shared", module.package}
    imported = {name.partition(".")[0] for path in tests if path.suffix == ".py" for name in names_imported(path)}
    declare(module, folder, _packages(imported - own))
    _put_in_form(folder)


def tests_of(module: LabModule) -> list[Path]:
    """The vendor's tests with their data, the module's registration, and all they import of `tests` and `lab`."""
    own = ROOT / "tests" / module.name.lower()
    always = [
        *own.glob("conftest.py"),
        ROOT / "tests" / "conftest.py",
        ROOT / "lab" / "vendors" / f"{module.name.lower()}.py",
        ROOT / f"{module.console.partition(':')[0].replace('.', '/')}.py",  # which the registration names
    ]
    found = needed(always, ("tests", "lab"))
    for path in sorted(own.rglob("test_*.py")):
        with_imports = needed([path], ("tests", "lab"))
        if not any(ROOT / "tests" / "lab" in one.parents for one in with_imports):
            found |= with_imports
    data = {path for path in own.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    return sorted(found | data)


def dockerfile_of(name: str, text: str) -> str:
    """A module's Dockerfile for the folder as context: two lines differ. ExportError when they are missing."""
    for old, new in ((_FROM_ROOT.format(name=name), _FROM_FOLDER), (_COPY_MODULE, _COPY_FOLDER)):
        if text.count(old) != 1:
            raise ExportError(
                f"{name}/Dockerfile does not hold the line {old.strip()!r} once. Fix lab/packaging/export.py."
            )
        text = text.replace(old, new)
    return text


def _bring_linked_pages(folder: Path) -> None:
    """Copy each page outside the folder that the README or such a page links to, under the same path."""
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8")
    linked = [Path(link) for link in re.findall(r"\]\(\.\./([^)#]+)", text)]
    while linked:
        page = linked.pop()
        if (folder / page).exists() or (ROOT / page).is_dir():
            continue
        _copy(ROOT / page, folder / page)
        if page.suffix == ".md":
            links = re.findall(r"\]\(([^)#:]+)[)#]", (ROOT / page).read_text(encoding="utf-8"))
            linked += [page.parent / link for link in links]
    readme.write_text(text.replace("](../", "]("), encoding="utf-8")


def _become_custom(folder: Path) -> None:
    """Give module, connectors and triggers uuids and names of their own; the README begins with the import."""
    for name in ("manifest.json", *items(folder)):
        path = folder / name
        content = json.loads(path.read_text(encoding="utf-8"))
        content["uuid"] = str(uuid.uuid5(uuid.UUID(content["uuid"]), "custom"))
        content["name"] += " (custom)"
        path.write_text(written(content), encoding="utf-8")
    readme = folder / "README.md"
    title, _, rest = readme.read_text(encoding="utf-8").partition("\n")
    steps = (_TEMPLATES / "importing.md").read_text(encoding="utf-8")
    readme.write_text(f"{title} (custom)\n\n{steps}\n## What it is\n{rest}", encoding="utf-8")


def _put_in_form(folder: Path) -> None:
    """Write JSON as the library compares it, and let ruff fix the imports: in the folder the module is first party."""
    for path in folder.rglob("*.json"):
        path.write_text(written(json.loads(path.read_text(encoding="utf-8"))), encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff", "check", "--quiet", "--no-cache", "--fix", "--fixable", "I,RUF100", "."]
    done = subprocess.run(ruff, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - files just written
    if done.returncode:
        raise ExportError(f"ruff refuses the folder; fix it in this repository:\n{done.stdout}{done.stderr}")


def _packages(imported: set[str]) -> set[str]:
    """The names under which they are installed; imports for a type checker only have none."""
    known = packages_distributions()
    return {canonicalize_name(one) for name in imported - sys.stdlib_module_names for one in known.get(name, [])}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
