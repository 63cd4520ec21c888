"""A module as a folder of its own: what the public library's checks ask holds, and its tests pass without this repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from lab.export import ExportError, dockerfile_of, export
from lab.imports import names_imported
from lab.library import LibraryError, validate
from lab.locks import part_for, pins
from lab.modules import MODULES, ROOT, LabModule
from tests.lab.commands import lab

WHOLE = os.environ.get("EXPORTS") == "all"
PART = "golden or mapper or test_every_page_is_read_once or test_no_configured_secret_is_written_anywhere"
NAMES = list(MODULES)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Each module's folder, written once; for reading only."""
    written: dict[str, Path] = {}

    def folder_of(name: str) -> Path:
        if name not in written:
            folder = tmp_path_factory.mktemp("exported") / name
            export(MODULES[name], folder)
            written[name] = folder
        return written[name]

    return folder_of


@pytest.fixture
def copy(exported: Callable[[str], Path], tmp_path: Path) -> Path:
    """A folder to break."""
    return Path(shutil.copytree(exported("CheckpointHarmony"), tmp_path / "copy"))


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# --- the folder


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_is_what_the_library_takes(exported: Callable[[str], Path], name: str) -> None:
    folder, module = exported(name), MODULES[name]
    validate(folder)
    assert {path.name for path in folder.iterdir()} >= {
        *(
            "manifest.json",
            "main.py",
            "Dockerfile",
            ".dockerignore",
            "README.md",
            "CHANGELOG.md",
            "LICENSE",
            "logo.svg",
        ),
        *(module.package, "shared", "tests", "pyproject.toml", "requirements.lock", "requirements-image.lock"),
    }
    assert not [path for path in files_below(folder) if "__pycache__" in path]


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_holds_all_that_it_imports_and_no_other_vendor(exported: Callable[[str], Path], name: str) -> None:
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


@pytest.mark.parametrize("name", NAMES)
def test_all_tests_of_the_vendor_go_along_but_those_of_the_command(exported: Callable[[str], Path], name: str) -> None:
    own = Path(name.lower())
    left = files_below(ROOT / "tests" / own) - files_below(exported(name) / "tests" / own)
    assert {path for path in left if not path.endswith(".pyc")} <= {"test_cli.py"}


@pytest.mark.parametrize("name", NAMES)
def test_the_image_is_built_from_the_folder(exported: Callable[[str], Path], name: str) -> None:
    text = (exported(name) / "Dockerfile").read_text(encoding="utf-8")
    assert "COPY . /app" in text
    assert text.count("COPY") == (MODULES[name].folder / "Dockerfile").read_text(encoding="utf-8").count("COPY")
    assert "docker build ." in text
    first, *taken, _caches = (exported(name) / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert first == "*"
    assert {one.removeprefix("!") for one in taken} == {
        *("requirements-image.lock", "main.py", "manifest.json", "shared", MODULES[name].package)
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_readme_links_to_what_is_there(exported: Callable[[str], Path], name: str) -> None:
    folder = exported(name)
    links = re.findall(r"\]\(([^)#:]+)[)#]", (folder / "README.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (folder / link).is_file()] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_lock_is_a_part_of_the_whole_and_holds_the_images(exported: Callable[[str], Path], name: str) -> None:
    whole, part, image = (
        {pin.name: str(pin.requirement.specifier) for pin in pins(path.read_text(encoding="utf-8"))}
        for path in (ROOT / "requirements.lock", exported(name) / "requirements.lock", ROOT / "requirements-image.lock")
    )
    assert image.items() <= part.items() <= whole.items()
    assert "pytest" in part
    assert "moto" not in part


def test_a_part_of_a_lock_holds_what_is_needed_directly_or_not() -> None:
    lock = "".join(
        f"{name}==1.0 ; python_version > '3' \\\n    --hash=sha256:{name}\n    # via{via}\n"
        for name, via in (("a", " project"), ("B_b", " a"), ("c", "\n    #   a\n    #   B_b"), ("d", " other"))
    )
    assert [pin.name for pin in pins(part_for(lock, ["A"]))] == ["a", "b-b", "c"]
    assert part_for(lock, ["a", "d"]) == lock
    with pytest.raises(KeyError, match="e"):
        part_for(lock, ["e"])


# --- what is refused


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"is not empty\. Name a folder"):
        export(MODULES["SentinelOne"], tmp_path)
    with pytest.raises(ExportError, match="is not empty"):
        export(MODULES["SentinelOne"], tmp_path / "mine.txt")
    assert files_below(tmp_path) == {"mine.txt"}


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    export(MODULES["SentinelOne"], tmp_path / "empty")
    validate(tmp_path / "empty")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_module_that_the_library_would_refuse_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(shutil.copytree(MODULES["SentinelOne"].folder, tmp_path / "SentinelOne"))
    (source / "logo.svg").unlink()
    monkeypatch.setattr(LabModule, "folder", source)
    with pytest.raises(LibraryError, match=r"logo\.svg is missing"):
        export(MODULES["SentinelOne"], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["SentinelOne"]


@pytest.mark.parametrize(
    "change", [("COPY ${MODULE} /app", "COPY --link ${MODULE} /app"), ("COPY", "\nCOPY ${MODULE} /app\nCOPY")]
)
def test_a_dockerfile_in_another_form_is_said(change: tuple[str, str]) -> None:
    text = (MODULES["ESET"].folder / "Dockerfile").read_text(encoding="utf-8")
    assert dockerfile_of("ESET", text) != text
    with pytest.raises(ExportError, match=r"ESET/Dockerfile does not hold the line 'COPY \$\{MODULE\} /app' once"):
        dockerfile_of("ESET", text.replace(*change))


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
        (folder / name).write_text(json.dumps(told), encoding="utf-8")

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
    ("other start", replaced("Dockerfile", "main.py", "start.py"), "Dockerfile does not start main.py"),
    ("repository's root", replaced("Dockerfile", "COPY . ", "COPY ESET "), "Dockerfile copies ESET, which is not in the"),
    ("no hash", replaced("requirements.lock", "--hash=sha256:", "--hash=md5:"), "requirements.lock pins nothing, lacks a"),
    ("an index", replaced("requirements-image.lock", "orjson", "https://example.com/orjson"), "requirements-image.lock pins"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "problem"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_what_the_library_would_refuse_is_named(copy: Path, change: Callable[[Path], None], problem: str) -> None:
    validate(copy)
    change(copy)
    with pytest.raises(LibraryError) as caught:
        validate(copy)
    assert [one for one in caught.value.problems if problem in one], caught.value.problems


# --- on its own


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES if WHOLE else ["SentinelOne"])
def test_the_folders_tests_pass_without_this_repository(
    exported: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    """In a new environment that holds what the folder's lock says and nothing else.

    With EXPORTS=all each module runs all of its tests, in an environment that pip makes from the lock. Otherwise the
    environment is linked together from the packages installed here, so that no network is needed; one module's tests
    are collected whole, and a quick part of them is run: golden files, the mapper, a round, and the process itself.
    """
    folder = Path(shutil.copytree(exported(name), tmp_path / name))
    python = by_pip(folder, tmp_path / "venv") if WHOLE else by_links(folder, tmp_path / "venv")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHON"))}
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-rfE", *([] if WHOLE else ["-k", PART])],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800 if WHOLE else 300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    told = re.search(r"(\d+) passed(?:, (\d+) deselected)?", done.stdout)
    assert told
    assert int(told[1]) > (100 if WHOLE else 20)
    found = subprocess.run([python, "-c", "import lab"], cwd=folder, env=environment, check=False, capture_output=True)
    assert found.returncode == 1, "the environment holds this repository"


def by_pip(folder: Path, place: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    lock = folder / "requirements.lock"
    subprocess.run(
        [place / "bin" / "python", "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock], check=True
    )
    return place / "bin" / "python"


def by_links(folder: Path, place: Path) -> Path:
    """Each package that the lock names, in the version it names."""
    venv.create(place, symlinks=True)
    [site] = place.glob("lib/python*/site-packages")
    for pin in pins((folder / "requirements.lock").read_text(encoding="utf-8")):
        if pin.requirement.marker is None or pin.requirement.marker.evaluate():
            installed = distribution(pin.name)
            assert pin.requirement.specifier.contains(installed.version), pin.name
            for top in sorted(
                {file.parts[0] for file in installed.files or () if file.parts[0] not in ("..", "__pycache__")}
            ):
                if not (site / top).exists():
                    (site / top).symlink_to(Path(str(installed.locate_file(top))))
    return place / "bin" / "python"


# --- the command


def test_the_command_says_where_the_folder_is_and_how_to_test_it(tmp_path: Path) -> None:
    done = lab("export", "sentinelone", tmp_path / "out")
    assert (done.returncode, done.stdout) == (0, "")
    assert f"SentinelOne is in {tmp_path / 'out'}" in done.stderr
    assert "pip install --require-hashes -r requirements.lock" in done.stderr
    validate(tmp_path / "out")


def test_the_command_refuses_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = lab("export", "SentinelOne", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{tmp_path} is not empty. Name a folder that does not exist yet, or an empty one.\n"
