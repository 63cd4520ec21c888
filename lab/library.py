"""What the public automation library asks of a module's folder, as its checks look at it: names, ids, schemas, layout."""

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
_DRAFT = "http://json-schema.org/draft-07/schema#"
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_RELEASE = re.compile(rf"\[({_VERSION.pattern})\] - (\d{{4}}-\d{{2}}-\d{{2}})")
_CHANGES = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
_FILES = (
    *("manifest.json", "main.py", "CHANGELOG.md", "README.md", "logo.svg", "Dockerfile"),
    *("requirements.lock", "requirements-image.lock"),
)
_MANIFEST = {"uuid", "name", "slug", "description", "version", "categories", "configuration"}
_ITEM = {"uuid", "name", "description", "docker_parameters", "arguments"}


class LibraryError(ValueError):
    """A folder that the library would refuse; each of `problems` names the file and what is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def validate(folder: Path) -> None:
    """LibraryError with all that is wrong; of a folder that lacks a file or holds one that is no JSON, that alone."""
    problems = list(_unreadable(folder)) or [problem for check in _CHECKS for problem in check(folder)]
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
        yield from _uuid(name, item)
        yield from _form(f"{name}: arguments", item["arguments"])
        yield from _schema(f"{name}: results", item.get("results", {}))
        if item["docker_parameters"] not in registered(folder / "main.py"):
            yield f"main.py does not register {item['docker_parameters']!r} of {name} literally on `module`"


def _uuids(folder: Path) -> Iterator[str]:
    """A connector that can be a trigger too is one item in two files: the same uuid and the same docker parameter."""
    known: dict[str, tuple[str, Any]] = {}
    for name, told in {"manifest.json": _read(folder / "manifest.json"), **items(folder)}.items():
        first, parameter = known.setdefault(told.get("uuid", ""), (name, told.get("docker_parameters")))
        if parameter != told.get("docker_parameters"):
            yield f"{name} has the uuid of {first}"


def _changelog(folder: Path) -> Iterator[str]:
    text = (folder / "CHANGELOG.md").read_text(encoding="utf-8")
    headers = re.findall(r"^(##+) (.*)$", text, re.MULTILINE)
    releases = [title for level, title in headers if level == "##" and title not in ("Unreleased", "[Unreleased]")]
    for title in releases:
        told = _RELEASE.fullmatch(title)
        if not told or not _is_date(told[5]):
            yield f"CHANGELOG.md: {title!r} is not of the form [1.2.3] - 2025-12-31"
    for title in (title for level, title in headers if level == "###" and title not in _CHANGES):
        yield f"CHANGELOG.md: {title!r} is not one of {', '.join(sorted(_CHANGES))}"
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


def _tests(folder: Path) -> Iterator[str]:
    if not any((folder / "tests").rglob("test_*.py")):
        yield "tests holds no test_*.py"


def _dockerfile(folder: Path) -> Iterator[str]:
    text = (folder / "Dockerfile").read_text(encoding="utf-8")
    if not re.search(r"^ENTRYPOINT .*main\.py", text, re.MULTILINE):
        yield "Dockerfile does not start main.py"
    for sources in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", text, re.MULTILINE):
        for source in sources.split():
            if not (folder / source).exists():
                yield f"Dockerfile copies {source}, which is not in the folder"


def _locks(folder: Path) -> Iterator[str]:
    for name in ("requirements.lock", "requirements-image.lock"):
        blocks = re.split(r"\n(?=\w)", (folder / name).read_text(encoding="utf-8").strip())
        if not all("==" in block and "--hash=sha256:" in block for block in blocks) or "://" in "".join(blocks):
            yield f"{name} pins nothing, lacks a hash or names an address"


_CHECKS: tuple[Callable[[Path], Iterator[str]], ...] = (
    _manifest,
    _connectors_and_triggers,
    _uuids,
    _changelog,
    _logo,
    _tests,
    _dockerfile,
    _locks,
)


def _uuid(name: str, told: dict[str, Any]) -> Iterator[str]:
    try:
        sound = str(uuid.UUID(told["uuid"])) == told["uuid"]
    except (ValueError, AttributeError):
        sound = False
    if not sound:
        yield f"{name}: {told['uuid']!r} is no uuid"


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
    for name, told in properties.items():
        if missing := {"title", "description", "type"} - told.keys():
            yield f"{where}: {name} lacks {', '.join(sorted(missing))}"


def _is_date(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
