"""What the lab needs to know of HarfangLab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.registration import Classes, LabModule

if TYPE_CHECKING:
    from lab.consoles.harfanglab import SimulatedHarfangLab
    from shared.mapping.table import Field


def _classes() -> Classes:
    from harfanglab_assets.connector import HarfangLabDeviceChanges, HarfangLabDeviceConnector
    from harfanglab_assets.settings import HarfangLabModule
    from harfanglab_assets.validator import HarfangLabAccountValidator

    return Classes(HarfangLabModule, HarfangLabDeviceConnector, HarfangLabAccountValidator, HarfangLabDeviceChanges)


def _table() -> tuple[Field, ...]:
    from harfanglab_assets.mapper import AGENT_TO_DEVICE

    return AGENT_TO_DEVICE


def _simulated(devices: int) -> SimulatedHarfangLab:
    from lab.consoles.harfanglab import SimulatedHarfangLab

    console = SimulatedHarfangLab()
    console.has(devices)
    return console


MODULE = LabModule(
    name="HarfangLab",
    published="f7da3627-6016-415d-9885-231e1455a7a5",
    library_folder="HarfangLab",
    package="harfanglab_assets",
    classes=_classes,
    table=_table,
    incidents={
        "loses its policy": {"policy": None},
        "moves into another domain": {"domainname": "BRANCH"},
    },
    simulated=_simulated,
    settings_for=lambda console: {"url": console.url, "api_token": console.token},
)
