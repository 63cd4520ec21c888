"""What the lab needs to know of a module. The registrations themselves are in `lab/vendors/`.

A command that concerns one module imports that module's code, and only the part that it uses: classes, table and
console are functions that import them when they are called. What the folder's JSON files say needs no import.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from lab.kinds import ALERTS, DEVICES, Kind

if TYPE_CHECKING:
    from sekoia_automation.module import Module

    from lab.platform.server import LocalServer
    from shared.alerts.connector import EventConnector
    from shared.devices.inventory import DeviceConnector
    from shared.devices.playbooks import DeviceChanges
    from shared.mapping.table import Field, Mapper
    from shared.runtime.connection_test import ConnectionTest


class Console(Protocol):
    """A simulated console: a server with devices, and the settings that lead to it."""

    @property
    def url(self) -> str: ...
    def __enter__(self) -> Console: ...
    def __exit__(self, *_: object) -> None: ...


class Classes(NamedTuple):
    """What a module's `main.py` registers. `changes` is the trigger that starts playbooks, where there is one."""

    module: type[Module]
    connector: type[DeviceConnector] | type[EventConnector]
    validator: type[ConnectionTest]
    changes: type[DeviceChanges] | None = None


@dataclass(frozen=True)
class LabModule:
    """One module. `package` is the import name of the vendor's package, `table` returns its mapping table.

    `simulated(n)` is a console with n devices, not yet started; `settings_for` returns the settings for a started one.
    `incidents`: what may happen to a device → the fields of its raw record that become another.
    `published` is the connector's uuid on the documentation page of the published one, `library_folder` its folder in the
    public automation library, where there is one.
    `with_groups`, where devices name their group by its id only: the groups, as the vendor lists them → what adds its
    group to a raw device, as the client does.
    """

    name: str
    package: str
    classes: Callable[[], Classes]
    table: Callable[[], tuple[Field, ...]]
    simulated: Callable[[int], LocalServer]
    settings_for: Callable[[Any], dict[str, Any]]
    published: str | None = None
    library_folder: str | None = None
    incidents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    with_groups: Callable[[Iterable[Any]], Callable[[Any], Any]] | None = None

    @property
    def module(self) -> type[Module]:
        return self.classes().module

    @property
    def connector(self) -> type[DeviceConnector] | type[EventConnector]:
        return self.classes().connector

    @property
    def validator(self) -> type[ConnectionTest]:
        return self.classes().validator

    @property
    def changes(self) -> type[DeviceChanges] | None:
        """The trigger that starts playbooks; None where there is none."""
        return self.classes().changes

    def mapper(self) -> Mapper:
        """The vendor's table, ready to run; nothing of the connector is imported for it."""
        from shared.mapping.table import Mapper

        return Mapper(self.table())

    @property
    def kind(self) -> Kind:
        """Whether it sends devices or alerts."""
        return DEVICES if self.connector_manifest.get("type") == "asset" else ALERTS

    @property
    def folder(self) -> Path:
        """The folder of the manifest and of the vendor's package."""
        found = find_spec(self.package)
        if found is None or found.origin is None:
            raise ModuleNotFoundError(f"{self.package} is not installed. Run: make venv")
        return Path(found.origin).parent.parent

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
