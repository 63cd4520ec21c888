"""The commands of docs/installing.md up to the push, run in their order as they stand, in a copy of this repository.

What they push to is a repository on this disk, which git is told stands for the documented one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.modules import MODULES, ROOT
from lab.packaging.library import validate
from lab.packaging.library_folder import LOCK
from tests.documents import blocks_in, entered
from tests.lab.packaging.test_new_vendor import Copy

WHOLE = os.environ.get("EXPORTS") == "all"
PAGE = ROOT / "docs/installing.md"
PUSH, RELEASE, UPDATE, LIBRARY, *_ = blocks_in(PAGE, "sh")
ACTIVATE = ". .venv/bin/activate\n"
CHANGELOG = "ESET/CHANGELOG.md"


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """An empty repository."""
    folder = tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", folder], check=True)
    return folder


@pytest.fixture
def enter(tmp_path: Path, remote: Path) -> Callable[[str], str]:
    """Enters a block of the page into a shell in a copy of this repository."""
    copy = Copy(tmp_path / "connectors")
    [documented] = re.findall(r"remote add origin (\S+)", PUSH)
    person = {f"GIT_{role}_{part}": "someone" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    settings = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{remote}.insteadOf",
        "GIT_CONFIG_VALUE_0": documented,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PYTHONPATH": os.pathsep.join(
            map(str, [copy.root, *(module.parent for module in copy.root.glob("*/manifest.json"))])
        ),
    }

    if not WHOLE:  # uv asks no package registry, and has nothing in its cache
        settings |= {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "cache")}

    def enter(block: str) -> str:
        return entered(f"set -e\n{block}", copy.root, person | settings, timeout=600)

    return enter


def clone(remote: Path, place: Path) -> Path:
    """The files that the platform would read."""
    subprocess.run(["git", "clone", "--quiet", remote, place], check=True)
    return place


def version_in(folder: Path) -> str:
    return str(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["version"])


@pytest.mark.slow
def test_the_steps_lead_to_a_repository_that_the_platform_can_import_and_update(
    enter: Callable[[str], str], remote: Path, tmp_path: Path
) -> None:
    enter(PUSH)
    first = clone(remote, tmp_path / "first")
    validate(first, locked=WHOLE or (first / LOCK).exists())
    assert version_in(first) == MODULES["ESET"].manifest["version"]

    changelog = tmp_path / "connectors" / CHANGELOG
    text = re.sub(r"## Unreleased\n(?:(?!## ).*\n)*", "", changelog.read_text(encoding="utf-8"))
    change = "## Unreleased\n\n### Fixed\n\n- A device without a name is sent.\n\n"
    changelog.write_text(text.replace("## [", f"{change}## [", 1), encoding="utf-8")
    (tmp_path / "eset-assets" / ".venv").mkdir()
    (tmp_path / "eset-assets" / ".venv" / "left by its tests").touch()
    enter(f"{ACTIVATE}{RELEASE}{UPDATE}")

    second = clone(remote, tmp_path / "second")
    validate(second, locked=(second / LOCK).exists())
    assert version_in(second) == re.sub(
        r"^(\d+)\.(\d+)\.\d+$", lambda at: f"{at[1]}.{int(at[2]) + 1}.0", version_in(first)
    )
    ids = [json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["uuid"] for folder in (first, second)]
    assert ids[0] == ids[1], "an update would be another integration"
    log = subprocess.run(["git", "log", "--format=%s"], cwd=second, capture_output=True, text=True, check=True).stdout
    assert log.splitlines() == ["ESET device assets, updated", "ESET device assets"]


@pytest.mark.slow
def test_the_step_for_the_library_exports_the_published_module(enter: Callable[[str], str], tmp_path: Path) -> None:
    enter(f"{ACTIVATE}{LIBRARY}")
    validate(tmp_path / "ESET", locked=(tmp_path / "ESET" / LOCK).exists())
    manifest = json.loads((tmp_path / "ESET" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest == MODULES["ESET"].manifest


def test_the_page_names_what_the_module_has() -> None:
    """Names, defaults and the image, as the exported files have them."""
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    module = MODULES["ESET"]
    assert f"*{module.manifest['name']} (custom)*" in page
    assert f"*{module.connector_manifest['name']} (custom)*" in page
    assert f"*{module.changes_manifest['name']} (custom)*" in page
    arguments = module.connector_manifest["arguments"]["properties"]
    assert f"the frequency ({arguments['frequency']['default']} s)" in page
    assert f"full synchronisation interval ({arguments['full_sync_interval']['default']} s)" in page
    shown = set(arguments) - set(module.connector_manifest["arguments"]["internal"])
    assert shown == {"frequency", "full_sync_interval"}, "the table of what to create names these two"
    image = f"automation-module-{module.manifest['slug']}:"
    assert set(re.findall(r"automation-module-[a-z-]+:", page)) == {image}
    [release] = set(re.findall(r"^sekoia-lab release ESET (\w+)$", RELEASE, re.MULTILINE))
    assert release == "minor"
