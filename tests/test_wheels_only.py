"""Whatever a package registry offers, installing runs no code of it: wheels only, for each command that installs.

The registry is a folder that has one package as a source distribution only, as a mirror may hide the wheels. Its build
backend leaves a mark.
"""

from __future__ import annotations

import hashlib
import io
import re
import shlex
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.commands.export import PIP
from lab.modules import ROOT
from lab.packaging.library_folder import LOCK
from lab.packaging.locks import NO_SOURCES

BACKEND = """
from pathlib import Path
Path({mark!r}).touch()
def build_wheel(*_): raise SystemExit("its code runs")
def build_sdist(*_): raise SystemExit("its code runs")
def prepare_metadata_for_build_wheel(*_): raise SystemExit("its code runs")
build_editable = prepare_metadata_for_build_editable = build_wheel
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
METADATA = "Metadata-Version: 2.2\nName: trap\nVersion: 1.0\n"


def commands_that_install() -> dict[str, list[str]]:
    """Command → the places of this repository that install with it what a lock pins."""
    files = [ROOT / "Makefile", ROOT / ".ci/images", *ROOT.glob("*/Dockerfile")]
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in files}
    found: dict[str, list[str]] = {}
    for place, text in {**texts, README: PIP}.items():
        for command in re.findall(r"pip ((?:install|download) [^&\n]*\.lock)", text.replace("\\\n", " ")):
            found.setdefault(" ".join(command.split()), []).append(place)
    return found


README = "the README of an exported module"
COMMANDS = commands_that_install()


class Registry:
    """The folder, and the lock of its one package."""

    def __init__(self, folder: Path) -> None:
        self.mark, self.folder = folder / "its code ran", folder / "registry"
        self.folder.mkdir()
        archive = self.folder / "trap-1.0.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            files = {"PKG-INFO": METADATA, "pyproject.toml": PROJECT, "backend.py": BACKEND.format(mark=str(self.mark))}
            for name, text in files.items():
                one = tarfile.TarInfo(f"trap-1.0/{name}")
                one.size = len(text)
                tar.addfile(one, io.BytesIO(text.encode()))
        self.pin = f"trap==1.0 --hash=sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}\n"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.folder),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PATH": "",
        }


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


@pytest.fixture
def pip(registry: Registry, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs pip in a folder of its own, with that registry and no other."""

    def run(words: list[str]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pip", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=registry.environment, capture_output=True, text=True, check=False, timeout=120
        )

    return run


def test_the_registry_is_a_trap(
    registry: Registry, pip: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """Hashes alone do not help: pip builds what they name."""
    (tmp_path / "a.lock").write_text(registry.pin)
    done = pip(["install", "--require-hashes", "--target", str(tmp_path / "target"), "-r", "a.lock"])
    assert registry.mark.exists(), done.stderr


def test_all_commands_that_install_are_known() -> None:
    images = [str(path.relative_to(ROOT)) for path in ROOT.glob("*/Dockerfile")]
    places = [place for command in COMMANDS.values() for place in command]
    assert sorted(places) == sorted([*images, ".ci/images", README, "Makefile", "Makefile"])
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert text.count("pip install") == 3, "two of locks, and the project's own"


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_that_installs_runs_code_of_a_registry_without_wheels(
    command: str, registry: Registry, pip: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    *words, _, path = shlex.split(command.replace("$PYTHON", "3.11").replace("$TMPDIR", str(tmp_path)))
    lock = (ROOT / path.rpartition("/")[2]).read_text(encoding="utf-8")
    (tmp_path / "a.lock").write_text((NO_SOURCES if lock.startswith(NO_SOURCES) else "") + registry.pin)
    target = ["--target", str(tmp_path / "target")] if words[0] == "install" and "--target" not in words else []
    done = pip([*words, *target, "-r", "a.lock"])
    assert done.returncode != 0
    assert "No matching distribution found for trap" in done.stderr
    assert not registry.mark.exists()


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.lock")), ids=lambda path: path.name)
def test_a_lock_forbids_sources_to_whoever_installs_it(
    path: Path, registry: Registry, pip: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    head = path.read_text(encoding="utf-8")[: len(NO_SOURCES)]
    (tmp_path / "a.lock").write_text(head + registry.pin)
    assert pip(["install", "--target", str(tmp_path / "target"), "-r", "a.lock"]).returncode != 0
    assert not registry.mark.exists()


def test_the_projects_own_installation_fetches_no_build_tools(
    registry: Registry, pip: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """As this project's, but that the registry has what it is built with, as a source distribution."""
    [recipe] = re.findall(r"pip (install .*--editable \.)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    project = '[build-system]\nrequires = ["trap"]\nbuild-backend = "trap"\n[project]\nname = "one"\nversion = "1.0"\n'
    (tmp_path / "pyproject.toml").write_text(project)
    done = pip(shlex.split(recipe))
    assert done.returncode != 0
    assert not registry.mark.exists()


def test_an_exported_module_builds_nothing_with_uv(
    registry: Registry, exported_project: dict[str, object], tmp_path: Path
) -> None:
    """As the library's CI runs it, with a lock that names the source distribution."""
    uv = Path(sys.executable).parent / "uv"
    if not uv.exists():
        pytest.skip("needs uv")
    project = (
        '[project]\nname = "one"\nversion = "1.0"\nrequires-python = ">=3.11"\ndependencies = ["trap"]\n[tool.uv]\n'
    )
    environment = {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(registry.folder)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(uv), *words, "--offline", "--python", sys.executable]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    declared = tmp_path / "pyproject.toml"
    declared.write_text(project + "package = false\n")
    locked = run("lock")
    assert (tmp_path / LOCK).exists(), locked.stderr
    registry.mark.unlink(missing_ok=True)
    assert run("sync", "--frozen").returncode != 0
    assert registry.mark.exists(), "the lock is no trap"
    registry.mark.unlink()
    options = "".join(f"{name} = {str(value).lower()}\n" for name, value in exported_project.items())
    declared.write_text(project + options)
    done = run("sync", "--frozen")
    assert done.returncode != 0
    assert not registry.mark.exists(), done.stderr


@pytest.fixture
def exported_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """`tool.uv` of an exported module."""
    from lab.modules import MODULES
    from lab.packaging.export import export

    monkeypatch.setenv("PATH", "")
    export(MODULES["ESET"], tmp_path / "ESET", custom=True)
    options: dict[str, object] = tomllib.loads((tmp_path / "ESET/pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "uv"
    ]
    return options
