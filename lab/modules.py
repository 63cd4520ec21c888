"""The modules the lab knows: all that `sekoia-lab` needs of a vendor is a registration here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from sekoia_automation.module import Module
from sentinelone_assets.connector import SentinelOneDeviceConnector
from sentinelone_assets.settings import SentinelOneModule
from sentinelone_assets.validator import SentinelOneAccountValidator

from lab.consoles.sentinelone import SimulatedSentinelOne
from lab.server import LocalServer
from shared.polling import DeviceConnector
from shared.validator import DeviceAccountValidator

ROOT = Path(__file__).resolve().parent.parent


class Console(Protocol):
    """A simulated console: a server with devices, and the settings that lead to it."""

    @property
    def url(self) -> str: ...
    def __enter__(self) -> Console: ...
    def __exit__(self, *_: object) -> None: ...


@dataclass(frozen=True)
class LabModule:
    """One module. `simulated(n)` is a console with n devices, not yet started; `settings_for` leads to a started one."""

    name: str
    module: type[Module]
    connector: type[DeviceConnector]
    validator: type[DeviceAccountValidator]
    simulated: Callable[[int], LocalServer]
    settings_for: Callable[[Any], dict[str, Any]]

    @property
    def folder(self) -> Path:
        return ROOT / self.name

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return _read(self.folder / "manifest.json")

    @cached_property
    def connector_manifest(self) -> dict[str, Any]:
        return _read(next(self.folder.glob("connector_*.json")))

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


def _simulated_sentinelone(devices: int) -> SimulatedSentinelOne:
    console = SimulatedSentinelOne()
    console.has(agents=devices)
    return console


MODULES = {
    module.name: module
    for module in (
        LabModule(
            name="SentinelOne",
            module=SentinelOneModule,
            connector=SentinelOneDeviceConnector,
            validator=SentinelOneAccountValidator,
            simulated=_simulated_sentinelone,
            settings_for=lambda console: {"hostname": console.url, "api_token": console.token},
        ),
    )
}


def device_modules(names: Iterable[str] = ()) -> list[LabModule]:
    """The modules of these names, all of them when none is named."""
    return [MODULES[name] for name in names] or list(MODULES.values())
