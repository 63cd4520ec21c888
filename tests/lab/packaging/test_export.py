"""`sekoia-lab export`: what it tells, and that its folder passes the tools and tests of the library's CI by itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import distribution
from pathlib import Path

import pytest

from lab.commands.export import CHECKED, PIP
from lab.modules import MODULES
from lab.packaging.export import export
from lab.packaging.library import validate
from lab.packaging.library_folder import LOCK, TOOLS
from lab.packaging.locks import pins
from tests.lab.command_line import lab
from tests.lab.packaging.exports import Exported, each_name, each_way, json_of

WHOLE = os.environ.get("EXPORTS") == "all"
PART = "golden or mapper or test_every_page_is_read_once or test_no_configured_secret_is_written_anywhere"


@pytest.fixture
def with_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """The PATH of this repository's environment, which has uv."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


# --- on its own


@pytest.mark.slow
@each_way
@each_name
@pytest.mark.skipif(not WHOLE, reason="needs the network: EXPORTS=all (make exports)")
def test_everything_that_the_librarys_ci_runs_passes_in_the_folder(
    name: str, custom: bool, tmp_path: Path, with_uv: None
) -> None:
    """In an environment made from the folder's own lock: by pip for a customer, by uv as in the library's CI."""
    folder = tmp_path / name
    assert export(MODULES[name], folder, custom=custom) is None
    validate(folder)
    assert_the_versions_are_the_tested_ones(folder)
    by_pip = [
        f"{sys.executable} -m venv {tmp_path}/venv",
        f"{tmp_path}/venv/bin/python -m pip install --quiet --require-hashes -r requirements.lock",
        *(f"{tmp_path}/venv/bin/python -m {tool.removeprefix('uv run ')}" for tool in TOOLS[1:]),
    ]
    for command in by_pip if custom else TOOLS:
        done = run(command.split(), folder)
        assert done.returncode == 0, f"{command}\n{done.stdout[-5000:]}{done.stderr[-2000:]}"
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) > 100
    assert "TOTAL" in done.stdout, "no coverage was measured"


def assert_the_versions_are_the_tested_ones(folder: Path) -> None:
    """uv.lock holds no other version of a package than requirements.lock, so than this repository's tests ran with."""
    pinned = {
        pin.name: pin.requirement.specifier for pin in pins((folder / "requirements.lock").read_text(encoding="utf-8"))
    }
    locked = [one for one in tomllib.loads((folder / LOCK).read_text(encoding="utf-8"))["package"] if "version" in one]
    other = [one["name"] for one in locked if one["name"] in pinned and one["version"] not in pinned[one["name"]]]
    assert len(locked) > 40
    assert not other
    assert "constraint" not in (folder / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_folders_tests_pass_without_this_repository(exported: Exported, tmp_path: Path) -> None:
    """In an environment that holds what the folder's lock says and nothing else, linked together from the packages
    installed here, so that no network is needed; a quick part is run: golden files, the mapper, a round, and the process
    itself. EXPORTS=all runs all tests of each module.
    """
    folder = Path(shutil.copytree(exported("SentinelOne"), tmp_path / "SentinelOne"))
    python = str(by_links(folder, tmp_path / "venv"))
    done = run([python, "-m", *TOOLS[-1].removeprefix("uv run ").split(), "-q", "-rfE", "-k", PART], folder)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) > 20
    assert "TOTAL" in done.stdout, "no coverage was measured"
    assert run([python, "-c", "import lab"], folder).returncode == 1, "the environment holds this repository"


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """In the folder, without what this test run has in its environment."""
    left_out = ("PYTEST", "PYTHON", "VIRTUAL_ENV", "EXPORTS", "COV")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1800, check=False
    )


def by_links(folder: Path, place: Path) -> Path:
    """The Python of an environment with each package that the lock names, in the version it names."""
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


@pytest.mark.usefixtures("no_programs")
def test_the_command_reports_what_it_checked_and_what_is_missing(tmp_path: Path) -> None:
    """Without uv on the PATH."""
    done = lab("export", "sentinelone", tmp_path / "out")
    assert (done.returncode, done.stdout) == (0, "")
    told = " ".join(done.stderr.split())
    assert f"SentinelOne {MODULES['SentinelOne'].manifest['version']} is in {tmp_path / 'out'}" in told
    assert CHECKED in told
    assert "uv.lock is missing, because uv is not on the PATH: activate this repository's environment" in told
    assert "or install uv, then run in that folder: uv lock" in told
    assert "Its README begins with the steps of the import into Sekoia.io." in told
    assert told.endswith(f"Not run here: its tests and tools. In that folder: {PIP}")
    validate(tmp_path / "out", locked=False)
    assert not (tmp_path / "out" / LOCK).exists()


@pytest.mark.usefixtures("no_programs")
def test_the_command_says_that_a_contribution_is_merged_by_hand(tmp_path: Path) -> None:
    done = lab("export", "ESET", tmp_path / "out", "--library")
    told = " ".join(done.stderr.split())
    assert "The library has a folder for this vendor already, Eset, with actions and connectors of its own" in told
    assert "a contribution is merged into it by hand" in told
    assert "Not checked here: that no other module of the library has these uuids or this slug." in told
    assert json_of(tmp_path / "out") == json_of(MODULES["ESET"].folder)


def test_the_command_repeats_why_uv_could_not_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no package registry is reached: the folder is written, without uv.lock and without a trace of the attempt."""
    program = tmp_path / "bin" / "uv"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'error: Failed to fetch: dns error' >&2\nexit 2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    done = lab("export", "SentinelOne", tmp_path / "out")
    assert done.returncode == 0
    told = " ".join(done.stderr.split())
    assert "uv.lock is missing, because uv could not make it. Run in that folder: uv lock." in told
    assert "uv said: error: Failed to fetch: dns error" in told
    assert not (tmp_path / "out" / LOCK).exists()
    assert "constraint" not in (tmp_path / "out" / "pyproject.toml").read_text(encoding="utf-8")


def test_the_command_refuses_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = lab("export", "SentinelOne", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{tmp_path} is not empty. Name a folder that does not exist yet, or an empty one.\n"
