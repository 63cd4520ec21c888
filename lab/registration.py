"""What the lab needs to know of a module. The registrations themselves are in `lab/vendors/`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from sekoia_automation.module import Module

from lab.kinds import ALERTS, DEVICES, Kind
from lab.server import LocalServer
from shared.alerts.connector import EventConnector
from shared.devices.inventory import DeviceConnector
from shared.devices.playbooks import DeviceChanges
from shared.runtime.connection_test import ConnectionTest


class Console(Protocol):
    """A simulated console: a server with devices, and the settings that lead to it."""

    @property
    def url(self) -> str: ...
    def __enter__(self) -> Console: ...
    def __exit__(self, *_: object) -> None: ...


@dataclass(frozen=True)
class LabModule:
    """One module. `simulated(n)` is a console with n devices, not yet started; `settings_for` leads to a started one.

    `published` is the connector's uuid on the documentation page of the published one, `library_folder` its folder in the
    public automation library, where there is one.
    `changes` is the trigger that starts playbooks, where there is one. `incidents`: what may happen to a device → the
    fields of its raw record that become another.
    `with_groups`, where devices name their group by its id only: the groups, as the vendor lists them → what adds its
    group to a raw device, as the client does.
    """

    name: str
    module: type[Module]
    connector: type[DeviceConnector] | type[EventConnector]
    validator: type[ConnectionTest]
    simulated: Callable[[int], LocalServer]
    settings_for: Callable[[Any], dict[str, Any]]
    published: str | None = None
    library_folder: str | None = None
    changes: type[DeviceChanges] | None = None
    incidents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    with_groups: Callable[[Iterable[Any]], Callable[[Any], Any]] | None = None

    @property
    def kind(self) -> Kind:
        """Whether it sends devices or alerts."""
        return ALERTS if issubclass(self.connector, EventConnector) else DEVICES

    @property
    def folder(self) -> Path:
        """Where the manifest lies, and the package beside it."""
        return Path(inspect.getfile(self.module)).parent.parent

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return _read(self.folder / "manifest.json")

    @cached_property
    def connector_manifest(self) -> dict[str, Any]:
        return _read(next(self.folder.glob("connector_*.json")))

    @property
    def changes_file(self) -> Path:
        """The trigger's manifest."""
        return next(self.folder.glob("trigger_*_device_changes.json"))

    @cached_property
    def changes_manifest(self) -> dict[str, Any]:
        return _read(self.changes_file)

    @property
    def changes_command(self) -> str:
        """As `command`, of the trigger."""
        return str(self.changes_manifest["docker_parameters"])

    @property
    def command(self) -> str:
        """The word after `main.py`, by which the platform starts the connector."""
        return str(self.connector_manifest["docker_parameters"])

    @property
    def package(self) -> str:
        """The import name of the vendor's package."""
        return self.connector.__module__.partition(".")[0]

    @property
    def secrets(self) -> list[str]:
        """Settings of the module that the platform hands out at start only."""
        return list(self.manifest["configuration"].get("secrets", []))

    def configured(self, settings: dict[str, Any]) -> Module:
        """The module with these settings, in this process."""
        module = self.module()
        module._manifest = self.manifest  # the SDK reads it from the current directory otherwise
        module.configuration = settings
        return module


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
