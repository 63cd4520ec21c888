"""Values that must agree across files, and which file may import which."""

from __future__ import annotations

import ast
import json
import re
import tomllib
import uuid
import xml.etree.ElementTree as ElementTree
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from jsonschema import Draft7Validator
from packaging.requirements import Requirement
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from lab.kinds import DEVICES
from lab.modules import MODULES, ROOT, LabModule, device_modules
from lab.packaging.fields import OCSF_PAGE, ocsf_page, page, path_of
from lab.packaging.imports import names_imported
from lab.packaging.library import CAPABILITIES, CATEGORIES, KEEP_A_CHANGELOG
from lab.packaging.locks import NO_SOURCES
from lab.packaging.results import trigger_file
from shared.devices.inventory import DeviceConnector
from shared.runtime.settings import (
    DeviceChangesConfiguration,
    DeviceConnectorConfiguration,
    EventConnectorConfiguration,
)

VENDOR_PACKAGES = {module.package for module in MODULES.values()}

PYTHON = "3.11"
"""The version that CI tests with."""
DEVICE_ARGUMENTS = {"sekoia_base_url", "sekoia_api_key", "frequency", "batch_size", "full_sync_interval"}

each_module = pytest.mark.parametrize("module", MODULES.values(), ids=list(MODULES))
each_device_module = pytest.mark.parametrize("module", device_modules(), ids=lambda module: module.name)


def imports_of(path: Path) -> set[str]:
    """The top-level packages a file imports; relative imports are the file's own."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in (ROOT / folder).rglob("*.py")]


def test_shared_imports_no_vendor_and_not_the_lab() -> None:
    for path in python_files("shared"):
        assert not imports_of(path) & (VENDOR_PACKAGES | {"lab", "tests", "benchmarks"}), path


ROOMS = {  # lowest first
    "shared": ("", "state", "http", "mapping", "runtime", "devices", "alerts"),
    "lab": ("paths", "platform", "fleet", "consoles", "", "vendors", "report", "packaging", "commands", "cli"),
}
each_library = pytest.mark.parametrize("library", ROOMS)


@each_library
def test_a_room_imports_only_rooms_below_it(library: str) -> None:
    """Imports under TYPE_CHECKING count, and those inside of functions."""
    rooms, listed = {path.parent.name for path in (ROOT / library).glob("*/__init__.py")}, ROOMS[library]
    assert rooms == {room for room in listed if room and not (ROOT / library / f"{room}.py").exists()}, (
        f"docs/architecture.md and this test list the rooms of {library}/"
    )
    upwards = [
        f"{name} imports {imported}"
        for name, imports in imports_within(library).items()
        for imported in imports
        if listed.index(room_of(imported)) > listed.index(room_of(name))
    ]
    assert not upwards


@each_library
def test_no_file_is_part_of_an_import_cycle(library: str) -> None:
    """Imports under TYPE_CHECKING count, and those inside of functions."""
    try:
        TopologicalSorter(imports_within(library)).prepare()
    except CycleError as error:
        pytest.fail(f"These files import each other in a circle: {' -> '.join(error.args[1])}")


def imports_within(package: str) -> dict[str, set[str]]:
    """Module of the package -> the modules of the package that it imports anywhere."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in python_files(package)}
    known = set(names.values())
    return {name: {one for one in names_imported(path) if one in known} for path, name in names.items()}


def room_of(module: str) -> str:
    """`shared.http.pages` -> `http`; "" for the modules at the top, unless they are a room of their own."""
    library, name, *inner = module.split(".")
    return name if inner or name in ROOMS[library] else ""


VENDOR_NAMES = re.compile(
    rf"harfang|hurukai|harmony|check ?point_?harmony|check point|\b(?:{'|'.join(MODULES)})\b|{'|'.join(VENDOR_PACKAGES)}",
    re.I,
)
OWN = re.compile(rf"(?:^|[/_])(?:{'|'.join(MODULES)}|checkpoint)(?:[/_.]|$)", re.I)
"""Paths of a vendor's own files."""


@pytest.mark.parametrize("folder", ["shared", "lab", "benchmarks", "tests/fuzz"])
def test_a_vendor_is_named_in_its_own_files_alone(folder: str) -> None:
    """A new vendor is added by its own files, so no other has a list of vendors, or a branch for one of them."""
    named = {
        str(path): found[0]
        for path in map(ROOT.__truediv__, (path.relative_to(ROOT) for path in python_files(folder)))
        if not OWN.search(str(path.relative_to(ROOT))) and (found := VENDOR_NAMES.search(path.read_text("utf-8")))
    }
    assert not named


def test_no_other_test_has_a_list_of_vendors() -> None:
    """An example is one vendor; two of them in a literal, or one as a key, are a list that a new one is missing from."""
    lists = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in python_files("tests")
        if not OWN.search(str(path.relative_to(ROOT)))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Dict | ast.List | ast.Tuple | ast.Set)
        and len(_names_in(node.keys if isinstance(node, ast.Dict) else node.elts)) > (not isinstance(node, ast.Dict))
    ]
    assert not lists


def _names_in(nodes: list[ast.expr | None] | list[ast.expr]) -> set[str]:
    return {node.value for node in nodes if isinstance(node, ast.Constant)} & set(MODULES)


@pytest.mark.parametrize("package", sorted(VENDOR_PACKAGES))
def test_a_vendor_imports_no_other_and_not_the_lab(package: str) -> None:
    [folder] = ROOT.glob(f"*/{package}")
    for path in [*folder.rglob("*.py"), folder.parent / "main.py"]:
        assert not imports_of(path) & ((VENDOR_PACKAGES - {package}) | {"lab", "tests", "benchmarks"}), path


@pytest.mark.parametrize("package", sorted(VENDOR_PACKAGES))
def test_a_vendor_stays_under_350_lines(package: str) -> None:
    [folder] = ROOT.glob(f"*/{package}")
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in folder.rglob("*.py")) <= 350


def test_nothing_but_tests_and_benchmarks_imports_the_lab() -> None:
    for path in python_files("shared", *(module.name for module in MODULES.values())):
        assert "lab" not in imports_of(path), path


@each_module
def test_the_manifest_describes_the_settings(module: LabModule) -> None:
    schema = module.manifest["configuration"]
    Draft7Validator.check_schema(schema)
    model = get_type_hints(module.module)["configuration"]
    assert set(schema["properties"]) == set(model.model_fields)
    for name, field in model.model_fields.items():
        described = schema["properties"][name]
        assert described["title"] == field.title, "a message names a setting by its label"
        assert described["description"]
        assert (name in schema["required"]) == field.is_required(), name
        assert (name in schema["secrets"]) == _is_secret(field.annotation), name
        if not field.is_required() and field.default is not None and not _is_secret(field.annotation):
            assert described.get("default") == field.default, name


@each_module
def test_the_connector_json_describes_the_arguments(module: LabModule) -> None:
    schema = module.connector_manifest["arguments"]
    Draft7Validator.check_schema(schema)
    model = get_type_hints(module.connector)["configuration"]
    for name, described in schema["properties"].items():
        field = model.model_fields[name]
        assert described["title"] == field.title
        assert described["description"]
        if not _is_secret(field.annotation):
            assert described["default"] == field.default, name
            assert (described.get("minimum"), described.get("maximum")) == _bounds(field), name
    if module.kind is DEVICES:
        assert issubclass(model, DeviceConnectorConfiguration)
        assert set(schema["properties"]) == DEVICE_ARGUMENTS
        assert schema["secrets"] == ["sekoia_api_key"]
        assert schema["internal"] == ["sekoia_base_url", "sekoia_api_key", "batch_size"]
    else:
        assert issubclass(model, EventConnectorConfiguration)
        assert set(schema["properties"]) == set(model.model_fields)
        assert schema["required"] == ["intake_key"]
        assert "secrets" not in schema, "the SDK resolves none for connectors of events"


def test_the_trigger_of_alerts_is_their_connector_under_another_name() -> None:
    module = MODULES["CheckpointHarmony"]
    [path] = module.folder.glob("trigger_*.json")
    trigger = json.loads(path.read_text(encoding="utf-8"))
    assert trigger == {**module.connector_manifest, "results": trigger["results"]}


@each_device_module
def test_the_trigger_on_changes_describes_its_arguments(module: LabModule) -> None:
    manifest, slug = module.changes_manifest, module.package.removesuffix("_assets")
    assert module.changes
    assert module.changes_command == f"{slug}_device_changes"
    assert module.changes_file.name == f"trigger_{slug}_device_changes.json"
    for schema in (manifest["arguments"], manifest["results"]):
        Draft7Validator.check_schema(schema)
    assert set(manifest["arguments"]["properties"]) == set(DeviceChangesConfiguration.model_fields)
    for name, described in manifest["arguments"]["properties"].items():
        field = DeviceChangesConfiguration.model_fields[name]
        assert described["title"] == field.title
        assert described["description"]
        assert described["default"] == field.default, name
        assert (described.get("minimum"), described.get("maximum")) == _bounds(field), name


@each_device_module
def test_the_trigger_on_changes_offers_and_returns_what_the_table_has(module: LabModule) -> None:
    assert module.changes_file.read_text(encoding="utf-8") == trigger_file(
        module.changes_file, module.connector.fields
    ), "run: make docs"


@each_module
def test_the_manifest_is_what_the_platform_takes(module: LabModule) -> None:
    manifest, connector = module.manifest, module.connector_manifest
    assert {"name", "description", "slug"} <= manifest.keys()
    assert manifest["supports_validation"] is True
    assert set(manifest["categories"]) <= CATEGORIES
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", manifest["slug"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", manifest["version"])
    assert connector.get("type") == ("asset" if module.kind is DEVICES else None)
    assert connector.get("capability") == ("host_detection" if module.kind is DEVICES else None)
    assert {"host_detection"} < CAPABILITIES
    assert "results" not in connector, "a connector has none"
    assert (
        str(uuid.UUID(manifest["uuid"])) == manifest["uuid"] != connector["uuid"] == str(uuid.UUID(connector["uuid"]))
    )


@each_module
def test_a_connector_has_the_uuid_of_the_published_one(module: LabModule) -> None:
    """With another uuid it would be another connector for the platform, next to the published one."""
    if module.published is None:
        pytest.skip("this vendor has no published connector")
    assert module.connector_manifest["uuid"] == module.published


def test_no_uuid_is_used_twice() -> None:
    files = [*ROOT.glob("*/manifest.json"), *ROOT.glob("*/connector_*.json"), *ROOT.glob("*/trigger_*_changes.json")]
    uuids = [json.loads(path.read_text(encoding="utf-8"))["uuid"] for path in files]
    assert len(uuids) == len(set(uuids))


@each_module
def test_main_registers_the_command_and_the_validator(module: LabModule) -> None:
    registered: dict[str, list[Any]] = {}
    for node in ast.walk(ast.parse((module.folder / "main.py").read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            registered.setdefault(f"{node.func.value.id}.{node.func.attr}", []).extend(node.args)
    items = iter(registered["module.register"])
    expected = [(module.connector.__name__, module.command)]
    if module.changes:
        expected.append((module.changes.__name__, module.changes_command))
    assert [(name.id, command.value) for name, command in zip(items, items, strict=True)] == expected
    [validator] = registered["module.register_account_validator"]
    assert validator.id == module.validator.__name__


@each_module
def test_the_lab_maps_with_the_connectors_table_and_knows_its_kind(module: LabModule) -> None:
    assert module.table() is module.connector.fields
    assert (module.kind is DEVICES) == issubclass(module.connector, DeviceConnector)
    assert module.folder == ROOT / module.name
    assert {one.__module__.partition(".")[0] for one in module.classes() if one} == {module.package}


@each_module
def test_the_changelog_begins_with_the_manifests_version(module: LabModule) -> None:
    changelog = (module.folder / "CHANGELOG.md").read_text(encoding="utf-8")
    assert all(sentence in changelog for sentence in KEEP_A_CHANGELOG)
    releases = re.findall(r"^## \[(.+?)\] - \d{4}-\d{2}-\d{2}$", changelog, re.MULTILINE)
    assert releases[0] == module.manifest["version"]


@each_module
def test_a_module_has_all_its_parts(module: LabModule) -> None:
    for name in ("Dockerfile", "README.md", "logo.svg"):
        assert (module.folder / name).is_file(), name
    assert ElementTree.parse(module.folder / "logo.svg").getroot().tag.endswith("svg")
    readme = (module.folder / "README.md").read_text(encoding="utf-8")
    assert "## Where this differs from the published page" in readme


@each_module
def test_dockerfiles_differ_in_the_module_its_version_and_its_command_only(module: LabModule) -> None:
    def general(module: LabModule) -> str:
        text = (module.folder / "Dockerfile").read_text(encoding="utf-8")
        named = f"ARG MODULE={module.name} VERSION={module.manifest['version']}\n"
        assert named in text
        assert f'CMD ["{module.command}"]\n' in text
        return text.replace(named, "").replace(module.name, "MODULE").replace(module.command, "command")

    assert general(module) == general(MODULES["SentinelOne"])


@each_module
def test_the_page_of_fields_is_the_table(module: LabModule) -> None:
    assert path_of(module.name).read_text(encoding="utf-8") == page(module), "run: make docs"


def test_the_page_of_ocsf_fields_is_that_of_the_installed_models() -> None:
    assert OCSF_PAGE.read_text(encoding="utf-8") == ocsf_page(), "run: make docs"


@each_module
def test_each_row_of_a_table_is_described(module: LabModule) -> None:
    for row in module.connector.fields:
        described = row.doc or (row.convert and row.convert.__doc__) or row.label.startswith("static")
        assert described, row.path


def test_the_locks_hold_hashes_and_no_address() -> None:
    pinned: dict[str, dict[str, str]] = {}
    for name in ("requirements.lock", "requirements-image.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text
        assert "index-url" not in text
        blocks = re.split(r"\n(?=[a-z0-9])", text.removeprefix(NO_SOURCES).strip(), flags=re.IGNORECASE)
        assert all("--hash=sha256:" in block for block in blocks)
        requirements = [Requirement(re.split(r"\\|\n", block)[0].strip()) for block in blocks]
        pinned[name] = {requirement.name: str(requirement.specifier) for requirement in requirements}
    assert pinned["requirements-image.lock"].items() <= pinned["requirements.lock"].items()


def test_the_workflow_runs_what_ci_is_in_the_python_version_that_is_tested() -> None:
    [job] = _yaml(".github/workflows/ci.yml")["jobs"].values()
    actions = {step["uses"].partition("@")[0]: step.get("with", {}) for step in job["steps"] if "uses" in step}
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]
    assert actions.keys() == {"actions/checkout", "actions/setup-python"}
    assert actions["actions/setup-python"] == {"python-version": PYTHON}


def test_every_file_that_names_a_python_version_names_the_tested_one() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert configured["project"]["requires-python"] == f">={PYTHON}"
    assert configured["tool"]["mypy"]["python_version"] == PYTHON
    assert configured["tool"]["ruff"]["target-version"] == f"py{PYTHON.replace('.', '')}"
    assert f"PYTHON={PYTHON}\n" in (ROOT / ".ci/images").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"sys.version_info < ({PYTHON.replace('.', ', ')})" in makefile
    assert set(re.findall(r"--python-version (\S+)", makefile)) == {PYTHON}
    for name in ("README.md", "CONTRIBUTING.md", "Makefile"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert set(re.findall(r"\bpython ?(3\.\d+)", text, re.IGNORECASE)) == {PYTHON}, name


def test_the_hooks_before_a_commit_run_make_check_and_nothing_from_elsewhere() -> None:
    [source] = _yaml(".pre-commit-config.yaml")["repos"]
    [hook] = source["hooks"]
    assert (source["repo"], hook["language"], hook["entry"]) == ("local", "system", "make check")
    assert (hook["pass_filenames"], hook["always_run"]) == (False, True), "make check looks at the complete repository"


def _yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def _bounds(field: FieldInfo) -> tuple[int | None, ...]:
    """The least and the greatest number that the settings accept, as a form has them."""
    return tuple(next((getattr(at, of) for at in field.metadata if hasattr(at, of)), None) for of in ("ge", "le"))


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or SecretStr in getattr(annotation, "__args__", ())
