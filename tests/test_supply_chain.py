"""The contents of an image: listed completely, looked up, and run by an unprivileged user."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from lab.modules import ROOT
from lab.packaging.audit import verdict
from lab.packaging.locks import NO_SOURCES

LOCK = ROOT / "requirements-image.lock"


@pytest.fixture(scope="module")
def sbom(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The output of `make sbom`, by its own recipe, in another folder."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("needs make")
    recipe = subprocess.run([make, "--dry-run", "sbom"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    [command] = [line for line in recipe.splitlines() if "cyclonedx_py" in line]
    path = tmp_path_factory.mktemp("sbom") / "sbom.json"
    subprocess.run(command.replace(".lab/sbom.json", str(path)).split(), cwd=ROOT, check=True, capture_output=True)
    return path.read_bytes()


@pytest.mark.slow
def test_the_sbom_names_each_package_of_an_image_with_its_hashes_and_no_other(sbom: bytes) -> None:
    pinned = []
    for block in re.split(r"\n(?=[a-zA-Z0-9])", LOCK.read_text(encoding="utf-8").removeprefix(NO_SOURCES).strip()):
        one = Requirement(re.split(r"\\|\n", block)[0].strip())
        pinned.append((one.name, str(one.specifier), sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))))
    named = [(part["name"], f"=={part['version']}", hashes_of(part)) for part in json.loads(sbom)["components"]]
    assert len(pinned) > 30
    assert all(hashes for *_, hashes in pinned)
    assert sorted(named) == sorted(pinned)


def hashes_of(part: dict[str, Any]) -> list[str]:
    return sorted(one["content"] for reference in part["externalReferences"] for one in reference.get("hashes", ()))


@pytest.mark.slow
def test_the_sbom_is_the_same_each_time(sbom: bytes) -> None:
    document = json.loads(sbom)
    assert document["bomFormat"] == "CycloneDX"
    assert document["metadata"]["component"]["name"] == "sekoia-endpoint-connectors"
    assert "serialNumber" not in document
    assert "timestamp" not in document["metadata"]


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/Dockerfile")), ids=lambda path: path.parent.name)
def test_an_image_ends_as_a_user_without_rights(path: Path) -> None:
    """Named by its number: an orchestrator that wants a user other than root cannot tell one by its name."""
    stage = re.split(r"^FROM ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[-1]
    *_, (user, group) = re.findall(r"^USER (\d+):(\d+)$", stage, re.MULTILINE)
    assert user == group
    assert int(user) >= 1000
    assert f"useradd --uid {user} --user-group" in stage


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/Dockerfile")), ids=lambda path: path.parent.name)
def test_an_image_installs_what_the_lock_pins_and_builds_nothing(path: Path) -> None:
    """To build a package from its source, pip fetches tools that no lock pins."""
    wanted = "pip install --quiet --no-cache-dir --only-binary :all: --require-hashes -r /tmp/requirements-image.lock"
    assert path.read_text(encoding="utf-8").count("pip install") == path.read_text(encoding="utf-8").count(wanted) == 1


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/Dockerfile")), ids=lambda path: path.parent.name)
def test_an_images_files_are_roots_and_its_state_is_its_users_alone(path: Path) -> None:
    """With any access rights of the files on the machine that builds."""
    build, last = re.split(r"^FROM ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert build.rindex("\nCOPY ") < build.index("chmod -R u=rwX,go=rX /app")
    copied = re.findall(r"^(?:COPY|ADD) (.*)$", last, re.MULTILINE | re.IGNORECASE)
    assert sorted(copied) == ["--from=build /app /app", "--from=build /venv /venv"]
    assert "install --directory --mode=700 --owner=sekoiaio-runtime --group=sekoiaio-runtime /symphony_data" in last


SOUND = {"name": "a", "version": "1", "vulns": []}
AFFECTED = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code", "word"),
    [
        ([SOUND], 0, "None of the 1 packages"),
        ([SOUND, AFFECTED], 1, "b 2: PYSEC-1, fixed in 3"),
        ([AFFECTED, UNKNOWN], 1, "PYSEC-1"),
        ([SOUND, UNKNOWN], 2, "c"),
        ([UNKNOWN], 0, "NOT AUDITED"),
    ],
)
def test_an_audit_passes_only_what_was_looked_up(packages: list[dict[str, object]], code: int, word: str) -> None:
    """pip-audit itself exits 0 with "No known vulnerabilities found" when it could look nothing up."""
    found, words = verdict(json.dumps({"dependencies": packages}), "")
    assert found == code
    assert word in words


def test_an_audit_that_failed_passes_only_without_a_network() -> None:
    assert verdict("", "requests.exceptions.ConnectionError: no route")[0] == 0
    assert verdict("", "SyntaxError: bad lock")[0] == 2
