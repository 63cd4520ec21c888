"""The rules of the public automation library for a module's folder, as far as a folder alone can be checked for them.

Names, ids, schemas and the CHANGELOG here; locks, Dockerfile, settings of tools and the form of JSON files in
`library_folder.py`. Not checked: that no other module of the library has the same uuid or slug, and what the tools
themselves find.
"""

from __future__ import annotations

import ast
import json
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from lab.packaging.library_folder import FOLDER_CHECKS, uv_lock

CATEGORIES = {
    "Applicative",
    "Cloud Providers",
    "Collaboration Tools",
    "Email",
    "Endpoint",
    "Generic",
    "IAM",
    "Network",
    "Threat Intelligence",
}
CAPABILITIES = {"account_detection", "host_detection", "vulnerability_enrichment", "software_enrichment"}
"""Of an asset connector: with any other the platform shows it without a count."""
KEEP_A_CHANGELOG = (
    "All notable changes to this project will be documented in this file.",
    "The format is based on [Keep a Changelog](https://keepachangelog.com/en/1.0.0/),\n"
    "and this project adheres to [Semantic Versioning](https://semver.org/spec/v2.0.0.html).",
)
_DRAFT = "http://json-schema.org/draft-07/schema#"
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_RELEASE = re.compile(rf"\[({_VERSION.pattern})\] - (\d{{4}}-\d{{2}}-\d{{2}})")
_CHANGES = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
_FILES = (
    *("manifest.json", "main.py", "CHANGELOG.md", "README.md", "logo.svg", "Dockerfile"),
    *("pyproject.toml", "requirements.lock", "requirements-image.lock"),
)
_MANIFEST = {"uuid", "name", "slug", "description", "version", "categories", "configuration"}
_ITEM = {"uuid", "name", "description", "docker_parameters", "arguments"}
_CONNECTOR = _ITEM | {"slug", "type", "capability"}


class LibraryError(ValueError):
    """A folder that the library would refuse; each of `problems` names the file and what is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def validate(folder: Path, *, locked: bool = True) -> None:
    """LibraryError with everything that is wrong; if a file is missing or is not JSON, with that alone.

    `locked` is false where uv.lock could not be made: the caller reports that, and the rest is checked.
    """
    checks = (*_CHECKS, uv_lock) if locked else _CHECKS
    problems = list(_unreadable(folder)) or [problem for check in checks for problem in check(folder)]
    if problems:
        raise LibraryError(problems)


def items(folder: Path) -> dict[str, dict[str, Any]]:
    """File name → what it says, of the folder's connectors, then of its triggers."""
    return {
        path.name: _read(path) for kind in ("connector", "trigger") for path in sorted(folder.glob(f"{kind}_*.json"))
    }


def registered(main: Path) -> dict[str, str]:
    """Docker parameter → name of the class, of each `module.register(Class, "parameter")` that is written literally."""
    found = {}
    for node in ast.walk(ast.parse(main.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name("module"), attr="register"),
                args=[ast.Name(name), ast.Constant(str(parameter))],
            ):
                found[parameter] = name
    return found


def _unreadable(folder: Path) -> Iterator[str]:
    for name in (name for name in _FILES if not (folder / name).is_file()):
        yield f"{name} is missing"
    for path in sorted(folder.glob("*.json")):
        try:
            _read(path)
        except ValueError as error:
            yield f"{path.name} is not JSON: {error}"


def _manifest(folder: Path) -> Iterator[str]:
    manifest = _read(folder / "manifest.json")
    if missing := _MANIFEST - manifest.keys():
        yield f"manifest.json lacks {', '.join(sorted(missing))}"
        return
    yield from _uuid("manifest.json", manifest)
    if not _SLUG.fullmatch(manifest["slug"]):
        yield f"manifest.json: slug {manifest['slug']!r} is not of small letters, digits and single hyphens"
    if not _VERSION.fullmatch(manifest["version"]):
        yield f"manifest.json: version {manifest['version']!r} is no semantic version"
    if not manifest["categories"] or set(manifest["categories"]) - CATEGORIES:
        yield f"manifest.json: categories {manifest['categories']} are not among {', '.join(sorted(CATEGORIES))}"
    yield from _form("manifest.json: configuration", manifest["configuration"])


def _connectors_and_triggers(folder: Path) -> Iterator[str]:
    if not items(folder):
        yield "there is no connector_*.json and no trigger_*.json"
    for name, item in items(folder).items():
        required = _ITEM | ({"results"} if name.startswith("trigger") else set())
        if missing := required - item.keys():
            yield f"{name} lacks {', '.join(sorted(missing))}"
            continue
        if name.startswith("connector"):
            yield from _connector(name, item)
        yield from _uuid(name, item)
        yield from _form(f"{name}: arguments", item["arguments"])
        yield from _schema(f"{name}: results", item.get("results", {}))
        if item["docker_parameters"] not in registered(folder / "main.py"):
            yield f"main.py does not register {item['docker_parameters']!r} of {name} literally on `module`"


def _connector(name: str, item: dict[str, Any]) -> Iterator[str]:
    if unknown := item.keys() - _CONNECTOR:
        yield f"{name} holds {', '.join(sorted(unknown))}, which connectors do not have"
    if item.get("type") == "asset" and item.get("capability") not in CAPABILITIES:
        yield f"{name}: capability {item.get('capability')!r} is not one of {', '.join(sorted(CAPABILITIES))}"


def _uuids(folder: Path) -> Iterator[str]:
    """A connector that can be a trigger too is one item in two files: the same uuid and the same docker parameter."""
    known: dict[str, tuple[str, Any]] = {}
    for name, item in {"manifest.json": _read(folder / "manifest.json"), **items(folder)}.items():
        first, parameter = known.setdefault(item.get("uuid", ""), (name, item.get("docker_parameters")))
        if parameter != item.get("docker_parameters"):
            yield f"{name} has the uuid of {first}"


def _changelog(folder: Path) -> Iterator[str]:
    text = (folder / "CHANGELOG.md").read_text(encoding="utf-8")
    headers = re.findall(r"^(##+) (.*)$", text, re.MULTILINE)
    releases = [title for level, title in headers if level == "##" and title not in ("Unreleased", "[Unreleased]")]
    for title in releases:
        release = _RELEASE.fullmatch(title)
        if not release or not _is_date(release[5]):
            yield f"CHANGELOG.md: {title!r} is not of the form [1.2.3] - 2025-12-31"
    for title in (title for level, title in headers if level == "###" and title not in _CHANGES):
        yield f"CHANGELOG.md: {title!r} is not one of {', '.join(sorted(_CHANGES))}"
    for sentence in (sentence for sentence in KEEP_A_CHANGELOG if sentence not in text):
        yield f"CHANGELOG.md lacks the sentence {' '.join(sentence.split())!r}"
    version = _read(folder / "manifest.json").get("version")
    if not releases or not releases[0].startswith(f"[{version}] "):
        yield f"CHANGELOG.md does not begin with the manifest's version {version}"


def _logo(folder: Path) -> Iterator[str]:
    try:
        root = ElementTree.parse(folder / "logo.svg").getroot()  # noqa: S314 - a file of this repository, not of a stranger
        drawing = root.tag == "{http://www.w3.org/2000/svg}svg"
    except ElementTree.ParseError:
        drawing = False
    if not drawing:
        yield "logo.svg is no SVG"


_CHECKS: tuple[Callable[[Path], Iterator[str]], ...] = (
    _manifest,
    _connectors_and_triggers,
    _uuids,
    _changelog,
    _logo,
    *FOLDER_CHECKS,
)


def _uuid(name: str, item: dict[str, Any]) -> Iterator[str]:
    try:
        valid = str(uuid.UUID(item["uuid"])) == item["uuid"]
    except (ValueError, AttributeError):
        valid = False
    if not valid:
        yield f"{name}: {item['uuid']!r} is no uuid"


def _schema(where: str, schema: Any) -> Iterator[str]:
    # Here and not above: its import takes more than a second where `rfc3987-syntax` is installed, which builds a grammar.
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft7Validator.check_schema(schema)
    except SchemaError as error:
        yield f"{where} is no valid schema: {error.message}"


def _form(where: str, schema: Any) -> Iterator[str]:
    """A schema that a form is made of."""
    if unsound := list(_schema(where, schema)):
        yield from unsound
        return
    if schema.get("$schema") != _DRAFT:
        yield f"{where} does not name draft-07 as its $schema"
    properties = schema.get("properties", {})
    for word in ("required", "secrets", "internal"):
        if unknown := set(schema.get(word, [])) - properties.keys():
            yield f"{where}: {word} names {', '.join(sorted(unknown))}, which is no property"
    for name, property_ in properties.items():
        if missing := {"title", "description", "type"} - property_.keys():
            yield f"{where}: {name} lacks {', '.join(sorted(missing))}"


def _is_date(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
