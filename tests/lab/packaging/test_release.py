"""`sekoia-lab release` in a copy of a module's folder: the version is raised everywhere, or nowhere."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli import app
from lab.modules import MODULES, LabModule
from lab.packaging.export import export
from lab.packaging.library import validate
from lab.packaging.release import Part, raised
from tests.lab.packaging.exports import each_name

CHANGE = "## Unreleased\n\n### Fixed\n\n- A device without a name is sent.\n\n"
FILES = ("manifest.json", "Dockerfile", "CHANGELOG.md")


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module's folder at version 1.2.3, with a change that is not released."""
    name = request.getfixturevalue("name") if "name" in request.fixturenames else "Sophos"
    folder = Path(shutil.copytree(MODULES[name].folder, tmp_path / name))
    monkeypatch.setattr(LabModule, "folder", folder)
    current = MODULES[name].manifest["version"]
    for file in FILES:
        text = (folder / file).read_text(encoding="utf-8").replace(f"[{current}]", "[1.2.3]")
        text = text.replace(f"VERSION={current}", "VERSION=1.2.3").replace(f'"{current}"', '"1.2.3"')
        text = re.sub(r"## Unreleased\n(?:(?!## ).*\n)*", "", text).replace("## [", f"{CHANGE}## [", 1)
        (folder / file).write_text(text, encoding="utf-8")
    return folder


def release(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["release", *words])
    return done.exit_code, done.stderr


@each_name
def test_the_version_is_raised_in_every_file_that_holds_it(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held against the library's rules, which compare the files; and no file is left that holds the old version."""
    code, told = release(name, "minor")
    assert (code, told) == (
        0,
        f"{name} is 1.3.0, in its manifest.json, Dockerfile and CHANGELOG.md. Commit them.\n",
    )
    released = f"## Unreleased\n\n## [1.3.0] - {datetime.now(UTC).date()}\n{CHANGE.partition(chr(10))[2]}## [1.2.3]"
    assert released in (folder / "CHANGELOG.md").read_text(encoding="utf-8")
    old = [path.name for path in folder.rglob("*.*") if path.suffix in (".json", ".py") and "1.2.3" in path.read_text()]
    assert not old
    assert "1.2.3" not in (folder / "Dockerfile").read_text(encoding="utf-8")
    monkeypatch.setenv("PATH", "")
    export(MODULES[name], tmp_path / "out", custom=True)
    validate(tmp_path / "out", locked=False)
    assert 'version = "1.3.0"' in (tmp_path / "out" / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("part", "version"), [("patch", "1.2.4"), ("minor", "1.3.0"), ("major", "2.0.0")])
def test_a_part_of_the_version_is_raised_and_lower_parts_become_0(part: str, version: str) -> None:
    assert raised("1.2.3", Part(part)) == version


def test_the_patch_is_raised_when_no_part_is_named(folder: Path) -> None:
    assert release("sophos")[1].startswith("Sophos is 1.2.4")


@pytest.mark.parametrize("unreleased", ["", "## Unreleased\n\n", "## Unreleased\n\n### Added\n\n"])
def test_nothing_is_released_when_the_changelog_says_nothing(folder: Path, unreleased: str) -> None:
    changelog = folder / "CHANGELOG.md"
    changelog.write_text(changelog.read_text(encoding="utf-8").replace(CHANGE, unreleased), encoding="utf-8")
    before = {name: (folder / name).read_bytes() for name in FILES}
    code, told = release("Sophos")
    assert code == 1
    assert "Sophos/CHANGELOG.md has no change under '## Unreleased'. Write there what changed" in told
    assert {name: (folder / name).read_bytes() for name in FILES} == before


def test_nothing_is_released_when_a_file_holds_another_version(folder: Path) -> None:
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text(encoding="utf-8").replace("VERSION=1.2.3", "VERSION=1.2.2"))
    before = {name: (folder / name).read_bytes() for name in FILES}
    code, told = release("Sophos")
    assert (code, told) == (1, "Sophos/Dockerfile does not hold 'VERSION=1.2.3' once. Correct it by hand.\n")
    assert {name: (folder / name).read_bytes() for name in FILES} == before
