"""The modules the lab knows: all that `sekoia-lab` needs of a vendor is a registration here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from checkpoint_harmony.connector import HarmonyMobileConnector
from checkpoint_harmony.settings import HarmonyMobileModule
from checkpoint_harmony.validator import HarmonyMobileAccountValidator
from eset_assets.client import named_groups, with_group
from eset_assets.connector import EsetDeviceConnector
from eset_assets.settings import EsetModule
from eset_assets.validator import EsetAccountValidator
from harfanglab_assets.connector import HarfangLabDeviceConnector
from harfanglab_assets.settings import HarfangLabModule
from harfanglab_assets.validator import HarfangLabAccountValidator
from sekoia_automation.module import Module
from sentinelone_assets.connector import SentinelOneDeviceConnector
from sentinelone_assets.settings import SentinelOneModule
from sentinelone_assets.validator import SentinelOneAccountValidator
from sophos_assets.connector import SophosDeviceConnector
from sophos_assets.settings import SophosModule
from sophos_assets.validator import SophosAccountValidator

from lab.consoles.checkpoint import SimulatedHarmonyMobile
from lab.consoles.eset import SimulatedEset
from lab.consoles.harfanglab import SimulatedHarfangLab
from lab.consoles.sentinelone import SimulatedSentinelOne
from lab.consoles.sophos import TOKEN_PATH, SimulatedSophos
from lab.kinds import ALERTS, DEVICES, Kind
from lab.server import LocalServer
from shared.events import EventConnector
from shared.polling import DeviceConnector
from shared.validator import ConnectionTest

ROOT = Path(__file__).resolve().parent.parent


class Console(Protocol):
    """A simulated console: a server with devices, and the settings that lead to it."""

    @property
    def url(self) -> str: ...
    def __enter__(self) -> Console: ...
    def __exit__(self, *_: object) -> None: ...


@dataclass(frozen=True)
class LabModule:
    """One module. `simulated(n)` is a console with n devices, not yet started; `settings_for` leads to a started one.

    `with_groups`, where devices name their group by its id only: the groups, as the vendor lists them → what adds its
    group to a raw device, as the client does.
    """

    name: str
    module: type[Module]
    connector: type[DeviceConnector] | type[EventConnector]
    validator: type[ConnectionTest]
    simulated: Callable[[int], LocalServer]
    settings_for: Callable[[Any], dict[str, Any]]
    with_groups: Callable[[Iterable[Any]], Callable[[Any], Any]] | None = None

    @property
    def kind(self) -> Kind:
        """Whether it sends devices or alerts."""
        return ALERTS if issubclass(self.connector, EventConnector) else DEVICES

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


def _simulated_harfanglab(devices: int) -> SimulatedHarfangLab:
    console = SimulatedHarfangLab()
    console.has(agents=devices)
    return console


def _simulated_sentinelone(devices: int) -> SimulatedSentinelOne:
    console = SimulatedSentinelOne()
    console.has(agents=devices)
    return console


def _simulated_sophos(devices: int) -> SimulatedSophos:
    console = SimulatedSophos()
    console.has(endpoints=devices)
    return console


def _simulated_eset(devices: int) -> SimulatedEset:
    console = SimulatedEset()
    console.has(devices=devices)
    return console


def _simulated_harmony_mobile(alerts: int) -> SimulatedHarmonyMobile:
    console = SimulatedHarmonyMobile()
    console.has(alerts=alerts)
    return console


def _with_eset_groups(listed: Iterable[Any]) -> Callable[[Any], Any]:
    """`listed`: groups, or answers of `/v1/device_groups`, which hold some."""
    groups = named_groups(chain.from_iterable(map(_eset_groups_in, listed)))
    return lambda device: with_group(device, groups)


def _eset_groups_in(entry: Any) -> list[Any]:
    held = entry.get("deviceGroups") if isinstance(entry, dict) else None
    return held if isinstance(held, list) else [entry]


MODULES = {
    module.name: module
    for module in (
        LabModule(
            name="HarfangLab",
            module=HarfangLabModule,
            connector=HarfangLabDeviceConnector,
            validator=HarfangLabAccountValidator,
            simulated=_simulated_harfanglab,
            settings_for=lambda console: {"url": console.url, "api_token": console.token},
        ),
        LabModule(
            name="SentinelOne",
            module=SentinelOneModule,
            connector=SentinelOneDeviceConnector,
            validator=SentinelOneAccountValidator,
            simulated=_simulated_sentinelone,
            settings_for=lambda console: {"hostname": console.url, "api_token": console.token},
        ),
        LabModule(
            name="ESET",
            module=EsetModule,
            connector=EsetDeviceConnector,
            validator=EsetAccountValidator,
            simulated=_simulated_eset,
            settings_for=lambda console: {
                "region": "eu",
                "username": console.username,
                "password": console.password,
                "authentication_url": console.url,
                "api_url": console.url,
            },
            with_groups=_with_eset_groups,
        ),
        LabModule(
            name="Sophos",
            module=SophosModule,
            connector=SophosDeviceConnector,
            validator=SophosAccountValidator,
            simulated=_simulated_sophos,
            settings_for=lambda console: {
                "client_id": console.client_id,
                "client_secret": console.client_secret,
                "api_host": console.url,
                "oauth2_authorization_url": console.url + TOKEN_PATH,
            },
        ),
        LabModule(
            name="CheckpointHarmony",
            module=HarmonyMobileModule,
            connector=HarmonyMobileConnector,
            validator=HarmonyMobileAccountValidator,
            simulated=_simulated_harmony_mobile,
            settings_for=lambda console: {
                "client_id": console.client_id,
                "secret_key": console.secret_key,
                "authentication_url": console.login_url,
            },
        ),
    )
}


def device_modules(names: Iterable[str] = ()) -> list[LabModule]:
    """The modules of these names, all that send devices when none is named."""
    return [MODULES[name] for name in names] or [module for module in MODULES.values() if module.kind is DEVICES]
