"""`sekoia-lab export`: a module as a folder of its own, the way the public automation library takes it.

The folder holds what the module needs and nothing else does: its own copy of `shared/`, its locks, a Dockerfile whose
context it is, and its tests. Those are the vendor's, whole, with every file of `tests/` and `lab/` that they import: the
same tests of the same module, so there is nothing to write twice. `lab/` becomes `tests/lab/`. Only tests that need those
of the lab itself, as of the `sekoia-lab` command, stay behind.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lab.imports import names_imported, needed
from lab.library import validate
from lab.locks import part_for
from lab.modules import ROOT, LabModule

TO_TEST = "pip install --require-hashes -r requirements.lock && python -m pytest"
_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*", "*.pyc")
_FROM_ROOT = "# Built from the root of the repository: docker build -f {name}/Dockerfile .\n"
_FROM_FOLDER = "# Built from this folder: docker build .\n"
_COPY_MODULE = "COPY ${MODULE} /app\n"
_COPY_FOLDER = "COPY . /app\n"
_IN_IMAGE = ("requirements-image.lock", "main.py", "manifest.json", "shared")


class ExportError(ValueError):
    """Why there is no folder, and what to do."""


def export(module: LabModule, destination: Path) -> None:
    """The folder, whole and valid, or none: ExportError, or LibraryError with what the library would refuse."""
    if destination.exists() and not (destination.is_dir() and not any(destination.iterdir())):
        raise ExportError(f"{destination} is not empty. Name a folder that does not exist yet, or an empty one.")
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".export-") as scratch:
        folder = Path(scratch) / module.name
        _write(module, folder)
        validate(folder)
        if destination.exists():
            destination.rmdir()
        folder.rename(destination)


def _write(module: LabModule, folder: Path) -> None:
    shutil.copytree(module.folder, folder, ignore=_LEFT_OUT)
    shutil.copytree(ROOT / "shared", folder / "shared", ignore=_LEFT_OUT)
    for name in ("LICENSE", "requirements-image.lock"):
        shutil.copy(ROOT / name, folder)
    in_image = "".join(f"!{name}\n" for name in (*_IN_IMAGE, module.package))
    (folder / ".dockerignore").write_text(f"*\n{in_image}**/__pycache__\n", encoding="utf-8")
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(dockerfile_of(module.name, dockerfile.read_text(encoding="utf-8")), encoding="utf-8")
    _bring_linked_pages(folder)
    tests = tests_of(module)
    for path in tests:
        _copy(path, folder / "tests" / path.relative_to(ROOT / "tests" if ROOT / "tests" in path.parents else ROOT))
    own = {"tests", "lab", "shared", module.package}
    imported = {name.partition(".")[0] for path in tests if path.suffix == ".py" for name in names_imported(path)}
    _declare(module, folder, _packages(imported - own))


def tests_of(module: LabModule) -> list[Path]:
    """The vendor's tests with their data, the module's registration, and all they import of `tests` and `lab`."""
    own = ROOT / "tests" / module.name.lower()
    always = [
        *own.glob("conftest.py"),
        ROOT / "tests" / "conftest.py",
        ROOT / "lab" / "vendors" / f"{module.name.lower()}.py",
    ]
    found = needed(always, ("tests", "lab"))
    for path in sorted(own.rglob("test_*.py")):
        with_imports = needed([path], ("tests", "lab"))
        if not any(ROOT / "tests" / "lab" in one.parents for one in with_imports):
            found |= with_imports
    data = {path for path in own.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    return sorted(found | data)


def dockerfile_of(name: str, text: str) -> str:
    """A module's Dockerfile for the folder as context: two lines differ. ExportError when they are not there."""
    for old, new in ((_FROM_ROOT.format(name=name), _FROM_FOLDER), (_COPY_MODULE, _COPY_FOLDER)):
        if text.count(old) != 1:
            raise ExportError(f"{name}/Dockerfile does not hold the line {old.strip()!r} once. Mend lab/export.py.")
        text = text.replace(old, new)
    return text


def _bring_linked_pages(folder: Path) -> None:
    """What the README links to outside of the folder comes into it, under the same path."""
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8")
    for linked in re.findall(r"\]\(\.\./([^)#]+)", text):
        _copy(ROOT / linked, folder / linked)
    readme.write_text(text.replace("](../", "]("), encoding="utf-8")


def _declare(module: LabModule, folder: Path, imported: set[str]) -> None:
    """`pyproject.toml` and `requirements.lock`: what runs the module, and what its tests import beside that."""
    root = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    runs: list[str] = root["project"]["dependencies"]
    extras: dict[str, list[str]] = root["project"]["optional-dependencies"]
    known = {_name(requirement) for requirement in runs}
    tests = [one for extra in extras.values() for one in extra if _name(one) in imported - known]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    try:
        part = part_for(lock, [*map(_name, runs), *imported])
    except KeyError as missing:
        raise ExportError(f"requirements.lock lacks {missing}, which the tests import. Run: make lock") from None
    (folder / "requirements.lock").write_text(part, encoding="utf-8")
    text = f"""\
[project]
name = {_toml(module.manifest["slug"])}
version = {_toml(module.manifest["version"])}
description = {_toml(module.manifest["description"])}
requires-python = {_toml(root["project"]["requires-python"])}
dependencies = {_toml(runs)}

[project.optional-dependencies]
tests = {_toml(sorted(tests))}

[tool.pytest.ini_options]
"""
    options = {**root["tool"]["pytest"]["ini_options"], "testpaths": ["tests"], "pythonpath": [".", "tests"]}
    options["addopts"] = options["addopts"].replace("not slow and ", "")  # of one module, all tests are run
    text += "".join(f"{option} = {_toml(value)}\n" for option, value in options.items())
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")


def _packages(imported: set[str]) -> set[str]:
    """The names they are installed under; what only a type checker imports has none."""
    known = packages_distributions()
    return {canonicalize_name(one) for name in imported - sys.stdlib_module_names for one in known.get(name, [])}


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)


def _toml(value: Any) -> str:
    """Texts and lists are written alike in JSON and TOML."""
    return json.dumps(value, indent=4, ensure_ascii=False)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
