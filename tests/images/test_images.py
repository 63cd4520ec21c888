"""The images themselves, built and run. `.ci/images` builds them and starts these tests; `make test` leaves them out."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import CalledProcessError

import pytest
from packaging.requirements import Requirement

from lab.modules import MODULES, ROOT, LabModule
from lab.platform.local import LocalPlatform
from tests.images.container import Image, ImageProcess

pytestmark = [
    pytest.mark.images,
    pytest.mark.skipif("BUILDAH" not in os.environ, reason="no images were built: run .ci/images"),
]
DEVICES = 250
INSTALLERS = re.compile(r"(pip|uv|uvx|easy_install|wheel|gcc|g\+\+|cc|c\+\+|ld|make|cmake|cargo|rustc)[\d.-]*")
LIBRARIES = {"pip", "setuptools", "wheel", "ensurepip", "pkg_resources"}
INSTALLED = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({d.metadata['Name'].lower().replace('_', '-'): d.version for d in m.distributions()}))"
)


@pytest.fixture(scope="module", params=MODULES.values(), ids=list(MODULES))
def module(request: pytest.FixtureRequest) -> LabModule:
    found: LabModule = request.param
    return found


@pytest.fixture(scope="module")
def image(module: LabModule) -> Iterator[Image]:
    with Image(f"localhost/automation-module-{module.manifest['slug']}:{module.manifest['version']}") as image:
        yield image


def paths_in(image: Image) -> Iterator[Path]:
    """All files and folders of the image, but for what a container has its own of."""
    for folder, folders, files in os.walk(image.root):
        if Path(folder) == image.root:
            folders[:] = sorted(set(folders) - {"dev", "proc", "sys"})
        for name in (*folders, *files):
            yield Path(folder, name)


def test_a_module_collects_without_rights_over_a_read_only_root_and_stops_at_once(
    module: LabModule, image: Image, tmp_path: Path
) -> None:
    data, log = tmp_path / "data", tmp_path / "module.log"
    with module.simulated(DEVICES) as console, LocalPlatform() as platform:
        settings = module.settings_for(console)
        with ImageProcess(image, module, platform, settings, {}, data, log=log) as process:
            health = process.wait_for_rounds()
            assert health["last_error"] is None
            assert len(list(module.kind.arrived(platform, process.uuid))) == DEVICES
            assert not platform.refused
            check_that_it_is_confined(process.pid, image)
            image.output(image.probe, data, LIVENESS_PORT=process.liveness_port, http_proxy="http://127.0.0.1:9")
            began = time.monotonic()
            assert process.stop() == 0, log.read_text()
            assert time.monotonic() - began < 2
    assert {path.name for path in data.iterdir()} >= {"context.json"}
    assert {path.stat().st_mode & 0o777 for path in data.iterdir()} == {0o600}


def check_that_it_is_confined(pid: int, image: Image) -> None:
    """What the kernel knows of the process: no root, no capability and no way to one, a root it cannot write to."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    user, group = image.user
    assert set(status["Uid"].split()) == {str(user)} != {"0"}
    assert set(status["Gid"].split()) == {str(group)} != {"0"}
    assert (status["Groups"].strip(), status["NoNewPrivs"]) == ("", "1")
    assert (int(status["CapPrm"], 16), int(status["CapEff"], 16)) == (0, 0)
    assert status["NSpid"].split()[-1] == "1"
    mounts = [line.split()[4:6] for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
    writable = {place for place, options in mounts if options.startswith("rw") and not place.startswith("/dev")}
    assert writable == {"/symphony_data", "/tmp", "/proc"}


def test_the_probe_fails_where_nothing_answers(image: Image, tmp_path: Path) -> None:
    with pytest.raises(CalledProcessError) as failed:
        image.output(image.probe, tmp_path, LIVENESS_PORT="9")
    assert (failed.value.returncode, "ConnectionRefusedError" in failed.value.stderr) == (1, True)


def test_an_image_says_what_it_is(module: LabModule, image: Image) -> None:
    labels = {name.removeprefix("org.opencontainers.image."): told for name, told in image.config["Labels"].items()}
    assert labels["title"] == f"Sekoia.io {module.name} connector"
    assert labels["version"] == module.manifest["version"]
    assert labels["licenses"] == "MIT"
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["revision"])
    assert labels["base.name"]
    assert image.config["Cmd"] == [module.command]


def test_an_image_holds_its_module_and_the_shared_library_alone(module: LabModule, image: Image) -> None:
    app = image.root / "app"
    assert {path.name for path in app.iterdir()} == {
        "main.py",
        "manifest.json",
        "shared",
        module.package,
        "__pycache__",
    }
    for name, source in (("shared", ROOT / "shared"), (module.package, module.folder / module.package)):
        files = (path for path in (app / name).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        held = {path.relative_to(app / name) for path in files}
        assert held == {path.relative_to(source) for path in source.rglob("*.py")}
    assert (app / "main.py").read_bytes() == (module.folder / "main.py").read_bytes()


def test_what_is_installed_is_the_lock(image: Image, tmp_path: Path) -> None:
    blocks = re.findall(r"^[a-z0-9].*==[^\\\n]*", (ROOT / "requirements-image.lock").read_text(), re.MULTILINE)
    pinned = [Requirement(block.strip()) for block in blocks]
    expected = {one.name: str(one.specifier)[2:] for one in pinned if one.marker is None or one.marker.evaluate()}
    assert json.loads(image.output(["python3", "-c", INSTALLED], tmp_path)) == expected


def test_nothing_in_an_image_installs_or_builds(image: Image) -> None:
    for path in paths_in(image):
        assert not (path.is_dir() and path.name in LIBRARIES), path
        assert not path.name.endswith(".whl"), path
        runs = path.is_file() and path.stat().st_mode & 0o111
        assert not (runs and INSTALLERS.fullmatch(path.name)), path
    assert {path.name for path in (image.root / "venv" / "bin").iterdir()} == {"python", "python3", "python3.11"}


def test_its_user_can_write_to_the_state_alone(image: Image) -> None:
    user, group = image.user
    writable = set()
    for path in paths_in(image):
        status = path.lstat()
        shared = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX  # /tmp and its like
        by_all = status.st_mode & 0o002 and not stat.S_ISLNK(status.st_mode) and not shared
        if status.st_uid == user or (status.st_gid == group and status.st_mode & 0o020) or by_all:
            writable.add(f"/{path.relative_to(image.root)}")
        if path.is_relative_to(image.root / "app"):
            assert (status.st_uid, status.st_gid) == (0, 0), path
    assert writable == {"/symphony_data"}


def test_nothing_of_the_building_machine_is_left(image: Image) -> None:
    """Of a volume that is mounted to build with, the empty mount point stays behind in the layer."""
    assert not list((image.root / "root").glob("**/wheels"))
    assert not (image.root / "etc" / "pip.conf").exists()
    assert not list((image.root / "root").glob("**/pip.conf"))
    assert {path.name for path in (image.root / "tmp").iterdir()} == set()
