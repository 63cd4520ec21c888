"""A module in its image, as a container engine runs it, where there is no engine: buildah's storage and a chroot."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any, Self

from lab.process import _KEPT, ModuleProcess

_ENTER = """
root=$1 data=$2 volume=$3 user=$4 folder=$5; shift 5
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --bind "$data" "$root$volume"
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" env --chdir="$folder" "$@"
"""


class Image:
    """An image in the storage that `$BUILDAH` works on. `root` is the file system of a container made from it."""

    def __init__(self, name: str) -> None:
        self.config: dict[str, Any] = json.loads(_buildah("inspect", "--type", "image", name))["Docker"]["config"]
        self._container = _buildah("from", "--pull-never", name)
        self.root = Path(_buildah("mount", self._container))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _buildah("rm", self._container)

    @property
    def environment(self) -> dict[str, str]:
        return dict(setting.split("=", 1) for setting in self.config["Env"])

    @property
    def user(self) -> tuple[int, int]:
        """Its user and group, by number."""
        user, group = self.config["User"].split(":")
        return int(user), int(group)

    @property
    def probe(self) -> list[str]:
        """The command of its HEALTHCHECK."""
        how, *command = self.config["Healthcheck"]["Test"]
        if how != "CMD":
            raise ValueError(f"the probe runs in a shell: {command}")
        return command

    def entered(self, command: list[str], data: Path) -> list[str]:
        """What runs a command in a container of its own: its user without rights, its root read-only, `data` its volume.

        Namespaces of mounts and processes, the command being process 1 and all ending with it; the host's network.
        """
        [volume] = self.config["Volumes"]
        told = [str(self.root), str(data), volume, self.config["User"], self.config["WorkingDir"]]
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", _ENTER, "sh", *told, *command]

    def output(self, command: list[str], data: Path, **environment: str) -> str:
        """What a command says that is run in it; CalledProcessError where it fails."""
        settings = {**self.environment, **environment}
        return subprocess.run(
            self.entered(command, data), env=settings, check=True, capture_output=True, text=True, timeout=60
        ).stdout


class ImageProcess(ModuleProcess):
    """A module that runs in its image."""

    def __init__(self, image: Image, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._image = image
        self.liveness_port = self._environment["LIVENESS_PORT"]
        of_the_host = {*_KEPT, "SUB_FOLDER"}  # the state is where the image has its volume
        kept = {name: value for name, value in self._environment.items() if name not in of_the_host}
        self._environment = {**kept, **image.environment}

    def start(self) -> Self:
        self._data.mkdir(parents=True, exist_ok=True)
        os.chown(self._data, *self._image.user)
        return super().start()

    @property
    def invocation(self) -> list[str]:
        return self._image.entered([*self._image.config["Entrypoint"], self._command], self._data)

    @property
    def pid(self) -> int:
        """Of the module, where it has begun, as the host counts."""
        outside = super().pid
        children = Path(f"/proc/{outside}/task/{outside}/children").read_text().split()
        return int(children[0]) if children else outside


def _buildah(*words: str) -> str:
    command = [*shlex.split(os.environ["BUILDAH"]), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
