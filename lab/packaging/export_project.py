"""The project files of an exported module: `pyproject.toml` with dependencies and settings of tools, and the locks."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lab.modules import ROOT, LabModule
from lab.packaging.library_folder import LOCK
from lab.packaging.locks import part_for, pins

_TOOLS = {"mypy", "pytest-cov", "ruff"}
_UV = {"package": False, "no-build": True}  # as NO_SOURCES of the other locks
_TO_LOCK = (
    "activate this repository's environment (. .venv/bin/activate) or install uv, then run in that folder: uv lock"
)


class ExportError(ValueError):
    """Why there is no folder, and what to do."""


class CannotLock(Exception):
    """Why there is no uv.lock, and what to run later."""


def declare(module: LabModule, folder: Path, imported: set[str]) -> None:
    """Write `pyproject.toml` and `requirements.lock`: what runs the module, what its tests import, the tools."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    root = tomllib.loads(text)
    runs: list[str] = root["project"]["dependencies"]
    extras = [one for extra in root["project"]["optional-dependencies"].values() for one in extra]
    known = {_name(requirement) for requirement in runs}
    stubs = {f"types-{name}" for name in known}
    tests = sorted(one for one in extras if _name(one) in (imported | _TOOLS | stubs) - known)
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    try:
        part = part_for(lock, map(_name, (*runs, *tests)))
    except KeyError as missing:
        raise ExportError(f"requirements.lock lacks {missing}, which the tests import. Run: make lock") from None
    (folder / "requirements.lock").write_text(part, encoding="utf-8")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    project = {
        "name": manifest["slug"],
        "version": manifest["version"],
        "description": manifest["description"],
        "requires-python": root["project"]["requires-python"],
        "dependencies": runs,
    }
    options = {**root["tool"]["pytest"]["ini_options"], "testpaths": ["tests"], "pythonpath": [".", "tests"]}
    options["addopts"] = options["addopts"].replace("not slow and ", "")  # of one module, all tests are run
    typed = {key: value for key, value in root["tool"]["mypy"].items() if key not in ("mypy_path", "overrides")}
    tables = [
        _table("project", project),
        _table("dependency-groups", {"dev": tests}),
        _table("tool.uv", _UV),
        _table("tool.pytest.ini_options", options),
        _table("tool.coverage.run", {"omit": ["tests/*"]}),
        _section(text, "tool.ruff").replace("]\n", ']\nsrc = [".", "tests"]\n', 1),
        _section(text, "tool.ruff.lint"),
        re.sub(r'^"(lab|benchmarks)/.*\n', "", _section(text, "tool.ruff.lint.per-file-ignores"), flags=re.MULTILINE),
        _table("tool.mypy", {**typed, "files": ["main.py", module.package, "shared"]}),
        *(_table("[tool.mypy.overrides]", override) for override in root["tool"]["mypy"]["overrides"]),
    ]
    (folder / "pyproject.toml").write_text("\n".join(tables), encoding="utf-8")


def lock_with_uv(folder: Path) -> None:
    """Write uv.lock, of the versions that requirements.lock has. CannotLock without uv or a package registry.

    uv keeps the versions of an existing lock. So a first run uses those of requirements.lock as constraints, which are
    then removed: whoever changes a dependency later need not know them.
    """
    if shutil.which("uv") is None:
        raise CannotLock(f"{LOCK} is missing, because uv is not on the PATH: {_TO_LOCK}")
    project = folder / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    exact = [str(pin.requirement) for pin in pins((folder / "requirements.lock").read_text(encoding="utf-8"))]
    try:
        constrained = {**_UV, "constraint-dependencies": exact}
        project.write_text(text.replace(_table("tool.uv", _UV), _table("tool.uv", constrained)))
        _run_uv(folder)
    finally:
        project.write_text(text, encoding="utf-8")
    _run_uv(folder)


def indexes(folder: Path) -> set[str]:
    """The package registries that uv.lock names."""
    return set(re.findall(r'registry = "([^"]+)"', (folder / LOCK).read_text(encoding="utf-8")))


def _run_uv(folder: Path) -> None:
    command = ["uv", "lock", "--quiet", "--python", sys.executable]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - uv of the PATH
    if done.returncode:
        (folder / LOCK).unlink(missing_ok=True)
        output = " ".join(done.stderr.split())[-400:]
        raise CannotLock(
            f"{LOCK} is missing, because uv could not make it. Run in that folder: uv lock. uv said: {output}"
        )


def _section(text: str, name: str) -> str:
    """A table of this repository's pyproject.toml as it is, comments included."""
    found = re.search(rf"^\[{re.escape(name)}\]\n(?:(?!\[).*\n)*", text, re.MULTILINE)
    if found is None:
        raise ExportError(f"pyproject.toml has no [{name}]. Fix lab/packaging/export_project.py.")
    return f"{found[0].rstrip()}\n"


def _table(name: str, values: dict[str, Any]) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())


def _toml(value: Any) -> str:
    """Strings, booleans and lists of strings are written alike in JSON and TOML."""
    return json.dumps(value, indent=4, ensure_ascii=False)


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)
