"""What a command imports before it does its work, in a process of its own. Counted, not timed: an import that nobody needs costs everybody."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from lab.consoles.sentinelone import SimulatedSentinelOne
from lab.modules import MODULES, ROOT, LabModule

COMMAND = Path(sys.executable).with_name("sekoia-lab")
PACKAGES = {module.package for module in MODULES.values()}
SDK = {"sekoia_automation", "boto3", "flask"}  # the SDK imports the other two itself
OF_ONE_COMMAND = {"benchmarks", "jsonschema"}
SERVERS = {"lab.consoles", "lab.fleet", "lab.platform"}
_LINE = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.MULTILINE)


def imported_by(*command: str | Path, folder: Path = ROOT, stdin: str = "") -> set[str]:
    """Every module that the Python program imports until it ends, with the packages on the way."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *map(str, command)],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, _LINE.sub("", done.stderr)
    return set(_LINE.findall(done.stderr))


def assert_none_of(unneeded: Iterable[str], imported: set[str]) -> None:
    found = imported & set(unneeded)
    assert not found, f"imported without need: {', '.join(sorted(found))}"


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    with SimulatedSentinelOne("a-token") as console:
        console.has(2)
        path = tmp_path / "module.json"
        path.write_text(json.dumps({"hostname": console.url, "api_token": "a-token"}))
        yield path


@pytest.mark.parametrize("command", [(), *((name,) for name in ("demo", "run", "map", "check", "bench", "export"))])
def test_help_imports_no_vendor_no_server_and_not_the_sdk(command: tuple[str, ...]) -> None:
    imported = imported_by(COMMAND, *command, "--help")
    assert "lab.cli" in imported
    assert_none_of(PACKAGES | SDK | OF_ONE_COMMAND | SERVERS | {"jinja2", "requests"}, imported)


def test_form_imports_templates_and_no_vendor() -> None:
    imported = imported_by(COMMAND, "form", "SentinelOne")
    assert "jinja2" in imported
    assert_none_of(PACKAGES | SDK | OF_ONE_COMMAND | SERVERS | {"requests"}, imported)


@pytest.mark.parametrize("name", MODULES)
def test_map_imports_one_vendors_table_and_no_connector(name: str) -> None:
    package = MODULES[name].package
    imported = imported_by(COMMAND, "map", name, stdin=json.dumps(MODULES[name].smallest_record()))
    assert f"{package}.mapper" in imported
    unneeded = (PACKAGES - {package}) | {f"{package}.connector", "jinja2", "boto3", "flask"}
    assert_none_of(unneeded | OF_ONE_COMMAND | SERVERS, imported)


@pytest.mark.parametrize("command", ["check", "preview"])
def test_a_look_at_a_console_imports_one_vendor_and_no_server(command: str, config: Path) -> None:
    package = MODULES["SentinelOne"].package
    imported = imported_by(COMMAND, command, "SentinelOne", "--module-config", config)
    assert f"{package}.connector" in imported
    assert_none_of((PACKAGES - {package}) | OF_ONE_COMMAND | SERVERS, imported)


def test_run_imports_the_platform_and_leaves_the_vendor_to_the_modules_process(config: Path, tmp_path: Path) -> None:
    arguments = tmp_path / "arguments.json"
    arguments.write_text("{}")
    imported = imported_by(
        *(COMMAND, "run", "SentinelOne", "--module-config", config, "--connector-config", arguments),
        *("--data", tmp_path / "data", "--once"),
    )
    assert "lab.platform.local" in imported
    assert_none_of(PACKAGES | OF_ONE_COMMAND | {"lab.consoles", "lab.fleet", "boto3"}, imported)


@pytest.mark.parametrize("module", MODULES.values(), ids=list(MODULES))
def test_a_modules_process_imports_one_vendor_and_no_schema_validator(module: LabModule) -> None:
    imported = imported_by("-c", "import main", folder=module.folder)
    assert f"{module.package}.connector" in imported
    assert_none_of((PACKAGES - {module.package}) | OF_ONE_COMMAND | {"lab", "rich"}, imported)
