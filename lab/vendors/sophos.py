"""What the lab needs to know of Sophos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.registration import Classes, LabModule

if TYPE_CHECKING:
    from lab.consoles.sophos import SimulatedSophos
    from shared.mapping.table import Field


def _classes() -> Classes:
    from sophos_assets.connector import SophosDeviceChanges, SophosDeviceConnector
    from sophos_assets.settings import SophosModule
    from sophos_assets.validator import SophosAccountValidator

    return Classes(SophosModule, SophosDeviceConnector, SophosAccountValidator, SophosDeviceChanges)


def _table() -> tuple[Field, ...]:
    from sophos_assets.mapper import ENDPOINT_TO_DEVICE

    return ENDPOINT_TO_DEVICE


def _simulated(devices: int) -> SimulatedSophos:
    from lab.consoles.sophos import SimulatedSophos

    console = SimulatedSophos()
    console.has(devices)
    return console


def _settings_for(console: SimulatedSophos) -> dict[str, Any]:
    from lab.consoles.sophos import LOGIN_PATH

    return {
        "client_id": console.client_id,
        "client_secret": console.client_secret,
        "api_host": console.url,
        "oauth2_authorization_url": console.url + LOGIN_PATH,
    }


MODULE = LabModule(
    name="Sophos",
    published="b3f7a1c2-4e8d-4b5a-9c6f-1d2e3f4a5b6c",
    library_folder="Sophos",
    package="sophos_assets",
    classes=_classes,
    table=_table,
    incidents={
        "falls out of compliance": {"health": {"overall": "bad", "threats": {"status": "bad"}}},
        "is isolated": {"isolation": {"status": "isolated", "adminIsolated": True, "selfIsolated": False}},
    },
    simulated=_simulated,
    settings_for=_settings_for,
)
