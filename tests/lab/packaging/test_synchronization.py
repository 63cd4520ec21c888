"""The SDK's `sekoia-automation synchronize-library`, against a stand-in for the API it posts to: modules arrive complete."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import request
from flask.typing import ResponseReturnValue

from lab.modules import MODULES, ROOT
from lab.platform.server import LocalServer, answer_json
from tests.lab.packaging.exports import Exported, json_of

REGISTRY, NAMESPACE = "registry.example", "team"
KEY = "key-of-the-playbook-api"
KINDS = {"manifest": "modules", "connector": "connectors", "trigger": "triggers"}


class PlaybookApi(LocalServer):
    """Stand-in for the API of modules, connectors and triggers, as far as the SDK's command calls it.

    `held`: kind → uuid → what was posted. `changed`: the uuids that were patched.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS.values()}
        self.changed: list[str] = []
        self.route("GET", "/<kind>/<uuid>", "look up", self._look_up)
        self.route("POST", "/<kind>", "create", self._create)
        self.route("PATCH", "/<kind>/<uuid>", "change", self._change)

    def _look_up(self, kind: str, uuid: str) -> ResponseReturnValue:
        found = self.held[kind].get(uuid)
        return answer_json({}, 404) if found is None or not _may() else answer_json(found)

    def _create(self, kind: str) -> ResponseReturnValue:
        content = request.get_json()
        if not _may() or content["uuid"] in self.held[kind]:
            return answer_json({}, 409)
        self.held[kind][content["uuid"]] = content
        return answer_json(content, 201)

    def _change(self, kind: str, uuid: str) -> ResponseReturnValue:
        self.changed.append(f"{kind}/{uuid}")
        self.held[kind][uuid].update(request.get_json())
        return answer_json({})


def _may() -> bool:
    return request.headers.get("Authorization") == f"Bearer {KEY}"


@pytest.fixture
def api() -> Iterator[PlaybookApi]:
    with PlaybookApi() as api:
        yield api


def synchronize(api: PlaybookApi, folder: Path) -> None:
    """As a person enters it, over all modules in the folder."""
    command = [str(Path(sys.executable).with_name("sekoia-automation")), "synchronize-library", api.url, KEY]
    options = ["--modules-path", str(folder), "--registry", REGISTRY, "--namespace", NAMESPACE]
    done = subprocess.run([*command, *options], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Error" not in done.stdout, done.stdout


def library_of(exported: Exported, place: Path, *, custom: bool) -> Path:
    """All modules as folders side by side."""
    place.mkdir()
    for name in MODULES:
        (place / name).symlink_to(exported(name, custom=custom))
    return place


@pytest.mark.parametrize("custom", [True, False], ids=["custom", "library"])
def test_modules_connectors_and_triggers_arrive_complete(
    exported: Exported, tmp_path: Path, api: PlaybookApi, custom: bool
) -> None:
    synchronize(api, library_of(exported, tmp_path / "modules", custom=custom))
    for name in MODULES:
        folder = exported(name, custom=custom)
        contents = json_of(folder)
        manifest = contents["manifest.json"]
        assert len(contents) == 3
        for file, expected in contents.items():
            kind = KINDS[file.partition(".")[0].partition("_")[0]]
            found = dict(api.held[kind][expected["uuid"]])
            image = f"{REGISTRY}/{NAMESPACE}/automation-module-{manifest['slug']}:{manifest['version']}"
            assert found.pop("docker") == image
            if expected is manifest:
                logo = base64.b64decode(found.pop("image").removeprefix("data:image/svg+xml;base64,"))
                assert logo == (folder / "logo.svg").read_bytes()
                assert found.pop("changelog") == (folder / "CHANGELOG.md").read_text(encoding="utf-8")
            else:
                assert found.pop("module_uuid") == manifest["uuid"]
            assert found == expected, file
    assert not api.changed


def test_a_custom_export_leaves_the_published_modules_as_they_are(
    exported: Exported, tmp_path: Path, api: PlaybookApi
) -> None:
    """They are on the platform already, and are looked up by their uuids."""
    synchronize(api, library_of(exported, tmp_path / "published", custom=False))
    published = {kind: set(held) for kind, held in api.held.items()}
    synchronize(api, library_of(exported, tmp_path / "custom", custom=True))
    assert not api.changed
    assert {kind: len(held) for kind, held in api.held.items()} == {
        kind: 2 * len(ids) for kind, ids in published.items()
    }


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_images_names_images_as_the_manifest_does(exported: Exported, tmp_path: Path, api: PlaybookApi) -> None:
    """Else the platform looks for an image that nobody pushed. An engine that notes its arguments builds them."""
    engine = tmp_path / "engine"
    engine.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\n')
    engine.chmod(0o755)
    words = ["make", "images", f"ENGINE={engine}", f"REGISTRY={REGISTRY}", f"NAMESPACE={NAMESPACE}"]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True, timeout=60)
    arguments = (tmp_path / "arguments").read_text()
    synchronize(api, library_of(exported, tmp_path / "modules", custom=False))
    built = re.findall(r"^build .*--tag (\S+)", arguments, re.MULTILINE)
    assert sorted(built) == sorted(module["docker"] for module in api.held["modules"].values())
