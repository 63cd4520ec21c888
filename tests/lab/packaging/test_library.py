"""The public library's rules for a module's folder: each is broken once, and the problem is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.packaging.library import LibraryError, validate
from lab.packaging.library_folder import LOCK, written
from tests.lab.packaging.exports import Exported

INDEX = "https://index.example/simple"
HASHED = f"""\
[[package]]
name = "orjson"
source = {{ registry = "{INDEX}" }}
wheels = [{{ url = "https://index.example/orjson.whl", hash = "sha256:0a" }}]

[[package]]
name = "checkpoint-harmony-mobile"
source = {{ virtual = "." }}
"""


@pytest.fixture
def copy(exported: Exported, tmp_path: Path) -> Path:
    """A folder to break, with a uv.lock."""
    folder = Path(shutil.copytree(exported("CheckpointHarmony", custom=False), tmp_path / "copy"))
    (folder / LOCK).write_text(HASHED, encoding="utf-8")
    return folder


def manifest(**changes: Any) -> Callable[[Path], None]:
    return json_file("manifest.json", **changes)


def json_file(name: str, **changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        told = json.loads((folder / name).read_text(encoding="utf-8"))
        for key, value in changes.items():
            place = told
            *path, last = key.split("__")
            for step in path:
                place = place[step]
            place.pop(last) if value is None else place.update({last: value})
        (folder / name).write_text(written(told), encoding="utf-8")

    return change


def replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")

    return change


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def without_tests(folder: Path) -> None:
    for path in folder.rglob("test_*.py"):
        path.unlink()


def without_items(folder: Path) -> None:
    for path in (*folder.glob("connector_*.json"), *folder.glob("trigger_*.json")):
        path.unlink()


def without_line(name: str, beginning: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        lines = (folder / name).read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith(beginning)]
        assert len(kept) < len(lines)
        (folder / name).write_text("".join(kept), encoding="utf-8")

    return change


CONNECTOR, TRIGGER = (f"{kind}_checkpoint_harmony_mobile.json" for kind in ("connector", "trigger"))
BROKEN: list[tuple[str, Callable[[Path], None], str]] = [
    ("no logo", without("logo.svg"), "logo.svg is missing"),
    ("no changelog", without("CHANGELOG.md"), "CHANGELOG.md is missing"),
    ("no lock", without("requirements.lock"), "requirements.lock is missing"),
    ("no JSON", replaced("manifest.json", "{", "{{"), "manifest.json is not JSON"),
    ("no uuid", manifest(uuid=None), "manifest.json lacks uuid"),
    ("odd uuid", manifest(uuid="1f5fa9dd"), "manifest.json: '1f5fa9dd' is no uuid"),
    ("odd slug", manifest(slug="Check_Point"), "slug 'Check_Point'"),
    ("odd version", manifest(version="1.0"), "version '1.0' is no semantic version"),
    ("other version", manifest(version="1.0.1"), "CHANGELOG.md does not begin with the manifest's version 1.0.1"),
    ("no category", manifest(categories=[]), "categories [] are not among"),
    ("odd category", manifest(categories=["Mobile"]), "categories ['Mobile'] are not among Applicative"),
    ("odd schema", manifest(configuration__type="thing"), "manifest.json: configuration is no valid schema"),
    ("other draft", replaced("manifest.json", "draft-07", "draft-04"), "configuration does not name draft-07 as its $schema"),
    ("unknown secret", manifest(configuration__secrets=["password"]), "secrets names password, which is no property"),
    ("no title", manifest(configuration__properties__client_id__title=None), "configuration: client_id lacks title"),
    ("no connector", without_items, "there is no connector_*.json and no trigger_*.json"),
    ("no description", json_file(CONNECTOR, description=None), f"{CONNECTOR} lacks description"),
    ("no results", json_file(TRIGGER, results=None), f"{TRIGGER} lacks results"),
    ("odd results", json_file(TRIGGER, results={"type": 1}), f"{TRIGGER}: results is no valid schema"),
    ("odd argument", json_file(CONNECTOR, arguments__properties__frequency__minimum="1"), f"{CONNECTOR}: arguments is no"),
    ("unknown internal", json_file(CONNECTOR, arguments__internal=["x"]), f"{CONNECTOR}: arguments: internal names x"),
    ("other command", json_file(CONNECTOR, docker_parameters="x"), f"main.py does not register 'x' of {CONNECTOR}"),
    ("one uuid twice", json_file(CONNECTOR, docker_parameters="x"), f"{TRIGGER} has the uuid of {CONNECTOR}"),
    ("other variable", replaced("main.py", "module.register(", "it.register("), "main.py does not register"),
    ("computed command", replaced("main.py", '"checkpoint_harmony_mobile"', "COMMAND"), "main.py does not register"),
    ("odd release", replaced("CHANGELOG.md", "## [1.0.0] - ", "## 1.0.0 "), "is not of the form [1.2.3] - 2025-12-31"),
    ("odd date", replaced("CHANGELOG.md", "[1.0.0] - 2026-11", "[1.0.0] - 2026-13"), "is not of the form [1.2.3]"),
    ("odd change", replaced("CHANGELOG.md", "### Added", "### New"), "'New' is not one of Added"),
    ("no drawing", replaced("logo.svg", "http://www.w3.org/2000/svg", "http://example.com"), "logo.svg is no SVG"),
    ("torn drawing", replaced("logo.svg", "</svg>", ""), "logo.svg is no SVG"),
    ("no tests", without_tests, "tests holds no test_*.py"),
    ("other start", replaced("Dockerfile", "./main.py", "start.py"), 'lacks ENTRYPOINT ["python", "./main.py"]'),
    ("other user", replaced("Dockerfile", "USER 1000:1000", "USER 0:0"), "does not end as the user sekoiaio-runtime (1000)"),
    ("user not made", replaced("Dockerfile", "useradd --uid 1000", "useradd --uid 1001"), "does not end as the user"),
    ("no tools", without_line("pyproject.toml", '    "ruff'), "the dependency group dev lacks ruff"),
    ("a package", without_line("pyproject.toml", "package = false"), "pyproject.toml lacks package of [tool.uv]"),
    ("no sources", without_line("pyproject.toml", 'src = [".", "tests"]'), "pyproject.toml lacks src of [tool.ruff]"),
    ("no coverage", replaced("pyproject.toml", "[tool.coverage.run]", "[tool.other]"), "lacks run of [tool.coverage]"),
    ("types of nothing", replaced("pyproject.toml", '"shared"', '"elsewhere"'), "mypy is to look at elsewhere, which is not"),
    ("version of old", replaced("pyproject.toml", 'version = "1.', 'version = "0.'), "has another version than manifest.json"),
    ("no uv.lock", without(LOCK), "uv.lock is missing"),
    ("uv.lock without hashes", replaced(LOCK, 'hash = "sha256:', 'hash = "md5:'), "uv.lock: orjson lacks a hash"),
    ("uv.lock of a folder", replaced(LOCK, "https://index.example/simple", "../wheels"), "uv.lock: orjson comes from"),
    ("uv.lock of a path", replaced(LOCK, 'virtual = "."', 'editable = "/opt/x"'), "which others do not reach"),
    ("other JSON", replaced(CONNECTOR, "  ", "    "), f"{CONNECTOR} is not as json.dumps(…, indent=2) writes it"),
    ("a line break", lambda folder: (folder / "manifest.json").open("a").write("\n"), "manifest.json is not as json.dumps"),
    ("results", json_file(CONNECTOR, results={}), f"{CONNECTOR} holds results, which connectors do not have"),
    ("odd capability", json_file(CONNECTOR, type="asset", capability="device"), "capability 'device' is not one of account"),
    ("no capability", json_file(CONNECTOR, type="asset"), "capability None is not one of account_detection, host_det"),
    ("first sentence", replaced("CHANGELOG.md", "to this project will be", "are"), "lacks the sentence 'All notable changes"),
    ("second sentence", replaced("CHANGELOG.md", "/en/1.0.0/", "/en/1.1.0/"), "lacks the sentence 'The format is based on"),
    ("repository's root", replaced("Dockerfile", "COPY . ", "COPY ESET "), "Dockerfile copies ESET, which is not in the"),
    ("sources", replaced("requirements.lock", "--only-binary :all:", ""), "requirements.lock lets pip build packages"),
    ("no hash", replaced("requirements.lock", "--hash=sha256:", "--hash=md5:"), "requirements.lock pins nothing, lacks a"),
    ("an index", replaced("requirements-image.lock", "orjson", "https://example.com/orjson"), "requirements-image.lock pins"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "problem"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_broken_rule_is_named(copy: Path, change: Callable[[Path], None], problem: str) -> None:
    validate(copy)
    change(copy)
    with pytest.raises(LibraryError) as caught:
        validate(copy)
    assert [one for one in caught.value.problems if problem in one], caught.value.problems


def test_a_missing_uv_lock_alone_can_be_excused(copy: Path) -> None:
    (copy / LOCK).unlink()
    validate(copy, locked=False)
    (copy / "logo.svg").unlink()
    with pytest.raises(LibraryError, match=r"\Alogo\.svg is missing\Z"):
        validate(copy, locked=False)


def test_json_is_written_as_the_library_compares_it() -> None:
    assert written({"a": ["×"]}) == '{\n  "a": [\n    "\\u00d7"\n  ]\n}'
