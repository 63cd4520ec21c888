"""What the lab needs to know of SentinelOne."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.registration import Classes, LabModule

if TYPE_CHECKING:
    from lab.consoles.sentinelone import SimulatedSentinelOne
    from shared.mapping.table import Field


def _classes() -> Classes:
    from sentinelone_assets.connector import SentinelOneDeviceChanges, SentinelOneDeviceConnector
    from sentinelone_assets.settings import SentinelOneModule
    from sentinelone_assets.validator import SentinelOneAccountValidator

    return Classes(SentinelOneModule, SentinelOneDeviceConnector, SentinelOneAccountValidator, SentinelOneDeviceChanges)


def _table() -> tuple[Field, ...]:
    from sentinelone_assets.mapper import AGENT_TO_DEVICE

    return AGENT_TO_DEVICE


def _simulated(devices: int) -> SimulatedSentinelOne:
    from lab.consoles.sentinelone import SimulatedSentinelOne

    console = SimulatedSentinelOne()
    console.has(devices)
    return console


MODULE = LabModule(
    name="SentinelOne",
    published="f47ac10b-58cc-4372-a567-0e02b2c3d479",
    library_folder="SentinelOne",
    package="sentinelone_assets",
    classes=_classes,
    table=_table,
    incidents={
        "reports an infection": {"infected": True, "activeThreats": 2},
        "is renamed": {"computerName": "RENAMED-PC"},
    },
    simulated=_simulated,
    settings_for=lambda console: {"hostname": console.url, "api_token": console.token},
)
