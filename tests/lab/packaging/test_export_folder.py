"""The folder that an export writes: complete, of this vendor alone, and by its ids for the one way or the other."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from lab.modules import MODULES, ROOT, LabModule
from lab.packaging.export import ExportError, dockerfile_of, export
from lab.packaging.imports import names_imported
from lab.packaging.library import LibraryError, validate
from lab.packaging.locks import NO_SOURCES, part_for, pins
from tests.lab.packaging.exports import Exported, each_name, each_way, files_below, json_of

pytestmark = pytest.mark.usefixtures("no_programs")


# --- the folder


@each_way
@each_name
def test_the_folder_keeps_the_librarys_rules(exported: Exported, name: str, custom: bool) -> None:
    folder, module = exported(name, custom=custom), MODULES[name]
    validate(folder, locked=False)
    parts = {"manifest.json", "main.py", "Dockerfile", ".dockerignore", ".gitignore", "README.md", "CHANGELOG.md"}
    parts |= {"LICENSE", "logo.svg", "pyproject.toml", "requirements.lock", "requirements-image.lock"}
    assert {path.name for path in folder.iterdir()} >= parts | {module.package, "shared", "tests"}
    assert not [path for path in files_below(folder) if "__pycache__" in path]
    ruff = [sys.executable, "-m", "ruff", "format", "--check", "--no-cache", "."]  # the export runs ruff check itself
    done = subprocess.run(ruff, cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@each_way
@each_name
def test_no_path_of_this_machine_is_in_the_folder(exported: Exported, name: str, custom: bool) -> None:
    folder = exported(name, custom=custom)
    paths = [str(place).encode() for place in (ROOT, folder.parent, Path(sys.prefix))]
    for path in (path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert not [place for place in paths if place in content], path


@each_name
def test_the_folder_holds_all_that_it_imports_and_no_other_vendor(exported: Exported, name: str) -> None:
    folder = exported(name)
    own = [folder, folder / "tests"]
    others = {module.package for module in MODULES.values()} - {MODULES[name].package}
    for path in folder.rglob("*.py"):
        imported = set(names_imported(path))
        assert not {one.partition(".")[0] for one in imported} & others, path
        for one in (one for one in imported if one.startswith(("lab.", "tests.", "shared."))):
            parts = one.split(".")
            tried = [base.joinpath(*parts[:depth]) for base in own for depth in (len(parts), len(parts) - 1)]
            assert any(at.with_suffix(".py").is_file() or (at / "__init__.py").is_file() for at in tried), (path, one)


@each_name
def test_all_tests_of_the_vendor_are_exported_but_those_of_the_command(exported: Exported, name: str) -> None:
    own = Path(name.lower())
    left = files_below(ROOT / "tests" / own) - files_below(exported(name) / "tests" / own)
    of_other_tests = "answers.py"  # of tests/words, which goes over all vendors
    assert {path for path in left if not path.endswith(".pyc")} <= {"test_cli.py", of_other_tests}


@each_name
def test_the_image_is_built_from_the_folder(exported: Exported, name: str) -> None:
    text = (exported(name) / "Dockerfile").read_text(encoding="utf-8")
    assert "COPY . /app" in text
    assert text.count("COPY") == (MODULES[name].folder / "Dockerfile").read_text(encoding="utf-8").count("COPY")
    assert "docker build ." in text
    first, *taken, _caches = (exported(name) / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert first == "*"
    assert {one.removeprefix("!") for one in taken} == {
        *("requirements-image.lock", "main.py", "manifest.json", "shared", MODULES[name].package)
    }


@each_way
@each_name
def test_each_link_of_a_page_leads_to_a_file(exported: Exported, name: str, custom: bool) -> None:
    folder = exported(name, custom=custom)
    pages = [folder / "README.md", *(folder / "docs").rglob("*.md")]
    links = [
        (page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)[)#]", page.read_text(encoding="utf-8"))
    ]
    assert len(pages) > 2
    assert [(str(page), link) for page, link in links if not (page.parent / link).exists()] == []


@each_name
def test_the_lock_is_part_of_the_repositorys_and_holds_the_images(exported: Exported, name: str) -> None:
    whole, part, image = (
        {pin.name: str(pin.requirement.specifier) for pin in pins(path.read_text(encoding="utf-8"))}
        for path in (ROOT / "requirements.lock", exported(name) / "requirements.lock", ROOT / "requirements-image.lock")
    )
    assert image.items() <= part.items() <= whole.items()
    assert part.keys() >= {"pytest", "pytest-cov", "mypy", "ruff"}
    assert "moto" not in part


def test_a_part_of_a_lock_holds_direct_and_indirect_dependencies() -> None:
    lock = "".join(
        f"{name}==1.0 ; python_version > '3' \\\n    --hash=sha256:{name}\n    # via{via}\n"
        for name, via in (("a", " project"), ("B_b", " a"), ("c", "\n    #   a\n    #   B_b"), ("d", " other"))
    )
    assert [pin.name for pin in pins(part_for(lock, ["A"]))] == ["a", "b-b", "c"]
    assert part_for(NO_SOURCES + lock, ["a", "d"]) == NO_SOURCES + lock
    with pytest.raises(KeyError, match="e"):
        part_for(lock, ["e"])


# --- the two ways


@each_name
def test_a_library_export_has_the_published_ids_and_names(exported: Exported, name: str) -> None:
    assert json_of(exported(name, custom=False)) == json_of(MODULES[name].folder)
    readme = (exported(name, custom=False) / "README.md").read_text(encoding="utf-8")
    assert "custom integration" not in readme


@each_name
def test_a_custom_export_differs_in_its_uuids_and_names_only(exported: Exported, name: str) -> None:
    """The published module is on the platform already: with its uuids the import would be an update of it."""
    own, published = json_of(exported(name)), json_of(MODULES[name].folder)
    assert own.keys() == published.keys()
    assert not {item["uuid"] for item in own.values()} & {item["uuid"] for item in published.values()}
    for file, item in published.items():
        assert str(uuid.UUID(own[file]["uuid"])) == own[file]["uuid"]
        assert own[file] == {**item, "uuid": own[file]["uuid"], "name": f"{item['name']} (custom)"}


def test_a_custom_export_has_the_same_uuids_each_time_and_on_each_machine(exported: Exported) -> None:
    """By other uuids an update would be another integration, so they may never change."""
    assert {name: item["uuid"] for name, item in json_of(exported("ESET")).items()} == {
        "manifest.json": "8db2a22c-53c8-5432-83f9-dccd7eacc785",
        "connector_eset_device_assets.json": "906fc580-8011-51ea-ab35-a45a997b0291",
        "trigger_eset_device_changes.json": "ada26b07-c937-59d9-8b78-b36bdbbaba62",
    }


@each_name
def test_no_uuid_of_a_custom_export_is_used_twice(exported: Exported, name: str) -> None:
    """But by a connector that is also a trigger, as in the published module."""
    own, published = json_of(exported(name)), json_of(MODULES[name].folder)
    assert len({item["uuid"] for item in own.values()}) == len({item["uuid"] for item in published.values()})


@each_name
def test_the_readme_of_a_custom_export_begins_with_the_import(exported: Exported, name: str) -> None:
    text = (exported(name) / "README.md").read_text(encoding="utf-8")
    assert re.findall("^#+ .*", text, re.MULTILINE)[1] == "## Import it into Sekoia.io"
    assert "## Configure" in text, "the steps name this part of the module's own README"
    source = (MODULES[name].folder / "README.md").read_text(encoding="utf-8").replace("](../", "](")
    assert text.endswith(source.partition("\n")[2])


# --- what is refused


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for destination in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(ExportError, match=r"is not empty\. Name a folder"):
            export(MODULES["SentinelOne"], destination, custom=True)
    assert files_below(tmp_path) == {"mine.txt"}


@pytest.mark.parametrize("held", [set(), {".git"}], ids=["empty", "an empty clone"])
def test_an_empty_folder_is_accepted_and_a_clones_history_is_kept(tmp_path: Path, held: set[str]) -> None:
    (tmp_path / "empty").mkdir()
    for name in held:
        (tmp_path / "empty" / name).write_text("history")
    export(MODULES["SentinelOne"], tmp_path / "empty", custom=True)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    for name in held:
        assert (tmp_path / "empty" / name).read_text() == "history"
        (tmp_path / "empty" / name).unlink()
    validate(tmp_path / "empty", locked=False)


def test_a_module_that_the_library_would_refuse_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(shutil.copytree(MODULES["SentinelOne"].folder, tmp_path / "SentinelOne"))
    (source / "logo.svg").unlink()
    monkeypatch.setattr(LabModule, "folder", source)
    with pytest.raises(LibraryError, match=r"logo\.svg is missing"):
        export(MODULES["SentinelOne"], tmp_path / "out", custom=True)
    assert [path.name for path in tmp_path.iterdir()] == ["SentinelOne"]


def test_a_module_that_ruff_refuses_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(shutil.copytree(MODULES["SentinelOne"].folder, tmp_path / "SentinelOne"))
    (source / "sentinelone_assets" / "client.py").open("a").write("\nunknown_name\n")
    monkeypatch.setattr(LabModule, "folder", source)
    with pytest.raises(ExportError, match="Undefined name `unknown_name`"):
        export(MODULES["SentinelOne"], tmp_path / "out", custom=True)
    assert [path.name for path in tmp_path.iterdir()] == ["SentinelOne"]


@pytest.mark.parametrize(
    "change", [("COPY ${MODULE} /app", "COPY --link ${MODULE} /app"), ("COPY", "\nCOPY ${MODULE} /app\nCOPY")]
)
def test_a_dockerfile_in_another_form_is_an_error(change: tuple[str, str]) -> None:
    text = (MODULES["ESET"].folder / "Dockerfile").read_text(encoding="utf-8")
    assert dockerfile_of("ESET", text) != text
    with pytest.raises(ExportError, match=r"ESET/Dockerfile does not hold the line 'COPY \$\{MODULE\} /app' once"):
        dockerfile_of("ESET", text.replace(*change))
